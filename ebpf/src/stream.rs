//! Stream: counts the bytes of one call on a stream socket, and tells the agent of it.

use crate::{
    arrival,
    clock::now_ns,
    content::{self, Content, Elsewhere},
    exclusion, history,
    kernel::{Sock, Typed, reads_kernel, tcp},
    output, sequence, socket_life, unix_name, wanted,
    watch::{self, Adopted, Before, Followed, Sight},
};
use sockmeter_abi::{
    CAPTURE_EXCLUDED, LEVEL_COUNTS, RECEIVE, TRANSMIT,
    field::LOSS_NO_SLOT_BYTES,
    record::{
        ORIGIN_ADOPTED, ORIGIN_SEEN, PLACE_AFTER_END, PLACE_IN_ORDER, PLACE_OVERTAKES, ROLE_SERVER,
        SEGMENT, Segment, TRANSPORT_TCP, TRANSPORT_UNIX,
    },
    slot::{PHASE_CLOSED, PHASE_CONNECTING, PHASE_OPEN, Slot},
};

/// Which functions of the kernel a call comes through. Each has programs of its own.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// AF_INET's.
    Inet,
    /// AF_INET6's.
    Inet6,
    /// Those of Unix stream sockets.
    Unix,
}

/// How many there are.
pub const LANES: u32 = 3;

const MSG_OOB: i32 = 0x1;
const MSG_PEEK: i32 = 0x2;
pub const MSG_TRUNC: i32 = 0x20;
const MSG_ERRQUEUE: i32 = 0x2000;
const MSG_SENDPAGE_NOTLAST: i32 = 0x20000;

/// A send call begins: a response's first byte is its time, and until its record is written what is received
/// on the connection has overtaken it.
#[inline(always)]
pub fn send_begins(sock: Typed<Sock>) {
    if let Some(Followed { slot, .. }) = watch::followed(sock) {
        // SAFETY: a live map value. Two threads that send on one socket may overwrite each other's
        // time; the later one is then taken for both.
        let slot = unsafe { &mut *slot };
        wanted::turn(slot, TRANSMIT);
        slot.send_turn = slot.turns;
        slot.send_began_ns = now_ns();
    }
}

/// A send call has moved `length` bytes, or failed.
#[inline(always)]
pub fn sent(lane: Lane, sock: Typed<Sock>, length: i32, content: impl Content) {
    if length > 0 {
        let call = Call::copied(TRANSMIT, length);
        return segment(lane, sock, call, content);
    }
    send_failed(sock);
}

/// A send call has moved nothing.
#[inline(always)]
fn send_failed(sock: Typed<Sock>) {
    if let Some(Followed { slot, .. }) = watch::followed(sock) {
        // SAFETY: a live map value.
        unsafe { (*slot).send_began_ns = 0 };
    }
}

/// A receive call has moved `length` bytes, or failed.
#[inline(always)]
pub fn received(lane: Lane, sock: Typed<Sock>, length: i32, content: impl Content, flags: i32) {
    // Peeked bytes are received later; urgent data and the error queue are not part of the stream.
    if flags & (MSG_PEEK | MSG_OOB | MSG_ERRQUEUE) != 0 {
        return;
    }
    let call = Call {
        // MSG_TRUNC throws the bytes away without copying them.
        is_copied: flags & MSG_TRUNC == 0,
        ..Call::copied(RECEIVE, length)
    };
    segment(lane, sock, call, content);
}

/// A call of either direction has moved `length` bytes, or failed. (One program for both: what follows would not fit
/// into its stack twice.)
#[cfg(feature = "fallback")]
#[inline(always)]
pub fn moved(
    lane: Lane,
    sock: Typed<Sock>,
    direction: usize,
    length: i32,
    content: content::Named,
    flags: i32,
) {
    // Hides from LLVM which of the two it is; the verifier needs to see that it is one of two.
    let direction = (crate::kernel::opaque(direction as u64) & 1) as usize;
    if direction == RECEIVE {
        if flags & (MSG_PEEK | MSG_OOB | MSG_ERRQUEUE) != 0 {
            return;
        }
    } else if length <= 0 {
        return send_failed(sock);
    }
    let call = Call {
        is_copied: content.is_somewhere() && (direction != RECEIVE || flags & MSG_TRUNC == 0),
        ..Call::copied(direction, length)
    };
    segment(lane, sock, call, content);
}

/// Bytes that went from socket to pipe, past the process's memory.
#[inline(always)]
pub fn spliced(lane: Lane, sock: Typed<Sock>, length: i32) {
    segment(lane, sock, Call::unseen(RECEIVE, length), Elsewhere);
}

