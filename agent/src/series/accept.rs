//! Accept queues: per process and port, summed over the sockets that listen there.

use super::Series;
use super::catalogue::named;
use super::family::{Family, Key, Place};
use super::histogram::Bounds;
use super::labels::push_number;
use super::process::{Owner, Process, ProcessKey};
use crate::hash::FastMap;
use std::sync::Arc;

/// The accept queue of a listening socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AcceptQueue {
    /// Connections that wait.
    pub length: u64,
    /// How many may.
    pub limit: u64,
    /// Packets that the socket dropped since it began to listen.
    pub drops: u64,
}

/// An owner and a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct PortKey {
    owner: u64,
    port: u16,
}

impl Key for PortKey {
    fn owner(&self) -> u64 {
        self.owner
    }
}

/// The metrics of accept queues. They have the same series.
pub(super) struct Accept {
    pub(super) length: Family<PortKey>,
    pub(super) limit: Family<PortKey>,
    pub(super) overflows: Family<PortKey>,
    /// How many sockets listen, and whether their series are in the overflow rows. These stay there to
    /// the end, also when room has come up, so that ups and downs meet.
    sockets: FastMap<PortKey, (usize, Place)>,
}

impl Accept {
    pub(super) fn new(series_max: usize, bounds: &Bounds) -> Self {
        let family = |metric| Family::new(metric, series_max, bounds);
        Self {
            length: family(const { named("sockmeter_accept_queue_length") }),
            limit: family(const { named("sockmeter_accept_queue_limit") }),
            overflows: family(const { named("sockmeter_accept_queue_overflows_total") }),
            sockets: FastMap::default(),
        }
    }

    pub(super) fn each_mut(&mut self) -> [&mut Family<PortKey>; 3] {
        let Self {
            length,
            limit,
            overflows,
            sockets: _,
        } = self;
        [length, limit, overflows]
    }

    fn change(
        &mut self,
        owner: &Arc<Owner>,
        port: u16,
        was: Option<AcceptQueue>,
        is: Option<AcceptQueue>,
    ) {
        let key = PortKey {
            owner: owner.number,
            port,
        };
        let (before, now) = (was.unwrap_or_default(), is.unwrap_or_default());
        // A socket that is gone takes its part of the gauges along; what was counted stays.
        let drops = match is {
            Some(now) => now.drops.saturating_sub(before.drops),
            None => 0,
        };
        let moves = [
            now.length.wrapping_sub(before.length),
            now.limit.wrapping_sub(before.limit),
            drops,
        ];
        let known = self.sockets.get(&key).copied();
        let mut place = known.map_or(Place::Own, |(_, place)| place);
        for (family, change) in self.each_mut().into_iter().zip(moves) {
            let row = if place == Place::Overflow {
                family.overflow_row()
            } else {
                let render = |out: &mut String| push_number(out, "server_port", port);
                let (row, found) = family.row(&key, owner, render);
                place = found.into();
                row
            };
            if let Some(value) = row.first_mut() {
                *value = value.wrapping_add(change);
            }
        }
        let sockets = known.map_or(0, |(sockets, _)| sockets);
        let sockets = sockets + usize::from(is.is_some()) - usize::from(was.is_some());
        if sockets > 0 {
            self.sockets.insert(key, (sockets, place));
            return;
        }
        self.sockets.remove(&key);
        if place == Place::Own {
            for family in self.each_mut() {
                family.remove(&key);
            }
        }
    }
}

impl Series {
    /// A listening socket of a process changed from `was` to `is`; one that begins was nothing before, and one
    /// that ends is nothing now. The series go with the last socket of their process and port.
    pub fn accept_queue(
        &mut self,
        process: ProcessKey,
        port: u16,
        was: Option<AcceptQueue>,
        is: Option<AcceptQueue>,
    ) {
        let Some(Process { owner, .. }) = self.processes.get_mut(process) else {
            return self.late(process);
        };
        self.accept.change(owner, port, was, is);
    }
}
