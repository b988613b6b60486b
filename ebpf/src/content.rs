//! Content: copies the first bytes of a call from the process's memory.
//!
//! It is read after the call: the kernel has advanced the message's iterator by exactly the bytes that
//! moved, so it is walked back by as many.

use crate::{
    kernel::{
        ITER_SINGLE, ITER_VECTOR, MESSAGE_ITER_BUFFER, MESSAGE_ITER_KIND, MESSAGE_ITER_OFFSET,
        MESSAGE_ITER_SEGMENTS, MESSAGE_ITER_TYPE, Message, Typed, opaque, reads_kernel,
    },
    output::{self, Draft},
};
use aya_ebpf::helpers::generated::{bpf_probe_read_kernel, bpf_probe_read_user};
use core::{mem::MaybeUninit, ptr};
use sockmeter_abi::CAPTURE_BYTES_MAX;

/// Buffers of a vector that are looked at in one go. Most calls have no more.
const NEAR: usize = 4;

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

impl Buffer {
    const EMPTY: Self = Self { base: 0, length: 0 };
}

/// Where in user memory a call's bytes begin, if they are not where one could guess.
#[derive(Clone, Copy)]
struct Place {
    /// Address of the `Buffer` that they begin in.
    vector: u64,
    /// Address of the first byte.
    base: u64,
    /// Bytes from there to the buffer's end.
    room: u64,
}

/// The first bytes of a call.
pub enum First {
    /// They lie in one piece, here.
    At(u64),
    /// So many of them are in the draft.
    Gathered(u32),
    /// They are not seen.
    Unseen,
}

/// Where the bytes of a call are.
pub trait Content: Copy {
    /// Finds the first `wanted` bytes of a call that has moved `length`; what is gathered goes into the draft.
    fn find(self, draft: *mut Draft, length: u64, wanted: u64) -> First;
}

/// Puts a draft's record into the ring with the first `wanted` bytes of its call, which has moved `length`.
#[inline(always)]
pub fn submit(draft: *mut Draft, content: impl Content, length: u64, wanted: u64) {
    match content.find(draft, length, wanted) {
        First::At(base) => output::submit_copying(draft, wanted, base),
        First::Gathered(bytes) => output::submit_gathered(draft, u64::from(bytes)),
        First::Unseen => output::submit_bare(draft),
    }
}

/// They went past the process's memory.
#[derive(Clone, Copy)]
pub struct Elsewhere;

impl Content for Elsewhere {
    #[inline(always)]
    fn find(self, _: *mut Draft, _: u64, _: u64) -> First {
        First::Unseen
    }
}

impl Content for Typed<Message> {
    #[inline(always)]
    fn find(self, draft: *mut Draft, length: u64, wanted: u64) -> First {
        find(draft, self, length, wanted)
    }
}

/// They are where a system call's arguments say.
#[cfg(feature = "fallback")]
#[derive(Clone, Copy)]
pub struct Named {
    /// Address of the process's vector of buffers; zero if there is one buffer.
    pub vector: u64,
    /// Address of the one buffer; zero if there is none. (No option, of which the verifier would see a part that nobody
    /// wrote.)
    pub base: u64,
}

#[cfg(feature = "fallback")]
impl Named {
    /// They are not in the process's memory.
    pub const NOWHERE: Self = Self { vector: 0, base: 0 };

    #[inline(always)]
    pub fn is_somewhere(self) -> bool {
        self.vector | self.base != 0
    }
}

#[cfg(feature = "fallback")]
impl Content for Named {
    #[inline(always)]
    fn find(self, draft: *mut Draft, _: u64, wanted: u64) -> First {
        if self.vector == 0 {
            return First::At(self.base);
        }
        let Buffer { base, length } = user_buffer(self.vector);
        if length >= wanted {
            return First::At(base);
        }
        let place = Place {
            vector: self.vector,
            base,
            room: length,
        };
        First::Gathered(gather(place, wanted, draft, user_buffer))
    }
}

/// A buffer of a process's vector; an empty one if it cannot be read: the helper then writes zeros.
#[cfg(feature = "fallback")]
#[inline(always)]
fn user_buffer(address: u64) -> Buffer {
    let mut buffer = Buffer::EMPTY;
    // SAFETY: the helper checks the address.
    unsafe {
        bpf_probe_read_user(
            ptr::from_mut(&mut buffer).cast(),
            size_of::<Buffer>() as u32,
            address as *const _,
        )
    };
    buffer
}

#[inline(always)]
fn find(draft: *mut Draft, message: Typed<Message>, length: u64, wanted: u64) -> First {
    let kind = iterator_kind(message);
    let offset = MESSAGE_ITER_OFFSET.load(message);
    // No kind is the number of one that the kernel does not have.
    if kind == ITER_SINGLE.load() {
        let base = MESSAGE_ITER_BUFFER.load_number(message);
        return First::At(base.wrapping_add(offset).wrapping_sub(length));
    }
    if kind != ITER_VECTOR.load() {
        // Pages (sendfile, splice) and kernel buffers: their content is not read.
        return First::Unseen;
    }
    let vector = MESSAGE_ITER_SEGMENTS.load_number(message);
    if length <= offset {
        let Some(Buffer { base, .. }) = buffer(vector) else {
            return First::Unseen;
        };
        return First::At(base + offset - length);
    }
    if offset == 0
        && let Some(near) = near(vector)
    {
        let mut left = length;
        for index in (0..NEAR).rev() {
            let Buffer { base, length } = near[index];
            if left <= length {
                if left >= wanted {
                    return First::At(base + length - left);
                }
                return First::Gathered(gather_near(&near, index, left, wanted, draft));
            }
            left -= length;
        }
    }
    let Some(place) = walk_back(vector, offset, length) else {
        return First::Unseen;
    };
    if place.room >= wanted {
        return First::At(place.base);
    }
    First::Gathered(gather(place, wanted, draft, buffer_or_empty))
}

