//! What a conversation is made of: random exchanges, and how it ends.

use proptest::{prelude::*, sample::select};

/// A message's body.
#[derive(Clone)]
pub(crate) enum Body {
    None,
    Length(Vec<u8>),
    Chunked {
        chunks: Vec<Vec<u8>>,
        extension: &'static str,
        trailers: &'static str,
    },
}

impl std::fmt::Debug for Body {
    /// On one line, as a failure prints it.
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::None => write!(out, "None"),
            Self::Length(bytes) => write!(out, "Length({})", bytes.escape_ascii()),
            Self::Chunked {
                chunks,
                extension,
                trailers,
            } => {
                write!(out, "Chunked({extension:?}")?;
                for chunk in chunks {
                    write!(out, ", {}", chunk.escape_ascii())?;
                }
                write!(out, ", {trailers:?})")
            }
        }
    }
}

impl Body {
    /// The bytes that a reader does not look at.
    pub(crate) fn contents_mut(&mut self) -> impl Iterator<Item = &mut u8> {
        let parts = match self {
            Self::None => &mut [],
            Self::Length(bytes) => std::slice::from_mut(bytes),
            Self::Chunked { chunks, .. } => chunks.as_mut_slice(),
        };
        parts.iter_mut().flatten()
    }

    /// The header field that says how it ends.
    pub(crate) fn field(&self) -> String {
        match self {
            Self::None => String::new(),
            Self::Length(bytes) => format!("Content-Length: {}\r\n", bytes.len()),
            Self::Chunked { .. } => "Transfer-Encoding: chunked\r\n".to_owned(),
        }
    }

    /// As a response: without a length of its own it would be read until close.
    pub(crate) fn with_end(self) -> Self {
        match self {
            Self::None => Self::Length(Vec::new()),
            body => body,
        }
    }
}

/// When a request is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// It was read.
    Read,
    /// Its head was read, the body is still on its way (a 413).
    HeadRead,
    /// `100-continue` was asked for and granted.
    Continued,
    /// `100-continue` was asked for and not granted, and the body is sent all the same.
    NotContinued,
    /// So much of its head was read (as a share of 65536); the rest is sent after the answer.
    InHead(u16),
}

/// One exchange.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) method: &'static str,
    pub(crate) status: u16,
    pub(crate) version: &'static str,
    pub(crate) fields: &'static str,
    pub(crate) asked: Body,
    pub(crate) answered: Body,
    pub(crate) interim: &'static str,
    pub(crate) when: When,
    /// The client waits for the answer before it asks again.
    pub(crate) waits: bool,
    /// Before the request, if it is not the first.
    pub(crate) empty_lines: &'static str,
}

/// How the conversation ends, behind its exchanges.
#[derive(Clone, Debug)]
pub(crate) enum Ending {
    /// With the last answer.
    Plain,
    /// A request's head breaks off.
    CutHead,
    /// A request's body breaks off, unanswered.
    CutBody,
    /// A request is not answered.
    Unanswered,
    /// An answer's head breaks off.
    CutAnswerHead,
    /// An answer's body breaks off.
    CutAnswer,
    /// An answer's body ends with the connection.
    UntilClose(Vec<u8>),
    /// The server says that it waited too long.
    Unasked,
    /// A tunnel begins.
    Tunnel { is_connect: bool, bytes: Vec<u8> },
}

/// A conversation.
#[derive(Clone, Debug)]
pub(crate) struct Conversation {
    pub(crate) plans: Vec<Plan>,
    pub(crate) ending: Ending,
}

/// The first request's method has to be a registered one: by that the protocol is known.
const REGISTERED: [&str; 10] = [
    "GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "PROPFIND", "HEAD", "CONNECT",
];
const UNKNOWN: [&str; 4] = ["BREW", "get", "x!#$%&'*+-.^_`|~0", "G"];

