//! Heads in the form that nearly all have, read in one pass; httparse judges all others.
//!
//! Usual is: lines end with CR LF, names are tokens right before their colon, no line is folded, and there is no
//! control character. What is read here is what httparse reads of the same bytes, which a test compares.

use super::framing::Framing;
use super::{Body, HEAD_BYTES_MAX, HEADERS_MAX, RequestHead, ResponseHead};
use crate::protocol::http1::recognise::is_token;
use crate::protocol::{Loss, Method};

const CONTENT_LENGTH_BYTES: usize = "content-length".len();
const TRANSFER_ENCODING_BYTES: usize = "transfer-encoding".len();
const EMPTY_LINE_BYTES: usize = 2;

/// One, and the highest bit, in each byte of a word.
const ONES: u64 = u64::from_ne_bytes([1; 8]);
const HIGHS: u64 = ONES << 7;

/// What a head's fields say, as far as anybody asks.
struct Fields<'a> {
    /// With the empty line.
    length: usize,
    host: &'a [u8],
    framing: Framing,
}

/// The request's head that `bytes` begins with, and its length; `None` if it is not whole or not usual.
pub(super) fn request(bytes: &[u8]) -> Option<Result<(usize, RequestHead<'_>), Loss>> {
    let (method, behind) = split(bytes, |_| 0, |byte| byte.is_ascii_uppercase())?;
    let rest = behind.strip_prefix(b" ")?;
    let (target, behind) = split(
        rest,
        |word| between(word, b'!', b'~'),
        |byte| byte.is_ascii_graphic(),
    )?;
    let (minor, version, fields) = match behind.strip_prefix(b" HTTP/1.")? {
        [b'1', b'\r', b'\n', fields @ ..] => (1, "1.1", fields),
        [b'0', b'\r', b'\n', fields @ ..] => (0, "1.0", fields),
        _ => return None,
    };
    if method.is_empty() || target.is_empty() {
        return None;
    }
    let Fields {
        length: fields_bytes,
        host,
        framing,
    } = read_fields(fields, minor)?;
    let length = within_limit(bytes.len() - fields.len() + fields_bytes)?;
    let read = |body: Body| {
        let head = RequestHead {
            method,
            target,
            host,
            version,
            kind: Method::of(method),
            body,
        };
        (length, head)
    };
    Some(framing.request_body().map(read))
}

/// The response's head that `bytes` begins with, and its length; `None` if it is not whole or not usual.
pub(super) fn response(bytes: &[u8]) -> Option<(usize, ResponseHead)> {
    let (minor, rest) = match bytes.strip_prefix(b"HTTP/1.")? {
        [b'1', b' ', rest @ ..] => (1, rest),
        [b'0', b' ', rest @ ..] => (0, rest),
        _ => return None,
    };
    let ([a @ b'1'..=b'9', b, c], rest) = rest.split_first_chunk()? else {
        return None;
    };
    if !b.is_ascii_digit() || !c.is_ascii_digit() {
        return None;
    }
    let digit = |byte: &u8| u16::from(byte - b'0');
    let status = digit(a) * 100 + digit(b) * 10 + digit(c);
    let (reason, fields) = line(rest.strip_prefix(b" ")?)?;
    if controls(reason) > 0 {
        return None;
    }
    let Fields {
        length: fields_bytes,
        host: _,
        framing,
    } = read_fields(fields, minor)?;
    let length = within_limit(bytes.len() - fields.len() + fields_bytes)?;
    Some((length, ResponseHead { status, framing }))
}

fn within_limit(length: usize) -> Option<usize> {
    (length <= HEAD_BYTES_MAX).then_some(length)
}

/// Reads the field lines up to the empty line.
fn read_fields(bytes: &[u8], minor: u8) -> Option<Fields<'_>> {
    let mut framing = Framing::new(minor);
    let mut host = None;
    let mut lines = 0;
    let mut rest = bytes;
    while !rest.starts_with(b"\r\n") {
        let (name, behind) = split(rest, name_words, is_token)?;
        let (value, behind) = line(behind.strip_prefix(b":")?)?;
        lines += 1;
        if name.is_empty() || lines > HEADERS_MAX {
            return None;
        }
        match name.len() {
            4 if host.is_none() && name.eq_ignore_ascii_case(b"host") => {
                host = Some(value.trim_ascii());
            }
            CONTENT_LENGTH_BYTES | TRANSFER_ENCODING_BYTES => framing.read(name, value),
            _ => {}
        }
        rest = behind;
    }
    let length = bytes.len() - rest.len();
    // Those that end lines, and no other.
    (controls(bytes.get(..length)?) == 2 * lines).then_some(Fields {
        length: length + EMPTY_LINE_BYTES,
        host: host.unwrap_or_default(),
        framing,
    })
}

/// What comes before the first byte that does not belong, and what begins with it. `words` sets the highest bit of the
/// bytes of a word that belong, or of the most usual of them.
fn split(
    bytes: &[u8],
    words: impl Fn(u64) -> u64,
    belongs: impl Fn(u8) -> bool,
) -> Option<(&[u8], &[u8])> {
    let mut end = 0;
    for word in bytes.as_chunks::<8>().0 {
        let others = !words(u64::from_le_bytes(*word)) & HIGHS;
        end += others.trailing_zeros() as usize / 8;
        if others != 0 {
            break;
        }
    }
    let rest = bytes.get(end..)?;
    end += rest.iter().position(|&byte| !belongs(byte))?;
    bytes.split_at_checked(end)
}

