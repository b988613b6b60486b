//! The host: what it offers, what of that is missing, and what to do about it, in one line each.

mod capabilities;
mod cgroup;
pub mod lockdown;
mod runtime;

use crate::{
    kernel_btf::SYSTEM_PATH,
    serve::{Part, Status},
};
use lockdown::Lockdown;
use std::{fs, path::Path};

/// The oldest kernel with ring buffers and walks over open files.
const KERNEL_MIN: (u32, u32) = (5, 8);
/// Of the initial pid namespace (`PROC_PID_INIT_INO`, include/linux/proc_ns.h).
const PID_NAMESPACE: &str = "pid:[4026531836]";
/// Whether kprobes that are attached are passed at all.
const KPROBES: &str = "/sys/kernel/debug/kprobes/enabled";
/// Who may call bpf() without CAP_BPF.
const UNPRIVILEGED: &str = "/proc/sys/kernel/unprivileged_bpf_disabled";

/// One thing that the host offers, or should.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Requirement {
    /// What it is.
    pub name: &'static str,
    /// What was found.
    pub found: String,
    /// What is lost by that; absent when all is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// Without it the agent does not run.
    pub essential: bool,
}

impl Requirement {
    fn fact(name: &'static str, found: String) -> Self {
        Self {
            name,
            found,
            missing: None,
            remedy: None,
            essential: false,
        }
    }

    fn lacks(self, missing: &str, remedy: &str) -> Self {
        Self {
            missing: Some(missing.to_owned()),
            remedy: Some(remedy.to_owned()),
            ..self
        }
    }

    /// Whether the agent cannot run for want of it.
    pub fn bars(&self) -> bool {
        self.essential && self.missing.is_some()
    }

    /// What is missing and what to do about it, on one line.
    pub fn advice(&self) -> Option<String> {
        let missing = self.missing.as_ref()?;
        Some(match &self.remedy {
            Some(remedy) => format!("{missing}: {remedy}"),
            None => missing.clone(),
        })
    }

    /// For `/health`.
    pub fn part(&self) -> Part {
        let (status, why) = match self.advice() {
            None => (Status::Ok, self.found.clone()),
            Some(advice) => (Status::Degraded, format!("{}; {advice}", self.found)),
        };
        Part {
            name: self.name.to_owned(),
            status,
            why,
        }
    }
}

/// Looks at the host, the reason that helps most first. `btf` is the file that stands in for the kernel's own types.
pub fn requirements(btf: Option<&Path>) -> Vec<Requirement> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let mut found = capabilities::requirements(&read("/proc/self/status"));
    found.extend([
        pids(&fs::read_link("/proc/self/ns/pid").unwrap_or_default()),
        kernel(read("/proc/sys/kernel/osrelease").trim()),
        types(Path::new(SYSTEM_PATH), btf),
        Lockdown::read().requirement(),
        lockdown::modules(),
        kprobes(&fs::read_to_string(KPROBES).unwrap_or_default()),
        unprivileged(read(UNPRIVILEGED).trim()),
        cgroup::requirement(Path::new("/sys/fs/cgroup")),
        runtime::requirement(&[Path::new("/"), Path::new("/proc/1/root")]),
    ]);
    found
}

/// The kernel side tells pids as the initial namespace counts them.
fn pids(namespace: &Path) -> Requirement {
    let found = namespace.display().to_string();
    let is_initial = found == PID_NAMESPACE;
    let fact = Requirement::fact("pid namespace", found);
    if is_initial {
        return fact;
    }
    Requirement {
        essential: true,
        ..fact.lacks(
            "the agent is in a pid namespace of its own, where it cannot find the processes that the kernel names",
            "run it in the host's (hostPID: true, --pid=host)",
        )
    }
}

fn kernel(release: &str) -> Requirement {
    let mut numbers = release
        .split(['.', '-'])
        .map_while(|part| part.parse::<u32>().ok());
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    let fact = Requirement::fact("kernel", release.to_owned());
    if version >= KERNEL_MIN {
        return fact;
    }
    let (major, minor) = KERNEL_MIN;
    Requirement {
        essential: true,
        ..fact.lacks(
            &format!("kernel {release} is older than {major}.{minor}, the first with ring buffers for programs"),
            "use a newer kernel",
        )
    }
}

fn types(own: &Path, file: Option<&Path>) -> Requirement {
    let fact = |found| Requirement::fact("type information", found);
    match file {
        _ if own.exists() => fact(own.display().to_string()),
        Some(file) => fact(file.display().to_string()).lacks(
            "the kernel shows no types of its own: programs are attached by kprobes or tracepoints, and what was open before the agent is found at its next use",
            "use a kernel with CONFIG_DEBUG_INFO_BTF",
        ),
        None => Requirement {
            essential: true,
            ..fact("none".to_owned()).lacks(
                &format!("no {}: this kernel was built without CONFIG_DEBUG_INFO_BTF", own.display()),
                "give a file with this kernel's types (made by pahole --btf_encode_detached) with --btf FILE",
            )
        },
    }
}

/// The content of [`KPROBES`].
fn kprobes(enabled: &str) -> Requirement {
    let found = match enabled.trim() {
        "1" => "enabled",
        "0" => "disabled: those that are attached are not passed",
        _ => "unknown: no /sys/kernel/debug/kprobes/enabled",
    };
    Requirement::fact("kprobes", found.to_owned())
}

/// The content of [`UNPRIVILEGED`].
fn unprivileged(disabled: &str) -> Requirement {
    let found = match disabled {
        "0" => "allowed",
        "1" => "off until the next boot",
        "2" => "off",
        _ => "unknown",
    };
    Requirement::fact("bpf() without CAP_BPF", found.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_are_compared_by_number() {
        assert_eq!(kernel("5.10.0-46-cloud-amd64").missing, None);
        assert_eq!(kernel("5.8.18").missing, None);
        assert_eq!(kernel("6.1.0").missing, None);
        assert_eq!(
            kernel("5.4.119").missing.unwrap(),
            "kernel 5.4.119 is older than 5.8, the first with ring buffers for programs"
        );
        assert!(kernel("5.4.119").bars());
    }

    #[test]
    fn another_pid_namespace_is_named() {
        assert!(!pids(Path::new(PID_NAMESPACE)).bars());
        assert!(pids(Path::new("pid:[4026532500]")).bars());
    }

    #[test]
    fn a_kernel_without_types_is_told_of_the_option() {
        let none = Path::new("/nonexistent/vmlinux");
        let refused = types(none, None);
        assert!(refused.bars());
        assert!(refused.advice().unwrap().contains("--btf FILE"));
        let file = types(none, Some(Path::new("/run/types")));
        assert_eq!(file.found, "/run/types");
        assert!(file.missing.is_some() && !file.bars());
        let own = types(Path::new("/"), Some(Path::new("/run/types")));
        assert_eq!((own.found.as_str(), own.missing), ("/", None));
    }

    #[test]
    fn what_cannot_be_seen_is_said_to_be_unknown() {
        assert_eq!(kprobes("1\n").found, "enabled");
        assert!(kprobes("").found.starts_with("unknown"));
        assert_eq!(unprivileged("2").found, "off");
        assert_eq!(unprivileged("").found, "unknown");
    }

    #[test]
    fn health_is_degraded_by_what_is_missing() {
        let fact = Requirement::fact("cgroup", "v2".to_owned());
        assert_eq!(fact.part().status, Status::Ok);
        let part = fact.lacks("nothing", "everything").part();
        assert_eq!(
            (part.status, part.why.as_str()),
            (Status::Degraded, "v2; nothing: everything")
        );
    }
}
