//! Probes: loads the kernel object, attaches each family, reports each verdict.
//!
//! One refused program costs one feature, never the agent; what is essential for it is said by each
//! program in its family's list.

pub mod adoption;
pub mod datagrams;
pub mod listeners;
mod numbers;
mod object;
mod on_demand;
pub mod process_life;
pub mod socket_io;
pub mod socket_life;
#[cfg(test)]
mod tests;
pub mod unix_io;
pub mod unix_life;
mod way;

pub use way::Wanted;

use crate::{
    check,
    config::Config,
    health::{ProbeHealth, Verdict, is_ready},
    host::lockdown::Lockdown,
    kernel_btf::{BtfError, KernelBtf, SYSTEM_PATH},
    memory,
    records::{KernelMaps, MapError},
};
use aya::{
    Btf, Ebpf, Endianness,
    maps::PerCpuArray,
    programs::{Program as Loaded, ProgramError},
};
use object::Object;
use sockmeter_abi::call::{CALL_COUNTERS, CALLS};
use std::{
    collections::HashSet,
    fs, io,
    os::fd::{AsFd, AsRawFd},
    path::Path,
};
use way::Way;

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

    /// Whether there are several ways to it.
    const fn is_function(self) -> bool {
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
    fn programs_by(&self, way: Way) -> Option<Vec<&'static Program>> {
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
    fn has_ways(&self) -> bool {
        let mut programs = self.programs.iter();
        programs.any(|program| program.attach.is_function())
    }
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

/// The function behind the helper that came last of those that the typed object needs: the cookie of a socket, in 5.12.
const LENDS_STORAGE: &str = "bpf_get_socket_ptr_cookie";

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
    /// A field that the programs cannot do without is not there.
    #[error(
        "this kernel has no field {field}: it is not supported, or the file that --btf names is of another kernel"
    )]
    FieldMissing {
        /// `struct.member`.
        field: String,
    },
    /// Nothing that is wanted can be had on this host.
    #[error("cannot attach the programs in any way that is wanted: {why}")]
    NoWay {
        /// What is in the way.
        why: &'static str,
    },
    /// aya or the kernel refused the object.
    #[error("cannot load the kernel object: {0}")]
    Load(String),
    /// A map cannot be used.
    #[error(transparent)]
    Map(#[from] MapError),
}

/// What of the kernel programs can be attached to; only until they are.
struct Kernel {
    /// Values of the frozen globals.
    numbers: Vec<(&'static str, u32)>,
    /// Functions and tracepoints, as the kernel's types call them.
    names: HashSet<String>,
    /// The kernel's types with these names, as BTF.
    outline: Btf,
    /// Whether it lends programs the storage and the cookie of a socket (5.12).
    lends_storage: bool,
    /// Whether these types are its own, so that programs can be attached by them.
    shows_types: bool,
    lockdown: Lockdown,
}

/// The loaded programs; dropping it detaches them all.
pub struct Probes {
    ebpf: Ebpf,
    verdicts: Vec<ProbeHealth>,
}

impl Probes {
    /// Loads the object that does for the running kernel, and attaches every program that the kernel takes.
    ///
    /// # Errors
    /// No BTF, no right to load, or a kernel that differs where it must not.
    pub fn start(config: &Config) -> Result<(Self, KernelMaps), ProbeError> {
        let kernel = Kernel::read(config.kernel.btf.as_deref())?;
        let wanted = config.kernel.probes;
        let ways: Vec<Way> = wanted
            .ways()
            .iter()
            .copied()
            .filter(|way| kernel.allows(*way))
            .collect();
        let is_typed = kernel.lends_storage && ways.first() == Some(&Way::Fentry);
        if is_typed {
            let started = Self::with(Object::Typed, &[Way::Fentry], &kernel, config)?;
            let verdicts = &started.0.verdicts;
            let is_fault = |probe: &ProbeHealth| matches!(probe.verdict, Verdict::Failed { .. });
            let is_whole = is_ready(verdicts) && !verdicts.iter().any(is_fault);
            if is_whole || wanted == Wanted::Fentry || !kernel.lockdown.lets_read() {
                return Ok(started);
            }
        }
        if ways.is_empty() || !kernel.lockdown.lets_read() {
            return Err(ProbeError::NoWay {
                why: kernel.forbids(),
            });
        }
        Self::with(Object::Fallback, &ways, &kernel, config)
    }

