//! The attach families by kprobe and kretprobe, for kernels and functions that take no fentry and fexit.
//!
//! Each program is named as the one whose work it does, with `kprobe_` before it. Where that one is at a return and has
//! none at the entry beside it, one with `noted_` before its name notes the arguments. Calls whose return the kernel
//! leaves out are taken when their system call returns, by what that tells: its arguments and its result.

use crate::{
    arrival, call, datagrams,
    kernel::{File, RECEIVE_ARITY, Typed, opaque, sock_of, socket_of},
    socket_life,
    stream::{self, Lane},
    syscall, unix_life, watch,
};
use aya_ebpf::{
    macros::{kprobe, kretprobe, raw_tracepoint},
    programs::{ProbeContext, RawTracePointContext, RetProbeContext},
};
use sockmeter_abi::call::number;

#[inline(always)]
fn argument(ctx: &ProbeContext, index: usize) -> u64 {
    ctx.arg(index).unwrap_or(0)
}

/// Programs at the entries of functions: what they do, and which call they note with which of its arguments.
macro_rules! entries {
    ($($program:ident: $(does $does:expr,)? notes $call:literal [$first:literal, $second:literal, $third:literal];)*) => {
        $(
            #[kprobe]
            pub fn $program(ctx: ProbeContext) -> u32 {
                call::begins(
                    const { number($call) },
                    [argument(&ctx, $first), argument(&ctx, $second), argument(&ctx, $third)],
                );
                $($does(sock_of(argument(&ctx, 0) as *const _));)?
                0
            }
        )*
    };
}

entries! {
    kprobe_socket_send_begin: does stream::send_begins, notes "socket_send" [0, 1, 2];
    kprobe_socket_send_begin6: does stream::send_begins, notes "socket_send6" [0, 1, 2];
    kprobe_socket_receive_begin: does arrival::receive_begins, notes "socket_receive" [0, 1, 3];
    kprobe_socket_receive_begin6: does arrival::receive_begins, notes "socket_receive6" [0, 1, 3];
    noted_socket_sendpage: notes "socket_sendpage" [0, 1, 4];
    noted_socket_accept: notes "socket_accept" [0, 1, 2];
    noted_socket_splice: notes "socket_splice" [0, 1, 2];
    kprobe_unix_send_begin: does stream::send_begins, notes "unix_send" [0, 1, 2];
    noted_unix_receive: notes "unix_receive" [0, 1, 3];
    noted_unix_sendpage: notes "unix_sendpage" [0, 1, 4];
    noted_unix_splice: notes "unix_splice" [0, 1, 2];
    kprobe_unix_connect_begin: does unix_life::connect_begins, notes "unix_connect" [0, 1, 2];
    noted_unix_accept: notes "unix_accept" [0, 1, 2];
    noted_unix_pair: notes "unix_pair" [0, 1, 2];
    noted_datagram_append_page: notes "datagram_append_page" [0, 1, 4];
}

/// Programs at the returns of functions: which call they take, what it noted, what it returned, and what they do then.
macro_rules! returns {
    ($($program:ident: takes $call:literal $noted:pat, $result:ident => $does:expr;)*) => {
        $(
            #[kretprobe]
            pub fn $program(ctx: RetProbeContext) -> u32 {
                if let Some($noted) = call::returns(const { number($call) }) {
                    let $result = ctx.ret::<i64>();
                    $does;
                }
                0
            }
        )*
    };
}

