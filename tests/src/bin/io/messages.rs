//! HTTP/1.1 messages over one connection, by a case's path. Heads have one length, so that an end that
//! sends bodies another way knows where they begin.

use std::io::{self, ErrorKind};

use crate::calls::{Receive, Send, Socket, clock, receive, send};
use crate::cases::Case;

/// Of every head.
const HEAD_BYTES: usize = 256;

/// What one call may take when nothing says how much comes.
const BUFFER_BYTES: usize = 65536;

/// A message that was received, perhaps not to its end.
pub(crate) struct Message {
    /// Method and path, or version and status.
    pub(crate) words: [String; 2],
    /// When the calls had returned that brought its first byte, and its last one.
    pub(crate) times: [f64; 2],
    /// The connection broke off in the middle if not.
    pub(crate) is_whole: bool,
}

/// One end's connection.
pub(crate) struct Connection {
    socket: Socket,
    receive: Box<dyn Receive>,
    send: Box<dyn Send>,
    bodies_only: bool,
    exact: bool,
    content: bool,
    /// What was received beyond the last message, and when its newest bytes came.
    ahead: Vec<u8>,
    filled: f64,
    /// When the newest call began that sent something.
    sending: f64,
    pub(crate) sent: usize,
    pub(crate) received: usize,
}

/// When the first call that sends a message began, and the last one; when that had returned.
pub(crate) struct Sent {
    pub(crate) first_began: f64,
    pub(crate) last_began: f64,
    pub(crate) ended: f64,
}

/// A head with that first line and one body's length.
pub(crate) fn head(first_line: &str, body_bytes: usize) -> Vec<u8> {
    let mut head =
        format!("{first_line}\r\nHost: io\r\nContent-Length: {body_bytes}\r\nX-Padding: ")
            .into_bytes();
    head.resize(HEAD_BYTES - 4, b'p');
    head.extend_from_slice(b"\r\n\r\n");
    head
}

/// Bytes that tell where they belong.
pub(crate) fn body(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at % 251) as u8).collect()
}

impl Connection {
    pub(crate) fn new(case: &Case, socket: Socket) -> io::Result<Self> {
        (case.prepare)(&socket)?;
        Ok(Self {
            socket,
            receive: (case.receive)()?,
            send: (case.send)()?,
            bodies_only: case.bodies_only,
            exact: case.exact || case.bodies_only,
            content: case.content,
            ahead: Vec::new(),
            filled: 0.0,
            sending: 0.0,
            sent: 0,
            received: 0,
        })
    }

    /// Whether the case's path was taken at all.
    pub(crate) fn is_taken(&self) -> bool {
        self.receive.is_taken()
    }

    pub(crate) fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Sends a message, or several without bodies; in two parts with `pause` between them if there is one.
    pub(crate) fn send(
        &mut self,
        heads: &[u8],
        body: &[u8],
        pause: impl FnOnce(),
    ) -> io::Result<Sent> {
        let first_began = clock::seconds();
        let (first, second) = body.split_at(body.len() / 2);
        if self.bodies_only {
            self.send_all(heads, true)?;
            self.send_all(first, false)?;
        } else {
            self.send_all(&[heads, first].concat(), false)?;
        }
        if !second.is_empty() {
            pause();
            self.send_all(second, false)?;
        }
        let sent = Sent {
            first_began,
            last_began: self.sending,
            ended: clock::seconds(),
        };
        self.send.settle(&self.socket)?;
        Ok(sent)
    }

    /// Sends that much and no more of a message.
    pub(crate) fn send_all(&mut self, bytes: &[u8], plainly: bool) -> io::Result<()> {
        let mut left = bytes;
        while !left.is_empty() {
            self.sending = clock::seconds();
            let count = if plainly {
                send::write(&self.socket, left)?
            } else {
                self.send.send(&self.socket, left)?
            };
            self.sent += count + self.send.beside();
            left = left.get(count..).unwrap_or_default();
        }
        Ok(())
    }

    /// Receives a message; none at the stream's end.
    pub(crate) fn receive(&mut self) -> io::Result<Option<Message>> {
        let mut began = (!self.ahead.is_empty()).then_some(self.filled);
        while self.ahead.len() < HEAD_BYTES {
            if self.fill(HEAD_BYTES - self.ahead.len(), self.bodies_only)? == 0 {
                return if self.ahead.is_empty() {
                    Ok(None)
                } else {
                    Err(ErrorKind::UnexpectedEof.into())
                };
            }
            began.get_or_insert(self.filled);
        }
        let behind = self.ahead.split_off(HEAD_BYTES);
        let head = std::mem::replace(&mut self.ahead, behind);
        let (words, length) = parse(&head).ok_or(ErrorKind::InvalidData)?;
        let mut is_whole = true;
        while is_whole && self.ahead.len() < length {
            match self.fill(length - self.ahead.len(), false) {
                Ok(count) => is_whole = count > 0,
                Err(fault) if fault.kind() == ErrorKind::ConnectionReset => is_whole = false,
                Err(fault) => return Err(fault),
            }
        }
        let behind = self.ahead.split_off(length.min(self.ahead.len()));
        let content = std::mem::replace(&mut self.ahead, behind);
        if self.content && content != body(content.len()) {
            return Err(io::Error::other("the body is not what was sent"));
        }
        let times = [began.unwrap_or(self.filled), self.filled];
        Ok(Some(Message {
            words,
            times,
            is_whole,
        }))
    }

    /// Receives up to that much of what comes, and throws it away.
    pub(crate) fn receive_some(&mut self, bytes: usize) -> io::Result<()> {
        while self.ahead.len() < bytes && self.fill(bytes - self.ahead.len(), false)? > 0 {}
        Ok(())
    }

    /// Receives by one call, which asks for more than comes and so lasts until the connection breaks.
    pub(crate) fn receive_until_broken(&mut self) -> io::Result<()> {
        let mut buffer = vec![0; BUFFER_BYTES];
        let count = receive::recv_all(&self.socket, &mut buffer)?;
        self.took(buffer, count);
        Ok(())
    }

    /// Reads on; `needed` bytes are known to come.
    fn fill(&mut self, needed: usize, plainly: bool) -> io::Result<usize> {
        let room = if self.exact { needed } else { BUFFER_BYTES };
        let mut buffer = vec![0; room];
        let count = if plainly {
            receive::read(&self.socket, &mut buffer)?
        } else {
            self.receive.receive(&self.socket, &mut buffer)?
        };
        self.took(buffer, count);
        Ok(count)
    }

    fn took(&mut self, mut buffer: Vec<u8>, count: usize) {
        self.filled = clock::seconds();
        self.received += count;
        buffer.truncate(count);
        self.ahead.append(&mut buffer);
    }
}

/// The first two words of a head, and the body's length.
fn parse(head: &[u8]) -> Option<([String; 2], usize)> {
    let text = std::str::from_utf8(head).ok()?;
    let mut words = text.split([' ', '\r']).map(str::to_owned);
    let words = [words.next()?, words.next()?];
    let (_, after) = text.split_once("Content-Length: ")?;
    let (length, _) = after.split_once('\r')?;
    Some((words, length.parse().ok()?))
}
