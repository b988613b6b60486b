//! Attach family: bytes sent and received on TCP sockets.
//!
//! Every system call that moves bytes comes through the functions of `struct proto_ops` here (AF_INET's and
//! AF_INET6's), above what TLS in the kernel (`tls_sw_sendmsg`) and socket maps (`tcp_bpf_recvmsg`) put between
//! them and TCP: so what is counted, and seen, is what the process sent and received.

use crate::{
    arrival,
    kernel::{Typed, sock_of, socket_of, word},
    stream::{self, Lane},
    watch,
};
use aya_ebpf::{
    macros::{fentry, fexit},
    programs::{FEntryContext, FExitContext},
};

#[fentry(function = "inet_sendmsg")]
pub fn socket_send_begin(ctx: FEntryContext) -> i32 {
    stream::send_begins(sock_of(ctx.arg(0)));
    0
}

#[fentry(function = "inet6_sendmsg")]
pub fn socket_send_begin6(ctx: FEntryContext) -> i32 {
    stream::send_begins(sock_of(ctx.arg(0)));
    0
}

#[fexit(function = "inet_sendmsg")]
pub fn socket_send(ctx: FExitContext) -> i32 {
    stream::sent(
        Lane::Inet,
        sock_of(ctx.arg(0)),
        word(&ctx, 3) as i32,
        Typed(ctx.arg(1)),
    );
    0
}

#[fexit(function = "inet6_sendmsg")]
pub fn socket_send6(ctx: FExitContext) -> i32 {
    stream::sent(
        Lane::Inet6,
        sock_of(ctx.arg(0)),
        word(&ctx, 3) as i32,
        Typed(ctx.arg(1)),
    );
    0
}

#[fentry(function = "inet_recvmsg")]
pub fn socket_receive_begin(ctx: FEntryContext) -> i32 {
    arrival::receive_begins(sock_of(ctx.arg(0)));
    0
}

#[fentry(function = "inet6_recvmsg")]
pub fn socket_receive_begin6(ctx: FEntryContext) -> i32 {
    arrival::receive_begins(sock_of(ctx.arg(0)));
    0
}

#[fexit(function = "inet_recvmsg")]
pub fn socket_receive(ctx: FExitContext) -> i32 {
    let (flags, length) = (word(&ctx, 3) as i32, word(&ctx, 4) as i32);
    stream::received(
        Lane::Inet,
        sock_of(ctx.arg(0)),
        length,
        Typed(ctx.arg(1)),
        flags,
    );
    0
}

#[fexit(function = "inet6_recvmsg")]
pub fn socket_receive6(ctx: FExitContext) -> i32 {
    let (flags, length) = (word(&ctx, 3) as i32, word(&ctx, 4) as i32);
    stream::received(
        Lane::Inet6,
        sock_of(ctx.arg(0)),
        length,
        Typed(ctx.arg(1)),
        flags,
    );
    0
}

/// sendfile and splice to a socket of either family; gone in 6.5, where they come as messages.
#[fexit(function = "inet_sendpage")]
pub fn socket_sendpage(ctx: FExitContext) -> i32 {
    let (flags, length) = (word(&ctx, 4) as i32, word(&ctx, 5) as i32);
    stream::paged(Lane::Inet, sock_of(ctx.arg(0)), length, flags);
    0
}

/// splice from a socket of any family. (Those that have no way of their own receive messages instead, and Unix sockets
/// have programs of their own.)
#[fexit(function = "sock_splice_read")]
pub fn socket_splice(ctx: FExitContext) -> i32 {
    let socket = socket_of(ctx.arg(0));
    if !socket.is_null() {
        let sock = sock_of(socket);
        if !watch::is_tcp(sock) {
            return 0;
        }
        stream::spliced(Lane::Inet, sock, word(&ctx, 5) as i32);
    }
    0
}
