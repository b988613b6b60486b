//! Attach family: bytes sent and received on Unix stream sockets; user half of `ebpf/src/unix_io.rs`.

use super::{Attach, Family, Program};

/// The functions behind every system call that moves bytes.
pub const FAMILY: Family = Family {
    name: "unix_io",
    programs: &[
        Program {
            name: "unix_send_begin",
            attach: Attach::Entry("unix_stream_sendmsg"),
            essential: false,
            gives: "when a send call on a Unix socket began",
        },
        Program {
            name: "unix_send",
            attach: Attach::Exit("unix_stream_sendmsg"),
            essential: false,
            gives: "bytes sent on Unix sockets",
        },
        Program {
            name: "unix_receive",
            attach: Attach::Exit("unix_stream_recvmsg"),
            essential: false,
            gives: "bytes received on Unix sockets",
        },
        Program {
            // Gone in 6.5 (MSG_SPLICE_PAGES).
            name: "unix_sendpage",
            attach: Attach::Exit("unix_stream_sendpage"),
            essential: false,
            gives: "bytes sent by sendfile and splice on Unix sockets on kernels before 6.5",
        },
        Program {
            name: "unix_splice",
            attach: Attach::Exit("unix_stream_splice_read"),
            essential: false,
            gives: "bytes received by splice on Unix sockets",
        },
    ],
    more_by_kprobes: &[Program {
        name: "unix_left",
        attach: Attach::Tracepoint("sys_exit"),
        essential: false,
        gives: "calls on Unix sockets whose return the kernel leaves out",
    }],
    by_tracepoints: None,
};
