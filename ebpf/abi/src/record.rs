//! Records in the ring buffer: what happened, to which connection or process, when.
//!
//! Every record starts with its kind (`u16`, first field). Times are `CLOCK_MONOTONIC` nanoseconds,
//! the clock of `bpf_ktime_get_ns`. Pids are thread group ids in the initial pid namespace.

use crate::datagram::Run;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// [`Opened`]: a connection was established (connect) or taken over by a process (accept).
pub const OPENED: u16 = 1;
/// [`ConnectFailed`]: a connect ended without a connection.
pub const CONNECT_FAILED: u16 = 2;
/// [`Segment`]: one send or receive call moved bytes.
pub const SEGMENT: u16 = 3;
/// [`Closed`]: the process let go of a connection, or it broke.
pub const CLOSED: u16 = 4;
/// [`ProcessStarted`]: a process forked or executed a program.
pub const PROCESS_STARTED: u16 = 5;
/// [`ProcessEnded`]: the last thread of a process ended.
pub const PROCESS_ENDED: u16 = 6;
/// [`RunMark`]: a program uses datagrams, or will use no more. (7 is taken by a loss counter.)
pub const RUN_MARK: u16 = 8;

/// The role is not known to the kernel side: the connection was open before the probes, or is one of a pair of sockets.
pub const ROLE_UNKNOWN: u8 = 0;
/// The connection came from a listening socket.
pub const ROLE_SERVER: u8 = 1;
/// The connection came from `connect`.
pub const ROLE_CLIENT: u8 = 2;

/// `Opened::origin`: the probes saw the connection begin.
pub const ORIGIN_SEEN: u8 = 0;
/// `Opened::origin`: the connection was there before the probes; its first use was seen, or the walk came by it.
pub const ORIGIN_ADOPTED: u8 = 1;

/// `Segment::transport`, `Closed::transport`: TCP.
pub const TRANSPORT_TCP: u8 = 0;
/// `Segment::transport`, `Closed::transport`: a Unix stream socket.
pub const TRANSPORT_UNIX: u8 = 1;

/// Bytes of the longest name of a Unix socket: 108 of `sun_path` and the NUL that the kernel adds to a path of that
/// length, rounded up to a word.
pub const UNIX_NAME_BYTES: usize = 112;

/// `Segment::place`: in order.
pub const PLACE_IN_ORDER: u8 = 0;
/// `Segment::place`: a call of the other direction had begun, or was counted, and its record comes after this one,
/// although its bytes may be what was answered.
pub const PLACE_OVERTAKES: u8 = 1;
/// `Segment::place`: after the end of its connection; what had arrived before a reset can still be read.
pub const PLACE_AFTER_END: u8 = 2;

/// `ProcessStarted::cause`: a new process that runs its parent's program.
pub const CAUSE_FORK: u8 = 1;
/// `ProcessStarted::cause`: a process began to run another program.
pub const CAUSE_EXEC: u8 = 2;

/// Both ends of a connection; addresses are IPv6 or, for `family` 2 (`AF_INET`), the first four
/// bytes. Addresses are in network order, ports in host order. Of a Unix socket it has only the family: its name
/// is longer than this (see [`Named`]).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct Endpoints {
    /// `AF_INET` (2), `AF_INET6` (10) or `AF_UNIX` (1).
    pub family: u16,
    /// Port of this end.
    pub local_port: u16,
    /// Port of the other end.
    pub remote_port: u16,
    /// Always zero.
    pub reserved: u16,
    /// Address of this end.
    pub local_address: [u8; 16],
    /// Address of the other end.
    pub remote_address: [u8; 16],
}

/// A connection began to be followed.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct Opened {
    /// [`OPENED`].
    pub kind: u16,
    /// `ROLE_*`.
    pub role: u8,
    /// `ORIGIN_*`.
    pub origin: u8,
    /// Slot in the connection table.
    pub slot: u32,
    /// The socket's cookie: unique since boot.
    pub connection: u64,
    /// When it was established (client) or accepted (server).
    pub time_ns: u64,
    /// Client: from SYN to established; zero if data went with the SYN. Server: zero.
    pub connect_ns: u64,
    /// The process that connected or accepted.
    pub pid: u32,
    /// Unix: how many bytes of [`Named::name`] are the server's name, zero if it has none. TCP: zero.
    pub name_bytes: u32,
    /// Who is connected.
    pub endpoints: Endpoints,
}

/// A Unix connection began to be followed: of kind [`OPENED`] too, and as long whatever the name's length.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct Named {
    /// Whose `name_bytes` tell how much of `name` there is.
    pub opened: Opened,
    /// The name of the server's end: a path, with its NUL unless it is as long as can be, or an abstract name,
    /// which begins with a NUL. What is behind it is undefined.
    pub name: [u8; UNIX_NAME_BYTES],
}

/// A connect that failed.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct ConnectFailed {
    /// [`CONNECT_FAILED`].
    pub kind: u16,
    /// The socket's error number as errno(3) counts them, or zero when the process gave up.
    pub errno: u16,
    /// The process that tried.
    pub pid: u32,
    /// The socket's cookie.
    pub connection: u64,
    /// When it failed.
    pub time_ns: u64,
    /// From SYN to the failure.
    pub connect_ns: u64,
    /// Who was to be connected.
    pub endpoints: Endpoints,
}

