//! Watch: which processes and connections are followed, and how much of each call is copied.

use crate::{
    exclusion,
    kernel::{
        SOCK_FAMILY, SOCK_LOCAL_PORT, SOCK_LOCAL_V4, SOCK_LOCAL_V6, SOCK_PROTOCOL,
        SOCK_REMOTE_PORT, SOCK_REMOTE_V4, SOCK_REMOTE_V6, SOCK_TYPE, Sock, Typed,
    },
    mark::{self, EXCLUDED_MARK, Mark},
    output, sequence, socket_life,
};
use aya_ebpf::{
    Global,
    bindings::BPF_F_MMAPABLE,
    helpers::bpf_get_current_pid_tgid,
    macros::map,
    maps::{Array, Stack},
};
use core::{mem::offset_of, ptr};
use sockmeter_abi::{
    ARMED_WITH_UNIX, CONNECTIONS_MAX_DEFAULT, LEVEL_SHIFT,
    field::LOSS_NO_SLOT,
    record::{Endpoints, TRANSPORT_TCP, TRANSPORT_UNIX},
    slot::{PHASE_ABANDONED, PHASE_FREE, PHASE_OPEN, Slot},
};

pub const AF_UNIX: u16 = 1;
pub const AF_INET: u16 = 2;
pub const AF_INET6: u16 = 10;
const IPPROTO_TCP: u16 = 6;
const IPPROTO_MPTCP: u16 = 262;
/// A stream, in either family.
const SOCK_STREAM: u16 = 1;

/// The agent's own process, which is never watched.
#[unsafe(no_mangle)]
static AGENT_PID: Global<u32> = Global::new(0);

/// Not zero once every program is attached. They are attached one by one, and a connection of which one
/// direction was seen before the other would pair requests with the wrong responses. Also how much is captured, see
/// `abi::LEVEL_SHIFT`.
#[map]
static ARMED: Array<u32> = Array::with_max_entries(1, 0);

/// The connections that are followed; the agent maps it into its memory. The loader sets the size.
#[map]
static SLOTS: Array<Slot> = Array::with_max_entries(CONNECTIONS_MAX_DEFAULT, BPF_F_MMAPABLE);

/// Slots that nobody uses; the agent fills it before the programs are attached. The one that was freed
/// last is used next, so that a few connections touch little memory.
#[map]
static FREE_SLOTS: Stack<u32> = Stack::with_max_entries(CONNECTIONS_MAX_DEFAULT, 0);

/// A socket that is followed.
#[derive(Clone, Copy)]
pub struct Followed {
    pub index: u32,
    pub slot: *mut Slot,
}

/// What is known of a connection whose beginning was not seen.
#[derive(Clone, Copy)]
pub struct Before {
    pub pid: u32,
    pub role: u8,
    pub origin: u8,
    pub phase: u32,
    pub time_ns: u64,
}

/// A connection that was not followed before.
pub struct Adopted {
    pub followed: Followed,
    /// Nobody else was faster.
    pub is_new: bool,
}

/// Whether a process is the agent.
#[inline(always)]
pub fn is_agent(pid: u32) -> bool {
    pid == AGENT_PID.load()
}

/// The agent's word; zero until it has written it.
#[inline(always)]
fn armed() -> u32 {
    // SAFETY: a live map value that the agent writes; volatile, so that it is read each time.
    ARMED
        .get_ptr(0)
        .map_or(0, |armed| unsafe { armed.read_volatile() })
}

/// Whether Unix sockets are followed: whether a program is attached that gives their slots back.
#[inline(always)]
pub fn follows_unix() -> bool {
    armed() & ((1 << LEVEL_SHIFT) - 1) == ARMED_WITH_UNIX
}

/// `abi::LEVEL_*`: how much is captured now.
#[inline(always)]
pub fn level() -> u32 {
    armed() >> LEVEL_SHIFT
}

/// The current process, unless it is the agent or nothing is watched yet.
#[inline(always)]
pub fn current_pid() -> Option<u32> {
    let pid = process();
    (!is_agent(pid) && armed() != 0).then_some(pid)
}

/// The current process (thread group).
#[inline(always)]
pub fn process() -> u32 {
    (bpf_get_current_pid_tgid() >> 32) as u32
}

/// What is known of a socket.
#[derive(Clone, Copy)]
pub enum Sight {
    /// It has a slot.
    Followed(Followed),
    /// It is an excluded process's.
    Excluded,
    /// Nothing.
    Unknown,
}

