//! Attach family: listening sockets and their accept queues; user half of `ebpf/src/listeners.rs`.

use super::{Attach, Family, Program};

/// The name of the program that reads one listening socket.
pub const READ: &str = "listener_read";

/// Which sockets listen is told by `socket_state` and by the walk of `adoption`.
pub const FAMILY: Family = Family {
    name: "listeners",
    programs: &[Program {
        name: READ,
        attach: Attach::Asked,
        essential: false,
        gives: "accept queues",
    }],
    more_by_kprobes: &[],
    by_tracepoints: None,
};
