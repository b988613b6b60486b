//! Mark: what a socket carries: the number of its slot, and its connection's id.
//!
//! Kernels since 5.12 keep the mark in the socket's own storage; for older ones, and for programs to which the kernel
//! does not lend that storage, it is in a table.

#[cfg_attr(feature = "fallback", path = "mark/table.rs")]
#[cfg_attr(not(feature = "fallback"), path = "mark/storage.rs")]
mod place;

pub use place::{find, forget, identity, is_numbered, make, number};

/// What a socket carries.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Mark {
    /// Index into `SLOTS` plus one, zero while no slot could be had; with [`EXCLUDED_MARK`] if it is an excluded
    /// process's, which is no index then, so it is not followed.
    pub slot: u32,
    /// How often this socket was connected anew.
    pub generation: u32,
}

/// In `Mark::slot`.
pub const EXCLUDED_MARK: u32 = 1 << 31;
