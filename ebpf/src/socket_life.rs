//! Attach family: connections opening, closing, retransmitting.

use crate::{
    clock::now_ns,
    exclusion,
    kernel::{ACCEPT_ARITY, SOCK_ERROR, SOCK_SHUTDOWN, Sock, TracepointContext, Typed, word},
    listeners, mark, output, sequence,
    state::{CLOSE, CLOSE_WAIT, ESTABLISHED, FIN_WAIT1, LISTEN, SHUTDOWN_MASK, SYN_RECV, SYN_SENT},
    watch::{self, Followed},
};
#[cfg(not(feature = "fallback"))]
use aya_ebpf::macros::btf_tracepoint;
#[cfg(feature = "fallback")]
use aya_ebpf::macros::raw_tracepoint;
use aya_ebpf::{macros::fexit, programs::FExitContext};
use sockmeter_abi::{
    RECEIVE,
    record::{
        CLOSED, CONNECT_FAILED, Closed, ConnectFailed, ORIGIN_SEEN, ROLE_CLIENT, ROLE_SERVER,
        ROLE_UNKNOWN, TRANSPORT_TCP,
    },
    slot::{PHASE_CLOSED, PHASE_CONNECTING, PHASE_OPEN, Slot},
};

/// Every change of a TCP socket's state. Runs in the process for connect and close, in a softirq for
/// what the peer causes.
#[cfg_attr(
    not(feature = "fallback"),
    btf_tracepoint(function = "inet_sock_set_state")
)]
#[cfg_attr(
    feature = "fallback",
    raw_tracepoint(tracepoint = "inet_sock_set_state")
)]
pub fn socket_state(ctx: TracepointContext) -> i32 {
    let sock = Typed::<Sock>(ctx.arg(0));
    let (old, new) = (ctx.arg::<i32>(1) as u8, ctx.arg::<i32>(2) as u8);
    // What says nothing goes first: every connection comes by here for each of these.
    if matches!(new, CLOSE_WAIT | SYN_RECV) || !watch::is_tcp(sock) {
        return 0;
    }
    match (old, new) {
        (_, SYN_SENT) => connect_begins(sock),
        (SYN_SENT | SYN_RECV, ESTABLISHED) => established(sock),
        (SYN_SENT, CLOSE) if is_open(sock) => closed(sock),
        (SYN_SENT, CLOSE) => connect_failed(sock, SOCK_ERROR.load(sock) as u16),
        (_, LISTEN) => listeners::begins(sock),
        // A new server socket also comes from there (to SYN_RECV), as a copy that still has the cookie too.
        (LISTEN, CLOSE) => listeners::ends(sock),
        (CLOSE | LISTEN | SYN_RECV, _) | (_, ESTABLISHED) => {}
        (_, CLOSE) => broke(sock),
        // shutdown(SHUT_WR) also comes by here, but leaves a connection that still receives.
        (_, FIN_WAIT1..) if SOCK_SHUTDOWN.load(sock) & SHUTDOWN_MASK == SHUTDOWN_MASK => {
            closed(sock);
        }
        _ => {}
    }
    0
}

/// A process begins to connect.
#[inline(always)]
pub fn connect_begins(sock: Typed<Sock>) {
    let Some(pid) = watch::current_pid() else {
        return;
    };
    let Some(Followed { slot, .. }) = watch::follow(sock, pid) else {
        return;
    };
    // SAFETY: a live map value.
    unsafe {
        (*slot).opened_ns = now_ns();
        (*slot).pid = pid;
        (*slot).role = ROLE_CLIENT;
        (*slot).phase = PHASE_CONNECTING;
    }
}

/// The handshake of a client is done. A server's socket has no slot before accept.
#[inline(always)]
fn established(sock: Typed<Sock>) {
    let Some(followed) = watch::followed(sock) else {
        return;
    };
    let connect_ns = connect_succeeded(sock, followed);
    let Followed { index, slot } = followed;
    // SAFETY: a live map value.
    let slot = unsafe { &mut *slot };
    let sequence = sequence::now(sock);
    if let Some(connect_ns) = connect_ns {
        slot.sequence = sequence;
        output::opened(index, slot, connect_ns);
    } else {
        // Its data went before. Of what it receives the number is known only now.
        slot.sequence[RECEIVE] = sequence[RECEIVE];
    }
}