/// The kind of a message's iterator, as `enum iter_type` numbers it. Up to 5.13 its lowest bit was the direction.
#[inline(always)]
fn iterator_kind(message: Typed<Message>) -> u32 {
    if MESSAGE_ITER_KIND.present() {
        u32::from(MESSAGE_ITER_KIND.load(message))
    } else {
        MESSAGE_ITER_TYPE.load(message) & !1
    }
}

#[inline(always)]
fn buffer(address: u64) -> Option<Buffer> {
    read(address)
}

/// An empty one if it cannot be read: the helper then writes zeros.
#[inline(always)]
fn buffer_or_empty(address: u64) -> Buffer {
    let mut buffer = Buffer::EMPTY;
    if reads_kernel() {
        // SAFETY: the helper checks the address; vectors are the kernel's own copies.
        unsafe {
            bpf_probe_read_kernel(
                ptr::from_mut(&mut buffer).cast(),
                size_of::<Buffer>() as u32,
                address as *const _,
            )
        };
    }
    buffer
}

/// The buffers before the one at `address`. What is before the vector's first is whatever lies there; it is looked at
/// by nobody, as the call's bytes begin behind it.
#[inline(always)]
fn near(address: u64) -> Option<[Buffer; NEAR]> {
    read(address.wrapping_sub(size_of::<[Buffer; NEAR]>() as u64))
}

#[inline(always)]
fn read<T>(address: u64) -> Option<T> {
    if !reads_kernel() {
        return None;
    }
    let mut value = MaybeUninit::<T>::uninit();
    // SAFETY: the helper checks the address; vectors are the kernel's own copies.
    unsafe {
        let status = bpf_probe_read_kernel(
            value.as_mut_ptr().cast(),
            size_of::<T>() as u32,
            address as *const _,
        );
        (status == 0).then(|| value.assume_init())
    }
}

/// Finds where the last `length` bytes before `offset` in the buffer at `vector` begin, which is not in that buffer.
#[inline(always)]
fn walk_back(vector: u64, offset: u64, length: u64) -> Option<Place> {
    let mut vector = vector;
    let mut left = length - offset;
    for _ in 0..WALK_MAX {
        vector -= size_of::<Buffer>() as u64;
        let Buffer { base, length } = buffer(vector)?;
        if left <= length {
            return Some(Place {
                vector,
                base: base + length - left,
                room: left,
            });
        }
        left -= length;
    }
    None
}

/// Copies `wanted` bytes from user memory, which begin `room` bytes before the end of buffer `first` of `near` and end
/// in a later one.
#[inline(always)]
fn gather_near(
    near: &[Buffer; NEAR],
    first: usize,
    room: u64,
    wanted: u64,
    draft: *mut Draft,
) -> u32 {
    let mut done = 0;
    for (index, &Buffer { base, length }) in near.iter().enumerate().skip(first) {
        let skipped = if index == first { length - room } else { 0 };
        let bytes = (length - skipped).min(wanted - done);
        if copy(draft, done, base + skipped, bytes) != 0 {
            break;
        }
        done += bytes;
        if done >= wanted {
            break;
        }
    }
    done as u32
}

/// Copies `wanted` bytes from user memory, buffer by buffer. What cannot be read (a page that is not
/// there) ends the capture early.
///
/// For the verifier each round has one way on and all else leaves the loop, so that the paths to
/// check grow with the rounds and not with their powers.
#[inline(always)]
fn gather(place: Place, wanted: u64, draft: *mut Draft, buffer: impl Fn(u64) -> Buffer) -> u32 {
    let Place {
        mut vector,
        mut base,
        mut room,
    } = place;
    let mut done = 0;
    let mut left = wanted;
    for _ in 0..GATHER_MAX {
        if room >= left {
            let status = copy(draft, done, base, left);
            return (if status == 0 { done + left } else { done }) as u32;
        }
        if copy(draft, done, base, room) != 0 {
            break;
        }
        done += room;
        left -= room;
        vector += size_of::<Buffer>() as u64;
        // No option: the verifier would see what is left of one that is none.
        Buffer { base, length: room } = buffer(vector);
    }
    done as u32
}

/// Copies `length` bytes of user memory to `at` in the draft's content; zero if it could.
#[inline(always)]
fn copy(draft: *mut Draft, at: u64, base: u64, length: u64) -> i64 {
    let (at, length) = (opaque(at), opaque(length));
    if length > u64::from(CAPTURE_BYTES_MAX) {
        return -1;
    }
    // A power of two, so this is a mask; what would begin at the limit is not copied.
    let at = at & (u64::from(CAPTURE_BYTES_MAX) - 1);
    // SAFETY: after that, both are at most half the content buffer.
    unsafe {
        let to = ptr::addr_of_mut!((*draft).content)
            .cast::<u8>()
            .add(at as usize);
        bpf_probe_read_user(to.cast(), length as u32, base as *const _)
    }
}