/// One send or receive call that moved bytes; `captured_bytes` of content follow the record.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct Segment {
    /// [`SEGMENT`].
    pub kind: u16,
    /// [`crate::RECEIVE`] or [`crate::TRANSMIT`].
    pub direction: u8,
    /// `PLACE_*`: where it stands among the records of its connection.
    pub place: u8,
    /// Bytes moved: the call's return value.
    pub length_bytes: u32,
    /// The socket's cookie.
    pub connection: u64,
    /// Bytes moved in this direction since the connection was followed, before this call.
    pub position: u64,
    /// Bytes moved in the other direction until now.
    pub other_position: u64,
    /// Receive: when data last arrived in the socket (zero if unknown). Transmit: when the call began.
    pub begin_ns: u64,
    /// When the call ended.
    pub time_ns: u64,
    /// How often the direction had turned: calls with the same number are of one direction, in a row. The first
    /// call has number 1.
    pub turn: u32,
    /// The process that made the call.
    pub pid: u32,
    /// How many of the first bytes follow this record.
    pub captured_bytes: u32,
    /// `TRANSPORT_*`.
    pub transport: u8,
    /// Always zero. (Not three bytes: on the kernel side those would be a loop.)
    pub reserved: u8,
    /// Always zero.
    pub reserved2: u16,
}

/// The end of a connection.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct Closed {
    /// [`CLOSED`].
    pub kind: u16,
    /// The socket's error number (104 when the peer reset it), zero for an orderly end.
    pub errno: u16,
    /// Segments that had to be sent again.
    pub retransmits: u32,
    /// The socket's cookie.
    pub connection: u64,
    /// When it ended.
    pub time_ns: u64,
    /// Final positions, received and transmitted.
    pub bytes: [u64; 2],
    /// The process that connected, accepted or was first seen; zero if the connection was not followed.
    pub pid: u32,
    /// `ROLE_*`.
    pub role: u8,
    /// `ORIGIN_*`.
    pub origin: u8,
    /// Not zero when the record of a call comes after this one.
    pub overtakes: u8,
    /// `TRANSPORT_*`.
    pub transport: u8,
    /// How often the direction had turned.
    pub turns: u32,
    /// Always zero.
    pub reserved: u32,
}

/// A connection that was open before the probes, as a walk over all open files finds it. Not in the ring but
/// in the walk's own output, which has room for all; once per descriptor that is open for it. That of a Unix connection
/// is followed by [`UNIX_NAME_BYTES`] with the name of the server's end, zeros behind it.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct Held {
    /// The socket's cookie.
    pub connection: u64,
    /// Slot in the connection table.
    pub slot: u32,
    /// The process that holds the descriptor. Walks see small pids first.
    pub pid: u32,
    /// Inode of its network namespace.
    pub network: u32,
    /// `ROLE_*`, if the socket itself tells.
    pub role: u8,
    /// Unix: how many bytes the name has, zero if there is none. TCP: zero.
    pub name_bytes: u8,
    /// Always zero.
    pub reserved: [u8; 2],
    /// Who is connected.
    pub endpoints: Endpoints,
}

/// A process that forked or executed.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct ProcessStarted {
    /// [`PROCESS_STARTED`].
    pub kind: u16,
    /// `CAUSE_*`.
    pub cause: u8,
    /// Always zero.
    pub reserved: u8,
    /// The process.
    pub pid: u32,
    /// Its parent.
    pub parent_pid: u32,
    /// Always zero.
    pub reserved2: u32,
    /// When.
    pub time_ns: u64,
    /// The process's start in nanoseconds since boot, as `/proc/PID/stat` field 22 counts in ticks.
    pub start_boottime_ns: u64,
    /// Id of its cgroup (v2): the inode of the cgroup's folder.
    pub cgroup: u64,
    /// Exec: the file that was executed, NUL-padded and cut to fit. Fork: zeros.
    pub file: [u8; 96],
}

/// A process whose last thread ended.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct ProcessEnded {
    /// [`PROCESS_ENDED`].
    pub kind: u16,
    /// Always zero.
    pub reserved: u16,
    /// The process.
    pub pid: u32,
    /// When.
    pub time_ns: u64,
}

/// A program moved its first datagram; or one that did has ended, or another took its place, which comes ahead of the
/// record that tells so. Its counts are in the table.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct RunMark {
    /// [`RUN_MARK`].
    pub kind: u16,
    /// Not zero: it is over.
    pub is_over: u16,
    /// Always zero.
    pub reserved: u32,
    /// Which.
    pub run: Run,
}

const _: () = assert!(size_of::<Endpoints>() == 40);
const _: () = assert!(size_of::<Opened>() == 80);
const _: () = assert!(size_of::<Named>() == 192);
const _: () = assert!(size_of::<ConnectFailed>() == 72);
const _: () = assert!(size_of::<Segment>() == 64);
const _: () = assert!(size_of::<Closed>() == 56);
const _: () = assert!(size_of::<Held>() == 64);
const _: () = assert!(size_of::<ProcessStarted>() == 136);
const _: () = assert!(size_of::<ProcessEnded>() == 16);
const _: () = assert!(size_of::<RunMark>() == 24);