/// A page, or part of one, that went from file or pipe to socket, past the process's memory, or that failed to. A
/// sendfile() of 64 KiB comes by here 16 times (before 6.5), and makes one record.
#[inline(always)]
pub fn paged(lane: Lane, sock: Typed<Sock>, length: i32, flags: i32) {
    if length > 0 {
        let call = Call {
            is_part: flags & MSG_SENDPAGE_NOTLAST != 0,
            ..Call::unseen(TRANSMIT, length)
        };
        return segment(lane, sock, call, Elsewhere);
    }
    // No other page will come.
    if let Some(Followed { slot, .. }) = watch::followed(sock)
        // SAFETY: a live map value.
        && unsafe { (*slot).withheld_bytes } != 0
        && let Some(draft) = output::draft(lane, TRANSMIT)
    {
        // SAFETY: as above.
        let slot = unsafe { &mut *slot };
        let record = record(lane, slot, TRANSMIT, 0, [0, now_ns()]);
        // SAFETY: a live map value, which no other program uses on this CPU meanwhile.
        unsafe { (*draft).segment = record };
        if watch::level() < LEVEL_COUNTS {
            output::submit_bare(draft);
        }
        told(slot, TRANSMIT);
    }
}

/// What a call did, or a part of one.
#[derive(Clone, Copy)]
struct Call {
    /// [`RECEIVE`] or [`TRANSMIT`].
    direction: usize,
    /// Bytes that it moved.
    length: i32,
    /// They are where its content says.
    is_copied: bool,
    /// The same call will go on at once, and has nothing to show: what comes then tells of all.
    is_part: bool,
}

impl Call {
    #[inline(always)]
    fn copied(direction: usize, length: i32) -> Self {
        Self {
            direction,
            length,
            is_copied: true,
            is_part: false,
        }
    }

    #[inline(always)]
    fn unseen(direction: usize, length: i32) -> Self {
        Self {
            is_copied: false,
            ..Self::copied(direction, length)
        }
    }
}

/// Counts the bytes of one call and tells the agent.
#[inline(always)]
fn segment(lane: Lane, sock: Typed<Sock>, call: Call, content: impl Content) {
    let Call {
        direction,
        length,
        is_copied,
        is_part,
    } = call;
    if length <= 0 {
        return;
    }
    let followed = match watch::sight(sock) {
        Sight::Followed(followed) => followed,
        Sight::Excluded => return,
        // AF_INET's functions serve datagrams too; those of Unix sockets have others.
        Sight::Unknown if lane != Lane::Unix && !watch::is_tcp(sock) => {
            // The bytes of multipath TCP go over sockets of the kernel's own, which no process calls.
            if watch::is_multipath(sock)
                && let Some(pid) = watch::current_pid()
                && !exclusion::excludes(pid)
            {
                output::lost(LOSS_NO_SLOT_BYTES, length as u64);
            }
            return;
        }
        Sight::Unknown => {
            let Some(pid) = watch::current_pid() else {
                return;
            };
            match adopt(lane, sock, pid, direction, length as u32) {
                Some(followed) => followed,
                None if exclusion::is_excluded(sock) => return,
                None => return output::lost(LOSS_NO_SLOT_BYTES, length as u64),
            }
        }
    };
    let level = watch::level();
    let time_ns = now_ns();
    let Some(draft) = output::draft(lane, direction) else {
        return;
    };
    // SAFETY: a live map value.
    let slot = unsafe { &mut *followed.slot };
    if lane != Lane::Unix && slot.phase == PHASE_CONNECTING {
        socket_life::opened_early(sock, followed);
    }
    let mut arrived_ns = 0;
    // Unix sockets keep neither times nor counts.
    if lane != Lane::Unix {
        let tcp = tcp(sock);
        if !tcp.0.is_null() {
            let missed = sequence::count_unseen(sock, tcp, slot, direction, length as u32);
            if direction == RECEIVE {
                // Taken, so that a call at whose beginning nothing waited does not inherit it; nor that of a call
                // that was missed.
                let noted_ns = core::mem::take(&mut slot.arrived_ns);
                let waited_ns = if missed { 0 } else { noted_ns };
                arrived_ns = arrival::time_ns(tcp, waited_ns, time_ns);
            }
        }
    }
    let wanted = wanted::bytes(slot, direction, length as u64, level);
    if wanted == CAPTURE_EXCLUDED {
        socket_life::excluded(sock, slot);
        return;
    }
    if is_part {
        if slot.send_began_ns == 0 {
            slot.send_began_ns = time_ns;
        }
        slot.bytes[direction] += length as u64;
        slot.withheld_bytes += length as u32;
        return;
    }
    let is_whole = direction == RECEIVE || slot.withheld_bytes == 0;
    let record = record(lane, slot, direction, length as u32, [arrived_ns, time_ns]);
    // SAFETY: a live map value, which no other program uses on this CPU meanwhile.
    unsafe { (*draft).segment = record };
    // What finds no room is counted where it is submitted, and the slot has counted the bytes: without records the agent
    // reads from there what moved.
    if level < LEVEL_COUNTS {
        // Where lockdown forbids the helpers, aya puts an older one in the place of that for user memory, which is forbidden
        // as well.
        if is_copied && is_whole && wanted > 0 && reads_kernel() {
            let wanted = u64::from(wanted.min(length as u32));
            content::submit(draft, content, length as u64, wanted);
        } else {
            output::submit_bare(draft);
        }
    }
    told(slot, direction);
}

