//! Programs: who has how many members, what it is called, and which have ended.

use crate::hash::FastMap;
use std::collections::VecDeque;

/// The programs that live, and those that ended and were not drained yet.
#[derive(Debug)]
pub(super) struct Programs {
    by_key: FastMap<ProgramKey, Program>,
    keys_given: u64,
    ended: VecDeque<ProgramKey>,
    unknown: Vec<Label>,
}

/// A program; never given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProgramKey(pub u64);

/// A label's name and value.
pub type Label = (&'static str, String);

/// Key of the program of all processes about which nothing is known.
pub(super) const UNKNOWN: ProgramKey = ProgramKey(0);

#[derive(Debug)]
struct Program {
    /// The process with which it began.
    root_pid: u32,
    members: usize,
    /// Empty until it is asked for.
    labels: Vec<Label>,
    /// Not to be measured; decided with the labels.
    is_excluded: bool,
}

impl Programs {
    pub(super) fn new() -> Self {
        let unknown = |name| (name, "unknown".to_owned());
        Self {
            by_key: FastMap::default(),
            keys_given: UNKNOWN.0,
            ended: VecDeque::new(),
            unknown: vec![unknown("service_name"), unknown("process_executable_name")],
        }
    }

    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }

    /// A program without members yet.
    pub(super) fn begin(&mut self, root_pid: u32) -> ProgramKey {
        self.keys_given += 1;
        let key = ProgramKey(self.keys_given);
        self.by_key.insert(
            key,
            Program {
                root_pid,
                members: 0,
                labels: Vec::new(),
                is_excluded: false,
            },
        );
        key
    }

    pub(super) fn join(&mut self, key: ProgramKey) {
        if let Some(program) = self.by_key.get_mut(&key) {
            program.members += 1;
        }
    }

    pub(super) fn leave(&mut self, key: ProgramKey) {
        let Some(program) = self.by_key.get_mut(&key) else {
            return;
        };
        program.members = program.members.saturating_sub(1);
        if program.members > 0 {
            return;
        }
        if program.labels.is_empty() {
            // Nobody was told of it, so nobody needs to hear of its end.
            self.by_key.remove(&key);
        } else {
            self.ended.push_back(key);
        }
    }

    pub(super) fn root_pid(&self, key: ProgramKey) -> Option<u32> {
        self.by_key.get(&key).map(|program| program.root_pid)
    }

    pub(super) fn is_named(&self, key: ProgramKey) -> bool {
        self.by_key
            .get(&key)
            .is_some_and(|program| !program.labels.is_empty())
    }

    pub(super) fn name(&mut self, key: ProgramKey, labels: Vec<Label>, is_excluded: bool) {
        if let Some(program) = self.by_key.get_mut(&key) {
            program.labels = labels;
            program.is_excluded = is_excluded;
        }
    }

    pub(super) fn is_excluded(&self, key: ProgramKey) -> bool {
        self.by_key
            .get(&key)
            .is_some_and(|program| program.is_excluded)
    }

    pub(super) fn excluded_members(&self) -> usize {
        let excluded = self.by_key.values().filter(|program| program.is_excluded);
        excluded.map(|program| program.members).sum()
    }

    pub(super) fn labels(&self, key: ProgramKey) -> &[Label] {
        match self.by_key.get(&key) {
            Some(program) if !program.labels.is_empty() => &program.labels,
            _ => &self.unknown,
        }
    }

    pub(super) fn drain_ended(&mut self) -> impl Iterator<Item = ProgramKey> {
        std::iter::from_fn(move || {
            let key = self.ended.pop_front()?;
            self.by_key.remove(&key);
            Some(key)
        })
    }
}
