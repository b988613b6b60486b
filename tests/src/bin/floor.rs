//! Loads the floor (`ebpf/src/floor.rs`), says so, and waits for its input to end; then tells what it counted.
//! For guests only. `cargo xtask bench request` measures what it costs.

#![allow(clippy::print_stdout, reason = "its output is its purpose")]

use std::collections::HashSet;
use std::path::Path;

use anyhow::{Context, Result, bail};
use aya::maps::Array;
use aya::programs::Program;
use aya::{Btf, EbpfLoader};
use sockmeter::kernel_btf::{KernelBtf, SYSTEM_PATH};

/// Each program with the function that it is attached to.
const PROGRAMS: [(&str, &str); 4] = [
    ("floor_send_begin", "inet_sendmsg"),
    ("floor_send", "inet_sendmsg"),
    ("floor_receive_begin", "inet_recvmsg"),
    ("floor_receive", "inet_recvmsg"),
];

fn main() -> Result<()> {
    let object = std::env::args().nth(1).context("usage: floor OBJECT")?;
    let wanted = HashSet::from(["msghdr".to_owned()]);
    let types = KernelBtf::open(Path::new(SYSTEM_PATH), &wanted)?;
    let buffers = types
        .member("msghdr", "msg_iter.__iov|msg_iter.iov")
        .context("this kernel's msghdr has no vector of buffers")?;
    let mut loaded = EbpfLoader::new()
        .override_global("BUFFERS_AT", &buffers.offset_bytes, true)
        .load_file(&object)
        .with_context(|| format!("cannot load {object}"))?;
    let types = Btf::from_sys_fs()?;
    for (name, target) in PROGRAMS {
        let program = loaded.program_mut(name).context("a program is missing")?;
        match program {
            Program::FEntry(program) => {
                program.load(target, &types)?;
                program.attach()?;
            }
            Program::FExit(program) => {
                program.load(target, &types)?;
                program.attach()?;
            }
            _ => bail!("{name} is of an unexpected type"),
        }
    }
    println!("attached");
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    let totals: Array<_, u64> = Array::try_from(loaded.map("TOTALS").context("no totals")?)?;
    println!("{}", totals.get(&0, 0)?);
    Ok(())
}
