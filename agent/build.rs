//! Embeds the eBPF object that `cargo xtask build-ebpf` made; without one the agent builds and says so when started.

use std::{env, fs, path::PathBuf};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-env-changed=SOCKMETER_EBPF_OBJECT");
    let to = PathBuf::from(env::var("OUT_DIR")?).join("sockmeter.bpf.o");
    match env::var_os("SOCKMETER_EBPF_OBJECT") {
        Some(object) => {
            println!(
                "cargo::rerun-if-changed={}",
                PathBuf::from(&object).display()
            );
            fs::copy(&object, &to).map_err(|error| {
                format!(
                    "cannot read {}, which SOCKMETER_EBPF_OBJECT names: {error}",
                    object.display()
                )
            })?;
        }
        None => fs::write(&to, [])?,
    }
    Ok(())
}