    fn with(
        object: Object,
        ways: &[Way],
        kernel: &Kernel,
        config: &Config,
    ) -> Result<(Self, KernelMaps), ProbeError> {
        let mut ebpf = object.load(&kernel.numbers, kernel.lockdown, config)?;
        let maps = KernelMaps::take(&mut ebpf, config.kernel.connections_max)?;
        let mut probes = Self {
            ebpf,
            verdicts: Vec::new(),
        };
        for family in ALL {
            let verdicts = probes.attach(family, ways, kernel);
            probes.verdicts.extend(verdicts);
        }
        Ok((probes, maps))
    }

    /// Attaches a family in the first way in which the kernel takes it, or else in the one that leaves out least.
    fn attach(&mut self, family: &Family, ways: &[Way], kernel: &Kernel) -> Vec<ProbeHealth> {
        if !family.has_ways() {
            return self.attach_by(family, Way::Fentry, kernel);
        }
        let mut best: Option<(usize, Way)> = None;
        for (number, way) in ways.iter().enumerate() {
            let verdicts = self.attach_by(family, *way, kernel);
            let faults = check::faults(&verdicts).count();
            let is_best = best.is_none_or(|(least, _)| faults < least);
            if faults == 0 || (is_best && number + 1 == ways.len()) {
                return verdicts;
            }
            if is_best {
                best = Some((faults, *way));
            }
            self.detach(&verdicts);
        }
        let (_, way) = best.unwrap_or((0, Way::Fentry));
        self.attach_by(family, way, kernel)
    }

    fn attach_by(&mut self, family: &Family, way: Way, kernel: &Kernel) -> Vec<ProbeHealth> {
        let mut verdicts: Vec<ProbeHealth> = Vec::new();
        if let Some(why) = kernel.keeps_off(family) {
            let verdict = || Verdict::Off {
                why: why.to_owned(),
            };
            let programs = family.programs.iter();
            return programs
                .map(|program| {
                    ProbeHealth::of(family, program, way.kind(program.attach), verdict())
                })
                .collect();
        }
        let Some(programs) = family.programs_by(way) else {
            let why = "the kernel has no tracepoints for it";
            let verdict = || Verdict::Unsupported {
                why: why.to_owned(),
            };
            let programs = family.programs.iter();
            return programs
                .map(|program| {
                    ProbeHealth::of(family, program, way.kind(program.attach), verdict())
                })
                .collect();
        };
        for program in programs {
            let needed = NEEDS.iter().find(|(name, _)| *name == family.name);
            let missing = needed.map(|(_, needed)| *needed).filter(|needed| {
                let known = self.verdicts.iter().chain(&verdicts);
                program.name != *needed && !is_attached(known, needed)
            });
            let verdict = if let Some(needed) = missing {
                Verdict::Unsupported {
                    why: format!("{needed} is not attached"),
                }
            } else if kernel.names.contains(&program.attach.type_name()) {
                match self.attach_one(program, way, &kernel.outline) {
                    Ok(()) => Verdict::Attached,
                    Err(why) => Verdict::Failed { why },
                }
            } else {
                let target = program.attach.target();
                Verdict::Unsupported {
                    why: format!("this kernel has no {target}"),
                }
            };
            let kind = self.kind(program, way);
            verdicts.push(ProbeHealth::of(family, program, kind, verdict));
        }
        verdicts
    }

    /// Whether Unix sockets are followed: whether the program that gives their places back is attached.
    pub fn follows_unix(&self) -> bool {
        is_attached(self.verdicts.iter(), unix_life::RELEASE)
    }

    /// How a program is attached in a way, as the `kind` label and `check` say it.
    fn kind(&self, program: &Program, way: Way) -> &'static str {
        match (program.attach, self.ebpf.program(program.name)) {
            (Attach::Tracepoint(_), Some(Loaded::RawTracePoint(_))) => "raw_tp",
            (attach, _) => way.kind(attach),
        }
    }

