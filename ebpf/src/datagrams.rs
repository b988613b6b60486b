//! Attach family: datagrams sent and received on UDP sockets, counted per program that runs in a process.
//!
//! The agent reads the counts when it is asked for them, and when a program ends. Only a program's first datagram
//! makes a record, so that the agent can look who it is.
//! UDP-Lite takes the same functions and counts as UDP.

use crate::{
    adding,
    kernel::{
        MESSAGE_CONTROL, MESSAGE_CONTROL_BYTES, MESSAGE_FLAGS, Message, PACKET_END, PACKET_HEAD,
        PACKET_SEGMENT_BYTES, Packet, PacketShared, RECEIVE_ARITY, SOCK_FAMILY, Sock, TASK_EXECS,
        TASK_LEADER, TASK_START_BOOTTIME, TASK_TGID, Task, Typed, UDP_PENDING, UDP_SEGMENT_BYTES,
        UdpSock, current, reads_kernel, word,
    },
    output,
    watch::{self, AF_INET, AF_INET6},
};
use aya_ebpf::{
    bindings::BPF_NOEXIST,
    helpers::bpf_probe_read_kernel,
    macros::{fentry, fexit, map},
    maps::PerCpuHashMap,
    programs::{FEntryContext, FExitContext},
};
use sockmeter_abi::{
    RECEIVE, TRANSMIT,
    datagram::{Moved, RUNS_MAX_DEFAULT, Run},
    field::{LOSS_NO_RUN, LOSS_NO_RUN_BYTES},
    record::{RUN_MARK, RunMark},
};

const MSG_PEEK: i32 = 0x2;
const MSG_PROBE: u32 = 0x10;
const MSG_ERRQUEUE: i32 = 0x2000;

// From the kernel's user API (linux/udp.h, linux/socket.h).
const SOL_UDP: i32 = 17;
const UDP_SEGMENT: i32 = 103;

/// Control messages of a send call that are looked through; QUIC servers send up to three.
const CONTROLS_MAX: usize = 8;

/// `struct cmsghdr`, part of the kernel's user API; its data follows.
#[repr(C)]
#[derive(Clone, Copy)]
struct Control {
    length: u64,
    level: i32,
    kind: i32,
}

/// What each run moved; the loader sets the size. Not one that evicts: counts must not get lost.
#[map]
static DATAGRAMS: PerCpuHashMap<Run, Moved> = PerCpuHashMap::with_max_entries(RUNS_MAX_DEFAULT, 0);

#[fentry(function = "udp_sendmsg")]
pub fn datagram_send_begin(ctx: FEntryContext) -> i32 {
    begin(Typed(ctx.arg(0)), AF_INET);
    0
}

#[fentry(function = "udpv6_sendmsg")]
pub fn datagram_send6_begin(ctx: FEntryContext) -> i32 {
    begin(Typed(ctx.arg(0)), AF_INET6);
    0
}

#[fexit(function = "udp_sendmsg")]
pub fn datagram_send(ctx: FExitContext) -> i32 {
    let length = word(&ctx, 3) as i32;
    sent(Typed(ctx.arg(0)), Typed(ctx.arg(1)), length, AF_INET);
    0
}

#[fexit(function = "udpv6_sendmsg")]
pub fn datagram_send6(ctx: FExitContext) -> i32 {
    let length = word(&ctx, 3) as i32;
    sent(Typed(ctx.arg(0)), Typed(ctx.arg(1)), length, AF_INET6);
    0
}

/// sendfile and splice to an IPv4 socket; gone in 6.5, where they come through `udp_sendmsg`. `udp_sendpage`
/// begins the datagram with an empty `udp_sendmsg` and adds pages with this.
#[fexit(function = "ip_append_page")]
pub fn datagram_append_page(ctx: FExitContext) -> i32 {
    appended(word(&ctx, 4), word(&ctx, 6) as i32);
    0
}

