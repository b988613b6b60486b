//! In the steady state reading HTTP/1 allocates nothing, and what a reader keeps is bounded.

use sockmeter::protocol::{Piece, Protocol, Speaker, Start, http1};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator, counting per thread.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    static HELD_BYTES: Cell<i64> = const { Cell::new(0) };
}

// SAFETY: every call goes to `System` unchanged; the counters are plain cells that never allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        HELD_BYTES.set(HELD_BYTES.get() + layout.size() as i64);
        // SAFETY: the caller's promises are `System`'s.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        HELD_BYTES.set(HELD_BYTES.get() - layout.size() as i64);
        // SAFETY: the caller's promises are `System`'s.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn read(reader: &mut dyn Protocol, speaker: Speaker, bytes: &[u8]) {
    reader.read(speaker, Piece::Bytes(bytes), &mut |_| {});
}

fn exchange(reader: &mut dyn Protocol) {
    let request =
        b"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n";
    let response = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    read(reader, Speaker::Client, request);
    read(reader, Speaker::Server, &response[..20]);
    read(reader, Speaker::Server, &response[20..]);
}

#[test]
fn the_steady_state_allocates_nothing() {
    let mut reader = (http1::KIND.reader)(Start::Beginning);
    exchange(&mut *reader);
    let before = ALLOCATIONS.get();
    for _ in 0..1000 {
        exchange(&mut *reader);
    }
    assert_eq!(ALLOCATIONS.get() - before, 0);
}

#[test]
fn what_is_kept_is_bounded() {
    let before = HELD_BYTES.get();
    let mut reader = (http1::KIND.reader)(Start::Beginning);
    let mut held_bytes_max = 0;
    for round in 0..200_000_u32 {
        // Heads without end on both sides, then what a loss leaves.
        let text: &[u8] = if round == 0 { b"GET /" } else { b"a" };
        read(&mut *reader, Speaker::Client, text);
        read(
            &mut *reader,
            Speaker::Server,
            if round == 0 { b"HTTP/1.1 200 " } else { b"a" },
        );
        held_bytes_max = held_bytes_max.max(HELD_BYTES.get() - before);
    }
    assert!(
        (1..=2 * 128 * 1024 + 4096).contains(&held_bytes_max),
        "{held_bytes_max}"
    );
    assert!(HELD_BYTES.get() - before < 4096);
}
