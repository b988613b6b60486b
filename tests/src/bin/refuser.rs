//! Refuses, as a security module would, that programs are loaded, until its input ends: `refuser OBJECT [TYPE]`, with the
//! object of `ebpf/src/refuser.rs` and a number of `enum bpf_attach_type`; without one, all are refused. For guests only.

#![allow(clippy::print_stdout, reason = "its output is its purpose")]

use anyhow::{Context, Result};
use aya::programs::Lsm;
use aya::{Btf, EbpfLoader};

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let object = arguments.next().context("usage: refuser OBJECT [TYPE]")?;
    let mut loader = EbpfLoader::new();
    let refused: Option<u32> = arguments.next().map(|word| word.parse()).transpose()?;
    if let Some(refused) = &refused {
        loader.override_global("REFUSED", refused, true);
    }
    let mut loaded = loader
        .load_file(&object)
        .with_context(|| format!("cannot load {object}"))?;
    let program: &mut Lsm = loaded
        .program_mut("refuse_load")
        .context("the program is missing")?
        .try_into()?;
    program.load("bpf", &Btf::from_sys_fs()?)?;
    program.attach()?;
    println!("attached");
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    Ok(())
}
