//! Names of Unix sockets: which end has one tells the roles, and the server's is told to the agent.

use crate::{
    kernel::{
        Sock, Typed, UNIX_ADDRESS, UNIX_ADDRESS_LENGTH, UNIX_ADDRESS_NAME, UNIX_ADDRESS_USERS,
        UNIX_PEER,
    },
    output,
};
use sockmeter_abi::{
    record::{ROLE_CLIENT, ROLE_SERVER, ROLE_UNKNOWN},
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

/// Tells that a Unix connection is followed from now on.
#[inline(always)]
pub fn opened(sock: Typed<Sock>, index: u32, slot: &Slot, connect_ns: u64) {
    let (own, other) = addresses(sock);
    let address = match slot.role {
        ROLE_SERVER => own,
        ROLE_CLIENT => other,
        _ => 0,
    };
    let length = if address == 0 {
        0
    } else {
        u64::from(UNIX_ADDRESS_LENGTH.load_at(address).unwrap_or(0)).saturating_sub(FAMILY_BYTES)
    };
    let name = UNIX_ADDRESS_NAME.address_at(address) + FAMILY_BYTES;
    output::opened_named(index, slot, connect_ns, name, length);
}
