//! What records tell of a host's connections.

use super::{Host, REMOTE, SOCKETS, STEP_NS, pid};
use crate::any_records::{Edge, fragments::FRAGMENTS, socket::Socket};
use sockmeter::{
    connections::{ConnectionId, Direction, Role},
    records::{Address, Adopted, Closed, Opened, Record, Segment, Table, Transport},
};
use std::borrow::Cow;

impl<'s> Host<'s> {
    pub(super) fn opened(&mut self, at: usize, detail: u8) -> Record<'s> {
        self.begin(at, detail & 128 != 0);
        Record::Opened(Opened {
            connection: self.id(at),
            slot: slot(self.id(at)),
            role: role(detail),
            adopted: detail & 3 == 3,
            time_ns: self.now_ns,
            connect_ns: 900,
            pid: pid(detail >> 2),
            local: remote(at),
            remote: remote(at),
        })
    }

    pub(super) fn adopted(&mut self, at: usize, detail: u8) -> Record<'s> {
        // Listed at start only, so never late.
        self.begin(at, false);
        Record::Adopted(Adopted {
            connection: self.id(at),
            slot: None,
            role: role(detail),
            pid: pid(detail >> 2),
            time_ns: self.now_ns,
            local: remote(at),
            remote: remote(at),
        })
    }

    pub(super) fn closed(&mut self, at: usize, detail: u8) -> Record<'s> {
        self.begin(at, true);
        self.lose_tail(at, detail);
        self.end(at);
        let Socket {
            bytes, retransmits, ..
        } = self.socket(at);
        Record::Closed(Closed {
            connection: self.id(at),
            errno: if detail & 32 == 0 { 0 } else { 104 },
            retransmits,
            time_ns: self.now_ns,
            bytes,
            pid: pid(detail >> 6),
            role: role(detail >> 6),
            transport: transport(at),
            adopted: detail & 128 != 0,
            turns: 0,
            overtakes: detail & 64 != 0 && self.edge == Edge::Scraped,
        })
    }

    pub(super) fn table(&mut self, at: usize, detail: u8, open: bool) -> Record<'s> {
        self.begin(at, !open || detail & 128 != 0);
        self.lose_tail(at, detail);
        if !open {
            self.end(at);
        }
        let Socket {
            bytes, retransmits, ..
        } = self.socket(at);
        Record::Table(Table {
            connection: self.id(at),
            slot: slot(self.id(at)),
            open,
            role: role(detail >> 5),
            adopted: detail & 64 != 0,
            pid: pid(detail >> 3),
            time_ns: self.now_ns,
            bytes,
            retransmits,
            turns: 0,
            local: remote(at),
            remote: remote(at),
        })
    }

    /// Details: direction, pid (2 bits), bytes lost before (3), bytes not captured behind (4), out of order
    /// (5), before a send's record (6). Content: a fragment (5), as many bytes as the next one says (6), to
    /// the line's end (7), none (8).
    pub(super) fn segment(&mut self, at: usize, how: u8, detail: u8) -> Record<'s> {
        self.begin(at, true);
        let gap_bytes = u64::from(self.byte_if(detail & 8 != 0));
        let unseen_bytes = u32::from(self.byte_if(detail & 16 != 0)) << 6;
        let content = match how {
            5 => {
                let number = usize::from(self.byte()) % FRAGMENTS.len();
                FRAGMENTS.get(number).copied().unwrap_or_default()
            }
            6 => {
                let length = self.byte();
                self.content(length.into())
            }
            7 => {
                let line_end = self.rest.iter().position(|byte| *byte == b'\n');
                self.content(line_end.map_or(0, |end| end + 1))
            }
            _ => &[],
        };
        let length_bytes = u32::try_from(content.len()).unwrap_or(0) + unseen_bytes;
        let connection = self.id(at);
        let direction = if detail & 1 == 0 {
            Direction::Receive
        } else {
            Direction::Transmit
        };
        let way = usize::from(detail & 1);
        let mut position = 0;
        if let (Some(socket), Some(counted)) = (self.sockets.get_mut(at), self.moved.get_mut(way)) {
            position = socket.bytes[way] + gap_bytes;
            socket.bytes[way] = position + u64::from(length_bytes);
            *counted += socket.bytes[way] - socket.told[way];
            socket.told[way] = socket.bytes[way];
        }
        if detail & 32 != 0 && self.edge == Edge::Scraped {
            position = position.saturating_sub(9);
        }
        Record::Segment(Segment {
            connection,
            direction,
            position,
            other_position: 0,
            length_bytes,
            begin_ns: self.now_ns - STEP_NS,
            time_ns: self.now_ns,
            turn: 0,
            pid: pid(detail >> 1),
            transport: transport(at),
            overtakes: detail & 65 == 64 && self.edge == Edge::Scraped,
            after_end: false,
            content: Cow::Borrowed(content),
        })
    }
}

/// The place of a connection in the kernel's table; here no two ever have the same.
pub(in crate::any_records) fn slot(id: ConnectionId) -> u32 {
    u32::try_from(id.0).unwrap_or(u32::MAX)
}

fn role(detail: u8) -> Role {
    match detail & 3 {
        0 | 3 => Role::Server,
        1 => Role::Client,
        _ => Role::Unknown,
    }
}

/// Half of the sockets are Unix sockets.
fn transport(at: usize) -> Transport {
    if at < SOCKETS / 2 {
        Transport::Tcp
    } else {
        Transport::Unix
    }
}

fn remote(at: usize) -> Address {
    match transport(at) {
        Transport::Tcp => REMOTE,
        Transport::Unix => Address::unix(b"/run/x.sock\0"),
    }
}
