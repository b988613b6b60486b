//! Attach family: bytes sent and received on TCP sockets.
//!
//! All lengths are return values. Content is read after the call: the kernel has advanced the
//! message's iterator by exactly that many bytes, so it is walked back by as many.

use crate::{
    kernel::{
        ITER_SINGLE, ITER_VECTOR, MESSAGE_ITER_BUFFER, MESSAGE_ITER_KIND, MESSAGE_ITER_OFFSET,
        MESSAGE_ITER_SEGMENTS, Message, RECEIVE_ARITY, SOCKET_SOCK, Sock, Socket, TCP_CLOCK_NS,
        TcpSock, Typed, now_ns, word,
    },
    output::{self, Draft},
    watch::{self, Followed},
};
use aya_ebpf::{
    helpers::{
        bpf_probe_read_kernel,
        generated::{bpf_probe_read_user, bpf_skc_to_tcp_sock},
    },
    macros::{fentry, fexit},
    programs::{FEntryContext, FExitContext},
};
use core::ptr;
use sockmeter_abi::{
    CAPTURE_BYTES_MAX, CAPTURE_TAIL_BYTES, CAPTURE_WINDOW_BYTES, RECEIVE, TRANSMIT,
    field::LOSS_NO_SLOT_BYTES,
    record::{
        ORIGIN_ADOPTED, PLACE_AFTER_END, PLACE_IN_ORDER, PLACE_OVERTAKES, ROLE_UNKNOWN, SEGMENT,
        Segment, TRANSPORT_TCP,
    },
    slot::{PHASE_CLOSED, PHASE_OPEN, Slot},
};

const MSG_OOB: i32 = 0x1;
const MSG_PEEK: i32 = 0x2;
const MSG_TRUNC: i32 = 0x20;
const MSG_ERRQUEUE: i32 = 0x2000;

/// Buffers of a vector that are walked back at most; the content of a call with more is unseen. nginx
/// sends up to 64 at once.
const WALK_MAX: usize = 64;

/// Buffers that are gathered at most; what lies behind them is unseen.
const GATHER_MAX: usize = 16;

/// `struct iovec`, part of the kernel's user API.
#[repr(C)]
#[derive(Clone, Copy)]
struct Buffer {
    base: u64,
    length: u64,
}

/// Where in user memory a call's bytes begin.
#[derive(Clone, Copy)]
struct Place {
    /// Address of the `Buffer` that they begin in; zero when there is only one.
    vector: u64,
    /// Address of that buffer.
    base: u64,
    /// Its length.
    length: u64,
    /// Where in it they begin.
    offset: u64,
}

#[fentry(function = "tcp_sendmsg")]
pub fn socket_send_begin(ctx: FEntryContext) -> i32 {
    if let Some(Followed { slot, .. }) = watch::followed(Typed(ctx.arg(0))) {
        // SAFETY: a live map value. Two threads that send on one socket may overwrite each other's
        // time; the later one is then taken for both.
        unsafe { (*slot).send_began_ns = now_ns() };
    }
    0
}

#[fexit(function = "tcp_sendmsg")]
pub fn socket_send(ctx: FExitContext) -> i32 {
    let sock = Typed::<Sock>(ctx.arg(0));
    let length = word(&ctx, 3) as i32;
    if length <= 0 {
        if let Some(Followed { slot, .. }) = watch::followed(sock) {
            // SAFETY: a live map value.
            unsafe { (*slot).send_began_ns = 0 };
        }
        return 0;
    }
    segment(sock, TRANSMIT, length, Some(Typed(ctx.arg(1))), true);
    0
}

/// sendfile and splice to a socket; gone in 6.5, where they come through `tcp_sendmsg`.
#[fexit(function = "tcp_sendpage")]
pub fn socket_sendpage(ctx: FExitContext) -> i32 {
    let length = word(&ctx, 5) as i32;
    segment(Typed(ctx.arg(0)), TRANSMIT, length, None, false);
    0
}

#[fexit(function = "tcp_recvmsg")]
pub fn socket_receive(ctx: FExitContext) -> i32 {
    let arity = RECEIVE_ARITY.load();
    let length = word(&ctx, arity) as i32;
    // Up to 5.18 `nonblock` stands before the flags.
    let flags = if arity == 6 {
        word(&ctx, 4)
    } else {
        word(&ctx, 3)
    } as i32;
    // Peeked bytes are received later; urgent data and the error queue are not part of the stream.
    if flags & (MSG_PEEK | MSG_OOB | MSG_ERRQUEUE) != 0 {
        return 0;
    }
    // MSG_TRUNC throws the bytes away without copying them.
    let copied = flags & MSG_TRUNC == 0;
    segment(
        Typed(ctx.arg(0)),
        RECEIVE,
        length,
        Some(Typed(ctx.arg(1))),
        copied,
    );
    0
}

