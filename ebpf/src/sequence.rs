//! What TCP's own numbers tell: bytes that moved by no call that was seen, and bytes that no call has told yet.

use crate::{
    history,
    kernel::{
        Sock, TCP_NEXT_SEQUENCE, TCP_READ_SEQUENCE, TCP_UPPER_LAYER, TCP_WRITE_SEQUENCE, TcpSock,
        Typed, tcp,
    },
};
use sockmeter_abi::{RECEIVE, TRANSMIT, slot::Slot};

/// TCP's numbers of the next byte that the process receives and transmits; zero for any other socket.
#[inline(always)]
pub fn now(sock: Typed<Sock>) -> [u32; 2] {
    let tcp = tcp(sock);
    if tcp.0.is_null() {
        [0; 2]
    } else {
        [TCP_READ_SEQUENCE.load(tcp), TCP_WRITE_SEQUENCE.load(tcp)]
    }
}

/// Counts the bytes that moved since the last call by no call that was seen, told by TCP's own number: what was
/// mapped (`TCP_ZEROCOPY_RECEIVE`), what a socket map's program took, and calls at whose return the kernel left this
/// program out, which it does when another task was preempted inside it on the same CPU (`__bpf_prog_enter`).
///
/// A single byte is none of them: TCP skips the urgent byte. Nor is the FIN. Two threads that send at a time see
/// each other's bytes here, and the later one takes them back.
///
/// True if some did.
#[inline(always)]
pub fn count_unseen(
    sock: Typed<Sock>,
    tcp: Typed<TcpSock>,
    slot: &mut Slot,
    direction: usize,
    length: u32,
) -> bool {
    let sequence = if direction == RECEIVE {
        TCP_READ_SEQUENCE.load(tcp)
    } else {
        TCP_WRITE_SEQUENCE.load(tcp)
    };
    let told = core::mem::replace(&mut slot.sequence[direction], sequence);
    // Data may go with the SYN, before there was a number to compare with (TCP Fast Open).
    if told == 0 {
        return false;
    }
    let mut unseen = sequence.wrapping_sub(told.wrapping_add(length)) as i32;
    // Mostly there is nothing, and then it does not matter whose numbers they are.
    if unseen == 0 || !has_sequences(tcp) {
        return false;
    }
    if direction == RECEIVE
        && unseen > 0
        && history::is_fin_here(sock)
        && TCP_NEXT_SEQUENCE.load(tcp) == sequence
    {
        unseen -= 1;
    }
    if unseen > 1 {
        slot.bytes[direction] += unseen as u64;
        slot.surplus[direction] += unseen as u32;
        return true;
    }
    if unseen < 0 {
        let back = unseen.unsigned_abs().min(slot.surplus[direction]);
        slot.bytes[direction] -= u64::from(back);
        slot.surplus[direction] -= back;
    }
    false
}

/// Whether TCP's numbers are those of the bytes that calls move: below TLS they are those of its records.
#[inline(always)]
fn has_sequences(tcp: Typed<TcpSock>) -> bool {
    TCP_UPPER_LAYER.present() && TCP_UPPER_LAYER.load(tcp) == 0
}

/// Whether bytes came that no call has told: they are left to read, or the call that reads them has not returned.
#[inline(always)]
pub fn is_unread(sock: Typed<Sock>, slot: &Slot) -> bool {
    let tcp = tcp(sock);
    if tcp.0.is_null() {
        return false;
    }
    let told = if has_sequences(tcp) && slot.sequence[RECEIVE] != 0 {
        slot.sequence[RECEIVE]
    } else {
        TCP_READ_SEQUENCE.load(tcp)
    };
    let left = TCP_NEXT_SEQUENCE.load(tcp).wrapping_sub(told) as i32;
    left > i32::from(history::is_fin_here(sock))
}

/// Counts what moved unseen since the last calls.
#[inline(always)]
pub fn ends(sock: Typed<Sock>, slot: &mut Slot) {
    let tcp = tcp(sock);
    if !tcp.0.is_null() {
        count_unseen(sock, tcp, slot, RECEIVE, 0);
        count_unseen(sock, tcp, slot, TRANSMIT, 0);
    }
}