/// What is known of a socket.
#[inline(always)]
pub fn sight(sock: Typed<Sock>) -> Sight {
    let mark = mark::find(sock);
    if mark.is_null() {
        return Sight::Unknown;
    }
    // SAFETY: not null, so a live value.
    let marked = unsafe { (*mark).slot };
    let index = marked.wrapping_sub(1);
    match SLOTS.get_ptr_mut(index) {
        Some(slot) => Sight::Followed(Followed { index, slot }),
        None if marked & EXCLUDED_MARK != 0 => Sight::Excluded,
        None => Sight::Unknown,
    }
}

/// Whether a socket is a TCP socket.
#[inline(always)]
pub fn is_tcp(sock: Typed<Sock>) -> bool {
    SOCK_PROTOCOL.load(sock) == IPPROTO_TCP
}

/// Whether a socket is one of multipath TCP, which is not followed.
#[inline(always)]
pub fn is_multipath(sock: Typed<Sock>) -> bool {
    SOCK_PROTOCOL.load(sock) == IPPROTO_MPTCP
}

/// Whether a socket is a Unix stream socket.
#[inline(always)]
pub fn is_unix(sock: Typed<Sock>) -> bool {
    SOCK_FAMILY.load(sock) == AF_UNIX && SOCK_TYPE.load(sock) == SOCK_STREAM
}

/// The slot of a socket, if it is followed.
#[inline(always)]
pub fn followed(sock: Typed<Sock>) -> Option<Followed> {
    let mark = mark::find(sock);
    if mark.is_null() {
        return None;
    }
    // SAFETY: not null, so a live value.
    let index = unsafe { (*mark).slot }.wrapping_sub(1);
    SLOTS
        .get_ptr_mut(index)
        .map(|slot| Followed { index, slot })
}

/// Begins to follow a socket, or begins anew when it is connected again. The slot is empty but for
/// the connection id. Nothing when all slots are taken, which is counted.
#[inline(always)]
pub fn follow(sock: Typed<Sock>, pid: u32) -> Option<Followed> {
    if exclusion::excludes(pid) {
        mark::make(sock, ptr::null());
        exclusion::exclude(sock);
        return None;
    }
    let mark = mark::make(sock, ptr::null());
    if mark.is_null() {
        output::lost(LOSS_NO_SLOT, 1);
        return None;
    }
    // SAFETY: not null, so a live value.
    let mark = unsafe { &mut *mark };
    if mark.slot & EXCLUDED_MARK != 0 {
        return None;
    }
    if mark.slot == 0 {
        let Ok(Some(index)) = FREE_SLOTS.pop() else {
            output::lost(LOSS_NO_SLOT, 1);
            return None;
        };
        mark.slot = index + 1;
    } else {
        mark.generation += 1;
    }
    let index = mark.slot.wrapping_sub(1);
    let slot = SLOTS.get_ptr_mut(index)?;
    // SAFETY: a live map value; the socket is not in use by another CPU while it begins or ends.
    unsafe {
        if cfg!(feature = "fallback") && (*slot).phase == PHASE_OPEN {
            // Another socket was at this address, and the program that sees its end was left out.
            socket_life::ends(sock, &mut *slot);
        }
        clear(slot);
        (*slot).connection = mark::identity(sock, index, mark.generation);
    }
    Some(Followed { index, slot })
}

/// Begins to follow a connection whose beginning was not seen. Other CPUs may try the same at this
/// moment: a call that uses it, the agent's walk. The socket's mark is made only once, and is made with a slot
/// in it that is complete, so one of them succeeds and all use that slot.
#[inline(always)]
pub fn adopt(sock: Typed<Sock>, before: Before) -> Option<Adopted> {
    if exclusion::excludes(before.pid) {
        mark::make(sock, ptr::null());
        exclusion::exclude(sock);
        return None;
    }
    let Ok(Some(index)) = FREE_SLOTS.pop() else {
        output::lost(LOSS_NO_SLOT, 1);
        return None;
    };
    let slot = SLOTS.get_ptr_mut(index)?;
    let Before {
        pid,
        role,
        origin,
        phase,
        time_ns,
    } = before;
    // SAFETY: a live map value that nobody else knows of yet.
    unsafe {
        clear(slot);
        (*slot).connection = mark::identity(sock, index, 0);
        (*slot).opened_ns = time_ns;
        (*slot).pid = pid;
        (*slot).role = role;
        (*slot).origin = origin;
        (*slot).phase = phase;
        (*slot).sequence = sequence::now(sock);
        endpoints(sock, &mut *slot);
    }
    let first = Mark {
        slot: index + 1,
        generation: 0,
    };
    let mut mark = mark::make(sock, &raw const first);
    if mark.is_null() {
        // Another CPU was about to make it.
        mark = mark::make(sock, &raw const first);
    }
    if !mark.is_null() {
        // SAFETY: not null, so a live value.
        let mark = unsafe { &mut *mark };
        if mark.slot == 0 {
            // There was no slot when it was made.
            mark.slot = index + 1;
        }
        if mark.slot == index + 1 {
            return Some(Adopted {
                followed: Followed { index, slot },
                is_new: true,
            });
        }
    }
    // SAFETY: a live map value that nobody else knows of.
    unsafe {
        (*slot).phase = PHASE_FREE;
        (*slot).connection = 0;
    }
    // The stack is as large as the table, so there is always room.
    let _ = FREE_SLOTS.push(index, 0);
    let Some(followed) = followed(sock) else {
        output::lost(LOSS_NO_SLOT, 1);
        return None;
    };
    Some(Adopted {
        followed,
        is_new: false,
    })
}

