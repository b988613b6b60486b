//! Attach family: what was open before the probes; user half of `ebpf/src/adoption.rs`.

use super::{Attach, Family, Program};

/// The name of the walk over all open files.
pub const WALK: &str = "open_files";

/// An iterator (5.8) that takes sockets from files (5.11).
pub const FAMILY: Family = Family {
    name: "adoption",
    programs: &[Program {
        name: WALK,
        attach: Attach::Walk("task_file"),
        essential: false,
        gives: "connections and listening sockets that are older than the agent, before their next use",
    }],
    more_by_kprobes: &[],
    by_tracepoints: None,
};
