//! Probes: loads the kernel object, attaches each family, reports each verdict.
//!
//! One refused program costs one feature, never the agent; what is essential for it is said by each
//! program in its family's list.

pub mod adoption;
pub mod datagrams;
pub mod listeners;
mod numbers;
mod on_demand;
pub mod process_life;
pub mod socket_io;
pub mod socket_life;
pub mod unix_io;
pub mod unix_life;

use crate::{
    config::Config,
    health::{ProbeHealth, Verdict},
    kernel_btf::{BtfError, KernelBtf, SYSTEM_PATH},
    memory,
    records::{KernelMaps, MapError},
};
use aya::{
    Btf, Ebpf, EbpfLoader, Endianness,
    programs::{Program as Loaded, ProgramError},
};
use sockmeter_abi::EXCLUDED_PROCESSES_MAX;
use std::{
    collections::HashSet,
    fs, mem,
    os::fd::{AsFd, AsRawFd},
    path::Path,
};

/// The kernel side, embedded by the build script.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/sockmeter.bpf.o"));

/// Where a program is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attach {
    /// A kernel tracepoint with typed arguments (5.5).
    Tracepoint(&'static str),
    /// The entry of a kernel function (5.5, x86-64).
    Entry(&'static str),
    /// The return of a kernel function (5.5, x86-64).
    Exit(&'static str),
    /// To nothing: the agent runs it over all of the kernel's objects of a kind (5.8).
    Walk(&'static str),
    /// To nothing: the agent runs it with arguments of its own, as if a tracepoint had been passed (5.10).
    Asked,
}

impl Attach {
    /// As the `kind` label and `check` say it.
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Tracepoint(_) => "tp_btf",
            Self::Entry(_) => "fentry",
            Self::Exit(_) => "fexit",
            Self::Walk(_) => "iter",
            Self::Asked => "raw_tp",
        }
    }

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
    fn type_name(self) -> String {
        match self {
            Self::Tracepoint(name) => format!("btf_trace_{name}"),
            Self::Entry(name) | Self::Exit(name) => name.to_owned(),
            Self::Walk(objects) => format!("bpf_iter_{objects}"),
            Self::Asked => String::new(),
        }
    }

    fn exists(self, btf: &KernelBtf) -> bool {
        match self {
            Self::Tracepoint(name) => btf.has_tracepoint(name),
            Self::Entry(_) | Self::Exit(_) | Self::Walk(_) => btf.has_function(&self.type_name()),
            Self::Asked => true,
        }
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
}

/// Every family, in the order in which they are attached: processes first, so that no connection's
/// process is missed.
pub const ALL: &[&Family] = &[
    &process_life::FAMILY,
    &socket_life::FAMILY,
    &socket_io::FAMILY,
    &unix_life::FAMILY,
    &unix_io::FAMILY,
    &datagrams::FAMILY,
    &listeners::FAMILY,
    &adoption::FAMILY,
];

/// Families that take places in the connection table, and the program that gives those places back: without it
/// nothing of them is attached, or the table would fill up.
const NEEDS: &[(&str, &str)] = &[
    (unix_life::FAMILY.name, unix_life::RELEASE),
    (unix_io::FAMILY.name, unix_life::RELEASE),
];

/// Why the probes cannot be had at all.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The build carried no object.
    #[error(
        "this build carries no kernel object: build it with `cargo xtask build-ebpf`, or run `cargo xtask run`"
    )]
    NoObject,
    /// The kernel's types.
    #[error(transparent)]
    Btf(#[from] BtfError),
    /// A field that the programs cannot do without has another size than they expect.
    #[error(
        "kernel field {field} is {found} bytes wide where {expected} are expected: this kernel is not supported"
    )]
    FieldSize {
        /// `struct.member`.
        field: String,
        /// Bytes in the running kernel.
        found: u32,
        /// Bytes that the programs load.
        expected: u32,
    },
    /// aya or the kernel refused the object.
    #[error("cannot load the kernel object: {0}")]
    Load(String),
    /// A map cannot be used.
    #[error(transparent)]
    Map(#[from] MapError),
}

/// What of the kernel programs can be attached to; only until they are.
#[derive(Default)]
struct Targets {
    /// Functions and tracepoints, as the kernel's types call them.
    names: HashSet<String>,
    /// The kernel's types with these names, as BTF.
    outline: Vec<u8>,
}

/// The loaded programs; dropping it detaches them all.
pub struct Probes {
    ebpf: Ebpf,
    targets: Targets,
    verdicts: Vec<ProbeHealth>,
}

impl Probes {
    /// Loads the object for the running kernel and creates its maps; nothing is attached yet.
    ///
    /// # Errors
    /// No BTF, no right to load, or a kernel that differs where it must not.
    pub fn load(config: &Config) -> Result<(Self, KernelMaps), ProbeError> {
        if OBJECT.is_empty() {
            return Err(ProbeError::NoObject);
        }
        let btf = KernelBtf::open(Path::new(SYSTEM_PATH), &numbers::wanted())?;
        let numbers = numbers::resolve(&btf)?;
        let targets = targets(&btf);
        drop(btf);
        let agent_pid = std::process::id();
        let tick_ns = numbers::tick_ns();
        let excludes = u32::from(!config.exclude.is_empty());
        let excluded_max = (excludes * EXCLUDED_PROCESSES_MAX).max(1);
        let mut loader = EbpfLoader::new();
        // It has read all of the kernel's types, for relocations that the object has none of.
        loader.btf(None);
        memory::give_back();
        for (name, value) in &numbers {
            loader.override_global(name, value, true);
        }
        loader
            .override_global("AGENT_PID", &agent_pid, true)
            .override_global("TICK_NS", &tick_ns, true)
            .override_global("CAPTURE_BYTES", &config.kernel.capture_bytes_max, true)
            .override_global("EXCLUDES", &excludes, true)
            .map_max_entries("EXCLUDED", excluded_max)
            .map_max_entries("RING", config.kernel.ring_bytes)
            .map_max_entries("DATAGRAMS", config.kernel.datagram_processes_max)
            .map_max_entries("SLOTS", config.kernel.connections_max)
            .map_max_entries("FREE_SLOTS", config.kernel.connections_max);
        let mut ebpf = loader
            .load(OBJECT)
            .map_err(|error| ProbeError::Load(chain(&error)))?;
        let maps = KernelMaps::take(&mut ebpf, config.kernel.connections_max)?;
        Ok((
            Self {
                ebpf,
                targets,
                verdicts: Vec::new(),
            },
            maps,
        ))
    }

