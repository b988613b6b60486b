//! Servers and clients that run in guests: downloaded and unpacked below `target/`, never installed,
//! so nothing of them ever starts on the host.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::unpack;
use crate::paths;
use crate::progress::step;
use crate::setup::apt;

/// What every guest has.
const PACKAGES: [&str; 11] = [
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

/// Whether the packages are there.
pub(crate) fn are_ready(more: &[String]) -> bool {
    std::fs::read_to_string(list()).is_ok_and(|have| missing(&have, more).is_empty())
}

/// Gets the packages that are not there yet, from the network, and returns their root.
/// What the host has installed is not downloaded: the guest sees the host's files below these.
pub(crate) fn prepare(more: &[String]) -> Result<PathBuf> {
    let root = root();
    let list = list();
    let have = std::fs::read_to_string(&list).unwrap_or_default();
    let missing = missing(&have, more);
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
    step(&title, || get(&missing, &root)).context("cannot prepare the guest's packages")?;
    let names: Vec<&str> = have
        .lines()
        .chain(missing.iter().map(String::as_str))
        .collect();
    std::fs::write(list, names.join("\n"))?;
    Ok(root)
}

fn get(names: &[String], root: &Path) -> Result<()> {
    let archives = folder().join("archives");
    if archives.exists() {
        std::fs::remove_dir_all(&archives)?;
    }
    apt::download_missing(names, &archives)?;
    unpack::unpack_all(&archives, root)?;
    std::fs::remove_dir_all(archives)?;
    Ok(())
}

/// Where the packages are unpacked.
pub(crate) fn root() -> PathBuf {
    folder().join("root")
}

/// One name a line; the folder is whole for these.
fn list() -> PathBuf {
    folder().join("list")
}

fn folder() -> PathBuf {
    paths::guests().join("packages")
}

/// What every guest has, and `more`, without what is there.
fn missing(have: &str, more: &[String]) -> Vec<String> {
    let mut names: Vec<String> = PACKAGES
        .into_iter()
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
        assert!(missing(&have, &[]).is_empty());
        let more = ["redis-server", "nginx", "redis-server"].map(str::to_owned);
        assert_eq!(missing(&have, &more), ["redis-server"]);
        assert_eq!(missing("", &[]), PACKAGES);
    }
}
