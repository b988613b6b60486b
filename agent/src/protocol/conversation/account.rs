//! Where the bytes of a piece went.

use crate::{
    connections::Direction,
    protocol::{Consumed, Piece},
};

/// Where bytes of one direction went, by the `outcome` label.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// What the protocol made of them.
    pub consumed: Consumed,
    /// Bytes of no protocol that is known.
    pub unrecognised_bytes: u64,
}

impl Account {
    /// All of them.
    pub fn bytes(&self) -> u64 {
        let Self {
            consumed,
            unrecognised_bytes,
        } = *self;
        let Consumed {
            parsed_bytes,
            skipped_bytes,
            lost_bytes,
            opaque_bytes,
        } = consumed;
        parsed_bytes + skipped_bytes + lost_bytes + opaque_bytes + unrecognised_bytes
    }

    /// Adds another one's bytes.
    pub fn add(&mut self, more: Self) {
        let Self {
            consumed,
            unrecognised_bytes,
        } = more;
        let Consumed {
            parsed_bytes,
            skipped_bytes,
            lost_bytes,
            opaque_bytes,
        } = consumed;
        self.consumed.parsed_bytes += parsed_bytes;
        self.consumed.skipped_bytes += skipped_bytes;
        self.consumed.lost_bytes += lost_bytes;
        self.consumed.opaque_bytes += opaque_bytes;
        self.unrecognised_bytes += unrecognised_bytes;
    }

    /// Takes up to `bytes` out of it. What was kept for recognition nearly always went one way; if not,
    /// a reader reads before it loses its place.
    pub fn take(&mut self, bytes: u64) -> Self {
        let mut left = bytes;
        let mut take = |from: &mut u64| {
            let taken = left.min(*from);
            *from -= taken;
            left -= taken;
            taken
        };
        let Self {
            consumed,
            unrecognised_bytes,
        } = self;
        let Consumed {
            parsed_bytes,
            skipped_bytes,
            lost_bytes,
            opaque_bytes,
        } = consumed;
        Self {
            consumed: Consumed {
                parsed_bytes: take(parsed_bytes),
                skipped_bytes: take(skipped_bytes),
                opaque_bytes: take(opaque_bytes),
                lost_bytes: take(lost_bytes),
            },
            unrecognised_bytes: take(unrecognised_bytes),
        }
    }
}

/// What a piece told: where its bytes went, and those that were kept for recognition until now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// The piece's own bytes; nothing if they are kept from now on.
    pub moved: Account,
    /// The bytes that were kept, received ones first, if it was decided what they are.
    pub kept: Option<[Account; 2]>,
}

impl Reading {
    /// A piece for which nothing had been kept.
    pub(super) fn of(moved: Account) -> Self {
        Self { moved, kept: None }
    }
}

/// Of kept bytes, received ones first: `account` tells of those that go the way of the piece that decided; what the
/// other side had said does not become part of it.
pub(super) fn decided(
    kept_bytes: [u64; 2],
    direction: Direction,
    account: Account,
) -> [Account; 2] {
    let [receive, transmit] = kept_bytes.map(unrecognised_bytes);
    match direction {
        Direction::Receive => [account, transmit],
        Direction::Transmit => [receive, account],
    }
}

/// That of a direction.
pub(super) fn of(accounts: &mut [Account; 2], direction: Direction) -> &mut Account {
    let [receive, transmit] = accounts;
    match direction {
        Direction::Receive => receive,
        Direction::Transmit => transmit,
    }
}

pub(super) fn unrecognised(piece: Piece<'_>) -> Account {
    match piece {
        Piece::Lost(bytes) => lost(bytes),
        piece => unrecognised_bytes(piece.length_bytes()),
    }
}

pub(super) fn unrecognised_bytes(unrecognised_bytes: u64) -> Account {
    Account {
        unrecognised_bytes,
        ..Account::default()
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
