//! Where exchanges were counted last: most are like one that came shortly before.

use super::family::RowPlace;
use super::process::ProcessKey;
use crate::connections::Role;
use crate::hash::FastHasher;
use crate::records::Address;
use std::hash::Hasher;

/// Kinds of exchanges that are remembered, a power of two. A kind has one cell where it can be, so a peer that
/// asks for ever new targets can make others forgotten, and no more.
const CELLS: usize = 256;

/// Longer targets are not remembered. With [`CELLS`] it bounds the memory, to less than 100 KiB.
const TARGET_BYTES_MAX: usize = 128;

/// Exchanges of one kind are counted in the same series.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind<'a> {
    pub(super) process: ProcessKey,
    pub(super) role: Role,
    pub(super) protocol: &'static str,
    pub(super) method: &'static str,
    pub(super) version: &'static str,
    pub(super) status: u16,
    pub(super) truncated: bool,
    /// A server's: what was asked for. A client's series do not tell it.
    pub(super) target: &'a [u8],
    /// A client's: who was asked.
    pub(super) remote: Option<&'a Address>,
}

/// The series of a kind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rows {
    pub(super) duration: RowPlace,
    pub(super) first_byte: RowPlace,
    /// `None` if none of the kind has told yet when it arrived.
    pub(super) queue: Option<RowPlace>,
}

#[derive(Debug)]
struct Cell {
    process: ProcessKey,
    role: Role,
    protocol: &'static str,
    method: &'static str,
    version: &'static str,
    status: u16,
    truncated: bool,
    target: Vec<u8>,
    remote: Option<Address>,
    rows: Rows,
}

/// What is remembered.
#[derive(Debug, Default)]
pub(super) struct Recent(Vec<Option<Cell>>);

impl Kind<'_> {
    fn cell(&self) -> usize {
        let mut hasher = FastHasher::default();
        hasher.write(self.target);
        if let Some(Address::Inet(remote)) = self.remote {
            hasher.write_u16(remote.port());
        }
        hasher.write_u32(self.process.slot());
        hasher.write_u16(self.status);
        usize::try_from(hasher.finish()).unwrap_or_default() & (CELLS - 1)
    }
}

impl Cell {
    fn is(&self, kind: &Kind<'_>) -> bool {
        // Where one text lies in two places it is only not found.
        self.process == kind.process
            && self.role == kind.role
            && self.status == kind.status
            && self.truncated == kind.truncated
            && std::ptr::eq(self.method, kind.method)
            && std::ptr::eq(self.version, kind.version)
            && std::ptr::eq(self.protocol, kind.protocol)
            && *self.target == *kind.target
            && self.remote.as_ref() == kind.remote
    }
}

impl Recent {
    /// Where the last exchange of a kind was counted.
    pub(super) fn get(&self, kind: &Kind<'_>) -> Option<Rows> {
        let cell = self.0.get(kind.cell())?.as_ref()?;
        cell.is(kind).then_some(cell.rows)
    }

    /// An exchange of a kind was counted there.
    pub(super) fn put(&mut self, kind: &Kind<'_>, rows: Rows) {
        let Kind {
            process,
            role,
            protocol,
            method,
            version,
            status,
            truncated,
            target,
            remote,
        } = *kind;
        if target.len() > TARGET_BYTES_MAX {
            return;
        }
        if self.0.is_empty() {
            self.0.resize_with(CELLS, || None);
        }
        if let Some(cell) = self.0.get_mut(kind.cell()) {
            let mut kept = cell.take().map(|cell| cell.target).unwrap_or_default();
            kept.clear();
            kept.extend_from_slice(target);
            *cell = Some(Cell {
                process,
                role,
                protocol,
                method,
                version,
                status,
                truncated,
                target: kept,
                remote: remote.cloned(),
                rows,
            });
        }
    }
}
