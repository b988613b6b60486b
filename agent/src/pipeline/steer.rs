//! Steering: the one control that goes back to the kernel side, how much of a connection to copy.
//!
//! It must never change what is counted. The kernel side is told late and copies more than was asked for until
//! then, and a reader that has lost its place learns from what it sees. So what was called needless is not looked
//! at either when it was copied.

use super::Talk;
use crate::{
    connections::{Connection, ConnectionId, Direction, Pieces},
    records::Segment,
    series::ProcessKey,
};

/// What the pipeline may tell the kernel side: how much of a connection to copy.
pub trait Steer {
    /// The connection need not be followed any more.
    fn exclude(&mut self, _slot: u32, _connection: ConnectionId) {}
    /// Nothing more of this connection need be copied.
    fn capture_nothing(&mut self, slot: u32, connection: ConnectionId);
    /// Nothing before `position` of this direction need be copied.
    fn skip_until(
        &mut self,
        slot: u32,
        connection: ConnectionId,
        direction: Direction,
        position: u64,
    );
}

/// For replays: nobody to tell.
pub struct Unsteered;

impl Steer for Unsteered {
    fn capture_nothing(&mut self, _: u32, _: ConnectionId) {}
    fn skip_until(&mut self, _: u32, _: ConnectionId, _: Direction, _: u64) {}
}

/// A body that is longer than this is not captured to its end.
const SKIP_BYTES_MIN: u64 = 4096;

/// Nor is more than this called needless at a time: a reader that loses its place in a body of terabytes, or of a
/// length that was a lie, finds back behind it.
const SKIP_BYTES_MAX: u64 = 64 << 20;

/// What was called needless in each direction ends here.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Needless([u64; 2]);

impl Needless {
    fn until(&mut self, direction: Direction) -> &mut u64 {
        let Self([receive, transmit]) = self;
        match direction {
            Direction::Receive => receive,
            Direction::Transmit => transmit,
        }
    }

    /// Takes away the content that the kernel side was told not to copy, whether it did or not: that of calls
    /// which end in what is needless.
    pub(super) fn hide<'a>(&mut self, segment: &Segment<'_>, pieces: Pieces<'a>) -> Pieces<'a> {
        let end = segment
            .position
            .saturating_add(u64::from(segment.length_bytes));
        if end > *self.until(segment.direction) {
            return pieces;
        }
        Pieces {
            content: &[],
            unseen_bytes: pieces.unseen_bytes + pieces.content.len() as u64,
            ..pieces
        }
    }
}

/// Tells the kernel side what need not be captured.
pub(super) fn steer_capture(
    id: ConnectionId,
    connection: &mut Connection<Talk>,
    direction: Direction,
    steer: &mut impl Steer,
) {
    let Some(slot) = connection.slot else { return };
    if connection.talk.process == ProcessKey::EXCLUDED {
        if !std::mem::replace(&mut connection.talk.is_excluded, true) {
            steer.exclude(slot, id);
        }
        return;
    }
    if connection.talk.conversation.is_settled() {
        if !std::mem::replace(&mut connection.talk.is_told, true) {
            steer.capture_nothing(slot, id);
        }
        return;
    }
    let needless_bytes = connection.talk.conversation.needless_bytes(direction);
    if needless_bytes >= SKIP_BYTES_MIN {
        let position = connection
            .position(direction)
            .saturating_add(needless_bytes.min(SKIP_BYTES_MAX));
        // What was told stays told: it may have been obeyed.
        let until = connection.talk.needless.until(direction);
        if position > *until {
            *until = position;
            steer.skip_until(slot, id, direction, position);
        }
    }
}
