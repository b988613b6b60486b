//! Marks in a table, by the address of the socket: for programs that cannot have a socket's storage or cookie.
//!
//! An address is used again, so a mark has to go with its socket: the programs that see a socket's end forget it. If
//! one of them is left out by the kernel, the next connection at the address finds an old mark, ends the old connection
//! and begins a new one ([`crate::watch::follow`]).

use super::Mark;
use crate::kernel::{Sock, Typed};
use aya_ebpf::{
    bindings::BPF_NOEXIST,
    macros::map,
    maps::{Array, HashMap},
};
use core::ptr;
use sockmeter_abi::CONNECTIONS_MAX_DEFAULT;

/// The marks; the loader makes it twice as large as the table of connections, as sockets of excluded processes have
/// one too.
#[map]
static MARKS: HashMap<u64, Mark> = HashMap::with_max_entries(CONNECTIONS_MAX_DEFAULT, 0);

/// How many connections each slot has had; the loader sets the size.
#[map]
static USES: Array<u32> = Array::with_max_entries(CONNECTIONS_MAX_DEFAULT, 0);

/// Bits of a connection's id for its slot: the table has a million at most.
const SLOT_BITS: u32 = 20;

/// Bits of a connection's id for its slot's uses. Above them is how often the socket was connected anew.
const USES_BITS: u32 = 28;

/// The socket's mark; null if it has none.
#[inline(always)]
pub fn find(sock: Typed<Sock>) -> *mut Mark {
    MARKS.get_ptr_mut(sock.0 as u64).unwrap_or(ptr::null_mut())
}

/// The socket's mark; if it is made now, it is made as a copy of `first`, or empty if that is null. Null if there is no
/// room.
#[inline(always)]
pub fn make(sock: Typed<Sock>, first: *const Mark) -> *mut Mark {
    let found = find(sock);
    if !found.is_null() {
        return found;
    }
    let mark = if first.is_null() {
        Mark {
            slot: 0,
            generation: 0,
        }
    } else {
        // SAFETY: not null, so the caller's.
        unsafe { *first }
    };
    // Fails without room, and if another CPU was first.
    let _ = MARKS.insert(sock.0 as u64, mark, u64::from(BPF_NOEXIST));
    find(sock)
}

/// The socket is gone, and its address may be used again.
#[inline(always)]
pub fn forget(sock: Typed<Sock>) {
    let _ = MARKS.remove(sock.0 as u64);
}

/// What tells a connection from all others: its slot, and how many connections the slot has had.
#[inline(always)]
pub fn identity(_: Typed<Sock>, slot: u32, generation: u32) -> u64 {
    let Some(uses) = USES.get_ptr_mut(slot) else {
        return 0;
    };
    // SAFETY: a live map value; who takes a slot has it alone.
    let uses = unsafe {
        *uses = (*uses).wrapping_add(1);
        u64::from(*uses) & ((1 << USES_BITS) - 1)
    };
    u64::from(slot) | uses << SLOT_BITS | u64::from(generation & 0xffff) << (SLOT_BITS + USES_BITS)
}

/// What tells a listening socket from all others while it is one.
#[inline(always)]
pub fn number(sock: Typed<Sock>) -> u64 {
    sock.0 as u64
}

/// Whether the memory at `sock` is that of the socket with this number: it is as long as that socket listens, which the
/// caller looks at.
#[inline(always)]
pub fn is_numbered(sock: Typed<Sock>, number: u64) -> bool {
    sock.0 as u64 == number
}
