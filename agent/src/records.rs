//! Records: what the kernel said, typed; what the edge adds to it; and the reading of both.
//!
//! A [`Record`] is all that the stages behind this one ever learn, so a file of records replays a run.

mod address;
pub mod datagrams;
pub mod end;
pub mod facts;
pub mod level;
pub mod maps;
mod parse;
pub mod recording;
mod shared;

pub use address::{Address, Transport};
pub use datagrams::Datagrams;
pub use end::{ConnectionId, Direction, Role};
pub use facts::Facts;
pub use level::CaptureLevel;
pub use maps::{KernelMaps, MapError};
pub(crate) use parse::{endpoints, ends_of, role};

use serde::{Deserialize, Serialize};
use sockmeter_abi::field::{LOSS_COUNTERS_USED, LOSS_NO_RUN_BYTES, LOSS_NO_SLOT_BYTES};
use std::borrow::Cow;

/// Something that happened. Times are `CLOCK_MONOTONIC` nanoseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record<'a> {
    /// A connection began, or its first use was seen.
    Opened(Opened),
    /// A connect ended without a connection.
    ConnectFailed(ConnectFailed),
    /// One call moved bytes.
    #[serde(borrow)]
    Segment(Segment<'a>),
    /// A connection ended.
    Closed(Closed),
    /// A process forked or executed.
    Started(Started),
    /// A process ended.
    Ended {
        /// The process.
        pid: u32,
        /// When.
        time_ns: u64,
    },
    /// Edge: what /proc tells of a process, ahead of the first record that needs it.
    Process(Facts),
    /// Edge: a connection that was open before the probes, as the kernel lists it.
    Adopted(Adopted),
    /// Edge: what the kernel's own table says of a connection now.
    Table(Table),
    /// Edge: datagrams that a process sent and received since it was told last.
    Datagrams(Datagrams),
    /// Edge: what a listening socket looks like now.
    Listener(Listener),
    /// Edge: what was lost so far, in the order of [`LOSS_REASONS`]; only ever grows.
    Losses([u64; LOSS_REASONS.len()]),
    /// Edge: what the clock on the wall showed, at the start and whenever it was set.
    Clock(Clock),
    /// Edge: time went on.
    Tick {
        /// Now.
        time_ns: u64,
    },
}

/// What the kernel side could not tell, and why; see `abi::field`.
pub const LOSS_REASONS: [&str; LOSS_COUNTERS_USED] = [
    "connection_table_full",
    "ring_full_opened",
    "ring_full_connect_failed",
    "ring_full_segment",
    "ring_full_closed",
    "ring_full_process_started",
    "ring_full_process_ended",
    "connection_table_full_bytes",
    "ring_full_datagrams",
    "datagram_table_full",
    "datagram_table_full_bytes",
];

/// Those of [`LOSS_REASONS`] that count bytes, and not records.
pub const LOSSES_IN_BYTES: [usize; 2] = [LOSS_NO_SLOT_BYTES, LOSS_NO_RUN_BYTES];

/// See [`Record::Clock`]: one moment on two clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clock {
    /// On the clock of the records.
    pub time_ns: u64,
    /// Since 1970.
    pub unix_ns: u64,
}

/// See [`Record::Opened`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    /// Which.
    pub connection: ConnectionId,
    /// Its place in the kernel's table.
    pub slot: u32,
    /// The process's end.
    pub role: Role,
    /// It was open before the probes.
    pub adopted: bool,
    /// When.
    pub time_ns: u64,
    /// Client: from SYN to established; zero if data went with the SYN (TCP Fast Open).
    pub connect_ns: u64,
    /// The process that connected or accepted.
    pub pid: u32,
    /// This end.
    pub local: Address,
    /// The other end.
    pub remote: Address,
}

/// See [`Record::ConnectFailed`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectFailed {
    /// As errno(3) counts them; zero when the process gave up.
    pub errno: u16,
    /// The process that tried.
    pub pid: u32,
    /// When.
    pub time_ns: u64,
    /// From SYN to the failure.
    pub connect_ns: u64,
    /// Who was to be reached.
    pub remote: Address,
}

