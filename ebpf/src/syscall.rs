//! The attach families by tracepoints of system calls, for kernels that let no function be attached to.
//!
//! A call's socket is found by its descriptor, in the table of the process, when the call begins: the kernel holds the
//! file until the call returns, whatever other threads do with the descriptor. So each call on a socket is noted by its
//! thread, and a return without a note is none of a socket.
//!
//! What is not seen: calls of 32-bit programs, io_uring, the content of recvmmsg() and sendmmsg(). TCP's own numbers tell
//! how many bytes they moved ([`crate::sequence`]).

mod number;
mod registers;

use crate::{
    arrival,
    content::Named,
    kernel::{
        FILE_TABLE_FILES, FILE_TABLE_LENGTH, FILES_TABLE, File, Sock, TASK_FILES, Typed, current,
        sock_of, socket_of,
    },
    socket_life,
    stream::{self, Lane},
    watch,
};
use aya_ebpf::{
    helpers::{bpf_get_current_pid_tgid, bpf_probe_read_kernel, bpf_probe_read_user},
    macros::{map, raw_tracepoint},
    maps::HashMap,
    programs::RawTracePointContext,
};
use registers::Registers;
use sockmeter_abi::{RECEIVE, TRANSMIT, call::CALLS_UNDER_WAY_MAX};

/// Where a call's bytes are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In the buffer that its second argument points to.
    Buffer,
    /// In the vector of buffers that its second argument points to.
    Vector,
    /// In the vector of the message that its second argument points to.
    Message,
    /// In those of so many messages.
    Messages,
    /// Not in the process's memory.
    Elsewhere,
}

/// A kind of call.
#[derive(Clone, Copy)]
struct Kind {
    direction: usize,
    /// Which argument is the socket's descriptor.
    descriptor: usize,
    place: Place,
    /// Which argument has the flags; [`NO_FLAGS`] if none has.
    flags: usize,
}

/// No argument.
const NO_FLAGS: usize = usize::MAX;

impl Kind {
    const fn of(direction: usize, place: Place, flags: usize) -> Self {
        Self {
            direction,
            descriptor: 0,
            place,
            flags,
        }
    }

    /// What the call with a number does to a socket, if anything.
    #[inline(always)]
    fn numbered(number: u64) -> Option<Self> {
        Some(match number {
            number::READ => Self::of(RECEIVE, Place::Buffer, NO_FLAGS),
            number::READV | number::PREADV2 => Self::of(RECEIVE, Place::Vector, NO_FLAGS),
            number::RECVFROM => Self::of(RECEIVE, Place::Buffer, 3),
            number::RECVMSG => Self::of(RECEIVE, Place::Message, 2),
            number::RECVMMSG => Self::of(RECEIVE, Place::Messages, 3),
            number::WRITE | number::SENDTO => Self::of(TRANSMIT, Place::Buffer, NO_FLAGS),
            number::WRITEV | number::PWRITEV2 => Self::of(TRANSMIT, Place::Vector, NO_FLAGS),
            number::SENDMSG => Self::of(TRANSMIT, Place::Message, NO_FLAGS),
            number::SENDMMSG => Self::of(TRANSMIT, Place::Messages, NO_FLAGS),
            number::SENDFILE => Self::of(TRANSMIT, Place::Elsewhere, NO_FLAGS),
            number::SPLICE => Self::of(RECEIVE, Place::Elsewhere, NO_FLAGS),
            _ => return None,
        })
    }
}

/// A call on a TCP socket that is under way.
#[repr(C)]
#[derive(Clone, Copy)]
struct UnderWay {
    sock: u64,
    /// Its second argument.
    bytes: u64,
    flags: u32,
    direction: u16,
    place: u16,
}

#[map]
static SYSCALLS: HashMap<u64, UnderWay> = HashMap::with_max_entries(CALLS_UNDER_WAY_MAX, 0);

/// The file behind a descriptor of the current process, or null.
#[inline(always)]
fn file(descriptor: u32) -> *const File {
    let table = FILES_TABLE.load(TASK_FILES.load(current()));
    if descriptor >= FILE_TABLE_LENGTH.load(table) {
        return core::ptr::null();
    }
    let at = FILE_TABLE_FILES.load(table) + 8 * u64::from(descriptor);
    // SAFETY: the helper checks the address.
    unsafe { bpf_probe_read_kernel(at as *const *const File) }.unwrap_or(core::ptr::null())
}

/// The TCP socket behind a descriptor of the current process.
#[inline(always)]
fn sock(descriptor: u64) -> Option<Typed<Sock>> {
    let socket = socket_of(file(descriptor as u32));
    if socket.is_null() {
        return None;
    }
    let sock = sock_of(socket);
    (watch::is_tcp(sock) || watch::is_multipath(sock)).then_some(sock)
}

#[raw_tracepoint(tracepoint = "sys_enter")]
pub fn syscall_begin(ctx: RawTracePointContext) -> i32 {
    if let Some(kind) = Kind::numbered(ctx.arg(1)) {
        begins(kind, Registers::new(ctx.arg(0)));
    }
    0
}