#[fexit(function = "udp_recvmsg")]
pub fn datagram_receive(ctx: FExitContext) -> i32 {
    call_received(&ctx);
    0
}

#[fexit(function = "udpv6_recvmsg")]
pub fn datagram_receive6(ctx: FExitContext) -> i32 {
    call_received(&ctx);
    0
}

/// What a call received is being freed: one datagram, which counts at the call's return, or several that the
/// kernel joined on their way in (UDP_GRO, since 5.0).
#[fentry(function = "skb_consume_udp")]
pub fn datagram_joined(ctx: FEntryContext) -> i32 {
    joined(Typed(ctx.arg(1)), ctx.arg(2));
    0
}

/// A page was added to a datagram, or could not be.
#[inline(always)]
pub fn appended(bytes: u64, result: i32) {
    if result == 0 {
        count(TRANSMIT, 0, bytes);
    }
}

/// A packet of which a call has received `length` bytes is being freed.
#[inline(always)]
pub fn joined(packet: Typed<Packet>, length: i32) {
    let shared =
        (PACKET_HEAD.load(packet) + u64::from(PACKET_END.load(packet))) as *const PacketShared;
    let segment_bytes = PACKET_SEGMENT_BYTES
        .load_untyped(Typed(shared))
        .unwrap_or(0);
    // Negative if it was only peeked at.
    if segment_bytes != 0 && length > i32::from(segment_bytes) {
        count(RECEIVE, pieces(length as u64, segment_bytes) - 1, 0);
    }
}

/// Whether a call comes by here for a socket of the other family: `udpv6_sendmsg` calls `udp_sendmsg` for
/// IPv4 destinations, and is counted itself.
#[inline(always)]
pub fn is_inner(sock: Typed<Sock>, family: u16) -> bool {
    SOCK_FAMILY.load(sock) != family
}

#[inline(always)]
fn udp(sock: Typed<Sock>) -> Typed<UdpSock> {
    // Only for loads through the helper: there is no cast that the verifier knows (for IPv4).
    Typed(sock.0.cast())
}

/// Notes a call that finds data waiting (MSG_MORE, UDP_CORK). Whether a call did is not to be seen at its end, and
/// setsockopt lets the waiting data go as well.
#[inline(always)]
pub fn begin(sock: Typed<Sock>, family: u16) {
    if is_inner(sock, family) || UDP_PENDING.load_untyped(udp(sock)).unwrap_or(0) == 0 {
        return;
    }
    adding::begins(sock);
}

/// Counts what a call sent. A datagram that several calls put together counts with the first of them.
#[inline(always)]
pub fn sent(sock: Typed<Sock>, message: Typed<Message>, length: i32, family: u16) {
    if is_inner(sock, family) {
        return;
    }
    let adds = adding::ends(sock);
    // MSG_PROBE looks for a route and sends nothing.
    if length < 0 || MESSAGE_FLAGS.load(message) & MSG_PROBE != 0 {
        return;
    }
    let length = length as u64;
    let datagrams = if adds {
        0
    } else {
        segments(sock, message, length)
    };
    count(TRANSMIT, datagrams, length);
}

/// How many datagrams the kernel makes of one call's bytes (UDP_SEGMENT, since 4.18).
#[inline(always)]
fn segments(sock: Typed<Sock>, message: Typed<Message>, length: u64) -> u64 {
    let own = if MESSAGE_CONTROL_BYTES.load(message) == 0 || !reads_kernel() {
        None
    } else {
        control_segment_bytes(message)
    };
    let of_socket = || UDP_SEGMENT_BYTES.load_untyped(udp(sock)).unwrap_or(0);
    pieces(length, own.unwrap_or_else(of_socket))
}

/// Datagrams in so many bytes; also no bytes are one.
#[inline(always)]
fn pieces(length: u64, segment_bytes: u16) -> u64 {
    let segment_bytes = u64::from(segment_bytes);
    if segment_bytes == 0 || length <= segment_bytes {
        1
    } else {
        length.div_ceil(segment_bytes)
    }
}