pub(crate) fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => proptest::collection::vec(any::<u8>(), 1..300),
        // Bodies that look like messages must not be taken for them.
        3 => Just(b"GET / HTTP/1.1\r\n\r\n".to_vec()),
        3 => Just(b"\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n".to_vec()),
        // So long that they need not be captured.
        1 => (4_096_usize..20_000).prop_map(|length| vec![b'x'; length]),
    ]
}

pub(crate) fn body() -> impl Strategy<Value = Body> {
    let chunked = (
        proptest::collection::vec(bytes(), 0..4),
        select(vec!["", ";a=b;c=\"d\"", " ; x"]),
        select(vec!["", "Expires: never\r\n", "A: b\r\nC: d\r\n"]),
    );
    prop_oneof![
        Just(Body::None),
        bytes().prop_map(Body::Length),
        chunked.prop_map(|(chunks, extension, trailers)| Body::Chunked {
            chunks,
            extension,
            trailers
        }),
    ]
}

fn when() -> impl Strategy<Value = When> {
    prop_oneof![
        5 => Just(When::Read),
        1 => Just(When::HeadRead),
        1 => Just(When::Continued),
        1 => Just(When::NotContinued),
        1 => any::<u16>().prop_map(When::InHead),
    ]
}

fn plan() -> impl Strategy<Value = Plan> {
    let interim = select(vec![
        "",
        "",
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 103 Hints\r\nLink: a\r\n\r\n",
        "HTTP/1.1 102 Busy\r\n\r\nHTTP/1.1 103 Hints\r\n\r\n",
    ]);
    let fields = select(vec![
        "",
        "Connection: close\r\n",
        "Connection: keep-alive, Upgrade\r\nUpgrade: h2c\r\n",
        "X-Long: 0123456789012345678901234567890123456789\r\nEmpty:\r\n",
    ]);
    let line = (
        select([REGISTERED.as_slice(), &UNKNOWN].concat()),
        select(vec![200_u16, 204, 304, 404, 417, 500, 999]),
        select(vec!["1.0", "1.1", "1.1"]),
        fields,
        select(vec!["", "", "\r\n", "\n\r\n"]),
    );
    (line, body(), body(), interim, when(), any::<bool>()).prop_map(
        |(
            (method, status, version, fields, empty_lines),
            asked,
            answered,
            interim,
            when,
            waits,
        )| {
            let asked = match asked {
                // Framing that HTTP/1.0 does not have.
                Body::Chunked { .. } if version == "1.0" => Body::None,
                _ if method == "CONNECT" => Body::None,
                body => body,
            };
            Plan {
                method,
                // A tunnel would end the conversation; it is an ending.
                status: if method == "CONNECT" { 407 } else { status },
                version,
                fields,
                asked,
                answered: answered.with_end(),
                interim,
                when,
                waits,
                empty_lines,
            }
        },
    )
}

fn ending() -> impl Strategy<Value = Ending> {
    prop_oneof![
        4 => Just(Ending::Plain),
        1 => Just(Ending::CutHead),
        1 => Just(Ending::CutBody),
        1 => Just(Ending::Unanswered),
        1 => Just(Ending::CutAnswerHead),
        1 => Just(Ending::CutAnswer),
        1 => bytes().prop_map(Ending::UntilClose),
        1 => Just(Ending::Unasked),
        1 => (any::<bool>(), bytes())
            .prop_map(|(is_connect, bytes)| Ending::Tunnel { is_connect, bytes }),
    ]
}

/// Any conversation.
pub(crate) fn conversation() -> impl Strategy<Value = Conversation> {
    (
        proptest::collection::vec(plan(), 1..6),
        ending(),
        select(REGISTERED.to_vec()),
        any::<bool>(),
    )
        .prop_map(|(mut plans, ending, first, all_wait)| {
            let plan = plans.first_mut().unwrap();
            plan.empty_lines = "";
            if UNKNOWN.contains(&plan.method) {
                plan.method = if first == "CONNECT" { "GET" } else { first };
            }
            if all_wait {
                plans.iter_mut().for_each(|plan| plan.waits = true);
            }
            Conversation { plans, ending }
        })
}
