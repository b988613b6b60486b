//! The first bytes of a connection: kept until they tell a protocol.

use super::{
    Account, Conversation, Heard, Moment, Reading, State,
    account::{decided, lost, of, opaque, unrecognised, unrecognised_bytes},
    role_of, speaker,
};
use crate::{
    connections::Direction,
    protocol::{ALL, Piece, RECOGNITION_BYTES_MAX, Recognition, Speaker, Start},
};

/// The first bytes of one direction, kept until they suffice.
#[derive(Clone, Copy, Default)]
pub(super) struct Opening {
    pub(super) bytes: [u8; RECOGNITION_BYTES_MAX],
    pub(super) length: usize,
    pub(super) moment: Moment,
}

impl Opening {
    /// Puts as many bytes behind those that are kept as there is room for; tells how many they are then. It is the
    /// caller's to say whether they are kept.
    fn fill(&mut self, more: &[u8]) -> usize {
        let room = self.bytes.get_mut(self.length..).unwrap_or_default();
        for (to, from) in room.iter_mut().zip(more) {
            *to = *from;
        }
        self.length + room.len().min(more.len())
    }
}

/// What the opening bytes say, over all protocols.
pub(super) enum Verdict {
    Is(usize),
    Tls,
    Nothing,
    NeedMore,
}

/// A TLS handshake record of any version (RFC 8446, section 5.1).
fn is_tls(opening: &[u8]) -> bool {
    opening.starts_with(&[0x16, 0x03])
}

pub(super) fn recognise(speaker: Speaker, opening: &[u8]) -> Verdict {
    if is_tls(opening) {
        return Verdict::Tls;
    }
    let mut verdict = if opening == [0x16] {
        Verdict::NeedMore
    } else {
        Verdict::Nothing
    };
    for (index, kind) in ALL.iter().enumerate() {
        match (kind.recognise)(speaker, opening) {
            Recognition::Yes => return Verdict::Is(index),
            Recognition::NeedMore => verdict = Verdict::NeedMore,
            Recognition::No => {}
        }
    }
    verdict
}

impl Conversation {
    /// Collects opening bytes until they tell a protocol.
    pub(super) fn open(
        &mut self,
        direction: Direction,
        piece: Piece<'_>,
        moment: Moment,
        emit: &mut impl FnMut(&Heard<'_>),
    ) -> Reading {
        let kept_bytes = self.kept_bytes();
        let State::Opening {
            openings: [receive, transmit],
            spare: _,
        } = &mut self.state
        else {
            return Reading::of(unrecognised(piece));
        };
        let Piece::Bytes(bytes) = piece else {
            return self.miss(direction, piece, kept_bytes);
        };
        // Who asks first is the client.
        let speaker = speaker(self.role, direction).unwrap_or(Speaker::Client);
        let opening = match direction {
            Direction::Receive => receive,
            Direction::Transmit => transmit,
        };
        let before_bytes = opening.length;
        // Nearly always the first bytes tell at once, where they lie.
        let (verdict, seen_bytes) = if before_bytes == 0 {
            let first = bytes.get(..RECOGNITION_BYTES_MAX).unwrap_or(bytes);
            (recognise(speaker, first), first.len())
        } else {
            let seen_bytes = opening.fill(bytes);
            let seen = opening.bytes.get(..seen_bytes).unwrap_or_default();
            (recognise(speaker, seen), seen_bytes)
        };
        let (moved, before) = match verdict {
            Verdict::NeedMore if seen_bytes < RECOGNITION_BYTES_MAX => {
                if before_bytes == 0 {
                    opening.moment = moment;
                }
                opening.length = opening.fill(bytes);
                return Reading::default();
            }
            Verdict::Is(index) => {
                let kept = self.known(index, speaker, direction, kept_bytes, emit);
                return Reading {
                    moved: self.read(direction, piece, moment, emit).moved,
                    kept,
                };
            }
            Verdict::Tls => {
                self.state = State::Opaque;
                (opaque(piece.length_bytes()), opaque(before_bytes as u64))
            }
            Verdict::Nothing | Verdict::NeedMore => {
                self.state = State::Unrecognised;
                (unrecognised(piece), unrecognised_bytes(before_bytes as u64))
            }
        };
        Reading {
            moved,
            kept: Some(decided(kept_bytes, direction, before)),
        }
    }

    /// The beginning was missed: from here it is as if joined in the middle.
    fn miss(&mut self, direction: Direction, piece: Piece<'_>, kept_bytes: [u64; 2]) -> Reading {
        let [receive, transmit] = kept_bytes;
        let before_bytes = match direction {
            Direction::Receive => receive,
            Direction::Transmit => transmit,
        };
        self.state = State::joined();
        Reading {
            moved: lost(piece.length_bytes()),
            kept: Some(decided(kept_bytes, direction, lost(before_bytes))),
        }
    }

    /// It is known which protocol this is by what `speaker` says: reads what was kept until now.
    fn known(
        &mut self,
        index: usize,
        speaker: Speaker,
        direction: Direction,
        kept_bytes: [u64; 2],
        emit: &mut impl FnMut(&Heard<'_>),
    ) -> Option<[Account; 2]> {
        self.role = role_of(speaker, direction);
        let openings = match &self.state {
            State::Opening { openings, spare: _ } if kept_bytes != [0; 2] => Some(*openings),
            _ => None,
        };
        self.begin(index, Start::Beginning);
        let [receive, transmit] = openings?;
        let (kept, other) = match direction {
            Direction::Receive => (receive, transmit),
            Direction::Transmit => (transmit, receive),
        };
        let mut accounts = decided(kept_bytes, direction, Account::default());
        // What is answered before it tells a protocol is of the protocol of the answer.
        if speaker == Speaker::Server {
            let other_direction = direction.opposite();
            *of(&mut accounts, other_direction) = self.read_kept(other_direction, other, emit);
        }
        *of(&mut accounts, direction) = self.read_kept(direction, kept, emit);
        Some(accounts)
    }

    fn read_kept(
        &mut self,
        direction: Direction,
        kept: Opening,
        emit: &mut impl FnMut(&Heard<'_>),
    ) -> Account {
        match kept.bytes.get(..kept.length) {
            None | Some([]) => Account::default(),
            Some(bytes) => {
                let piece = Piece::Bytes(bytes);
                self.read(direction, piece, kept.moment, emit).moved
            }
        }
    }
}
