//! Programs in the pipeline: the series of each, which are excluded, and what becomes of what an ended one leaves.

use super::Pipeline;
use crate::{
    identity::{Identity, ProgramKey},
    series::ProcessKey,
};
use std::collections::BTreeSet;

/// Processes of which the kernel side is to be told that they are excluded, at most; one that finds no room is told when
/// it opens its next connection.
const EXCLUDED_MAX: usize = 4096;

/// The holder of a connection whose holder is not known.
const NO_PID: u32 = 0;

/// Processes of which the answer is remembered, a power of two: those that open connections at a time.
const ASKED_CELLS: usize = 32;

/// Who was asked for lately. A pid has one cell where it can be.
#[derive(Debug, Default)]
pub(super) struct Asked([Option<Answer>; ASKED_CELLS]);

/// Whose series those of a process are; neither nobody's nor an excluded program's.
#[derive(Clone, Copy, Debug)]
struct Answer {
    pid: u32,
    /// [`Identity::changes`] then: it holds as long as they stay.
    changes: u64,
    program: ProgramKey,
    process: ProcessKey,
}

impl Asked {
    fn cell(&mut self, pid: u32) -> &mut Option<Answer> {
        let Self(cells) = self;
        &mut cells[pid as usize % ASKED_CELLS]
    }
}

impl Pipeline {
    /// The series of the program that a process belongs to.
    pub(super) fn process(&mut self, pid: u32) -> (ProgramKey, ProcessKey) {
        if let Some(known) = self.asked(pid) {
            return known;
        }
        let (program, process) = self.look_up(pid);
        if program != Identity::unknown() && process != ProcessKey::EXCLUDED {
            *self.asked.cell(pid) = Some(Answer {
                pid,
                changes: self.identity.changes(),
                program,
                process,
            });
        }
        (program, process)
    }

    /// The same, if it was asked for lately and nothing was learnt since.
    pub(super) fn asked(&mut self, pid: u32) -> Option<(ProgramKey, ProcessKey)> {
        let changes = self.identity.changes();
        let answer = self.asked.cell(pid).as_ref()?;
        let holds = answer.pid == pid && answer.changes == changes;
        holds.then_some((answer.program, answer.process))
    }

    fn look_up(&mut self, pid: u32) -> (ProgramKey, ProcessKey) {
        let program = self.identity.program(pid);
        let process = self.series_of(program);
        if process == ProcessKey::EXCLUDED
            && self.excluded.len() < EXCLUDED_MAX
            && self.identity.is_alive(pid)
        {
            self.excluded.push((pid, true));
        }
        (program, process)
    }

    /// A process has ended, or runs another program: whether that one is excluded is not known yet.
    pub(super) fn forget_excluded(&mut self, pid: u32) {
        if self.identity.has_exclusions() {
            self.excluded.retain(|(other, _)| *other != pid);
            self.excluded.push((pid, false));
        }
    }

    /// The processes that were found to be excluded since the last call, or are not any more, in this order.
    pub fn drain_excluded(&mut self) -> Vec<(u32, bool)> {
        std::mem::take(&mut self.excluded)
    }

    /// How many processes are excluded, of those that would be measured.
    pub fn excluded(&self) -> usize {
        self.identity.excluded()
    }

    pub(super) fn series_of(&mut self, program: ProgramKey) -> ProcessKey {
        if self.identity.is_excluded(program) {
            return ProcessKey::EXCLUDED;
        }
        if !self.processes.contains_key(&program) {
            // One that had its pid may have ended since the last tick.
            self.end_programs();
        }
        let (identity, series, now_ns) = (&self.identity, &mut self.series, self.now_ns);
        *self
            .processes
            .entry(program)
            .or_insert_with(|| series.add_process(identity.labels(program), now_ns))
    }

    /// Ends the series of programs that have no process any more. A connection of theirs that is still open
    /// is that of the program that its process runs now (it executed another file), if `/proc` was asked what
    /// that is, or else of somebody who has not used it yet: nobody is guessed.
    pub(super) fn end_programs(&mut self) {
        let ended: BTreeSet<ProgramKey> = self.identity.drain_ended().collect();
        if ended.is_empty() {
            return;
        }
        self.unlisten_all(&ended);
        for program in &ended {
            if let Some(process) = self.processes.remove(program) {
                self.series.end_process(process, self.now_ns);
            }
        }
        let left = self.connections.iter();
        let mut left: Vec<_> = left
            .filter(|(_, connection)| ended.contains(&connection.talk.program))
            .map(|(id, connection)| (id, connection.pid))
            .collect();
        // So that the same records always make the same series in the same order.
        left.sort_unstable_by_key(|(id, _)| id.0);
        for (id, pid) in left {
            let is_known = self.identity.is_alive(pid) && !self.identity.wants_facts(pid);
            self.hand_over(id, if is_known { pid } else { NO_PID });
        }
    }
}
