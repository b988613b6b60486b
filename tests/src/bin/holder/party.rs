//! A process that does what it is told: the commands.

use std::collections::BTreeMap;
use std::io::{BufRead, stdin};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::mpsc;

use anyhow::{Context, Result, bail, ensure};

use crate::http::{self, End};
use crate::report::Report;
use crate::sockets::{self, Letterbox};
use crate::{events, fork};

const USAGE: &str = "\
commands; L is a listening socket's name, C a connection's, END is server or client
  listen L ADDRESS [shared]     shared: SO_REUSEPORT
  connect C ADDRESS [LOCAL]
  accept L C
  ask C N                       N requests, one after the other
  fresh N ADDRESS M             N connections, one after the other, with M requests each
  fleet N ADDRESS M             N connections that stay open, M requests on each, in turn
  disband                       closes them
  serve C N                     N answers
  say C END FROM TO             the bytes FROM..TO of a request or a response; TO may be `end`
  hear C END FROM TO            reads them
  threads C N                   N answers; one thread reads, another writes
  events L N                    serves N connections in one thread until they are closed
  give NAME WHO                 sends a descriptor to the process WHO
  take NAME                     takes one, under that name
  dup NAME NEW, dup2 NAME OLD   another descriptor of it; OLD is there and closed by that
  close NAME
  fork C                        a child serves C until the client closes; this process keeps it too
  workers L N                   N children accept and serve until they are ended
  spawn FILE WHO MODE NAME      starts `FILE MODE` with NAME as its standard input
  exec FILE WHO NAME            becomes FILE in mode `serve`
  quit";

/// What a process holds, by the names that the scenario gives.
struct Party {
    report: Report,
    letterbox: Letterbox,
    held: BTreeMap<String, OwnedFd>,
    fleet: Vec<TcpStream>,
}

/// Says `done` when it is ready, then after each command, or what went wrong.
pub(crate) fn run(report: Report) -> Result<()> {
    let name = std::env::var("OTEL_SERVICE_NAME").context("OTEL_SERVICE_NAME is not set")?;
    let mut party = Party {
        report,
        letterbox: Letterbox::new(&name)?,
        held: BTreeMap::new(),
        fleet: Vec::new(),
    };
    party.report.write()?;
    println!("done");
    for line in stdin().lock().lines() {
        let line = line?;
        let words: Vec<&str> = line.split_whitespace().collect();
        if words == ["quit"] {
            println!("done");
            break;
        }
        let done = party.run(&words).with_context(|| format!("{name}: {line}"));
        party.report.write()?;
        match done {
            Ok(()) => println!("done"),
            Err(error) => println!("{error:#}"),
        }
    }
    Ok(())
}

fn place(text: &str) -> Result<usize> {
    if text == "end" {
        return Ok(usize::MAX);
    }
    Ok(text.parse()?)
}

fn end(text: &str) -> Result<End> {
    match text {
        "server" => Ok(End::Server),
        "client" => Ok(End::Client),
        _ => bail!("neither server nor client"),
    }
}

