//! io_uring: one operation at a time, submitted and waited for; and one that gives again and again.

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsRawFd;

use io_uring::squeue::{Entry, Flags};
use io_uring::{IoUring, Probe, cqueue, opcode, types};

use super::{Receive, Send, Socket, message, vectors};

const ENTRIES: u32 = 32;

/// Of the buffer that is registered with the kernel.
const FIXED_BYTES: usize = 65536;

/// Buffers that the kernel chooses from.
const PROVIDED: u16 = 16;
const PROVIDED_BYTES: usize = 4096;
const GROUP: u16 = 7;

/// Completions that are not of the operation that is waited for.
const PROVISION: u64 = 1;

/// How long the kernel's thread looks for submissions before it sleeps.
const POLL_IDLE_MILLISECONDS: u32 = 20;

/// How operations are begun.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// By the call that submits them.
    Plain,
    /// By a thread of the kernel that looks for them (SQPOLL).
    Polled,
    /// By the kernel's workers (io-wq, IOSQE_ASYNC).
    Workers,
}

/// Operations that take bytes.
#[derive(Clone, Copy)]
pub(crate) enum Take {
    Recv,
    Recvmsg,
    Read,
    Readv,
    ReadFixed,
}

/// Operations that give bytes.
#[derive(Clone, Copy)]
pub(crate) enum Give {
    Send,
    Sendmsg,
    Write,
    Writev,
    WriteFixed,
    SendZc,
    SendZcFixed,
    SendmsgZc,
}

struct Ring {
    ring: IoUring,
    mode: Mode,
    /// Notices that pages are free again, which are still to come.
    notices: u32,
}

impl Ring {
    /// Fails where the kernel does not know the operation.
    fn new(mode: Mode, code: u8) -> io::Result<Self> {
        let mut builder = IoUring::builder();
        if mode == Mode::Polled {
            builder.setup_sqpoll(POLL_IDLE_MILLISECONDS);
        }
        let ring = builder.build(ENTRIES)?;
        let mut probe = Probe::new();
        ring.submitter().register_probe(&mut probe)?;
        if !probe.is_supported(code) {
            return Err(io::Error::from_raw_os_error(libc::EOPNOTSUPP));
        }
        Ok(Self {
            ring,
            mode,
            notices: 0,
        })
    }

    fn push(&mut self, entry: &Entry) -> io::Result<()> {
        // SAFETY: every caller waits for the completion while what the entry points to still lives, or keeps
        // it as long as the ring.
        unsafe { self.ring.submission().push(entry) }.map_err(io::Error::other)
    }

    /// The next completion, waited for.
    fn completion(&mut self) -> io::Result<cqueue::Entry> {
        loop {
            if let Some(entry) = self.ring.completion().next() {
                return Ok(entry);
            }
            self.ring.submit_and_wait(1)?;
        }
    }

    /// Does one operation; tells its result.
    fn run(&mut self, entry: Entry) -> io::Result<usize> {
        let flags = match self.mode {
            Mode::Workers => Flags::ASYNC,
            Mode::Plain | Mode::Polled => Flags::empty(),
        };
        self.push(&entry.flags(flags))?;
        loop {
            let completion = self.completion()?;
            if cqueue::notif(completion.flags()) {
                self.notices -= 1;
                continue;
            }
            if cqueue::more(completion.flags()) {
                self.notices += 1;
            }
            return usize::try_from(completion.result())
                .map_err(|_| io::Error::from_raw_os_error(-completion.result()));
        }
    }

    /// Waits until the kernel reads none of the sent pages any more.
    fn settle(&mut self) -> io::Result<()> {
        while self.notices > 0 {
            let completion = self.completion()?;
            if cqueue::notif(completion.flags()) {
                self.notices -= 1;
            }
        }
        Ok(())
    }
}

/// A buffer that the kernel knows beforehand.
struct Fixed(Vec<u8>);

