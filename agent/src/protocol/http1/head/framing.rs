//! What a head's fields say about how the body ends (RFC 9112, section 6).

use super::Body;
use crate::protocol::Loss;
use httparse::Header;

/// The transfer codings of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Codings {
    /// The header is not there.
    None,
    /// `chunked` is the last one, and not named before.
    ChunkedLast,
    /// `chunked` is named twice.
    ChunkedTwice,
    /// The last one is another; `chunked` may have been named.
    OtherLast { chunked_before: bool },
}

/// What the header fields say about the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Framing {
    is_http_10: bool,
    pub(super) codings: Codings,
    /// `Err`: the fields break the rules or contradict one another.
    pub(super) length_bytes: Result<Option<u64>, Loss>,
}

impl Framing {
    /// What a head without fields says.
    pub(super) const fn new(minor: u8) -> Self {
        Self {
            is_http_10: minor == 0,
            codings: Codings::None,
            length_bytes: Ok(None),
        }
    }

    pub(super) fn of(minor: u8, headers: &[Header<'_>]) -> Self {
        let mut framing = Self::new(minor);
        for header in headers {
            framing.read(header.name.as_bytes(), header.value);
        }
        framing
    }

    /// One more field.
    pub(super) fn read(&mut self, name: &[u8], value: &[u8]) {
        if name.eq_ignore_ascii_case(b"content-length") {
            self.length_bytes = self.length_bytes.and_then(|known| length(known, value));
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.codings = codings(self.codings, value);
        }
    }

    /// Rejects what two readers may understand in two ways.
    pub(super) fn check(&self) -> Result<(), Loss> {
        let is_coded = self.codings != Codings::None;
        // Section 6.3: a length beside a coding "ought to be handled as an error". Section 6.1: with
        // HTTP/1.0, a coding makes the framing faulty.
        if is_coded && (self.is_http_10 || self.length_bytes != Ok(None)) {
            return Err(Loss::Malformed);
        }
        if self.codings == Codings::ChunkedTwice {
            Err(Loss::Malformed)
        } else {
            Ok(())
        }
    }

    pub(super) fn request_body(&self) -> Result<Body, Loss> {
        self.check()?;
        match (self.codings, self.length_bytes?) {
            (Codings::None, length) => Ok(Body::of_length(length.unwrap_or(0))),
            (Codings::ChunkedLast, _) => Ok(Body::Chunked),
            // Only chunked says where a request ends (section 6.3, rule 4).
            _ => Err(Loss::Malformed),
        }
    }
}

/// One more `Content-Length`; a list of equal values is one value (section 6.3, rule 5).
fn length(mut known: Option<u64>, value: &[u8]) -> Result<Option<u64>, Loss> {
    for item in value.split(|&byte| byte == b',') {
        let bytes = decimal(trim(item)).ok_or(Loss::Malformed)?;
        if known.is_some_and(|known| known != bytes) {
            return Err(Loss::Malformed);
        }
        known = Some(bytes);
    }
    Ok(known)
}

/// Digits alone: no sign, no space, no overflow.
fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

/// One more `Transfer-Encoding`.
fn codings(known: Codings, value: &[u8]) -> Codings {
    let mut codings = match known {
        Codings::None => Codings::OtherLast {
            chunked_before: false,
        },
        known => known,
    };
    for item in value
        .split(|&byte| byte == b',')
        .map(trim)
        .filter(|item| !item.is_empty())
    {
        let is_chunked = item.eq_ignore_ascii_case(b"chunked");
        codings = match (codings, is_chunked) {
            (
                Codings::ChunkedTwice
                | Codings::ChunkedLast
                | Codings::OtherLast {
                    chunked_before: true,
                },
                true,
            ) => Codings::ChunkedTwice,
            (Codings::ChunkedTwice, false) => Codings::ChunkedTwice,
            (_, true) => Codings::ChunkedLast,
            (Codings::ChunkedLast, false) => Codings::OtherLast {
                chunked_before: true,
            },
            (other, false) => other,
        };
    }
    codings
}

/// Without the white space around it, which includes line ends where a line was folded.
fn trim(value: &[u8]) -> &[u8] {
    value.trim_ascii()
}