/// See [`Record::Segment`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment<'a> {
    /// Which.
    pub connection: ConnectionId,
    /// Which way.
    pub direction: Direction,
    /// Bytes moved in this direction before this call.
    pub position: u64,
    /// Bytes moved in the other direction until now.
    #[serde(default)]
    pub other_position: u64,
    /// Bytes moved.
    pub length_bytes: u32,
    /// Receive: when data last arrived (zero if unknown). Transmit: when the call began.
    pub begin_ns: u64,
    /// When the call ended.
    pub time_ns: u64,
    /// How often the direction had turned, the first call included; zero if unknown (older recordings).
    #[serde(default)]
    pub turn: u32,
    /// The process that called.
    pub pid: u32,
    /// What the connection goes over.
    #[serde(default, skip_serializing_if = "Transport::is_tcp")]
    pub transport: Transport,
    /// A call of the other direction had begun; its record comes after this one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub overtakes: bool,
    /// The connection had ended: what had arrived before a reset can still be read.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub after_end: bool,
    /// The first bytes, as many as were captured.
    #[serde(borrow, with = "recording::latin1")]
    pub content: Cow<'a, [u8]>,
}

/// See [`Record::Closed`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    /// Which.
    pub connection: ConnectionId,
    /// As errno(3) counts them; zero for an orderly end.
    pub errno: u16,
    /// Segments sent again.
    pub retransmits: u32,
    /// When.
    pub time_ns: u64,
    /// Final positions, received and transmitted.
    pub bytes: [u64; 2],
    /// The process that connected, accepted or was first seen; zero if the connection was not followed.
    pub pid: u32,
    /// The process's end.
    pub role: Role,
    /// What it went over.
    #[serde(default, skip_serializing_if = "Transport::is_tcp")]
    pub transport: Transport,
    /// It was open before the probes.
    pub adopted: bool,
    /// How often the direction had turned.
    #[serde(default)]
    pub turns: u32,
    /// A call had begun; its record comes after this one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub overtakes: bool,
}

/// See [`Record::Adopted`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adopted {
    /// Which.
    pub connection: ConnectionId,
    /// Its place in the kernel's table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<u32>,
    /// From the socket itself, or from its other end; unknown where they do not tell.
    pub role: Role,
    /// The process that holds it.
    pub pid: u32,
    /// When it was listed.
    pub time_ns: u64,
    /// This end.
    pub local: Address,
    /// The other end.
    pub remote: Address,
}

/// See [`Record::Table`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Which.
    pub connection: ConnectionId,
    /// Its place in the kernel's table.
    pub slot: u32,
    /// Is it still open?
    pub open: bool,
    /// The process's end.
    pub role: Role,
    /// It was open before the probes.
    pub adopted: bool,
    /// The process that connected, accepted or was first seen.
    pub pid: u32,
    /// When this was read.
    pub time_ns: u64,
    /// Bytes moved, received and transmitted.
    pub bytes: [u64; 2],
    /// Segments sent again.
    pub retransmits: u32,
    /// How often the direction had turned. Of an open connection: turns that are over, and of which no more records
    /// will come; zero if some may.
    #[serde(default)]
    pub turns: u32,
    /// This end.
    pub local: Address,
    /// The other end.
    pub remote: Address,
}

/// See [`Record::Listener`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener {
    /// Which socket.
    pub socket: ConnectionId,
    /// Does it still listen? If not, the numbers below are zero.
    pub listening: bool,
    /// The process that holds it.
    pub pid: u32,
    /// Where it listens.
    pub port: u16,
    /// Connections that wait to be accepted.
    pub length: u32,
    /// How many may wait.
    pub limit: u32,
    /// Packets that it dropped since it began to listen.
    pub drops: u32,
    /// When this was read.
    pub time_ns: u64,
}

/// See [`Record::Started`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// It executed `file`; otherwise it is new and runs its parent's program.
    pub is_exec: bool,
    /// The process.
    pub pid: u32,
    /// Its parent.
    pub parent_pid: u32,
    /// Its start, nanoseconds since boot.
    pub start_boottime_ns: u64,
    /// Id of its cgroup (v2); of a new process its parent's.
    pub cgroup: u64,
    /// As it was asked for, cut after 95 bytes; empty for a fork.
    pub file: String,
}

/// A record that is shorter than its kind, or of no known kind: the two sides do not match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the kernel side wrote a record that is not understood (kind {kind}, {length} bytes)")]
pub struct Malformed {
    /// What its first field says.
    pub kind: u16,
    /// Its length.
    pub length: usize,
}

impl Record<'_> {
    /// The process whose name the stages will ask for, if any.
    pub fn pid(&self) -> Option<u32> {
        match self {
            Self::Opened(Opened { pid, .. })
            | Self::ConnectFailed(ConnectFailed { pid, .. })
            | Self::Segment(Segment { pid, .. })
            | Self::Closed(Closed { pid, .. })
            | Self::Adopted(Adopted { pid, .. })
            | Self::Table(Table { pid, .. })
            | Self::Datagrams(Datagrams { pid, .. })
            | Self::Listener(Listener { pid, .. }) => (*pid != 0).then_some(*pid),
            _ => None,
        }
    }
}
