//! What was asked for a moment ago: most exchanges are like one that came shortly before.

use super::family::RowPlace;
use super::process::ProcessKey;
use super::route::template;
use crate::connections::Role;
use crate::exchanges::{Answer, Exchange, Operation};
use crate::hash;
use crate::protocol::Method;
use crate::recent::Recent;
use crate::records::Address;

/// Targets that are remembered.
const TARGETS_MAX: usize = 256;

/// Longer targets are not remembered. With [`TARGETS_MAX`] it bounds the memory, to less than 100 KiB.
const TARGET_BYTES_MAX: usize = 128;

/// Peers and kinds of answers of one client that are remembered.
const CALLS_MAX: usize = 4;

/// What the series of an exchange tell of it, but for its process, its target and its peer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    pub(super) role: Role,
    pub(super) method: Method,
    pub(super) truncated: bool,
    pub(super) status: u16,
    pub(super) version: &'static str,
}

impl Kind {
    pub(super) fn of(exchange: &Exchange<'_>) -> Self {
        let Operation::Http {
            method, version, ..
        } = exchange.operation;
        let Answer::Http { status } = exchange.answer;
        Self {
            role: exchange.role,
            method,
            truncated: exchange.truncated,
            status,
            version,
        }
    }

    /// Where one version's text lies in two places, two of one kind are told apart: then it is only not found.
    fn is(&self, other: &Self) -> bool {
        self.role == other.role
            && self.method == other.method
            && self.truncated == other.truncated
            && self.status == other.status
            && std::ptr::eq(self.version, other.version)
    }
}

/// A target that servers were asked for.
#[derive(Debug, Default)]
pub(super) struct Target {
    pub(super) template: String,
    /// Where it was counted last.
    counted: Option<(ProcessKey, Kind, RowPlace)>,
}

impl Target {
    /// An exchange was counted there, and so will be others like it for as long as rows stand where they are.
    pub(super) fn counted(&mut self, process: ProcessKey, kind: &Kind, place: RowPlace) {
        self.counted = Some((process, *kind, place));
    }
}

/// The targets that are remembered.
#[derive(Debug, Default)]
pub(super) struct Targets {
    recent: Recent<Target, TARGETS_MAX>,
    /// The one at hand, if it is too long to be remembered; kept for its memory.
    long: Target,
}

impl Targets {
    /// Where an exchange of this kind was counted, if it was the last one with this target.
    pub(super) fn place(
        &mut self,
        target: &[u8],
        process: ProcessKey,
        kind: &Kind,
    ) -> Option<RowPlace> {
        let cell = self
            .recent
            .find(hash::of(target), |known| known == target)?;
        let (_, known) = self.recent.get_mut(cell)?;
        let (last, last_kind, place) = known.counted.as_ref()?;
        (*last == process && last_kind.is(kind)).then_some(*place)
    }

    /// A target and its template.
    pub(super) fn get(&mut self, target: &[u8]) -> &mut Target {
        let Self { recent, long } = self;
        let hash = hash::of(target);
        let mut cell = recent.find(hash, |known| known == target);
        if cell.is_none() {
            long.counted = None;
            template(target, &mut long.template);
            if target.len() <= TARGET_BYTES_MAX {
                cell = recent.keep(hash, target);
                if let Some((_, kept)) = cell.and_then(|cell| recent.get_mut(cell)) {
                    kept.template.clone_from(&long.template);
                    kept.counted = None;
                }
            }
        }
        match cell.and_then(|cell| recent.get_mut(cell)) {
            Some((_, known)) => known,
            None => long,
        }
    }
}

/// Where the exchanges of one client were counted last.
#[derive(Debug, Default)]
pub(super) struct Calls {
    recent: Vec<(Address, Kind, RowPlace)>,
    /// The next to be forgotten.
    next: usize,
}

impl Calls {
    /// Where an exchange of this kind with this peer was counted.
    pub(super) fn place(&self, remote: &Address, kind: &Kind) -> Option<RowPlace> {
        let mut recent = self.recent.iter();
        let (_, _, place) = recent.find(|(known, of, _)| of.is(kind) && known == remote)?;
        Some(*place)
    }

    /// It was counted there.
    pub(super) fn counted(&mut self, remote: &Address, kind: &Kind, place: RowPlace) {
        let call = (remote.clone(), *kind, place);
        let same = |(known, of, _): &(Address, Kind, _)| of.is(kind) && known == remote;
        if let Some(known) = self.recent.iter_mut().find(|known| same(known)) {
            *known = call;
        } else if self.recent.len() < CALLS_MAX {
            self.recent.push(call);
        } else if let Some(oldest) = self.recent.get_mut(self.next) {
            *oldest = call;
            self.next = (self.next + 1) % CALLS_MAX;
        }
    }
}
