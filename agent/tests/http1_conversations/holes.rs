//! What goes missing in a conversation makes no wrong pairs.

use crate::cases;
use crate::plan::{Body, body};
use crate::reader::Reading;
use proptest::prelude::*;
use sockmeter::protocol::{Piece, Speaker};
use std::collections::VecDeque;

/// A body's bytes.
fn body_bytes(body: &Body) -> Vec<u8> {
    match body {
        Body::None => Vec::new(),
        Body::Length(bytes) => bytes.clone(),
        Body::Chunked {
            chunks,
            extension,
            trailers,
        } => {
            let mut bytes = Vec::new();
            for chunk in chunks {
                bytes.extend(format!("{:x}{extension}\r\n", chunk.len()).bytes());
                bytes.extend(chunk);
                bytes.extend(b"\r\n");
            }
            bytes.extend(format!("0{extension}\r\n{trailers}\r\n").bytes());
            bytes
        }
    }
}

proptest! {
    #![proptest_config(cases(400))]

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
            let request = [head.into_bytes(), body_bytes(&body)].concat();
            let body = body.with_end();
            let head = format!("HTTP/1.1 {} X\r\n{}\r\n", 600 + number, body.field());
            let response = [head.into_bytes(), body_bytes(&body)].concat();
            // The last two exchanges are whole.
            let hole = |side: usize| if number < 12 { holes[2 * number + side] } else { 7 };
            for (speaker, bytes, hole) in
                [(Speaker::Client, request, hole(0)), (Speaker::Server, response, hole(1))]
            {
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
