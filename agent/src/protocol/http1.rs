//! HTTP/1.0 and 1.1 (RFC 9112): heads are parsed, bodies are skipped by length.
//!
//! One [`Reader`] holds both directions of a connection, as a response's framing depends on its
//! request's method. What it cannot be sure of is `Lost`, never guessed; `adrift` says how it
//! finds back. Bytes are lost from the beginning of the offending element in its piece; what earlier
//! pieces held of it was counted as parsed.
//!
//! A response that comes while no request is open (a server's 408, or the agent came late) is told all
//! the same. As the method is not known, neither is whether the body that it announces will come, so the
//! next request ends it if nothing did before.

mod adrift;
mod chunked;
mod head;
mod place;
mod recognise;
#[cfg(test)]
mod tests;

use super::{
    Consumed, Kind, Loss, Message, Piece, Protocol, Recognition, Request, Response, Speaker, Step,
};
use adrift::Adrift;
use head::{Body, Filled, Method, RequestHead, ResponseHead};
use place::{Moved, Place, Side, behind, length, missing};
use std::collections::VecDeque;

/// HTTP/1 in the list of protocols.
pub const KIND: Kind = Kind {
    name: NAME,
    recognise: recognise::recognise,
    reader: || Box::new(Reader::new()),
};

const NAME: &str = "http1";

/// The most requests of one connection that may be open at once; more is `Lost(TooLarge)`.
pub const OPEN_REQUESTS_MAX: usize = 128;

/// Where messages go.
type Emit<'e> = dyn FnMut(Message<'_>) + 'e;

/// Reads one connection.
#[derive(Debug)]
struct Reader {
    mode: Mode,
    request: Side,
    response: Side,
    /// Requests whose responses have not ended, oldest first.
    open: VecDeque<Method>,
    /// The response under way had no request when it began.
    is_unasked: bool,
    /// A request's head has been read: what follows in order is HTTP, whatever its method is called.
    is_anchored: bool,
    /// A response began while the request under way was still an incomplete head.
    is_answered_in_head: bool,
    /// A response began while two requests were open.
    pipelines: bool,
}

/// What the bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// HTTP.
    Http,
    /// Not to be told until a request comes that it is safe to begin with.
    Adrift(Adrift),
    /// Something else, for good.
    Opaque,
}

