//! Datagrams: counts per process, in a table of the kernel's.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Runs that can be counted at once unless the configuration says otherwise. Each process that used a UDP socket
/// (to ask a name server, say) is one until it ends; 32 bytes for each on every processor.
pub const RUNS_MAX_DEFAULT: u32 = 8 * 1024;

/// A program that runs in a process, from its exec (or fork) to the next exec or the process's end. No two are ever
/// equal, so that counts cannot go to the next program of a process, or to the next process of a pid.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct Run {
    /// The process.
    pub pid: u32,
    /// How often it, or one that it descends from, has executed a program.
    pub execs: u32,
    /// The process's start in nanoseconds since boot.
    pub start_boottime_ns: u64,
}

/// What a run moved.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Moved {
    /// Datagrams received and transmitted.
    pub datagrams: [u64; 2],
    /// Bytes received and transmitted, as the calls' return values say.
    pub bytes: [u64; 2],
}

const _: () = assert!(size_of::<Run>() == 16);
const _: () = assert!(size_of::<Moved>() == 32);
