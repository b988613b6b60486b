//! States of a TCP socket (include/net/tcp_states.h, part of the kernel's user API); Unix sockets use the same numbers.

pub const ESTABLISHED: u8 = 1;
pub const SYN_SENT: u8 = 2;
pub const SYN_RECV: u8 = 3;
pub const FIN_WAIT1: u8 = 4;
pub const FIN_WAIT2: u8 = 5;
/// Also of one that was never connected.
pub const CLOSE: u8 = 7;
pub const CLOSE_WAIT: u8 = 8;
pub const LISTEN: u8 = 10;

/// Both directions shut down (`SHUTDOWN_MASK`): the process called close, or cannot use the connection any more.
pub const SHUTDOWN_MASK: u8 = 3;
