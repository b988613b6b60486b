//! Slots: the table of followed connections, shared memory between both sides.
//!
//! The kernel side writes everything but `steered`, `capture_bytes` and `skip_until`, which only the agent
//! writes, and abandoned slots, which only the agent touches. Both sides use relaxed 64- and 32-bit accesses; nothing here is a lock.

use crate::record::Endpoints;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// `Slot::phase`: nobody uses the slot.
pub const PHASE_FREE: u32 = 0;
/// `Slot::phase`: a connect is on its way.
pub const PHASE_CONNECTING: u32 = 1;
/// `Slot::phase`: an open connection.
pub const PHASE_OPEN: u32 = 2;
/// `Slot::phase`: closed; the socket still exists.
pub const PHASE_CLOSED: u32 = 3;
/// `Slot::phase`: the socket is gone, and the record of its end was lost: the agent takes the final
/// counts from here and gives the slot back.
pub const PHASE_ABANDONED: u32 = 4;

/// What is known and counted of one connection in the kernel.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct Slot {
    /// The socket's cookie; zero while the slot is free.
    pub connection: u64,
    /// When it was opened (see `record::Opened::time_ns`), or when the connect began.
    pub opened_ns: u64,
    /// Bytes received and transmitted, as the calls' return values say.
    pub bytes: [u64; 2],
    /// Agent: the connection that `skip_until` and `capture_bytes` are meant for. The agent is late by nature,
    /// and the slot may belong to another connection by then.
    pub steered: u64,
    /// Agent: no content is needed before this position, received and transmitted.
    pub skip_until: [u64; 2],
    /// The position in `direction` at which the other direction last gave way to it.
    pub turn_position: u64,
    /// When the send call in progress began; zero while there is none whose record is still to come.
    pub send_began_ns: u64,
    /// Segments that had to be sent again.
    pub retransmits: u32,
    /// `PHASE_*`.
    pub phase: u32,
    /// The process that connected, accepted or was first seen.
    pub pid: u32,
    /// `record::ROLE_*`.
    pub role: u8,
    /// `record::ORIGIN_*`.
    pub origin: u8,
    /// Not zero: the record of its end found no room in the ring.
    pub is_unreported: u8,
    /// The direction of the call that began last (receive calls begin when they return).
    pub direction: u8,
    /// Agent: bytes to capture per call, received and transmitted; `u32::MAX` = the default,
    /// `CAPTURE_EXCLUDED` = let go of the connection.
    pub capture_bytes: [u32; 2],
    /// How often the direction turned; the first call is the first turn.
    pub turns: u32,
    /// The turn of the send call in progress.
    pub send_turn: u32,
    /// Not zero: bytes were received whose record is still to come.
    pub is_receiving: u8,
    /// Always zero.
    pub reserved: u8,
    /// The socket's error number when the connection broke while bytes were left to read.
    pub errno: u16,
    /// The last of the bytes transmitted whose record is still to come: pages of a sendfile() that goes on.
    pub withheld_bytes: u32,
    /// TCP's number of the next byte that is received, and transmitted, as it was after the last such call; zero
    /// before it is known.
    pub sequence: [u32; 2],
    /// When the data that waits at the beginning of a receive call arrived; zero if none does.
    pub arrived_ns: u64,
    /// Bytes that were counted because TCP's number had moved by more than the calls.
    pub surplus: [u32; 2],
    /// Who is connected.
    pub endpoints: Endpoints,
}

const _: () = assert!(size_of::<Slot>() == 176);
