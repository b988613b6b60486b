//! The clock that both ends and the kernel programs share.

use std::io;

use super::checked;

/// Seconds of the monotonic clock. `Instant` is that clock, but tells nothing to another process.
pub(crate) fn seconds() -> f64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the kernel writes one `timespec`.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    let read: io::Result<usize> = checked(result as isize);
    debug_assert!(read.is_ok(), "every Linux has this clock");
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
