//! What the kernel side wrote, byte by byte, into records.

use super::{
    Address, Closed, ConnectFailed, ConnectionId, Direction, Malformed, Opened, Record, Role,
    Segment, Started, Transport,
};
use sockmeter_abi::{RECEIVE, record as wire};
use std::{
    borrow::Cow,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};
use zerocopy::FromBytes;

impl<'a> Record<'a> {
    /// Reads one record as the kernel side wrote it.
    ///
    /// # Errors
    /// The bytes are not a record.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let kind = bytes
            .first_chunk()
            .map_or(0, |chunk| u16::from_ne_bytes(*chunk));
        match kind {
            wire::OPENED => prefix(bytes).and_then(|(record, rest)| opened(record, rest)),
            wire::CONNECT_FAILED => prefix(bytes).map(|(record, _)| connect_failed(record)),
            wire::SEGMENT => Segment::parse(bytes).map(Self::Segment),
            wire::CLOSED => prefix(bytes).map(|(record, _)| closed(record)),
            wire::PROCESS_STARTED => prefix(bytes).map(|(record, _)| started(record)),
            wire::PROCESS_ENDED => prefix(bytes).map(|(record, _)| {
                let wire::ProcessEnded {
                    kind: _,
                    reserved: _,
                    pid,
                    time_ns,
                } = record;
                Self::Ended { pid, time_ns }
            }),
            _ => None,
        }
        .ok_or(Malformed {
            kind,
            length: bytes.len(),
        })
    }
}

impl<'a> Segment<'a> {
    /// Reads a record, if it is a segment: nearly all are, and a [`Record`] is large to hand on.
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (record, content) = wire::Segment::read_from_prefix(bytes).ok()?;
        let wire::Segment {
            kind,
            direction,
            place,
            length_bytes,
            connection,
            position,
            other_position,
            begin_ns,
            time_ns,
            turn,
            pid,
            captured_bytes,
            transport: over,
            reserved: _,
            reserved2: _,
        } = record;
        if kind != wire::SEGMENT {
            return None;
        }
        // The ring pads records, so the length that was written counts.
        let content = content.get(..captured_bytes as usize)?;
        Some(Self {
            connection: ConnectionId(connection),
            direction: if usize::from(direction) == RECEIVE {
                Direction::Receive
            } else {
                Direction::Transmit
            },
            position,
            other_position,
            length_bytes,
            begin_ns,
            time_ns,
            turn,
            pid,
            transport: transport(over),
            overtakes: place == wire::PLACE_OVERTAKES,
            after_end: place == wire::PLACE_AFTER_END,
            content: Cow::Borrowed(content),
        })
    }
}

fn prefix<T: FromBytes>(bytes: &[u8]) -> Option<(T, &[u8])> {
    T::read_from_prefix(bytes).ok()
}

pub(crate) fn role(wire: u8) -> Role {
    match wire {
        wire::ROLE_SERVER => Role::Server,
        wire::ROLE_CLIENT => Role::Client,
        _ => Role::Unknown,
    }
}

fn transport(wire: u8) -> Transport {
    match wire {
        wire::TRANSPORT_UNIX => Transport::Unix,
        _ => Transport::Tcp,
    }
}

/// Both ends; IPv4 in IPv6 (`::ffff:a.b.c.d`) is shown as IPv4. Those of a Unix connection have no names here.
pub(crate) fn endpoints(wire: &wire::Endpoints) -> (Address, Address) {
    let wire::Endpoints {
        family,
        local_port,
        remote_port,
        reserved: _,
        local_address,
        remote_address,
    } = wire;
    if *family == libc::AF_UNIX as u16 {
        let unnamed = Address::unknown(Transport::Unix);
        return (unnamed.clone(), unnamed);
    }
    let address = |bytes: &[u8; 16]| {
        if *family == libc::AF_INET as u16 {
            let [a, b, c, d, ..] = *bytes;
            IpAddr::V4(Ipv4Addr::new(a, b, c, d))
        } else {
            Ipv6Addr::from(*bytes).to_canonical()
        }
    };
    (
        SocketAddr::new(address(local_address), *local_port).into(),
        SocketAddr::new(address(remote_address), *remote_port).into(),
    )
}

/// Both ends, that of the server with its name if it is a Unix socket.
pub(crate) fn ends_of(wire: &wire::Endpoints, role: Role, name: &[u8]) -> (Address, Address) {
    let (local, remote) = endpoints(wire);
    match (remote.transport(), role) {
        (Transport::Unix, Role::Client) => (local, Address::unix(name)),
        (Transport::Unix, Role::Server) => (Address::unix(name), remote),
        (Transport::Unix, Role::Unknown) | (Transport::Tcp, _) => (local, remote),
    }
}

fn opened(record: wire::Opened, rest: &[u8]) -> Option<Record<'static>> {
    let wire::Opened {
        kind: _,
        role: end,
        origin,
        slot,
        connection,
        time_ns,
        connect_ns,
        pid,
        name_bytes,
        endpoints: ends,
    } = record;
    let role = role(end);
    let name = rest.get(..name_bytes as usize)?;
    let (local, remote) = ends_of(&ends, role, name);
    Some(Record::Opened(Opened {
        connection: ConnectionId(connection),
        slot,
        role,
        adopted: origin == wire::ORIGIN_ADOPTED,
        time_ns,
        connect_ns,
        pid,
        local,
        remote,
    }))
}

fn connect_failed(record: wire::ConnectFailed) -> Record<'static> {
    let wire::ConnectFailed {
        kind: _,
        errno,
        pid,
        connection: _,
        time_ns,
        connect_ns,
        endpoints: ends,
    } = record;
    let (_, remote) = endpoints(&ends);
    Record::ConnectFailed(ConnectFailed {
        errno,
        pid,
        time_ns,
        connect_ns,
        remote,
    })
}

