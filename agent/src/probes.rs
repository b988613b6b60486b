//! Probes: loads the kernel object, attaches each family, reports each verdict.
//!
//! One refused program costs one feature, never the agent; what is essential for it is said by each
//! program in its family's list.

pub mod adoption;
pub mod datagrams;
mod kernel;
pub mod listeners;
mod missed;
mod numbers;
mod object;
mod on_demand;
pub mod process_life;
mod program;
pub mod socket_io;
pub mod socket_life;
#[cfg(test)]
mod tests;
pub mod unix_io;
pub mod unix_life;
mod way;

pub use program::{Attach, Family, Program};
pub use way::Wanted;

use crate::{
    check,
    config::Config,
    health::{ProbeHealth, Verdict},
    kernel_btf::BtfError,
    records::{KernelMaps, MapError},
};
use aya::{
    Btf, Ebpf,
    programs::{Program as Loaded, ProgramError},
};
use kernel::Kernel;
use object::Object;
use std::io;
use way::Way;

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
        let typed = || Self::with(Object::Typed, &[Way::Fentry], &kernel, config);
        let mut faults = usize::MAX;
        if kernel.lends_storage && ways.first() == Some(&Way::Fentry) {
            let started = typed()?;
            faults = started.0.faults();
            if faults == 0 || wanted == Wanted::Fentry || !kernel.lockdown.lets_read() {
                return Ok(started);
            }
        }
        if ways.is_empty() || !kernel.lockdown.lets_read() {
            return Err(ProbeError::NoWay {
                why: kernel.forbids(),
            });
        }
        let started = Self::with(Object::Fallback, &ways, &kernel, config)?;
        if started.0.faults() < faults {
            return Ok(started);
        }
        // What is refused has nothing to do with the way: a security module refuses it, for one.
        drop(started);
        typed()
    }

    fn faults(&self) -> usize {
        check::faults(&self.verdicts).count()
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
            let why = why.to_owned();
            return ProbeHealth::of_all(family, way, &Verdict::Off { why });
        }
        let Some(programs) = family.programs_by(way) else {
            let why = "the kernel has no tracepoints for it".to_owned();
            return ProbeHealth::of_all(family, way, &Verdict::Unsupported { why });
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
}

fn is_attached<'a>(mut probes: impl Iterator<Item = &'a ProbeHealth>, program: &str) -> bool {
    probes.any(|probe| probe.program == program && probe.verdict == Verdict::Attached)
}

impl ProbeHealth {
    /// The same verdict on all programs of a family.
    fn of_all(family: &Family, way: Way, verdict: &Verdict) -> Vec<Self> {
        let programs = family.programs.iter();
        programs
            .map(|program| Self::of(family, program, way.kind(program.attach), verdict.clone()))
            .collect()
    }

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
