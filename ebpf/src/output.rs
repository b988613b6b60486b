//! Output: the only code that puts records into the ring, and counts those that found no room.

use crate::{
    kernel::opaque,
    stream::{LANES, Lane},
};
use aya_ebpf::{
    Global,
    bindings::{BPF_F_MMAPABLE, BPF_RB_NO_WAKEUP},
    helpers::generated::{
        bpf_get_smp_processor_id, bpf_probe_read_user, bpf_ringbuf_output, bpf_ringbuf_reserve,
        bpf_ringbuf_submit,
    },
    macros::map,
    maps::{Array, PerCpuArray, RingBuf},
};
use core::ptr;
use sockmeter_abi::{
    CAPTURE_BYTES_MAX, RING_BYTES_DEFAULT,
    field::LOSS_COUNTERS,
    record::{Named, OPENED, Opened, SEGMENT, Segment, UNIX_NAME_BYTES},
    slot::Slot,
};

/// The loader sets the size.
#[map]
static RING: RingBuf = RingBuf::with_byte_size(RING_BYTES_DEFAULT, 0);

/// What was lost, by record kind; see `abi::field::LOSS_COUNTERS`. An entry for each CPU, in memory that the agent maps:
/// it looks at each drain, and while a system call reads a map the kernel leaves kprobes out on that CPU
/// (`bpf_disable_instrumentation`). The loader sets the size.
#[map]
static LOSSES: Array<[u64; LOSS_COUNTERS]> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// Bytes to capture of a call on a connection for which the agent has not said otherwise.
#[unsafe(no_mangle)]
static CAPTURE_BYTES: Global<u32> = Global::new(CAPTURE_BYTES_MAX);

/// Where a segment is put together, and content that lies in several buffers. (Memory of which the verifier keeps no
/// account: what differs in a record would else be checked anew with all that follows.) Twice the capture limit because
/// the verifier adds the largest offset to the largest length.
#[repr(C)]
pub struct Draft {
    pub segment: Segment,
    pub content: [u8; 2 * CAPTURE_BYTES_MAX as usize],
}

/// One draft for each program that copies content. On one CPU a program is not run inside itself
/// (the kernel counts such misses), but another program may run in between, so they do not share.
#[map]
static DRAFTS: PerCpuArray<Draft> = PerCpuArray::with_max_entries(2 * LANES, 0);

/// Counts `amount` under a loss counter.
#[inline(always)]
pub fn lost(counter: usize, amount: u64) {
    // SAFETY: takes no arguments.
    let cpu = unsafe { bpf_get_smp_processor_id() };
    if let Some(counters) = LOSSES.get_ptr_mut(cpu) {
        // SAFETY: a live map value, which only this CPU writes.
        unsafe { (*counters)[counter & (LOSS_COUNTERS - 1)] += amount };
    }
}

/// Puts a record of fixed size into the ring. Never wakes the agent: waking from the traced
/// program's context would cost more than all the rest. False if there was no room.
#[inline(always)]
pub fn submit<T: 'static>(kind: u16, record: T) -> bool {
    match RING.reserve::<T>(0) {
        Some(mut entry) => {
            entry.write(record);
            entry.submit(u64::from(BPF_RB_NO_WAKEUP));
            true
        }
        None => {
            lost(usize::from(kind), 1);
            false
        }
    }
}

/// Tells that a connection is followed from now on.
#[inline(always)]
pub fn opened(index: u32, slot: &Slot, connect_ns: u64) {
    submit(OPENED, beginning(index, slot, connect_ns, 0));
}

#[inline(always)]
fn beginning(index: u32, slot: &Slot, connect_ns: u64, name_bytes: u32) -> Opened {
    Opened {
        kind: OPENED,
        role: slot.role,
        origin: slot.origin,
        slot: index,
        connection: slot.connection,
        time_ns: slot.opened_ns,
        connect_ns,
        pid: slot.pid,
        name_bytes,
        endpoints: slot.endpoints,
    }
}

/// The same of a Unix connection; `copy_name` writes the name of its server's end and tells how long it is.
#[inline(always)]
pub fn opened_named(
    index: u32,
    slot: &Slot,
    connect_ns: u64,
    copy_name: impl FnOnce(*mut [u8; UNIX_NAME_BYTES]) -> u32,
) {
    let Some(mut entry) = RING.reserve::<Named>(0) else {
        return lost(usize::from(OPENED), 1);
    };
    let record: *mut Named = entry.as_mut_ptr();
    // SAFETY: the entry is as long as the record.
    unsafe {
        let name_bytes = copy_name(ptr::addr_of_mut!((*record).name));
        ptr::addr_of_mut!((*record).opened).write(beginning(index, slot, connect_ns, name_bytes));
    }
    entry.submit(u64::from(BPF_RB_NO_WAKEUP));
}

/// The draft buffer of the program that copies what goes in a direction ([`sockmeter_abi::RECEIVE`] or
/// [`sockmeter_abi::TRANSMIT`]) on a lane.
#[inline(always)]
pub fn draft(lane: Lane, direction: usize) -> Option<*mut Draft> {
    DRAFTS.get_ptr_mut(2 * lane as u32 + direction as u32)
}

