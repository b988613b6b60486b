//! One thread that serves many connections at once, as event loops do: epoll, and no call that blocks.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::mem::MaybeUninit;
use std::net::{TcpListener, TcpStream};

use anyhow::{Context, Result, ensure};
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

use crate::http::End;
use crate::report::Report;

/// The listening socket's number; connections have those that follow.
const LISTENER: u64 = 0;

/// Accepts `connections` and answers what comes on them until all are closed.
pub(crate) fn serve(listener: &TcpListener, connections: u64, report: &mut Report) -> Result<()> {
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(
        &epoll,
        listener,
        EventData::new_u64(LISTENER),
        EventFlags::IN,
    )?;
    listener.set_nonblocking(true)?;
    let mut open = BTreeMap::<u64, (TcpStream, usize)>::new();
    let mut accepted = LISTENER;
    while accepted < connections || !open.is_empty() {
        let mut space = [MaybeUninit::<Event>::uninit(); 16];
        let (events, _) = epoll::wait(&epoll, &mut space, None)?;
        for event in events {
            let number = event.data.u64();
            if number == LISTENER {
                let (stream, _) = listener.accept()?;
                stream.set_nonblocking(true)?;
                report.opened(End::Server);
                accepted += 1;
                epoll::add(
                    &epoll,
                    &stream,
                    EventData::new_u64(accepted),
                    EventFlags::IN,
                )?;
                open.insert(accepted, (stream, 0));
                continue;
            }
            let (stream, seen) = open.get_mut(&number).context("an event of nobody")?;
            if !answer(stream, seen, report)? {
                open.remove(&number);
            }
        }
    }
    report.write()
}

/// Takes what there is to read, and answers when a request is complete; false when the client has closed.
fn answer(stream: &mut TcpStream, seen: &mut usize, report: &mut Report) -> Result<bool> {
    let request = End::Client.message();
    let mut buffer = [0; 64];
    loop {
        let count = match stream.read(&mut buffer) {
            Ok(0) => return Ok(false),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
            Err(error) => return Err(error.into()),
        };
        report.received(End::Server, count);
        *seen += count;
        ensure!(*seen <= request.len(), "more than a request came");
        if *seen == request.len() {
            *seen = 0;
            let response = End::Server.message();
            report.sent(End::Server, response.len());
            report.finished(End::Server);
            report.write()?;
            // The socket's buffer has room for an answer: the one before was read.
            stream.write_all(response)?;
        }
    }
}