/// What a control message says of this one call. They lie in kernel memory here, and the kernel has found
/// them well-formed.
#[inline(always)]
fn control_segment_bytes(message: Typed<Message>) -> Option<u16> {
    let mut at = MESSAGE_CONTROL.load_untyped(message)?;
    let end = at + MESSAGE_CONTROL_BYTES.load(message);
    for _ in 0..CONTROLS_MAX {
        let data = at + size_of::<Control>() as u64;
        if data > end {
            break;
        }
        // SAFETY: the helper checks the address.
        let control = unsafe { bpf_probe_read_kernel(at as *const Control) };
        let Ok(Control {
            length,
            level,
            kind,
        }) = control
        else {
            break;
        };
        if level == SOL_UDP && kind == UDP_SEGMENT {
            // SAFETY: the helper checks the address.
            return unsafe { bpf_probe_read_kernel(data as *const u16) }.ok();
        }
        at += length.next_multiple_of(8);
    }
    None
}

#[inline(always)]
fn call_received(ctx: &FExitContext) {
    let arity = RECEIVE_ARITY.load();
    // Up to 5.18 `noblock` stands before the flags.
    let flags = if arity == 6 {
        word(ctx, 4)
    } else {
        word(ctx, 3)
    };
    received(word(ctx, 2), flags as i32, word(ctx, arity) as i32);
}

/// Counts what a call received that had `room`. What is cut off a datagram was not received, also if MSG_TRUNC makes
/// the call return the whole length.
#[inline(always)]
pub fn received(room: u64, flags: i32, length: i32) {
    // A peeked datagram is received later; the error queue holds what was sent.
    if length < 0 || flags & (MSG_PEEK | MSG_ERRQUEUE) != 0 {
        return;
    }
    count(RECEIVE, 1, (length as u64).min(room));
}

#[inline(always)]
fn count(direction: usize, datagrams: u64, bytes: u64) {
    if watch::current_pid().is_none() {
        return;
    }
    let run = run(current());
    if let Some(moved) = DATAGRAMS.get_ptr_mut(run) {
        add(moved, direction, datagrams, bytes);
        return;
    }
    let nothing = Moved {
        datagrams: [0; 2],
        bytes: [0; 2],
    };
    // Fails without room, and if another CPU was first.
    let is_first = DATAGRAMS
        .insert(run, nothing, u64::from(BPF_NOEXIST))
        .is_ok();
    let Some(moved) = DATAGRAMS.get_ptr_mut(run) else {
        output::lost(LOSS_NO_RUN, datagrams);
        output::lost(LOSS_NO_RUN_BYTES, bytes);
        return;
    };
    add(moved, direction, datagrams, bytes);
    if is_first {
        mark(run, false);
    }
}

#[inline(always)]
fn add(moved: *mut Moved, direction: usize, datagrams: u64, bytes: u64) {
    // SAFETY: a live map value, private to this CPU.
    unsafe {
        (*moved).datagrams[direction] += datagrams;
        (*moved).bytes[direction] += bytes;
    }
}

#[inline(always)]
fn mark(run: Run, is_over: bool) {
    output::submit(
        RUN_MARK,
        RunMark {
            kind: RUN_MARK,
            is_over: u16::from(is_over),
            reserved: 0,
            run,
        },
    );
}

/// The program that runs in a task's process.
#[inline(always)]
pub fn run(task: Typed<Task>) -> Run {
    Run {
        pid: TASK_TGID.load(task),
        execs: TASK_EXECS.load(task) as u32,
        start_boottime_ns: TASK_START_BOOTTIME.load(TASK_LEADER.load(task)),
    }
}

/// A run is over: tells the agent, which then reads its counts and removes them. (Only since 5.19 could a
/// program read those of all CPUs.) Without room in the ring they stay until the agent finds that out.
#[inline(always)]
pub fn ended(run: Run) {
    if DATAGRAMS.get_ptr(run).is_some() {
        mark(run, true);
    }
}
