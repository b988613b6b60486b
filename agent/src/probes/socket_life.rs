//! Attach family: connections opening, closing, retransmitting; user half of `ebpf/src/socket_life.rs`.

use super::{Attach, Family, Program};

/// Tracepoints of TCP, and the one function that has none.
pub const FAMILY: Family = Family {
    name: "socket_life",
    programs: &[
        Program {
            // First, so that no slot is taken that is never given back.
            name: "socket_destroy",
            attach: Attach::Tracepoint("tcp_destroy_sock"),
            essential: true,
            gives: "places for new connections",
        },
        Program {
            name: "socket_state",
            attach: Attach::Tracepoint("inet_sock_set_state"),
            essential: true,
            gives: "client connections and the end of all connections",
        },
        Program {
            name: "socket_accept",
            attach: Attach::Exit("inet_csk_accept"),
            essential: true,
            gives: "server connections",
        },
        Program {
            name: "socket_retransmit",
            attach: Attach::Tracepoint("tcp_retransmit_skb"),
            essential: false,
            gives: "retransmits",
        },
    ],
    by_tracepoints: None,
};