/// Sets the highest bit of each byte from `first` to `last`, which are below 128.
fn between(word: u64, first: u8, last: u8) -> u64 {
    let low = word & !HIGHS;
    let from_first = low + ONES * u64::from(128 - first);
    let behind_last = low + ONES * u64::from(127 - last);
    from_first & !behind_last & !word
}

/// Letters and hyphens.
fn name_words(word: u64) -> u64 {
    between(word | (ONES * 0x20), b'a', b'z') | between(word, b'-', b'-')
}

/// A line without its end, and what is behind it.
fn line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (line, behind) = bytes.split_at_checked(line_feed(bytes)? + 1)?;
    Some((line.strip_suffix(b"\r\n")?, behind))
}

/// Where the first line feed is, looked for in eight bytes at a time.
fn line_feed(bytes: &[u8]) -> Option<usize> {
    let (words, rest) = bytes.as_chunks::<8>();
    for (at, word) in words.iter().enumerate() {
        // A line feed becomes zero, and the lowest zero byte is the first to borrow.
        let word = u64::from_le_bytes(*word) ^ (ONES * b'\n' as u64);
        let found = word.wrapping_sub(ONES) & !word & HIGHS;
        if found != 0 {
            return Some(at * 8 + found.trailing_zeros() as usize / 8);
        }
    }
    let at = rest.iter().position(|&byte| byte == b'\n')?;
    Some(words.len() * 8 + at)
}

/// How many control characters there are.
fn controls(bytes: &[u8]) -> usize {
    // In so short pieces that a byte can hold the count: sixteen are counted at a time then.
    let pieces = bytes.chunks(128);
    let count = |piece: &[u8]| {
        let controls = piece.iter().map(|&byte| u8::from(byte.is_ascii_control()));
        usize::from(controls.fold(0, u8::wrapping_add))
    };
    pieces.map(count).sum()
}

#[cfg(test)]
mod tests {
    use super::super::{judged_request, judged_response};
    use super::*;
    use proptest::prelude::*;

    const REQUEST: &str = "POST /a/b?c=d HTTP/1.1\r\nHost: example.org:80\r\nX:\r\nUser-Agent: a b\r\n\
        Content-Length: 12\r\nTransfer-Encoding: gzip\r\nhost: b\r\nAccept: */*\r\n\r\nbody\r\n\r\n";
    const RESPONSE: &str = "HTTP/1.0 200 OK\r\nServer: x\r\nContent-Length: 5, 5\r\nX-Y:  z \r\n\
        Transfer-Encoding: chunked\r\nContent-Length: 7\r\nDate: now\r\n\r\nbody\r\n\r\n";

    /// Whether `bytes` are usual; then httparse must say the same of them.
    fn compare(bytes: &[u8]) -> (bool, bool) {
        let request = request(bytes);
        if let Some(read) = &request {
            assert_eq!(
                read.map(Some),
                judged_request(bytes),
                "{}",
                bytes.escape_ascii()
            );
        }
        let response = response(bytes);
        if let Some(read) = response {
            assert_eq!(
                Ok(Some(read)),
                judged_response(bytes),
                "{}",
                bytes.escape_ascii()
            );
        }
        (request.is_some(), response.is_some())
    }

    #[test]
    fn usual_heads_are_read_without_a_judge() {
        let without_codings = |head: &str| {
            let lines = head.split_inclusive("\r\n");
            let lines =
                lines.filter(|line| !line.starts_with("Transfer") && !line.ends_with(" 7\r\n"));
            lines.collect::<String>()
        };
        assert_eq!(compare(without_codings(REQUEST).as_bytes()), (true, false));
        assert_eq!(compare(without_codings(RESPONSE).as_bytes()), (false, true));
        assert_eq!(compare(REQUEST.as_bytes()), (true, false));
        assert_eq!(compare(RESPONSE.as_bytes()), (false, true));
        let read = request(without_codings(REQUEST).as_bytes())
            .unwrap()
            .unwrap()
            .1
            .host
            .to_owned();
        assert_eq!(read, b"example.org:80");
    }

    #[test]
    fn unusual_heads_are_left_to_the_judge() {
        for head in [
            "GET / HTTP/1.1\nHost: a\n\n",
            "GET / HTTP/1.1\r\nHost: a\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\tb\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\x7f\r\n\r\n",
            "GET / HTTP/1.1\r\n: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n",
            "GET  / HTTP/1.1\r\n\r\n",
            "GET /\u{e4} HTTP/1.1\r\n\r\n",
            "get / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.2\r\n\r\n",
            "HTTP/1.1 200\r\n\r\n",
            "HTTP/1.1 099 x\r\n\r\n",
            "HTTP/1.1 200 a\x01\r\n\r\n",
            "HTTP/1.1 200 OK\r\n",
        ] {
            assert_eq!(compare(head.as_bytes()), (false, false), "{head:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_is_what_httparse_reads(
            is_request: bool,
            changes in prop::collection::vec((0..400_usize, prop::sample::select(
                &b"\r\n\t :,;aZ09-_/\x00\x1f\x7f\x80\xff(\"%?"[..],
            )), 0..4),
            end in 0..400_usize,
        ) {
            let mut bytes = if is_request { REQUEST } else { RESPONSE }.as_bytes().to_vec();
            for (at, byte) in changes {
                let at = at % bytes.len();
                bytes[at] = byte;
            }
            compare(&bytes);
            bytes.truncate(end);
            compare(&bytes);
        }
    }
}
