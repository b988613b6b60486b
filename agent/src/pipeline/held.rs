//! The bytes that are kept for recognition: who moved them, where a connection changes hands before it is recognised,
//! and that they have no outcome until then.

use super::account::tell_account;
use crate::{
    connections::Direction,
    protocol::conversation::Account,
    series::{ProcessKey, Series},
};

/// What the connection's earlier processes moved of the bytes that are kept; the rest is its present one's.
/// Each has a byte of its own at least, so there are no more of them than bytes are kept.
#[derive(Debug, Default)]
pub(super) struct Held(Vec<Share>);

#[derive(Debug)]
struct Share {
    process: ProcessKey,
    direction: Direction,
    bytes: u64,
}

impl Held {
    /// `process` moved bytes that are kept from now on.
    pub(super) fn keep(series: &mut Series, process: ProcessKey, direction: Direction, bytes: u64) {
        if bytes > 0 {
            series.payload_pending(process, direction, bytes.cast_signed());
        }
    }

    /// `process` gives the connection away while so many bytes are kept, received ones first.
    pub(super) fn hand_over(&mut self, process: ProcessKey, kept_bytes: [u64; 2]) {
        for (direction, kept) in Direction::BOTH.into_iter().zip(kept_bytes) {
            let others = self.0.iter().filter(|share| share.direction == direction);
            let others: u64 = others.map(|share| share.bytes).sum();
            let bytes = kept.saturating_sub(others);
            if bytes > 0 {
                self.0.push(Share {
                    process,
                    direction,
                    bytes,
                });
            }
        }
    }

    /// It was decided what the kept bytes are: counts them for those who moved them. `process` has the connection.
    pub(super) fn tell(
        &mut self,
        series: &mut Series,
        process: ProcessKey,
        protocol: &'static str,
        kept: [Account; 2],
    ) {
        let shares = std::mem::take(&mut self.0);
        for (direction, mut account) in Direction::BOTH.into_iter().zip(kept) {
            for share in shares.iter().filter(|share| share.direction == direction) {
                let part = account.take(share.bytes);
                settle(series, share.process, protocol, direction, part);
            }
            settle(series, process, protocol, direction, account);
        }
    }
}

/// Kept bytes have an outcome.
fn settle(
    series: &mut Series,
    process: ProcessKey,
    protocol: &'static str,
    direction: Direction,
    account: Account,
) {
    if account.bytes() > 0 {
        series.payload_pending(process, direction, -account.bytes().cast_signed());
        tell_account(series, process, protocol, direction, account);
    }
}
