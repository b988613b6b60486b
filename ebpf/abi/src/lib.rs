//! What the kernel side and the agent agree on, byte for byte: records, slots, names. No logic.
//!
//! Only fixed-size integers and byte arrays cross the border, every padding byte is a named field,
//! and sizes are asserted at compile time, so neither side can drift from the other.

#![no_std]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod field;
pub mod record;
pub mod slot;

/// Bytes the loader may ask to be captured from one send or receive call, at most.
///
/// The kernel side gathers into a per-CPU buffer of twice this size (the verifier adds the largest
/// offset to the largest length), and per-CPU values end at 32 KiB (`PCPU_MIN_UNIT_SIZE`).
pub const CAPTURE_BYTES_MAX: u32 = 8 * 1024;

/// Connections that can be followed at once unless the configuration says otherwise.
pub const CONNECTIONS_MAX_DEFAULT: u32 = 32 * 1024;

/// Bytes of the ring buffer unless the configuration says otherwise: at 10 ms per drain it holds
/// about a million 40-byte records per second.
pub const RING_BYTES_DEFAULT: u32 = 4 * 1024 * 1024;

/// Index into two-element arrays: bytes that the process receives.
pub const RECEIVE: usize = 0;
/// Index into two-element arrays: bytes that the process transmits.
pub const TRANSMIT: usize = 1;
