//! Attach family: connections over Unix stream sockets opening and closing; user half of `ebpf/src/unix_life.rs`.

use super::{Attach, Family, Program};

/// Gives the places of closed connections back.
pub const RELEASE: &str = "unix_release";

/// The functions behind the system calls: Unix sockets have no tracepoints for their states.
pub const FAMILY: Family = Family {
    name: "unix_life",
    programs: &[
        Program {
            // First, so that no slot is taken that is never given back.
            name: RELEASE,
            attach: Attach::Entry("unix_release"),
            essential: false,
            gives: "the end of Unix connections",
        },
        Program {
            name: "unix_connect_begin",
            attach: Attach::Entry("unix_stream_connect"),
            essential: false,
            gives: "Unix client connections",
        },
        Program {
            name: "unix_connect",
            attach: Attach::Exit("unix_stream_connect"),
            essential: false,
            gives: "Unix client connections",
        },
        Program {
            name: "unix_accept",
            attach: Attach::Exit("unix_accept"),
            essential: false,
            gives: "Unix server connections",
        },
        Program {
            name: "unix_pair",
            attach: Attach::Exit("unix_socketpair"),
            essential: false,
            gives: "pairs of Unix sockets",
        },
    ],
    more_by_kprobes: &[],
    by_tracepoints: None,
};
