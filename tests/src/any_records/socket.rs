//! A socket of the host, as its kernel counts.

#[derive(Clone, Copy, Default)]
pub(super) struct Socket {
    /// How many connections it had before.
    pub(super) generation: u32,
    pub(super) phase: Phase,
    /// Received and transmitted.
    pub(super) bytes: [u64; 2],
    /// How many of them the records tell of. What is lost after the end is told by the next segment, if
    /// there is one.
    pub(super) told: [u64; 2],
    pub(super) retransmits: u32,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Phase {
    #[default]
    Unused,
    Open,
    Ended {
        time_ns: u64,
    },
}
