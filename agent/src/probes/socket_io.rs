//! Attach family: bytes sent and received on TCP sockets; user half of `ebpf/src/socket_io.rs`.

use super::{Attach, Family, Program};

/// The functions behind every system call that moves bytes: AF_INET's, then AF_INET6's.
pub const FAMILY: Family = Family {
    name: "socket_io",
    programs: &[
        Program {
            name: "socket_send_begin",
            attach: Attach::Entry("inet_sendmsg"),
            essential: true,
            gives: "when a send call began",
        },
        Program {
            name: "socket_send",
            attach: Attach::Exit("inet_sendmsg"),
            essential: true,
            gives: "bytes sent",
        },
        Program {
            name: "socket_receive_begin",
            attach: Attach::Entry("inet_recvmsg"),
            essential: false,
            gives: "how long requests waited in the socket",
        },
        Program {
            name: "socket_receive",
            attach: Attach::Exit("inet_recvmsg"),
            essential: true,
            gives: "bytes received",
        },
        Program {
            name: "socket_send_begin6",
            attach: Attach::Entry("inet6_sendmsg"),
            essential: false,
            gives: "when a send call on an IPv6 socket began",
        },
        Program {
            name: "socket_send6",
            attach: Attach::Exit("inet6_sendmsg"),
            essential: false,
            gives: "bytes sent on IPv6 sockets",
        },
        Program {
            name: "socket_receive_begin6",
            attach: Attach::Entry("inet6_recvmsg"),
            essential: false,
            gives: "how long requests waited in IPv6 sockets",
        },
        Program {
            name: "socket_receive6",
            attach: Attach::Exit("inet6_recvmsg"),
            essential: false,
            gives: "bytes received on IPv6 sockets",
        },
        Program {
            // Gone in 6.5 (MSG_SPLICE_PAGES).
            name: "socket_sendpage",
            attach: Attach::Exit("inet_sendpage"),
            essential: false,
            gives: "bytes sent by sendfile and splice on kernels before 6.5",
        },
        Program {
            name: "socket_splice",
            attach: Attach::Exit("sock_splice_read"),
            essential: false,
            gives: "bytes received by splice",
        },
    ],
    more_by_kprobes: &[Program {
        name: "socket_left",
        attach: Attach::Tracepoint("sys_exit"),
        essential: false,
        gives: "calls on TCP sockets whose return the kernel leaves out, and accepted connections",
    }],
    // Of both families.
    by_tracepoints: Some(&[
        Program {
            name: "syscall_begin",
            attach: Attach::Tracepoint("sys_enter"),
            essential: true,
            gives: "which socket a call is about, when a send call began, how long requests waited",
        },
        Program {
            name: "syscall_end",
            attach: Attach::Tracepoint("sys_exit"),
            essential: true,
            gives: "bytes sent and received",
        },
    ]),
};