impl Fixed {
    fn new(ring: &Ring) -> io::Result<Self> {
        let mut fixed = Self(vec![0; FIXED_BYTES]);
        let [buffer] = vectors([&mut fixed.0]);
        // SAFETY: the buffer stays where it is for as long as the ring.
        unsafe { ring.ring.submitter().register_buffers(&[buffer]) }?;
        Ok(fixed)
    }
}

/// Takes bytes by one kind of operation.
pub(crate) struct Taking {
    ring: Ring,
    take: Take,
    fixed: Fixed,
}

impl Taking {
    pub(crate) fn path(mode: Mode, take: Take) -> io::Result<Box<dyn Receive>> {
        let code = match take {
            Take::Recv => opcode::Recv::CODE,
            Take::Recvmsg => opcode::RecvMsg::CODE,
            Take::Read => opcode::Read::CODE,
            Take::Readv => opcode::Readv::CODE,
            Take::ReadFixed => opcode::ReadFixed::CODE,
        };
        let ring = Ring::new(mode, code)?;
        let fixed = Fixed::new(&ring)?;
        Ok(Box::new(Self { ring, take, fixed }))
    }
}

impl Receive for Taking {
    fn receive(&mut self, socket: &Socket, buffer: &mut [u8]) -> io::Result<usize> {
        let fd = types::Fd(socket.as_raw_fd());
        let length = buffer.len().min(FIXED_BYTES) as u32;
        let to = buffer.as_mut_ptr();
        let (first, rest) = buffer.split_at_mut(buffer.len().min(7));
        let mut parts = vectors([first, rest]);
        let mut message = message(&mut parts);
        let entry = match self.take {
            Take::Recv => opcode::Recv::new(fd, to, length).build(),
            Take::Recvmsg => opcode::RecvMsg::new(fd, &raw mut message).build(),
            Take::Read => opcode::Read::new(fd, to, length).build(),
            Take::Readv => opcode::Readv::new(fd, parts.as_ptr(), 2).build(),
            Take::ReadFixed => {
                let to = self.fixed.0.as_mut_ptr();
                opcode::ReadFixed::new(fd, to, length, 0).build()
            }
        };
        let count = self.ring.run(entry)?;
        if matches!(self.take, Take::ReadFixed) {
            for (to, from) in buffer.iter_mut().zip(self.fixed.0.iter().take(count)) {
                *to = *from;
            }
        }
        Ok(count)
    }
}

/// Gives bytes by one kind of operation.
pub(crate) struct Giving {
    ring: Ring,
    give: Give,
    fixed: Fixed,
}

impl Giving {
    pub(crate) fn path(mode: Mode, give: Give) -> io::Result<Box<dyn Send>> {
        let code = match give {
            Give::Send => opcode::Send::CODE,
            Give::Sendmsg => opcode::SendMsg::CODE,
            Give::Write => opcode::Write::CODE,
            Give::Writev => opcode::Writev::CODE,
            Give::WriteFixed => opcode::WriteFixed::CODE,
            Give::SendZc | Give::SendZcFixed => opcode::SendZc::CODE,
            Give::SendmsgZc => opcode::SendMsgZc::CODE,
        };
        let ring = Ring::new(mode, code)?;
        let fixed = Fixed::new(&ring)?;
        Ok(Box::new(Self { ring, give, fixed }))
    }
}

