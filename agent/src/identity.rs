//! Who is at each end: pids become programs, programs get labels. Pure: no clock, no `/proc`.
//!
//! A *program* is a process tree: a process and its descendants for as long as each has the executable,
//! the container and the systemd unit of its parent, and no `OTEL_SERVICE_NAME` of its own. So nginx and
//! its workers are one program, and so are a Python supervisor and its Python children unless a unit,
//! a container or a service name tells them apart.
//!
//! A program is named when it is first asked for, after its topmost process that still lives (a daemon's
//! starter does not), and keeps that name to its end.

pub mod container;
mod environment;
mod exclusion;
mod naming;
pub mod process;
mod programs;

#[cfg(test)]
mod invariants;
#[cfg(test)]
mod tests;

use crate::hash::FastMap;
use crate::records::Started;
pub use crate::records::facts::{Facts, Source, TICK_NS, is_same_start};
pub use exclusion::Exclusions;
use programs::Programs;
pub use programs::{Label, ProgramKey};
use std::collections::VecDeque;

/// All living processes, each in its program.
#[derive(Debug)]
pub struct Identity {
    processes: FastMap<u32, Process>,
    programs: Programs,
    exclusions: Exclusions,
    /// Ended processes in the order of their end: when to forget which.
    leaving: VecDeque<(u64, u32)>,
    changes: u64,
    unknown_total: u64,
    overflow_total: u64,
}

/// What the agent tells about this stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Processes known now.
    pub processes: usize,
    /// Programs known now, and ended ones that were not drained.
    pub programs: usize,
    /// Times that [`Identity::program`] was asked about a pid of which nothing was known.
    pub unknown_total: u64,
    /// Processes that were not remembered because a table was full.
    pub overflow_total: u64,
}

/// Processes that are remembered, at most. Newcomers are refused: those that are long there matter more.
pub const PROCESSES_MAX: usize = 65_536;

/// How long an ended process can still be asked for, in record time: records of its last calls may
/// come after the record of its end.
pub const GRACE_NS: u64 = 1_000_000_000;

/// One per process, and as many that ended and wait to be drained.
const PROGRAMS_MAX: usize = 2 * PROCESSES_MAX;

#[derive(Debug)]
struct Process {
    facts: Facts,
    /// None when it is not known what it runs.
    program: Option<ProgramKey>,
    /// It was asked for, so what was guessed about it counts.
    is_settled: bool,
    has_ended: bool,
}

impl Default for Identity {
    fn default() -> Self {
        Self::new()
    }
}

impl Identity {
    /// Knows nobody.
    pub fn new() -> Self {
        Self::without(Exclusions::default())
    }

    /// The same, and which programs are not measured.
    pub fn without(exclusions: Exclusions) -> Self {
        Self {
            exclusions,
            processes: FastMap::default(),
            programs: Programs::new(),
            leaving: VecDeque::new(),
            changes: 0,
            unknown_total: 0,
            overflow_total: 0,
        }
    }

    /// Whether [`learn`](Self::learn) could improve what [`program`](Self::program) will answer: ask
    /// before that, and if so read the process and its ancestors from `/proc`.
    pub fn wants_facts(&self, pid: u32) -> bool {
        self.processes.get(&pid).is_none_or(|process| {
            let is_guess = process.facts.source != Source::Proc && !process.is_settled;
            !process.has_ended && (is_guess || process.program.is_none())
        })
    }

    /// A process as `/proc` told it. Ancestors come before their descendants.
    pub fn learn(&mut self, mut facts: Facts) {
        let Some(known) = self.process(&facts) else {
            if !self.is_successor(&facts) {
                self.place(facts, None);
            }
            return;
        };
        let is_worse = facts.source == Source::Comm && known.program.is_some();
        if known.has_ended || is_worse {
            return;
        }
        if facts.cgroup == 0 {
            facts.cgroup = known.facts.cgroup;
        }
        let was_guess = known.facts.source != Source::Proc;
        let program = known.program.filter(|&key| {
            facts.continues(&known.facts)
                || was_guess && (known.is_settled || self.is_better_root(&facts, key))
        });
        self.place(facts, program);
    }

    /// A process forked or executed.
    pub fn started(&mut self, record: &Started) {
        if record.is_exec {
            self.executed(Facts::from_exec(record));
        } else {
            self.forked(record);
        }
    }