/// splice from a socket.
#[fexit(function = "tcp_splice_read")]
pub fn socket_splice(ctx: FExitContext) -> i32 {
    let socket = Typed::<Socket>(ctx.arg(0));
    let length = word(&ctx, 5) as i32;
    segment(SOCKET_SOCK.load(socket), RECEIVE, length, None, false);
    0
}

/// Counts the bytes of one call and tells the agent. `copied`: they are where `message` says. (A flag of
/// its own, because the verifier forgets the type of a pointer that may also be absent.)
#[inline(always)]
fn segment(
    sock: Typed<Sock>,
    direction: usize,
    length: i32,
    message: Option<Typed<Message>>,
    copied: bool,
) {
    if length <= 0 {
        return;
    }
    let Some(pid) = watch::current_pid() else {
        return;
    };
    let time_ns = now_ns();
    let followed = match watch::followed(sock) {
        Some(followed) => followed,
        None => match adopt(sock, pid, time_ns) {
            Some(followed) => followed,
            None => return output::lost(LOSS_NO_SLOT_BYTES, length as u64),
        },
    };
    // SAFETY: a live map value.
    let slot = unsafe { &mut *followed.slot };
    let wanted = wanted_bytes(slot, direction, length as u64);
    let record = Segment {
        pid,
        ..describe(sock, slot, direction, length as u32, time_ns)
    };
    // What finds no room is counted where it is submitted, and the slot has counted the bytes.
    match message {
        Some(message) if copied && wanted > 0 => with_content(record, message, wanted),
        _ => output::submit(SEGMENT, record),
    };
}

/// How many bytes of the next call in a direction the agent wants to see.
#[inline(always)]
fn wanted_bytes(slot: &mut Slot, direction: usize, length: u64) -> u32 {
    let mut default = output::capture_bytes_default();
    let position = slot.bytes[direction];
    if slot.direction != direction as u8 {
        slot.direction = direction as u8;
        slot.turn_position = position;
    } else if position - slot.turn_position >= CAPTURE_WINDOW_BYTES {
        default = default.min(CAPTURE_TAIL_BYTES);
    }
    // Words that the agent may be writing: each is read once.
    // SAFETY: fields of a live map value.
    let (steered, skip_until, bytes) = unsafe {
        (
            ptr::addr_of!(slot.steered).read_volatile(),
            ptr::addr_of!(slot.skip_until[direction]).read_volatile(),
            ptr::addr_of!(slot.capture_bytes[direction]).read_volatile(),
        )
    };
    if steered != slot.connection {
        default
    } else if position + length <= skip_until {
        0
    } else {
        bytes.min(default)
    }
}

/// A call's record without content; moves the slot's position on.
#[inline(always)]
fn describe(
    sock: Typed<Sock>,
    slot: &mut Slot,
    direction: usize,
    length_bytes: u32,
    time_ns: u64,
) -> Segment {
    let position = slot.bytes[direction];
    slot.bytes[direction] = position + u64::from(length_bytes);
    let mut record = Segment {
        kind: SEGMENT,
        direction: direction as u8,
        place: PLACE_IN_ORDER,
        length_bytes,
        connection: slot.connection,
        position,
        begin_ns: slot.send_began_ns,
        time_ns,
        pid: 0,
        captured_bytes: 0,
        transport: TRANSPORT_TCP,
        reserved: 0,
    };
    if direction == RECEIVE {
        record.begin_ns = arrived_ns(sock);
        if slot.send_began_ns != 0 {
            record.place = PLACE_OVERTAKES;
        }
    } else {
        slot.send_began_ns = 0;
    }
    if slot.phase == PHASE_CLOSED {
        record.place = PLACE_AFTER_END;
    }
    record
}

/// Puts a record and the call's first bytes into the ring; false if there was no room.
#[inline(always)]
fn with_content(record: Segment, message: Typed<Message>, wanted: u32) -> bool {
    let Some(draft) = output::draft(usize::from(record.direction)) else {
        return false;
    };
    let captured_bytes = capture(message, u64::from(record.length_bytes), wanted, draft);
    // SAFETY: a live map value, which no other program uses on this CPU meanwhile.
    unsafe {
        (*draft).segment = Segment {
            captured_bytes: captured_bytes as u16,
            ..record
        };
    }
    output::submit_draft(draft, captured_bytes)
}

/// Begins to follow a connection that was open before the probes.
#[inline(always)]
fn adopt(sock: Typed<Sock>, pid: u32, time_ns: u64) -> Option<Followed> {
    let Followed { index, slot } = watch::follow(sock)?;
    // SAFETY: a live map value.
    let slot_ref = unsafe { &mut *slot };
    slot_ref.opened_ns = time_ns;
    slot_ref.pid = pid;
    slot_ref.role = ROLE_UNKNOWN;
    slot_ref.origin = ORIGIN_ADOPTED;
    slot_ref.phase = PHASE_OPEN;
    watch::endpoints(sock, ptr::addr_of_mut!(slot_ref.endpoints));
    output::opened(index, slot_ref, 0);
    Some(Followed { index, slot })
}

