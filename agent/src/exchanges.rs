//! Exchanges: one request and its response, paired and timed, for all protocols alike.

mod open;
mod queue;
mod reuse;
#[cfg(test)]
mod tests;
mod turns;

use crate::{
    connections::{Direction, Role},
    protocol::{
        Loss, Message, Method, Request, Response, Speaker, Step,
        conversation::{Heard, Moment},
    },
    records::Address,
};
use queue::Queue;
use turns::Turns;

/// Requests of one connection that wait for their response at most; protocols have tighter limits of
/// their own.
pub const OPEN_REQUESTS_MAX: usize = 1024;

/// Why a request without a complete head is unanswered, if nothing else is known.
const INCOMPLETE: &str = "incomplete_request";

/// What a request asked for, owned by the pairing table until its response ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation<'a> {
    /// HTTP.
    Http {
        /// The method.
        method: Method,
        /// As on the wire.
        target: &'a [u8],
        /// `1.0`, `1.1`, `2`.
        version: &'static str,
    },
}

/// How a request was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// HTTP status.
    Http {
        /// As on the wire.
        status: u16,
    },
}

/// A finished exchange. Times are `CLOCK_MONOTONIC` nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exchange<'a> {
    /// The end that saw it.
    pub role: Role,
    /// `http1`, ...
    pub protocol: &'static str,
    /// What was asked.
    pub operation: Operation<'a>,
    /// What was answered.
    pub answer: Answer,
    /// The other end.
    pub remote: &'a Address,
    /// Server: the request's arrival in the socket, if known.
    pub arrived_ns: Option<u64>,
    /// The request's first byte read (server) or sent (client).
    pub started_ns: u64,
    /// The response's first byte.
    pub first_byte_ns: u64,
    /// The response's last byte.
    pub ended_ns: u64,
    /// The response broke off before its end.
    pub truncated: bool,
}

/// What the pairing found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding<'a> {
    /// A request is under way from now on (`+1`), or is not any more (`-1`).
    Active(Method, i64),
    /// An exchange has ended.
    Finished(&'a Exchange<'a>),
    /// So many requests will not be answered, or their answers cannot be known.
    Unanswered(&'static str, u64),
    /// A response to no request that is known.
    Unpaired(&'static str),
}

/// The end of the connection that is looked from, for what an [`Exchange`] says of it.
#[derive(Clone, Copy, Debug)]
pub struct End<'a> {
    /// The process's role.
    pub role: Role,
    /// The protocol.
    pub protocol: &'static str,
    /// The other end.
    pub remote: &'a Address,
}

impl End<'_> {
    /// Which way `speaker`'s bytes go.
    fn direction(&self, speaker: Speaker) -> Direction {
        match (self.role, speaker) {
            (Role::Client, Speaker::Server) | (Role::Server | Role::Unknown, Speaker::Client) => {
                Direction::Receive
            }
            _ => Direction::Transmit,
        }
    }
}

/// Pairs the messages of one connection.
#[derive(Debug, Default)]
pub struct Pairing {
    open: Queue,
    /// A response without a request is under way.
    is_unpaired: bool,
    /// When the server last moved bytes; `None` when the record of that was lost.
    server_ns: Option<u64>,
    turns: Turns,
}

