//! What the kernel side and the agent agree on, byte for byte: records, slots, names. No logic.
//!
//! Only fixed-size integers and byte arrays cross the border, every padding byte is a named field,
//! and sizes are asserted at compile time, so neither side can drift from the other.

#![no_std]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod call;
pub mod datagram;
pub mod field;
pub mod listener;
pub mod record;
pub mod slot;

/// Bytes the loader may ask to be captured from one send or receive call, at most.
///
/// The kernel side gathers into a per-CPU buffer of twice this size (the verifier adds the largest
/// offset to the largest length), and per-CPU values end at 32 KiB (`PCPU_MIN_UNIT_SIZE`).
pub const CAPTURE_BYTES_MAX: u32 = 8 * 1024;

/// Bytes after a turn of direction within which calls are captured in full. A head stands there, and is not
/// longer than this with any server's default limits but nginx's (32 KiB, in four pieces).
pub const CAPTURE_WINDOW_BYTES: u64 = 16 * 1024;

/// Bytes that are captured of a call behind that window: bodies, of which the agent wants to see the framing
/// where a call begins with it.
pub const CAPTURE_TAIL_BYTES: u32 = 256;

/// `slot::Slot::capture_bytes`: the connection is one of a process that is not to be watched.
pub const CAPTURE_EXCLUDED: u32 = u32::MAX - 1;

/// Processes that are not to be watched, at most; the connections of others are followed, and not looked at.
pub const EXCLUDED_PROCESSES_MAX: u32 = 4096;

/// Connections that can be followed at once unless the configuration says otherwise.
pub const CONNECTIONS_MAX_DEFAULT: u32 = 32 * 1024;

/// Bytes of the ring buffer unless the configuration says otherwise: about 58,000 records without content
/// (64 bytes and a header of 8), or 7,000 heads of 500 bytes, between two drains.
pub const RING_BYTES_DEFAULT: u32 = 4 * 1024 * 1024;

/// What the agent writes when all programs are attached: TCP sockets are followed.
pub const ARMED: u32 = 1;
/// The same, and Unix sockets are followed too.
pub const ARMED_WITH_UNIX: u32 = 2;
/// The bits of the same word above those hold a `LEVEL_*`: what is read for each call anyway.
pub const LEVEL_SHIFT: u32 = 8;

/// Calls are captured as the configuration and the agent's steering say.
pub const LEVEL_FULL: u32 = 0;
/// Only [`HEAD_BYTES`] of a call are captured, and only within [`HEAD_WINDOW_BYTES`] of a turn of direction.
pub const LEVEL_HEAD: u32 = 1;
/// Calls are counted in their slots, and make no record.
pub const LEVEL_COUNTS: u32 = 2;

/// At [`LEVEL_HEAD`]: holds most heads (those of browsers with their cookies have 1 to 2 KiB).
pub const HEAD_BYTES: u32 = 2 * 1024;
/// At [`LEVEL_HEAD`]: a head of twice that which comes in several calls is still seen.
pub const HEAD_WINDOW_BYTES: u64 = 4 * 1024;

/// Index into two-element arrays: bytes that the process receives.
pub const RECEIVE: usize = 0;
/// Index into two-element arrays: bytes that the process transmits.
pub const TRANSMIT: usize = 1;
