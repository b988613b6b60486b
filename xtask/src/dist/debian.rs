//! The Debian package, which `agent/Cargo.toml` describes and cargo-deb makes.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::arch::Arch;
use crate::build::cargo;
use crate::command::{find, output, run};
use crate::paths;
use crate::progress::{phase, step};
use crate::setup::{Install, apt};

const CARGO_DEB_VERSION: &str = "3.8.0";
/// Of the package, for the same version of what is in it.
const REVISION: &str = "1";

/// Packs the static agent, which was built before; says where the package is.
pub(super) fn package(arch: Arch, install: Install) -> Result<PathBuf> {
    cargo_deb(install)?;
    let name = format!(
        "sockmeter_{}-{REVISION}_{}.deb",
        env!("CARGO_PKG_VERSION"),
        arch.debian()
    );
    let package = super::folder()?.join(name);
    let mut command = Command::new(program());
    command.current_dir(paths::checkout());
    command.args(["--package", "sockmeter", "--target", arch.static_target()]);
    command.args(["--no-build", "--no-strip", "--quiet"]);
    command.args(["--deb-revision", REVISION, "--output"]);
    command.arg(&package);
    step(&format!("packing {}", package.display()), || {
        output(&mut command)
    })
    .context("cannot make the Debian package")?;
    Ok(package)
}

/// Gets what packing needs.
fn cargo_deb(install: Install) -> Result<()> {
    if find("xz").is_none() {
        apt::install(&["xz-utils".to_owned()], install)?;
    }
    let version = output(Command::new(program()).arg("--version"));
    if version.is_ok_and(|version| version.contains(CARGO_DEB_VERSION)) {
        return Ok(());
    }
    let root = paths::kept().join("tools");
    if install == Install::Refused {
        bail!(
            "missing: cargo-deb {CARGO_DEB_VERSION} in {}; leave out --no-install to build it there",
            root.display()
        );
    }
    let mut command = cargo(None);
    command.args(["install", "cargo-deb", "--locked", "--force"]);
    // Compression is xz's work; so it needs no library, and is fast enough as it is built fastest.
    command.args(["--no-default-features", "--debug"]);
    command.args(["--version", CARGO_DEB_VERSION, "--root"]);
    command
        .arg(&root)
        .arg("--target-dir")
        .arg(root.join("build"));
    command
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("RUSTFLAGS");
    phase(
        &format!(
            "building cargo-deb {CARGO_DEB_VERSION} into {} (once)",
            root.display()
        ),
        || run(&mut command),
    )
    .context("cannot build cargo-deb")?;
    // Its intermediate files are of no use any more.
    let _ = std::fs::remove_dir_all(root.join("build"));
    Ok(())
}

fn program() -> PathBuf {
    paths::tools().join("cargo-deb")
}
