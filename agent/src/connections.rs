//! Connections: two byte streams each, put in order, with what is missing made visible.

pub use crate::records::{ConnectionId, Direction, Role};

use crate::hash::FastMap;
use crate::records::{Address, Segment, Transport};

/// The next piece of one direction's stream, in order and without holes: what was not seen has its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Content.
    Bytes(&'a [u8]),
    /// This many bytes that were not captured (too long, sendfile, or not asked for).
    Unseen(u64),
    /// This many bytes whose record was lost on the way from the kernel.
    Lost(u64),
}

impl Piece<'_> {
    /// How many bytes it is.
    pub const fn length_bytes(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Unseen(bytes) | Self::Lost(bytes) => *bytes,
        }
    }
}

/// How long a connection that has ended is remembered, in record time: reads of what had already
/// arrived may follow a reset.
pub const MEMORY_NS: u64 = 2_000_000_000;

/// A connection that a process holds.
#[derive(Debug)]
pub struct Connection<T> {
    /// Its place in the kernel's table, once known.
    pub slot: Option<u32>,
    /// The other end.
    pub remote: Address,
    /// The process that used it last.
    pub pid: u32,
    /// Segments sent again, as far as they were counted.
    pub retransmits: u32,
    /// What the later stages keep with it.
    pub talk: T,
    streams: [Stream; 2],
}

/// One direction's bytes.
#[derive(Clone, Copy, Debug, Default)]
struct Stream {
    /// Bytes that have been told of.
    position: u64,
}

impl Stream {
    /// What the segment adds. The kernel side counts a call before it writes its record, so the count may
    /// have told of these bytes already: then they were taken for lost, and are not told again.
    fn add<'a>(&mut self, segment: &'a Segment<'_>) -> Pieces<'a> {
        let length_bytes = u64::from(segment.length_bytes);
        let lost_bytes = segment.position.saturating_sub(self.position);
        let told_bytes = self
            .position
            .saturating_sub(segment.position)
            .min(length_bytes);
        self.position = self
            .position
            .max(segment.position.saturating_add(length_bytes));
        let new_bytes = length_bytes - told_bytes;
        let from = usize::try_from(told_bytes).unwrap_or(usize::MAX);
        let content = segment.content.get(from..).unwrap_or_default();
        let captured = content
            .len()
            .min(usize::try_from(new_bytes).unwrap_or(usize::MAX));
        let content = content.get(..captured).unwrap_or_default();
        Pieces {
            lost_bytes,
            content,
            unseen_bytes: new_bytes - content.len() as u64,
        }
    }
}

/// The pieces that one segment adds to its stream, in order; absent ones are empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pieces<'a> {
    /// Bytes before the segment whose records were lost.
    pub lost_bytes: u64,
    /// What was captured.
    pub content: &'a [u8],
    /// What was not, after that.
    pub unseen_bytes: u64,
}

impl<'a> Pieces<'a> {
    /// How many bytes they are.
    pub fn length_bytes(&self) -> u64 {
        self.lost_bytes + self.seen_bytes()
    }

    /// How many bytes of them have a record.
    pub fn seen_bytes(&self) -> u64 {
        self.content.len() as u64 + self.unseen_bytes
    }

    /// The pieces that are there.
    pub fn iter(&self) -> impl Iterator<Item = Piece<'a>> + use<'a> {
        let Self {
            lost_bytes,
            content,
            unseen_bytes,
        } = *self;
        let lost = (lost_bytes > 0).then_some(Piece::Lost(lost_bytes));
        let bytes = (!content.is_empty()).then_some(Piece::Bytes(content));
        let unseen = (unseen_bytes > 0).then_some(Piece::Unseen(unseen_bytes));
        [lost, bytes, unseen].into_iter().flatten()
    }
}

impl<T> Connection<T> {
    /// A connection of which nothing was read yet.
    pub fn new(slot: Option<u32>, remote: Address, pid: u32, talk: T) -> Self {
        Self {
            slot,
            remote,
            pid,
            retransmits: 0,
            talk,
            streams: [Stream::default(); 2],
        }
    }

    /// What it goes over.
    pub fn transport(&self) -> Transport {
        self.remote.transport()
    }

    fn stream(&mut self, direction: Direction) -> &mut Stream {
        let [receive, transmit] = &mut self.streams;
        match direction {
            Direction::Receive => receive,
            Direction::Transmit => transmit,
        }
    }

    /// Puts a segment in its place.
    pub fn add<'a>(&mut self, segment: &'a Segment<'_>) -> Pieces<'a> {
        self.stream(segment.direction).add(segment)
    }

    /// The kernel counted up to `position`; tells how many bytes of it had no record.
    pub fn advance(&mut self, direction: Direction, position: u64) -> u64 {
        let stream = self.stream(direction);
        let lost_bytes = position.saturating_sub(stream.position);
        stream.position += lost_bytes;
        lost_bytes
    }

