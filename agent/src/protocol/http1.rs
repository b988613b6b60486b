//! HTTP/1.0 and 1.1 (RFC 9112): heads are parsed, bodies are skipped by length.
//!
//! One [`Reader`] holds both directions of a connection, as a response's framing depends on its
//! request's method. What it cannot be sure of is `Lost`, never guessed; `adrift` says how it
//! finds back. Bytes are lost from the beginning of the offending element in its piece; what earlier
//! pieces held of it was counted as parsed.
//!
//! A response that comes while no request is open (a server's 408, or the agent came late) is told all
//! the same. As the method is not known, neither is whether the body that it announces will come, so the
//! next request ends it if nothing did before. One that comes while a request's head is under way answers
//! that request, of which as much is told as is complete; the rest of the head tells nothing more.
//!
//! On a connection that was joined in its middle, requests of before may still be unanswered. A client that
//! waits for each answer has none when it asks again; one that does not wait gives itself away when an answer
//! begins, or is under way, while two requests are open, and is `Lost`. (One that always keeps exactly one request
//! ahead cannot be told from one that waits.)

#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

mod adrift;
mod chunked;
mod head;
mod messages;
mod place;
mod recognise;
#[cfg(test)]
mod tests;
mod whole;

use super::{
    Consumed, Kind, Loss, Message, Method, Piece, Protocol, Recognition, Speaker, Start, Step,
};
use adrift::Adrift;
use messages::tell;
use place::{Place, Side, behind, lost, sum, total};
use std::collections::VecDeque;

/// HTTP/1 in the list of protocols.
pub const KIND: Kind = Kind {
    name: NAME,
    recognise: recognise::recognise,
    reader: |start| Box::new(Reader::new(start)),
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
    /// The request whose head is under way is in `open` and was told, as it was answered.
    is_told: bool,
    /// A response began while two requests were open.
    pipelines: bool,
    /// What was asked at the beginning of the connection is not known.
    is_joined: bool,
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
        if let Piece::Bytes(bytes) = piece
            && let Some(consumed) = self.take_whole(speaker, bytes, emit)
        {
            return consumed;
        }
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
        while rest.length_bytes() > 0 {
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

    fn renew(&mut self, start: Start) {
        let open = std::mem::take(&mut self.open);
        let buffers = [&mut self.request, &mut self.response];
        let [request, response] = buffers.map(|side| std::mem::take(&mut side.buffer.bytes));
        *self = Self::new(start);
        self.open = open;
        self.open.clear();
        self.request.buffer.reset(request);
        self.response.buffer.reset(response);
    }

    fn trim(&mut self) {
        self.request.buffer.trim();
        self.response.buffer.trim();
    }
}

impl Reader {
    fn new(start: Start) -> Self {
        Self {
            mode: match start {
                Start::Beginning | Start::Joined => Mode::Http,
                Start::JoinedBehindClient => {
                    Mode::Adrift(Adrift::new(Speaker::Client, Loss::Unseen, 0, false))
                }
            },
            request: Side::new(Place::Between),
            response: Side::new(Place::Unknown),
            open: VecDeque::new(),
            is_unasked: false,
            is_anchored: false,
            is_told: false,
            pipelines: false,
            is_joined: start != Start::Beginning,
        }
    }

    /// As new, but with what is known of the client.
    fn anew(&self, mode: Mode) -> Self {
        Self {
            mode,
            pipelines: self.pipelines,
            is_joined: self.is_joined,
            ..Self::new(Start::Beginning)
        }
    }

    /// After a loss: as new, but both sides are known to be between two messages.
    fn begin_again(&self) -> Self {
        Self {
            response: Side::new(Place::Between),
            ..self.anew(Mode::Http)
        }
    }

    /// Takes the beginning of `rest`, or changes state so that the next call does.
    fn advance(&mut self, speaker: Speaker, rest: Piece<'_>, emit: &mut Emit<'_>) -> Consumed {
        match self.mode {
            Mode::Opaque => Consumed {
                opaque_bytes: rest.length_bytes(),
                ..Consumed::default()
            },
            Mode::Adrift(_) => lost(rest.length_bytes()),
            Mode::Http => match self.side(speaker).place {
                Place::Unknown => lost(rest.length_bytes()),
                Place::Between => self.begin_message(speaker, rest, emit),
                Place::Head => self.read_head(speaker, rest, emit),
                Place::Length(_) | Place::Chunked(_) | Place::UntilNext => {
                    self.read_body(speaker, rest, emit)
                }
            },
        }
    }

    fn lose(&mut self, speaker: Speaker, loss: Loss, emit: &mut Emit<'_>) {
        tell(Step::Lost(loss), emit);
        // A request whose beginning was lost on the way is answered by now; see `adrift`.
        let begun = self.request.place == Place::Head
            && !self.is_told
            && !(speaker == Speaker::Client && loss == Loss::Gap);
        let is_answering =
            !self.is_unasked && (self.response.is_in_body() || self.response.place == Place::Head);
        let owed = (self.open.len() + usize::from(begun)).saturating_sub(usize::from(is_answering));
        let adrift = Adrift::new(speaker, loss, owed, self.pipelines);
        *self = self.anew(Mode::Adrift(adrift));
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
