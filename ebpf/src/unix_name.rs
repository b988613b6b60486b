//! Names of Unix sockets: which end has one tells the roles, and the server's is told to the agent.

use crate::{
    kernel::{
        Sock, Typed, UNIX_ADDRESS, UNIX_ADDRESS_LENGTH, UNIX_ADDRESS_NAME, UNIX_ADDRESS_USERS,
        UNIX_PEER, reads_kernel,
    },
    output,
};
use aya_ebpf::helpers::generated::bpf_probe_read_kernel;
use sockmeter_abi::{
    record::{ROLE_CLIENT, ROLE_SERVER, ROLE_UNKNOWN, UNIX_NAME_BYTES},
    slot::Slot,
};

/// Bytes of `sockaddr_un` before the name.
const FAMILY_BYTES: u64 = 2;

/// Where the kernel keeps a socket's address; zero if it has none. Read through the helper, here and below, which
/// survives that the other end is closed meanwhile.
#[inline(always)]
fn address(sock: u64) -> u64 {
    UNIX_ADDRESS.load_at(sock).unwrap_or(0)
}

/// The addresses of a socket and of the one that it is connected to.
#[inline(always)]
fn addresses(sock: Typed<Sock>) -> (u64, u64) {
    let peer = UNIX_PEER.load_at(sock.0 as u64).unwrap_or(0);
    let other = if peer == 0 { 0 } else { address(peer) };
    (address(sock.0 as u64), other)
}

/// The role of a connected socket. One that was accepted shares the address of its listening socket; one that
/// connected has none, or one of its own (bind before connect). Both ends of a pair have none.
#[inline(always)]
pub fn role(sock: Typed<Sock>) -> u8 {
    let is_shared = |address: u64| UNIX_ADDRESS_USERS.load_at(address).unwrap_or(0) > 1;
    let (own, other) = addresses(sock);
    match (own != 0, other != 0) {
        (true, false) => ROLE_SERVER,
        (false, true) => ROLE_CLIENT,
        (true, true) if is_shared(own) => ROLE_SERVER,
        (true, true) if is_shared(other) => ROLE_CLIENT,
        // Also where the listening socket is closed and this was its only connection.
        _ => ROLE_UNKNOWN,
    }
}

/// Where in the kernel's memory the name of the server's end is, and how long it is.
#[inline(always)]
fn server(sock: Typed<Sock>, role: u8) -> (u64, u64) {
    let (own, other) = addresses(sock);
    let address = match role {
        ROLE_SERVER => own,
        ROLE_CLIENT => other,
        _ => 0,
    };
    let length = if address == 0 {
        0
    } else {
        u64::from(UNIX_ADDRESS_LENGTH.load_at(address).unwrap_or(0)).saturating_sub(FAMILY_BYTES)
    };
    (UNIX_ADDRESS_NAME.address_at(address) + FAMILY_BYTES, length)
}

/// Copies the name of the server's end to `to`; tells how long it is, zero if it has none.
///
/// # Safety
/// `to` has room for it.
#[inline(always)]
pub unsafe fn copy(sock: Typed<Sock>, role: u8, to: *mut [u8; UNIX_NAME_BYTES]) -> u32 {
    let (name, mut length) = server(sock, role);
    // SAFETY: moves a register to itself, which hides from LLVM what it knows of the length: it would drop the
    // bound that shows it to the verifier.
    unsafe { core::arch::asm!("{0} = {0}", inout(reg) length) };
    // The kernel makes no longer ones.
    if length > UNIX_NAME_BYTES as u64 || !reads_kernel() {
        return 0;
    }
    // SAFETY: the caller's promise; the verifier checks the length again.
    let status = unsafe { bpf_probe_read_kernel(to.cast(), length as u32, name as *const _) };
    if status == 0 { length as u32 } else { 0 }
}

/// Tells that a Unix connection is followed from now on.
#[inline(always)]
pub fn opened(sock: Typed<Sock>, index: u32, slot: &Slot, connect_ns: u64) {
    output::opened_named(index, slot, connect_ns, |to| {
        // SAFETY: it is in the record.
        unsafe { copy(sock, slot.role, to) }
    });
}
