//! What a socket itself tells of its past: its role, whether a process has used it, whether its peer is done.

use crate::kernel::{
    BUCKET_REUSE, SOCK_FLAGS, SOCK_QUEUE_LIMIT, SOCK_USER_LOCKS, Sock, TCP_ACKNOWLEDGED_BYTES,
    TCP_BIND_BUCKET, TCP_NEXT_SEQUENCE, TCP_READ_SEQUENCE, TCP_RECEIVED_BYTES, TCP_UNACKNOWLEDGED,
    TCP_WRITE_SEQUENCE, TcpSock, Typed, tcp,
};
use sockmeter_abi::{
    RECEIVE, TRANSMIT,
    record::{ROLE_CLIENT, ROLE_SERVER, ROLE_UNKNOWN},
};

/// `SOCK_BINDPORT_LOCK`: the process chose the local port itself (include/net/sock.h).
const PORT_CHOSEN: u8 = 8;

/// `1 << SOCK_DONE` (include/net/sock.h).
const DONE: u64 = 2;

/// Whether the peer's FIN has come (`tcp_fin`). It takes a number of its own behind the peer's last byte.
#[inline(always)]
pub fn is_fin_here(sock: Typed<Sock>) -> bool {
    SOCK_FLAGS.load(sock) & DONE != 0
}

/// The role, from what only one of the two ends has. Nothing here depends on a port's number, or on whether
/// the listening socket still exists.
///
/// A server's socket is a copy of its listening socket (`sk_clone_lock`): it keeps the queue's limit, which
/// nobody else has unless it listened itself, and its port was bound. A client's port is bound by connect(),
/// which marks the port's bucket (`__inet_hash_connect` sets `fastreuse` to -1, and never shares a bucket that
/// has not that mark), or by the process, which the socket remembers and a copy forgets. What remains is unknown:
/// bind() to port 0 before connect(), and servers that called listen() with 0. In 6.1 the process's own choice
/// is in a bit field, which is not read: such a client is unknown too.
#[inline(always)]
pub fn role(sock: Typed<Sock>) -> u8 {
    let tcp = tcp(sock);
    if tcp.0.is_null() {
        return ROLE_UNKNOWN;
    }
    let bucket = TCP_BIND_BUCKET.load(tcp);
    if bucket.0.is_null() {
        return ROLE_UNKNOWN;
    }
    let is_copy = SOCK_QUEUE_LIMIT.load(sock) > 0;
    let is_bound_by_connect = BUCKET_REUSE.load(bucket) < 0;
    let is_chosen = SOCK_USER_LOCKS.present() && SOCK_USER_LOCKS.load(sock) & PORT_CHOSEN != 0;
    match (is_copy, is_bound_by_connect || is_chosen) {
        (true, false) => ROLE_SERVER,
        (false, true) => ROLE_CLIENT,
        _ => ROLE_UNKNOWN,
    }
}

/// Whether a server's connection had moved no byte before a call that has now moved `length`, as TCP counts.
#[inline(always)]
pub fn was_unused(sock: Typed<Sock>, direction: usize, length: u32) -> bool {
    let tcp = tcp(sock);
    if tcp.0.is_null() {
        return false;
    }
    let moved = |one| if one == direction { length } else { 0 };
    read_bytes(tcp) == moved(RECEIVE) && written_bytes(tcp) == moved(TRANSMIT)
}

// Packets may come in between the loads. Their order is such that the results are then too large: a connection
// that was used is not taken for one that was not.

/// Bytes that were read, modulo 2^32: those that came, without those that wait.
#[inline(always)]
fn read_bytes(tcp: Typed<TcpSock>) -> u32 {
    let next = TCP_NEXT_SEQUENCE.load(tcp);
    let received = TCP_RECEIVED_BYTES.load(tcp) as u32;
    let waiting = next.wrapping_sub(TCP_READ_SEQUENCE.load(tcp));
    received.wrapping_sub(waiting)
}

/// Bytes that were written, modulo 2^32: those that were acknowledged, and those that were not.
#[inline(always)]
fn written_bytes(tcp: Typed<TcpSock>) -> u32 {
    let first = TCP_UNACKNOWLEDGED.load(tcp);
    let acknowledged = TCP_ACKNOWLEDGED_BYTES.load(tcp) as u32;
    let waiting = TCP_WRITE_SEQUENCE.load(tcp).wrapping_sub(first);
    acknowledged.wrapping_add(waiting)
}
