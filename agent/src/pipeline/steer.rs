//! Steering: the one control that goes back to the kernel side, how much of a connection to copy.

use super::Talk;
use crate::connections::{Connection, ConnectionId, Direction};

/// What the pipeline may tell the kernel side: how much of a connection to copy.
pub trait Steer {
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

/// Tells the kernel side what need not be captured.
pub(super) fn steer_capture(
    id: ConnectionId,
    connection: &mut Connection<Talk>,
    direction: Direction,
    steer: &mut impl Steer,
) {
    let Some(slot) = connection.slot else { return };
    if connection.talk.conversation.is_settled() {
        if !std::mem::replace(&mut connection.talk.is_told, true) {
            steer.capture_nothing(slot, id);
        }
        return;
    }
    let needless_bytes = connection.talk.conversation.needless_bytes(direction);
    if needless_bytes >= SKIP_BYTES_MIN {
        let position = connection.position(direction);
        steer.skip_until(slot, id, direction, position.saturating_add(needless_bytes));
    }
}
