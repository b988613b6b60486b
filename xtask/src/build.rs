//! Builds the kernel objects and the agent that carries them, for this machine or static for any.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::arch::Arch;
use crate::command::{output, run};
use crate::paths;
use crate::progress::phase;
use crate::setup::Install;
use crate::setup::rust::{Toolchain, kernel_toolchain, target_library};

/// Tells the agent's build script which object to embed.
const OBJECT_VARIABLE: &str = "SOCKMETER_EBPF_OBJECT";

/// Tells the agent's build script of which commit it is.
const COMMIT_VARIABLE: &str = "SOCKMETER_COMMIT";

/// Parts flags in `CARGO_ENCODED_RUSTFLAGS`, which may hold spaces.
const FLAG_SEPARATOR: &str = "\u{1f}";

/// The second object, see `ebpf/src/fallback.rs`.
const FALLBACK: [&str; 5] = ["--release", "--features", "fallback", "--bin", "fallback"];

/// How a static program is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// Quickly.
    Dev,
    /// For use: optimised, and without symbols.
    Release,
}

impl Profile {
    fn name(self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Release => "release",
        }
    }

    /// What cargo calls the profile's folder.
    fn folder(self) -> &'static str {
        match self {
            Self::Dev => "debug",
            Self::Release => "release",
        }
    }
}

/// Builds the objects that the agent loads into this machine's kernel.
///
/// # Errors
/// When a tool is missing and may not be installed, or the build fails.
pub fn kernel_object(install: Install) -> Result<()> {
    kernel_object_for(Arch::host()?, install)
}

/// Builds the objects that the agent loads into an architecture's kernel.
///
/// # Errors
/// When a tool is missing and may not be installed, or the build fails.
pub fn kernel_object_for(arch: Arch, install: Install) -> Result<()> {
    let toolchain = kernel_toolchain(install)?;
    let title = format!("building the kernel objects for {}", arch.name());
    phase(&title, || {
        run(kernel_cargo(&toolchain, arch, "build").arg("--release"))?;
        run(kernel_cargo(&toolchain, arch, "build").args(FALLBACK))
    })
    .context("cannot build the kernel objects in ebpf/")
}

/// Builds the objects, and the agent with them inside.
///
/// # Errors
/// As for the objects.
pub fn agent(install: Install) -> Result<()> {
    kernel_object(install)?;
    phase("building the agent", || {
        run(cargo(Some(&paths::kernel_object())).args(["build", "--release", "-p", "sockmeter"]))
    })
    .context("cannot build the agent")
}

/// Builds an agent for an architecture, static and with that architecture's objects inside; says where it is.
///
/// # Errors
/// As for the objects, or when Rust's library for that target is missing and cannot be had.
pub fn agent_for(arch: Arch, profile: Profile, install: Install) -> Result<PathBuf> {
    kernel_object_for(arch, install)?;
    let mut command = static_cargo(arch, profile, install)?;
    command.env(COMMIT_VARIABLE, commit());
    command.args(["-p", "sockmeter"]);
    let title = format!("building the static agent for {}", arch.name());
    phase(&title, || run(&mut command)).context("cannot build the static agent")?;
    Ok(static_folder(arch, profile).join("sockmeter"))
}

/// Builds a program of the package `sockmeter-tests` for an architecture, static; says where it is.
///
/// # Errors
/// As for the agent.
pub fn test_program_for(arch: Arch, program: &str, install: Install) -> Result<PathBuf> {
    let mut command = static_cargo(arch, Profile::Dev, install)?;
    command.args(["-p", "sockmeter-tests", "--bin", program]);
    let title = format!("building the test program {program} for {}", arch.name());
    phase(&title, || run(&mut command))
        .with_context(|| format!("cannot build the test program {program}"))?;
    Ok(static_folder(arch, Profile::Dev).join(program))
}

/// A cargo command that builds static programs, in which no path of this machine is left.
fn static_cargo(arch: Arch, profile: Profile, install: Install) -> Result<Command> {
    let target = arch.static_target();
    target_library(target, install)?;
    // Without the object of this architecture, as when only a test program is wanted, none is embedded.
    let object = arch.kernel_object();
    let mut command = cargo(object.is_file().then_some(&*object));
    command.args(["build", "--target", target, "--profile", profile.name()]);
    let variable = target.to_uppercase().replace('-', "_");
    // Rust's own linker knows every architecture, and its musl comes with all that is to be linked.
    command.env(format!("CARGO_TARGET_{variable}_LINKER"), "rust-lld");
    if profile == Profile::Release {
        command.env("CARGO_PROFILE_RELEASE_STRIP", "symbols");
    }
    let mut flags = paths_left_out(&Toolchain::active());
    flags.push("-Ctarget-feature=+crt-static".to_owned());
    command
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join(FLAG_SEPARATOR))
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_BUILD_TARGET");
    Ok(command)
}

fn static_folder(arch: Arch, profile: Profile) -> PathBuf {
    paths::cargo_target()
        .join(arch.static_target())
        .join(profile.folder())
}

/// Of which commit the checkout is, and whether it was changed since; sources without git have none.
fn commit() -> String {
    let mut describe = Command::new("git");
    describe.args(["describe", "--always", "--abbrev=12", "--exclude=*"]);
    describe.arg("--dirty=-changed");
    let commit = output(describe.current_dir(paths::checkout()));
    commit.map_or_else(|_| "unknown".to_owned(), |commit| commit.trim().to_owned())
}

/// Folders of this machine that the compiler would write into what it makes, and what it writes in their place.
pub(crate) fn machine_paths(toolchain: &Toolchain) -> Vec<(PathBuf, &'static str)> {
    let mut folders = vec![(paths::checkout(), ".")];
    folders.extend(paths::cargo_home().map(|home| (home, "/cargo")));
    folders.extend(toolchain.sysroot().map(|sysroot| (sysroot, "/rust")));
    folders
}

fn paths_left_out(toolchain: &Toolchain) -> Vec<String> {
    machine_paths(toolchain)
        .into_iter()
        .map(|(folder, instead)| format!("--remap-path-prefix={}={instead}", folder.display()))
        .collect()
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
pub(crate) fn kernel_cargo(toolchain: &Toolchain, arch: Arch, subcommand: &str) -> Command {
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
    command.arg(arch.kernel_target_folder());
    // BTF is what the kernel's verifier reads; it names source files too.
    let mut flags = ["-Cdebuginfo=2", "-Clink-arg=--btf", "-Ctarget-cpu=v3"]
        .map(str::to_owned)
        .to_vec();
    flags.extend(paths_left_out(toolchain));
    command
        // A stable compiler that may be asked for `build-std`.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("AYA_BPF_TARGET_ARCH", arch.name())
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join(FLAG_SEPARATOR))
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_BUILD_TARGET");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(paths::tools()).chain(std::env::split_paths(&path));
    // Joining fails only for a folder with a colon in its name; then PATH stays and bpf-linker is not found.
    if let Ok(path) = std::env::join_paths(folders) {
        command.env("PATH", path);
    }
    command
}
