//! Calls of kernel functions that are followed from entry to return by two programs (kprobe and kretprobe).

/// The agent's names of the programs at the returns, in the order of the counters of calls that were missed. Those of one
/// transport stand together.
pub const CALLS: [&str; 19] = [
    "socket_send",
    "socket_send6",
    "socket_receive",
    "socket_receive6",
    "socket_sendpage",
    "socket_splice",
    "socket_accept",
    "unix_send",
    "unix_receive",
    "unix_sendpage",
    "unix_splice",
    "unix_connect",
    "unix_accept",
    "unix_pair",
    "datagram_send",
    "datagram_send6",
    "datagram_append_page",
    "datagram_receive",
    "datagram_receive6",
];

/// Entries of the table of those counters: a power of two.
pub const CALL_COUNTERS: usize = 32;

/// Calls that are under way at once and followed, at most: threads that wait in one.
pub const CALLS_UNDER_WAY_MAX: u32 = 32 * 1024;

/// The place of a call's counter.
///
/// # Panics
/// When the program is not one of [`CALLS`]: while the code is compiled.
#[must_use]
pub const fn number(program: &str) -> usize {
    let mut number = 0;
    while number < CALLS.len() {
        if equal(CALLS[number].as_bytes(), program.as_bytes()) {
            return number;
        }
        number += 1;
    }
    panic!("not one of CALLS");
}

const fn equal(left: &[u8], right: &[u8]) -> bool {
    if left.len() != right.len() {
        return false;
    }
    let mut at = 0;
    while at < left.len() {
        if left[at] != right[at] {
            return false;
        }
        at += 1;
    }
    true
}
