//! Attach family: what was open before the probes, by a walk over all open files of all processes.
//!
//! Not attached to anything: the agent runs the walk. It sees every network and pid namespace, begins to
//! follow connections right where it finds them, and tells them in its own output, which has room for all.

use crate::{
    kernel::{
        BUCKET_REUSE, File, NET_INODE, SOCK_FAMILY, SOCK_NET, SOCK_QUEUE_LIMIT, SOCK_SHUTDOWN,
        SOCK_STATE, SOCK_USER_LOCKS, SOCKET_SOCK, Sock, Socket, TASK_TGID, TCP_BIND_BUCKET, Task,
        Typed, UNIX_ADDRESS, now_ns, tcp,
    },
    listeners::{self, LISTEN},
    unix_name,
    watch::{self, AF_INET, AF_INET6, AF_UNIX, Before, Followed},
};
use aya_ebpf::{
    bindings::seq_file,
    helpers::generated::{bpf_seq_write, bpf_sock_from_file},
};
use core::ptr;
use sockmeter_abi::{
    record::{Held, ORIGIN_ADOPTED, ROLE_CLIENT, ROLE_SERVER, ROLE_UNKNOWN, UNIX_NAME_BYTES},
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
/// `SOCK_BINDPORT_LOCK`: the process chose the local port itself (include/net/sock.h).
const PORT_CHOSEN: u8 = 8;

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
    match SOCK_FAMILY.load(sock) {
        AF_INET | AF_INET6 => internet(meta, sock, pid),
        AF_UNIX => unix(meta, sock, pid),
        _ => {}
    }
    0
}

#[inline(always)]
fn internet(meta: *const Meta, sock: Typed<Sock>, pid: u32) {
    if tcp(sock).0.is_null() {
        return;
    }
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
    let before = if state == SYN_SENT {
        Before {
            pid,
            role: ROLE_CLIENT,
            phase: PHASE_CONNECTING,
            time_ns: now_ns(),
        }
    } else if is_held(sock) {
        Before {
            pid,
            role: told_role(sock),
            phase: PHASE_OPEN,
            time_ns: now_ns(),
        }
    } else {
        return;
    };
    let followed = match watch::followed(sock) {
        Some(followed) => followed,
        None => match watch::adopt(sock, before) {
            Some(followed) => followed,
            None => return,
        },
    };
    tell(seq, sock, followed, before);
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
    let before = Before {
        pid,
        role: unix_name::role(sock),
        phase: PHASE_OPEN,
        time_ns: now_ns(),
    };
    let followed = match watch::followed(sock) {
        Some(followed) => followed,
        None => match watch::adopt(sock, before) {
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

/// The role, from what only one of the two ends has. Nothing here depends on a port's number, or on whether
/// the listening socket still exists.
///
/// A server's socket is a copy of its listening socket (`sk_clone_lock`): it keeps the queue's limit, which
/// nobody else has unless it listened itself, and its port was bound. A client's port is bound by connect(),
/// which marks the port's bucket (`__inet_hash_connect` sets `fastreuse` to -1, and never shares a bucket that
/// has not that mark), or by the process, which the socket remembers and a copy forgets. What remains is unknown:
/// bind() to port 0 before connect(), and servers that called listen() with 0. In 6.1 the process's own choice
/// is in a bit field, which is not read: such a client is unknown too.
#[inline(always)]
pub fn told_role(sock: Typed<Sock>) -> u8 {
    let tcp = tcp(sock);
    if tcp.0.is_null() {
        return ROLE_UNKNOWN;
    }
    let bucket = TCP_BIND_BUCKET.load(tcp);
    if bucket.0.is_null() {
        return ROLE_UNKNOWN;
    }
    let is_copy = SOCK_QUEUE_LIMIT.load(sock) > 0;
    let is_bound_by_connect = BUCKET_REUSE.load(bucket) < 0;
    let is_chosen = SOCK_USER_LOCKS.present() && SOCK_USER_LOCKS.load(sock) & PORT_CHOSEN != 0;
    match (is_copy, is_bound_by_connect || is_chosen) {
        (true, false) => ROLE_SERVER,
        (false, true) => ROLE_CLIENT,
        _ => ROLE_UNKNOWN,
    }
}

/// Corrects the slot for what happened while it was filled, and tells the agent.
#[inline(always)]
fn tell(seq: *mut seq_file, sock: Typed<Sock>, followed: Followed, before: Before) {
    // SAFETY: a live map value.
    let slot = unsafe { &mut *followed.slot };
    if slot.origin != ORIGIN_ADOPTED {
        return;
    }
    // Whoever used it first could not know.
    if slot.role == ROLE_UNKNOWN {
        slot.role = before.role;
    }
    // The state's tracepoint, which runs before the state changes, may have found no slot.
    if slot.phase == PHASE_CONNECTING && is_held(sock) {
        watch::endpoints(sock, ptr::addr_of_mut!(slot.endpoints));
        slot.phase = PHASE_OPEN;
    } else if slot.phase == PHASE_OPEN && !is_held(sock) {
        slot.phase = PHASE_CLOSED;
    }
    if slot.phase != PHASE_OPEN {
        return;
    }
    write(seq, &describe(sock, followed, before.pid));
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
