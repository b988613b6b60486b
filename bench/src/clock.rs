//! What the benchmark's own thread has used of its processor.

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds of CPU time of this thread; in a guest whose clock counts instructions, instructions.
pub fn thread_cpu_ns() -> u64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec.cast_unsigned() * 1_000_000_000 + now.tv_nsec.cast_unsigned()
}
