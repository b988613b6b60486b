//! Calls that take bytes from a socket's stream.

use std::io::{self, IoSliceMut, Read};
use std::os::fd::AsRawFd;

use super::{Receive, Socket, checked, message, vectors};

/// Where a call with several buffers splits one: an odd place, so that heads are torn.
const SPLIT_AT: usize = 7;

/// What `SO_RCVLOWAT` asks for at most; the kernel never has more than its receive buffer.
const LOW_WATER_BYTES: usize = 4096;

pub(crate) fn read(mut socket: &Socket, buffer: &mut [u8]) -> io::Result<usize> {
    socket.read(buffer)
}

pub(crate) fn readv(mut socket: &Socket, buffer: &mut [u8]) -> io::Result<usize> {
    let (first, rest) = buffer.split_at_mut(SPLIT_AT.min(buffer.len()));
    let (middle, last) = rest.split_at_mut(1.min(rest.len()));
    socket.read_vectored(&mut [
        IoSliceMut::new(first),
        IoSliceMut::new(middle),
        IoSliceMut::new(last),
    ])
}

/// One byte a call.
pub(crate) fn read_bytes(mut socket: &Socket, buffer: &mut [u8]) -> io::Result<usize> {
    let end = buffer.len().min(1);
    socket.read(buffer.get_mut(..end).unwrap_or_default())
}

fn recv_with(socket: &Socket, buffer: &mut [u8], flags: i32) -> io::Result<usize> {
    let (to, length) = (buffer.as_mut_ptr().cast(), buffer.len());
    // SAFETY: the kernel writes at most `length` bytes to the buffer.
    checked(unsafe { libc::recv(socket.as_raw_fd(), to, length, flags) })
}

pub(crate) fn recv(socket: &Socket, buffer: &mut [u8]) -> io::Result<usize> {
    recv_with(socket, buffer, 0)
}

/// Waits until the buffer is full.
pub(crate) fn recv_all(socket: &Socket, buffer: &mut [u8]) -> io::Result<usize> {
    recv_with(socket, buffer, libc::MSG_WAITALL)
}

/// Is not woken before the buffer can be filled, or much of it.
pub(crate) fn read_at_low_water(socket: &Socket, buffer: &mut [u8]) -> io::Result<usize> {
    super::options::low_water(socket, buffer.len().min(LOW_WATER_BYTES))?;
    super::options::wait_for(socket, libc::POLLIN)?;
    read(socket, buffer)
}

/// Looks at the bytes, twice, before they are read.
pub(crate) fn peek_read(socket: &Socket, buffer: &mut [u8]) -> io::Result<usize> {
    recv_with(socket, buffer, libc::MSG_PEEK)?;
    recv_with(socket, buffer, libc::MSG_PEEK | libc::MSG_TRUNC)?;
    read(socket, buffer)
}

/// Throws the bytes away in the kernel.
pub(crate) fn discard(socket: &Socket, buffer: &mut [u8]) -> io::Result<usize> {
    let nowhere = std::ptr::null_mut();
    // SAFETY: with this flag TCP copies nothing (tcp(7)), so the kernel needs no buffer.
    checked(unsafe { libc::recv(socket.as_raw_fd(), nowhere, buffer.len(), libc::MSG_TRUNC) })
}

pub(crate) fn recvfrom(socket: &Socket, buffer: &mut [u8]) -> io::Result<usize> {
    // SAFETY: an address of zeros is one without a family.
    let mut peer: libc::sockaddr_in = unsafe { std::mem::zeroed() };
    let mut peer_length = size_of_val(&peer) as libc::socklen_t;
    let (to, length) = (buffer.as_mut_ptr().cast(), buffer.len());
    // SAFETY: the kernel writes at most `length` bytes to the buffer and `peer_length` to the address.
    checked(unsafe {
        let peer = (&raw mut peer).cast();
        libc::recvfrom(socket.as_raw_fd(), to, length, 0, peer, &mut peer_length)
    })
}

pub(crate) fn recvmsg(socket: &Socket, buffer: &mut [u8]) -> io::Result<usize> {
    let (first, rest) = buffer.split_at_mut(SPLIT_AT.min(buffer.len()));
    let mut vectors = vectors([first, rest]);
    let mut message = message(&mut vectors);
    // SAFETY: the message holds the buffer's two parts, which live longer than the call.
    checked(unsafe { libc::recvmsg(socket.as_raw_fd(), &mut message, 0) })
}

/// Two messages, each into its half of the buffer.
pub(crate) fn recvmmsg(socket: &Socket, buffer: &mut [u8]) -> io::Result<usize> {
    let half = buffer.len() / 2;
    let (first, rest) = buffer.split_at_mut(half.max(1));
    // A second message into no room would be taken for the stream's end.
    let wanted = if rest.is_empty() { 1 } else { 2 };
    let mut parts = vectors([first, rest]);
    let mut messages = parts.each_mut().map(|part| libc::mmsghdr {
        msg_hdr: message(std::slice::from_mut(part)),
        msg_len: 0,
    });
    let (none, flags) = (std::ptr::null_mut(), libc::MSG_WAITFORONE);
    // SAFETY: as many messages as said, over the buffer's two parts, which live longer than the call.
    let taken = unsafe {
        libc::recvmmsg(
            socket.as_raw_fd(),
            messages.as_mut_ptr(),
            wanted,
            flags,
            none,
        )
    };
    let taken = checked(taken as isize)?;
    let [one, two] = messages.map(|message| message.msg_len as usize);
    if taken < 2 {
        return Ok(one);
    }
    let begin = half.max(1);
    buffer.copy_within(begin..begin + two, one);
    Ok(one + two)
}

/// Finds nothing at first if it can, and waits for what comes.
pub(crate) fn nonblocking(mut socket: &Socket, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match socket.read(buffer) {
            Err(fault) if fault.kind() == io::ErrorKind::WouldBlock => {
                super::options::wait_for(socket, libc::POLLIN)?;
            }
            other => return other,
        }
    }
}

/// For a case that does not need more than a function.
pub(crate) fn plain(
    call: fn(&Socket, &mut [u8]) -> io::Result<usize>,
) -> io::Result<Box<dyn Receive>> {
    Ok(Box::new(call))
}
