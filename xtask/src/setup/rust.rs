//! What building the kernel object needs beyond cargo: the source of `core`, and bpf-linker.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{Install, apt};
use crate::command::{find, output, run, shown};
use crate::paths;
use crate::progress::{phase, say, step};

const LINKER_VERSION: &str = "0.13.0";

/// A cargo and the rustc that belongs to it.
pub(crate) struct Toolchain {
    pub(crate) cargo: PathBuf,
    rustc: PathBuf,
}

impl Toolchain {
    /// What `cargo xtask` itself was started with.
    pub(crate) fn active() -> Self {
        let cargo = std::env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from);
        Self {
            cargo,
            rustc: PathBuf::from("rustc"),
        }
    }

    /// The distribution's, which can be there beside rustup's.
    fn debian() -> Self {
        Self {
            cargo: PathBuf::from("/usr/bin/cargo"),
            rustc: PathBuf::from("/usr/bin/rustc"),
        }
    }

    /// A cargo command that uses this toolchain's compiler.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.cargo);
        command.env("RUSTC", &self.rustc);
        command
    }

    /// Where its libraries are.
    pub(crate) fn sysroot(&self) -> Option<PathBuf> {
        let sysroot = output(Command::new(&self.rustc).args(["--print", "sysroot"]));
        sysroot.ok().map(|path| PathBuf::from(path.trim()))
    }

    /// Whether `core` can be built for a target that nobody ships.
    fn has_source(&self) -> bool {
        self.sysroot()
            .is_some_and(|path| path.join("lib/rustlib/src/rust/library/core").is_dir())
    }

    /// Whether the standard library for a target is there.
    fn has_library(&self, target: &str) -> bool {
        self.sysroot()
            .is_some_and(|path| path.join("lib/rustlib").join(target).join("lib").is_dir())
    }

    /// The linker reads this compiler's output, so it must be made with the same LLVM.
    fn llvm_major(&self) -> Result<String> {
        let version = output(Command::new(&self.rustc).arg("-vV"))
            .context("there is no Rust compiler: install one with rustup")?;
        let llvm = version
            .lines()
            .find_map(|line| line.strip_prefix("LLVM version: "));
        let major = llvm.and_then(|version| version.split('.').next());
        Ok(major
            .context("`rustc -vV` does not say its LLVM version")?
            .to_owned())
    }
}

/// The toolchain for the kernel object when all its parts are there.
pub(crate) fn ready_kernel_toolchain() -> Option<Toolchain> {
    let toolchain = [Toolchain::active(), Toolchain::debian()]
        .into_iter()
        .find(Toolchain::has_source)?;
    linker_is_ready(&toolchain.llvm_major().ok()?).then_some(toolchain)
}

/// Gets everything that the kernel object is built with.
pub(crate) fn kernel_toolchain(install: Install) -> Result<Toolchain> {
    let toolchain = toolchain_with_source(install)?;
    let llvm = toolchain.llvm_major()?;
    if !linker_is_ready(&llvm) {
        get_linker(&toolchain, &llvm, install)?;
    }
    Ok(toolchain)
}

fn toolchain_with_source(install: Install) -> Result<Toolchain> {
    let (active, debian) = (Toolchain::active(), Toolchain::debian());
    if active.has_source() {
        return Ok(active);
    }
    if find("rustup").is_some() {
        if install == Install::Refused {
            bail!(
                "missing: the source of Rust's core; get it with `rustup component add rust-src`, or leave out --no-install"
            );
        }
        let mut add = Command::new("rustup");
        add.args(["component", "add", "rust-src"]);
        say(&format!("installs on this machine: `{}`", shown(&add)));
        match step("getting rust-src", || output(&mut add)) {
            Ok(_) if active.has_source() => return Ok(active),
            Ok(_) => say(
                "rustup has added rust-src to another toolchain than the active one; trying Debian's packages",
            ),
            Err(why) => say(&format!(
                "rustup cannot add rust-src, trying Debian's packages: {why:#}"
            )),
        }
    }
    if !debian.has_source() {
        let packages = ["rustc-web", "cargo-web", "rust-web-src"].map(str::to_owned);
        apt::install(&packages, install)
            .context("the kernel object needs the source of Rust's core (`rustup component add rust-src`, or these packages)")?;
    }
    if !debian.has_source() {
        bail!(
            "the source of Rust's core is not in {}'s sysroot; install rust-src",
            debian.rustc.display()
        );
    }
    Ok(debian)
}

