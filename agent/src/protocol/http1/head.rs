//! Heads: where one ends, what it says, and how its body is framed (RFC 9112, sections 2 to 6).

mod framing;
mod recent;
mod usual;

use crate::protocol::{Loss, Method};
use framing::{Codings, Framing};
use httparse::{Header, ParserConfig, Request, Response, Status};
pub(super) use recent::{request as known_request, response as known_response};
use std::mem::MaybeUninit;

/// The longest head that is read; servers refuse sooner (nginx 32 KiB, Apache 8 KiB a line).
pub(super) const HEAD_BYTES_MAX: usize = 64 * 1024;

/// The most header fields that a head may have.
const HEADERS_MAX: usize = 128;

/// A buffer that grew beyond this for one head is given back after it.
const BUFFER_BYTES_KEPT: usize = 4 * 1024;

/// Looks for the empty line that ends a head. Lines end with LF, with or without CR before it
/// (section 2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EmptyLine {
    /// Somewhere in a line.
    InLine,
    /// Behind a line's end.
    LineStart,
    /// Behind a line's end and a CR.
    LineStartCr,
}

impl EmptyLine {
    /// Behind a line's end.
    pub(super) const fn at_line_start() -> Self {
        Self::LineStart
    }

    /// Is this the byte that ends an empty line?
    pub(super) fn ends_with(&mut self, byte: u8) -> bool {
        match (*self, byte) {
            (Self::LineStart | Self::LineStartCr, b'\n') => return true,
            (Self::InLine, b'\n') => *self = Self::LineStart,
            (Self::LineStart, b'\r') => *self = Self::LineStartCr,
            _ => *self = Self::InLine,
        }
        false
    }
}

/// A head that came in more than one piece.
#[derive(Debug)]
pub(super) struct HeadBuffer {
    pub(super) bytes: Vec<u8>,
    empty_line: EmptyLine,
}

/// What a piece did to a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Filled {
    /// The head goes on behind this piece.
    More,
    /// It ends after this many bytes of the piece.
    Complete(usize),
    /// It is over the limit.
    TooLarge,
}

impl HeadBuffer {
    pub(super) const fn new() -> Self {
        Self {
            bytes: Vec::new(),
            empty_line: EmptyLine::InLine,
        }
    }

    /// Takes as much of `piece` as belongs to the head. Every byte is looked at once, however small
    /// the pieces are.
    pub(super) fn fill(&mut self, piece: &[u8]) -> Filled {
        let end = piece
            .iter()
            .position(|&byte| self.empty_line.ends_with(byte))
            .map(|last| last + 1);
        let taken = piece.get(..end.unwrap_or(piece.len())).unwrap_or_default();
        if self.bytes.len() + taken.len() > HEAD_BYTES_MAX {
            return Filled::TooLarge;
        }
        self.bytes.extend_from_slice(taken);
        end.map_or(Filled::More, Filled::Complete)
    }

    /// Gives back what is more than the next head will want.
    pub(super) fn trim(&mut self) {
        if self.bytes.capacity() > BUFFER_BYTES_KEPT {
            self.bytes = Vec::new();
        }
    }

    /// Ready for the next head, with `bytes` as its memory.
    pub(super) fn reset(&mut self, mut bytes: Vec<u8>) {
        bytes.clear();
        bytes.shrink_to(BUFFER_BYTES_KEPT);
        *self = Self {
            bytes,
            empty_line: EmptyLine::InLine,
        };
    }
}

/// How a message's body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// There is none.
    None,
    /// After so many bytes, at least one.
    Length(u64),
    /// With its last chunk.
    Chunked,
    /// With the connection.
    UntilClose,
}

impl Body {
    fn of_length(bytes: u64) -> Self {
        if bytes == 0 {
            Self::None
        } else {
            Self::Length(bytes)
        }
    }
}

/// A request's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RequestHead<'a> {
    pub(super) method: &'a [u8],
    pub(super) target: &'a [u8],
    pub(super) host: &'a [u8],
    pub(super) version: &'static str,
    pub(super) kind: Method,
    pub(super) body: Body,
}

/// A response's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ResponseHead {
    pub(super) status: u16,
    framing: Framing,
}

/// Reads a request's head from the beginning of `bytes`, and says how long it is; `None`: it is not
/// complete.
///
/// A folded line is malformed here: section 5.2 lets a server reject it.
pub(super) fn request(bytes: &[u8]) -> Result<Option<(usize, RequestHead<'_>)>, Loss> {
    if let Some(known) = known_request(bytes) {
        return Ok(Some(known));
    }
    let read = read_request(bytes)?;
    if let Some((length, head)) = &read {
        recent::keep_request(bytes, *length, head);
    }
    Ok(read)
}

fn read_request(bytes: &[u8]) -> Result<Option<(usize, RequestHead<'_>)>, Loss> {
    match usual::request(bytes) {
        Some(read) => read.map(Some),
        None => judged_request(bytes),
    }
}