impl Protocol for Reader {
    fn name(&self) -> &'static str {
        NAME
    }

    fn read(
        &mut self,
        speaker: Speaker,
        piece: Piece<'_>,
        emit: &mut dyn FnMut(Message<'_>),
    ) -> Consumed {
        if let Mode::Adrift(adrift) = &mut self.mode
            && adrift.ends_with(speaker, piece)
        {
            *self = self.begin_again();
        }
        if self.response.place == Place::Unknown && begins_response(speaker, piece) {
            self.response.place = Place::Between;
        }
        let mut consumed = Consumed::default();
        let mut rest = piece;
        while length(rest) > 0 {
            let taken = self.advance(speaker, rest, emit);
            rest = behind(rest, total(taken));
            consumed = sum(consumed, taken);
        }
        consumed
    }

    fn needless_bytes(&self, speaker: Speaker) -> u64 {
        match (self.mode, speaker) {
            (Mode::Http, Speaker::Client) => self.request.needless_bytes(),
            // An unasked response may have no body at all: then this would hide the next response.
            (Mode::Http, Speaker::Server) if !self.is_unasked => self.response.needless_bytes(),
            _ => 0,
        }
    }

    fn close(&mut self, emit: &mut dyn FnMut(Message<'_>)) {
        if self.mode == Mode::Http && self.response.place == Place::UntilNext {
            self.end_response(Step::ResponseEndedBefore, emit);
        }
    }
}

impl Reader {
    fn new() -> Self {
        Self {
            mode: Mode::Http,
            request: Side::new(Place::Between),
            response: Side::new(Place::Unknown),
            open: VecDeque::new(),
            is_unasked: false,
            is_anchored: false,
            is_answered_in_head: false,
            pipelines: false,
        }
    }

    /// After a loss: as new, but both sides are known to be between two messages.
    fn begin_again(&self) -> Self {
        Self {
            response: Side::new(Place::Between),
            pipelines: self.pipelines,
            ..Self::new()
        }
    }

    /// Takes the beginning of `rest`, or changes state so that the next call does.
    fn advance(&mut self, speaker: Speaker, rest: Piece<'_>, emit: &mut Emit<'_>) -> Consumed {
        match self.mode {
            Mode::Opaque => Consumed {
                opaque_bytes: length(rest),
                ..Consumed::default()
            },
            Mode::Adrift(_) => lost(length(rest)),
            Mode::Http => match self.side(speaker).place {
                Place::Unknown => lost(length(rest)),
                Place::Between => self.begin_message(speaker, rest, emit),
                Place::Head => self.read_head(speaker, rest, emit),
                Place::Length(_) | Place::Chunked(_) | Place::UntilNext => {
                    self.read_body(speaker, rest, emit)
                }
            },
        }
    }

    fn begin_message(
        &mut self,
        speaker: Speaker,
        rest: Piece<'_>,
        emit: &mut Emit<'_>,
    ) -> Consumed {
        if let Piece::Bytes(bytes) = rest {
            // Empty lines before a request are ignored (section 2.2); so is what old servers put
            // behind a response.
            let empty = bytes
                .iter()
                .take_while(|&byte| matches!(byte, b'\r' | b'\n'))
                .count();
            if empty > 0 {
                return parsed(empty);
            }
        }
        match speaker {
            Speaker::Client => self.begin_request(emit),
            Speaker::Server => self.begin_response(),
        }
        Consumed::default()
    }

    fn begin_request(&mut self, emit: &mut Emit<'_>) {
        let ends_here = self.response.place == Place::UntilNext && self.open.len() <= 1;
        if ends_here || (self.is_unasked && self.response.is_in_body()) {
            self.end_response(Step::ResponseEndedBefore, emit);
        }
        if self.response.place == Place::Unknown {
            self.response.place = Place::Between;
        }
        self.request.place = Place::Head;
        tell(Step::RequestStarted, emit);
    }

    fn begin_response(&mut self) {
        self.is_unasked = self.open.is_empty();
        self.is_answered_in_head |= self.is_unasked && self.request.place == Place::Head;
        self.response.place = Place::Head;
    }

    fn read_head(&mut self, speaker: Speaker, rest: Piece<'_>, emit: &mut Emit<'_>) -> Consumed {
        let read = match rest {
            Piece::Bytes(bytes) => self.read_head_bytes(speaker, bytes, emit),
            Piece::Unseen(_) | Piece::Lost(_) => Err(missing(rest)),
        };
        match read {
            Ok(taken) => parsed(taken),
            Err(loss) => {
                self.lose(speaker, loss, emit);
                Consumed::default()
            }
        }
    }

    /// Takes a head, or as much of it as there is, and says how many bytes that was.
    fn read_head_bytes(
        &mut self,
        speaker: Speaker,
        bytes: &[u8],
        emit: &mut Emit<'_>,
    ) -> Result<usize, Loss> {
        if self.side(speaker).buffer.bytes.is_empty() {
            self.check_opening(speaker, bytes)?;
            // Nearly every head comes whole: then it is read where it lies.
            if let Some(taken) = self.take_head(speaker, bytes, emit)? {
                return Ok(taken);
            }
        }
        match self.side(speaker).buffer.fill(bytes) {
            Filled::TooLarge => Err(Loss::TooLarge),
            Filled::More => self.check_buffered_opening(speaker).map(|()| bytes.len()),
            Filled::Complete(taken) => {
                let head = std::mem::take(&mut self.side(speaker).buffer.bytes);
                let result = self
                    .check_opening(speaker, &head)
                    .and_then(|()| self.take_head(speaker, &head, emit));
                let is_whole = result? == Some(head.len());
                self.side(speaker).buffer.reset(head);
                if is_whole {
                    Ok(taken)
                } else {
                    Err(Loss::Malformed)
                }
            }
        }
    }

    /// Finds out at its first bytes that this is no head, rather than at the limit.
    fn check_opening(&self, speaker: Speaker, opening: &[u8]) -> Result<(), Loss> {
        let is_wrong = match speaker {
            Speaker::Client if self.is_anchored => recognise::is_no_request(opening),
            _ => recognise::recognise(speaker, opening) == Recognition::No,
        };
        if is_wrong {
            Err(Loss::Malformed)
        } else {
            Ok(())
        }
    }

    fn check_buffered_opening(&mut self, speaker: Speaker) -> Result<(), Loss> {
        let head = std::mem::take(&mut self.side(speaker).buffer.bytes);
        let result = self.check_opening(speaker, &head);
        self.side(speaker).buffer.bytes = head;
        result
    }

    /// Reads the head that `bytes` begins with; `None` if it is not complete.
    fn take_head(
        &mut self,
        speaker: Speaker,
        bytes: &[u8],
        emit: &mut Emit<'_>,
    ) -> Result<Option<usize>, Loss> {
        match speaker {
            Speaker::Client => {
                let Some((taken, head)) = head::request(bytes)? else {
                    return Ok(None);
                };
                self.take_request(head, emit)?;
                Ok(Some(taken))
            }
            Speaker::Server => {
                let Some((taken, head)) = head::response(bytes)? else {
                    return Ok(None);
                };
                self.take_response(head, emit)?;
                Ok(Some(taken))
            }
        }
    }

    fn take_request(&mut self, head: RequestHead<'_>, emit: &mut Emit<'_>) -> Result<(), Loss> {
        let RequestHead {
            method,
            target,
            host,
            version,
            kind,
            body,
        } = head;
        // Its answer was told as one without a request; another one will not come.
        if self.is_answered_in_head {
            return Err(Loss::Malformed);
        }
        if self.open.len() >= OPEN_REQUESTS_MAX {
            return Err(Loss::TooLarge);
        }
        self.is_anchored = true;
        self.open.push_back(kind);
        tell(
            Step::Request(Request::Http {
                method,
                target,
                host,
                version,
            }),
            emit,
        );
        if !self.request.enter(body) {
            tell(Step::RequestEnded, emit);
        }
        Ok(())
    }

    fn take_response(&mut self, head: ResponseHead, emit: &mut Emit<'_>) -> Result<(), Loss> {
        // A request got in between this head's pieces: which of the two it answers cannot be told.
        if self.is_unasked && !self.open.is_empty() {
            return Err(Loss::Malformed);
        }
        self.pipelines |= self.open.len() > 1;
        if head.is_interim() {
            self.response.place = Place::Between;
            return Ok(());
        }
        let method = if self.is_unasked {
            None
        } else {
            self.open.front().copied()
        };
        let is_upgrade = head.is_upgrade(method);
        let body = if is_upgrade {
            Body::None
        } else {
            head.body(method)?
        };
        tell(Step::ResponseStarted, emit);
        tell(
            Step::Response(Response::Http {
                status: head.status,
            }),
            emit,
        );
        if !self.response.enter(body) {
            self.end_response(Step::ResponseEnded, emit);
        }
        if is_upgrade {
            tell(Step::Upgraded, emit);
            *self = Self {
                mode: Mode::Opaque,
                ..Self::new()
            };
        }
        Ok(())
    }

    fn read_body(&mut self, speaker: Speaker, rest: Piece<'_>, emit: &mut Emit<'_>) -> Consumed {
        let (consumed, moved) = self.side(speaker).read_body(rest);
        match (moved, speaker) {
            (Moved::On, _) => {}
            (Moved::Ended, Speaker::Client) => {
                self.request.place = Place::Between;
                tell(Step::RequestEnded, emit);
            }
            (Moved::Ended, Speaker::Server) => self.end_response(Step::ResponseEnded, emit),
            // The chunks are lost sight of, but what is answered is known, and the next request will
            // tell that the answer has ended.
            (Moved::Blind(_), Speaker::Server) if self.is_response_the_last() => {
                self.response.place = Place::UntilNext;
            }
            (Moved::Blind(loss) | Moved::Broken(loss), _) => self.lose(speaker, loss, emit),
        }
        consumed
    }

    /// Is no request waiting, or on its way, behind the response under way?
    fn is_response_the_last(&self) -> bool {
        let requests = self.open.len() + usize::from(self.request.place == Place::Head);
        requests == usize::from(!self.is_unasked)
    }

    fn end_response(&mut self, step: Step<'_>, emit: &mut Emit<'_>) {
        tell(step, emit);
        if !self.is_unasked {
            self.open.pop_front();
        }
        self.is_unasked = false;
        self.response.place = Place::Between;
    }

    fn lose(&mut self, speaker: Speaker, loss: Loss, emit: &mut Emit<'_>) {
        tell(Step::Lost(loss), emit);
        // A request whose beginning was lost on the way is answered by now; see `adrift`.
        let begun =
            self.request.place == Place::Head && !(speaker == Speaker::Client && loss == Loss::Gap);
        let is_answering =
            !self.is_unasked && (self.response.is_in_body() || self.response.place == Place::Head);
        let owed = (self.open.len() + usize::from(begun)).saturating_sub(usize::from(is_answering));
        let adrift = Adrift::new(speaker, loss, owed, self.pipelines);
        *self = Self {
            mode: Mode::Adrift(adrift),
            pipelines: self.pipelines,
            ..Self::new()
        };
    }

    fn side(&mut self, speaker: Speaker) -> &mut Side {
        match speaker {
            Speaker::Client => &mut self.request,
            Speaker::Server => &mut self.response,
        }
    }
}

/// On a connection that was taken up in the middle: does a response begin here?
fn begins_response(speaker: Speaker, piece: Piece<'_>) -> bool {
    match piece {
        Piece::Bytes(bytes) => {
            speaker == Speaker::Server && recognise::recognise(speaker, bytes) == Recognition::Yes
        }
        Piece::Unseen(_) | Piece::Lost(_) => false,
    }
}

/// Order decides which response belongs to which request, so the stream is 0.
fn tell(step: Step<'_>, emit: &mut Emit<'_>) {
    emit(Message { stream: 0, step });
}

fn parsed(bytes: usize) -> Consumed {
    Consumed {
        parsed_bytes: bytes as u64,
        ..Consumed::default()
    }
}

fn lost(bytes: u64) -> Consumed {
    Consumed {
        lost_bytes: bytes,
        ..Consumed::default()
    }
}

fn total(consumed: Consumed) -> u64 {
    let Consumed {
        parsed_bytes,
        skipped_bytes,
        lost_bytes,
        opaque_bytes,
    } = consumed;
    parsed_bytes + skipped_bytes + lost_bytes + opaque_bytes
}

fn sum(left: Consumed, right: Consumed) -> Consumed {
    Consumed {
        parsed_bytes: left.parsed_bytes + right.parsed_bytes,
        skipped_bytes: left.skipped_bytes + right.skipped_bytes,
        lost_bytes: left.lost_bytes + right.lost_bytes,
        opaque_bytes: left.opaque_bytes + right.opaque_bytes,
    }
}
