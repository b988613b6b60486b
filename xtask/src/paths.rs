//! Where things are: the checkout, its `target/`, and what is kept below it.

use std::path::{Path, PathBuf};

/// The checkout's top folder.
#[must_use]
pub fn checkout() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask).to_path_buf()
}

/// What xtask itself keeps: tools, the kernel object, guests. Always in the checkout.
#[must_use]
pub fn kept() -> PathBuf {
    checkout().join("target")
}

/// Where cargo puts what it builds for the host; `CARGO_TARGET_DIR` moves it.
#[must_use]
pub fn cargo_target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => checkout().join(folder),
        None => kept(),
    }
}

/// Where cargo keeps the sources of dependencies.
pub(crate) fn cargo_home() -> Option<PathBuf> {
    let home = || std::env::home_dir().map(|home| home.join(".cargo"));
    std::env::var_os("CARGO_HOME").map_or_else(home, |folder| Some(folder.into()))
}

/// The agent as `cargo build --release` leaves it.
#[must_use]
pub fn agent() -> PathBuf {
    cargo_target().join("release/sockmeter")
}

/// The kernel object as `cargo xtask build-ebpf` leaves it.
#[must_use]
pub fn kernel_object() -> PathBuf {
    kept().join("ebpf/bpfel-unknown-none/release/sockmeter")
}

/// The object that the agent is measured beside: its hooks with the least possible body.
#[must_use]
pub fn floor_object() -> PathBuf {
    kernel_object().with_file_name("floor")
}

/// bpf-linker and other tools that are built for this checkout only.
pub(crate) fn tools() -> PathBuf {
    kept().join("tools/bin")
}

/// Everything that guests need and leave behind.
pub(crate) fn guests() -> PathBuf {
    kept().join("guest")
}
