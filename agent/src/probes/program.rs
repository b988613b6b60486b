//! Programs of the kernel object, and the attach families that they are in.

use super::way::Way;
use crate::kernel_btf::KernelBtf;

/// Where a program is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attach {
    /// A kernel tracepoint: with typed arguments (5.5) or, in the fallback object, without.
    Tracepoint(&'static str),
    /// The entry of a kernel function (5.5 on x86-64, 6.0 on aarch64).
    Entry(&'static str),
    /// The return of a kernel function (5.5 on x86-64, 6.0 on aarch64).
    Exit(&'static str),
    /// To nothing: the agent runs it over all of the kernel's objects of a kind (5.8).
    Walk(&'static str),
    /// To nothing: the agent runs it with arguments of its own, as if a tracepoint had been passed (5.10).
    Asked,
}

impl Attach {
    /// The function, tracepoint or kind of objects; empty where there is none.
    pub const fn target(self) -> &'static str {
        match self {
            Self::Tracepoint(target)
            | Self::Entry(target)
            | Self::Exit(target)
            | Self::Walk(target) => target,
            Self::Asked => "",
        }
    }

    /// What the kernel's types call it.
    pub(super) fn type_name(self) -> String {
        match self {
            Self::Tracepoint(name) => format!("btf_trace_{name}"),
            Self::Entry(name) | Self::Exit(name) => name.to_owned(),
            Self::Walk(objects) => format!("bpf_iter_{objects}"),
            Self::Asked => String::new(),
        }
    }

    pub(super) fn exists(self, btf: &KernelBtf) -> bool {
        match self {
            Self::Tracepoint(name) => btf.has_tracepoint(name),
            Self::Entry(_) | Self::Exit(_) | Self::Walk(_) => btf.has_function(&self.type_name()),
            Self::Asked => true,
        }
    }

    /// Whether there are several ways to it.
    pub(super) const fn is_function(self) -> bool {
        matches!(self, Self::Entry(_) | Self::Exit(_))
    }
}

/// One program of the kernel object.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    /// Its name in the object.
    pub name: &'static str,
    /// Where it goes.
    pub attach: Attach,
    /// Without it the agent cannot do its main job and is not ready.
    pub essential: bool,
    /// What is not measured without it.
    pub gives: &'static str,
}

/// An attach family: one file on each side.
pub struct Family {
    /// The files' name.
    pub name: &'static str,
    /// Its programs, in the order in which they are attached.
    pub programs: &'static [Program],
    /// More of them, if it is attached by kprobes.
    pub more_by_kprobes: &'static [Program],
    /// Those that take their place where no function of the kernel can be attached to: tracepoints alone. `None` if there
    /// is no tracepoint for what it measures.
    pub by_tracepoints: Option<&'static [Program]>,
}

impl Family {
    /// Its programs if it is attached in a way; nothing if it cannot be.
    pub(super) fn programs_by(&self, way: Way) -> Option<Vec<&'static Program>> {
        let (programs, more) = match way {
            Way::Fentry => (self.programs, [].as_slice()),
            Way::Kprobe => (self.programs, self.more_by_kprobes),
            Way::Tracepoint => (self.by_tracepoints?, [].as_slice()),
        };
        Some(programs.iter().chain(more).collect())
    }

    /// All that it may be attached by.
    pub fn all_programs(&self) -> impl Iterator<Item = &'static Program> {
        let by_tracepoints = self.by_tracepoints.unwrap_or_default();
        let more = self.more_by_kprobes.iter().chain(by_tracepoints);
        self.programs.iter().chain(more)
    }

    /// Whether it is attached to functions of the kernel, so that it has ways to choose from.
    pub(super) fn has_ways(&self) -> bool {
        let mut programs = self.programs.iter();
        programs.any(|program| program.attach.is_function())
    }
}