fn judged_request(bytes: &[u8]) -> Result<Option<(usize, RequestHead<'_>)>, Loss> {
    let mut headers = [const { MaybeUninit::uninit() }; HEADERS_MAX];
    let mut request = Request::new(&mut []);
    let config = ParserConfig::default();
    let Status::Complete(length) = config
        .parse_request_with_uninit_headers(&mut request, bytes, &mut headers)
        .map_err(loss)?
    else {
        return Ok(None);
    };
    let (Some(method), Some(target), Some(minor)) = (request.method, request.path, request.version)
    else {
        return Err(Loss::Malformed);
    };
    let head = RequestHead {
        method: method.as_bytes(),
        target: target.as_bytes(),
        host: host(request.headers),
        version: if minor == 0 { "1.0" } else { "1.1" },
        kind: Method::of(method.as_bytes()),
        body: Framing::of(minor, request.headers).request_body()?,
    };
    within_limit(length).map(|length| Some((length, head)))
}

/// What an incomplete head of a request says for sure: the words of its first line that have ended. The others
/// are empty.
pub(super) fn unfinished_request(bytes: &[u8]) -> RequestHead<'_> {
    let is_end = |byte: &u8| matches!(byte, b' ' | b'\r' | b'\n');
    let mut rest = bytes;
    let [method, target, version] = std::array::from_fn(|_| {
        let Some(end) = rest.iter().position(is_end) else {
            return &b""[..];
        };
        let (word, behind) = rest.split_at_checked(end).unwrap_or_default();
        // Behind the line's end there are no words of it.
        rest = behind.strip_prefix(b" ").unwrap_or_default();
        word
    });
    RequestHead {
        method,
        target,
        host: b"",
        version: match version {
            b"HTTP/1.1" => "1.1",
            b"HTTP/1.0" => "1.0",
            _ => "",
        },
        kind: Method::of(method),
        body: Body::None,
    }
}

/// Reads a response's head from the beginning of `bytes`, and says how long it is; `None`: it is not
/// complete.
///
/// A folded line is taken as one value, as section 5.2 demands of a user agent.
pub(super) fn response(bytes: &[u8]) -> Result<Option<(usize, ResponseHead)>, Loss> {
    if let Some(known) = known_response(bytes) {
        return Ok(Some(known));
    }
    let read = read_response(bytes)?;
    if let Some((length, head)) = read {
        recent::keep_response(bytes, length, head);
    }
    Ok(read)
}

fn read_response(bytes: &[u8]) -> Result<Option<(usize, ResponseHead)>, Loss> {
    match usual::response(bytes) {
        Some(read) => Ok(Some(read)),
        None => judged_response(bytes),
    }
}

fn judged_response(bytes: &[u8]) -> Result<Option<(usize, ResponseHead)>, Loss> {
    let mut headers = [const { MaybeUninit::uninit() }; HEADERS_MAX];
    let mut response = Response::new(&mut []);
    let mut config = ParserConfig::default();
    config.allow_obsolete_multiline_headers_in_responses(true);
    let Status::Complete(length) = config
        .parse_response_with_uninit_headers(&mut response, bytes, &mut headers)
        .map_err(loss)?
    else {
        return Ok(None);
    };
    let (Some(status @ 100..=999), Some(minor)) = (response.code, response.version) else {
        return Err(Loss::Malformed);
    };
    let head = ResponseHead {
        status,
        framing: Framing::of(minor, response.headers),
    };
    within_limit(length).map(|length| Some((length, head)))
}

impl ResponseHead {
    /// A head that a final one follows; 101 is final, as nothing of HTTP follows it.
    pub(super) const fn is_interim(&self) -> bool {
        matches!(self.status, 100..=199) && self.status != 101
    }

    /// Does this answer to `method` end HTTP on the connection?
    pub(super) fn is_upgrade(&self, method: Option<Method>) -> bool {
        self.status == 101 || (method == Some(Method::Connect) && matches!(self.status, 200..=299))
    }

    /// How the body of this answer to `method` ends; section 6.3 in its order.
    pub(super) fn body(&self, method: Option<Method>) -> Result<Body, Loss> {
        if method == Some(Method::Head) || matches!(self.status, 100..=199 | 204 | 304) {
            return Ok(Body::None);
        }
        self.framing.check()?;
        Ok(match (self.framing.codings, self.framing.length_bytes?) {
            (Codings::ChunkedLast, _) => Body::Chunked,
            (Codings::None, Some(bytes)) => Body::of_length(bytes),
            _ => Body::UntilClose,
        })
    }
}

fn host<'a>(headers: &[Header<'a>]) -> &'a [u8] {
    headers
        .iter()
        .find(|header| header.name.eq_ignore_ascii_case("host"))
        .map_or(b"", |header| header.value)
}

fn within_limit(length: usize) -> Result<usize, Loss> {
    if length > HEAD_BYTES_MAX {
        Err(Loss::TooLarge)
    } else {
        Ok(length)
    }
}

fn loss(error: httparse::Error) -> Loss {
    match error {
        httparse::Error::TooManyHeaders => Loss::TooLarge,
        _ => Loss::Malformed,
    }
}