impl Party {
    fn run(&mut self, words: &[&str]) -> Result<()> {
        match words {
            ["listen", name, address, more @ ..] => {
                let listener = sockets::listen(address.parse()?, more == ["shared"])?;
                self.hold(name, listener);
            }
            ["connect", name, address, local @ ..] => {
                let local = local.first().map(|local| local.parse()).transpose()?;
                let stream = sockets::connect(address.parse()?, local)?;
                self.report.opened(End::Client);
                self.hold(name, stream);
            }
            ["accept", listener, name] => {
                let (stream, _) = self.listener(listener)?.accept()?;
                stream.set_nodelay(true)?;
                self.report.opened(End::Server);
                self.hold(name, stream);
            }
            ["ask", name, count] => {
                let stream = self.stream(name)?;
                http::ask(&stream, count.parse()?, &mut self.report)?;
            }
            ["fresh", count, address, requests] => {
                for _ in 0..count.parse()? {
                    let stream = sockets::connect(address.parse()?, None)?;
                    self.report.opened(End::Client);
                    http::ask(&stream, requests.parse()?, &mut self.report)?;
                }
            }
            ["fleet", count, address, requests] => {
                for _ in 0..count.parse()? {
                    self.fleet.push(sockets::connect(address.parse()?, None)?);
                    self.report.opened(End::Client);
                }
                for _ in 0..requests.parse()? {
                    for stream in &self.fleet {
                        http::ask(stream, 1, &mut self.report)?;
                    }
                }
            }
            ["disband"] => self.fleet.clear(),
            ["serve", name, count] => {
                let stream = self.stream(name)?;
                http::serve(&stream, count.parse()?, &mut self.report)?;
            }
            ["say", name, who, from, to] => {
                let mut stream = self.stream(name)?;
                let (from, to) = (place(from)?, place(to)?);
                http::say(&mut stream, end(who)?, from, to, &mut self.report)?;
            }
            ["hear", name, who, from, to] => {
                let mut stream = self.stream(name)?;
                let (from, to) = (place(from)?, place(to)?);
                let is_there = http::hear(&mut stream, end(who)?, from, to, &mut self.report)?;
                ensure!(is_there, "the peer closed the connection");
            }
            ["threads", name, count] => self.threads(name, count.parse()?)?,
            ["events", name, count] => {
                let listener = self.listener(name)?;
                events::serve(&listener, count.parse()?, &mut self.report)?;
            }
            ["give", name, who] => sockets::give(self.get(name)?.as_fd(), who)?,
            ["take", name] => {
                let taken = self.letterbox.take()?;
                self.hold(name, taken);
            }
            ["dup", name, new] => {
                let copy = self.get(name)?.try_clone()?;
                self.hold(new, copy);
            }
            ["dup2", name, old] => {
                let mut over = self.held.remove(*old).context("not held")?;
                rustix::io::dup2(self.get(name)?, &mut over)?;
                self.hold(old, over);
            }
            ["close", name] => drop(self.held.remove(*name).context("not held")?),
            ["fork", name] => {
                let stream = self.stream(name)?;
                fork::fork(|| http::serve(&stream, u64::MAX, &mut self.report.of_child()?))?;
            }
            ["workers", name, count] => {
                let listener = self.listener(name)?;
                for _ in 0..count.parse()? {
                    fork::fork(|| crate::work(&listener, &mut self.report.of_child()?))?;
                }
            }
            ["spawn", file, who, mode, name] => {
                self.program(file, who, mode, name)?.spawn()?;
            }
            ["exec", file, who, name] => {
                println!("done");
                return Err(self.program(file, who, "serve", name)?.exec().into());
            }
            _ => bail!("unknown command\n{USAGE}"),
        }
        Ok(())
    }

    fn hold(&mut self, name: &str, descriptor: impl Into<OwnedFd>) {
        self.held.insert(name.to_owned(), descriptor.into());
    }

    fn get(&self, name: &str) -> Result<&OwnedFd> {
        self.held.get(name).context("not held")
    }

    /// A descriptor of its own for the same connection.
    fn stream(&self, name: &str) -> Result<TcpStream> {
        Ok(TcpStream::from(self.get(name)?.try_clone()?))
    }

    fn listener(&self, name: &str) -> Result<TcpListener> {
        Ok(TcpListener::from(self.get(name)?.try_clone()?))
    }

    /// Another program, or this one again, with a descriptor as its standard input.
    fn program(&self, file: &str, who: &str, mode: &str, name: &str) -> Result<Command> {
        let mut command = Command::new(file);
        command
            .arg(mode)
            .env("OTEL_SERVICE_NAME", who)
            .stdin(Stdio::from(self.get(name)?.try_clone()?));
        Ok(command)
    }

    /// One thread reads requests and tells another, which answers them.
    fn threads(&mut self, name: &str, count: u64) -> Result<()> {
        let (mut read_end, mut write_end) = (self.stream(name)?, self.stream(name)?);
        let (mut readers, mut writers) = (self.report.of_child()?, self.report.of_child()?);
        let (tell, told) = mpsc::channel();
        let reader = std::thread::spawn(move || -> Result<Report> {
            for _ in 0..count {
                http::hear(&mut read_end, End::Server, 0, usize::MAX, &mut readers)?;
                tell.send(())?;
            }
            Ok(readers)
        });
        for () in told {
            http::say(&mut write_end, End::Server, 0, usize::MAX, &mut writers)?;
        }
        let Ok(readers) = reader.join() else {
            bail!("the reader panicked");
        };
        self.report.add(&readers?);
        self.report.add(&writers);
        Ok(())
    }
}
