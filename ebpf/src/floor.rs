//! The floor of what measuring a call can cost: the agent's hooks on TCP's data path with the least possible body.
//!
//! At each return of a send or receive call: two reads (where the process's buffer is, and 64 bytes of it), one clock,
//! one addition. It is an object of its own, for `cargo xtask bench request`; the agent never loads it.

#![no_std]
#![no_main]

mod object;

use aya_ebpf::{
    Global,
    helpers::{bpf_ktime_get_ns, bpf_probe_read_kernel, bpf_probe_read_user},
    macros::{fentry, fexit, map},
    maps::Array,
    programs::{FEntryContext, FExitContext},
};

/// Where `struct msghdr` has the address of its buffer, or of its vector of buffers. Set by the loader.
#[unsafe(no_mangle)]
static BUFFERS_AT: Global<u32> = Global::new(u32::MAX);

/// Bytes of calls whose content could be read, and when the last one ended.
#[map]
static TOTALS: Array<u64> = Array::with_max_entries(2, 0);

/// A vector that was sent in full has been walked past its last entry, of so many bytes.
const ENTRY_BYTES: u64 = 16;

#[fentry(function = "inet_sendmsg")]
pub fn floor_send_begin(_: FEntryContext) -> i32 {
    0
}

#[fentry(function = "inet_recvmsg")]
pub fn floor_receive_begin(_: FEntryContext) -> i32 {
    0
}

#[fexit(function = "inet_sendmsg")]
pub fn floor_send(ctx: FExitContext) -> i32 {
    // Arguments: socket, message, length; then the return value.
    measure(ctx.arg(1), ctx.arg::<i32>(3), ENTRY_BYTES);
    0
}

#[fexit(function = "inet_recvmsg")]
pub fn floor_receive(ctx: FExitContext) -> i32 {
    // Arguments: socket, message, length, flags; then the return value.
    measure(ctx.arg(1), ctx.arg::<i32>(4), 0);
    0
}

#[inline(always)]
fn measure(message: *const u8, moved: i32, back: u64) {
    let Ok(bytes) = u64::try_from(moved) else {
        return;
    };
    let buffers = message
        .wrapping_add(BUFFERS_AT.load() as usize)
        .cast::<u64>();
    // SAFETY: the verifier checks the access against the kernel's types and makes it fault-proof.
    let buffers = unsafe { buffers.read_volatile() };
    // SAFETY: both helpers check the address and fail on a bad one: the first if there is one buffer and no vector.
    let content = unsafe {
        let vector = buffers.wrapping_sub(back) as *const u64;
        let buffer = bpf_probe_read_kernel(vector).unwrap_or(buffers);
        bpf_probe_read_user::<[u64; 8]>(buffer as *const [u64; 8])
    };
    if content.is_ok()
        && let (Some(sum), Some(last)) = (TOTALS.get_ptr_mut(0), TOTALS.get_ptr_mut(1))
    {
        // SAFETY: both point into the map; processors that add at once lose counts, which is as cheap as it gets.
        unsafe {
            *sum += bytes;
            *last = bpf_ktime_get_ns();
        }
    }
}