/// Nothing of a direction is under way any more.
#[inline(always)]
fn told(slot: &mut Slot, direction: usize) {
    // Volatile, so that it stays behind the record.
    // SAFETY: fields of a live map value.
    unsafe {
        if direction == RECEIVE {
            (&raw mut slot.is_receiving).write_volatile(0);
        } else {
            (&raw mut slot.send_began_ns).write_volatile(0);
        }
    }
}

/// A call's record without content, with what was withheld before; moves the slot's position on. From here until the
/// record is written the call is told by the slot to be under way. `times`: when data arrived, and now.
#[inline(always)]
fn record(
    lane: Lane,
    slot: &mut Slot,
    direction: usize,
    length_bytes: u32,
    times: [u64; 2],
) -> Segment {
    let [arrived_ns, time_ns] = times;
    let end = slot.bytes[direction] + u64::from(length_bytes);
    let length_bytes = if direction == RECEIVE {
        length_bytes
    } else {
        length_bytes + core::mem::take(&mut slot.withheld_bytes)
    };
    let mut record = Segment {
        kind: SEGMENT,
        direction: direction as u8,
        place: PLACE_IN_ORDER,
        length_bytes,
        connection: slot.connection,
        position: end - u64::from(length_bytes),
        other_position: slot.bytes[direction ^ 1],
        begin_ns: time_ns,
        time_ns,
        turn: slot.turns,
        // Only processes that are watched have a followed socket.
        pid: watch::process(),
        captured_bytes: 0,
        transport: match lane {
            Lane::Inet | Lane::Inet6 => TRANSPORT_TCP,
            Lane::Unix => TRANSPORT_UNIX,
        },
        reserved: 0,
        reserved2: 0,
    };
    let is_other_under_way;
    if direction == RECEIVE {
        record.begin_ns = arrived_ns;
        is_other_under_way = slot.send_began_ns != 0;
        slot.is_receiving = 1;
    } else {
        is_other_under_way = slot.is_receiving != 0;
        record.turn = slot.send_turn;
        if slot.send_began_ns != 0 {
            record.begin_ns = slot.send_began_ns;
        }
        slot.send_began_ns = record.begin_ns;
    }
    if is_other_under_way {
        record.place = PLACE_OVERTAKES;
    }
    if slot.phase == PHASE_CLOSED {
        record.place = PLACE_AFTER_END;
    }
    slot.bytes[direction] = end;
    record
}

/// Begins to follow a connection that no walk has found, at its first use. If it was not used before, nothing of it
/// was missed: an accept() that was blocked when the programs were attached does not come by them when it returns.
#[inline(always)]
fn adopt(
    lane: Lane,
    sock: Typed<Sock>,
    pid: u32,
    direction: usize,
    length: u32,
) -> Option<Followed> {
    let (role, is_fresh) = if lane == Lane::Unix {
        (unix_name::role(sock), false)
    } else {
        let role = history::role(sock);
        let is_server = role == ROLE_SERVER;
        (
            role,
            is_server && history::was_unused(sock, direction, length),
        )
    };
    let before = Before {
        pid,
        role,
        origin: if is_fresh {
            ORIGIN_SEEN
        } else {
            ORIGIN_ADOPTED
        },
        phase: PHASE_OPEN,
        time_ns: now_ns(),
    };
    let Adopted { followed, is_new } = watch::adopt(sock, before)?;
    if is_new {
        let Followed { index, slot } = followed;
        // SAFETY: a live map value.
        let slot = unsafe { &mut *slot };
        // Its bytes have moved already.
        slot.sequence[direction] = slot.sequence[direction].wrapping_sub(length);
        if lane == Lane::Unix {
            unix_name::opened(sock, index, slot, 0);
        } else {
            output::opened(index, slot, 0);
        }
    }
    Some(followed)
}
