//! Attach family: processes starting and ending; user half of `ebpf/src/process_life.rs`.

use super::{Attach, Family, Program};

/// Tracepoints of the scheduler, as old as tp_btf itself (5.5).
pub const FAMILY: Family = Family {
    name: "process_life",
    programs: &[
        Program {
            name: "process_fork",
            attach: Attach::Tracepoint("sched_process_fork"),
            essential: false,
            gives: "the process of short-lived workers",
        },
        Program {
            name: "process_exec",
            attach: Attach::Tracepoint("sched_process_exec"),
            essential: false,
            gives: "the name of short-lived programs",
        },
        Program {
            name: "process_exit",
            attach: Attach::Tracepoint("sched_process_exit"),
            essential: false,
            gives: "series that end with their process",
        },
    ],
    more_by_kprobes: &[],
    by_tracepoints: None,
};
