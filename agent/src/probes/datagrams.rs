//! Attach family: datagrams on UDP sockets, counted per process; user half of `ebpf/src/datagrams.rs`.

use super::{Attach, Family, Program};

/// The functions behind every system call that moves datagrams.
pub const FAMILY: Family = Family {
    name: "datagrams",
    programs: &[
        Program {
            name: "datagram_send_begin",
            attach: Attach::Entry("udp_sendmsg"),
            essential: false,
            gives: "which calls make one IPv4 datagram together",
        },
        Program {
            name: "datagram_send",
            attach: Attach::Exit("udp_sendmsg"),
            essential: false,
            gives: "datagrams and bytes sent over IPv4",
        },
        Program {
            name: "datagram_send6_begin",
            attach: Attach::Entry("udpv6_sendmsg"),
            essential: false,
            gives: "which calls make one IPv6 datagram together",
        },
        Program {
            name: "datagram_send6",
            attach: Attach::Exit("udpv6_sendmsg"),
            essential: false,
            gives: "datagrams and bytes sent over IPv6",
        },
        Program {
            // Folded into udp_sendmsg in 6.5 (MSG_SPLICE_PAGES).
            name: "datagram_append_page",
            attach: Attach::Exit("ip_append_page"),
            essential: false,
            gives: "bytes sent in datagrams by sendfile and splice on kernels before 6.5",
        },
        Program {
            name: "datagram_receive",
            attach: Attach::Exit("udp_recvmsg"),
            essential: false,
            gives: "datagrams and bytes received over IPv4",
        },
        Program {
            name: "datagram_receive6",
            attach: Attach::Exit("udpv6_recvmsg"),
            essential: false,
            gives: "datagrams and bytes received over IPv6",
        },
        Program {
            name: "datagram_joined",
            attach: Attach::Entry("skb_consume_udp"),
            essential: false,
            gives: "how many datagrams one receive call returned at once (UDP_GRO)",
        },
    ],
    more_by_kprobes: &[Program {
        name: "datagram_left",
        attach: Attach::Tracepoint("sys_exit"),
        essential: false,
        gives: "received datagrams where the kernel leaves the return out",
    }],
    by_tracepoints: None,
};