/// Data went with the SYN (TCP Fast Open), so the connection is one although nobody has answered: how long it took to
/// connect is not told, as nothing waited for that.
#[inline(always)]
pub fn opened_early(sock: Typed<Sock>, followed: Followed) {
    let Followed { index, slot } = followed;
    // SAFETY: a live map value.
    let slot = unsafe { &mut *slot };
    slot.opened_ns = now_ns();
    slot.phase = PHASE_OPEN;
    watch::endpoints(sock, slot);
    output::opened(index, slot, 0);
}

/// Whether a connection was told as open.
#[inline(always)]
fn is_open(sock: Typed<Sock>) -> bool {
    // SAFETY: a live map value.
    watch::followed(sock).is_some_and(|followed| unsafe { (*followed.slot).phase } == PHASE_OPEN)
}

/// The connection is there, if it was not before: the caller has to tell it, and how long it took.
#[inline(always)]
pub fn connect_succeeded(sock: Typed<Sock>, followed: Followed) -> Option<u64> {
    // SAFETY: a live map value.
    let slot = unsafe { &mut *followed.slot };
    // A server's socket has no slot before accept.
    if slot.phase != PHASE_CONNECTING {
        return None;
    }
    let time_ns = now_ns();
    let connect_ns = time_ns - slot.opened_ns;
    slot.opened_ns = time_ns;
    slot.phase = PHASE_OPEN;
    watch::endpoints(sock, slot);
    Some(connect_ns)
}

/// The connect ended without a connection.
#[inline(always)]
pub fn connect_failed(sock: Typed<Sock>, errno: u16) {
    let Some(Followed { slot, .. }) = watch::followed(sock) else {
        return;
    };
    // SAFETY: a live map value.
    let slot = unsafe { &mut *slot };
    if slot.phase != PHASE_CONNECTING {
        return;
    }
    let time_ns = now_ns();
    slot.phase = PHASE_CLOSED;
    watch::endpoints(sock, slot);
    output::submit(
        CONNECT_FAILED,
        ConnectFailed {
            kind: CONNECT_FAILED,
            errno,
            pid: slot.pid,
            connection: slot.connection,
            time_ns,
            connect_ns: time_ns - slot.opened_ns,
            endpoints: slot.endpoints,
        },
    );
}

/// The connection is over for TCP. What has arrived can still be read: then the end is told when the process lets go.
#[inline(always)]
fn broke(sock: Typed<Sock>) {
    let Some(Followed { slot, .. }) = watch::followed(sock) else {
        return closed_unknown(sock);
    };
    // SAFETY: a live map value.
    let slot = unsafe { &mut *slot };
    if slot.phase == PHASE_CLOSED {
        return;
    }
    if sequence::is_unread(sock, slot) {
        slot.errno = SOCK_ERROR.load(sock) as u16;
    } else {
        tcp_ends(sock, slot);
    }
}

/// The end of a connection.
#[inline(always)]
fn closed(sock: Typed<Sock>) {
    match watch::followed(sock) {
        // SAFETY: a live map value.
        Some(Followed { slot, .. }) => tcp_ends(sock, unsafe { &mut *slot }),
        None => closed_unknown(sock),
    }
}

/// The end of a connection that nobody accepted, which has no slot, or of which the walk is just making it.
#[inline(always)]
fn closed_unknown(sock: Typed<Sock>) {
    // Marks in a table have no id for what has no slot.
    if cfg!(feature = "fallback") || exclusion::is_excluded(sock) {
        return;
    }
    let record = Closed {
        connection: mark::number(sock),
        ..end(sock)
    };
    output::submit(CLOSED, record);
}

/// The end of a followed connection over TCP, unless it was told.
#[inline(always)]
fn tcp_ends(sock: Typed<Sock>, slot: &mut Slot) {
    if slot.phase != PHASE_CLOSED {
        sequence::ends(sock, slot);
        ends(sock, slot);
    }
}