    /// Bytes told of so far, received and transmitted.
    pub fn positions(&self) -> [u64; 2] {
        self.streams.map(|stream| stream.position)
    }

    /// Bytes told of so far.
    pub fn position(&mut self, direction: Direction) -> u64 {
        self.stream(direction).position
    }
}

/// What is left of a connection that has ended.
#[derive(Debug)]
pub struct Ended {
    /// The process's end.
    pub role: Role,
    streams: [Stream; 2],
}

impl Ended {
    /// How many bytes a segment adds to what was told.
    pub fn add(&mut self, segment: &Segment<'_>) -> u64 {
        let [receive, transmit] = &mut self.streams;
        let stream = match segment.direction {
            Direction::Receive => receive,
            Direction::Transmit => transmit,
        };
        stream.add(segment).length_bytes()
    }
}

/// All connections that are open, and those that ended a moment ago. As many as the kernel's table has
/// places; it refuses what is beyond, and counts it.
#[derive(Debug)]
pub struct Connections<T> {
    /// Where each is. A large value in the map itself would leave as much room unused.
    open: FastMap<ConnectionId, u32>,
    places: Vec<Option<Box<Connection<T>>>>,
    free: Vec<u32>,
    /// What was asked for last: a record is asked for more than once.
    last: Option<(ConnectionId, u32)>,
    /// When each of those that ended did, oldest first.
    ended: std::collections::VecDeque<(u64, ConnectionId)>,
    recent: FastMap<ConnectionId, Ended>,
}

impl<T> Default for Connections<T> {
    fn default() -> Self {
        Self {
            open: FastMap::default(),
            places: Vec::new(),
            free: Vec::new(),
            last: None,
            ended: Default::default(),
            recent: Default::default(),
        }
    }
}

impl<T> Connections<T> {
    /// An open connection.
    pub fn get_mut(&mut self, id: ConnectionId) -> Option<&mut Connection<T>> {
        let place = match self.last {
            Some((last, place)) if last == id => place,
            _ => *self.open.get(&id)?,
        };
        self.last = Some((id, place));
        self.places.get_mut(place as usize)?.as_deref_mut()
    }

    /// Whether it is open.
    pub fn contains(&self, id: ConnectionId) -> bool {
        self.open.contains_key(&id)
    }

    /// Whether it ended a moment ago.
    pub fn has_ended(&self, id: ConnectionId) -> bool {
        self.recent.contains_key(&id)
    }

    /// What is left of a connection that ended a moment ago.
    pub fn ended_mut(&mut self, id: ConnectionId) -> Option<&mut Ended> {
        self.recent.get_mut(&id)
    }

    /// Takes up a connection.
    pub fn insert(&mut self, id: ConnectionId, connection: Connection<T>) {
        let connection = Some(Box::new(connection));
        let place = self.free.pop();
        let place = match place.and_then(|place| self.places.get_mut(place as usize)) {
            Some(empty) => {
                *empty = connection;
                place.unwrap_or_default()
            }
            None => {
                self.places.push(connection);
                // The kernel's table has 32 bits for them too.
                u32::try_from(self.places.len() - 1).unwrap_or(u32::MAX)
            }
        };
        self.open.insert(id, place);
    }

    /// Lets go of a connection at whose end the process was `role`.
    pub fn remove(&mut self, id: ConnectionId, role: Role, time_ns: u64) -> Option<Connection<T>> {
        let place = self.open.remove(&id)?;
        self.last = None;
        self.free.push(place);
        let connection = *self.places.get_mut(place as usize)?.take()?;
        self.ended.push_back((time_ns, id));
        let streams = connection.streams;
        self.recent.insert(id, Ended { role, streams });
        Some(connection)
    }

    /// Forgets the connections that ended [`MEMORY_NS`] ago.
    pub fn tick(&mut self, now_ns: u64) {
        let is_old =
            |(ended_ns, _): &mut (u64, ConnectionId)| ended_ns.saturating_add(MEMORY_NS) <= now_ns;
        while let Some((_, id)) = self.ended.pop_front_if(is_old) {
            self.recent.remove(&id);
        }
    }

    /// All open connections, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (ConnectionId, &Connection<T>)> {
        self.open.iter().filter_map(|(id, place)| {
            let connection = self.places.get(*place as usize)?.as_deref()?;
            Some((*id, connection))
        })
    }

    /// How many are open.
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether none is open.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }
}

#[cfg(test)]
mod tests {
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
        connections.insert(id, connection());
        assert!(connections.remove(id, Role::Server, 10).is_some());
        connections.tick(10 + MEMORY_NS - 1);
        assert!(connections.has_ended(id) && !connections.contains(id));
        connections.tick(10 + MEMORY_NS);
        assert!(!connections.has_ended(id));
    }
}
