//! Attach family: what was open before the probes, by a walk over all open files of all processes.
//!
//! Not attached to anything: the agent runs the walk. It sees every network and pid namespace, begins to
//! follow connections right where it finds them, and tells them in its own output, which has room for all.

use crate::{
    history,
    kernel::{
        File, NET_INODE, SOCK_NET, SOCK_SHUTDOWN, SOCK_STATE, SOCKET_SOCK, Sock, Socket, TASK_TGID,
        Task, Typed, now_ns,
    },
    listeners::{self, LISTEN},
    watch::{self, Adopted, Before, Followed},
};
use aya_ebpf::{
    bindings::seq_file,
    helpers::generated::{bpf_seq_write, bpf_sock_from_file},
};
use core::ptr;
use sockmeter_abi::{
    record::{Held, ORIGIN_ADOPTED, ROLE_CLIENT},
    slot::{PHASE_CLOSED, PHASE_CONNECTING, PHASE_OPEN},
};

// States of a TCP socket (include/net/tcp_states.h, part of the kernel's user API).
const ESTABLISHED: u8 = 1;
const SYN_SENT: u8 = 2;
const FIN_WAIT1: u8 = 4;
const FIN_WAIT2: u8 = 5;
const CLOSE_WAIT: u8 = 8;
/// Both directions shut down.
const SHUTDOWN_MASK: u8 = 3;

/// `struct bpf_iter_meta`: what the kernel tells of the walk itself.
#[repr(C)]
struct Meta {
    seq: *mut seq_file,
    /// Unique since boot.
    session: u64,
}

/// `struct bpf_iter__task_file`. Its order is the order of the arguments of `bpf_iter_task_file`, which
/// the verifier checks the program against.
#[repr(C)]
pub struct OpenFile {
    meta: *const Meta,
    task: *const Task,
    descriptor: u32,
    file: *const File,
}

/// One open file of one process. Threads that share their process's descriptors are left out, and small
/// pids come first (`task_seq_get_next`, kernel/bpf/task_iter.c). When its output has no room the kernel runs it
/// again for the same file, so it must come to the same result twice.
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task_file")]
pub extern "C" fn open_files(ctx: *const OpenFile) -> i32 {
    // SAFETY: loads from the context, which the verifier knows the types of.
    let (meta, task, file) = unsafe {
        (
            ptr::addr_of!((*ctx).meta).read_volatile(),
            ptr::addr_of!((*ctx).task).read_volatile(),
            ptr::addr_of!((*ctx).file).read_volatile(),
        )
    };
    // The last call of a walk has neither.
    if task.is_null() || file.is_null() {
        return 0;
    }
    let pid = TASK_TGID.load(Typed(task));
    if watch::is_agent(pid) {
        return 0;
    }
    // SAFETY: the verifier knows `file`; the result is null or a typed pointer.
    let socket = unsafe { bpf_sock_from_file(file.cast_mut().cast()) }.cast::<Socket>();
    if socket.is_null() {
        return 0;
    }
    let sock = SOCKET_SOCK.load(Typed(socket));
    if sock.0.is_null() {
        return 0;
    }
    if watch::is_stream(sock) {
        stream(meta, sock, pid);
    }
    0
}

#[inline(always)]
fn stream(meta: *const Meta, sock: Typed<Sock>, pid: u32) {
    // SAFETY: the verifier knows `meta` from the context.
    let (seq, session) = unsafe {
        (
            ptr::addr_of!((*meta).seq).read_volatile(),
            ptr::addr_of!((*meta).session).read_volatile(),
        )
    };
    let state = SOCK_STATE.load(sock);
    if state == LISTEN {
        return listeners::found(sock, pid, session);
    }
    let (role, phase) = if state == SYN_SENT {
        (ROLE_CLIENT, PHASE_CONNECTING)
    } else if is_held(sock) {
        (history::role(sock), PHASE_OPEN)
    } else {
        return;
    };
    let before = Before {
        pid,
        role,
        origin: ORIGIN_ADOPTED,
        phase,
        time_ns: now_ns(),
    };
    if let Some(followed) = watch::followed(sock) {
        return tell(seq, sock, followed, before);
    }
    if let Some(Adopted { followed, is_new }) = watch::adopt(sock, before) {
        if is_new {
            correct(sock, followed);
        }
        tell(seq, sock, followed, before);
    }
}

/// The process can still use the connection: `socket_state` has not told its end, and will.
#[inline(always)]
fn is_held(sock: Typed<Sock>) -> bool {
    match SOCK_STATE.load(sock) {
        ESTABLISHED | CLOSE_WAIT => true,
        FIN_WAIT1 | FIN_WAIT2 => SOCK_SHUTDOWN.load(sock) & SHUTDOWN_MASK != SHUTDOWN_MASK,
        _ => false,
    }
}

/// The connection may have ended while its slot was made: then the program that tells ends has told it as one
/// without a slot, and will not again.
#[inline(always)]
fn correct(sock: Typed<Sock>, followed: Followed) {
    // SAFETY: a live map value.
    let slot = unsafe { &mut *followed.slot };
    if slot.phase == PHASE_OPEN && !is_held(sock) {
        slot.phase = PHASE_CLOSED;
    }
}

/// Tells the agent of a connection that it does not learn of from the ring.
#[inline(always)]
fn tell(seq: *mut seq_file, sock: Typed<Sock>, followed: Followed, before: Before) {
    let Followed { index, slot } = followed;
    // SAFETY: a live map value.
    let slot = unsafe { &mut *slot };
    if slot.origin != ORIGIN_ADOPTED {
        return;
    }
    // It was made while its slot was: the tracepoint, which runs before the state changes, has found none.
    if slot.phase == PHASE_CONNECTING && is_held(sock) {
        watch::endpoints(sock, ptr::addr_of_mut!(slot.endpoints));
        slot.phase = PHASE_OPEN;
    }
    if slot.phase != PHASE_OPEN {
        return;
    }
    let held = Held {
        connection: slot.connection,
        slot: index,
        pid: before.pid,
        network: NET_INODE.load(SOCK_NET.load(sock)),
        role: slot.role,
        reserved: [0; 3],
        endpoints: slot.endpoints,
    };
    // SAFETY: the verifier knows `seq`, and that `held` is that long. Without room the kernel comes again.
    unsafe {
        bpf_seq_write(
            seq,
            ptr::addr_of!(held).cast_mut().cast(),
            size_of::<Held>() as u32,
        )
    };
}