/// The agent has found that the connection is an excluded process's: for the agent it ends here.
#[inline(always)]
pub fn excluded(sock: Typed<Sock>, slot: &mut Slot) {
    ends(sock, slot);
    exclusion::exclude(sock);
}

/// The end of a connection that is followed.
#[inline(always)]
pub fn ends(sock: Typed<Sock>, slot: &mut Slot) {
    if slot.phase == PHASE_CLOSED {
        return;
    }
    slot.phase = PHASE_CLOSED;
    let end = end(sock);
    let record = Closed {
        errno: if slot.errno != 0 {
            slot.errno
        } else {
            end.errno
        },
        retransmits: slot.retransmits,
        connection: slot.connection,
        bytes: slot.bytes,
        pid: slot.pid,
        role: slot.role,
        origin: slot.origin,
        // On loopback the answer to a send, a reset, comes back before the send returns.
        overtakes: (slot.send_began_ns != 0 || slot.is_receiving != 0) as u8,
        transport: watch::transport(slot),
        turns: slot.turns,
        ..end
    };
    if !output::submit(CLOSED, record) {
        slot.is_unreported = 1;
    }
}

/// The end of a connection of which nothing else is known.
#[inline(always)]
fn end(sock: Typed<Sock>) -> Closed {
    Closed {
        kind: CLOSED,
        errno: SOCK_ERROR.load(sock) as u16,
        retransmits: 0,
        connection: 0,
        time_ns: now_ns(),
        bytes: [0; 2],
        pid: 0,
        role: ROLE_UNKNOWN,
        origin: ORIGIN_SEEN,
        overtakes: 0,
        transport: TRANSPORT_TCP,
        turns: 0,
        reserved: 0,
    }
}

/// A listening socket gave a connection to a process. The connection's life begins here: before,
/// nobody holds it.
#[fexit(function = "inet_csk_accept")]
pub fn socket_accept(ctx: FExitContext) -> i32 {
    // The return value follows the arguments (`bpf_get_func_ret` exists only since 5.17).
    accepted(Typed(word(&ctx, ACCEPT_ARITY.load()) as *const Sock));
    0
}

/// A process has a connection, or null, from a listening socket.
#[inline(always)]
pub fn accepted(sock: Typed<Sock>) {
    if sock.0.is_null() {
        return;
    }
    let Some(pid) = watch::current_pid() else {
        return;
    };
    let Some(Followed { index, slot }) = watch::follow(sock, pid) else {
        return;
    };
    let time_ns = now_ns();
    // SAFETY: a live map value.
    let slot = unsafe { &mut *slot };
    slot.opened_ns = time_ns;
    slot.pid = pid;
    slot.role = ROLE_SERVER;
    slot.phase = PHASE_OPEN;
    watch::endpoints(sock, slot);
    slot.sequence = sequence::now(sock);
    output::opened(index, slot, 0);
}

/// A segment had to be sent again.
#[cfg_attr(
    not(feature = "fallback"),
    btf_tracepoint(function = "tcp_retransmit_skb")
)]
#[cfg_attr(
    feature = "fallback",
    raw_tracepoint(tracepoint = "tcp_retransmit_skb")
)]
pub fn socket_retransmit(ctx: TracepointContext) -> i32 {
    if let Some(Followed { slot, .. }) = watch::followed(Typed(ctx.arg(0))) {
        // SAFETY: a live map value; the socket is locked here, so nobody else counts.
        unsafe { (*slot).retransmits += 1 };
    }
    0
}

/// The socket is being freed: nobody can use it any more. (In `tcp_v4_destroy_sock`, of both families, since 4.16.)
#[cfg_attr(
    not(feature = "fallback"),
    btf_tracepoint(function = "tcp_destroy_sock")
)]
#[cfg_attr(feature = "fallback", raw_tracepoint(tracepoint = "tcp_destroy_sock"))]
pub fn socket_destroy(ctx: TracepointContext) -> i32 {
    let sock = Typed(ctx.arg(0));
    watch::unfollow(sock, |slot| {
        if slot.phase == PHASE_OPEN {
            tcp_ends(sock, slot);
        }
    });
    0
}
