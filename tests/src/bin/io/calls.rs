//! The kernel's calls as they are. A wrapper that chooses the call would hide what the matrix is about.

pub(crate) mod clock;
pub(crate) mod connect;
pub(crate) mod options;
pub(crate) mod pipe;
pub(crate) mod receive;
pub(crate) mod send;
pub(crate) mod tls;
pub(crate) mod uring;
pub(crate) mod zero_copy;

use std::fs::File;
use std::io;

/// A connected socket. A `File`, because reads and writes of one are `read`, `readv`, `write` and
/// `writev`; those of a `TcpStream` are not.
pub(crate) type Socket = File;

/// One way to take bytes from a socket.
pub(crate) trait Receive {
    /// Takes up to the buffer's length from the stream; tells how many, zero at its end.
    fn receive(&mut self, socket: &Socket, buffer: &mut [u8]) -> io::Result<usize>;

    /// Whether any bytes came by the path and not by what stands in for it.
    fn is_taken(&self) -> bool {
        true
    }
}

/// One way to give bytes to a socket.
pub(crate) trait Send {
    /// Gives some of the bytes to the stream; tells how many.
    fn send(&mut self, socket: &Socket, bytes: &[u8]) -> io::Result<usize>;

    /// Bytes that went out beside those, since this was asked.
    fn beside(&mut self) -> usize {
        0
    }

    /// Waits until the kernel is done with what was sent.
    fn settle(&mut self, _socket: &Socket) -> io::Result<()> {
        Ok(())
    }
}

impl<F: FnMut(&Socket, &mut [u8]) -> io::Result<usize>> Receive for F {
    fn receive(&mut self, socket: &Socket, buffer: &mut [u8]) -> io::Result<usize> {
        self(socket, buffer)
    }
}

impl<F: FnMut(&Socket, &[u8]) -> io::Result<usize>> Send for F {
    fn send(&mut self, socket: &Socket, bytes: &[u8]) -> io::Result<usize> {
        self(socket, bytes)
    }
}

/// What a call returned, or why it failed.
fn checked(result: isize) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

/// The parts of a buffer as the kernel takes them.
fn vectors<const N: usize>(parts: [&mut [u8]; N]) -> [libc::iovec; N] {
    parts.map(|part| libc::iovec {
        iov_base: part.as_mut_ptr().cast(),
        iov_len: part.len(),
    })
}

/// A message whose bytes are in `vectors`.
fn message(vectors: &mut [libc::iovec]) -> libc::msghdr {
    // SAFETY: all fields may be zero: no name, no control data, no flags.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = vectors.as_mut_ptr();
    message.msg_iovlen = vectors.len();
    message
}
