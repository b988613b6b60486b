//! What a stage's numbers and the kernel's error numbers are called on labels.

use crate::{
    connections::Direction,
    protocol::{Consumed, conversation::Account},
    series::{ProcessKey, Series},
};

/// Counts where the bytes of a piece went.
pub(super) fn tell_account(
    series: &mut Series,
    process: ProcessKey,
    protocol: &'static str,
    direction: Direction,
    account: Account,
) {
    let Account {
        consumed,
        unrecognised_bytes,
    } = account;
    let Consumed {
        parsed_bytes,
        skipped_bytes,
        lost_bytes,
        opaque_bytes,
    } = consumed;
    for (outcome, protocol, bytes) in [
        ("parsed", protocol, parsed_bytes),
        ("skipped", protocol, skipped_bytes),
        ("unrecognised", "", unrecognised_bytes),
        ("opaque", "", opaque_bytes),
        ("lost", protocol, lost_bytes),
    ] {
        if bytes > 0 {
            series.payload(process, outcome, protocol, direction, bytes);
        }
    }
}

/// The `error_type` of a connection, from the socket's error number (asm-generic/errno.h).
pub(super) fn error_type(errno: u16) -> &'static str {
    match i32::from(errno) {
        0 => "cancelled",
        libc::ECONNREFUSED => "refused",
        libc::ECONNRESET | libc::EPIPE => "reset",
        libc::ETIMEDOUT => "timeout",
        libc::EHOSTUNREACH | libc::EHOSTDOWN => "host_unreachable",
        libc::ENETUNREACH | libc::ENETDOWN => "network_unreachable",
        libc::EADDRNOTAVAIL => "no_local_address",
        libc::ECONNABORTED => "aborted",
        _ => "other",
    }
}
