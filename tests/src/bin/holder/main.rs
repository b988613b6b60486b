//! A process of the scenario `who`: holds sockets, speaks HTTP on them, gives them away, and counts what it did.
//!
//! `holder` reads commands from standard input, one a line, and answers each with a line; see [`party`].
//! `holder work` accepts and serves on the listening socket that is its standard input, until it is ended, and
//! `holder serve` serves on the connection that is. `OTEL_SERVICE_NAME` says who it is. After all that it
//! did, and before its peer can know, it writes what it counted so far as a line of JSON to the file
//! `HOLDER_REPORT`.

#![allow(
    clippy::print_stdout,
    reason = "the answers are what this program is for"
)]

mod events;
mod fork;
mod http;
mod party;
mod report;
mod sockets;

use std::io::stdin;
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;

use anyhow::{Result, bail};

use http::End;
use report::Report;

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] => party::run(Report::begin()?),
        ["work"] => {
            let listener = TcpListener::from(stdin().as_fd().try_clone_to_owned()?);
            let mut report = Report::begin()?;
            report.write()?;
            work(&listener, &mut report)
        }
        ["serve"] => {
            let stream = TcpStream::from(stdin().as_fd().try_clone_to_owned()?);
            let mut report = Report::begin()?;
            report.write()?;
            http::serve(&stream, u64::MAX, &mut report)
        }
        other => bail!("unknown mode {other:?}"),
    }
}

/// Takes connections and serves each to its end, for as long as there are any.
fn work(listener: &TcpListener, report: &mut Report) -> Result<()> {
    loop {
        let (stream, _) = listener.accept()?;
        report.opened(End::Server);
        http::serve(&stream, u64::MAX, report)?;
    }
}
