//! One speaker's place in its messages, and how pieces of a body move it.

use super::chunked::{Chunked, Progress};
use super::head::{Body, HeadBuffer};
use crate::protocol::{Consumed, Loss, Piece};

/// Where a speaker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The connection was taken up in the middle and nothing was recognised yet (responses only).
    Unknown,
    /// Between two messages.
    Between,
    /// In a head.
    Head,
    /// In a body of which this much is left; never 0.
    Length(u64),
    /// In a chunked body.
    Chunked(Chunked),
    /// In a response's body that has no end of its own: its length was never said, or its chunks
    /// were lost sight of. The next request or the connection's end tells where it ended.
    UntilNext,
}

/// What one speaker has under way.
#[derive(Debug)]
pub(super) struct Side {
    pub(super) place: Place,
    pub(super) buffer: HeadBuffer,
}

/// Where a piece brought a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moved {
    /// It goes on.
    On,
    /// It ended.
    Ended,
    /// Framing was needed where bytes are missing.
    Blind(Loss),
    /// The bytes break the rules.
    Broken(Loss),
}

impl Side {
    pub(super) const fn new(place: Place) -> Self {
        Self {
            place,
            buffer: HeadBuffer::new(),
        }
    }

    /// The place behind a head; `false` if the message ends with it.
    pub(super) fn enter(&mut self, body: Body) -> bool {
        self.place = match body {
            Body::None => Place::Between,
            Body::Length(bytes) => Place::Length(bytes),
            Body::Chunked => Place::Chunked(Chunked::new()),
            Body::UntilClose => Place::UntilNext,
        };
        body != Body::None
    }

    /// Is the head of a message behind, and its end ahead?
    pub(super) const fn is_in_body(&self) -> bool {
        matches!(
            self.place,
            Place::Length(_) | Place::Chunked(_) | Place::UntilNext
        )
    }

    /// How much of what comes next is certainly body.
    pub(super) const fn needless_bytes(&self) -> u64 {
        match &self.place {
            Place::Length(left) => *left,
            Place::Chunked(chunked) => chunked.data_left(),
            _ => 0,
        }
    }

    /// Moves through the body with the beginning of `piece`.
    ///
    /// Bytes of a body that were lost count as lost, although the reader knows what they were: the
    /// place is kept all the same.
    pub(super) fn read_body(&mut self, piece: Piece<'_>) -> (Consumed, Moved) {
        match (&mut self.place, piece) {
            (Place::Length(left), _) => {
                let taken = piece.length_bytes().min(*left);
                *left -= taken;
                let moved = if *left == 0 { Moved::Ended } else { Moved::On };
                (body_bytes(piece, taken), moved)
            }
            (Place::Chunked(chunked), Piece::Bytes(bytes)) => {
                let (consumed, progress) = chunked.read(bytes);
                let moved = match progress {
                    Progress::More => Moved::On,
                    Progress::Ended => Moved::Ended,
                    Progress::Broken(loss) => Moved::Broken(loss),
                };
                (consumed, moved)
            }
            (Place::Chunked(chunked), Piece::Unseen(bytes) | Piece::Lost(bytes)) => {
                let taken = chunked.skip(bytes);
                let moved = if taken == bytes {
                    Moved::On
                } else {
                    Moved::Blind(missing(piece))
                };
                (body_bytes(piece, taken), moved)
            }
            (Place::UntilNext, _) => (body_bytes(piece, piece.length_bytes()), Moved::On),
            (Place::Unknown | Place::Between | Place::Head, _) => {
                (Consumed::default(), Moved::Broken(Loss::Malformed))
            }
        }
    }
}

/// A piece without its first `taken` bytes.
pub(super) fn behind(piece: Piece<'_>, taken: u64) -> Piece<'_> {
    match piece {
        Piece::Bytes(bytes) => {
            let taken = usize::try_from(taken).unwrap_or(usize::MAX);
            Piece::Bytes(bytes.get(taken..).unwrap_or_default())
        }
        Piece::Unseen(bytes) => Piece::Unseen(bytes.saturating_sub(taken)),
        Piece::Lost(bytes) => Piece::Lost(bytes.saturating_sub(taken)),
    }
}

/// The loss that follows if framing was in this piece.
pub(super) const fn missing(piece: Piece<'_>) -> Loss {
    match piece {
        Piece::Bytes(_) => Loss::Malformed,
        Piece::Unseen(_) => Loss::Unseen,
        Piece::Lost(_) => Loss::Gap,
    }
}

fn body_bytes(piece: Piece<'_>, taken: u64) -> Consumed {
    match piece {
        Piece::Bytes(_) | Piece::Unseen(_) => Consumed {
            skipped_bytes: taken,
            ..Consumed::default()
        },
        Piece::Lost(_) => Consumed {
            lost_bytes: taken,
            ..Consumed::default()
        },
    }
}

pub(super) fn parsed(bytes: usize) -> Consumed {
    Consumed {
        parsed_bytes: bytes as u64,
        ..Consumed::default()
    }
}

pub(super) fn lost(bytes: u64) -> Consumed {
    Consumed {
        lost_bytes: bytes,
        ..Consumed::default()
    }
}

pub(super) fn total(consumed: Consumed) -> u64 {
    let Consumed {
        parsed_bytes,
        skipped_bytes,
        lost_bytes,
        opaque_bytes,
    } = consumed;
    parsed_bytes + skipped_bytes + lost_bytes + opaque_bytes
}

pub(super) fn sum(left: Consumed, right: Consumed) -> Consumed {
    Consumed {
        parsed_bytes: left.parsed_bytes + right.parsed_bytes,
        skipped_bytes: left.skipped_bytes + right.skipped_bytes,
        lost_bytes: left.lost_bytes + right.lost_bytes,
        opaque_bytes: left.opaque_bytes + right.opaque_bytes,
    }
}