returns! {
    kprobe_socket_send: takes "socket_send" noted, length => sent(Lane::Inet, noted, length as i32);
    kprobe_socket_send6: takes "socket_send6" noted, length => sent(Lane::Inet6, noted, length as i32);
    kprobe_socket_receive: takes "socket_receive" noted, length => received(Lane::Inet, noted, length as i32);
    kprobe_socket_receive6: takes "socket_receive6" noted, length => received(Lane::Inet6, noted, length as i32);
    kprobe_socket_sendpage: takes "socket_sendpage" noted, length => paged(Lane::Inet, noted, length as i32);
    kprobe_socket_splice: takes "socket_splice" [file, ..], length => spliced(file as *const _, length as i32);
    kprobe_socket_accept: takes "socket_accept" _, sock => socket_life::accepted(Typed(sock as *const _));
    kprobe_unix_send: takes "unix_send" noted, length => sent(Lane::Unix, noted, length as i32);
    // MSG_TRUNC means nothing there, see `unix_io`.
    kprobe_unix_receive: takes "unix_receive" [socket, message, flags], length =>
        received(Lane::Unix, [socket, message, flags & !(stream::MSG_TRUNC as u64)], length as i32);
    kprobe_unix_sendpage: takes "unix_sendpage" noted, length => paged(Lane::Unix, noted, length as i32);
    kprobe_unix_splice: takes "unix_splice" [socket, ..], length =>
        stream::spliced(Lane::Unix, sock_of(socket as *const _), length as i32);
    kprobe_unix_connect: takes "unix_connect" [socket, ..], result =>
        unix_life::connect_ends(sock_of(socket as *const _), result as i32);
    kprobe_unix_accept: takes "unix_accept" [_, socket, _], result =>
        unix_life::accepted(socket as *const _, result as i32);
    kprobe_unix_pair: takes "unix_pair" [one, other, _], result =>
        unix_life::paired(one as *const _, other as *const _, result as i32);
    kprobe_datagram_append_page: takes "datagram_append_page" [.., bytes], result =>
        datagrams::appended(bytes, result as i32);
    kprobe_datagram_send: takes "datagram_send" noted, length =>
        datagram_sent(noted, length as i32, watch::AF_INET);
    kprobe_datagram_send6: takes "datagram_send6" noted, length =>
        datagram_sent(noted, length as i32, watch::AF_INET6);
    kprobe_datagram_receive: takes "datagram_receive" [room, flags, _], length =>
        datagrams::received(room, flags as i32, length as i32);
    kprobe_datagram_receive6: takes "datagram_receive6" [room, flags, _], length =>
        datagrams::received(room, flags as i32, length as i32);
}

#[inline(always)]
fn sent(lane: Lane, [socket, message, _]: call::Arguments, length: i32) {
    stream::sent(
        lane,
        sock_of(socket as *const _),
        length,
        Typed(message as *const _),
    );
}

#[inline(always)]
fn received(lane: Lane, [socket, message, flags]: call::Arguments, length: i32) {
    let (sock, message) = (sock_of(socket as *const _), Typed(message as *const _));
    stream::received(lane, sock, length, message, flags as i32);
}

#[inline(always)]
fn paged(lane: Lane, [socket, _, flags]: call::Arguments, length: i32) {
    stream::paged(lane, sock_of(socket as *const _), length, flags as i32);
}

#[inline(always)]
fn spliced(file: *const File, length: i32) {
    let socket = socket_of(file);
    if !socket.is_null() {
        let sock = sock_of(socket);
        if watch::is_tcp(sock) {
            stream::spliced(Lane::Inet, sock, length);
        }
    }
}

#[inline(always)]
fn datagram_sent([sock, message, _]: call::Arguments, length: i32, family: u16) {
    datagrams::sent(
        Typed(sock as *const _),
        Typed(message as *const _),
        length,
        family,
    );
}

#[kprobe]
pub fn kprobe_datagram_send_begin(ctx: ProbeContext) -> u32 {
    datagram_send_begins(&ctx, const { number("datagram_send") }, watch::AF_INET);
    0
}

#[kprobe]
pub fn kprobe_datagram_send6_begin(ctx: ProbeContext) -> u32 {
    datagram_send_begins(&ctx, const { number("datagram_send6") }, watch::AF_INET6);
    0
}

#[inline(always)]
fn datagram_send_begins(ctx: &ProbeContext, call: usize, family: u16) {
    let (sock, message) = (argument(ctx, 0), argument(ctx, 1));
    // Inside the other family's call it is not followed.
    if !datagrams::is_inner(Typed(sock as *const _), family) {
        call::begins(call, [sock, message, 0]);
        datagrams::begin(Typed(sock as *const _), family);
    }
}

