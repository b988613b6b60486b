//! The version of control groups, by which containers and services are told.

use super::Requirement;
use std::path::Path;

/// Below where they are mounted.
pub(super) fn requirement(root: &Path) -> Requirement {
    let has = |file: &str| root.join(file).exists();
    let found = if has("cgroup.controllers") {
        "v2"
    } else if has("unified/cgroup.controllers") {
        "v1 and v2 (hybrid)"
    } else if has("memory") || has("systemd") || has("pids") {
        "v1"
    } else {
        "not mounted at /sys/fs/cgroup: /proc tells them all the same"
    };
    Requirement::fact("cgroup", found.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_told_by_what_is_mounted() {
        let folder = tempfile::tempdir().unwrap();
        let of = || requirement(folder.path()).found;
        assert!(of().starts_with("not mounted"));
        std::fs::create_dir(folder.path().join("memory")).unwrap();
        assert_eq!(of(), "v1");
        std::fs::create_dir(folder.path().join("unified")).unwrap();
        std::fs::write(folder.path().join("unified/cgroup.controllers"), "").unwrap();
        assert_eq!(of(), "v1 and v2 (hybrid)");
        std::fs::write(folder.path().join("cgroup.controllers"), "").unwrap();
        assert_eq!(of(), "v2");
    }
}
