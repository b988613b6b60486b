//! Any bytes through a protocol's reader: what must hold whatever a peer sends.

use sockmeter::protocol::{
    Consumed, Kind, Message, Piece, RECOGNITION_BYTES_MAX, Recognition, Speaker, Start, Step,
};

/// More steps than one byte can end and begin.
const STEPS_PER_BYTE_MAX: u64 = 8;

/// Takes `script` for pieces, feeds them to a reader of `kind` and panics where a rule is broken:
/// each piece is accounted for to the byte, the steps come in an order that pairing can follow,
/// recognition never changes its mind, and the same script tells the same story.
///
/// A piece is a byte that says who speaks (bit 0) and what is told (bits 1 and 2: 0 and 1 bytes, 2 unseen,
/// 3 lost), a byte of length, and the bytes if there are any. With bit 3 the length is times 65536
/// for what is not seen; with bit 4 the piece goes on to the next line end of the script, so that
/// seeds can be written by hand.
pub fn check(kind: &Kind, script: &[u8]) {
    let told = run(kind, script);
    assert_eq!(
        told,
        run(kind, script),
        "a reader's story depends on its script alone"
    );
}

fn run(kind: &Kind, script: &[u8]) -> Vec<String> {
    let mut reader = (kind.reader)(Start::Beginning);
    assert_eq!(reader.name(), kind.name);
    let mut order = Order::default();
    let mut told = Vec::new();
    let mut rest = script;
    while let Some((speaker, piece, behind)) = next_piece(rest) {
        rest = behind;
        if let Piece::Bytes(bytes) = piece {
            check_recognition(kind, speaker, bytes);
        }
        let told_before = told.len();
        let consumed = reader.read(speaker, piece, &mut |message| {
            message.parts().for_each(|part| order.check(&part));
            told.extend(message.parts().map(|part| format!("{part:?}")));
        });
        let length = length(piece);
        let Consumed {
            parsed_bytes,
            skipped_bytes,
            lost_bytes,
            opaque_bytes,
        } = consumed;
        assert_eq!(
            parsed_bytes + skipped_bytes + lost_bytes + opaque_bytes,
            length,
            "{piece:?}: {consumed:?}"
        );
        if !matches!(piece, Piece::Bytes(_)) {
            assert_eq!(parsed_bytes, 0, "what was not seen cannot be parsed");
        }
        let steps = (told.len() - told_before) as u64;
        assert!(
            steps <= length.saturating_mul(STEPS_PER_BYTE_MAX),
            "{steps} steps of {length} bytes"
        );
        let _ = reader
            .needless_bytes(Speaker::Client)
            .max(reader.needless_bytes(Speaker::Server));
    }
    reader.close(&mut |message| {
        message.parts().for_each(|part| order.check(&part));
        told.extend(message.parts().map(|part| format!("{part:?}")));
    });
    told
}

fn next_piece(script: &[u8]) -> Option<(Speaker, Piece<'_>, &[u8])> {
    let (&[what, length], rest) = script.split_first_chunk::<2>()?;
    let speaker = if what & 1 == 0 {
        Speaker::Client
    } else {
        Speaker::Server
    };
    let hidden_bytes = u64::from(length) << if what & 8 == 0 { 0 } else { 16 };
    match (what >> 1) & 3 {
        2 => Some((speaker, Piece::Unseen(hidden_bytes), rest)),
        3 => Some((speaker, Piece::Lost(hidden_bytes), rest)),
        _ => {
            let line_end = rest
                .iter()
                .skip(usize::from(length))
                .position(|&byte| byte == b'\n');
            let length = match line_end {
                Some(more) if what & 16 != 0 => usize::from(length) + more + 1,
                _ => usize::from(length),
            };
            let (bytes, rest) = rest.split_at(length.min(rest.len()));
            Some((speaker, Piece::Bytes(bytes), rest))
        }
    }
}

fn length(piece: Piece<'_>) -> u64 {
    match piece {
        Piece::Bytes(bytes) => bytes.len() as u64,
        Piece::Unseen(bytes) | Piece::Lost(bytes) => bytes,
    }
}

/// More bytes turn `NeedMore` into a verdict, which then stays, and is found within the limit.
fn check_recognition(kind: &Kind, speaker: Speaker, bytes: &[u8]) {
    let mut verdict = Recognition::NeedMore;
    for end in 0..=bytes.len().min(RECOGNITION_BYTES_MAX + 1) {
        let next = (kind.recognise)(speaker, bytes.get(..end).unwrap_or_default());
        assert!(
            verdict == Recognition::NeedMore || next == verdict,
            "{verdict:?}, then {next:?}"
        );
        assert!(end < RECOGNITION_BYTES_MAX || next != Recognition::NeedMore);
        verdict = next;
    }
}

/// The order of steps without streams.
#[derive(Default)]
struct Order {
    /// A request has begun, and its head or its end is to come.
    is_in_request: bool,
    /// A request's head is complete, its end to come.
    is_in_request_body: bool,
    /// A response has begun.
    is_in_response: bool,
    /// A response's head is complete.
    is_in_response_body: bool,
    /// Nothing may follow.
    is_over: bool,
}

impl Order {
    fn check(&mut self, message: &Message<'_>) {
        let step = &message.step;
        assert!(!self.is_over, "{step:?} after an upgrade");
        if message.stream != 0 {
            return;
        }
        let (is_legal, next) = match step {
            Step::RequestStarted => (
                !self.is_in_request,
                Self {
                    is_in_request: true,
                    ..*self
                },
            ),
            Step::Request(_) => (
                self.is_in_request && !self.is_in_request_body,
                Self {
                    is_in_request_body: true,
                    ..*self
                },
            ),
            Step::RequestEnded => (
                self.is_in_request_body,
                Self {
                    is_in_request: false,
                    is_in_request_body: false,
                    ..*self
                },
            ),
            Step::ResponseStarted => (
                !self.is_in_response,
                Self {
                    is_in_response: true,
                    ..*self
                },
            ),
            Step::Response(_) => (
                self.is_in_response && !self.is_in_response_body,
                Self {
                    is_in_response_body: true,
                    ..*self
                },
            ),
            Step::ResponseEnded | Step::ResponseEndedBefore | Step::ResponseEndLost => (
                self.is_in_response_body,
                Self {
                    is_in_response: false,
                    is_in_response_body: false,
                    ..*self
                },
            ),
            Step::Upgraded => (
                !self.is_in_response,
                Self {
                    is_over: true,
                    ..*self
                },
            ),
            Step::WholeRequest(_) | Step::WholeResponse(_) => (false, Self::default()),
            Step::Lost(_) => (true, Self::default()),
        };
        assert!(is_legal, "{step:?} out of order");
        *self = next;
    }
}
