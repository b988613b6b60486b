//! Bytes that go through the kernel without passing the process's memory: sendfile, splice, tee.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr::null_mut;

use super::{Receive, Send, Socket, checked, vectors};

/// What a new pipe holds (pipe(7)).
const PIPE_BYTES: usize = 65536;

/// A pipe's reading and writing end.
struct Pipe {
    out: File,
    into: File,
}

impl Pipe {
    fn new() -> io::Result<Self> {
        let (out, into) = io::pipe()?;
        let [out, into] = [OwnedFd::from(out), OwnedFd::from(into)].map(File::from);
        Ok(Self { out, into })
    }
}

fn splice(from: &File, to: &File, length: usize) -> io::Result<usize> {
    let (from, to) = (from.as_raw_fd(), to.as_raw_fd());
    // SAFETY: a call without pointers.
    checked(unsafe { libc::splice(from, null_mut(), to, null_mut(), length, 0) })
}

/// Splices all of `length` bytes, which the pipe holds.
fn splice_all(from: &File, to: &File, length: usize) -> io::Result<usize> {
    let mut left = length;
    while left > 0 {
        left -= splice(from, to, left)?;
    }
    Ok(length)
}

/// From the socket to a pipe, and from that to the buffer.
pub(crate) struct SpliceFrom(Pipe);

impl SpliceFrom {
    pub(crate) fn path() -> io::Result<Box<dyn Receive>> {
        Ok(Box::new(Self(Pipe::new()?)))
    }
}

impl Receive for SpliceFrom {
    fn receive(&mut self, socket: &Socket, buffer: &mut [u8]) -> io::Result<usize> {
        let Self(pipe) = self;
        let count = splice(socket, &pipe.into, buffer.len().min(PIPE_BYTES))?;
        let taken = buffer.get_mut(..count).unwrap_or_default();
        pipe.out.read_exact(taken)?;
        Ok(count)
    }
}

/// How a pipe is filled before it is spliced to the socket.
#[derive(Clone, Copy)]
pub(crate) enum Fill {
    Write,
    /// The pipe takes the process's own pages.
    Vmsplice,
    /// The pipe takes what another holds.
    Tee,
}

/// From a pipe to the socket.
pub(crate) struct SpliceTo {
    fill: Fill,
    pipe: Pipe,
    other: Pipe,
    /// Pages that the peer may not have read yet.
    given: Vec<Vec<u8>>,
}

impl SpliceTo {
    pub(crate) fn path(fill: Fill) -> io::Result<Box<dyn Send>> {
        let (pipe, other) = (Pipe::new()?, Pipe::new()?);
        let given = Vec::new();
        Ok(Box::new(Self {
            fill,
            pipe,
            other,
            given,
        }))
    }

    fn fill(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Self {
            fill,
            pipe,
            other,
            given,
        } = self;
        match fill {
            Fill::Write => pipe.into.write(bytes),
            Fill::Vmsplice => {
                let mut pages = bytes.to_vec();
                let part = vectors([&mut pages]);
                given.push(pages);
                // SAFETY: the bytes stay where they are, unchanged, to the end of the connection.
                checked(unsafe { libc::vmsplice(pipe.into.as_raw_fd(), part.as_ptr(), 1, 0) })
            }
            Fill::Tee => {
                let count = other.into.write(bytes)?;
                let (from, to) = (other.out.as_raw_fd(), pipe.into.as_raw_fd());
                // SAFETY: a call without pointers.
                let copied = checked(unsafe { libc::tee(from, to, count, 0) })?;
                other.out.read_exact(&mut vec![0; count])?;
                Ok(copied)
            }
        }
    }
}

impl Send for SpliceTo {
    fn send(&mut self, socket: &Socket, bytes: &[u8]) -> io::Result<usize> {
        let part = bytes.get(..PIPE_BYTES).unwrap_or(bytes);
        let count = self.fill(part)?;
        splice_all(&self.pipe.out, socket, count)
    }
}

/// From a file in memory to the socket. A new file each time, because the socket takes its pages.
pub(crate) fn sendfile(socket: &Socket, bytes: &[u8]) -> io::Result<usize> {
    // SAFETY: the name is a C string.
    let file = unsafe { libc::memfd_create(c"io".as_ptr(), 0) };
    checked(file as isize)?;
    // SAFETY: a new descriptor, which nobody else has.
    let mut file = File::from(unsafe { OwnedFd::from_raw_fd(file) });
    file.write_all(bytes)?;
    let mut offset = 0;
    let (from, to) = (file.as_raw_fd(), socket.as_raw_fd());
    // SAFETY: the kernel writes the offset and nothing else.
    checked(unsafe { libc::sendfile(to, from, &mut offset, bytes.len()) })
}
