//! Heads that were read a moment ago. A client asks for the same again and again, and within a second a server's
//! answers differ in little but their length: then a head's bytes are those of an earlier one, and so is what they say.
//!
//! What a head says depends on its bytes alone, so this is a memory of a function, and nothing that is counted depends
//! on it. It belongs to the thread and not to a connection: there are fewer heads than connections.

use super::{Body, RequestHead, ResponseHead};
use crate::hash::FastHasher;
use crate::protocol::Method;
use crate::recent::Recent;
use std::cell::RefCell;
use std::hash::Hasher;

/// Heads of each kind that are kept.
const HEADS_MAX: usize = 256;

/// Longer heads are not kept: they carry cookies, which seldom come twice.
const BYTES_MAX: usize = 1024;

/// How much of a head is hashed: the first line and what tells services apart.
const HASHED_BYTES: usize = 64;

/// A part of a head's bytes.
#[derive(Clone, Copy)]
struct Part {
    start: u16,
    end: u16,
}

/// What a request's head says, with its texts as parts of its bytes.
#[derive(Clone, Copy)]
struct Request {
    method: Part,
    target: Part,
    host: Part,
    version: &'static str,
    kind: Method,
    body: Body,
}

thread_local! {
    static REQUESTS: RefCell<Recent<Option<Request>, HEADS_MAX>> = const { RefCell::new(Recent::new()) };
    static RESPONSES: RefCell<Recent<Option<ResponseHead>, HEADS_MAX>> = const { RefCell::new(Recent::new()) };
}

/// The hash of the head that `bytes` begins with. Where it ends is not known yet, but answers of one kind differ in
/// the length of what comes with the head.
#[inline(always)]
fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = FastHasher::default();
    hasher.write_usize(bytes.len());
    match bytes.first_chunk::<HASHED_BYTES>() {
        Some(chunk) => hasher.write(chunk),
        None => hasher.write(bytes),
    }
    hasher.finish()
}

impl Part {
    /// Where `part` lies in `bytes`, which are a head that is kept.
    fn of(bytes: &[u8], part: &[u8]) -> Self {
        let start = part.as_ptr().addr().wrapping_sub(bytes.as_ptr().addr());
        let is_within = start <= bytes.len();
        // An empty text may be one of the program's own.
        let start = if is_within { start } else { 0 };
        let end = start + if is_within { part.len() } else { 0 };
        let [start, end] = [start, end].map(|at| u16::try_from(at).unwrap_or_default());
        Self { start, end }
    }

    fn get(self, bytes: &[u8]) -> Option<&[u8]> {
        bytes.get(usize::from(self.start)..usize::from(self.end))
    }
}

/// The request's head that `bytes` begins with, and its length, if it was read before.
#[inline]
pub(in super::super) fn request(bytes: &[u8]) -> Option<(usize, RequestHead<'_>)> {
    REQUESTS.with_borrow_mut(|requests| {
        let cell = requests.find(hash(bytes), |head| bytes.starts_with(head))?;
        let (head, request) = requests.get_mut(cell)?;
        let Request {
            method,
            target,
            host,
            version,
            kind,
            body,
        } = (*request)?;
        let read = RequestHead {
            method: method.get(bytes)?,
            target: target.get(bytes)?,
            host: host.get(bytes)?,
            version,
            kind,
            body,
        };
        Some((head.len(), read))
    })
}

pub(super) fn keep_request(bytes: &[u8], length: usize, head: &RequestHead<'_>) {
    let Some(kept) = bytes.get(..length).filter(|head| head.len() <= BYTES_MAX) else {
        return;
    };
    let RequestHead {
        method,
        target,
        host,
        version,
        kind,
        body,
    } = *head;
    let request = Request {
        method: Part::of(kept, method),
        target: Part::of(kept, target),
        host: Part::of(kept, host),
        version,
        kind,
        body,
    };
    REQUESTS.with_borrow_mut(|requests| {
        let cell = requests.keep(hash(bytes), kept);
        if let Some((_, says)) = cell.and_then(|cell| requests.get_mut(cell)) {
            *says = Some(request);
        }
    });
}

/// The response's head that `bytes` begins with, and its length, if it was read before.
#[inline]
pub(in super::super) fn response(bytes: &[u8]) -> Option<(usize, ResponseHead)> {
    RESPONSES.with_borrow_mut(|responses| {
        let cell = responses.find(hash(bytes), |head| bytes.starts_with(head))?;
        let (head, says) = responses.get_mut(cell)?;
        Some((head.len(), (*says)?))
    })
}

pub(super) fn keep_response(bytes: &[u8], length: usize, head: ResponseHead) {
    let Some(kept) = bytes.get(..length).filter(|head| head.len() <= BYTES_MAX) else {
        return;
    };
    RESPONSES.with_borrow_mut(|responses| {
        let cell = responses.keep(hash(bytes), kept);
        if let Some((_, says)) = cell.and_then(|cell| responses.get_mut(cell)) {
            *says = Some(head);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::super::{read_request, read_response, request, response};
    use super::*;

    #[test]
    fn a_head_that_was_read_before_says_the_same() {
        let heads = [
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: ab\r\n\r\n",
            "GET / HTTP/1.1\r\n\r\nGET /behind HTTP/1.1\r\n\r\n",
            "HEAD /p?q HTTP/1.0\r\n\r\n",
            "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
            "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcd",
        ];
        for head in heads.iter().chain(&heads) {
            let bytes = head.as_bytes();
            assert_eq!(request(bytes), read_request(bytes), "{head}");
            assert_eq!(super::request(bytes), read_request(bytes).unwrap());
        }
        let heads = [
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabd",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabd",
            "HTTP/1.0 404 No\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ];
        for head in heads.iter().chain(&heads) {
            let bytes = head.as_bytes();
            assert_eq!(response(bytes), read_response(bytes), "{head}");
            assert_eq!(super::response(bytes), read_response(bytes).unwrap());
        }
    }

    #[test]
    fn what_is_no_whole_head_or_a_long_one_is_not_kept() {
        let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(BYTES_MAX));
        let half = "GET /half HTTP/1.1\r\nHost: a\r\n";
        let bad = "GET /bad HTTP/1.1\r\nHost : a\r\n\r\n";
        for head in [&long, half, bad] {
            assert_eq!(request(head.as_bytes()), read_request(head.as_bytes()));
            assert_eq!(super::request(head.as_bytes()), None);
        }
    }

    #[test]
    fn more_heads_than_places_are_still_read_right() {
        for round in 0..2 {
            for number in 0..4 * HEADS_MAX {
                let head = format!("GET /{number} HTTP/1.1\r\nHost: h{number}\r\n\r\n");
                let read = request(head.as_bytes()).unwrap().unwrap().1;
                let target = format!("/{number}");
                assert_eq!(read.target, target.as_bytes(), "{round}");
                assert_eq!(read.host, format!("h{number}").as_bytes());
            }
        }
    }
}