/// Gets the standard library for a target.
pub(crate) fn target_library(target: &str, install: Install) -> Result<()> {
    let toolchain = Toolchain::active();
    if toolchain.has_library(target) {
        return Ok(());
    }
    let remedy = format!("`rustup target add {target}`");
    if find("rustup").is_none() {
        bail!(
            "missing: Rust's standard library for {target}; this Rust is not rustup's, so {remedy} cannot get it: \
             install rustup (https://rustup.rs) and run the same command with its cargo"
        );
    }
    if install == Install::Refused {
        bail!(
            "missing: Rust's standard library for {target}; get it with {remedy}, or leave out --no-install"
        );
    }
    say(&format!("installs on this machine: {remedy}"));
    let mut add = Command::new("rustup");
    add.args(["target", "add", target]);
    step(&format!("getting {target}"), || output(&mut add))
        .with_context(|| format!("rustup cannot get Rust's standard library for {target}"))?;
    if !toolchain.has_library(target) {
        bail!(
            "rustup has added {target} to another toolchain than the active one; use rustup's cargo, or {remedy} --toolchain it"
        );
    }
    Ok(())
}

/// cargo's own record says with which LLVM it was built; whether it runs shows that this LLVM is still there.
fn linker_is_ready(llvm: &str) -> bool {
    let record = paths::kept().join("tools/.crates2.json");
    let record = std::fs::read_to_string(record).unwrap_or_default();
    record.contains(&format!("\"bpf-linker {LINKER_VERSION} "))
        && record.contains(&format!("\"llvm-{llvm}\""))
        && output(Command::new(paths::tools().join("bpf-linker")).arg("--version")).is_ok()
}

fn get_linker(toolchain: &Toolchain, llvm: &str, install: Install) -> Result<()> {
    let prefix = PathBuf::from(format!("/usr/lib/llvm-{llvm}"));
    let root = paths::kept().join("tools");
    let missing = linker_packages(llvm, &prefix);
    if install == Install::Refused && missing.is_empty() {
        bail!(
            "missing: bpf-linker {LINKER_VERSION} in {}; leave out --no-install to build it there",
            root.display()
        );
    }
    apt::install(&missing, install).with_context(|| {
        format!("bpf-linker has to be built with the LLVM {llvm} of this rustc; where apt does not have it, use a rustc with an LLVM that apt has")
    })?;
    let mut command = toolchain.command();
    command.args([
        "install",
        "bpf-linker",
        "--locked",
        "--version",
        LINKER_VERSION,
        "--no-default-features",
    ]);
    command
        .args(["--features", &format!("llvm-{llvm}"), "--root"])
        .arg(&root)
        .arg("--force");
    command.arg("--target-dir").arg(root.join("build"));
    command
        .env("LLVM_PREFIX", &prefix)
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("RUSTFLAGS");
    phase(
        &format!(
            "building bpf-linker {LINKER_VERSION} into {} (a few minutes, once)",
            root.display()
        ),
        || run(&mut command),
    )
    .context("cannot build bpf-linker")?;
    // Its intermediate files are of no use any more.
    let _ = std::fs::remove_dir_all(root.join("build"));
    Ok(())
}

/// What building bpf-linker needs and this machine lacks.
fn linker_packages(llvm: &str, prefix: &Path) -> Vec<String> {
    let parts = [
        (
            prefix.join("include/llvm-c/Core.h").exists(),
            format!("llvm-{llvm}-dev"),
        ),
        (
            prefix.join("lib/libPolly.a").exists(),
            format!("libpolly-{llvm}-dev"),
        ),
        (
            Path::new("/usr/include/zlib.h").exists(),
            "zlib1g-dev".to_owned(),
        ),
        (
            Path::new("/usr/include/zstd.h").exists(),
            "libzstd-dev".to_owned(),
        ),
        (find("c++").is_some(), "g++".to_owned()),
    ];
    parts
        .into_iter()
        .filter(|(there, _)| !there)
        .map(|(_, package)| package)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_without_llvm_is_told_all_the_packages() {
        let missing = linker_packages("99", Path::new("/no/such/llvm"));
        assert_eq!(
            missing.get(..2).unwrap(),
            ["llvm-99-dev", "libpolly-99-dev"]
        );
    }
}