    fn attach_one(&mut self, program: &Program, way: Way, btf: &Btf) -> Result<(), String> {
        let Program { name, attach, .. } = program;
        let target = attach.target();
        if way == Way::Kprobe && attach.is_function() {
            // First, so that no call that is noted is waited for in vain.
            self.attach_program(&format!("kprobe_{name}"), target, btf)?;
            let noted = format!("noted_{name}");
            return match self.ebpf.program(&noted) {
                Some(_) => self.attach_program(&noted, target, btf),
                None => Ok(()),
            };
        }
        self.attach_program(name, target, btf)
    }

    fn attach_program(&mut self, name: &str, target: &str, btf: &Btf) -> Result<(), String> {
        let loaded = self
            .ebpf
            .program_mut(name)
            .ok_or_else(|| format!("the kernel object has no program {name}"))?;
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
            Loaded::KProbe(loaded) => loaded
                .load()
                .and_then(|()| loaded.attach(target, 0).map(drop)),
            // Nothing to attach to: see `on_demand`.
            Loaded::Iter(loaded) => loaded.load(target, btf),
            Loaded::RawTracePoint(loaded) => match (loaded.load(), target) {
                (Ok(()), "") => Ok(()),
                (Ok(()), _) => loaded.attach(target).map(drop),
                (refused, _) => refused,
            },
            _ => return Err(format!("program {name} is of an unexpected type")),
        }
        .map_err(|error| explain(&error))
    }

    /// Takes a family's programs out of the kernel again.
    fn detach(&mut self, verdicts: &[ProbeHealth]) {
        for probe in verdicts {
            for name in [
                probe.program.to_owned(),
                format!("kprobe_{}", probe.program),
                format!("noted_{}", probe.program),
            ] {
                // Fails for those that are not loaded.
                let _ = match self.ebpf.program_mut(&name) {
                    Some(Loaded::FEntry(program)) => program.unload(),
                    Some(Loaded::FExit(program)) => program.unload(),
                    Some(Loaded::KProbe(program)) => program.unload(),
                    Some(Loaded::RawTracePoint(program)) => program.unload(),
                    _ => Ok(()),
                };
            }
        }
    }

    /// What became of each program.
    pub fn verdicts(&self) -> &[ProbeHealth] {
        &self.verdicts
    }

    /// How often each program was left out: by the kernel because one was already running on that CPU
    /// (`recursion_misses`, since 5.12), or because the kernel had no room to note where a function returns to.
    pub fn missed(&self) -> Vec<(&ProbeHealth, u64)> {
        let calls = self.calls_missed();
        let missed = |probe: &ProbeHealth| {
            let left_out = self.recursion_misses(probe.program);
            let call = CALLS.iter().position(|call| *call == probe.program);
            let calls = call.and_then(|call| calls.get(call)).copied();
            match (left_out, calls) {
                (None, None) => None,
                (left_out, calls) => Some(left_out.unwrap_or(0) + calls.unwrap_or(0)),
            }
        };
        self.verdicts
            .iter()
            .filter_map(|probe| Some((probe, missed(probe)?)))
            .collect()
    }

    fn recursion_misses(&self, program: &str) -> Option<u64> {
        let fd = self.ebpf.program(program)?.fd().ok()?;
        let info = format!("/proc/self/fdinfo/{}", fd.as_fd().as_raw_fd());
        let text = fs::read_to_string(info).ok()?;
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("recursion_misses:"))?;
        line.trim().parse().ok()
    }

    /// Calls whose return was not seen, in the order of [`CALLS`]; nothing where the kernel tells returns itself.
    fn calls_missed(&self) -> Vec<u64> {
        let Some(map) = self.ebpf.map("CALLS_MISSED") else {
            return Vec::new();
        };
        let Ok(counters) = PerCpuArray::<_, [u64; CALL_COUNTERS]>::try_from(map) else {
            return Vec::new();
        };
        let Ok(per_cpu) = counters.get(&0, 0) else {
            return Vec::new();
        };
        (0..CALLS.len())
            .map(|call| per_cpu.iter().filter_map(|counts| counts.get(call)).sum())
            .collect()
    }
}

