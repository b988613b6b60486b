//! Ways: how programs are attached to functions of the kernel, and which of them is wanted.

use super::Attach;
use clap::ValueEnum;
use serde::Deserialize;

/// How a family that follows functions of the kernel is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// To the functions, by trampolines: exact and cheapest (5.5 on x86-64, 6.0 on aarch64).
    Fentry,
    /// To the functions, by breakpoints. Returns are left out when more threads wait in a function than the kernel has
    /// room for; they are counted.
    Kprobe,
    /// To system calls, where no function can be attached to.
    Tracepoint,
}

impl Way {
    /// How a program is attached that goes there, as the `kind` label and `check` say it.
    pub(super) const fn kind(self, attach: Attach) -> &'static str {
        match (self, attach) {
            (_, Attach::Tracepoint(_)) => "tp_btf",
            (_, Attach::Walk(_)) => "iter",
            (_, Attach::Asked) => "raw_tp",
            (Self::Kprobe, Attach::Entry(_)) => "kprobe",
            (Self::Kprobe, Attach::Exit(_)) => "kretprobe",
            (_, Attach::Entry(_)) => "fentry",
            (_, Attach::Exit(_)) => "fexit",
        }
    }
}

/// The setting `kernel.probes`: how the kernel programs shall be attached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Wanted {
    /// Each family in the best way that the kernel has.
    #[default]
    Auto,
    /// Only by fentry and fexit.
    Fentry,
    /// Only by kprobe and kretprobe.
    Kprobe,
    /// Only by tracepoints.
    Tracepoint,
}

impl Wanted {
    /// The ways that may be tried, the best first.
    pub(super) const fn ways(self) -> &'static [Way] {
        match self {
            Self::Auto => &[Way::Fentry, Way::Kprobe, Way::Tracepoint],
            Self::Fentry => &[Way::Fentry],
            Self::Kprobe => &[Way::Kprobe],
            Self::Tracepoint => &[Way::Tracepoint],
        }
    }
}
