//! The pipeline: builds the stages and joins them. Read this first.
//!
//! ```text
//! Record -> Connection -> Conversation -> Pairing -> Identity -> Series
//!           two streams   messages        exchanges  labels      counters
//! ```
//!
//! One thread, no clock, no I/O: what comes out depends only on the records that went in, so a
//! recording replays to the same scrape. Data never flows back; the one allowed control is [`Steer`].

mod account;
mod datagrams;
mod held;
mod life;
mod listeners;
mod order;
mod programs;
mod segment;
mod steer;
mod talk;
mod tally;
#[cfg(test)]
mod tests;

use crate::{
    connections::{Connection, ConnectionId, Connections},
    hash::FastMap,
    identity::{Exclusions, Identity, ProgramKey},
    records::{LOSS_REASONS, LOSSES_IN_BYTES, Record, Segment},
    series::{ProcessKey, Series, Settings, Snapshot},
};
use listeners::Listeners;
use programs::Asked;
pub use steer::{Steer, Unsteered};
use talk::Talk;
use tally::Left;

/// All stages.
pub struct Pipeline {
    connections: Connections<Talk>,
    identity: Identity,
    series: Series,
    processes: FastMap<ProgramKey, ProcessKey>,
    asked: Asked,
    listeners: Listeners,
    /// Processes that were found to be excluded, or are not any more, for the edge to tell the kernel side.
    excluded: Vec<(u32, bool)>,
    losses: [u64; LOSS_REASONS.len()],
    /// Connections on which segments wait, or have waited since the last tick.
    waiting: Vec<ConnectionId>,
    /// Connections that have moved bytes of which the series were not told.
    tallied: Vec<ConnectionId>,
    left: Left,
    now_ns: u64,
}

impl Pipeline {
    /// Stages that have seen nothing.
    pub fn new(settings: Settings) -> Self {
        Self::without(Exclusions::default(), settings)
    }

    /// The same, with programs that are not measured.
    pub fn without(exclusions: Exclusions, settings: Settings) -> Self {
        Self {
            connections: Connections::default(),
            identity: Identity::without(exclusions),
            series: Series::new(settings),
            processes: FastMap::default(),
            asked: Asked::default(),
            listeners: Listeners::default(),
            excluded: Vec::new(),
            losses: [0; LOSS_REASONS.len()],
            waiting: Vec::new(),
            tallied: Vec::new(),
            left: Left::default(),
            now_ns: 0,
        }
    }

    /// Takes in a segment, as [`push`](Self::push) does.
    pub fn push_segment(&mut self, segment: Segment<'_>, steer: &mut impl Steer) {
        self.ordered(segment, steer);
    }

    /// Takes in the next record.
    pub fn push(&mut self, record: Record<'_>, steer: &mut impl Steer) {
        match record {
            Record::Opened(opened) => self.opened(opened),
            Record::ConnectFailed(failed) => self.connect_failed(&failed),
            Record::Segment(segment) if self.is_in_order(&segment) => self.segment(&segment, steer),
            Record::Segment(segment) => self.ordered(segment, steer),
            Record::Closed(closed) => self.ordered_end(closed, steer),
            Record::Started(started) => {
                if started.is_exec {
                    self.forget_excluded(started.pid);
                }
                self.identity.started(&started);
            }
            Record::Ended { pid, time_ns } => {
                self.forget_excluded(pid);
                self.identity.ended(pid, time_ns);
            }
            Record::Process(facts) => self.identity.learn(facts),
            Record::Adopted(adopted) => self.adopted(adopted),
            Record::Table(table) => {
                self.release(table.connection, steer);
                self.table(table);
            }
            Record::Datagrams(datagrams) => self.datagrams(&datagrams),
            Record::Listener(listener) => self.listener(&listener),
            Record::Losses(totals) => self.lost(totals),
            Record::Clock(clock) => {
                self.now_ns = self.now_ns.max(clock.time_ns);
                self.tell_all();
                self.series.set_clock(clock);
            }
            Record::Tick { time_ns } => {
                self.release_all(steer);
                self.tick(time_ns);
            }
        }
    }

