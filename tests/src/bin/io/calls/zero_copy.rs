//! Bytes that stay in the process's pages: sent without a copy, and mapped instead of received.

use std::io;
use std::os::fd::AsRawFd;
use std::ptr::null_mut;

use super::options::{self, set};
use super::{Receive, Send, Socket, checked, message, receive, send};

/// Sends whose pages the kernel may still read.
#[derive(Default)]
pub(crate) struct ZeroCopy {
    pending: u32,
}

impl ZeroCopy {
    pub(crate) fn path() -> io::Result<Box<dyn Send>> {
        Ok(Box::new(Self::default()))
    }

    pub(crate) fn prepare(socket: &Socket) -> io::Result<()> {
        set(socket, libc::SOL_SOCKET, libc::SO_ZEROCOPY, &1)
    }
}

impl Send for ZeroCopy {
    fn send(&mut self, socket: &Socket, bytes: &[u8]) -> io::Result<usize> {
        let count = send::send_with(socket, bytes, libc::MSG_ZEROCOPY)?;
        self.pending += 1;
        Ok(count)
    }

    /// The bytes may be changed only when the error queue has said that each send is done.
    fn settle(&mut self, socket: &Socket) -> io::Result<()> {
        while self.pending > 0 {
            options::wait_for(socket, 0)?;
            self.pending = self.pending.saturating_sub(done(socket)?);
        }
        Ok(())
    }
}

/// Room for one notice of the error queue, aligned as the kernel's.
#[repr(C, align(8))]
struct Control([u8; 128]);

/// `SO_EE_ORIGIN_ZEROCOPY` (linux/errqueue.h).
const ORIGIN_ZEROCOPY: u8 = 5;

/// How many sends the next notice speaks of.
fn done(socket: &Socket) -> io::Result<u32> {
    let mut control = Control([0; 128]);
    let mut message = message(&mut []);
    message.msg_control = (&raw mut control).cast();
    message.msg_controllen = size_of::<Control>();
    // SAFETY: the message has no buffers, and room for control data as said.
    checked(unsafe { libc::recvmsg(socket.as_raw_fd(), &mut message, libc::MSG_ERRQUEUE) })?;
    // SAFETY: the header lies in `control`, or there is none.
    let first = unsafe { libc::CMSG_FIRSTHDR(&message) };
    if first.is_null() {
        return Err(io::Error::other("a notice without content"));
    }
    // SAFETY: a notice of an IP socket's error queue begins so (ip(7), IP_RECVERR).
    let notice: libc::sock_extended_err = unsafe {
        libc::CMSG_DATA(first)
            .cast::<libc::sock_extended_err>()
            .read_unaligned()
    };
    if notice.ee_origin != ORIGIN_ZEROCOPY {
        return Err(io::Error::other("a notice of something else"));
    }
    // The first and the last send that it speaks of.
    Ok(notice.ee_data - notice.ee_info + 1)
}

/// `struct tcp_zerocopy_receive`, part of the kernel's user API.
#[repr(C)]
#[derive(Default)]
struct Mapping {
    address: u64,
    length: u32,
    /// Bytes that cannot be mapped and have to be received.
    recv_skip_hint: u32,
    inq: u32,
    err: i32,
    copybuf_address: u64,
    copybuf_len: i32,
    flags: u32,
    msg_control: u64,
    msg_controllen: u64,
    msg_flags: u32,
    reserved: u32,
}

const PAGE_BYTES: usize = 4096;

/// Of the window that pages are mapped into.
const WINDOW_BYTES: usize = 16 * PAGE_BYTES;

/// Maps what fills pages (`TCP_ZEROCOPY_RECEIVE`) and reads what does not.
#[derive(Default)]
pub(crate) struct Mapped {
    /// Address of the window, once there is one.
    window: Option<usize>,
    /// Whether something was mapped.
    is_taken: bool,
}

impl Mapped {
    pub(crate) fn path() -> io::Result<Box<dyn Receive>> {
        Ok(Box::new(Self::default()))
    }

    fn window(&mut self, socket: &Socket) -> io::Result<usize> {
        if let Some(window) = self.window {
            return Ok(window);
        }
        let (protection, sharing) = (libc::PROT_READ, libc::MAP_SHARED);
        // SAFETY: a new mapping at a place of the kernel's choice.
        let window = unsafe {
            libc::mmap(
                null_mut(),
                WINDOW_BYTES,
                protection,
                sharing,
                socket.as_raw_fd(),
                0,
            )
        };
        if window == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(*self.window.insert(window as usize))
    }
}

impl Receive for Mapped {
    fn receive(&mut self, socket: &Socket, buffer: &mut [u8]) -> io::Result<usize> {
        let window = self.window(socket)?;
        let room = buffer.len().min(WINDOW_BYTES) / PAGE_BYTES * PAGE_BYTES;
        if room == 0 {
            return receive::read(socket, buffer);
        }
        options::wait_for(socket, libc::POLLIN)?;
        let mut mapping = Mapping {
            address: window as u64,
            length: room as u32,
            ..Mapping::default()
        };
        let mut length = size_of::<Mapping>() as libc::socklen_t;
        let (level, name) = (libc::IPPROTO_TCP, libc::TCP_ZEROCOPY_RECEIVE);
        // SAFETY: the window is as long as the request says, and so is the request.
        checked(unsafe {
            let mapping = (&raw mut mapping).cast();
            libc::getsockopt(socket.as_raw_fd(), level, name, mapping, &mut length)
        } as isize)?;
        let mapped = mapping.length as usize;
        if mapped == 0 {
            let wanted = (mapping.recv_skip_hint as usize).clamp(1, buffer.len());
            return receive::read(socket, buffer.get_mut(..wanted).unwrap_or_default());
        }
        self.is_taken = true;
        // SAFETY: so many bytes of the window are mapped, until the next call maps others.
        let pages = unsafe { std::slice::from_raw_parts(window as *const u8, mapped) };
        for (to, from) in buffer.iter_mut().zip(pages) {
            *to = *from;
        }
        Ok(mapped)
    }
    fn is_taken(&self) -> bool {
        self.is_taken
    }
}
