//! The cases: by what path each end takes and gives its bytes.

use std::io;

use crate::calls::{Receive, Send, Socket, options, receive, send};

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
    ending: Ending::Close,
};

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

pub(crate) const ALL: &[Case] = &[
    READ_WRITE,
    receiving!("readv", receive::readv),
    receiving!("read of one byte", receive::read_bytes),
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
    sending!("write of one byte", send::write_bytes),
    sending!("send", send::send),
    sending!("sendto", send::sendto),
    sending!("sendmsg", send::sendmsg),
    sending!("sendmmsg", send::sendmmsg),
    sending!("MSG_MORE", send::send_more),
    sending!("TCP_CORK", send::corked),
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