impl Pairing {
    /// Takes the next step of a message.
    pub fn step(
        &mut self,
        heard: &Heard<'_>,
        remote: &Address,
        sink: &mut impl FnMut(Finding<'_>),
    ) {
        let &Heard {
            speaker,
            role,
            protocol,
            moment,
            message: &Message { stream, ref step },
        } = heard;
        let end = End {
            role,
            protocol,
            remote,
        };
        self.turns.hear(speaker, moment.turn);
        match *step {
            Step::WholeRequest(request) => {
                self.start(stream, begins(end, speaker, moment), sink);
                self.know(stream, request, sink);
                self.turns.request_ended();
            }
            Step::WholeResponse(response) => {
                self.answer_starts(stream, end, speaker, moment);
                self.answer(stream, response);
                self.finish(stream, end, Some(moment.time_ns), false, sink);
            }
            Step::RequestStarted => self.start(stream, begins(end, speaker, moment), sink),
            Step::Request(request) => self.know(stream, request, sink),
            Step::RequestEnded => self.turns.request_ended(),
            Step::ResponseStarted => self.answer_starts(stream, end, speaker, moment),
            Step::Response(response) => self.answer(stream, response),
            Step::ResponseEnded => self.finish(stream, end, Some(moment.time_ns), false, sink),
            Step::ResponseEndedBefore => self.finish(stream, end, self.server_ns, false, sink),
            Step::ResponseEndLost => self.finish(stream, end, None, false, sink),
            Step::Upgraded => self.give_up("upgraded", INCOMPLETE, sink),
            Step::Lost(loss) => {
                self.turns.lose(loss.label());
                self.give_up(loss.label(), loss.label(), sink);
            }
        }
    }

    /// The methods of the requests that count as active.
    pub fn active(&self) -> impl Iterator<Item = Method> {
        self.open.iter().filter_map(|open| open.method)
    }

    /// A speaker moved bytes that are read as a protocol's; told after the steps of those bytes. `is_lost`: their
    /// record was lost.
    pub fn moved(&mut self, speaker: Speaker, moment: Moment, is_lost: bool) {
        if speaker == Speaker::Server {
            self.server_ns = (!is_lost).then_some(moment.time_ns);
        }
        self.turns.hear(speaker, moment.turn);
    }

    /// Bytes were missing before it was known what protocol is spoken: there may have been requests in them.
    pub fn missed(&mut self, loss: Loss) {
        self.turns.lose(loss.label());
    }

    /// So many turns are over: the requests in them that were missed will not be heard of.
    pub fn miss(&mut self, turns: u32, sink: &mut impl FnMut(Finding<'_>)) {
        if let Some((reason, count)) = self.turns.catch_up(turns) {
            sink(Finding::Unanswered(reason, count));
        }
    }

    /// The connection ended: a response that was under way is cut short, other requests get none. `turns`: how
    /// often its direction had turned; `None` if what was missed was no protocol that is read.
    pub fn close(
        &mut self,
        end: End<'_>,
        reason: &'static str,
        turns: Option<u32>,
        sink: &mut impl FnMut(Finding<'_>),
    ) {
        let missed = turns.and_then(|turns| self.turns.close(turns));
        if let Some((reason, count)) = missed {
            sink(Finding::Unanswered(reason, count));
        }
        if self
            .open
            .front()
            .is_some_and(|open| open.method.is_some() && open.answer.is_some())
        {
            let stream = self.open.front().map_or(0, |open| open.stream);
            self.finish(stream, end, self.server_ns, true, sink);
        }
        self.give_up(reason, INCOMPLETE, sink);
    }

    #[inline(always)]
    fn start(
        &mut self,
        stream: u32,
        (arrived_ns, started_ns): (Option<u64>, u64),
        sink: &mut impl FnMut(Finding<'_>),
    ) {
        if let Some((reason, count)) = self.turns.request_started() {
            sink(Finding::Unanswered(reason, count));
        }
        if self.open.len() >= OPEN_REQUESTS_MAX {
            sink(Finding::Unanswered("overflow", 1));
            return;
        }
        self.open.push(stream, arrived_ns, started_ns);
    }

    #[inline(always)]
    fn know(&mut self, stream: u32, request: Request<'_>, sink: &mut impl FnMut(Finding<'_>)) {
        let newest = self.open.newest_mut(stream);
        let Some(open) = newest.filter(|open| open.method.is_none()) else {
            return;
        };
        let Request::Http {
            method: _,
            kind,
            target,
            host: _,
            version,
        } = request;
        open.target.extend_from_slice(target);
        open.version = version;
        open.method = Some(kind);
        sink(Finding::Active(kind, 1));
    }

    fn answer_starts(&mut self, stream: u32, end: End<'_>, speaker: Speaker, moment: Moment) {
        let (_, first_byte_ns) = begins(end, speaker, moment);
        match self.open.oldest_mut(stream) {
            Some(open) => open.first_byte_ns = Some(first_byte_ns),
            None => self.is_unpaired = true,
        }
    }

    fn answer(&mut self, stream: u32, Response::Http { status }: Response) {
        // A response that began unpaired stays so to its end.
        if self.is_unpaired {
            return;
        }
        if let Some(open) = self.open.oldest_mut(stream) {
            open.answer = Some(Answer::Http { status });
        }
    }

    fn finish(
        &mut self,
        stream: u32,
        end: End<'_>,
        ended_ns: Option<u64>,
        truncated: bool,
        sink: &mut impl FnMut(Finding<'_>),
    ) {
        if std::mem::take(&mut self.is_unpaired) {
            sink(Finding::Unpaired("no_request"));
            return;
        }
        let Some(open) = self.open.oldest_mut(stream) else {
            return;
        };
        if let Some(method) = open.method {
            sink(Finding::Active(method, -1));
        }
        match (open.answer, ended_ns) {
            (Some(answer), Some(ended_ns)) => {
                let said = (open.method.unwrap_or(Method::Other), answer);
                sink(Finding::Finished(
                    &open.exchange(end, said, ended_ns, truncated),
                ));
            }
            // When it ended is not known, so neither is how long it took.
            (Some(_), None) => sink(Finding::Unanswered(Loss::Gap.label(), 1)),
            (None, _) => sink(Finding::Unanswered("no_status", 1)),
        }
        self.open.remove(stream);
    }

    /// No open request will be answered, for one reason if its head is complete and for another if not.
    fn give_up(
        &mut self,
        reason: &'static str,
        reason_in_head: &'static str,
        sink: &mut impl FnMut(Finding<'_>),
    ) {
        if std::mem::take(&mut self.is_unpaired) {
            sink(Finding::Unpaired("no_request"));
        }
        for open in self.open.iter() {
            if let Some(method) = open.method {
                sink(Finding::Active(method, -1));
                sink(Finding::Unanswered(reason, 1));
            } else {
                sink(Finding::Unanswered(reason_in_head, 1));
            }
        }
        self.open.clear();
    }
}

/// When the bytes of a call arrived, if known, and when their first one was moved: received bytes at the
/// end of the call that read them, sent bytes at the beginning of the call that wrote them.
fn begins(end: End<'_>, speaker: Speaker, moment: Moment) -> (Option<u64>, u64) {
    let Moment {
        begin_ns,
        time_ns,
        turn: _,
    } = moment;
    match end.direction(speaker) {
        Direction::Receive => (
            (begin_ns > 0 && begin_ns <= time_ns).then_some(begin_ns),
            time_ns,
        ),
        Direction::Transmit => (
            None,
            if begin_ns > 0 {
                begin_ns.min(time_ns)
            } else {
                time_ns
            },
        ),
    }
}
