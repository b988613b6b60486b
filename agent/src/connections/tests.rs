//! Holes, overlaps, what is remembered and what is used again.

use super::*;
use std::borrow::Cow;

fn segment(position: u64, length_bytes: u32, content: &'static [u8]) -> Segment<'static> {
    Segment {
        connection: ConnectionId(1),
        direction: Direction::Receive,
        position,
        other_position: 0,
        length_bytes,
        begin_ns: 0,
        time_ns: 0,
        turn: 0,
        pid: 1,
        transport: Transport::Tcp,
        overtakes: false,
        after_end: false,
        content: Cow::Borrowed(content),
    }
}

fn connection() -> Connection<()> {
    Connection::new(None, Address::unknown(Transport::Tcp), 1, ())
}

#[test]
fn a_gap_is_as_long_as_the_positions_say() {
    let mut connection = connection();
    let first = segment(0, 3, b"abc");
    assert_eq!(
        connection.add(&first).iter().collect::<Vec<_>>(),
        [Piece::Bytes(b"abc")]
    );
    let third = segment(10, 8, b"defg");
    assert_eq!(
        connection.add(&third).iter().collect::<Vec<_>>(),
        [Piece::Lost(7), Piece::Bytes(b"defg"), Piece::Unseen(4)]
    );
    assert_eq!(connection.position(Direction::Receive), 18);
    assert_eq!(connection.position(Direction::Transmit), 0);
}

#[test]
fn the_kernel_count_reveals_a_lost_tail() {
    let mut connection = connection();
    connection.add(&segment(0, 5, b""));
    assert_eq!(connection.advance(Direction::Receive, 5), 0);
    assert_eq!(connection.advance(Direction::Receive, 9), 4);
    assert_eq!(connection.advance(Direction::Receive, 9), 0);
}

#[test]
fn content_never_exceeds_the_length() {
    let mut connection = connection();
    let lying = segment(u64::MAX - 1, 2, b"abcd");
    let pieces = connection.add(&lying);
    assert_eq!((pieces.content, pieces.unseen_bytes), (&b"ab"[..], 0));
}

#[test]
fn what_the_count_has_told_is_not_told_again() {
    let mut connection = connection();
    assert_eq!(connection.advance(Direction::Receive, 6), 6);
    assert_eq!(connection.add(&segment(0, 6, b"abcdef")).length_bytes(), 0);
    let rest = segment(4, 5, b"efgh");
    let pieces = connection.add(&rest);
    assert_eq!(
        (pieces.lost_bytes, pieces.content, pieces.unseen_bytes),
        (0, &b"gh"[..], 1)
    );
    assert_eq!(connection.position(Direction::Receive), 9);
}

#[test]
fn an_ended_connection_is_remembered_for_a_while() {
    let mut connections = Connections::default();
    let id = ConnectionId(7);
    connections.insert(id, Box::new(connection()));
    assert!(connections.remove(id, Role::Server, 10).is_some());
    connections.tick(10 + MEMORY_NS - 1);
    assert!(connections.has_ended(id) && !connections.contains(id));
    connections.tick(10 + MEMORY_NS);
    assert!(!connections.has_ended(id));
}

#[test]
fn memory_is_kept_for_so_many_and_no_more() {
    let mut connections = Connections::default();
    assert!(connections.spare().is_none());
    for _ in 0..1000 {
        connections.keep(Box::new(connection()));
    }
    let mut kept = Vec::new();
    kept.extend(std::iter::from_fn(|| connections.spare()));
    assert_eq!(kept.len(), 64);
}

#[test]
fn a_renewed_connection_begins_at_zero() {
    let mut connection = connection();
    connection.add(&segment(0, 5, b"abc"));
    connection.retransmits = 3;
    connection.renew(Some(4), Address::unknown(Transport::Unix), 2);
    assert_eq!(connection.positions(), [0, 0]);
    assert_eq!(connection.retransmits, 0);
    assert_eq!((connection.slot, connection.pid), (Some(4), 2));
    assert_eq!(connection.transport(), Transport::Unix);
}

#[test]
fn what_was_told_of_an_ended_connection_is_its_own() {
    let mut connections = Connections::default();
    let ids = [5, 6, 7].map(ConnectionId);
    for (at, id) in ids.into_iter().enumerate() {
        let mut connection = connection();
        connection.advance(Direction::Receive, at as u64);
        connections.insert(id, Box::new(connection));
        assert_eq!(connections.len(), 1);
        connections.remove(id, Role::Server, at as u64);
        assert!(connections.remove(id, Role::Server, 9).is_none());
    }
    assert!(connections.is_empty());
    // The first is forgotten.
    connections.tick(MEMORY_NS);
    assert!(connections.ended_mut(ids[0]).is_none());
    for (at, id) in ids.into_iter().enumerate().skip(1) {
        let left = connections.ended_mut(id).unwrap();
        assert_eq!(left.add(&segment(0, 4, b"")), 4 - at as u64);
    }
    assert_eq!(connections.iter().count(), 0);
}

#[test]
fn a_connection_that_is_taken_up_again_stays_when_its_first_end_is_forgotten() {
    let mut connections = Connections::default();
    let id = ConnectionId(7);
    connections.insert(id, Box::new(connection()));
    connections.remove(id, Role::Server, 10);
    connections.insert(id, Box::new(connection()));
    assert!(connections.contains(id) && !connections.has_ended(id));
    connections.tick(10 + MEMORY_NS);
    assert!(connections.contains(id));
    assert_eq!(connections.iter().count(), 1);
    connections.remove(id, Role::Server, 20);
    assert!(connections.has_ended(id));
    connections.tick(20 + MEMORY_NS);
    assert!(!connections.has_ended(id));
}
