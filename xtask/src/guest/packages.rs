//! Servers and clients that run in guests: downloaded and unpacked below `target/`, never installed,
//! so nothing of them ever starts on the host.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::architecture::Architecture;
use super::kernel::apt_folder;
use super::unpack;
use crate::paths;
use crate::progress::step;
use crate::setup::apt::{self, OtherRelease};

/// What every guest has.
const PACKAGES: &[&str] = &[
    "apache2-utils",
    "bpftool",
    "curl",
    "iproute2",
    "kmod",
    "nginx",
    "nodejs",
    "procps",
    "prometheus",
    "python3",
    "wrk",
];

/// What every aarch64 guest has: all that it runs, as it can run nothing of the host.
const AARCH64_PACKAGES: &[&str] = &[
    "bash",
    "bpftool",
    "busybox-static",
    "coreutils",
    "curl",
    "grep",
    "hostname",
    "iproute2",
    "mount",
    "nginx",
    "procps",
    "sed",
    "tar",
];

/// Where those are from.
const AARCH64_RELEASE: &str = "bookworm";

/// Whether the packages are there.
pub(crate) fn are_ready(architecture: Architecture, more: &[String]) -> bool {
    std::fs::read_to_string(list(architecture))
        .is_ok_and(|have| missing(architecture, &have, more).is_empty())
}

/// Gets the packages that are not there yet, from the network, and returns their root.
/// What the host has installed is not downloaded if it runs in the guest: the guest sees the host's files below these.
pub(crate) fn prepare(architecture: Architecture, more: &[String]) -> Result<PathBuf> {
    let root = root(architecture);
    let list = list(architecture);
    let have = std::fs::read_to_string(&list).unwrap_or_default();
    let missing = missing(architecture, &have, more);
    if missing.is_empty() {
        return Ok(root);
    }
    let title = format!(
        "getting guest packages, unpacked and not installed ({})",
        missing.join(" ")
    );
    // From here on until the end the folder is not whole.
    let _ = std::fs::remove_file(&list);
    if have.is_empty() && root.exists() {
        std::fs::remove_dir_all(&root)?;
    }
    step(&title, || get(architecture, &missing, &root))
        .context("cannot prepare the guest's packages")?;
    let names: Vec<&str> = have
        .lines()
        .chain(missing.iter().map(String::as_str))
        .collect();
    std::fs::write(list, names.join("\n"))?;
    Ok(root)
}

fn get(architecture: Architecture, names: &[String], root: &Path) -> Result<()> {
    let archives = folder(architecture).join("archives");
    if archives.exists() {
        std::fs::remove_dir_all(&archives)?;
    }
    match architecture {
        Architecture::X86_64 => apt::download_missing(names, &archives)?,
        Architecture::Aarch64 => {
            let lists = apt_folder(architecture, AARCH64_RELEASE);
            let apt = OtherRelease::new(AARCH64_RELEASE, architecture.debian(), &lists)?;
            apt.update()?;
            apt.download_with_needs(names, &archives)?;
        }
    }
    unpack::unpack_all(&archives, root)?;
    std::fs::remove_dir_all(archives)?;
    Ok(())
}

/// Where the packages are unpacked.
pub(crate) fn root(architecture: Architecture) -> PathBuf {
    folder(architecture).join("root")
}

/// One name a line; the folder is whole for these.
fn list(architecture: Architecture) -> PathBuf {
    folder(architecture).join("list")
}

fn folder(architecture: Architecture) -> PathBuf {
    paths::guests().join(format!("packages{}", architecture.suffix()))
}

/// What every guest has, and `more`, without what is there.
fn missing(architecture: Architecture, have: &str, more: &[String]) -> Vec<String> {
    let packages = match architecture {
        Architecture::X86_64 => PACKAGES,
        Architecture::Aarch64 => AARCH64_PACKAGES,
    };
    let mut names: Vec<String> = packages
        .iter()
        .copied()
        .chain(more.iter().map(String::as_str))
        .filter(|name| !have.lines().any(|line| line == *name))
        .map(str::to_owned)
        .collect();
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_package_more_means_getting_that_one() {
        let have = PACKAGES.join("\n");
        let missing = |have: &str, more: &[String]| missing(Architecture::X86_64, have, more);
        assert!(missing(&have, &[]).is_empty());
        let more = ["redis-server", "nginx", "redis-server"].map(str::to_owned);
        assert_eq!(missing(&have, &more), ["redis-server"]);
        assert_eq!(missing("", &[]), PACKAGES);
    }
}
