//! Kernel lockdown and other security modules, as securityfs shows them.

use super::Requirement;
use std::{fs, path::Path};

/// Where securityfs is mounted.
const SECURITY: &str = "/sys/kernel/security";

/// What of the kernel is locked against root (kernel_lockdown(7), since 5.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lockdown {
    /// Nothing, or a kernel that knows no lockdown.
    None,
    /// The kernel's code and memory cannot be changed.
    Integrity,
    /// Nor read: programs may not use the helpers that read kernel memory, and there are no kprobes
    /// (`LOCKDOWN_BPF_READ_KERNEL`, `LOCKDOWN_KPROBES`). Loads that the verifier checks against the kernel's types stay
    /// allowed.
    Confidentiality,
    /// It cannot be seen.
    Unknown,
}

impl Lockdown {
    /// Of this host.
    pub fn read() -> Self {
        match fs::read_to_string(Path::new(SECURITY).join("lockdown")) {
            Ok(text) => Self::parse(&text),
            Err(_) if Path::new(SECURITY).join("lsm").exists() => Self::None,
            Err(_) => Self::Unknown,
        }
    }

    /// `none [integrity] confidentiality`: the chosen one stands in brackets.
    fn parse(text: &str) -> Self {
        match text.split(['[', ']']).nth(1) {
            Some("none") => Self::None,
            Some("integrity") => Self::Integrity,
            Some("confidentiality") => Self::Confidentiality,
            _ => Self::Unknown,
        }
    }

    /// Whether programs may use the helpers that read kernel memory.
    pub fn lets_read(self) -> bool {
        self != Self::Confidentiality
    }

    pub(super) fn requirement(self) -> Requirement {
        let found = match self {
            Self::None => "none",
            Self::Integrity => "integrity",
            Self::Confidentiality => "confidentiality",
            Self::Unknown => "unknown: securityfs is not mounted at /sys/kernel/security",
        };
        let fact = Requirement::fact("lockdown", found.to_owned());
        if self.lets_read() {
            return fact;
        }
        fact.lacks(
            "programs may not read memory by address: no requests, no names of Unix sockets, no datagrams, no accept queues; connections and bytes are exact",
            "boot without lockdown=confidentiality; integrity is enough for secure boot",
        )
    }
}

/// The security modules that can refuse what the agent asks for.
pub(super) fn modules() -> Requirement {
    let text = fs::read_to_string(Path::new(SECURITY).join("lsm"));
    let found = text.unwrap_or_else(|_| "unknown: securityfs is not mounted".to_owned());
    Requirement::fact("security modules", found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_is_the_one_in_brackets() {
        let of = Lockdown::parse;
        assert_eq!(of("[none] integrity confidentiality\n"), Lockdown::None);
        assert_eq!(
            of("none [integrity] confidentiality\n"),
            Lockdown::Integrity
        );
        assert_eq!(
            of("none integrity [confidentiality]\n"),
            Lockdown::Confidentiality
        );
        assert_eq!(of("something else"), Lockdown::Unknown);
    }

    #[test]
    fn only_confidentiality_costs_features() {
        for level in [Lockdown::None, Lockdown::Integrity, Lockdown::Unknown] {
            assert!(level.lets_read());
            assert_eq!(level.requirement().missing, None);
        }
        let requirement = Lockdown::Confidentiality.requirement();
        assert!(requirement.missing.is_some() && requirement.remedy.is_some());
        assert!(!requirement.essential);
    }
}
