//! Where the bytes of a piece went.

use crate::protocol::{Consumed, Piece};

/// Where a conversation's bytes went, by the `outcome` label.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// What the protocol made of them.
    pub consumed: Consumed,
    /// Bytes of no protocol that is known.
    pub unrecognised_bytes: u64,
    /// Such bytes of the other direction, which were kept until now.
    pub other_unrecognised_bytes: u64,
}

pub(super) fn length(piece: Piece<'_>) -> u64 {
    match piece {
        Piece::Bytes(bytes) => bytes.len() as u64,
        Piece::Unseen(bytes) | Piece::Lost(bytes) => bytes,
    }
}

pub(super) fn unrecognised(piece: Piece<'_>) -> Account {
    match piece {
        Piece::Lost(bytes) => lost(bytes),
        piece => Account {
            unrecognised_bytes: length(piece),
            ..Account::default()
        },
    }
}

pub(super) fn lost(lost_bytes: u64) -> Account {
    Account {
        consumed: Consumed {
            lost_bytes,
            ..Consumed::default()
        },
        ..Account::default()
    }
}

pub(super) fn opaque(opaque_bytes: u64) -> Account {
    Account {
        consumed: Consumed {
            opaque_bytes,
            ..Consumed::default()
        },
        ..Account::default()
    }
}

pub(super) fn add(to: &mut Account, from: Account) {
    let Account {
        consumed,
        unrecognised_bytes,
        other_unrecognised_bytes,
    } = from;
    let Consumed {
        parsed_bytes,
        skipped_bytes,
        lost_bytes,
        opaque_bytes,
    } = consumed;
    to.consumed.parsed_bytes += parsed_bytes;
    to.consumed.skipped_bytes += skipped_bytes;
    to.consumed.lost_bytes += lost_bytes;
    to.consumed.opaque_bytes += opaque_bytes;
    to.unrecognised_bytes += unrecognised_bytes;
    to.other_unrecognised_bytes += other_unrecognised_bytes;
}
