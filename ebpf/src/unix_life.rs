//! Attach family: connections over Unix stream sockets opening and closing.
//!
//! These sockets have no tracepoint for their states. They also carry sequenced packets through the same functions,
//! which are not followed: they are no streams.

use crate::{
    clock::now_ns,
    kernel::{SOCK_STATE, Sock, Socket, Typed, UNIX_ACCEPT_ARITY, sock_of, word},
    socket_life,
    state::CLOSE,
    unix_name,
    watch::{self, Followed},
};
use aya_ebpf::{
    macros::{fentry, fexit},
    programs::{FEntryContext, FExitContext},
};
use sockmeter_abi::{
    record::{ROLE_SERVER, ROLE_UNKNOWN},
    slot::{PHASE_CONNECTING, PHASE_OPEN},
};

/// The first of the kernel's own error numbers (`ERESTARTSYS`). They never reach a process: a signal came in
/// between, after which the call is made again, or ends with `EINTR`.
const RESTART_MIN: i32 = 512;

/// The process gave up, as `ConnectFailed::errno` tells it.
const GAVE_UP: u16 = 0;

#[fentry(function = "unix_stream_connect")]
pub fn unix_connect_begin(ctx: FEntryContext) -> i32 {
    connect_begins(sock_of(ctx.arg(0)));
    0
}

#[fexit(function = "unix_stream_connect")]
pub fn unix_connect(ctx: FExitContext) -> i32 {
    connect_ends(sock_of(ctx.arg(0)), word(&ctx, 4) as i32);
    0
}

#[fexit(function = "unix_accept")]
pub fn unix_accept(ctx: FExitContext) -> i32 {
    accepted(ctx.arg(1), word(&ctx, UNIX_ACCEPT_ARITY.load()) as i32);
    0
}

#[fexit(function = "unix_socketpair")]
pub fn unix_pair(ctx: FExitContext) -> i32 {
    paired(ctx.arg(0), ctx.arg(1), word(&ctx, 2) as i32);
    0
}

/// The last descriptor of a socket was closed: nobody can use it any more. (shutdown() alone leaves a
/// connection that its process still holds.)
#[fentry(function = "unix_release")]
pub fn unix_release(ctx: FEntryContext) -> i32 {
    released(ctx.arg(0));
    0
}

#[inline(always)]
pub fn connect_begins(sock: Typed<Sock>) {
    // One that is connected, or listens, stays what it is.
    if watch::is_unix(sock) && SOCK_STATE.load(sock) == CLOSE {
        socket_life::connect_begins(sock);
    }
}

#[inline(always)]
pub fn connect_ends(sock: Typed<Sock>, result: i32) {
    if result == 0 {
        if let Some(followed) = watch::followed(sock)
            && let Some(connect_ns) = socket_life::connect_succeeded(sock, followed)
        {
            let Followed { index, slot } = followed;
            // SAFETY: a live map value.
            unix_name::opened(sock, index, unsafe { &*slot }, connect_ns);
        }
    } else if result > -RESTART_MIN {
        socket_life::connect_failed(sock, -result as u16);
    }
}

/// A listening socket gave a connection to a process.
#[inline(always)]
pub fn accepted(socket: *const Socket, result: i32) {
    if result == 0 {
        begins(sock_of(socket), ROLE_SERVER);
    }
}

/// Two sockets connected to each other: both ends are this process's for now.
#[inline(always)]
pub fn paired(one: *const Socket, other: *const Socket, result: i32) {
    if result == 0 {
        begins(sock_of(one), ROLE_UNKNOWN);
        begins(sock_of(other), ROLE_UNKNOWN);
    }
}

/// A socket is let go of by all who held it.
#[inline(always)]
pub fn released(socket: *const Socket) {
    let sock = sock_of(socket);
    watch::unfollow(sock, |slot| {
        if slot.phase == PHASE_CONNECTING {
            socket_life::connect_failed(sock, GAVE_UP);
        } else {
            socket_life::ends(sock, slot);
        }
    });
}

/// A connection is there, without a connect by this process.
#[inline(always)]
fn begins(sock: Typed<Sock>, role: u8) {
    if !watch::is_unix(sock) {
        return;
    }
    let Some(pid) = watch::current_pid() else {
        return;
    };
    let Some(Followed { index, slot }) = watch::follow(sock, pid) else {
        return;
    };
    // SAFETY: a live map value.
    let slot = unsafe { &mut *slot };
    slot.opened_ns = now_ns();
    slot.pid = pid;
    slot.role = role;
    slot.phase = PHASE_OPEN;
    watch::endpoints(sock, slot);
    unix_name::opened(sock, index, slot, 0);
}