/// When the socket last heard from its peer: the clock that TCP reads for every packet.
#[inline(always)]
fn arrived_ns(sock: Typed<Sock>) -> u64 {
    if !TCP_CLOCK_NS.present() {
        return 0;
    }
    // SAFETY: the verifier knows `sock` as `struct sock`; the result is null or a typed pointer.
    let tcp = unsafe { bpf_skc_to_tcp_sock(sock.0.cast_mut().cast()) }.cast::<TcpSock>();
    if tcp.is_null() {
        0
    } else {
        TCP_CLOCK_NS.load(Typed(tcp))
    }
}

/// Copies up to `wanted` of the call's first bytes into the draft; tells how many.
#[inline(always)]
fn capture(message: Typed<Message>, length: u64, wanted: u32, draft: *mut Draft) -> u32 {
    let kind = u32::from(MESSAGE_ITER_KIND.load(message));
    let offset = MESSAGE_ITER_OFFSET.load(message);
    let place = if MESSAGE_ITER_BUFFER.present() && kind == ITER_SINGLE.load() {
        // Shares its place with the vector's pointer, which the verifier takes it for.
        let base = MESSAGE_ITER_BUFFER.load_untyped(message);
        base.map(|base| Place {
            vector: 0,
            base,
            length: offset,
            offset: offset.wrapping_sub(length),
        })
    } else if kind == ITER_VECTOR.load() {
        let vector = MESSAGE_ITER_SEGMENTS.load_untyped(message);
        vector.and_then(|vector| walk_back(vector, offset, length))
    } else {
        // Pages (sendfile, splice) and kernel buffers: their content is not read.
        None
    };
    match place {
        Some(place) => gather(place, length.min(u64::from(wanted)), draft),
        None => 0,
    }
}

#[inline(always)]
fn buffer(address: u64) -> Option<Buffer> {
    // SAFETY: the helper checks the address; the vector is the kernel's own copy.
    unsafe { bpf_probe_read_kernel(address as *const Buffer) }.ok()
}

/// Finds where the last `length` bytes before `offset` in the buffer at `vector` begin.
#[inline(always)]
fn walk_back(vector: u64, offset: u64, length: u64) -> Option<Place> {
    let mut vector = vector;
    let mut left = length;
    if left <= offset {
        let Buffer { base, length } = buffer(vector)?;
        return Some(Place {
            vector,
            base,
            length,
            offset: offset - left,
        });
    }
    left -= offset;
    for _ in 0..WALK_MAX {
        vector -= size_of::<Buffer>() as u64;
        let Buffer { base, length } = buffer(vector)?;
        if left <= length {
            return Some(Place {
                vector,
                base,
                length,
                offset: length - left,
            });
        }
        left -= length;
    }
    None
}

/// Copies `wanted` bytes from user memory, buffer by buffer. What cannot be read (a page that is not
/// there) ends the capture early.
///
/// For the verifier each round has one way on and all else leaves the loop, so that the paths to
/// check grow with the rounds and not with their powers.
#[inline(always)]
fn gather(place: Place, wanted: u64, draft: *mut Draft) -> u32 {
    let Place {
        mut vector,
        mut base,
        length,
        offset,
    } = place;
    base += offset;
    let mut room = length - offset;
    let mut done = 0;
    let mut left = wanted.min(u64::from(CAPTURE_BYTES_MAX));
    for _ in 0..GATHER_MAX {
        if room >= left || vector == 0 {
            let status = copy(draft, done, base, left);
            return (if status == 0 { done + left } else { done }) as u32;
        }
        if copy(draft, done, base, room) != 0 {
            break;
        }
        done += room;
        left -= room;
        vector += size_of::<Buffer>() as u64;
        let Some(next) = buffer(vector) else { break };
        Buffer { base, length: room } = next;
    }
    done as u32
}

/// Copies `length` bytes of user memory to `at` in the draft's content; zero if it could.
#[inline(always)]
fn copy(draft: *mut Draft, at: u64, base: u64, length: u64) -> i64 {
    let (mut at, mut length) = (at, length);
    // SAFETY: moves registers to themselves, which hides from LLVM that both are in range: it would drop the
    // bounds that show it to the verifier. (Without an instruction, line numbers would repeat an offset.)
    unsafe {
        core::arch::asm!("{0} = {0}", inout(reg) at);
        core::arch::asm!("{0} = {0}", inout(reg) length);
    };
    if length > u64::from(CAPTURE_BYTES_MAX) {
        return -1;
    }
    // A power of two, so this is a mask; what would begin at the limit is not copied.
    at &= u64::from(CAPTURE_BYTES_MAX) - 1;
    // SAFETY: after that, both are at most half the content buffer.
    unsafe {
        let to = ptr::addr_of_mut!((*draft).content)
            .cast::<u8>()
            .add(at as usize);
        bpf_probe_read_user(to.cast(), length as u32, base as *const _)
    }
}
