//! Attach family: bytes sent and received on TCP sockets; user half of `ebpf/src/socket_io.rs`.

use super::{Attach, Family, Program};

/// The functions behind every system call that moves bytes.
pub const FAMILY: Family = Family {
    name: "socket_io",
    programs: &[
        Program {
            name: "socket_send_begin",
            attach: Attach::Entry("tcp_sendmsg"),
            essential: true,
            gives: "when a send call began",
        },
        Program {
            name: "socket_send",
            attach: Attach::Exit("tcp_sendmsg"),
            essential: true,
            gives: "bytes sent",
        },
        Program {
            // Folded into tcp_sendmsg in 6.5 (MSG_SPLICE_PAGES).
            name: "socket_sendpage",
            attach: Attach::Exit("tcp_sendpage"),
            essential: false,
            gives: "bytes sent by sendfile and splice on kernels before 6.5",
        },
        Program {
            name: "socket_receive",
            attach: Attach::Exit("tcp_recvmsg"),
            essential: true,
            gives: "bytes received",
        },
        Program {
            name: "socket_splice",
            attach: Attach::Exit("tcp_splice_read"),
            essential: false,
            gives: "bytes received by splice",
        },
    ],
};
