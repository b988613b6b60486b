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
    std::fs::read_to_string(list()).is_ok_and(|have| list_covers(&have, more))
}

/// Gets the packages, from the network when they were not there before, and returns their root.
/// What the host has installed is not downloaded: the guest sees the host's files below these.
pub(crate) fn prepare(more: &[String]) -> Result<PathBuf> {
    let root = folder().join("root");
    let list = list();
    let have = std::fs::read_to_string(&list).unwrap_or_default();
    if list_covers(&have, more) {
        return Ok(root);
    }
    let mut names: Vec<String> = have.lines().map(str::to_owned).collect();
    names.extend(PACKAGES.map(str::to_owned));
    names.extend_from_slice(more);
    names.sort();
    names.dedup();
    let title = format!(
        "getting guest packages, unpacked and not installed ({})",
        names.join(" ")
    );
    step(&title, || get(&names, &root)).context("cannot prepare the guest's packages")?;
    std::fs::write(list, names.join("\n"))?;
    Ok(root)
}

fn get(names: &[String], root: &Path) -> Result<()> {
    let archives = folder().join("archives");
    // From here on until the end the folder is not whole.
    let _ = std::fs::remove_file(list());
    for old in [root, &archives] {
        if old.exists() {
            std::fs::remove_dir_all(old)?;
        }
    }
    apt::download_missing(names, &archives)?;
    unpack::unpack_all(&archives, root)?;
    std::fs::remove_dir_all(archives)?;
    Ok(())
}

/// One name a line; the folder is whole for these.
fn list() -> PathBuf {
    folder().join("list")
}

fn folder() -> PathBuf {
    paths::guests().join("packages")
}

fn list_covers(have: &str, more: &[String]) -> bool {
    PACKAGES
        .into_iter()
        .chain(more.iter().map(String::as_str))
        .all(|name| have.lines().any(|line| line == name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_package_more_means_preparing_again() {
        let have = PACKAGES.join("\n");
        assert!(list_covers(&have, &[]));
        assert!(!list_covers(&have, &["redis-server".to_owned()]));
    }
}
