//! HTTP/1 conversations, however they are cut, merged and left unseen, are told the same.

use proptest::prelude::*;
use sockmeter::protocol::{
    Consumed, Message, Piece, Protocol, Request, Response, Speaker, Start, Step, http1,
};
use std::collections::VecDeque;

/// One message's bytes, in parts.
#[derive(Clone, Debug)]
enum Part {
    /// Framing has to be seen.
    Framing(Vec<u8>),
    /// Body that the reader knows the length of.
    Body(Vec<u8>),
}

impl Part {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Framing(bytes) | Self::Body(bytes) => bytes,
        }
    }
}

/// One side's turn: its speaker, and what it says.
type Turn = (Speaker, Vec<Part>);

fn framing(text: impl Into<String>) -> Part {
    Part::Framing(text.into().into_bytes())
}

#[derive(Clone, Debug)]
enum Body {
    None,
    Length(Vec<u8>),
    Chunked {
        chunks: Vec<Vec<u8>>,
        extension: &'static str,
        trailers: &'static str,
    },
}

impl Body {
    fn field(&self) -> String {
        match self {
            Self::None => String::new(),
            Self::Length(bytes) => format!("Content-Length: {}\r\n", bytes.len()),
            Self::Chunked { .. } => "Transfer-Encoding: chunked\r\n".to_owned(),
        }
    }

    /// As a response: without a length of its own it would be read until close.
    fn with_end(self) -> Self {
        match self {
            Self::None => Self::Chunked {
                chunks: vec![],
                extension: "",
                trailers: "",
            },
            body => body,
        }
    }

    fn parts(&self) -> Vec<Part> {
        match self {
            Self::None => Vec::new(),
            Self::Length(bytes) => vec![Part::Body(bytes.clone())],
            Self::Chunked {
                chunks,
                extension,
                trailers,
            } => {
                let mut parts = Vec::new();
                for chunk in chunks {
                    parts.push(framing(format!("{:x}{extension}\r\n", chunk.len())));
                    parts.push(Part::Body(chunk.clone()));
                    parts.push(framing("\r\n"));
                }
                parts.push(framing(format!("0{extension}\r\n{trailers}\r\n")));
                parts
            }
        }
    }
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    // Bodies that look like messages must not be taken for them.
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 1..300),
        Just(b"GET / HTTP/1.1\r\n\r\n".to_vec()),
        Just(b"\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n".to_vec()),
    ]
}

