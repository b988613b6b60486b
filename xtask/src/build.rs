//! Builds the kernel object and the agent that carries it.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::command::run;
use crate::paths;
use crate::progress::phase;
use crate::setup::Install;
use crate::setup::rust::{Toolchain, kernel_toolchain};

/// Tells the agent's build script which object to embed.
const OBJECT_VARIABLE: &str = "SOCKMETER_EBPF_OBJECT";

/// The second object, see `ebpf/src/fallback.rs`.
const FALLBACK: [&str; 5] = ["--release", "--features", "fallback", "--bin", "fallback"];

/// Builds the object that the agent loads into the kernel.
///
/// # Errors
/// When a tool is missing and may not be installed, or the build fails.
pub fn kernel_object(install: Install) -> Result<()> {
    let toolchain = kernel_toolchain(install)?;
    phase("building the kernel object", || {
        run(kernel_cargo(&toolchain, "build").arg("--release"))?;
        run(kernel_cargo(&toolchain, "build").args(FALLBACK))
    })
    .context("cannot build the kernel object in ebpf/")
}

/// Builds the object, and the agent with it inside.
///
/// # Errors
/// As for the object.
pub fn agent(install: Install) -> Result<()> {
    kernel_object(install)?;
    phase("building the agent", || {
        run(cargo(Some(&paths::kernel_object())).args(["build", "--release", "-p", "sockmeter"]))
    })
    .context("cannot build the agent")
}

/// A cargo command in the checkout. Without an object the agent embeds an empty one, which is enough to
/// check its code.
pub(crate) fn cargo(object: Option<&Path>) -> Command {
    let mut command = Command::new(Toolchain::active().cargo);
    command.current_dir(paths::checkout());
    match object {
        Some(object) => command.env(OBJECT_VARIABLE, object),
        None => command.env_remove(OBJECT_VARIABLE),
    };
    command
}

/// A cargo command in `ebpf/`: for a target for which nobody ships `core`, so it is built along.
pub(crate) fn kernel_cargo(toolchain: &Toolchain, subcommand: &str) -> Command {
    let mut command = toolchain.command();
    command
        .current_dir(paths::checkout().join("ebpf"))
        .arg(subcommand);
    command.args([
        "--target",
        "bpfel-unknown-none",
        "-Z",
        "build-std=core",
        "--target-dir",
    ]);
    command.arg(paths::kept().join("ebpf"));
    // A stable compiler that may be asked for `build-std`; and BTF, which the kernel's verifier reads.
    command.env("RUSTC_BOOTSTRAP", "1").env(
        "RUSTFLAGS",
        "-C debuginfo=2 -C link-arg=--btf -C target-cpu=v3",
    );
    command
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("CARGO_BUILD_TARGET");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(paths::tools()).chain(std::env::split_paths(&path));
    // Joining fails only for a folder with a colon in its name; then PATH stays and bpf-linker is not found.
    if let Ok(path) = std::env::join_paths(folders) {
        command.env("PATH", path);
    }
    command
}
