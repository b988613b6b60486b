//! The two ends of a case: what the client asks, what the server answers, what each says of it.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};

use crate::calls::{Socket, options};
use crate::cases::{Case, Ending};
use crate::messages::{Connection, Sent, body, head};

/// Before each answer and in the middle of each body: makes durations long beside what a call costs in
/// an emulated machine.
const PAUSE: Duration = Duration::from_millis(20);

const SMALL_BYTES: usize = 20;

/// More than the buffers of a case that does not read it all.
const ENDLESS_BYTES: usize = 10_000_000;
/// What that client reads of it.
const READ_BYTES: usize = 10_000;

/// What an end did.
#[derive(Default)]
struct Done {
    requests: usize,
    statuses: BTreeMap<String, usize>,
    /// Answers that broke off, by status.
    truncated: BTreeMap<String, usize>,
    /// Of each exchange that did not break off, seconds of the monotonic clock. Server: when it had the
    /// request's first byte; when the call began, and had returned, that sent the response's last byte.
    /// Client: when the call began that sent the request's first byte; when it had the response's last one.
    times: Vec<Vec<f64>>,
}

impl Done {
    fn answered(&mut self, status: &str, times: &[f64]) {
        *self.statuses.entry(status.to_owned()).or_default() += 1;
        self.times.push(times.to_vec());
    }

    fn broke_off(&mut self, status: &str) {
        *self.truncated.entry(status.to_owned()).or_default() += 1;
    }
}

/// Serves one connection to its end.
pub(crate) fn serve(case: &Case, socket: Socket) -> Value {
    let mut done = Done::default();
    report("server", case, &mut done, socket, answer_all)
}

/// Asks everything over one connection.
pub(crate) fn request(case: &Case, socket: Socket) -> Value {
    let mut done = Done::default();
    report("client", case, &mut done, socket, ask_all)
}

/// What an end says of itself. A kernel that does not know the path is no fault of the case.
fn report(
    end: &str,
    case: &Case,
    done: &mut Done,
    socket: Socket,
    work: fn(&Case, &mut Connection, &mut Done) -> io::Result<()>,
) -> Value {
    let mut bytes = [0, 0];
    let (mut fault, mut unsupported) = (None, None);
    match Connection::new(case, socket) {
        Ok(mut connection) => {
            fault = work(case, &mut connection, done).err();
            bytes = [connection.sent, connection.received];
            if fault.is_none() && !connection.is_taken() {
                unsupported = Some(io::Error::other("the kernel never used the path"));
            }
        }
        Err(why) => unsupported = Some(why),
    }
    told(end, case, done, bytes, [fault, unsupported])
}

/// What the server says when there can be no connection of the case's kind.
pub(crate) fn refused(case: &Case, why: io::Error) -> Value {
    told("server", case, &Done::default(), [0, 0], [None, Some(why)])
}

fn told(
    end: &str,
    case: &Case,
    done: &Done,
    [sent, received]: [usize; 2],
    faults: [Option<io::Error>; 2],
) -> Value {
    let Done {
        requests,
        statuses,
        truncated,
        times,
    } = done;
    let [fault, unsupported] = faults.map(|why| why.map(|why| why.to_string()));
    json!({
        "case": case.name, "end": end, "pid": std::process::id(),
        "fault": fault, "unsupported": unsupported,
        "requests": requests, "statuses": statuses, "truncated": truncated,
        "sent": sent, "received": received, "times": times,
    })
}

