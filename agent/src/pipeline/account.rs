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
    let mut tell = |outcome, protocol, bytes| {
        if bytes > 0 {
            series.payload(process, outcome, protocol, direction, bytes);
        }
    };
    tell("parsed", protocol, parsed_bytes);
    tell("skipped", protocol, skipped_bytes);
    tell("unrecognised", "", unrecognised_bytes);
    tell("opaque", "", opaque_bytes);
    tell("lost", protocol, lost_bytes);
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
        // Of Unix sockets: no such file, not allowed to write to it, its accept queue is full.
        libc::ENOENT => "not_found",
        libc::EACCES | libc::EPERM => "permission_denied",
        libc::EAGAIN => "queue_full",
        _ => "other",
    }
}
