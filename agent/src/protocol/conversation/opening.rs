//! The first bytes of a connection: kept until they tell a protocol.

use super::Moment;
use crate::protocol::{ALL, RECOGNITION_BYTES_MAX, Recognition, Speaker};

/// The first bytes of one direction, kept until they suffice.
#[derive(Clone, Copy, Default)]
pub(super) struct Opening {
    pub(super) bytes: [u8; RECOGNITION_BYTES_MAX],
    pub(super) length: usize,
    pub(super) moment: Moment,
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
