//! HTTP/1.1 in small pieces: requests and responses that are all alike, read and written from any byte to any other.

use std::io::{Read, Write};
use std::net::TcpStream;

use anyhow::{Result, bail, ensure};

use crate::report::Report;

/// Which end of its connections a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Accepted it.
    Server,
    /// Made it.
    Client,
}

impl End {
    /// What it says.
    pub(crate) fn message(self) -> &'static [u8] {
        match self {
            Self::Server => RESPONSE,
            Self::Client => REQUEST,
        }
    }

    fn peer(self) -> Self {
        match self {
            Self::Server => Self::Client,
            Self::Client => Self::Server,
        }
    }
}

const REQUEST: &[u8] = b"GET /thing HTTP/1.1\r\nHost: holder\r\nUser-Agent: holder\r\n\r\n";
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 26\r\n\r\nabcdefghijklmnopqrstuvwxyz";

/// Writes the bytes `from..to` of what this end says. With the last byte of a response the exchange has ended.
pub(crate) fn say(
    stream: &mut (impl Write + ?Sized),
    end: End,
    from: usize,
    to: usize,
    report: &mut Report,
) -> Result<()> {
    let message = end.message();
    let to = to.min(message.len());
    let Some(part) = message.get(from..to) else {
        bail!("no bytes {from} to {to}");
    };
    report.sent(end, part.len());
    if end == End::Server && to == message.len() {
        report.finished(end);
    }
    // Before the peer can have it.
    report.write()?;
    stream.write_all(part)?;
    Ok(())
}

/// Reads the bytes `from..to` of what the peer says; false if it closed before the first.
pub(crate) fn hear(
    stream: &mut (impl Read + ?Sized),
    end: End,
    from: usize,
    to: usize,
    report: &mut Report,
) -> Result<bool> {
    let message = end.peer().message();
    let to = to.min(message.len());
    let mut at = from;
    let mut buffer = [0; 256];
    while at < to {
        let Some(room) = buffer.get_mut(..to - at) else {
            bail!("no bytes {from} to {to}");
        };
        let count = stream.read(room)?;
        if count == 0 {
            ensure!(at == 0, "the peer closed within a message");
            return Ok(false);
        }
        ensure!(
            message.get(at..at + count) == room.get(..count),
            "what came is not what the peer says"
        );
        report.received(end, count);
        at += count;
    }
    if end == End::Client && to == message.len() {
        report.finished(end);
    }
    Ok(true)
}

/// Answers so many requests, or all until the client closes.
pub(crate) fn serve(mut stream: &TcpStream, requests: u64, report: &mut Report) -> Result<()> {
    for _ in 0..requests {
        if !hear(&mut stream, End::Server, 0, usize::MAX, report)? {
            break;
        }
        say(&mut stream, End::Server, 0, usize::MAX, report)?;
    }
    report.write()
}

/// Sends so many requests, each after the answer to the one before.
pub(crate) fn ask(mut stream: &TcpStream, requests: u64, report: &mut Report) -> Result<()> {
    for _ in 0..requests {
        say(&mut stream, End::Client, 0, usize::MAX, report)?;
        let is_answered = hear(&mut stream, End::Client, 0, usize::MAX, report)?;
        ensure!(is_answered, "the server closed the connection");
    }
    report.write()
}
