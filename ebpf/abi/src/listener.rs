//! Listening sockets: a table by cookie, which the kernel side keeps and the agent reads.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Listening sockets that can be known at once. A host has tens; one that gives each of many workers its own
/// socket (`SO_REUSEPORT`) has some hundreds.
pub const LISTENERS_MAX: u32 = 4096;

/// A listening socket. What is below `pid` is written when the agent asks for it (`listener_read`).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct Listener {
    /// Where the kernel keeps the socket. Read only with its cookie compared before and after.
    pub sock: u64,
    /// The walk over all open files that last found it; zero if none did.
    pub walk: u64,
    /// The process that holds it: which called listen(), or the first that the last walk found.
    pub pid: u32,
    /// Connections that wait to be accepted.
    pub length: u32,
    /// How many may wait, as listen() asked and `net.core.somaxconn` allowed.
    pub limit: u32,
    /// Packets that the socket dropped.
    pub drops: u32,
    /// The port it listens on.
    pub port: u16,
    /// Not zero: it was listening when it was read.
    pub is_listening: u8,
    /// Always zero.
    pub reserved: [u8; 5],
}

const _: () = assert!(size_of::<Listener>() == 40);
