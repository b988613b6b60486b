//! Protocols: what turns one connection's captured bytes into messages, and how one is recognised.

pub mod conversation;
pub mod http1;
mod method;

pub use crate::connections::Piece;
pub use method::Method;

/// Which end of a connection speaks, by what it says: the client sends requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Speaker {
    /// Sends requests.
    Client,
    /// Sends responses.
    Server,
}

/// What a few opening bytes say about a protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recognition {
    /// It is this protocol.
    Yes,
    /// It is not.
    No,
    /// More bytes are needed to tell.
    NeedMore,
}

/// What a protocol made of a piece; the three add up to the piece's length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Consumed {
    /// Bytes that were read as framing: heads, chunk sizes, trailers.
    pub parsed_bytes: u64,
    /// Bytes of bodies, which are skipped by length.
    pub skipped_bytes: u64,
    /// Bytes of which the parser could not tell what they were.
    pub lost_bytes: u64,
    /// Bytes that belong to no protocol that can be read any more (after an upgrade or CONNECT).
    pub opaque_bytes: u64,
}

/// A step in the life of a message, told in stream order. `stream` 0 means that order decides which
/// response belongs to which request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// Number of the stream that the message belongs to; 0 for protocols without streams.
    pub stream: u32,
    /// What happened.
    pub step: Step<'a>,
}

/// What happened to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// The first byte of a request was in this piece.
    RequestStarted,
    /// A request's head is complete.
    Request(Request<'a>),
    /// A request's last byte was in this piece.
    RequestEnded,
    /// The first byte of a final (not interim) response was in this piece, or in an earlier one if its head was split.
    ResponseStarted,
    /// A final response's head is complete.
    Response(Response),
    /// A final response's last byte was in this piece.
    ResponseEnded,
    /// A request that is no more than its head, all of it in this piece: the three steps of a request in one.
    WholeRequest(Request<'a>),
    /// A final response, all of it in this piece: the three steps of a response in one.
    WholeResponse(Response),
    /// The last response's end was only seen by what came after it (next request, or close): it ended
    /// with the last byte that its speaker sent before this piece.
    ResponseEndedBefore,
    /// The last response has ended, but the record of its end was lost, so it is not known when.
    ResponseEndLost,
    /// After this exchange both sides speak something else (101, CONNECT).
    Upgraded,
    /// The parser lost its place: every open request on this connection is without a known answer.
    Lost(Loss),
}

impl<'a> Message<'a> {
    /// The same with what was told in one step told one by one.
    pub fn parts(self) -> impl Iterator<Item = Self> {
        let Self { stream, step } = self;
        let steps = match step {
            Step::WholeRequest(request) => [
                Some(Step::RequestStarted),
                Some(Step::Request(request)),
                Some(Step::RequestEnded),
            ],
            Step::WholeResponse(response) => [
                Some(Step::ResponseStarted),
                Some(Step::Response(response)),
                Some(Step::ResponseEnded),
            ],
            other => [Some(other), None, None],
        };
        let steps = steps.into_iter().flatten();
        steps.map(move |step| Self { stream, step })
    }
}

/// Why a parser lost its place; the label value is [`Loss::label`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Loss {
    /// Records were lost where framing was needed.
    Gap,
    /// Content where framing was needed had not been captured.
    Unseen,
    /// The bytes break the protocol's rules.
    Malformed,
    /// A head, or the number of open requests, is over the limit.
    TooLarge,
}

impl Loss {
    /// The label value.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Gap => "gap",
            Self::Unseen => "unseen",
            Self::Malformed => "malformed",
            Self::TooLarge => "too_large",
        }
    }
}

/// A request's head, as the series need it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request<'a> {
    /// HTTP of any version.
    Http {
        /// As on the wire.
        method: &'a [u8],
        /// What it is.
        kind: Method,
        /// Request target as on the wire (origin, absolute, authority or asterisk form).
        target: &'a [u8],
        /// The `Host` header's value, empty if there is none.
        host: &'a [u8],
        /// As `network_protocol_version` says it: `1.0`, `1.1`, `2`.
        version: &'static str,
    },
}

/// A final response's head, as the series need it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Response {
    /// HTTP of any version.
    Http {
        /// Three digits: 101, 200 to 599, and whatever else a server sent as 600 to 999.
        status: u16,
    },
}

/// One protocol's reader, one instance per connection.
pub trait Protocol: Send {
    /// The name in `protocol` labels.
    fn name(&self) -> &'static str;

    /// Reads the next piece of what `speaker` sent and tells `emit` what it found, in order.
    ///
    /// After a [`Step::Lost`] the reader looks for its place by itself at the next piece that begins a
    /// request. Nothing that is in the bytes may make it panic, and what it keeps is bounded.
    fn read(
        &mut self,
        speaker: Speaker,
        piece: Piece<'_>,
        emit: &mut dyn FnMut(Message<'_>),
    ) -> Consumed;

    /// How many of the bytes that `speaker` sends next are body and need not be captured.
    fn needless_bytes(&self, speaker: Speaker) -> u64;

    /// The connection ended: ends what ends with it (a body without a length).
    fn close(&mut self, emit: &mut dyn FnMut(Message<'_>));

    /// Another connection begins: as new, but for memory that it has.
    fn renew(&mut self, start: Start);

    /// The connection has ended, and the next one may come late: gives back memory that is more than a usual one wants.
    fn trim(&mut self);
}

/// A protocol as the list knows it.
pub struct Kind {
    /// The name in `protocol` labels.
    pub name: &'static str,
    /// Are these the first bytes that `speaker` sent on a connection of this protocol? At most
    /// [`RECOGNITION_BYTES_MAX`] are ever needed.
    pub recognise: fn(speaker: Speaker, opening: &[u8]) -> Recognition,
    /// A reader for a connection.
    pub reader: fn(start: Start) -> Box<dyn Protocol>,
}

/// Where in a connection's life a reader starts; the client speaks next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At its beginning.
    Beginning,
    /// In its middle, and nobody knows what was asked before.
    Joined,
    /// In its middle, and the client said something just before that was not understood: it may have been a
    /// request, whose answer is still to come.
    JoinedBehindClient,
}

/// Recognition never needs more bytes than this: the longest registered HTTP method, a space, a
/// path's first byte, with room to spare.
pub const RECOGNITION_BYTES_MAX: usize = 32;

/// Every protocol, in the order of trial.
pub const ALL: &[Kind] = &[http1::KIND];