    /// Whether the pipeline knows too little of a process to name it: the edge then asks /proc before it
    /// pushes the record.
    pub fn wants_facts(&self, pid: u32) -> bool {
        self.identity.wants_facts(pid)
    }

    /// The process of a record, if the pipeline [wants its facts](Self::wants_facts).
    pub fn unnamed(&mut self, record: &Record<'_>) -> Option<u32> {
        let pid = record.pid()?;
        let known = match record {
            Record::Segment(segment) => self.held_program(segment.connection, pid),
            Record::Closed(closed) => self.held_program(closed.connection, pid),
            _ => self.asked(pid).map(|(program, _)| program),
        };
        self.unnamed_but(known, pid)
    }

    /// The same of a segment.
    pub fn unnamed_of(&mut self, segment: &Segment<'_>) -> Option<u32> {
        let known = self.held_program(segment.connection, segment.pid);
        self.unnamed_but(known, segment.pid)
    }

    fn unnamed_but(&self, known: Option<ProgramKey>, pid: u32) -> Option<u32> {
        let is_known = pid == 0 || known.is_some_and(|program| program != Identity::unknown());
        (!is_known && self.wants_facts(pid)).then_some(pid)
    }

    fn held_program(&mut self, id: ConnectionId, pid: u32) -> Option<ProgramKey> {
        self.held(id, pid).map(|connection| connection.talk.program)
    }

    /// A connection, if that process holds it and nothing was learnt since its program was last looked at.
    #[inline(always)]
    fn held(&mut self, id: ConnectionId, pid: u32) -> Option<&mut Connection<Talk>> {
        let changes = self.identity.changes();
        let connection = self.connections.get_mut(id)?;
        (connection.pid == pid && connection.talk.changes == changes).then_some(connection)
    }

    /// The processes believed to live and their starts, for the edge to check after a loss.
    pub fn living(&self) -> Vec<(u32, u64)> {
        self.identity.living().collect()
    }

    /// The connections that are open, with their places in the kernel's table.
    pub fn connections(&self) -> impl Iterator<Item = (ConnectionId, Option<u32>)> {
        self.connections
            .iter()
            .map(|(id, connection)| (id, connection.slot))
    }

    /// The same of those whose place is known, with the bytes told of so far, received and transmitted.
    pub fn positions(&self) -> impl Iterator<Item = (ConnectionId, u32, [u64; 2])> {
        self.connections
            .iter()
            .filter_map(|(id, connection)| Some((id, connection.slot?, connection.positions())))
    }

    /// Whether a connection is open here.
    pub fn knows(&self, id: ConnectionId) -> bool {
        self.connections.contains(id)
    }

    /// How many connections are open.
    pub fn connections_open(&self) -> usize {
        self.connections.len()
    }

    /// What was lost so far, in the order of [`LOSS_REASONS`].
    pub fn losses(&self) -> [u64; LOSS_REASONS.len()] {
        self.losses
    }

    /// Bytes that the kernel side could not count for anybody.
    pub fn untracked_bytes(&self) -> u64 {
        let bytes = LOSSES_IN_BYTES.into_iter();
        bytes.filter_map(|reason| self.losses.get(reason)).sum()
    }

    /// A copy of all series as they are now.
    pub fn snapshot(&mut self) -> Snapshot {
        // All records that there are have been pushed: a connection that has ended counts as such.
        self.release_ended();
        self.tell_all();
        self.end_programs();
        self.series.snapshot(self.now_ns)
    }

    fn lost(&mut self, totals: [u64; LOSS_REASONS.len()]) {
        for (at, (total, before)) in totals.into_iter().zip(&mut self.losses).enumerate() {
            let more = total.saturating_sub(*before);
            *before += more;
            // Bytes are no records; see `untracked_bytes`.
            if let Some(reason) = LOSS_REASONS.get(at)
                && more > 0
                && !LOSSES_IN_BYTES.contains(&at)
            {
                self.series.records_lost(reason, more);
            }
        }
    }

    fn tick(&mut self, time_ns: u64) {
        self.now_ns = self.now_ns.max(time_ns);
        self.connections.tick(self.now_ns);
        self.identity.tick(self.now_ns);
        self.tell_all();
        self.end_programs();
        self.series.tick(self.now_ns);
    }
}
