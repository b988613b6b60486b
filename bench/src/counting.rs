//! An allocator that counts: how often it was asked, for how much, what is held and what was held at most.

#![allow(
    unsafe_code,
    reason = "an allocator that counts can only be written with unsafe"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator, counting per thread. The binary that measures makes it its own.
pub struct Counting;

/// What a thread has asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heap {
    /// Calls for memory; making an allocation larger or smaller is one.
    pub allocations: u64,
    /// Bytes asked for, of a larger one what it grew by.
    pub allocated_bytes: u64,
    /// Bytes that are held now.
    pub held_bytes: i64,
    /// The most that were held since [`restart_peak`].
    pub peak_bytes: i64,
}

thread_local! {
    static HEAP: Cell<Heap> = const {
        Cell::new(Heap { allocations: 0, allocated_bytes: 0, held_bytes: 0, peak_bytes: 0 })
    };
}

/// What this thread has asked for so far.
pub fn heap() -> Heap {
    HEAP.get()
}

/// Forgets the peak: what is held now is the most.
pub fn restart_peak() {
    let heap = HEAP.get();
    HEAP.set(Heap {
        peak_bytes: heap.held_bytes,
        ..heap
    });
}

fn count(allocations: u64, grown_bytes: i64) {
    let mut heap = HEAP.get();
    heap.allocations += allocations;
    heap.allocated_bytes += grown_bytes.max(0).cast_unsigned();
    heap.held_bytes += grown_bytes;
    heap.peak_bytes = heap.peak_bytes.max(heap.held_bytes);
    HEAP.set(heap);
}

// SAFETY: every call goes to `System` unchanged; the counters are plain cells that never allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(1, layout.size() as i64);
        // SAFETY: the caller's promises are `System`'s.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(1, layout.size() as i64);
        // SAFETY: the caller's promises are `System`'s.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(1, size as i64 - layout.size() as i64);
        // SAFETY: the caller's promises are `System`'s.
        unsafe { System.realloc(memory, layout, size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        count(0, -(layout.size() as i64));
        // SAFETY: the caller's promises are `System`'s.
        unsafe { System.dealloc(memory, layout) }
    }
}
