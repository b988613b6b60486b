//! The capabilities that the agent has, one by one.

use super::Requirement;
use crate::privileges::{Capability, NEEDS, Need, Without};

/// Includes the others (capabilities(7)).
const SYS_ADMIN: u32 = 21;

const fn bit(capability: Capability) -> u32 {
    match capability {
        Capability::NetBindService => 10,
        Capability::DacReadSearch => 2,
        Capability::SysPtrace => 19,
        Capability::Perfmon => 38,
        Capability::Bpf => 39,
    }
}

/// From `/proc/self/status`: a line for each capability, but for that of ports, of which the kernel's answer to bind()
/// tells.
pub(super) fn requirements(status: &str) -> Vec<Requirement> {
    let effective = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|text| u64::from_str_radix(text.trim(), 16).ok())
        .unwrap_or(0);
    let needs = NEEDS.iter();
    let needs = needs.filter(|need| need.capability != Capability::NetBindService);
    needs.map(|need| requirement(need, effective)).collect()
}

fn requirement(need: &Need, effective: u64) -> Requirement {
    let has = |bit: u32| effective >> bit & 1 == 1;
    let stands_for = matches!(need.capability, Capability::Bpf | Capability::Perfmon);
    let name = need.capability.name();
    if has(bit(need.capability)) || (stands_for && has(SYS_ADMIN)) {
        return Requirement::fact(name, "held".to_owned());
    }
    let mut missing = Requirement::fact(name, "not held".to_owned())
        .lacks(&need.lack(), &format!("run as root, or with {name}"));
    missing.essential = need.without == Without::NoStart;
    missing
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lacking(bits: u64) -> Vec<(&'static str, bool)> {
        let found = requirements(&format!("Name:\tx\nCapEff:\t{bits:016x}\n"));
        let lacking = found.into_iter().filter(|found| found.missing.is_some());
        lacking.map(|found| (found.name, found.essential)).collect()
    }

    #[test]
    fn each_missing_capability_is_named_and_whether_the_agent_runs_without() {
        assert_eq!(lacking(u64::MAX), []);
        assert_eq!(
            lacking(1 << 38 | 1 << 39),
            [("CAP_SYS_PTRACE", false), ("CAP_DAC_READ_SEARCH", false)]
        );
        assert_eq!(lacking(1 << 39 | 1 << 19 | 1 << 2), [("CAP_PERFMON", true)]);
        assert_eq!(lacking(1 << SYS_ADMIN | 1 << 19 | 1 << 2), []);
        assert_eq!(lacking(0).len(), 4);
    }
}