fn is_attached<'a>(mut probes: impl Iterator<Item = &'a ProbeHealth>, program: &str) -> bool {
    probes.any(|probe| probe.program == program && probe.verdict == Verdict::Attached)
}

impl ProbeHealth {
    fn of(family: &Family, program: &Program, kind: &'static str, verdict: Verdict) -> Self {
        Self {
            program: program.name,
            family: family.name,
            kind,
            essential: program.essential,
            verdict,
        }
    }
}

impl Kernel {
    /// Its own types or, where it shows none, those of a file.
    fn read(file: Option<&Path>) -> Result<Self, ProbeError> {
        let own = Path::new(SYSTEM_PATH);
        let shows_types = own.exists();
        let path = match file {
            Some(file) if !shows_types => file,
            _ => own,
        };
        let btf = KernelBtf::open(path, &numbers::wanted())?;
        let programs = ALL.iter().flat_map(|family| family.all_programs());
        let found = programs.filter(|program| program.attach.exists(&btf));
        let kernel = Self {
            numbers: numbers::resolve(&btf)?,
            names: found.map(|program| program.attach.type_name()).collect(),
            outline: Btf::parse(&btf.outline(), Endianness::default())
                .map_err(|error| ProbeError::Load(chain(&error)))?,
            lends_storage: btf.has_function(LENDS_STORAGE),
            shows_types,
            lockdown: Lockdown::read(),
        };
        drop(btf);
        memory::give_back();
        Ok(kernel)
    }

    /// Whether programs can be attached in a way at all.
    fn allows(&self, way: Way) -> bool {
        match way {
            Way::Fentry => self.shows_types,
            Way::Kprobe | Way::Tracepoint => self.lockdown.lets_read(),
        }
    }

    /// Why no way that is wanted is left.
    fn forbids(&self) -> &'static str {
        if !self.lockdown.lets_read() {
            "kernel lockdown (confidentiality) lets programs read kernel memory only by its types: that needs fentry, and Linux 5.12"
        } else {
            "the kernel shows no types of its own (/sys/kernel/btf/vmlinux), which fentry needs"
        }
    }

    /// Why a family would be wrong, or is not to be had, whatever the way.
    fn keeps_off(&self, family: &Family) -> Option<&'static str> {
        let reads = [datagrams::FAMILY.name, listeners::FAMILY.name];
        if !self.lockdown.lets_read() && reads.contains(&family.name) {
            return Some(
                "kernel lockdown (confidentiality) lets no program read kernel memory by address",
            );
        }
        (!self.shows_types && family.name == adoption::FAMILY.name)
            .then_some("a walk needs the kernel's own types, and it shows none")
    }
}

/// An error with its causes on one line.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut is_permission = false;
    let mut link = Some(error);
    while let Some(error) = link {
        is_permission |= is_not_permitted(error);
        link = error.source();
        if let Some(cause) = link {
            text = format!("{text}: {cause}");
        }
    }
    if is_permission {
        text.push_str(PERMISSION);
    }
    text
}

/// Why the kernel says EPERM to who has the capabilities.
const PERMISSION: &str = " (not permitted: a capability is missing, or kernel lockdown, a Linux security module or the container's seccomp filter forbids it)";

fn is_not_permitted(error: &(dyn std::error::Error + 'static)) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.raw_os_error() == Some(libc::EPERM))
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
    if std::env::var_os("VLOG").is_some() {
        eprintln!("{log}");
    }
    let last: Vec<&str> = log
        .lines()
        .filter(|line| !line.starts_with("processed ") && !line.trim().is_empty())
        .rev()
        .take(3)
        .collect();
    let last: Vec<&str> = last.into_iter().rev().collect();
    if is_not_permitted(io_error) {
        return format!("{io_error}{PERMISSION}");
    }
    format!("the verifier refused it: {io_error}: {}", last.join("; "))
}
