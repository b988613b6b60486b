//! What liars say.

use super::{BAD, Counts, GET, Lie, OK};

/// A request that is refused: it is unanswered for that reason, as its answer may be another's.
fn refused(name: &'static str, reason: &'static str, request: impl Into<Vec<u8>>) -> Lie {
    Lie {
        name,
        said: vec![request.into(), BAD.to_vec()],
        counted: Counts {
            unanswered: vec![reason],
            is_lost: true,
            ..Counts::default()
        },
    }
}

fn malformed(name: &'static str, request: impl Into<Vec<u8>>) -> Lie {
    refused(name, "malformed", request)
}

/// An answer to `GET /lie` that is none.
fn malformed_answer(name: &'static str, answer: impl Into<Vec<u8>>) -> Lie {
    Lie {
        said: vec![b"GET /lie HTTP/1.1\r\n\r\n".to_vec(), answer.into()],
        ..malformed(name, "")
    }
}

/// One whose bytes can be told apart all the same.
fn told(name: &'static str, said: &[&[u8]], exchanges: &[&'static str], unpaired: u64) -> Lie {
    Lie {
        name,
        said: said.iter().map(|turn| turn.to_vec()).collect(),
        counted: Counts {
            exchanges: exchanges.to_vec(),
            unpaired,
            ..Counts::default()
        },
    }
}

fn fields(fields: &str) -> String {
    format!("POST /lie HTTP/1.1\r\nHost: h\r\n{fields}\r\n\r\n")
}

fn chunks(chunks: &str) -> String {
    fields("Transfer-Encoding: chunked") + chunks
}

pub(super) fn framing_of_requests() -> Vec<Lie> {
    vec![
        malformed(
            "two lengths",
            fields("Content-Length: 3\r\nContent-Length: 4") + "abc",
        ),
        malformed(
            "two lengths in one field",
            fields("Content-Length: 3, 4") + "abc",
        ),
        malformed("a length with a sign", fields("Content-Length: +3") + "abc"),
        malformed(
            "a length over 64 bits",
            fields("Content-Length: 18446744073709551616"),
        ),
        malformed("an empty length", fields("Content-Length:")),
        malformed(
            "a length and a coding",
            fields("Content-Length: 5\r\nTransfer-Encoding: chunked") + "0\r\n\r\n",
        ),
        malformed(
            "CL.TE",
            fields("Content-Length: 13\r\nTransfer-Encoding: chunked") + "0\r\n\r\nSMUGGLED",
        ),
        malformed(
            "TE.CL",
            fields("Transfer-Encoding: chunked\r\nContent-Length: 3")
                + "8\r\nSMUGGLED\r\n0\r\n\r\n",
        ),
        malformed(
            "TE.TE",
            fields("Transfer-Encoding: chunked\r\nTransfer-encoding: cow") + "0\r\n\r\n",
        ),
        malformed(
            "TE: xchunked",
            fields("Transfer-Encoding: xchunked") + "0\r\n\r\n",
        ),
        malformed(
            "TE: identity behind",
            fields("Transfer-Encoding: chunked, identity") + "0\r\n\r\n",
        ),
        malformed(
            "TE: in quotes",
            fields("Transfer-Encoding: \"chunked\"") + "0\r\n\r\n",
        ),
        malformed(
            "TE: a vertical tab",
            fields("Transfer-Encoding:\u{b}chunked") + "0\r\n\r\n",
        ),
        malformed(
            "TE: a space before the colon",
            fields("Transfer-Encoding : chunked") + "0\r\n\r\n",
        ),
        malformed(
            "TE: on a folded line",
            fields("Transfer-Encoding:\r\n chunked") + "0\r\n\r\n",
        ),
        malformed(
            "TE: behind a bare CR",
            fields("X: y\rTransfer-Encoding: chunked") + "0\r\n\r\n",
        ),
        malformed(
            "TE: with HTTP/1.0",
            fields("Transfer-Encoding: chunked").replace("1.1", "1.0") + "0\r\n\r\n",
        ),
        malformed(
            "a chunk size that is no number",
            chunks("zz\r\nabc\r\n0\r\n\r\n"),
        ),
        malformed("a chunk size with a sign", chunks("-1\r\nabc\r\n0\r\n\r\n")),
        malformed("a chunk size with 0x", chunks("0x3\r\nabc\r\n0\r\n\r\n")),
        malformed(
            "a chunk size over 64 bits",
            chunks("10000000000000003\r\nabc\r\n0\r\n\r\n"),
        ),
        malformed("a chunk that is too long", chunks("3\r\nabcd\r\n0\r\n\r\n")),
        malformed("a chunk size with a bare LF", chunks("3\nabc\r\n0\r\n\r\n")),
        refused(
            "a chunk extension without an end",
            "too_large",
            chunks(&format!("3;{}\r\nabc\r\n0\r\n\r\n", "x".repeat(20_000))),
        ),
        refused(
            "trailers without an end",
            "too_large",
            chunks(&format!("0\r\n{}", "X: y\r\n".repeat(20_000))),
        ),
    ]
}