impl Send for Giving {
    fn send(&mut self, socket: &Socket, bytes: &[u8]) -> io::Result<usize> {
        let fd = types::Fd(socket.as_raw_fd());
        let part = bytes.get(..FIXED_BYTES).unwrap_or(bytes);
        let (from, length) = (part.as_ptr(), part.len() as u32);
        // The kernel only reads them.
        let (first, rest) = part.split_at(part.len().min(7));
        let mut parts = [first, rest].map(|part| libc::iovec {
            iov_base: part.as_ptr().cast_mut().cast(),
            iov_len: part.len(),
        });
        let message = message(&mut parts);
        if matches!(self.give, Give::WriteFixed | Give::SendZcFixed) {
            // What is still read of an earlier send must not change.
            self.ring.settle()?;
            for (to, from) in self.fixed.0.iter_mut().zip(part) {
                *to = *from;
            }
        }
        let fixed = self.fixed.0.as_ptr();
        let entry = match self.give {
            Give::Send => opcode::Send::new(fd, from, length).build(),
            Give::Sendmsg => opcode::SendMsg::new(fd, &raw const message).build(),
            Give::Write => opcode::Write::new(fd, from, length).build(),
            Give::Writev => opcode::Writev::new(fd, parts.as_ptr(), 2).build(),
            Give::WriteFixed => opcode::WriteFixed::new(fd, fixed, length, 0).build(),
            Give::SendZc => opcode::SendZc::new(fd, from, length).build(),
            Give::SendZcFixed => opcode::SendZc::new(fd, fixed, length)
                .buf_index(Some(0))
                .build(),
            Give::SendmsgZc => opcode::SendMsgZc::new(fd, &raw const message).build(),
        };
        self.ring.run(entry)
    }

    fn settle(&mut self, _socket: &Socket) -> io::Result<()> {
        self.ring.settle()
    }
}

/// One receive that goes on and on, into buffers that the kernel chooses.
pub(crate) struct Multishot {
    ring: Ring,
    buffers: Vec<u8>,
    is_armed: bool,
    /// Buffers that were filled, with their lengths.
    filled: VecDeque<(u16, usize)>,
}

impl Multishot {
    pub(crate) fn path() -> io::Result<Box<dyn Receive>> {
        let mut multishot = Self {
            ring: Ring::new(Mode::Plain, opcode::SendZc::CODE)?,
            buffers: vec![0; usize::from(PROVIDED) * PROVIDED_BYTES],
            is_armed: false,
            filled: VecDeque::new(),
        };
        multishot.provide(0, PROVIDED)?;
        Ok(Box::new(multishot))
    }

    fn provide(&mut self, first: u16, count: u16) -> io::Result<()> {
        let at = usize::from(first) * PROVIDED_BYTES;
        let to = self.buffers.get_mut(at..).unwrap_or_default().as_mut_ptr();
        let entry = opcode::ProvideBuffers::new(to, PROVIDED_BYTES as i32, count, GROUP, first);
        self.ring.push(&entry.build().user_data(PROVISION))
    }

    /// Handles one completion; true at the stream's end.
    fn handle(&mut self, completion: &cqueue::Entry) -> io::Result<bool> {
        if completion.user_data() == PROVISION {
            return match completion.result() {
                0.. => Ok(false),
                fault => Err(io::Error::from_raw_os_error(-fault)),
            };
        }
        self.is_armed = cqueue::more(completion.flags());
        match completion.result() {
            0 => return Ok(true),
            result if result == -libc::ENOBUFS => {}
            fault if fault < 0 => return Err(io::Error::from_raw_os_error(-fault)),
            count => {
                let buffer = cqueue::buffer_select(completion.flags());
                let buffer = buffer.ok_or_else(|| io::Error::other("no buffer"))?;
                self.filled.push_back((buffer, count as usize));
            }
        }
        Ok(false)
    }
}

impl Receive for Multishot {
    fn receive(&mut self, socket: &Socket, buffer: &mut [u8]) -> io::Result<usize> {
        while self.filled.is_empty() {
            if !self.is_armed {
                let entry = opcode::RecvMulti::new(types::Fd(socket.as_raw_fd()), GROUP);
                self.ring.push(&entry.build())?;
                self.is_armed = true;
            }
            let completion = self.ring.completion()?;
            if self.handle(&completion)? {
                return Ok(0);
            }
        }
        let (number, count) = self.filled.pop_front().unwrap_or_default();
        let at = usize::from(number) * PROVIDED_BYTES;
        let content = self.buffers.get(at..at + count).unwrap_or_default();
        for (to, from) in buffer.iter_mut().zip(content) {
            *to = *from;
        }
        self.provide(number, 1)?;
        Ok(count)
    }
}
