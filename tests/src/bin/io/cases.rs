//! The cases: by what path each end takes and gives its bytes.

use std::io;

use crate::calls::{
    Receive, Send, Socket,
    connect::Kind,
    options,
    pipe::{self, Fill, SpliceFrom, SpliceTo},
    receive, send, tls,
    uring::{Give, Giving, Mode, Multishot, Take, Taking},
    zero_copy::{Mapped, ZeroCopy},
};

/// One path, used by both ends of one connection.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) receive: fn() -> io::Result<Box<dyn Receive>>,
    pub(crate) send: fn() -> io::Result<Box<dyn Send>>,
    /// What each end's socket is told before its first byte.
    pub(crate) prepare: fn(&Socket) -> io::Result<()>,
    /// Only bodies take the path; heads are read and written.
    pub(crate) bodies_only: bool,
    /// No call asks for more bytes than are known to come.
    pub(crate) exact: bool,
    /// Whether what was received can be compared with what was sent.
    pub(crate) content: bool,
    pub(crate) kind: Kind,
    /// Bytes of the large download, and of the upload.
    pub(crate) bodies: [usize; 2],
    pub(crate) ending: Ending,
}

/// How a connection ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The client closes after its last response.
    Close,
    /// The client says with its last request that it sends nothing more; the server waits for that.
    HalfClose,
    /// The server resets after its last response.
    ResetAfter,
    /// The same, before the client has read that.
    ResetBefore,
    /// The same, while the call is under way with which the client reads that.
    ResetDuring,
    /// The server resets in the middle of its last response.
    ResetWithin,
    /// The client closes in the middle of the last response.
    CloseWithin,
}

fn unprepared(_: &Socket) -> io::Result<()> {
    Ok(())
}

const READ_WRITE: Case = Case {
    name: "read, write",
    receive: || receive::plain(receive::read),
    send: || send::plain(send::write),
    prepare: unprepared,
    bodies_only: false,
    exact: false,
    content: true,
    kind: Kind::Tcp,
    bodies: [100_000, 50_000],
    ending: Ending::Close,
};

/// For cases with a call for each byte, which take their time in an emulated machine.
const SMALL_BODIES: [usize; 2] = [2000, 1000];

macro_rules! receiving {
    ($name:literal, $call:expr $(, $field:ident: $value:expr)*) => {
        Case { name: $name, receive: || receive::plain($call), $($field: $value,)* ..READ_WRITE }
    };
}

macro_rules! sending {
    ($name:literal, $call:expr $(, $field:ident: $value:expr)*) => {
        Case { name: $name, send: || send::plain($call), $($field: $value,)* ..READ_WRITE }
    };
}

/// Both directions by one operation of io_uring.
macro_rules! uring {
    ($name:literal, $mode:ident, $take:ident, $give:ident) => {
        Case {
            name: concat!("io_uring ", $name),
            receive: || Taking::path(Mode::$mode, Take::$take),
            send: || Giving::path(Mode::$mode, Give::$give),
            ..READ_WRITE
        }
    };
}