fn body() -> impl Strategy<Value = Body> {
    let chunked = (
        proptest::collection::vec(bytes(), 0..4),
        prop_oneof![Just(""), Just(";a=b;c=\"d\""), Just(" ; x")],
        prop_oneof![
            Just(""),
            Just("Expires: never\r\n"),
            Just("A: b\r\nC: d\r\n")
        ],
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

/// A request and its response, as two turns, each with what is to be told of it.
type Exchange = [(Turn, Vec<String>); 2];

const METHODS: [&str; 10] = [
    "GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "PROPFIND", "HEAD", "CONNECT",
];

fn exchange() -> impl Strategy<Value = Exchange> {
    let interim = prop_oneof![
        Just(""),
        Just("HTTP/1.1 100 Continue\r\n\r\n"),
        Just("HTTP/1.1 103 Hints\r\nLink: a\r\n\r\n"),
    ];
    let status = proptest::sample::select(vec![200_u16, 204, 304, 404, 500, 999]);
    let method = proptest::sample::select(METHODS.to_vec());
    (method, status, interim, body(), body(), any::<bool>()).prop_map(
        |(method, status, interim, asked, answered, is_old)| {
            // A tunnel would end the conversation; it has a test of its own.
            let (target, status) = if method == "CONNECT" {
                ("h:1", 404)
            } else {
                ("/a?b=c", status)
            };
            let has_chunks = matches!(asked, Body::Chunked { .. });
            let version = if is_old && !has_chunks { "1.0" } else { "1.1" };
            let head = format!(
                "{method} {target} HTTP/{version}\r\nHost: h\r\n{}\r\n",
                asked.field()
            );
            let request = [vec![framing(head)], asked.parts()].concat();
            let answered = answered.with_end();
            let head = format!("{interim}HTTP/1.1 {status} Why\r\n{}\r\n", answered.field());
            let mut response = vec![framing(head)];
            if method != "HEAD" && !matches!(status, 204 | 304) {
                response.extend(answered.parts());
            }
            let told_request = ["(", &format!("{method} {target} h {version}"), ")"];
            let told_response = ["[", &status.to_string(), "]"];
            [
                (
                    (Speaker::Client, request),
                    told_request.map(str::to_owned).to_vec(),
                ),
                (
                    (Speaker::Server, response),
                    told_response.map(str::to_owned).to_vec(),
                ),
            ]
        },
    )
}

/// Exchanges, in alternation or all requests first.
fn conversation() -> impl Strategy<Value = (Vec<Turn>, Vec<String>)> {
    (proptest::collection::vec(exchange(), 1..6), any::<bool>()).prop_map(
        |(exchanges, is_pipelined)| {
            let mut order: Vec<_> = exchanges.into_iter().flatten().collect();
            if is_pipelined {
                order.sort_by_key(|((speaker, _), _)| *speaker == Speaker::Server);
            }
            let (turns, told): (_, Vec<_>) = order.into_iter().unzip();
            (turns, told.concat())
        },
    )
}

/// A reader and what it told.
struct Reading {
    reader: Box<dyn Protocol>,
    steps: Vec<String>,
    consumed: Consumed,
}

impl Reading {
    fn new() -> Self {
        let reader = (http1::KIND.reader)(Start::Beginning);
        Self {
            reader,
            steps: Vec::new(),
            consumed: Consumed::default(),
        }
    }

    fn read(&mut self, speaker: Speaker, piece: Piece<'_>) {
        let steps = &mut self.steps;
        let consumed = self
            .reader
            .read(speaker, piece, &mut |message| steps.push(text(message)));
        let Consumed {
            parsed_bytes,
            skipped_bytes,
            lost_bytes,
            opaque_bytes,
        } = consumed;
        let length = match piece {
            Piece::Bytes(bytes) => bytes.len() as u64,
            Piece::Unseen(bytes) | Piece::Lost(bytes) => bytes,
        };
        assert_eq!(
            parsed_bytes + skipped_bytes + lost_bytes + opaque_bytes,
            length
        );
        self.consumed.parsed_bytes += parsed_bytes;
        self.consumed.skipped_bytes += skipped_bytes;
        self.consumed.lost_bytes += lost_bytes;
        self.consumed.opaque_bytes += opaque_bytes;
    }

    /// Reads what was gathered of one speaker, cut.
    fn read_cut(
        &mut self,
        speaker: Speaker,
        gathered: &mut Vec<u8>,
        cuts: &mut impl Iterator<Item = usize>,
    ) {
        let mut rest = std::mem::take(gathered);
        while !rest.is_empty() {
            let cut = cuts
                .next()
                .map_or(rest.len(), |cut| cut.clamp(1, rest.len()));
            let behind = rest.split_off(cut);
            self.read(speaker, Piece::Bytes(&rest));
            rest = behind;
        }
    }
}

fn text(message: Message<'_>) -> String {
    match message.step {
        Step::RequestStarted => "(".to_owned(),
        Step::Request(Request::Http {
            method,
            target,
            host,
            version,
        }) => {
            let [method, target, host] = [method, target, host].map(<[u8]>::escape_ascii);
            format!("{method} {target} {host} {version}")
        }
        Step::RequestEnded => ")".to_owned(),
        Step::ResponseStarted => "[".to_owned(),
        Step::Response(Response::Http { status }) => status.to_string(),
        Step::ResponseEnded => "]".to_owned(),
        other => format!("{other:?}"),
    }
}

/// Reads the turns in pieces: neighbours with one speaker merged, then cut; a body's last two thirds
/// are unseen where `unseen` says so.
fn read_in_pieces(turns: &[Turn], cuts: &[usize], unseen: &[bool]) -> Reading {
    let mut reading = Reading::new();
    let (mut cuts, mut unseen) = (cuts.iter().copied().cycle(), unseen.iter().cycle());
    let (mut last, mut gathered) = (Speaker::Client, Vec::new());
    for (speaker, parts) in turns {
        if last != *speaker {
            reading.read_cut(last, &mut gathered, &mut cuts);
            last = *speaker;
        }
        for part in parts {
            gathered.extend_from_slice(part.bytes());
            if let Part::Body(bytes) = part
                && unseen.next() == Some(&true)
            {
                let hidden = bytes.len() - bytes.len() / 3;
                gathered.truncate(gathered.len() - hidden);
                reading.read_cut(last, &mut gathered, &mut cuts);
                assert_eq!(reading.reader.needless_bytes(last), hidden as u64);
                reading.read(last, Piece::Unseen(hidden as u64));
            }
        }
    }
    reading.read_cut(last, &mut gathered, &mut cuts);
    let steps = &mut reading.steps;
    reading
        .reader
        .close(&mut |message| steps.push(text(message)));
    reading
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rule_07_cuts_and_merges_change_nothing(
        (turns, expected) in conversation(),
        cuts in proptest::collection::vec(prop_oneof![1_usize..4, 1_usize..200, Just(usize::MAX)], 1..40),
    ) {
        let whole = read_in_pieces(&turns, &[], &[]);
        prop_assert_eq!(&whole.steps, &expected);
        prop_assert_eq!(whole.consumed.lost_bytes, 0);
        let cut = read_in_pieces(&turns, &cuts, &[]);
        prop_assert_eq!(&cut.steps, &expected);
        prop_assert_eq!(cut.consumed, whole.consumed);
    }

    #[test]
    fn rule_08_what_is_not_captured_changes_nothing(
        (turns, expected) in conversation(),
        cuts in proptest::collection::vec(1_usize..200, 1..40),
        unseen in proptest::collection::vec(any::<bool>(), 1..20),
    ) {
        let whole = read_in_pieces(&turns, &[], &[]);
        let partly = read_in_pieces(&turns, &cuts, &unseen);
        prop_assert_eq!(partly.steps, expected);
        prop_assert_eq!(partly.consumed, whole.consumed);
    }

    #[test]
    fn rule_10_tunnels_are_opaque(
        (turns, mut expected) in conversation(),
        cut in 1_usize..60,
        is_connect in any::<bool>(),
    ) {
        let (method, target, status) =
            if is_connect { ("CONNECT", "h:1", "200") } else { ("GET", "/w", "101") };
        let request = format!("{method} {target} HTTP/1.1\r\nHost: h\r\n\r\n");
        let response = format!("HTTP/1.1 {status} Go\r\nContent-Length: 5\r\n\r\n");
        let mut all = turns.clone();
        all.push((Speaker::Client, vec![framing(request)]));
        all.push((Speaker::Server, vec![framing(response)]));
        // The same conversation in the tunnel is nobody's business.
        all.extend(turns);
        let told = ["(", &format!("{method} {target} h 1.1"), ")", "[", status, "]", "Upgraded"];
        expected.extend(told.map(str::to_owned));
        prop_assert_eq!(read_in_pieces(&all, &[cut], &[]).steps, expected);
    }

    /// Whatever goes missing, a response is never told for a request that it does not answer: each
    /// status names its request. And whatever went missing, the second exchange after it is told.
    #[test]
    fn rule_22_holes_never_pair_wrongly(
        holes in proptest::collection::vec(0_u8..8, 28),
        bodies in proptest::collection::vec(body(), 14),
    ) {
        let mut reading = Reading::new();
        for (number, body) in bodies.into_iter().enumerate() {
            let head = format!("POST /{number} HTTP/1.1\r\n{}\r\n", body.field());
            let request = [vec![framing(head)], body.parts()].concat();
            let body = body.with_end();
            let head = format!("HTTP/1.1 {} X\r\n{}\r\n", 600 + number, body.field());
            let response = [vec![framing(head)], body.parts()].concat();
            // The last two exchanges are whole.
            let hole = |side: usize| if number < 12 { holes[2 * number + side] } else { 7 };
            for (speaker, parts, hole) in
                [(Speaker::Client, request, hole(0)), (Speaker::Server, response, hole(1))]
            {
                let bytes: Vec<u8> = parts.iter().flat_map(Part::bytes).copied().collect();
                let (start, rest) = bytes.split_at(bytes.len() / 2);
                match hole {
                    0 => reading.read(speaker, Piece::Lost(bytes.len() as u64)),
                    1 => reading.read(speaker, Piece::Unseen(bytes.len() as u64)),
                    2 => {
                        reading.read(speaker, Piece::Bytes(start));
                        reading.read(speaker, Piece::Lost(rest.len() as u64));
                    }
                    3 => {
                        reading.read(speaker, Piece::Lost(start.len() as u64));
                        reading.read(speaker, Piece::Bytes(rest));
                    }
                    _ => reading.read(speaker, Piece::Bytes(&bytes)),
                }
            }
        }
        check_pairs(&reading.steps)?;
        let last = reading.steps.iter().rev().nth(1).map(String::as_str);
        prop_assert_eq!(last, Some("613"), "{:?}", reading.steps);
    }
}

/// Pairs as the next stage does, and compares each pair's numbers.
fn check_pairs(steps: &[String]) -> Result<(), TestCaseError> {
    let mut open = VecDeque::new();
    for step in steps {
        if let Some(rest) = step.strip_prefix("POST /") {
            open.push_back(rest.split(' ').next().unwrap_or_default().to_owned());
        } else if step.starts_with("Lost") {
            open.clear();
        } else if let Ok(status) = step.parse::<usize>()
            && let Some(number) = open.pop_front()
        {
            prop_assert_eq!(number, (status - 600).to_string(), "{:?}", steps);
        }
    }
    Ok(())
}
