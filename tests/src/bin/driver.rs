//! An HTTP/1.1 client that does exactly what it is told and says exactly what it did.
//!
//! `driver ADDRESS:PORT` reads commands from standard input, one a line, and answers each with one line
//! of JSON: requests, statuses, bytes sent and received, seconds. It ends at `quit` or the input's end.

#![allow(
    clippy::print_stdout,
    reason = "the answers are what this program is for"
)]

use std::collections::BTreeMap;
use std::io::{BufRead, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;

const USAGE: &str = "\
usage: driver ADDRESS:PORT < COMMANDS
  open N              open N connections more
  close               close all connections
  get N PATH...       N requests, the paths in turn, over all connections at once
  post N BYTES PATH   N requests with a body of BYTES, over all connections at once
  fresh N PATH...     N requests, one after the other, with a connection each
  pipeline N PATH     N requests in one write, then N responses
  slow RATE PATH      one request; its response is read at RATE bytes per second at most
  half PATH           the first part of a request
  request PATH        a whole request whose response is not read
  finish              the rest of `half`, and the response
  garbage N           N bytes that are no protocol; reads N bytes back
  load PATH           requests over all connections at once, until `stop`
  stop                ends `load`, and tells what it did
  refused             tries to connect, and must not succeed
  quit";

/// Goes between the two parts of a request that `half` and `finish` send.
const SPLIT_AT: usize = 21;

/// Between two requests of `load` on one connection: leaves an emulated machine time for others.
const LOAD_PAUSE: Duration = Duration::from_millis(10);

/// What one command did.
#[derive(Default)]
struct Done {
    requests: u64,
    statuses: BTreeMap<u16, u64>,
    sent: u64,
    received: u64,
    /// From the first byte sent to the last byte received, one per request.
    seconds: Vec<f64>,
}

impl Done {
    fn add(&mut self, other: Self) {
        self.requests += other.requests;
        self.sent += other.sent;
        self.received += other.received;
        self.seconds.extend(other.seconds);
        for (status, count) in other.statuses {
            *self.statuses.entry(status).or_default() += count;
        }
    }

    fn answered(&mut self, status: u16, seconds: f64) {
        *self.statuses.entry(status).or_default() += 1;
        self.seconds.push(seconds);
    }
}

/// A connection, and what was read of it beyond the last response.
struct Connection {
    stream: TcpStream,
    ahead: Vec<u8>,
}

impl Connection {
    fn open(address: &str) -> Result<Self> {
        let stream =
            TcpStream::connect(address).with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        // So that a server that does not answer fails the command and not the whole guest.
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(Self {
            stream,
            ahead: Vec::new(),
        })
    }

    fn send(&mut self, bytes: &[u8], done: &mut Done) -> Result<()> {
        self.stream.write_all(bytes)?;
        done.sent += bytes.len() as u64;
        Ok(())
    }

    /// Sends a request, reads its response.
    fn exchange(&mut self, request: &[u8], done: &mut Done) -> Result<()> {
        let begin = Instant::now();
        done.requests += 1;
        self.send(request, done)?;
        let status = self.response(None, done)?;
        done.answered(status, begin.elapsed().as_secs_f64());
        Ok(())
    }

    /// Reads one response to its end, at `rate` bytes per second at most.
    fn response(&mut self, rate: Option<f64>, done: &mut Done) -> Result<u16> {
        let begin = Instant::now();
        let head_length = loop {
            let end = self.ahead.windows(4).position(|part| part == b"\r\n\r\n");
            match end {
                Some(at) => break at + 4,
                None => self.receive(done)?,
            };
        };
        let body: Vec<u8> = self.ahead.split_off(head_length);
        let head = String::from_utf8(std::mem::replace(&mut self.ahead, body))?;
        let status = head.get(9..12).context("no status line")?.parse()?;
        let mut left = length(&head, status)?;
        loop {
            let taken = left.min(self.ahead.len());
            self.ahead.drain(..taken);
            left -= taken;
            if left == 0 {
                return Ok(status);
            }
            if let Some(rate) = rate {
                let due = Duration::from_secs_f64(done.received as f64 / rate);
                std::thread::sleep(due.saturating_sub(begin.elapsed()));
            }
            self.receive(done)?;
        }
    }

    fn receive(&mut self, done: &mut Done) -> Result<()> {
        let mut buffer = [0; 65536];
        let count = self.stream.read(&mut buffer)?;
        ensure!(count > 0, "the server closed the connection");
        done.received += count as u64;
        self.ahead
            .extend_from_slice(buffer.get(..count).unwrap_or_default());
        Ok(())
    }
}

/// How many bytes of body follow a response's head.
fn length(head: &str, status: u16) -> Result<usize> {
    if matches!(status, 204 | 304) {
        return Ok(0);
    }
    let field = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then_some(value)
    });
    let value = field.with_context(|| format!("no Content-Length in {head:?}"))?;
    Ok(value.trim().parse()?)
}

fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: driver\r\n\r\n").into_bytes()
}

fn post(path: &str, body_bytes: usize) -> Vec<u8> {
    let mut request =
        format!("POST {path} HTTP/1.1\r\nHost: driver\r\nContent-Length: {body_bytes}\r\n\r\n")
            .into_bytes();
    request.resize(request.len() + body_bytes, b'x');
    request
}

/// Runs `work` for every connection in a thread of its own; they come back with what was done.
fn on_each(
    connections: Vec<Connection>,
    work: impl Fn(usize, &mut Connection, &mut Done) -> Result<()> + Send + Sync + 'static,
) -> Lanes {
    let work = Arc::new(work);
    connections
        .into_iter()
        .enumerate()
        .map(|(lane, mut connection)| {
            let work = Arc::clone(&work);
            std::thread::spawn(move || {
                let mut done = Done::default();
                work(lane, &mut connection, &mut done)?;
                Ok((connection, done))
            })
        })
        .collect()
}

type Lanes = Vec<JoinHandle<Result<(Connection, Done)>>>;

struct Driver {
    address: String,
    connections: Vec<Connection>,
    half: Option<(Vec<u8>, Instant)>,
    load: Lanes,
    stop: Arc<AtomicBool>,
}

impl Driver {
    /// Sends `count` requests, taken from `kinds` in turn, over all connections at once.
    fn spread(&mut self, count: usize, kinds: Vec<Vec<u8>>) -> Result<Done> {
        let connections = std::mem::take(&mut self.connections);
        let lanes = connections.len();
        ensure!(lanes > 0, "no connection is open");
        ensure!(!kinds.is_empty(), "no path");
        let running = on_each(connections, move |lane, connection, done| {
            (lane..count)
                .step_by(lanes)
                .filter_map(|at| kinds.get(at % kinds.len()))
                .try_for_each(|kind| connection.exchange(kind, done))
        });
        self.join(running)
    }

    /// Waits for the threads, and takes their connections back.
    fn join(&mut self, running: Lanes) -> Result<Done> {
        let mut total = Done::default();
        for thread in running {
            let Ok(result) = thread.join() else {
                bail!("a thread panicked");
            };
            let (connection, done) = result?;
            self.connections.push(connection);
            total.add(done);
        }
        Ok(total)
    }

    fn first(&mut self) -> Result<&mut Connection> {
        self.connections
            .first_mut()
            .context("no connection is open")
    }

