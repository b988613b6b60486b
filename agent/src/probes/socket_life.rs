//! Attach family: connections opening, closing, retransmitting; user half of `ebpf/src/socket_life.rs`.

use super::{Attach, Family, Program};

/// Tracepoints of TCP, and the one function that has none.
pub const FAMILY: Family = Family {
    name: "socket_life",
    programs: &[
        DESTROY,
        STATE,
        Program {
            name: "socket_accept",
            attach: Attach::Exit("inet_csk_accept"),
            essential: true,
            gives: "server connections",
        },
        RETRANSMIT,
    ],
    more_by_kprobes: &[],
    by_tracepoints: Some(&[
        DESTROY,
        STATE,
        Program {
            name: "syscall_accept",
            attach: Attach::Tracepoint("sys_exit"),
            essential: true,
            gives: "server connections",
        },
        RETRANSMIT,
    ]),
};

/// First, so that no slot is taken that is never given back.
const DESTROY: Program = Program {
    name: "socket_destroy",
    attach: Attach::Tracepoint("tcp_destroy_sock"),
    essential: true,
    gives: "places for new connections",
};

const STATE: Program = Program {
    name: "socket_state",
    attach: Attach::Tracepoint("inet_sock_set_state"),
    essential: true,
    gives: "client connections and the end of all connections",
};

const RETRANSMIT: Program = Program {
    name: "socket_retransmit",
    attach: Attach::Tracepoint("tcp_retransmit_skb"),
    essential: false,
    gives: "retransmits",
};
