//! Output: the only code that puts records into the ring, and counts those that found no room.

use crate::stream::{LANES, Lane};
use aya_ebpf::{
    Global,
    bindings::BPF_RB_NO_WAKEUP,
    helpers::generated::bpf_ringbuf_output,
    macros::map,
    maps::{PerCpuArray, RingBuf},
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

/// What was lost, by record kind; see `abi::field::LOSS_COUNTERS`. One entry, so that the agent reads
/// all counters in one call.
#[map]
static LOSSES: PerCpuArray<[u64; LOSS_COUNTERS]> = PerCpuArray::with_max_entries(1, 0);

/// Bytes to capture of a call on a connection for which the agent has not said otherwise.
#[unsafe(no_mangle)]
static CAPTURE_BYTES: Global<u32> = Global::new(CAPTURE_BYTES_MAX);

/// Where a segment is put together before it is copied into the ring: its size is only known at run
/// time, which `bpf_ringbuf_reserve` does not accept. Twice the capture limit because the verifier
/// adds the largest offset to the largest length.
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
    if let Some(counters) = LOSSES.get_ptr_mut(0) {
        // SAFETY: a live map value, private to this CPU.
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

/// Copies a draft with its captured bytes into the ring; false if there was no room.
#[inline(always)]
pub fn submit_draft(draft: *mut Draft, captured_bytes: u32) -> bool {
    let size = size_of::<Segment>() as u64 + u64::from(captured_bytes.min(CAPTURE_BYTES_MAX));
    // SAFETY: `size` is at most the draft's size, which the verifier checks.
    let status = unsafe {
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
    status == 0
}

/// The default number of bytes to capture per call.
#[inline(always)]
pub fn capture_bytes_default() -> u32 {
    CAPTURE_BYTES.load()
}