/// Calls `$put::<ROOM>` with the smallest room for content that holds `$bytes`. The size of what is reserved has to be
/// known when the program is loaded, so there are some sizes.
macro_rules! in_smallest {
    ($put:ident $arguments:tt, $bytes:ident of $($room:literal)*) => {
        $(if $bytes <= $room {
            return $put::<$room> $arguments;
        })*
    };
}

/// Puts a draft's record into the ring without content.
#[inline(always)]
pub fn submit_bare(draft: *mut Draft) {
    if let Some(entry) = roomy::<0>() {
        commit(entry, draft, 0);
    }
}

/// Puts a draft's record into the ring with the first `bytes` that the process has at `base`.
#[inline(always)]
pub fn submit_copying(draft: *mut Draft, bytes: u64, base: u64) {
    in_smallest!(copying(draft, bytes, base), bytes of
        64 128 192 256 384 512 768 1024 2048 4096 8192);
    // Nobody wants more.
    submit_bare(draft);
}

/// Puts a draft's record into the ring with the first `bytes` of its content.
#[inline(always)]
pub fn submit_gathered(draft: *mut Draft, bytes: u64) {
    in_smallest!(blocks(draft, bytes), bytes of 128 256 512 1024);
    let captured_bytes = opaque(bytes).min(u64::from(CAPTURE_BYTES_MAX));
    let size = size_of::<Segment>() as u64 + captured_bytes;
    // SAFETY: a live map value, which no other program uses on this CPU meanwhile; `size` is at most its size, which
    // the verifier checks.
    let status = unsafe {
        (*draft).segment.captured_bytes = captured_bytes as u32;
        bpf_ringbuf_output(
            ptr::addr_of!(RING).cast_mut().cast(),
            draft.cast(),
            size,
            u64::from(BPF_RB_NO_WAKEUP),
        )
    };
    if status != 0 {
        lost(usize::from(SEGMENT), 1);
    }
}

/// A record with room for content.
#[repr(C)]
struct Roomy<const ROOM: usize> {
    segment: Segment,
    content: [u8; ROOM],
}

/// Reserves a record with room for content.
#[inline(always)]
fn roomy<const ROOM: usize>() -> Option<*mut Roomy<ROOM>> {
    // SAFETY: the result is null or as long as is asked for.
    let entry = unsafe {
        bpf_ringbuf_reserve(
            ptr::addr_of!(RING).cast_mut().cast(),
            size_of::<Roomy<ROOM>>() as u64,
            0,
        )
    };
    if entry.is_null() {
        lost(usize::from(SEGMENT), 1);
        return None;
    }
    Some(entry.cast())
}

/// Puts a reserved record, of which only the content is there, into the ring.
#[inline(always)]
fn commit<const ROOM: usize>(entry: *mut Roomy<ROOM>, draft: *mut Draft, captured_bytes: u32) {
    // SAFETY: both are as large as a segment.
    unsafe {
        block(draft.cast(), entry.cast());
        (*entry).segment.captured_bytes = captured_bytes;
        bpf_ringbuf_submit(entry.cast(), u64::from(BPF_RB_NO_WAKEUP));
    }
}

#[inline(always)]
fn copying<const ROOM: usize>(draft: *mut Draft, bytes: u64, base: u64) {
    let bytes = opaque(bytes);
    if bytes > ROOM as u64 {
        return;
    }
    let Some(entry) = roomy::<ROOM>() else {
        return;
    };
    // SAFETY: the entry is reserved, and `bytes` are not more than it has room for.
    let status = unsafe {
        let content = ptr::addr_of_mut!((*entry).content);
        bpf_probe_read_user(content.cast(), bytes as u32, base as *const _)
    };
    commit(entry, draft, if status == 0 { bytes as u32 } else { 0 });
}

/// Bytes that are copied at a time.
const BLOCK_BYTES: usize = 64;
const _: () = assert!(size_of::<Segment>() == BLOCK_BYTES);

#[inline(always)]
fn blocks<const ROOM: usize>(draft: *mut Draft, bytes: u64) {
    let Some(entry) = roomy::<ROOM>() else {
        return;
    };
    let mut at = 0;
    while at < bytes {
        // As often as there are blocks in the room, which LLVM shall not write out.
        at = opaque(at);
        if at > (ROOM - BLOCK_BYTES) as u64 {
            break;
        }
        // SAFETY: both are as large as the room, in which a block begins there.
        unsafe {
            let from = ptr::addr_of!((*draft).content).cast::<u8>();
            let to = ptr::addr_of_mut!((*entry).content).cast::<u8>();
            block(from.add(at as usize).cast(), to.add(at as usize).cast());
        }
        at += BLOCK_BYTES as u64;
    }
    commit(entry, draft, bytes as u32);
}

/// Copies a block, word by word: a `memcpy` would become a byte loop in the program, and the kernel's copies a byte at a
/// time.
///
/// # Safety
/// Both are live memory.
#[inline(always)]
unsafe fn block(from: *const u64, to: *mut u64) {
    for word in 0..BLOCK_BYTES / 8 {
        // SAFETY: inside the blocks.
        unsafe { to.add(word).write_volatile(from.add(word).read_volatile()) };
    }
}

/// The default number of bytes to capture per call.
#[inline(always)]
pub fn capture_bytes_default() -> u32 {
    CAPTURE_BYTES.load()
}