pub(super) fn heads_of_requests() -> Vec<Lie> {
    vec![
        refused(
            "a field of 1 MB",
            "too_large",
            fields(&format!("X: {}", "x".repeat(1 << 20))),
        ),
        refused("1000 fields", "too_large", fields(&"X: y\r\n".repeat(1000))),
        refused(
            "a target of 100 kB",
            "too_large",
            format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(100_000)),
        ),
        malformed("a NUL in a field", fields("X: a\0b")),
        malformed("a NUL in the target", "GET /\0lie HTTP/1.1\r\n\r\n"),
        malformed("a space before the colon", fields("X : y")),
        malformed("a field without a name", fields(": y")),
        malformed("a folded line", fields("X: y\r\n z")),
        malformed("a bare CR", fields("X: y\rZ: z")),
        malformed("a field without a colon", fields("XYZ")),
        malformed("no version", "GET /lie\r\n\r\n"),
        malformed("a version of tomorrow", "GET /lie HTTP/4.2\r\n\r\n"),
        malformed("two spaces", "GET  /lie HTTP/1.1\r\n\r\n"),
        malformed("a method that is no token", "G@T /lie HTTP/1.1\r\n\r\n"),
        malformed("a target with a space", "GET /a lie HTTP/1.1\r\n\r\n"),
        malformed("binary", "\u{1}\u{2}\u{3}\u{4}"),
        malformed("HTTP/2's preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        told(
            "bare LFs, which are legal",
            &[b"GET /lie HTTP/1.1\nHost: h\n\n", OK],
            &["GET 200 /lie 1.1"],
            0,
        ),
        told(
            "a length twice, which is legal",
            &[
                &[
                    fields("Content-Length: 3\r\nContent-Length: 3").as_bytes(),
                    b"abc",
                ]
                .concat(),
                OK,
            ],
            &["POST 200 /lie 1.1"],
            0,
        ),
    ]
}

pub(super) fn answers() -> Vec<Lie> {
    let with = |fields: &str| format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n");
    vec![
        malformed_answer("a status of four digits", "HTTP/1.1 2000 OK\r\n\r\n"),
        malformed_answer("a status of two digits", "HTTP/1.1 20 OK\r\n\r\n"),
        malformed_answer("a status below 100", "HTTP/1.1 042 OK\r\n\r\n"),
        malformed_answer("a status that is no number", "HTTP/1.1 abc OK\r\n\r\n"),
        malformed_answer("a status without a space", "HTTP/1.1200 OK\r\n\r\n"),
        malformed_answer("another protocol", "ICY 200 OK\r\n\r\n"),
        malformed_answer("a version of tomorrow", "HTTP/2.0 200 OK\r\n\r\n"),
        malformed_answer("two lengths", with("Content-Length: 2\r\nContent-Length: 3") + "ok"),
        malformed_answer("a length and a coding", with("Content-Length: 2\r\nTransfer-Encoding: chunked") + "0\r\n\r\n"),
        malformed_answer("a coding twice", with("Transfer-Encoding: chunked, chunked") + "0\r\n\r\n"),
        malformed_answer("a bad chunk size", with("Transfer-Encoding: chunked") + "0x2\r\nok\r\n0\r\n\r\n"),
        malformed_answer("a NUL", with("X: a\0b")),
        told(
            "response splitting",
            &[b"GET /lie HTTP/1.1\r\n\r\n", b"HTTP/1.1 302 Found\r\nLocation: x\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nlie"],
            &["GET 302 /lie 1.1"],
            1,
        ),
    ]
}

/// Sizes that are legal and not true: where a message ends is what its framing says, for the server too.
pub(super) fn sizes() -> Vec<Lie> {
    let lost = |lie: Lie, unanswered: &[&'static str]| Lie {
        counted: Counts {
            is_lost: true,
            unanswered: unanswered.to_vec(),
            ..lie.counted
        },
        ..lie
    };
    let short = [fields("Content-Length: 3").as_bytes(), b"abc{\"d\": 1}"].concat();
    let long = [fields("Content-Length: 9").as_bytes(), b"abc"].concat();
    let hidden = b"GET /lie HTTP/1.1\r\nContent-Length: 41\r\n\r\nGET /hidden HTTP/1.1\r\nHost: h\r\nX: 01234\r\n\r\n";
    vec![
        // What is open when the place is lost is unanswered too.
        lost(
            told(
                "a length that is too short",
                &[&short, &[OK, BAD].concat()],
                &[],
                0,
            ),
            &["malformed", "malformed"],
        ),
        // The request that follows is body up to its middle.
        lost(
            told(
                "a length that is too long",
                &[&long, b"", GET, &[OK, BAD].concat()],
                &[],
                0,
            ),
            &["malformed", "malformed"],
        ),
        told(
            "a request in a body, to a server that knows it",
            &[hidden, OK],
            &["GET 200 /lie 1.1"],
            0,
        ),
        told(
            "CL.0: a request in a body, to a server that does not",
            &[hidden, &[OK, OK].concat()],
            &["GET 200 /lie 1.1"],
            1,
        ),
        // Of an answer that is longer than it says nothing was asked for.
        lost(
            told(
                "an answer that is longer than it says",
                &[b"GET /lie HTTP/1.1\r\n\r\n", &[OK, b"ay"].concat()],
                &["GET 200 /lie 1.1"],
                0,
            ),
            &[],
        ),
        lost(
            told(
                "an answer to HEAD with a body",
                &[b"HEAD /lie HTTP/1.1\r\n\r\n", OK],
                &["HEAD 200 /lie 1.1"],
                0,
            ),
            &[],
        ),
        lost(
            told(
                "a 204 with a body",
                &[
                    b"GET /lie HTTP/1.1\r\n\r\n",
                    b"HTTP/1.1 204 No\r\nContent-Length: 3\r\n\r\nlie",
                ],
                &["GET 204 /lie 1.1"],
                0,
            ),
            &[],
        ),
        // Its end is in the middle of the next answer.
        lost(
            told(
                "an answer that is shorter than it says",
                &[
                    b"GET /lie HTTP/1.1\r\n\r\n",
                    b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nlie",
                    GET,
                    OK,
                ],
                &["GET 200 /lie 1.1"],
                0,
            ),
            &["malformed"],
        ),
    ]
}
