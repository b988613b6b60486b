//! What a program is called: by which of its processes, and with which labels.

use super::{Facts, Identity, Label, ProgramKey, process::ANCESTORS_MAX};

impl Identity {
    /// Names the program after the process with which it began, if that lives in it still; else after the topmost
    /// of those above the one that is asked for.
    pub(super) fn name(&mut self, key: ProgramKey, asked_pid: u32) {
        let root_pid = self
            .programs
            .root_pid(key)
            .filter(|&pid| self.is_living_member(pid, key))
            .unwrap_or_else(|| self.topmost(asked_pid, key));
        if let Some(root) = self.processes.get(&root_pid) {
            let is_excluded = self.exclusions.hold(&root.facts, service_name(&root.facts));
            self.programs.name(key, labels(&root.facts), is_excluded);
        }
    }

    fn topmost(&self, pid: u32, key: ProgramKey) -> u32 {
        let mut top = pid;
        for _ in 0..ANCESTORS_MAX {
            let process = self.processes.get(&top);
            match process.map(|process| process.facts.parent_pid) {
                Some(parent) if self.is_living_member(parent, key) => top = parent,
                _ => break,
            }
        }
        top
    }

    fn is_living_member(&self, pid: u32, key: ProgramKey) -> bool {
        self.processes
            .get(&pid)
            .is_some_and(|process| !process.has_ended && process.program == Some(key))
    }
}

fn service_name(facts: &Facts) -> &str {
    let service = facts.service_name.as_deref().or(facts.unit.as_deref());
    service.unwrap_or(facts.name())
}

fn labels(facts: &Facts) -> Vec<Label> {
    let name = facts.name();
    let mut labels = vec![
        ("service_name", service_name(facts).to_owned()),
        ("process_executable_name", name.to_owned()),
        ("process_pid", facts.pid.to_string()),
    ];
    labels.extend(facts.container_id.clone().map(|id| ("container_id", id)));
    labels
}
