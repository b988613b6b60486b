//! What a process's cgroup tells: the container and the systemd unit it runs in.

/// The id of the container whose cgroup `text` (all of `/proc/PID/cgroup`) names; the innermost one
/// when containers are nested.
///
/// Ids are what Docker, containerd, CRI-O, Podman and ECS put into the path: 64 hex digits, or on
/// Fargate 32 hex digits, `-`, and a number. A container without such an id (LXC, systemd-nspawn) has
/// only a name, which is not an id.
pub fn container_id(text: &str) -> Option<&str> {
    // On cgroup v1 a container shows in some hierarchies and not in others, so every line may tell.
    text.lines()
        .filter_map(path)
        .find_map(|path| path.rsplit('/').find_map(segment_id))
}

/// The systemd service that `text` (all of `/proc/PID/cgroup`) names, without `.service`; none inside
/// a scope, because sessions and containers are started by somebody else than the service around them.
pub fn unit(text: &str) -> Option<&str> {
    let mut unified = None;
    for line in text.lines() {
        // With hybrid hierarchies systemd's own one has the truth: there the unified path may name the
        // container runtime's service for each of its containers.
        if line.contains(":name=systemd:") {
            return path(line).and_then(path_unit);
        }
        if line.starts_with("0::") {
            unified = path(line);
        }
    }
    unified.and_then(path_unit)
}

/// `hierarchy:controllers:path`
fn path(line: &str) -> Option<&str> {
    line.splitn(3, ':').nth(2)
}

fn path_unit(path: &str) -> Option<&str> {
    for segment in path.rsplit('/') {
        // `kubepods-podX.slice:cri-containerd:ID`: containerd took the systemd name for a folder's.
        if segment.ends_with(".scope") || segment.contains(".slice:") {
            return None;
        }
        if let Some(unit) = segment.strip_suffix(".service") {
            return Some(unit).filter(|unit| !unit.is_empty());
        }
    }
    None
}

fn segment_id(segment: &str) -> Option<&str> {
    let segment = segment.strip_suffix(".scope").unwrap_or(segment);
    // The monitor of a container (Podman, CRI-O) runs on the host, beside it.
    if segment.contains("-conmon-") {
        return None;
    }
    if is_fargate_id(segment) {
        return Some(segment);
    }
    let id = segment.rsplit(['-', ':']).next()?;
    (id.len() == 64 && is_hex(id)).then_some(id)
}

