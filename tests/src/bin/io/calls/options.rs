//! What sockets are told, and waiting for them.

use std::io;
use std::os::fd::AsRawFd;

use super::{Socket, checked};

/// An end that waits longer than this has failed, and so has its case.
const WAIT_MILLISECONDS: i32 = 30_000;

/// Sets an option to a value of any type that the kernel takes as it is in memory.
pub(super) fn set<T>(socket: &impl AsRawFd, level: i32, name: i32, value: &T) -> io::Result<()> {
    let length = size_of::<T>() as libc::socklen_t;
    let value = std::ptr::from_ref(value).cast();
    // SAFETY: the kernel reads as many bytes as the value has.
    let result = unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, value, length) };
    checked(result as isize).map(drop)
}

pub(crate) fn cork(socket: &Socket, on: bool) -> io::Result<()> {
    set(socket, libc::IPPROTO_TCP, libc::TCP_CORK, &i32::from(on))
}

pub(crate) fn low_water(socket: &Socket, bytes: usize) -> io::Result<()> {
    let bytes = i32::try_from(bytes).unwrap_or(i32::MAX);
    set(socket, libc::SOL_SOCKET, libc::SO_RCVLOWAT, &bytes)
}

/// The smallest send buffer that the kernel allows, so that nearly every write is short.
pub(crate) fn smallest_send_buffer(socket: &Socket) -> io::Result<()> {
    set(socket, libc::SOL_SOCKET, libc::SO_SNDBUF, &0)
}

/// Buffers that a large body does not fit into.
pub(crate) fn small_buffers(socket: &Socket) -> io::Result<()> {
    set(socket, libc::SOL_SOCKET, libc::SO_SNDBUF, &65_536)?;
    set(socket, libc::SOL_SOCKET, libc::SO_RCVBUF, &65_536)
}

pub(crate) fn urgent_inline(socket: &Socket) -> io::Result<()> {
    set(socket, libc::SOL_SOCKET, libc::SO_OOBINLINE, &1)
}

/// Lets a close break the connection off (RST).
pub(crate) fn reset_at_close(socket: &Socket) -> io::Result<()> {
    let linger = libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    set(socket, libc::SOL_SOCKET, libc::SO_LINGER, &linger)
}

/// No end waits forever for the other.
pub(crate) fn bounded(socket: &Socket) -> io::Result<()> {
    let limit = libc::timeval {
        tv_sec: i64::from(WAIT_MILLISECONDS / 1000),
        tv_usec: 0,
    };
    set(socket, libc::SOL_SOCKET, libc::SO_RCVTIMEO, &limit)?;
    set(socket, libc::SOL_SOCKET, libc::SO_SNDTIMEO, &limit)
}

pub(crate) fn nonblocking(socket: &Socket) -> io::Result<()> {
    // SAFETY: a call without pointers.
    let result = unsafe { libc::fcntl(socket.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) };
    checked(result as isize).map(drop)
}

/// Says that nothing more will be sent.
pub(crate) fn end_sending(socket: &Socket) -> io::Result<()> {
    // SAFETY: a call without pointers.
    let result = unsafe { libc::shutdown(socket.as_raw_fd(), libc::SHUT_WR) };
    checked(result as isize).map(drop)
}

/// Waits until a socket is ready for an event.
pub(crate) fn wait_for(socket: &Socket, event: i16) -> io::Result<()> {
    let mut poll = libc::pollfd {
        fd: socket.as_raw_fd(),
        events: event,
        revents: 0,
    };
    // SAFETY: one entry, as said.
    let ready = checked(unsafe { libc::poll(&mut poll, 1, WAIT_MILLISECONDS) } as isize)?;
    if ready == 0 {
        return Err(io::ErrorKind::TimedOut.into());
    }
    Ok(())
}