    /// Attaches every program that the kernel takes, and notes a verdict for each.
    ///
    /// # Errors
    /// The outline of the kernel's types is not understood, which is a bug.
    pub fn attach(&mut self) -> Result<&[ProbeHealth], ProbeError> {
        let Targets { names, outline } = mem::take(&mut self.targets);
        let btf = Btf::parse(&outline, Endianness::default())
            .map_err(|error| ProbeError::Load(chain(&error)))?;
        for family in ALL {
            for program in family.programs {
                let verdict = if let Some(needed) = self.missing(family, program) {
                    Verdict::Unsupported {
                        why: format!("{needed} is not attached"),
                    }
                } else if names.contains(&program.attach.type_name()) {
                    match self.attach_one(program, &btf) {
                        Ok(()) => Verdict::Attached,
                        Err(why) => Verdict::Failed { why },
                    }
                } else {
                    let target = program.attach.target();
                    Verdict::Unsupported {
                        why: format!("this kernel has no {target}"),
                    }
                };
                self.verdicts.push(ProbeHealth {
                    program: program.name,
                    family: family.name,
                    kind: program.attach.kind(),
                    essential: program.essential,
                    verdict,
                });
            }
        }
        Ok(&self.verdicts)
    }

    /// Whether Unix sockets are followed: whether the program that gives their places back is attached.
    pub fn follows_unix(&self) -> bool {
        self.is_attached(unix_life::RELEASE)
    }

    fn is_attached(&self, program: &str) -> bool {
        self.verdicts
            .iter()
            .any(|probe| probe.program == program && probe.verdict == Verdict::Attached)
    }

    /// The program that the family needs, if it is another one and not attached.
    fn missing(&self, family: &Family, program: &Program) -> Option<&'static str> {
        let (_, needed) = NEEDS.iter().find(|(name, _)| *name == family.name)?;
        (program.name != *needed && !self.is_attached(needed)).then_some(*needed)
    }

    fn attach_one(&mut self, program: &Program, btf: &Btf) -> Result<(), String> {
        let loaded = self
            .ebpf
            .program_mut(program.name)
            .ok_or_else(|| format!("the kernel object has no program {}", program.name))?;
        let target = program.attach.target();
        match loaded {
            Loaded::BtfTracePoint(loaded) => loaded
                .load(target, btf)
                .and_then(|()| loaded.attach().map(drop)),
            Loaded::FEntry(loaded) => loaded
                .load(target, btf)
                .and_then(|()| loaded.attach().map(drop)),
            Loaded::FExit(loaded) => loaded
                .load(target, btf)
                .and_then(|()| loaded.attach().map(drop)),
            // Nothing to attach to: see `on_demand`.
            Loaded::Iter(loaded) => loaded.load(target, btf),
            Loaded::RawTracePoint(loaded) => loaded.load(),
            _ => return Err(format!("program {} is of an unexpected type", program.name)),
        }
        .map_err(|error| explain(&error))
    }

    /// What became of each program.
    pub fn verdicts(&self) -> &[ProbeHealth] {
        &self.verdicts
    }

    /// How often the kernel skipped each program because it was already running on that CPU
    /// (`recursion_misses`, since 5.12).
    pub fn missed(&self) -> Vec<(&ProbeHealth, u64)> {
        let missed = |probe: &ProbeHealth| {
            let fd = self.ebpf.program(probe.program)?.fd().ok()?;
            let info = format!("/proc/self/fdinfo/{}", fd.as_fd().as_raw_fd());
            let text = fs::read_to_string(info).ok()?;
            let line = text
                .lines()
                .find_map(|line| line.strip_prefix("recursion_misses:"))?;
            line.trim().parse().ok()
        };
        self.verdicts
            .iter()
            .filter_map(|probe| Some((probe, missed(probe)?)))
            .collect()
    }
}

/// What of the kernel the programs can be attached to.
fn targets(btf: &KernelBtf) -> Targets {
    let programs = ALL.iter().flat_map(|family| family.programs);
    let found = programs.filter(|program| program.attach.exists(btf));
    Targets {
        names: found.map(|program| program.attach.type_name()).collect(),
        outline: btf.outline(),
    }
}

/// An error with its causes on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// A program's refusal on one line: the verifier's last words rather than its whole log.
fn explain(error: &ProgramError) -> String {
    let ProgramError::LoadError {
        io_error,
        verifier_log,
    } = error
    else {
        return chain(error);
    };
    let log = verifier_log.to_string();
    let last: Vec<&str> = log
        .lines()
        .filter(|line| !line.starts_with("processed ") && !line.trim().is_empty())
        .rev()
        .take(3)
        .collect();
    let last: Vec<&str> = last.into_iter().rev().collect();
    format!("the verifier refused it: {io_error}: {}", last.join("; "))
}