fn is_fargate_id(segment: &str) -> bool {
    segment.split_once('-').is_some_and(|(task, number)| {
        task.len() == 32
            && is_hex(task)
            && (1..=10).contains(&number.len())
            && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

fn is_hex(text: &str) -> bool {
    text.bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "3f4ab1c5d0b1e7a9f6c2d4e8b0a1c3e5f7092b4d6f8a0c1e3b5d7f9012345678";
    const FARGATE: &str = "cd189a933e5849daa93386466019ab50-2495160603";

    /// Text with `ID` in place of `$` and `FARGATE` in place of `%`, whether it has the id, the unit.
    const SAMPLES: &[(&str, &str, Option<&str>, Option<&str>)] = &[
        (
            "docker, v2, systemd driver",
            "0::/system.slice/docker-$.scope\n",
            Some(ID),
            None,
        ),
        (
            "docker, v2, cgroupfs driver",
            "0::/docker/$\n",
            Some(ID),
            None,
        ),
        (
            "docker, v1",
            "12:pids:/docker/$\n2:cpu,cpuacct:/docker/$\n1:name=systemd:/docker/$\n0::/system.slice/containerd.service\n",
            Some(ID),
            None,
        ),
        (
            "docker, systemd inside",
            "0::/system.slice/docker-$.scope/system.slice/nginx.service\n",
            Some(ID),
            Some("nginx"),
        ),
        (
            "docker, only one hierarchy",
            "5:devices:/\n4:memory:/docker/$\n0::/\n",
            Some(ID),
            None,
        ),
        (
            "agent in a cgroup namespace",
            "0::/../docker-$.scope\n",
            Some(ID),
            None,
        ),
        (
            "containerd, besteffort",
            "0::/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod0c3a_1.slice/cri-containerd-$.scope\n",
            Some(ID),
            None,
        ),
        (
            "containerd, guaranteed, cgroupfs",
            "11:cpuset:/kubepods/podc0ffee00-1111-2222-3333-444455556666/$\n",
            Some(ID),
            None,
        ),
        (
            "containerd, burstable, v1",
            "1:name=systemd:/kubepods/burstable/pod71c2b5a8-0000-4000-8000-000000000001/$\n",
            Some(ID),
            None,
        ),
        (
            "containerd, systemd name as a folder",
            "0::/system.slice/containerd.service/kubepods-besteffort-pod1_2.slice:cri-containerd:$\n",
            Some(ID),
            None,
        ),
        (
            "kind: a pod in a node that is a container",
            "0::/system.slice/docker-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.scope/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod1.slice/cri-containerd-$.scope\n",
            Some(ID),
            None,
        ),
        (
            "kind: the kubelet",
            "0::/docker/$/kubelet.slice/kubelet.service\n",
            Some(ID),
            Some("kubelet"),
        ),
        (
            "cri-o",
            "0::/kubepods.slice/kubepods-pod1.slice/crio-$.scope\n",
            Some(ID),
            None,
        ),
        (
            "cri-o, container folder",
            "0::/kubepods.slice/kubepods-pod1.slice/crio-$.scope/container\n",
            Some(ID),
            None,
        ),
        (
            "cri-o's monitor",
            "0::/kubepods.slice/kubepods-pod1.slice/crio-conmon-$.scope\n",
            None,
            None,
        ),
        (
            "podman",
            "0::/machine.slice/libpod-$.scope/container\n",
            Some(ID),
            None,
        ),
        (
            "podman, rootless",
            "0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-$.scope\n",
            Some(ID),
            None,
        ),
        (
            "podman, cgroupfs",
            "0::/libpod_parent/libpod-$\n",
            Some(ID),
            None,
        ),
        (
            "podman, quadlet",
            "0::/system.slice/web.service/libpod-payload-$\n",
            Some(ID),
            Some("web"),
        ),
        (
            "podman's monitor",
            "0::/machine.slice/libpod-conmon-$.scope\n",
            None,
            None,
        ),
        (
            "ecs on ec2",
            "9:perf_event:/ecs/0e3b5a3c6d4f4f0b9f3f0d1e2c3b4a59/$\n",
            Some(ID),
            None,
        ),
        (
            "ecs on fargate",
            "1:name=systemd:/ecs/cd189a933e5849daa93386466019ab50/%\n",
            Some(FARGATE),
            None,
        ),
        (
            "lxc",
            "0::/lxc.payload.web01/system.slice/nginx.service\n",
            None,
            Some("nginx"),
        ),
        (
            "systemd-nspawn",
            "0::/machine.slice/machine-web01.scope/payload\n",
            None,
            None,
        ),
        (
            "service",
            "0::/system.slice/nginx.service\n",
            None,
            Some("nginx"),
        ),
        (
            "service, instance",
            "0::/system.slice/system-postgresql.slice/postgresql@15-main.service\n",
            None,
            Some("postgresql@15-main"),
        ),
        (
            "service that delegates",
            "0::/system.slice/runner.service/workers/3\n",
            None,
            Some("runner"),
        ),
        (
            "service, v1",
            "3:memory:/system.slice/nginx.service\n1:name=systemd:/system.slice/nginx.service\n",
            None,
            Some("nginx"),
        ),
        (
            "user's service",
            "0::/user.slice/user-1000.slice/user@1000.service/app.slice/foo.service\n",
            None,
            Some("foo"),
        ),
        (
            "user's application",
            "0::/user.slice/user-1000.slice/user@1000.service/app.slice/app-x-12.scope\n",
            None,
            None,
        ),
        (
            "session",
            "0::/user.slice/user-1000.slice/session-3.scope\n",
            None,
            None,
        ),
        ("init", "0::/init.scope\n", None, None),
        ("root", "0::/\n", None, None),
        (
            "32 digits alone",
            "4:memory:/process_api/7216f1a46b1100840a8c0e90fc8409f1\n",
            None,
            None,
        ),
        (
            "63 digits",
            "0::/docker/3f4ab1c5d0b1e7a9f6c2d4e8b0a1c3e5f7092b4d6f8a0c1e3b5d7f901234567\n",
            None,
            None,
        ),
        ("no suffix but service", "0::/.service\n", None, None),
        ("nonsense", "a\n::\n0::", None, None),
        ("nothing", "", None, None),
    ];

    #[test]
    fn real_life_samples() {
        for &(name, sample, id_expected, unit_expected) in SAMPLES {
            let text = sample.replace('$', ID).replace('%', FARGATE);
            assert_eq!(container_id(&text), id_expected, "{name}");
            assert_eq!(unit(&text), unit_expected, "{name}");
        }
    }
}