pub(crate) const ALL: &[Case] = &[
    READ_WRITE,
    receiving!("readv", receive::readv),
    receiving!("read of one byte", receive::read_bytes, bodies: SMALL_BODIES),
    receiving!("recv", receive::recv),
    receiving!("recvfrom", receive::recvfrom),
    receiving!("recvmsg", receive::recvmsg),
    receiving!("recvmmsg", receive::recvmmsg),
    receiving!("MSG_WAITALL", receive::recv_all, exact: true),
    receiving!("MSG_PEEK, read", receive::peek_read),
    receiving!("MSG_TRUNC, bodies", receive::discard, bodies_only: true, content: false),
    receiving!("SO_RCVLOWAT", receive::read_at_low_water, exact: true),
    sending!("writev", send::writev),
    sending!("writev, few of one byte", send::writev_few_bytes),
    sending!("writev, all of one byte", send::writev_bytes),
    sending!("write of one byte", send::write_bytes, bodies: SMALL_BODIES),
    sending!("send", send::send),
    sending!("sendto", send::sendto),
    sending!("sendmsg", send::sendmsg),
    sending!("sendmmsg", send::sendmmsg),
    sending!("MSG_MORE", send::send_more),
    sending!("TCP_CORK", send::corked),
    sending!("sendfile, bodies", pipe::sendfile, bodies_only: true),
    sending!("sendfile", pipe::sendfile),
    Case {
        name: "splice from the socket, bodies",
        receive: SpliceFrom::path,
        bodies_only: true,
        ..READ_WRITE
    },
    Case {
        name: "splice from the socket",
        receive: SpliceFrom::path,
        ..READ_WRITE
    },
    Case {
        name: "splice to the socket, bodies",
        send: || SpliceTo::path(Fill::Write),
        bodies_only: true,
        ..READ_WRITE
    },
    Case {
        name: "splice to the socket",
        send: || SpliceTo::path(Fill::Write),
        ..READ_WRITE
    },
    Case {
        name: "vmsplice, splice, bodies",
        send: || SpliceTo::path(Fill::Vmsplice),
        bodies_only: true,
        ..READ_WRITE
    },
    Case {
        name: "tee, splice, bodies",
        send: || SpliceTo::path(Fill::Tee),
        bodies_only: true,
        ..READ_WRITE
    },
    Case {
        name: "MSG_ZEROCOPY",
        send: ZeroCopy::path,
        prepare: ZeroCopy::prepare,
        ..READ_WRITE
    },
    Case {
        name: "TCP_ZEROCOPY_RECEIVE, bodies",
        receive: Mapped::path,
        send: ZeroCopy::path,
        prepare: ZeroCopy::prepare,
        bodies_only: true,
        ..READ_WRITE
    },
    Case {
        name: "kTLS",
        prepare: tls::prepare,
        ..READ_WRITE
    },
    Case {
        name: "kTLS, recvmsg, sendmsg",
        receive: || receive::plain(receive::recvmsg),
        send: || send::plain(send::sendmsg),
        prepare: tls::prepare,
        ..READ_WRITE
    },
    Case {
        name: "kTLS, sendfile, bodies",
        send: || send::plain(pipe::sendfile),
        prepare: tls::prepare,
        bodies_only: true,
        ..READ_WRITE
    },
    Case {
        name: "kTLS, splice from the socket, bodies",
        receive: SpliceFrom::path,
        prepare: tls::prepare,
        bodies_only: true,
        ..READ_WRITE
    },
    uring!("recv, send", Plain, Recv, Send),
    uring!("recvmsg, sendmsg", Plain, Recvmsg, Sendmsg),
    uring!("read, write", Plain, Read, Write),
    uring!("readv, writev", Plain, Readv, Writev),
    uring!("read_fixed, write_fixed", Plain, ReadFixed, WriteFixed),
    Case {
        bodies_only: true,
        ..uring!(
            "read_fixed, write_fixed, bodies",
            Plain,
            ReadFixed,
            WriteFixed
        )
    },
    uring!("send_zc", Plain, Recv, SendZc),
    uring!("send_zc from a fixed buffer", Plain, Recv, SendZcFixed),
    uring!("sendmsg_zc", Plain, Recv, SendmsgZc),
    uring!("recv, send, SQPOLL", Polled, Recv, Send),
    uring!("recv, send, io-wq", Workers, Recv, Send),
    Case {
        name: "io_uring multishot recv, provided buffers",
        receive: Multishot::path,
        ..READ_WRITE
    },
    Case {
        name: "O_NONBLOCK, short writes",
        receive: || receive::plain(receive::nonblocking),
        send: || send::plain(send::nonblocking),
        prepare: |socket| {
            options::smallest_send_buffer(socket)?;
            options::nonblocking(socket)
        },
        ..READ_WRITE
    },
    Case {
        name: "MSG_OOB, bodies",
        send: || {
            Ok(Box::new(send::Urgent {
                inline: false,
                beside: 0,
            }))
        },
        bodies_only: true,
        ..READ_WRITE
    },
    Case {
        name: "MSG_OOB with SO_OOBINLINE, bodies",
        send: || {
            Ok(Box::new(send::Urgent {
                inline: true,
                beside: 0,
            }))
        },
        prepare: options::urgent_inline,
        bodies_only: true,
        ..READ_WRITE
    },
    Case {
        name: "IPv6",
        kind: Kind::TcpOverIpv6,
        ..READ_WRITE
    },
    Case {
        name: "MPTCP",
        kind: Kind::Multipath,
        ..READ_WRITE
    },
    Case {
        name: "MPTCP, server only",
        kind: Kind::MultipathServer,
        ..READ_WRITE
    },
    Case {
        name: "TCP_FASTOPEN",
        kind: Kind::FastOpen,
        ..READ_WRITE
    },
    Case {
        name: "SHUT_WR by the client",
        ending: Ending::HalfClose,
        ..READ_WRITE
    },
    Case {
        name: "RST after a response",
        ending: Ending::ResetAfter,
        ..READ_WRITE
    },
    Case {
        name: "RST before a response is read",
        ending: Ending::ResetBefore,
        ..READ_WRITE
    },
    Case {
        name: "RST while a response is read",
        ending: Ending::ResetDuring,
        ..READ_WRITE
    },
    Case {
        name: "RST within a response",
        ending: Ending::ResetWithin,
        ..READ_WRITE
    },
    Case {
        name: "close within a response",
        ending: Ending::CloseWithin,
        prepare: options::small_buffers,
        ..READ_WRITE
    },
];

pub(crate) fn named(name: &str) -> Option<&'static Case> {
    ALL.iter().find(|case| case.name == name)
}
