//! Capabilities: which feature needs which, and how those that nothing needs any more are given up.

use super::{Kept, PrivilegeError, refused};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, capability_is_in_bounding_set,
    clear_ambient_capability_set, remove_capability_from_bounding_set, set_capabilities,
};

/// A capability that a feature needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    /// `CAP_BPF` (5.8)
    Bpf,
    /// `CAP_PERFMON` (5.8)
    Perfmon,
    /// `CAP_SYS_PTRACE`
    SysPtrace,
    /// `CAP_DAC_READ_SEARCH`
    DacReadSearch,
    /// `CAP_NET_BIND_SERVICE`
    NetBindService,
}

impl Capability {
    /// As capabilities(7) has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bpf => "CAP_BPF",
            Self::Perfmon => "CAP_PERFMON",
            Self::SysPtrace => "CAP_SYS_PTRACE",
            Self::DacReadSearch => "CAP_DAC_READ_SEARCH",
            Self::NetBindService => "CAP_NET_BIND_SERVICE",
        }
    }

    const fn set(self) -> CapabilitySet {
        match self {
            Self::Bpf => CapabilitySet::BPF,
            Self::Perfmon => CapabilitySet::PERFMON,
            Self::SysPtrace => CapabilitySet::SYS_PTRACE,
            Self::DacReadSearch => CapabilitySet::DAC_READ_SEARCH,
            Self::NetBindService => CapabilitySet::NET_BIND_SERVICE,
        }
    }
}

/// What happens without a capability.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Without {
    /// The agent does not start.
    NoStart,
    /// Neither the executable nor the environment of another user's process can be read. What an exec was asked for,
    /// which may be a link or a script, is told by its record.
    NoExecutables,
    /// The environment of another user's process cannot be read.
    NoEnvironments,
    /// Some ports cannot be had.
    NoLowPorts,
}

impl Without {
    /// In the words of the table.
    pub const fn text(self) -> &'static str {
        match self {
            Self::NoStart => "the agent does not start",
            Self::NoExecutables => {
                "executables of other users are named as they were called, those that are older than the agent by the 15 bytes of `comm`; their `OTEL_SERVICE_NAME` is not seen"
            }
            Self::NoEnvironments => "`OTEL_SERVICE_NAME` of other users' processes is not seen",
            Self::NoLowPorts => "the agent does not start if `listen` has such a port",
        }
    }
}

/// What becomes of a capability once the programs are attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// Nothing needs it any more.
    GivenUp,
    /// Until Linux 5.19, kernels on which `kernel.unprivileged_bpf_disabled` is not 0 want it for every bpf() call
    /// (`__sys_bpf`, kernel/bpf/syscall.c); newer ones only for what makes maps and loads programs.
    KeptForOldKernels,
    /// New processes are looked at as long as the agent runs.
    Kept,
}

impl After {
    /// In the words of the table.
    pub const fn text(self) -> &'static str {
        match self {
            Self::GivenUp => "given up",
            Self::KeptForOldKernels => "given up; kept before Linux 5.19",
            Self::Kept => "kept",
        }
    }
}

/// A feature and the capability that it needs.
#[derive(Debug, PartialEq, Eq)]
pub struct Need {
    /// What is needed.
    pub capability: Capability,
    /// What for.
    pub gives: &'static str,
    /// What happens without it.
    pub without: Without,
    /// What becomes of it once the programs are attached.
    pub after: After,
}

impl Need {
    /// What is off, and for want of what.
    pub fn lack(&self) -> String {
        let (name, without) = (self.capability.name(), self.without.text());
        format!("missing {name}: {without}")
    }
}

/// Everything that any feature needs.
pub const NEEDS: &[Need] = &[
    Need {
        capability: Capability::Bpf,
        gives: "loading the programs and making their maps",
        without: Without::NoStart,
        after: After::KeptForOldKernels,
    },
    Need {
        capability: Capability::Perfmon,
        gives: "attaching the programs to kernel functions, and letting them read kernel memory",
        without: Without::NoStart,
        after: After::GivenUp,
    },
    Need {
        capability: Capability::SysPtrace,
        gives: "whose a process is: `/proc/PID/exe` and `environ` of other users",
        without: Without::NoExecutables,
        after: After::Kept,
    },
    Need {
        capability: Capability::DacReadSearch,
        gives: "opening `/proc/PID/environ` of other users, which only its owner may",
        without: Without::NoEnvironments,
        after: After::Kept,
    },
    Need {
        capability: Capability::NetBindService,
        gives: "a `listen` with a port below 1024 (`net.ipv4.ip_unprivileged_port_start`)",
        without: Without::NoLowPorts,
        after: After::GivenUp,
    },
];

/// [`NEEDS`] as the documentation has it.
pub fn table() -> String {
    let rows = NEEDS.iter().map(|need| {
        let Need {
            capability,
            gives,
            without,
            after,
        } = need;
        let (name, without, after) = (capability.name(), without.text(), after.text());
        format!("| `{name}` | {gives} | {without} | {after} |\n")
    });
    let head =
        "| Capability | For | Without it | After the start |\n|---|---|---|---|\n".to_owned();
    rows.fold(head, |text, row| text + &row)
}

/// What was done.
pub(super) struct Narrowed {
    pub(super) kept: Vec<Kept>,
    pub(super) missing: Vec<&'static Need>,
}