/// Gives the slot of a socket that will not be used again back, if it has one, after `ends` if it is followed.
#[inline(always)]
pub fn unfollow(sock: Typed<Sock>, ends: impl FnOnce(&mut Slot)) {
    release(sock, ends);
    mark::forget(sock);
}

#[inline(always)]
fn release(sock: Typed<Sock>, ends: impl FnOnce(&mut Slot)) {
    let mark = mark::find(sock);
    if mark.is_null() {
        return;
    }
    // SAFETY: not null, so a live value.
    let marked = unsafe { (*mark).slot };
    let index = (marked & !EXCLUDED_MARK).wrapping_sub(1);
    let Some(slot) = SLOTS.get_ptr_mut(index) else {
        return;
    };
    // SAFETY: live values.
    unsafe {
        if marked & EXCLUDED_MARK == 0 {
            ends(&mut *slot);
        }
        (*mark).slot &= EXCLUDED_MARK;
        if (*slot).is_unreported != 0 {
            (*slot).phase = PHASE_ABANDONED;
            return;
        }
        (*slot).phase = PHASE_FREE;
        (*slot).connection = 0;
    }
    // The stack is as large as the table, so there is always room.
    let _ = FREE_SLOTS.push(index, 0);
}

/// Writes both ends of a connection into its slot; of a Unix socket only the family.
#[inline(always)]
pub fn endpoints(sock: Typed<Sock>, slot: &mut Slot) {
    let family = SOCK_FAMILY.load(sock);
    let (mut local, mut remote, mut ports) = ([0u64; 2], [0u64; 2], (0, 0));
    if family != AF_UNIX {
        ports = (
            SOCK_LOCAL_PORT.load(sock),
            u16::from_be(SOCK_REMOTE_PORT.load(sock)),
        );
    }
    if family == AF_INET {
        local[0] = u64::from(SOCK_LOCAL_V4.load(sock));
        remote[0] = u64::from(SOCK_REMOTE_V4.load(sock));
    } else if family == AF_INET6 && SOCK_LOCAL_V6.present() {
        local = SOCK_LOCAL_V6.load_pair(sock);
        remote = SOCK_REMOTE_V6.load_pair(sock);
    }
    let to = &mut slot.endpoints;
    to.family = family;
    (to.local_port, to.remote_port) = ports;
    to.reserved = 0;
    // SAFETY: addresses lie on a word's boundary there, which their type does not say: as bytes they would be written
    // two at a time.
    unsafe {
        ptr::addr_of_mut!(to.local_address)
            .cast::<[u64; 2]>()
            .write(local);
        ptr::addr_of_mut!(to.remote_address)
            .cast::<[u64; 2]>()
            .write(remote);
    }
}

const _: () =
    assert!((offset_of!(Slot, endpoints) + offset_of!(Endpoints, local_address)) % 8 == 0);
const _: () =
    assert!((offset_of!(Slot, endpoints) + offset_of!(Endpoints, remote_address)) % 8 == 0);

/// What a followed connection goes over.
#[inline(always)]
pub fn transport(slot: &Slot) -> u8 {
    if slot.endpoints.family == AF_UNIX {
        TRANSPORT_UNIX
    } else {
        TRANSPORT_TCP
    }
}

/// Zeroes a slot word by word: a `memset` would become a byte loop in the program.
///
/// # Safety
/// `slot` is a live map value.
#[inline(always)]
unsafe fn clear(slot: *mut Slot) {
    let words = slot.cast::<u64>();
    for word in 0..size_of::<Slot>() / 8 {
        // SAFETY: inside the slot.
        unsafe { words.add(word).write_volatile(0) };
    }
    // SAFETY: as above; "the default" until the agent says otherwise.
    unsafe { (*slot).capture_bytes = [u32::MAX; 2] };
}
