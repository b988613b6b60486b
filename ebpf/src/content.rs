//! Content: copies the first bytes of a call from the process's memory.
//!
//! It is read after the call: the kernel has advanced the message's iterator by exactly the bytes that
//! moved, so it is walked back by as many.

use crate::{
    kernel::{
        ITER_SINGLE, ITER_VECTOR, MESSAGE_ITER_BUFFER, MESSAGE_ITER_KIND, MESSAGE_ITER_OFFSET,
        MESSAGE_ITER_SEGMENTS, Message, Typed,
    },
    output::Draft,
};
use aya_ebpf::helpers::{bpf_probe_read_kernel, generated::bpf_probe_read_user};
use core::ptr;
use sockmeter_abi::CAPTURE_BYTES_MAX;

/// Buffers of a vector that are walked back at most; the content of a call with more is unseen. An eighth of what a call
/// can have (`UIO_MAXIOV`): each costs the verifier time when the agent starts.
const WALK_MAX: usize = 128;

/// Buffers that are gathered at most; what lies behind them is unseen. nginx sends up to 64 at once.
const GATHER_MAX: usize = 64;

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

/// Copies up to `wanted` of the call's first bytes into the draft; tells how many.
#[inline(always)]
pub fn capture(message: Typed<Message>, length: u64, wanted: u32, draft: *mut Draft) -> u32 {
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
