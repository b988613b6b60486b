//! Clock: the times that records have, and the one that the kernel keeps with sockets.

use aya_ebpf::{
    Global,
    helpers::{bpf_ktime_get_ns, generated::bpf_jiffies64},
};

/// Now, on the monotonic clock.
#[inline(always)]
pub fn now_ns() -> u64 {
    // SAFETY: takes no arguments.
    unsafe { bpf_ktime_get_ns() }
}

/// Nanoseconds of a tick; the agent reads it from the coarse clock.
#[unsafe(no_mangle)]
pub static TICK_NS: Global<u64> = Global::new(0);

/// Ticks since boot or so, as the kernel keeps them with sockets (`tcp_jiffies32`).
#[inline(always)]
pub fn ticks() -> u32 {
    // SAFETY: takes no arguments.
    unsafe { bpf_jiffies64() as u32 }
}
