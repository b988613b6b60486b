//! Attach family: what was open before the probes, by a walk over all open files of all processes.
//!
//! Not attached to anything: the agent runs the walk. It sees every network and pid namespace, begins to
//! follow connections right where it finds them, and tells them in its own output, which has room for all.

use crate::{
    clock::now_ns,
    history,
    kernel::{
        File, NET_INODE, SOCK_FAMILY, SOCK_NET, SOCK_SHUTDOWN, SOCK_STATE, Sock, TASK_TGID, Task,
        Typed, UNIX_ADDRESS, sock_of, socket_of,
    },
    listeners,
    state::{CLOSE_WAIT, ESTABLISHED, FIN_WAIT1, FIN_WAIT2, LISTEN, SHUTDOWN_MASK, SYN_SENT},
    unix_name,
    watch::{self, AF_INET, AF_INET6, AF_UNIX, Adopted, Before, Followed},
};
use aya_ebpf::{bindings::seq_file, helpers::generated::bpf_seq_write};
use core::ptr;
use sockmeter_abi::{
    record::{Held, ORIGIN_ADOPTED, ROLE_CLIENT, UNIX_NAME_BYTES},
    slot::{PHASE_CLOSED, PHASE_CONNECTING, PHASE_OPEN},
};

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
    let socket = socket_of(file);
    if socket.is_null() {
        return 0;
    }
    let sock = sock_of(socket);
    if sock.0.is_null() {
        return 0;
    }
    match SOCK_FAMILY.load(sock) {
        AF_INET | AF_INET6 if watch::is_tcp(sock) => stream(meta, sock, pid),
        AF_UNIX => unix(meta, sock, pid),
        _ => {}
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
    let phase = if state == SYN_SENT {
        PHASE_CONNECTING
    } else if is_held(sock) {
        PHASE_OPEN
    } else {
        return;
    };
    let followed = match watch::followed(sock) {
        Some(followed) => followed,
        None => {
            let role = if phase == PHASE_CONNECTING {
                ROLE_CLIENT
            } else {
                history::role(sock)
            };
            match adopt(sock, pid, role, phase) {
                Some(followed) => followed,
                None => return,
            }
        }
    };
    tell(seq, sock, followed, pid);
}

#[inline(always)]
fn unix(meta: *const Meta, sock: Typed<Sock>, pid: u32) {
    // The state stays until the last descriptor is closed, whatever the other end does.
    let is_connected = watch::is_unix(sock) && SOCK_STATE.load(sock) == ESTABLISHED;
    if !watch::follows_unix() || !is_connected || !UNIX_ADDRESS.present() {
        return;
    }
    // SAFETY: the verifier knows `meta` from the context.
    let seq = unsafe { ptr::addr_of!((*meta).seq).read_volatile() };
    let followed = match watch::followed(sock) {
        Some(followed) => followed,
        None => match adopt(sock, pid, unix_name::role(sock), PHASE_OPEN) {
            Some(followed) => followed,
            None => return,
        },
    };
    // SAFETY: a live map value.
    let slot = unsafe { &*followed.slot };
    // One that was seen to begin has told its name.
    if slot.origin != ORIGIN_ADOPTED {
        return;
    }
    // All of it is written, so all of it has to be something.
    let mut name = [0u64; UNIX_NAME_BYTES / 8];
    // SAFETY: it is as long as a name can be.
    let name_bytes = unsafe { unix_name::copy(sock, slot.role, name.as_mut_ptr().cast()) };
    let held = Held {
        name_bytes: name_bytes as u8,
        ..describe(sock, followed, pid)
    };
    write(seq, &held);
    write(seq, &name);
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

/// Begins to follow a connection.
#[inline(always)]
fn adopt(sock: Typed<Sock>, pid: u32, role: u8, phase: u32) -> Option<Followed> {
    let before = Before {
        pid,
        role,
        origin: ORIGIN_ADOPTED,
        phase,
        time_ns: now_ns(),
    };
    let Adopted { followed, is_new } = watch::adopt(sock, before)?;
    if is_new && SOCK_FAMILY.load(sock) != AF_UNIX {
        correct(sock, followed);
    }
    Some(followed)
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
fn tell(seq: *mut seq_file, sock: Typed<Sock>, followed: Followed, pid: u32) {
    // SAFETY: a live map value.
    let slot = unsafe { &mut *followed.slot };
    if slot.origin != ORIGIN_ADOPTED {
        return;
    }
    // It was made while its slot was: the tracepoint, which runs before the state changes, has found none.
    if slot.phase == PHASE_CONNECTING && is_held(sock) {
        watch::endpoints(sock, slot);
        slot.phase = PHASE_OPEN;
    }
    if slot.phase != PHASE_OPEN {
        return;
    }
    write(seq, &describe(sock, followed, pid));
}

/// A connection that is followed, as the agent is told of it.
#[inline(always)]
fn describe(sock: Typed<Sock>, followed: Followed, pid: u32) -> Held {
    // SAFETY: a live map value.
    let slot = unsafe { &*followed.slot };
    Held {
        connection: slot.connection,
        slot: followed.index,
        pid,
        network: NET_INODE.load(SOCK_NET.load(sock)),
        role: slot.role,
        name_bytes: 0,
        reserved: [0; 2],
        endpoints: slot.endpoints,
    }
}

/// Adds to the walk's output. Without room the kernel comes again.
#[inline(always)]
fn write<T>(seq: *mut seq_file, what: &T) {
    // SAFETY: the verifier knows `seq`, and that what is written is that long.
    unsafe {
        bpf_seq_write(
            seq,
            ptr::from_ref(what).cast_mut().cast(),
            size_of::<T>() as u32,
        )
    };
}
