//! Calls that give bytes to a socket's stream.

use std::io::{self, IoSlice, Write};
use std::os::fd::AsRawFd;

use super::{Send, Socket, checked, message};

/// Where a call with several buffers splits one: an odd place, so that heads are torn.
const SPLIT_AT: usize = 7;

/// Buffers of one call at most (the kernel's `UIO_MAXIOV`).
const VECTORS_MAX: usize = 1024;

/// Bytes that are kept together by `MSG_MORE` or sent while corked.
const PART_BYTES: usize = 1000;

pub(crate) fn write(mut socket: &Socket, bytes: &[u8]) -> io::Result<usize> {
    socket.write(bytes)
}

pub(crate) fn writev(mut socket: &Socket, bytes: &[u8]) -> io::Result<usize> {
    let (first, rest) = bytes.split_at(SPLIT_AT.min(bytes.len()));
    let (middle, last) = rest.split_at(1.min(rest.len()));
    socket.write_vectored(&[first, middle, last].map(IoSlice::new))
}

/// As many vectors of one byte as a call takes.
pub(crate) fn writev_bytes(mut socket: &Socket, bytes: &[u8]) -> io::Result<usize> {
    let vectors: Vec<IoSlice> = bytes
        .chunks(1)
        .take(VECTORS_MAX)
        .map(IoSlice::new)
        .collect();
    socket.write_vectored(&vectors)
}

/// Twelve vectors of one byte, then the rest in one.
pub(crate) fn writev_few_bytes(mut socket: &Socket, bytes: &[u8]) -> io::Result<usize> {
    let (few, rest) = bytes.split_at(bytes.len().min(12));
    let vectors: Vec<IoSlice> = few.chunks(1).chain([rest]).map(IoSlice::new).collect();
    socket.write_vectored(&vectors)
}

/// One byte a call.
pub(crate) fn write_bytes(mut socket: &Socket, bytes: &[u8]) -> io::Result<usize> {
    socket.write(bytes.get(..1).unwrap_or_default())
}

pub(super) fn send_with(socket: &Socket, bytes: &[u8], flags: i32) -> io::Result<usize> {
    let (from, length) = (bytes.as_ptr().cast(), bytes.len());
    // SAFETY: the kernel reads at most `length` bytes.
    checked(unsafe { libc::send(socket.as_raw_fd(), from, length, flags | libc::MSG_NOSIGNAL) })
}

pub(crate) fn send(socket: &Socket, bytes: &[u8]) -> io::Result<usize> {
    send_with(socket, bytes, 0)
}

pub(crate) fn sendto(socket: &Socket, bytes: &[u8]) -> io::Result<usize> {
    // SAFETY: an address of zeros is one without a family; TCP does not look at it.
    let peer: libc::sockaddr_in = unsafe { std::mem::zeroed() };
    let peer_length = size_of_val(&peer) as libc::socklen_t;
    let (from, length) = (bytes.as_ptr().cast(), bytes.len());
    // SAFETY: the kernel reads at most `length` bytes and the address.
    checked(unsafe {
        let peer = (&raw const peer).cast();
        libc::sendto(
            socket.as_raw_fd(),
            from,
            length,
            libc::MSG_NOSIGNAL,
            peer,
            peer_length,
        )
    })
}

/// The bytes in two vectors. The kernel only reads them.
fn halves(bytes: &[u8]) -> [libc::iovec; 2] {
    let (first, rest) = bytes.split_at(SPLIT_AT.min(bytes.len()));
    [first, rest].map(|part| libc::iovec {
        iov_base: part.as_ptr().cast_mut().cast(),
        iov_len: part.len(),
    })
}

pub(crate) fn sendmsg(socket: &Socket, bytes: &[u8]) -> io::Result<usize> {
    let mut vectors = halves(bytes);
    let message = message(&mut vectors);
    // SAFETY: the message holds the two parts, which live longer than the call.
    checked(unsafe { libc::sendmsg(socket.as_raw_fd(), &message, libc::MSG_NOSIGNAL) })
}

pub(crate) fn sendmmsg(socket: &Socket, bytes: &[u8]) -> io::Result<usize> {
    let mut vectors = halves(bytes);
    let mut messages = vectors.each_mut().map(|part| libc::mmsghdr {
        msg_hdr: message(std::slice::from_mut(part)),
        msg_len: 0,
    });
    // SAFETY: two messages over the two parts, which live longer than the call.
    let sent = unsafe {
        libc::sendmmsg(
            socket.as_raw_fd(),
            messages.as_mut_ptr(),
            2,
            libc::MSG_NOSIGNAL,
        )
    };
    let sent = checked(sent as isize)?;
    let lengths = messages.iter().take(sent);
    Ok(lengths.map(|message| message.msg_len as usize).sum())
}

/// Says with each part but the last that more comes.
pub(crate) fn send_more(socket: &Socket, bytes: &[u8]) -> io::Result<usize> {
    match bytes.get(..PART_BYTES) {
        Some(part) => send_with(socket, part, libc::MSG_MORE),
        None => send_with(socket, bytes, 0),
    }
}

/// Keeps the parts of a message together until all are written.
pub(crate) fn corked(socket: &Socket, bytes: &[u8]) -> io::Result<usize> {
    super::options::cork(socket, true)?;
    for part in bytes.chunks(PART_BYTES) {
        let mut left = part;
        while !left.is_empty() {
            let count = write(socket, left)?;
            left = left.get(count..).unwrap_or_default();
        }
    }
    super::options::cork(socket, false)?;
    Ok(bytes.len())
}

/// Waits for room when there is none.
pub(crate) fn nonblocking(mut socket: &Socket, bytes: &[u8]) -> io::Result<usize> {
    loop {
        match socket.write(bytes) {
            Err(fault) if fault.kind() == io::ErrorKind::WouldBlock => {
                super::options::wait_for(socket, libc::POLLOUT)?;
            }
            other => return other,
        }
    }
}

/// Sends a byte as urgent in the middle of what it is given, once a call.
pub(crate) struct Urgent {
    /// Whether that byte is one of the message's, or one more.
    pub(crate) inline: bool,
    pub(crate) beside: usize,
}

impl Send for Urgent {
    fn send(&mut self, socket: &Socket, bytes: &[u8]) -> io::Result<usize> {
        let (first, rest) = bytes.split_at(bytes.len() / 2);
        let mut left = first;
        while !left.is_empty() {
            let count = write(socket, left)?;
            left = left.get(count..).unwrap_or_default();
        }
        if !self.inline {
            self.beside += send_with(socket, b"u", libc::MSG_OOB)?;
            return Ok(first.len() + write(socket, rest)?);
        }
        let (urgent, rest) = rest.split_at(1);
        send_with(socket, urgent, libc::MSG_OOB)?;
        Ok(first.len() + 1 + write(socket, rest)?)
    }

    fn beside(&mut self) -> usize {
        std::mem::take(&mut self.beside)
    }
}

/// For a case that does not need more than a function.
pub(crate) fn plain(call: fn(&Socket, &[u8]) -> io::Result<usize>) -> io::Result<Box<dyn Send>> {
    Ok(Box::new(call))
}
