//! Attach family: bytes sent and received on Unix stream sockets.

use crate::{
    kernel::{Typed, sock_of, word},
    stream::{self, Lane},
};
use aya_ebpf::{
    macros::{fentry, fexit},
    programs::{FEntryContext, FExitContext},
};

#[fentry(function = "unix_stream_sendmsg")]
pub fn unix_send_begin(ctx: FEntryContext) -> i32 {
    stream::send_begins(sock_of(ctx.arg(0)));
    0
}

#[fexit(function = "unix_stream_sendmsg")]
pub fn unix_send(ctx: FExitContext) -> i32 {
    let sock = sock_of(ctx.arg(0));
    stream::sent(Lane::Unix, sock, word(&ctx, 3) as i32, Typed(ctx.arg(1)));
    0
}

#[fexit(function = "unix_stream_recvmsg")]
pub fn unix_receive(ctx: FExitContext) -> i32 {
    let sock = sock_of(ctx.arg(0));
    let (flags, length) = (word(&ctx, 3) as i32, word(&ctx, 4) as i32);
    // MSG_TRUNC means nothing here: the bytes are copied as ever.
    stream::received(
        Lane::Unix,
        sock,
        length,
        Typed(ctx.arg(1)),
        flags & !stream::MSG_TRUNC,
    );
    0
}

/// sendfile and splice to a socket; gone in 6.5, where they come as messages.
#[fexit(function = "unix_stream_sendpage")]
pub fn unix_sendpage(ctx: FExitContext) -> i32 {
    let (flags, length) = (word(&ctx, 4) as i32, word(&ctx, 5) as i32);
    stream::paged(Lane::Unix, sock_of(ctx.arg(0)), length, flags);
    0
}

/// splice from a socket.
#[fexit(function = "unix_stream_splice_read")]
pub fn unix_splice(ctx: FExitContext) -> i32 {
    stream::spliced(Lane::Unix, sock_of(ctx.arg(0)), word(&ctx, 5) as i32);
    0
}
