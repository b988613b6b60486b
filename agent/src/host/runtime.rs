//! The container runtimes that this host has, told by where they listen.

use super::Requirement;
use std::path::Path;

const SOCKETS: [(&str, &str); 6] = [
    ("docker", "run/docker.sock"),
    ("containerd", "run/containerd/containerd.sock"),
    ("containerd of k3s", "run/k3s/containerd/containerd.sock"),
    ("cri-o", "run/crio/crio.sock"),
    ("podman", "run/podman/podman.sock"),
    ("lxd", "var/lib/lxd/unix.socket"),
];

/// Looks at the agent's own files, and at those of the host's first process, which the agent in a container has not.
pub(super) fn requirement(roots: &[&Path]) -> Requirement {
    let is_there = |socket: &str| roots.iter().any(|root| root.join(socket).exists());
    let seen = SOCKETS.iter().filter(|(_, socket)| is_there(socket));
    let names: Vec<&str> = seen.map(|(name, _)| *name).collect();
    let found = if names.is_empty() {
        "none seen".to_owned()
    } else {
        names.join(", ")
    };
    Requirement::fact("container runtime", found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runtimes_are_told_by_their_sockets() {
        let (own, host) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let of = || requirement(&[own.path(), host.path()]).found;
        assert_eq!(of(), "none seen");
        std::fs::create_dir_all(host.path().join("run/containerd")).unwrap();
        std::fs::write(host.path().join("run/containerd/containerd.sock"), "").unwrap();
        std::fs::create_dir_all(own.path().join("run")).unwrap();
        std::fs::write(own.path().join("run/docker.sock"), "").unwrap();
        assert_eq!(of(), "docker, containerd");
    }
}