    /// The last thread of a process ended.
    pub fn ended(&mut self, pid: u32, time_ns: u64) {
        let Some(process) = self.processes.get_mut(&pid) else {
            return;
        };
        if std::mem::replace(&mut process.has_ended, true) {
            return;
        }
        if self.leaving.len() >= PROCESSES_MAX
            && let Some((_, first)) = self.leaving.pop_front()
        {
            self.forget(first);
        }
        self.leaving
            .push_back((time_ns.saturating_add(GRACE_NS), pid));
    }

    /// Record time has come to `now_ns`: processes that ended [`GRACE_NS`] ago are forgotten.
    pub fn tick(&mut self, now_ns: u64) {
        while let Some((_, pid)) = self.leaving.pop_front_if(|(due_ns, _)| *due_ns <= now_ns) {
            self.forget(pid);
        }
    }

    /// The program of a process; [`unknown`](Self::unknown), counted, if nothing is known about it.
    pub fn program(&mut self, pid: u32) -> ProgramKey {
        let process = self.processes.get_mut(&pid);
        let Some((process, key)) = process.and_then(|process| {
            let key = process.program?;
            Some((process, key))
        }) else {
            self.unknown_total = self.unknown_total.saturating_add(1);
            return Self::unknown();
        };
        if !std::mem::replace(&mut process.is_settled, true) && !self.programs.is_named(key) {
            self.name(key, pid);
        }
        key
    }

    /// How often something new was learnt of a pid that was known: as long as this stays, so do the answers of
    /// [`program`](Self::program) and [`wants_facts`](Self::wants_facts) for each pid that lives and was asked for.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// Whether the process is known and has not ended.
    pub fn is_alive(&self, pid: u32) -> bool {
        self.processes
            .get(&pid)
            .is_some_and(|process| !process.has_ended)
    }

    /// Like [`program`](Self::program), of the process that started then: its pid may be another one's by now.
    pub fn program_since(&mut self, pid: u32, start_boottime_ns: u64) -> ProgramKey {
        let process = self.processes.get(&pid);
        if process.is_some_and(|process| {
            !is_same_start(process.facts.start_boottime_ns, start_boottime_ns)
        }) {
            self.unknown_total = self.unknown_total.saturating_add(1);
            return Self::unknown();
        }
        self.program(pid)
    }

    /// The program of all processes about which nothing is known. It never ends.
    pub const fn unknown() -> ProgramKey {
        programs::UNKNOWN
    }

    /// The labels of a program; those of [`unknown`](Self::unknown) once its end was drained.
    pub fn labels(&self, key: ProgramKey) -> &[Label] {
        self.programs.labels(key)
    }

    /// Whether any program may be excluded.
    pub fn has_exclusions(&self) -> bool {
        !self.exclusions.is_empty()
    }

    /// Whether a program is not to be measured. That of unknown processes always is.
    pub fn is_excluded(&self, key: ProgramKey) -> bool {
        self.programs.is_excluded(key)
    }

    /// How many processes live in programs that were asked for and are not measured.
    pub fn excluded(&self) -> usize {
        self.programs.excluded_members()
    }

    /// The programs that were asked for and whose last process was forgotten, or went over to another
    /// program, since the last call. Whoever does not call this lets the table fill.
    pub fn drain_ended(&mut self) -> impl Iterator<Item = ProgramKey> {
        self.programs.drain_ended()
    }

    /// The processes believed to live, in no order, each with its start ([`Facts::start_boottime_ns`]). When
    /// records of ends were lost, the edge calls [`ended`](Self::ended) for those that `/proc` no longer has.
    pub fn living(&self) -> impl Iterator<Item = (u32, u64)> {
        self.processes
            .iter()
            .filter(|(_, process)| !process.has_ended)
            .map(|(pid, process)| (*pid, process.facts.start_boottime_ns))
    }

    /// How much there is, and what was not known.
    pub fn counts(&self) -> Counts {
        Counts {
            processes: self.processes.len(),
            programs: self.programs.len(),
            unknown_total: self.unknown_total,
            overflow_total: self.overflow_total,
        }
    }

