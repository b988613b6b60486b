//! The host: what it must offer, and what of that is missing, in one line each.

use crate::kernel_btf::SYSTEM_PATH;
use std::{fs, path::Path};

/// The oldest kernel with ring buffers and walks over open files.
const KERNEL_MIN: (u32, u32) = (5, 8);
/// Of the initial pid namespace (`PROC_PID_INIT_INO`, include/linux/proc_ns.h).
const PID_NAMESPACE: &str = "pid:[4026531836]";
/// Bits of `CapEff` (include/uapi/linux/capability.h); `CAP_SYS_ADMIN` includes the others.
const CAP_SYS_ADMIN: u32 = 21;
const CAP_PERFMON: u32 = 38;
const CAP_BPF: u32 = 39;

/// One thing that the host must offer.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Requirement {
    /// What it is.
    pub name: &'static str,
    /// What was found.
    pub found: String,
    /// Why that does not do, and what to do about it; absent when all is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
}

/// Looks at the host, the reason that helps most first.
pub fn requirements() -> Vec<Requirement> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    vec![
        privilege(&read("/proc/self/status")),
        pids(&fs::read_link("/proc/self/ns/pid").unwrap_or_default()),
        kernel(read("/proc/sys/kernel/osrelease").trim()),
        types(Path::new(SYSTEM_PATH)),
        lockdown(&read("/sys/kernel/security/lockdown")),
    ]
}

fn privilege(status: &str) -> Requirement {
    let effective = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|text| u64::from_str_radix(text.trim(), 16).ok())
        .unwrap_or(0);
    let has = |bit: u32| effective >> bit & 1 == 1;
    let wanted = [(CAP_BPF, "CAP_BPF"), (CAP_PERFMON, "CAP_PERFMON")];
    let lacking: Vec<&str> = wanted
        .iter()
        .filter(|(bit, _)| !has(*bit) && !has(CAP_SYS_ADMIN))
        .map(|(_, name)| *name)
        .collect();
    let found = if lacking.is_empty() {
        "enough to load eBPF"
    } else {
        "too little to load eBPF"
    };
    let missing = (!lacking.is_empty()).then(|| {
        format!(
            "missing {}: run as root, or with CAP_BPF and CAP_PERFMON",
            lacking.join(" and ")
        )
    });
    Requirement {
        name: "capabilities",
        found: found.to_owned(),
        missing,
    }
}

/// The kernel side tells pids as the initial namespace counts them.
fn pids(namespace: &Path) -> Requirement {
    let found = namespace.display().to_string();
    let missing = (found != PID_NAMESPACE).then(|| {
        "the agent is in a pid namespace of its own, where it cannot find the processes that the kernel names: run it in the host's (hostPID: true, --pid=host)"
            .to_owned()
    });
    Requirement {
        name: "pid namespace",
        found,
        missing,
    }
}

fn kernel(release: &str) -> Requirement {
    let mut numbers = release
        .split(['.', '-'])
        .map_while(|part| part.parse::<u32>().ok());
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    let missing = (version < KERNEL_MIN).then(|| {
        let (major, minor) = KERNEL_MIN;
        format!("kernel {release} is older than {major}.{minor}, the first with ring buffers for programs")
    });
    Requirement {
        name: "kernel",
        found: release.to_owned(),
        missing,
    }
}

fn types(path: &Path) -> Requirement {
    let found = path.exists();
    Requirement {
        name: "type information",
        found: if found {
            path.display().to_string()
        } else {
            "none".to_owned()
        },
        missing: (!found).then(|| {
            format!(
                "no {}: this kernel was built without CONFIG_DEBUG_INFO_BTF",
                path.display()
            )
        }),
    }
}

/// `none [integrity] confidentiality`: the chosen one stands in brackets.
fn lockdown(text: &str) -> Requirement {
    let chosen = text.split(['[', ']']).nth(1).unwrap_or("none");
    let missing = (chosen == "confidentiality").then(|| {
        "kernel lockdown is set to confidentiality, which forbids eBPF programs to read kernel memory"
            .to_owned()
    });
    Requirement {
        name: "lockdown",
        found: chosen.to_owned(),
        missing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing(requirement: Requirement) -> Option<String> {
        requirement.missing
    }

    #[test]
    fn each_missing_capability_is_named() {
        let of = |bits: u64| missing(privilege(&format!("Name:\tx\nCapEff:\t{bits:016x}\n")));
        assert_eq!(of(1 << CAP_SYS_ADMIN), None);
        assert_eq!(of(1 << CAP_BPF | 1 << CAP_PERFMON), None);
        assert_eq!(
            of(1 << CAP_BPF).unwrap(),
            "missing CAP_PERFMON: run as root, or with CAP_BPF and CAP_PERFMON"
        );
        assert_eq!(
            of(0).unwrap(),
            "missing CAP_BPF and CAP_PERFMON: run as root, or with CAP_BPF and CAP_PERFMON"
        );
    }

    #[test]
    fn kernels_are_compared_by_number() {
        assert_eq!(missing(kernel("5.10.0-46-cloud-amd64")), None);
        assert_eq!(missing(kernel("5.8.18")), None);
        assert_eq!(missing(kernel("6.1.0")), None);
        assert_eq!(
            missing(kernel("5.4.119")).unwrap(),
            "kernel 5.4.119 is older than 5.8, the first with ring buffers for programs"
        );
    }

    #[test]
    fn another_pid_namespace_is_named() {
        assert_eq!(missing(pids(Path::new(PID_NAMESPACE))), None);
        assert!(missing(pids(Path::new("pid:[4026532500]"))).is_some());
    }

    #[test]
    fn only_confidentiality_keeps_us_out() {
        assert_eq!(missing(lockdown("")), None);
        assert_eq!(
            missing(lockdown("[none] integrity confidentiality\n")),
            None
        );
        assert_eq!(
            missing(lockdown("none [integrity] confidentiality\n")),
            None
        );
        assert!(missing(lockdown("none integrity [confidentiality]\n")).is_some());
    }

    #[test]
    fn a_kernel_without_types_is_told() {
        assert!(
            missing(types(Path::new("/nonexistent/vmlinux")))
                .unwrap()
                .contains("CONFIG_DEBUG_INFO_BTF")
        );
    }
}