    fn run(&mut self, words: &[&str]) -> Result<Done> {
        let mut done = Done::default();
        match words {
            ["open", count] => {
                for _ in 0..count.parse()? {
                    self.connections.push(Connection::open(&self.address)?);
                }
            }
            ["close"] => self.connections.clear(),
            ["get", count, paths @ ..] => {
                let kinds = paths.iter().map(|path| get(path)).collect();
                done = self.spread(count.parse()?, kinds)?;
            }
            ["post", count, body_bytes, path] => {
                let kind = post(path, body_bytes.parse()?);
                done = self.spread(count.parse()?, vec![kind])?;
            }
            ["fresh", count, paths @ ..] => {
                for at in 0..count.parse()? {
                    let path = paths.get(at % paths.len()).context("no path")?;
                    Connection::open(&self.address)?.exchange(&get(path), &mut done)?;
                }
            }
            ["pipeline", count, path] => self.pipeline(count.parse()?, path, &mut done)?,
            ["slow", rate, path] => {
                let (rate, begin) = (rate.parse()?, Instant::now());
                let connection = self.first()?;
                done.requests += 1;
                connection.send(&get(path), &mut done)?;
                let status = connection.response(Some(rate), &mut done)?;
                done.answered(status, begin.elapsed().as_secs_f64());
            }
            ["half", path] => {
                let mut request = get(path);
                let rest = request.split_off(SPLIT_AT.min(request.len() - 1));
                self.half = Some((rest, Instant::now()));
                self.first()?.send(&request, &mut done)?;
            }
            ["finish"] => {
                let (rest, begin) = self.half.take().context("nothing to finish")?;
                let connection = self.first()?;
                done.requests += 1;
                connection.send(&rest, &mut done)?;
                let status = connection.response(None, &mut done)?;
                done.answered(status, begin.elapsed().as_secs_f64());
            }
            ["request", path] => {
                done.requests += 1;
                self.first()?.send(&get(path), &mut done)?;
            }
            ["garbage", count] => self.garbage(count.parse()?, &mut done)?,
            ["load", path] => {
                // Not that of a load before, which has stopped.
                self.stop = Arc::default();
                let (kind, stop) = (get(path), Arc::clone(&self.stop));
                let connections = std::mem::take(&mut self.connections);
                self.load = on_each(connections, move |_, connection, done| {
                    while !stop.load(Ordering::Relaxed) {
                        connection.exchange(&kind, done)?;
                        std::thread::sleep(LOAD_PAUSE);
                    }
                    Ok(())
                });
            }
            ["stop"] => {
                self.stop.store(true, Ordering::Relaxed);
                let load = std::mem::take(&mut self.load);
                done = self.join(load)?;
            }
            ["refused"] => match TcpStream::connect(&self.address) {
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
                other => bail!("expected a refusal, got {other:?}"),
            },
            _ => bail!("unknown command\n{USAGE}"),
        }
        Ok(done)
    }

    fn pipeline(&mut self, count: usize, path: &str, done: &mut Done) -> Result<()> {
        let begin = Instant::now();
        let connection = self.first()?;
        done.requests += count as u64;
        connection.send(&get(path).repeat(count), done)?;
        for _ in 0..count {
            let status = connection.response(None, done)?;
            done.answered(status, begin.elapsed().as_secs_f64());
        }
        Ok(())
    }

    /// Sends bytes in rounds, and reads as many back, so that neither end blocks.
    fn garbage(&mut self, count: usize, done: &mut Done) -> Result<()> {
        let connection = self.first()?;
        let noise: Vec<u8> = (0..count)
            .map(|at| (at * 167 + at / 256 + 1) as u8)
            .collect();
        for part in noise.chunks(1000) {
            connection.send(part, done)?;
            while connection.ahead.len() < part.len() {
                connection.receive(done)?;
            }
            ensure!(connection.ahead == part, "what came back differs");
            connection.ahead.clear();
        }
        Ok(())
    }
}

fn main() -> Result<()> {
    let address = std::env::args().nth(1).context(USAGE)?;
    let mut driver = Driver {
        address,
        connections: Vec::new(),
        half: None,
        load: Lanes::new(),
        stop: Arc::default(),
    };
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            [] => continue,
            ["quit"] => break,
            _ => {}
        }
        let done = driver
            .run(&words)
            .with_context(|| format!("command {line:?}"))?;
        let answer = json!({
            "command": line,
            "pid": std::process::id(),
            "open": driver.connections.len(),
            "requests": done.requests,
            "statuses": done.statuses,
            "sent": done.sent,
            "received": done.received,
            "seconds": done.seconds,
        });
        println!("{answer}");
    }
    Ok(())
}
