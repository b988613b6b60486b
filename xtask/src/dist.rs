//! Builds what is handed out: a static agent for each architecture, alone and in a Debian package.

mod debian;
mod program;

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::arch::Arch;
use crate::build::{self, Profile};
use crate::command::output;
use crate::paths;
use crate::progress::say;
use crate::setup::Install;

/// Builds the agent and its package for some architectures, and says how large they are and what they hash to.
///
/// # Errors
/// When a tool is missing and may not be installed, a build fails, or an agent is not fit to be handed out.
pub fn dist(arches: &[Arch], install: Install) -> Result<()> {
    for arch in arches {
        let agent = agent(*arch, install)?;
        let package = debian::package(*arch, install)?;
        for file in [agent, package] {
            say(&facts(&file)?);
        }
    }
    Ok(())
}

/// Builds this machine's agent and its package; says where the package is.
///
/// # Errors
/// As for all that is handed out.
pub fn package_here(install: Install) -> Result<PathBuf> {
    let arch = Arch::host()?;
    agent(arch, install)?;
    debian::package(arch, install)
}

/// Builds the static agent of an architecture, and copies it to where it is handed out from.
fn agent(arch: Arch, install: Install) -> Result<PathBuf> {
    let built = build::agent_for(arch, Profile::Release, install)?;
    let content =
        std::fs::read(&built).with_context(|| format!("cannot read {}", built.display()))?;
    program::fit(&content, arch)
        .with_context(|| format!("{} must not be handed out", built.display()))?;
    let version = env!("CARGO_PKG_VERSION");
    let to = folder()?.join(format!("sockmeter-{version}-{}", arch.name()));
    std::fs::copy(&built, &to).with_context(|| format!("cannot write {}", to.display()))?;
    Ok(to)
}

/// Where things are handed out from.
fn folder() -> Result<PathBuf> {
    let folder = paths::kept().join("dist");
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    Ok(folder)
}

/// A file's name, size and hash.
fn facts(file: &std::path::Path) -> Result<String> {
    let bytes = std::fs::metadata(file)?.len();
    let sum = output(std::process::Command::new("sha256sum").arg("--").arg(file))?;
    let hash = sum.split_whitespace().next().unwrap_or_default();
    Ok(format!("{}: {bytes} bytes, SHA-256 {hash}", file.display()))
}
