//! Wanted: how many bytes of a call the agent wants to see.

use crate::output;
use sockmeter_abi::{
    CAPTURE_EXCLUDED, CAPTURE_TAIL_BYTES, CAPTURE_WINDOW_BYTES, HEAD_BYTES, HEAD_WINDOW_BYTES,
    LEVEL_FULL, RECEIVE, slot::Slot,
};

/// Counts it when the direction turns.
#[inline(always)]
pub fn turn(slot: &mut Slot, direction: usize) {
    if slot.turns == 0 || slot.direction != direction as u8 {
        slot.turns = slot.turns.wrapping_add(1);
        slot.direction = direction as u8;
        slot.turn_position = slot.bytes[direction];
    }
}

/// How many bytes of the next call in a direction the agent wants to see.
#[inline(always)]
pub fn bytes(slot: &mut Slot, direction: usize, length: u64, level: u32) -> u32 {
    let mut default = output::capture_bytes_default();
    let (mut window_bytes, mut tail_bytes) = (CAPTURE_WINDOW_BYTES, CAPTURE_TAIL_BYTES);
    if level != LEVEL_FULL {
        default = default.min(HEAD_BYTES);
        (window_bytes, tail_bytes) = (HEAD_WINDOW_BYTES, 0);
    }
    let position = slot.bytes[direction];
    if direction == RECEIVE {
        turn(slot, direction);
    } else if slot.send_began_ns == 0 {
        // Others turned when they began.
        turn(slot, direction);
        slot.send_turn = slot.turns;
    }
    if slot.direction == direction as u8 && position - slot.turn_position >= window_bytes {
        default = default.min(tail_bytes);
    }
    // Words that the agent may be writing: each is read once.
    // SAFETY: fields of a live map value.
    let (steered, skip_until, bytes) = unsafe {
        (
            (&raw const slot.steered).read_volatile(),
            (&raw const slot.skip_until[direction]).read_volatile(),
            (&raw const slot.capture_bytes[direction]).read_volatile(),
        )
    };
    if steered != slot.connection {
        default
    } else if bytes == CAPTURE_EXCLUDED {
        CAPTURE_EXCLUDED
    } else if position + length <= skip_until {
        0
    } else {
        bytes.min(default)
    }
}
