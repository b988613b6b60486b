//! What the benchmark's own thread has used of its processor.

#![allow(
    unsafe_code,
    reason = "rustix asks the kernel for its own ELF header first, which ends a program under valgrind"
)]

/// Nanoseconds of CPU time of this thread; in a guest whose clock counts instructions, instructions.
pub fn thread_cpu_ns() -> u64 {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: it writes to `now` and nowhere else. It cannot fail: the clock is there and the address is valid.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut now) };
    now.tv_sec.cast_unsigned() * 1_000_000_000 + now.tv_nsec.cast_unsigned()
}
