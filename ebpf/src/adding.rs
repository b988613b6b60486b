//! Adding: which calls that are under way on a UDP socket add to a datagram that an earlier call began.
//!
//! Only sockets on which that ever happened have a count of such calls.

use crate::kernel::{Sock, Typed};
use place::{find, find_or_make};

/// A call begins that adds.
#[inline(always)]
pub fn begins(sock: Typed<Sock>) {
    let adding = find_or_make(sock);
    if !adding.is_null() {
        // SAFETY: not null, so a live value.
        unsafe { *adding += 1 };
    }
}

/// A call ends: whether it is one that adds.
#[inline(always)]
pub fn ends(sock: Typed<Sock>) -> bool {
    let adding = find(sock);
    if adding.is_null() {
        return false;
    }
    // SAFETY: not null, so a live value.
    let adding = unsafe { &mut *adding };
    let adds = *adding > 0;
    *adding -= u32::from(adds);
    if *adding == 0 {
        place::forget(sock);
    }
    adds
}

/// In the socket's own storage.
#[cfg(not(feature = "fallback"))]
mod place {
    use super::{Sock, Typed};
    use aya_ebpf::{
        bindings::BPF_SK_STORAGE_GET_F_CREATE, btf_maps::SkStorage,
        helpers::generated::bpf_sk_storage_get, macros::btf_map,
    };
    use core::ptr;

    #[btf_map]
    static ADDING: SkStorage<u32> = SkStorage::new();

    #[inline(always)]
    fn get(sock: Typed<Sock>, flags: u32) -> *mut u32 {
        // SAFETY: the verifier knows `sock` as `struct sock`; the result is null or a live value.
        unsafe {
            bpf_sk_storage_get(
                ptr::addr_of!(ADDING).cast_mut().cast(),
                sock.0.cast_mut().cast(),
                ptr::null_mut(),
                u64::from(flags),
            )
        }
        .cast()
    }

    #[inline(always)]
    pub(super) fn find(sock: Typed<Sock>) -> *mut u32 {
        get(sock, 0)
    }

    #[inline(always)]
    pub(super) fn find_or_make(sock: Typed<Sock>) -> *mut u32 {
        get(sock, BPF_SK_STORAGE_GET_F_CREATE)
    }

    /// It goes with the socket.
    #[inline(always)]
    pub(super) fn forget(_: Typed<Sock>) {}
}

/// In a table, by the socket's address.
#[cfg(feature = "fallback")]
mod place {
    use super::{Sock, Typed};
    use aya_ebpf::{bindings::BPF_NOEXIST, macros::map, maps::HashMap};
    use core::ptr;

    /// Sockets on which such calls are under way at once, at most. Datagrams of others may count twice.
    const SOCKETS_MAX: u32 = 1024;

    #[map]
    static ADDING: HashMap<u64, u32> = HashMap::with_max_entries(SOCKETS_MAX, 0);

    #[inline(always)]
    pub(super) fn find(sock: Typed<Sock>) -> *mut u32 {
        ADDING.get_ptr_mut(sock.0 as u64).unwrap_or(ptr::null_mut())
    }

    #[inline(always)]
    pub(super) fn find_or_make(sock: Typed<Sock>) -> *mut u32 {
        // Fails if it is there.
        let _ = ADDING.insert(sock.0 as u64, 0, u64::from(BPF_NOEXIST));
        find(sock)
    }

    #[inline(always)]
    pub(super) fn forget(sock: Typed<Sock>) {
        let _ = ADDING.remove(sock.0 as u64);
    }
}