#[inline(always)]
fn begins(kind: Kind, registers: Registers) {
    if registers.is_32_bit() || watch::is_agent(watch::process()) {
        return;
    }
    let Kind {
        mut direction,
        descriptor,
        place,
        flags,
    } = kind;
    let sock = match sock(registers.argument(descriptor)) {
        Some(sock) => sock,
        // splice() has the socket at either end.
        None if direction == RECEIVE && place == Place::Elsewhere => {
            direction = TRANSMIT;
            match sock(registers.argument(2)) {
                Some(sock) => sock,
                None => return,
            }
        }
        None => return,
    };
    let call = UnderWay {
        sock: sock.0 as u64,
        bytes: registers.argument(1),
        flags: registers.argument(flags) as u32,
        direction: direction as u16,
        place: place as u16,
    };
    // Without room the bytes are found by TCP's own numbers at the next call.
    let _ = SYSCALLS.insert(bpf_get_current_pid_tgid(), call, 0);
    if direction == RECEIVE {
        arrival::receive_begins(sock);
    } else {
        stream::send_begins(sock);
    }
}

#[raw_tracepoint(tracepoint = "sys_exit")]
pub fn syscall_end(ctx: RawTracePointContext) -> i32 {
    let thread = bpf_get_current_pid_tgid();
    if let Some(call) = SYSCALLS.get_ptr(thread) {
        // SAFETY: a live map value, which only this thread uses.
        let call = unsafe { *call };
        let _ = SYSCALLS.remove(thread);
        ends(call, ctx.arg::<i64>(1));
    }
    0
}

#[inline(always)]
fn ends(call: UnderWay, result: i64) {
    let UnderWay {
        sock,
        bytes,
        flags,
        direction,
        place,
    } = call;
    let (content, length) = moved(place, bytes, result);
    stream::moved(
        Lane::Inet,
        Typed(sock as *const Sock),
        direction.into(),
        length,
        content,
        flags as i32,
    );
}

/// A call on a socket has returned, of which only the beginning was seen inside the kernel; `flags` are what it had there.
/// False if that tells of several messages, or of none.
#[inline(always)]
pub fn left(lane: Lane, sock: Typed<Sock>, flags: u32, registers: u64, result: i64) -> bool {
    let registers = Registers::new(registers);
    let Some(kind) = Kind::numbered(registers.number()) else {
        return false;
    };
    if registers.is_32_bit() || matches!(kind.place, Place::Messages | Place::Elsewhere) {
        return false;
    }
    let (content, length) = moved(kind.place as u16, registers.argument(1), result);
    stream::moved(lane, sock, kind.direction, length, content, flags as i32);
    true
}

/// Whether a system call tells how many bytes it received, of one message.
#[inline(always)]
pub fn is_single(registers: u64) -> bool {
    let registers = Registers::new(registers);
    !registers.is_32_bit()
        && Kind::numbered(registers.number()).is_some_and(|kind| {
            kind.direction == RECEIVE && !matches!(kind.place, Place::Messages | Place::Elsewhere)
        })
}

/// Where the bytes of a call are that has returned, and how many it moved; negative if it failed.
#[inline(always)]
fn moved(place: u16, bytes: u64, result: i64) -> (Named, i32) {
    const BUFFER: u16 = Place::Buffer as u16;
    const VECTOR: u16 = Place::Vector as u16;
    const MESSAGE: u16 = Place::Message as u16;
    const MESSAGES: u16 = Place::Messages as u16;
    let mut length = result as i32;
    let content = match place {
        BUFFER => Named {
            vector: 0,
            base: bytes,
        },
        VECTOR => Named {
            vector: bytes,
            base: 0,
        },
        MESSAGE => Named {
            vector: message_vector(bytes),
            base: 0,
        },
        MESSAGES => {
            length = messages_length(bytes, result);
            Named::NOWHERE
        }
        _ => Named::NOWHERE,
    };
    (content, length)
}

/// `struct msghdr` of the kernel's user API, as far as it is read.
#[repr(C)]
#[derive(Clone, Copy)]
struct MessageHead {
    name: u64,
    name_bytes: u64,
    vector: u64,
}

#[inline(always)]
fn message_vector(message: u64) -> u64 {
    // SAFETY: the helper checks the address.
    let head = unsafe { bpf_probe_read_user(message as *const MessageHead) };
    head.map_or(0, |head| head.vector)
}

/// Bytes of `struct mmsghdr` (the kernel's user API), and where in it the length of its message is.
const MESSAGE_BYTES: u64 = 64;
const LENGTH_AT: u64 = 56;

/// Messages of one call that are added up; TCP's own numbers tell of the rest.
const MESSAGES_MAX: i64 = 64;

/// Bytes of the first `count` messages; negative if the call failed.
#[inline(always)]
fn messages_length(messages: u64, count: i64) -> i32 {
    if count < 0 {
        return count as i32;
    }
    let mut length = 0;
    for message in 0..MESSAGES_MAX {
        if message >= count {
            break;
        }
        let at = messages + message as u64 * MESSAGE_BYTES + LENGTH_AT;
        // SAFETY: the helper checks the address.
        length += unsafe { bpf_probe_read_user(at as *const u32) }.unwrap_or(0);
    }
    length as i32
}

/// accept() has returned with a descriptor.
#[raw_tracepoint(tracepoint = "sys_exit")]
pub fn syscall_accept(ctx: RawTracePointContext) -> i32 {
    let registers = Registers::new(ctx.arg(0));
    let descriptor = ctx.arg::<i64>(1);
    if descriptor < 0
        || !matches!(registers.number(), number::ACCEPT | number::ACCEPT4)
        || registers.is_32_bit()
    {
        return 0;
    }
    accepted(descriptor);
    0
}

/// accept() has returned with a descriptor, or failed.
#[inline(always)]
pub fn accepted(descriptor: i64) {
    if descriptor < 0 {
        return;
    }
    let socket = socket_of(file(descriptor as u32));
    if !socket.is_null() {
        let sock = sock_of(socket);
        if watch::is_tcp(sock) {
            socket_life::accepted(sock);
        }
    }
}