/// What may be needed beside what is always kept, the least first. `CAP_SYS_ADMIN` stands for the others on hosts that
/// give nothing finer.
const MORE: [CapabilitySet; 4] = [
    CapabilitySet::empty(),
    CapabilitySet::BPF,
    CapabilitySet::BPF.union(CapabilitySet::PERFMON),
    CapabilitySet::SYS_ADMIN,
];

/// Keeps what is always kept, and of [`MORE`] the least with which nothing fails that did not fail with all.
pub(super) fn narrow(fails: &mut dyn FnMut() -> Vec<String>) -> Result<Narrowed, PrivilegeError> {
    let held = capabilities(None).map_err(refused("read capabilities"))?;
    let fails_anyway = fails();
    clear_ambient_capability_set().map_err(refused("clear ambient capabilities"))?;
    // Who lacks this may not change the set, of which nothing can come either: executed files bring no rights.
    if held.effective.contains(CapabilitySet::SETPCAP) {
        clear_bounding_set()?;
    }
    let always = NEEDS.iter().filter(|need| need.after == After::Kept);
    let (has, lacks): (Vec<&Need>, Vec<&Need>) =
        always.partition(|need| held.permitted.contains(need.capability.set()));
    let usual = has.iter().fold(CapabilitySet::empty(), |set, need| {
        set | need.capability.set()
    });
    let mut kept: Vec<Kept> = has
        .iter()
        .map(|need| Kept {
            capability: need.capability.name().to_owned(),
            why: need.gives.to_owned(),
        })
        .collect();
    let mut why = String::new();
    for more in MORE {
        if !held.permitted.contains(more) {
            continue;
        }
        // What is permitted and not effective counts for nothing, and can be had back.
        set(usual | more, held.permitted)?;
        let fails_now = fails();
        if fails_now == fails_anyway {
            set(usual | more, usual | more)?;
            kept.extend(more.iter_names().map(|(name, _)| Kept {
                capability: format!("CAP_{name}"),
                why: format!("without it, {why}"),
            }));
            return Ok(Narrowed {
                kept,
                missing: lacks,
            });
        }
        why = fails_now
            .into_iter()
            .find(|failure| !fails_anyway.contains(failure))
            .unwrap_or_default();
    }
    set(held.effective, held.permitted)?;
    Err(PrivilegeError::Needed(why))
}

/// Gives up every capability of this thread.
pub(super) fn drop_all() -> Result<(), PrivilegeError> {
    set(CapabilitySet::empty(), CapabilitySet::empty())
}

fn set(effective: CapabilitySet, permitted: CapabilitySet) -> Result<(), PrivilegeError> {
    let sets = CapabilitySets {
        effective,
        permitted,
        inheritable: CapabilitySet::empty(),
    };
    set_capabilities(None, sets).map_err(refused("give up capabilities"))
}

/// Also of what newer kernels have: numbers end where the kernel knows none.
fn clear_bounding_set() -> Result<(), PrivilegeError> {
    for number in 0..u64::BITS {
        let one = CapabilitySet::from_bits_retain(1 << number);
        match capability_is_in_bounding_set(one) {
            Ok(true) => remove_capability_from_bounding_set(one)
                .map_err(refused("give up the bounding set"))?,
            Ok(false) => {}
            Err(_) => break,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is effective after that, in a thread of its own, which alone loses the others; and what it had.
    fn narrowed(
        fails: fn(CapabilitySet) -> Vec<String>,
    ) -> (Narrowed, CapabilitySets, CapabilitySet) {
        let effective = || capabilities(None).unwrap().effective;
        let work = || {
            let held = capabilities(None).unwrap().permitted;
            let narrowed = narrow(&mut || fails(effective())).unwrap();
            (narrowed, capabilities(None).unwrap(), held)
        };
        std::thread::scope(|scope| scope.spawn(work).join().unwrap())
    }

    const IDENTITY: CapabilitySet = CapabilitySet::SYS_PTRACE.union(CapabilitySet::DAC_READ_SEARCH);

    #[test]
    fn what_nothing_needs_is_given_up() {
        for fails in [|_| Vec::new(), |_| vec!["fails whatever it may".to_owned()]] {
            let (Narrowed { kept, missing }, now, held) = narrowed(fails);
            let want = held & IDENTITY;
            assert_eq!((now.permitted, now.effective), (want, want));
            assert_eq!(now.inheritable, CapabilitySet::empty());
            assert_eq!(kept.len() + missing.len(), 2);
        }
    }

    /// As on Linux before 5.19. Who has no such capability has nothing to keep, and then it fails anyway.
    #[test]
    fn what_fails_without_a_capability_keeps_it() {
        let (Narrowed { kept, .. }, now, held) = narrowed(|effective| {
            let may = effective.contains(CapabilitySet::BPF);
            if may {
                Vec::new()
            } else {
                vec!["cannot read a map".to_owned()]
            }
        });
        let want = held & (IDENTITY | CapabilitySet::BPF);
        assert_eq!((now.permitted, now.effective), (want, want));
        let why = kept
            .iter()
            .find(|kept| kept.capability == "CAP_BPF")
            .map(|kept| kept.why.as_str());
        let is_held = held.contains(CapabilitySet::BPF);
        assert_eq!(why, is_held.then_some("without it, cannot read a map"));
    }

    #[test]
    fn each_capability_has_one_row() {
        let text = table();
        for need in NEEDS {
            let name = format!("| `{}` |", need.capability.name());
            assert_eq!(text.matches(&name).count(), 1, "{name}");
        }
        assert_eq!(text.lines().count(), 2 + NEEDS.len());
    }
}
