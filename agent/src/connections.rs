//! Connections: two byte streams each, put in order, with what is missing made visible.

mod table;
#[cfg(test)]
mod tests;

pub use crate::records::{ConnectionId, Direction, Role};
pub use table::Connections;

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

    /// Another connection takes its place, of which nothing was read yet; its `talk` is the caller's to renew.
    pub fn renew(&mut self, slot: Option<u32>, remote: Address, pid: u32) {
        let Self {
            slot: own_slot,
            remote: own_remote,
            pid: own_pid,
            retransmits,
            talk: _,
            streams,
        } = self;
        (*own_slot, *own_remote, *own_pid) = (slot, remote, pid);
        (*retransmits, *streams) = (0, [Stream::default(); 2]);
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