#[kprobe]
pub fn noted_datagram_receive(ctx: ProbeContext) -> u32 {
    datagram_receive_begins(&ctx, const { number("datagram_receive") });
    0
}

#[kprobe]
pub fn noted_datagram_receive6(ctx: ProbeContext) -> u32 {
    datagram_receive_begins(&ctx, const { number("datagram_receive6") });
    0
}

#[inline(always)]
fn datagram_receive_begins(ctx: &ProbeContext, call: usize) {
    // Up to 5.18 `noblock` stands before the flags.
    let (fourth, fifth) = (opaque(argument(ctx, 3)), opaque(argument(ctx, 4)));
    let flags = if RECEIVE_ARITY.load() == 6 {
        fifth
    } else {
        fourth
    };
    call::begins(call, [argument(ctx, 2), flags, 0]);
}

#[kprobe]
pub fn kprobe_datagram_joined(ctx: ProbeContext) -> u32 {
    datagrams::joined(
        Typed(argument(&ctx, 1) as *const _),
        argument(&ctx, 2) as i32,
    );
    0
}

#[kprobe]
pub fn kprobe_unix_release(ctx: ProbeContext) -> u32 {
    unix_life::released(argument(&ctx, 0) as *const _);
    0
}

/// Takes the calls of TCP sockets whose return was left out: [`call`].
#[raw_tracepoint(tracepoint = "sys_exit")]
pub fn socket_left(ctx: RawTracePointContext) -> i32 {
    const SEND: usize = number("socket_send");
    const RECEIVE6: usize = number("socket_receive6");
    const ACCEPT: usize = number("socket_accept");
    let Some((function, [socket, _, flags])) = call::left(SEND..ACCEPT + 1) else {
        return 0;
    };
    let result = ctx.arg::<i64>(1);
    match function {
        SEND..=RECEIVE6 => {
            let sock = sock_of(socket as *const _);
            if !syscall::left(Lane::Inet, sock, flags as u32, ctx.arg(0), result) {
                call::missed(function);
            }
        }
        ACCEPT => syscall::accepted(result),
        _ => call::missed(function),
    }
    0
}

/// The same of Unix sockets.
#[raw_tracepoint(tracepoint = "sys_exit")]
pub fn unix_left(ctx: RawTracePointContext) -> i32 {
    const SEND: usize = number("unix_send");
    const RECEIVE: usize = number("unix_receive");
    const CONNECT: usize = number("unix_connect");
    const ACCEPT: usize = number("unix_accept");
    let Some((function, [first, second, flags])) = call::left(SEND..ACCEPT + 1) else {
        return 0;
    };
    let result = ctx.arg::<i64>(1);
    match function {
        SEND | RECEIVE => {
            let flags = flags & !(stream::MSG_TRUNC as u64);
            let sock = sock_of(first as *const _);
            if !syscall::left(Lane::Unix, sock, flags as u32, ctx.arg(0), result) {
                call::missed(function);
            }
        }
        CONNECT => unix_life::connect_ends(sock_of(first as *const _), result as i32),
        // It returns a descriptor.
        ACCEPT if result >= 0 => unix_life::accepted(second as *const _, 0),
        ACCEPT => {}
        _ => call::missed(function),
    }
    0
}

/// The same of what UDP sockets receive; of what they send, the message is gone.
#[raw_tracepoint(tracepoint = "sys_exit")]
pub fn datagram_left(ctx: RawTracePointContext) -> i32 {
    const RECEIVE: usize = number("datagram_receive");
    const RECEIVE6: usize = number("datagram_receive6");
    if let Some((function, [room, flags, _])) = call::left(RECEIVE..RECEIVE6 + 1) {
        if syscall::is_single(ctx.arg(0)) {
            datagrams::received(room, flags as i32, ctx.arg::<i64>(1) as i32);
        } else {
            call::missed(function);
        }
    }
    0
}
