//! Heads that were read a moment ago. A client asks for the same again and again, and within a second a server's
//! answers differ in little but their length: then a head's bytes are those of an earlier one, and so is what they say.
//!
//! What a head says depends on its bytes alone, so this is a memory of a function, and nothing that is counted depends
//! on it. It belongs to the thread and not to a connection: there are fewer heads than connections.

use super::{RequestHead, ResponseHead};
use std::cell::RefCell;
use std::ops::Range;

/// Heads of each kind that are kept; a power of two. Each has one place, by its hash.
const PLACES: usize = 128;

/// Longer heads are not kept: they carry cookies, which seldom come twice.
const BYTES_MAX: usize = 1024;

/// How much of a head is hashed: the first line and what tells services apart.
const HASHED_BYTES: usize = 64;

/// Odd, with its bits spread evenly: 2^64 divided by the golden ratio.
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

/// Heads of one kind, each with what it says.
struct Recent<H> {
    places: Vec<(Vec<u8>, H)>,
}

/// A request's head, with its texts as places in its bytes.
#[derive(Clone, Default)]
struct Request {
    method: Range<usize>,
    target: Range<usize>,
    host: Range<usize>,
    /// Of the same bytes when they lay elsewhere; its texts are empty.
    rest: Option<RequestHead<'static>>,
}

thread_local! {
    static REQUESTS: RefCell<Recent<Request>> = const { RefCell::new(Recent::new()) };
    static RESPONSES: RefCell<Recent<Option<ResponseHead>>> = const { RefCell::new(Recent::new()) };
}

impl<H: Clone + Default> Recent<H> {
    const fn new() -> Self {
        Self { places: Vec::new() }
    }

    /// The head that `bytes` begins with, and its length.
    fn find(&self, bytes: &[u8]) -> Option<(usize, &H)> {
        let (head, says) = self.places.get(place(bytes))?;
        (!head.is_empty() && bytes.starts_with(head)).then_some((head.len(), says))
    }

    /// Keeps what the first `length` of `bytes` say.
    fn keep(&mut self, bytes: &[u8], length: usize, says: H) {
        if length > BYTES_MAX {
            return;
        }
        if self.places.is_empty() {
            self.places = vec![(Vec::new(), H::default()); PLACES];
        }
        if let Some((kept, kept_says)) = self.places.get_mut(place(bytes)) {
            kept.clear();
            kept.extend_from_slice(bytes.get(..length).unwrap_or_default());
            *kept_says = says;
        }
    }
}

/// Where the head that `bytes` begins with is kept. Where it ends is not known yet, but answers of one kind differ in
/// the length of what comes with the head.
fn place(bytes: &[u8]) -> usize {
    let (words, _) = bytes.as_chunks::<8>();
    let words = words.iter().take(HASHED_BYTES / 8);
    let hash = words.fold(bytes.len() as u64, |hash, word| {
        (hash.rotate_left(23) ^ u64::from_le_bytes(*word)).wrapping_mul(MULTIPLIER)
    });
    (hash ^ hash >> 32) as usize % PLACES
}

/// Where `part` lies in `bytes`.
fn range(bytes: &[u8], part: &[u8]) -> Range<usize> {
    let start = part.as_ptr().addr().wrapping_sub(bytes.as_ptr().addr());
    if start > bytes.len() {
        // An empty text of the program's own.
        return 0..0;
    }
    start..start + part.len()
}

/// The request's head that `bytes` begins with, and its length.
pub(super) fn request(bytes: &[u8]) -> Option<(usize, RequestHead<'_>)> {
    REQUESTS.with_borrow(|requests| {
        let (length, request) = requests.find(bytes)?;
        let Request {
            method,
            target,
            host,
            rest,
        } = request;
        let head = RequestHead {
            method: bytes.get(method.clone())?,
            target: bytes.get(target.clone())?,
            host: bytes.get(host.clone())?,
            ..(*rest)?
        };
        Some((length, head))
    })
}

pub(super) fn keep_request(bytes: &[u8], length: usize, head: &RequestHead<'_>) {
    let RequestHead {
        method,
        target,
        host,
        version,
        kind,
        body,
    } = *head;
    let request = Request {
        method: range(bytes, method),
        target: range(bytes, target),
        host: range(bytes, host),
        rest: Some(RequestHead {
            method: b"",
            target: b"",
            host: b"",
            version,
            kind,
            body,
        }),
    };
    REQUESTS.with_borrow_mut(|requests| requests.keep(bytes, length, request));
}

/// The response's head that `bytes` begins with, and its length.
pub(super) fn response(bytes: &[u8]) -> Option<(usize, ResponseHead)> {
    RESPONSES.with_borrow(|responses| {
        let (length, head) = responses.find(bytes)?;
        Some((length, (*head)?))
    })
}

pub(super) fn keep_response(bytes: &[u8], length: usize, head: ResponseHead) {
    RESPONSES.with_borrow_mut(|responses| responses.keep(bytes, length, Some(head)));
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
            for number in 0..4 * PLACES {
                let head = format!("GET /{number} HTTP/1.1\r\nHost: h{number}\r\n\r\n");
                let read = request(head.as_bytes()).unwrap().unwrap().1;
                let target = format!("/{number}");
                assert_eq!(read.target, target.as_bytes(), "{round}");
                assert_eq!(read.host, format!("h{number}").as_bytes());
            }
        }
    }
}