fn answer_all(case: &Case, connection: &mut Connection, done: &mut Done) -> io::Result<()> {
    while let Some(request) = connection.receive()? {
        let [_, path] = request.words;
        let [began, _] = request.times;
        done.requests += 1;
        if path == "/last" && case.ending == Ending::HalfClose {
            connection.receive_some(1)?;
        }
        sleep(PAUSE);
        let (status, length) = match path.as_str() {
            "/small" | "/last" => ("200", SMALL_BYTES),
            "/download" => ("200", case.bodies[0]),
            "/endless" => ("200", ENDLESS_BYTES),
            "/upload" => ("201", SMALL_BYTES),
            _ => ("404", SMALL_BYTES),
        };
        let (head, body) = (
            head(&format!("HTTP/1.1 {status} Said"), length),
            body(length),
        );
        if path == "/last" && case.ending == Ending::ResetWithin {
            connection.send_all(&head, false)?;
            connection.send_all(&body[..length / 2], false)?;
            done.broke_off(status);
            return reset(connection);
        }
        match connection.send(&head, &body, || sleep(PAUSE)) {
            Ok(sent) => done.answered(status, &[began, sent.last_began, sent.ended]),
            Err(fault) if is_gone(&fault) && case.ending == Ending::CloseWithin => {
                done.broke_off(status);
                return Ok(());
            }
            Err(fault) => return Err(fault),
        }
        if path == "/last" && is_reset_behind(case) {
            return reset(connection);
        }
    }
    Ok(())
}

/// Whether the server resets behind its last response.
fn is_reset_behind(case: &Case) -> bool {
    use Ending::{ResetAfter, ResetBefore, ResetDuring};
    matches!(case.ending, ResetAfter | ResetBefore | ResetDuring)
}

/// Lets the client see what was sent, then breaks off.
fn reset(connection: &Connection) -> io::Result<()> {
    sleep(PAUSE);
    options::reset_at_close(connection.socket())
}

fn is_gone(fault: &io::Error) -> bool {
    matches!(
        fault.kind(),
        ErrorKind::BrokenPipe | ErrorKind::ConnectionReset
    )
}

fn ask_all(case: &Case, connection: &mut Connection, done: &mut Done) -> io::Result<()> {
    ask(connection, done, &["GET /small"], 0)?;
    ask(connection, done, &["GET /download"], 0)?;
    ask(connection, done, &["POST /upload"], case.bodies[1])?;
    ask(connection, done, &["GET /small", "GET /missing"], 0)?;
    if case.ending == Ending::CloseWithin {
        connection.send(&head("GET /endless HTTP/1.1", 0), &[], || {})?;
        done.requests += 1;
        connection.receive_some(READ_BYTES)?;
        done.broke_off("200");
        return Ok(());
    }
    ask_last(case, connection, done)
}

/// Sends requests in one go, then receives their answers.
fn ask(
    connection: &mut Connection,
    done: &mut Done,
    requests: &[&str],
    body_bytes: usize,
) -> io::Result<()> {
    let heads: Vec<Vec<u8>> = requests
        .iter()
        .map(|request| head(&format!("{request} HTTP/1.1"), body_bytes))
        .collect();
    let Sent {
        first_began: began, ..
    } = connection.send(&heads.concat(), &body(body_bytes), || sleep(PAUSE))?;
    done.requests += requests.len();
    for _ in requests {
        let response = connection.receive()?.ok_or(ErrorKind::UnexpectedEof)?;
        let ([_, status], [_, ended]) = (response.words, response.times);
        done.answered(&status, &[began, ended]);
    }
    Ok(())
}

fn ask_last(case: &Case, connection: &mut Connection, done: &mut Done) -> io::Result<()> {
    let Sent {
        first_began: began, ..
    } = connection.send(&head("GET /last HTTP/1.1", 0), &[], || {})?;
    done.requests += 1;
    if case.ending == Ending::HalfClose {
        options::end_sending(connection.socket())?;
    }
    if matches!(case.ending, Ending::HalfClose | Ending::ResetBefore) {
        // The connection has ended before its last response is read.
        sleep(10 * PAUSE);
    }
    if case.ending == Ending::ResetDuring {
        connection.receive_until_broken()?;
    }
    let response = connection.receive()?.ok_or(ErrorKind::UnexpectedEof)?;
    let ([_, status], [_, ended]) = (response.words, response.times);
    if response.is_whole {
        done.answered(&status, &[began, ended]);
    } else {
        done.broke_off(&status);
    }
    if is_reset_behind(case) {
        // Must fail: the server resets.
        return match connection.receive_some(1) {
            Err(fault) if is_gone(&fault) => Ok(()),
            _ => Err(io::Error::other("the server did not reset")),
        };
    }
    Ok(())
}
