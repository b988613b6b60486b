//! Servers and clients that run in guests: downloaded and unpacked below `target/`, never installed,
//! so nothing of them ever starts on the host.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::kernel::apt_folder;
use super::unpack;
use crate::arch::Arch;
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
pub(crate) fn are_ready(arch: Arch, more: &[String]) -> bool {
    std::fs::read_to_string(list(arch)).is_ok_and(|have| missing(arch, &have, more).is_empty())
}

/// Gets the packages that are not there yet, from the network, and returns their root.
/// What the host has installed is not downloaded if it runs in the guest: the guest sees the host's files below these.
pub(crate) fn prepare(arch: Arch, more: &[String]) -> Result<PathBuf> {
    let root = root(arch);
    let list = list(arch);
    let have = std::fs::read_to_string(&list).unwrap_or_default();
    let missing = missing(arch, &have, more);
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
    step(&title, || get(arch, &missing, &root)).context("cannot prepare the guest's packages")?;
    let names: Vec<&str> = have
        .lines()
        .chain(missing.iter().map(String::as_str))
        .collect();
    std::fs::write(list, names.join("\n"))?;
    Ok(root)
}

fn get(arch: Arch, names: &[String], root: &Path) -> Result<()> {
    let archives = folder(arch).join("archives");
    if archives.exists() {
        std::fs::remove_dir_all(&archives)?;
    }
    match arch {
        Arch::X86_64 => apt::download_missing(names, &archives)?,
        Arch::Aarch64 => {
            let lists = apt_folder(arch, AARCH64_RELEASE);
            let apt = OtherRelease::new(AARCH64_RELEASE, arch.debian(), &lists)?;
            apt.update()?;
            apt.download_with_needs(names, &archives)?;
        }
    }
    unpack::unpack_all(&archives, root)?;
    std::fs::remove_dir_all(archives)?;
    Ok(())
}

/// Where the packages are unpacked.
pub(crate) fn root(arch: Arch) -> PathBuf {
    folder(arch).join("root")
}

/// One name a line; the folder is whole for these.
fn list(arch: Arch) -> PathBuf {
    folder(arch).join("list")
}

fn folder(arch: Arch) -> PathBuf {
    paths::guests().join(format!("packages{}", arch.suffix()))
}

/// What every guest has, and `more`, without what is there.
fn missing(arch: Arch, have: &str, more: &[String]) -> Vec<String> {
    let packages = match arch {
        Arch::X86_64 => PACKAGES,
        Arch::Aarch64 => AARCH64_PACKAGES,
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
        let missing = |have: &str, more: &[String]| missing(Arch::X86_64, have, more);
        assert!(missing(&have, &[]).is_empty());
        let more = ["redis-server", "nginx", "redis-server"].map(str::to_owned);
        assert_eq!(missing(&have, &more), ["redis-server"]);
        assert_eq!(missing("", &[]), PACKAGES);
    }
}
