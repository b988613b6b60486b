//! Marks in the sockets' own storage: freed with the socket, found without a hash (tracing programs since 5.11).

use super::Mark;
use crate::kernel::{SOCK_COOKIE, Sock, Typed};
use aya_ebpf::{
    bindings::BPF_SK_STORAGE_GET_F_CREATE,
    btf_maps::SkStorage,
    helpers::generated::{bpf_get_socket_cookie, bpf_sk_storage_get},
    macros::btf_map,
};
use core::ptr;

#[btf_map]
static MARKS: SkStorage<Mark> = SkStorage::new();

/// The socket's mark; null if it has none.
#[inline(always)]
pub fn find(sock: Typed<Sock>) -> *mut Mark {
    get(sock, ptr::null(), 0)
}

/// The socket's mark; if it is made now, it is made as a copy of `first`, or empty if that is null. Null if there is no
/// memory, or another CPU is about to make it.
#[inline(always)]
pub fn make(sock: Typed<Sock>, first: *const Mark) -> *mut Mark {
    get(sock, first, BPF_SK_STORAGE_GET_F_CREATE)
}

/// The socket is gone; its storage goes with it.
#[inline(always)]
pub fn forget(_: Typed<Sock>) {}

/// What tells a connection from all others: the socket's cookie, with how often the socket was connected anew.
#[inline(always)]
pub fn identity(sock: Typed<Sock>, _: u32, generation: u32) -> u64 {
    cookie(sock) | u64::from(generation & 0xffff) << 48
}

/// What tells a socket that has no slot from all others.
#[inline(always)]
pub fn number(sock: Typed<Sock>) -> u64 {
    cookie(sock)
}

/// Whether the memory at `sock` is that of the socket with this number, whatever it was when the number was noted.
#[inline(always)]
pub fn is_numbered(sock: Typed<Sock>, number: u64) -> bool {
    SOCK_COOKIE.load_untyped(sock) == Some(number)
}

/// The socket's cookie: unique since boot, and what `ss -e` and sock_diag show (tracing since 5.12).
#[inline(always)]
fn cookie(sock: Typed<Sock>) -> u64 {
    // SAFETY: the verifier knows `sock` as `struct sock`.
    unsafe { bpf_get_socket_cookie(sock.0.cast_mut().cast()) }
}

#[inline(always)]
fn get(sock: Typed<Sock>, first: *const Mark, flags: u32) -> *mut Mark {
    // SAFETY: the verifier knows `sock` as `struct sock`; the result is null or a live value.
    unsafe {
        bpf_sk_storage_get(
            ptr::addr_of!(MARKS).cast_mut().cast(),
            sock.0.cast_mut().cast(),
            first.cast_mut().cast(),
            u64::from(flags),
        )
    }
    .cast()
}
