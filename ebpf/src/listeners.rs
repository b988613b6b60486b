//! Attach family: listening sockets and their accept queues.
//!
//! A queue changes with every connection and is looked at once per scrape, so nothing is counted here: the
//! table tells where the sockets are, and one program, which the agent runs when it is asked, reads them.

use crate::{
    kernel::{
        SOCK_DROPS, SOCK_LOCAL_PORT, SOCK_QUEUE_LENGTH, SOCK_QUEUE_LIMIT, SOCK_STATE, Sock, Typed,
    },
    mark,
    state::LISTEN,
    watch,
};
use aya_ebpf::{
    macros::{map, raw_tracepoint},
    maps::HashMap,
    programs::RawTracePointContext,
};
use sockmeter_abi::listener::{LISTENERS_MAX, Listener};

/// The listening sockets, by number ([`mark::number`]).
#[map]
static LISTENERS: HashMap<u64, Listener> = HashMap::with_max_entries(LISTENERS_MAX, 0);

/// What the agent has to know of sockets that found no room in the table: that there are some.
#[map]
static LISTENERS_LOST: aya_ebpf::maps::Array<u64> = aya_ebpf::maps::Array::with_max_entries(1, 0);

/// A process calls listen().
#[inline(always)]
pub fn begins(sock: Typed<Sock>) {
    if let Some(pid) = watch::current_pid() {
        insert(sock, pid, 0);
    }
}

/// The socket stops to listen, which is also the first thing that close() does to it.
#[inline(always)]
pub fn ends(sock: Typed<Sock>) {
    // It may never have been there.
    let _ = LISTENERS.remove(mark::number(sock));
}

/// A walk over all open files finds a listening socket. The first to hold it in a walk is its holder.
#[inline(always)]
pub fn found(sock: Typed<Sock>, pid: u32, walk: u64) {
    let Some(listener) = LISTENERS.get_ptr_mut(mark::number(sock)) else {
        return insert(sock, pid, walk);
    };
    // SAFETY: a live map value; only walks write these two, and the agent runs one at a time.
    let listener = unsafe { &mut *listener };
    if listener.walk != walk {
        listener.walk = walk;
        listener.pid = pid;
    }
}

#[inline(always)]
fn insert(sock: Typed<Sock>, pid: u32, walk: u64) {
    let listener = Listener {
        sock: sock.0 as u64,
        walk,
        pid,
        length: 0,
        limit: 0,
        drops: 0,
        port: 0,
        is_listening: 0,
        reserved: [0; 5],
    };
    if LISTENERS.insert(mark::number(sock), listener, 0).is_err()
        && let Some(lost) = LISTENERS_LOST.get_ptr_mut(0)
    {
        // SAFETY: a live map value. Two that miss at once may count as one.
        unsafe { *lost += 1 };
    }
}

/// Reads the socket whose number the agent gives. Never attached: the agent runs it.
#[raw_tracepoint]
pub fn listener_read(ctx: RawTracePointContext) -> i32 {
    let number: u64 = ctx.arg(0);
    let Some(listener) = LISTENERS.get_ptr_mut(number) else {
        return 0;
    };
    // SAFETY: a live map value, at least until this program ends.
    let listener = unsafe { &mut *listener };
    // A number and not a typed pointer, so all loads go through the helper, which survives any address.
    let sock = Typed(listener.sock as *const Sock);
    let is_it = || mark::is_numbered(sock, number);
    listener.is_listening = 0;
    if !is_it() {
        return 0;
    }
    let length = SOCK_QUEUE_LENGTH.load_untyped(sock).unwrap_or(0);
    let limit = SOCK_QUEUE_LIMIT.load_untyped(sock).unwrap_or(0);
    let drops = SOCK_DROPS.load_untyped(sock).unwrap_or(0);
    let port = SOCK_LOCAL_PORT.load_untyped(sock).unwrap_or(0);
    let is_listening = SOCK_STATE.load_untyped(sock) == Some(LISTEN);
    // The memory may have become another socket meanwhile; it never becomes anything else
    // (SLAB_TYPESAFE_BY_RCU) without a pause that this program holds up.
    if is_it() && is_listening {
        listener.length = length;
        listener.limit = limit;
        listener.drops = drops;
        listener.port = port;
        listener.is_listening = 1;
    }
    0
}
