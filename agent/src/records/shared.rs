//! Shared: the memory of a kernel map, mapped into the agent's own. The kernel writes it at any time.

#![allow(
    unsafe_code,
    reason = "memory that the kernel writes can only be had by a system call"
)]

use super::maps::MapError;
use aya::maps::MapData;
use std::{
    io,
    os::fd::{AsFd, AsRawFd},
    ptr::{self, NonNull},
};

/// A map's memory. Whoever reads or writes it does so by atomic words.
pub(super) struct Shared {
    base: NonNull<u8>,
    length_bytes: usize,
    /// Keeps the map alive.
    _map: MapData,
}

// SAFETY: the mapping is shared memory without thread affinity, and all accesses are atomic.
unsafe impl Send for Shared {}

impl Shared {
    /// Maps the first `length_bytes` of an array that was made with `BPF_F_MMAPABLE` (5.5).
    ///
    /// # Errors
    /// The kernel's.
    pub(super) fn map(
        map: MapData,
        name: &'static str,
        length_bytes: usize,
    ) -> Result<Self, MapError> {
        // SAFETY: a new shared mapping of a descriptor that we own; the kernel rounds up to pages.
        let base = unsafe {
            libc::mmap(
                ptr::null_mut(),
                length_bytes,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                map.fd().as_fd().as_raw_fd(),
                0,
            )
        };
        let refused = || MapError::Refused {
            map: name,
            why: io::Error::last_os_error().to_string(),
        };
        if base == libc::MAP_FAILED {
            return Err(refused());
        }
        Ok(Self {
            base: NonNull::new(base.cast()).ok_or_else(refused)?,
            length_bytes,
            _map: map,
        })
    }

    /// The byte at an offset; `None` behind the end.
    pub(super) fn at(&self, offset_bytes: usize) -> Option<NonNull<u8>> {
        (offset_bytes < self.length_bytes).then(|| {
            // SAFETY: inside the mapping.
            unsafe { self.base.add(offset_bytes) }
        })
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours and nothing borrows from it any more.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.length_bytes) };
    }
}