    /// A new process runs what its parent runs, where its parent runs it.
    fn forked(&mut self, record: &Started) {
        let mut facts = Facts::nameless(record);
        // `/proc` may have told of it before its record came, and more. One that has ended is another
        // one, whatever `/proc`'s coarse clock says of their starts.
        if self
            .process(&facts)
            .is_some_and(|known| known.program.is_some() && !known.has_ended)
        {
            return;
        }
        if let Some(parent) = self.processes.get(&record.parent_pid) {
            let is_in_same_place = facts.inherit(&parent.facts);
            facts.executable.clone_from(&parent.facts.executable);
            if is_in_same_place {
                facts.source = parent.facts.source;
            }
        }
        self.place(facts, None);
    }

    /// A process runs another file, maybe the same again. Its environment and its place are guessed to
    /// be what they were, until `/proc` tells.
    fn executed(&mut self, mut facts: Facts) {
        let known = self.process(&facts);
        let Some(before) = known.or_else(|| self.processes.get(&facts.parent_pid)) else {
            self.place(facts, None);
            return;
        };
        facts.inherit(&before.facts);
        // A program that executes itself again may call itself so, and `/proc` has the better name.
        if facts.executable == "/proc/self/exe" || facts.has_same_executable(&before.facts) {
            facts.executable.clone_from(&before.facts.executable);
        }
        let program = known
            .filter(|known| facts.continues(&known.facts))
            .and_then(|known| known.program);
        self.place(facts, program);
    }

    /// The process that `facts` are about, if it is known.
    fn process(&self, facts: &Facts) -> Option<&Process> {
        self.processes
            .get(&facts.pid)
            .filter(|process| process.facts.is_same_process(facts))
    }

    /// Whether `/proc` is ahead: it has the next process with the pid of one that records still tell of. That
    /// one's end is on its way, and then the next one's start.
    fn is_successor(&self, facts: &Facts) -> bool {
        self.processes.get(&facts.pid).is_some_and(|known| {
            !known.has_ended && known.facts.start_boottime_ns < facts.start_boottime_ns
        })
    }

    /// Puts a process into `program`, or else into the one to which it belongs by its facts; takes it, or
    /// the one that had its pid before, out of where it was.
    fn place(&mut self, facts: Facts, program: Option<ProgramKey>) {
        let pid = facts.pid;
        if !self.processes.contains_key(&pid) && self.processes.len() >= PROCESSES_MAX {
            self.overflow_total = self.overflow_total.saturating_add(1);
            return;
        }
        let program = program
            .or_else(|| self.parents_program(&facts))
            .or_else(|| self.new_program(&facts));
        // In before out: it may be the last one in the program it stays in.
        if let Some(key) = program {
            self.programs.join(key);
        }
        let process = Process {
            facts,
            program,
            is_settled: false,
            has_ended: false,
        };
        let before = self.processes.insert(pid, process);
        if before.is_some() {
            self.changes += 1;
        }
        if let Some(key) = before.and_then(|before| before.program) {
            self.programs.leave(key);
        }
    }

    fn parents_program(&self, facts: &Facts) -> Option<ProgramKey> {
        let parent = self.processes.get(&facts.parent_pid)?;
        let is_parent = facts.parent_pid != facts.pid
            && !parent.has_ended
            && facts.may_descend_from(&parent.facts);
        parent
            .program
            .filter(|_| is_parent && facts.continues(&parent.facts))
    }

    fn new_program(&mut self, facts: &Facts) -> Option<ProgramKey> {
        if facts.executable.is_empty() {
            return None;
        }
        if self.programs.len() >= PROGRAMS_MAX {
            self.overflow_total = self.overflow_total.saturating_add(1);
            return None;
        }
        Some(self.programs.begin(facts.pid))
    }

    /// Whether `facts` say more about the process with which a program began, and leave it there.
    fn is_better_root(&self, facts: &Facts, key: ProgramKey) -> bool {
        self.programs.root_pid(key) == Some(facts.pid)
            && (self.programs.is_named(key) || self.parents_program(facts).is_none())
    }

    fn forget(&mut self, pid: u32) {
        // The pid may have passed to a process that lives.
        if self
            .processes
            .get(&pid)
            .is_none_or(|process| !process.has_ended)
        {
            return;
        }
        if let Some(key) = self
            .processes
            .remove(&pid)
            .and_then(|process| process.program)
        {
            self.programs.leave(key);
        }
        // Who comes next with this pid is another one.
        self.changes += 1;
    }
}