fn closed(record: wire::Closed) -> Record<'static> {
    let wire::Closed {
        kind: _,
        errno,
        retransmits,
        connection,
        time_ns,
        bytes,
        pid,
        role: end,
        origin,
        overtakes,
        transport: over,
        turns,
        reserved: _,
    } = record;
    Record::Closed(Closed {
        connection: ConnectionId(connection),
        errno,
        retransmits,
        time_ns,
        bytes,
        pid,
        role: role(end),
        transport: transport(over),
        adopted: origin == wire::ORIGIN_ADOPTED,
        turns,
        overtakes: overtakes != 0,
    })
}

fn started(record: wire::ProcessStarted) -> Record<'static> {
    let wire::ProcessStarted {
        kind: _,
        cause,
        reserved: _,
        pid,
        parent_pid,
        reserved2: _,
        time_ns: _,
        start_boottime_ns,
        cgroup,
        file,
    } = record;
    let end = file
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(file.len());
    let file = String::from_utf8_lossy(file.get(..end).unwrap_or_default()).into_owned();
    Record::Started(Started {
        is_exec: cause == wire::CAUSE_EXEC,
        pid,
        parent_pid,
        start_boottime_ns,
        cgroup,
        file,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use zerocopy::IntoBytes;

    fn wire_segment(captured_bytes: u32) -> wire::Segment {
        wire::Segment {
            kind: wire::SEGMENT,
            direction: 1,
            place: 0,
            length_bytes: 10,
            connection: 7,
            position: 100,
            other_position: 50,
            begin_ns: 5,
            time_ns: 6,
            turn: 3,
            pid: 42,
            captured_bytes,
            transport: wire::TRANSPORT_TCP,
            reserved: 0,
            reserved2: 0,
        }
    }

    #[test]
    fn a_segment_carries_as_many_bytes_as_were_captured() {
        let mut bytes = wire_segment(3).as_bytes().to_vec();
        bytes.extend(b"abcPADDING");
        let Ok(Record::Segment(segment)) = Record::parse(&bytes) else {
            panic!("not a segment")
        };
        assert_eq!(segment.content.as_ref(), b"abc");
        assert_eq!(
            (segment.position, segment.length_bytes, segment.pid),
            (100, 10, 42)
        );
        assert_eq!((segment.other_position, segment.turn), (50, 3));
        assert_eq!(segment.direction, Direction::Transmit);
    }

    fn wire_opened(role: u8, name_bytes: u32) -> wire::Opened {
        wire::Opened {
            kind: wire::OPENED,
            role,
            origin: wire::ORIGIN_SEEN,
            slot: 1,
            connection: 7,
            time_ns: 2,
            connect_ns: 3,
            pid: 42,
            name_bytes,
            endpoints: wire::Endpoints {
                family: libc::AF_UNIX as u16,
                local_port: 0,
                remote_port: 0,
                reserved: 0,
                local_address: [0; 16],
                remote_address: [0; 16],
            },
        }
    }

    fn named(opened: wire::Opened, name: &[u8]) -> Vec<u8> {
        let mut padded = [b'#'; wire::UNIX_NAME_BYTES];
        padded[..name.len()].copy_from_slice(name);
        let named = wire::Named {
            opened,
            name: padded,
        };
        named.as_bytes().to_vec()
    }

    #[test]
    fn rule_20_the_name_of_a_unix_socket_is_its_server_s() {
        let unnamed = Address::unknown(Transport::Unix);
        for (role, name) in [
            (wire::ROLE_CLIENT, &b"/run/x.sock\0"[..]),
            (wire::ROLE_SERVER, b"\0abstract"),
            (wire::ROLE_UNKNOWN, b""),
            (wire::ROLE_CLIENT, &[b'x'; 109]),
        ] {
            let bytes = named(wire_opened(role, name.len() as u32), name);
            let Ok(Record::Opened(opened)) = Record::parse(&bytes) else {
                panic!("not opened")
            };
            let (server, other) = match opened.role {
                Role::Client => (opened.remote, opened.local),
                Role::Server | Role::Unknown => (opened.local, opened.remote),
            };
            assert_eq!((server, other), (Address::unix(name), unnamed.clone()));
        }
        let too_long = named(wire_opened(wire::ROLE_CLIENT, 113), b"x");
        assert!(Record::parse(&too_long).is_err());
    }

    #[test]
    fn short_and_unknown_records_are_malformed() {
        let bytes = wire_segment(3).as_bytes().to_vec();
        assert_eq!(
            Record::parse(&bytes),
            Err(Malformed {
                kind: wire::SEGMENT,
                length: 64
            })
        );
        assert!(Record::parse(&bytes[..63]).is_err());
        assert_eq!(
            Record::parse(&[99, 0]),
            Err(Malformed {
                kind: 99,
                length: 2
            })
        );
        assert!(Record::parse(&[]).is_err());
    }

    #[test]
    fn mapped_addresses_are_shown_as_ipv4() {
        let mut address = [0u8; 16];
        address[10..].copy_from_slice(&[0xff, 0xff, 192, 0, 2, 1]);
        let ends = wire::Endpoints {
            family: libc::AF_INET6 as u16,
            local_port: 80,
            remote_port: 9,
            reserved: 0,
            local_address: address,
            remote_address: Ipv6Addr::LOCALHOST.octets(),
        };
        let (local, remote) = endpoints(&ends);
        assert_eq!(local.to_string(), "192.0.2.1:80");
        assert_eq!(remote.to_string(), "[::1]:9");
    }
}
