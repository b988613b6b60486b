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
mod steer;
mod tally;
#[cfg(test)]
mod tests;

use crate::{
    connections::{Connection, ConnectionId, Connections, Direction, Pieces, Role},
    exchanges::{End, Finding, Pairing},
    hash::FastMap,
    identity::{Exclusions, Identity, ProgramKey},
    protocol::{
        Loss, Piece,
        conversation::{Conversation, Heard, Moment, Reading},
    },
    records::{Address, Closed, LOSS_REASONS, LOSSES_IN_BYTES, Record, Segment},
    series::{ProcessKey, Series, Settings, Snapshot},
};
use held::Held;
use life::Beginning;
use listeners::Listeners;
use steer::{Needless, steer_capture};
pub use steer::{Steer, Unsteered};
use tally::Tally;

/// Processes of which the kernel side is to be told that they are excluded, at most; one that finds no room is told when
/// it opens its next connection.
const EXCLUDED_MAX: usize = 4096;

/// What the stages keep with a connection.
struct Talk {
    conversation: Conversation,
    /// It was open before the agent.
    is_joined: bool,
    pairing: Pairing,
    process: ProcessKey,
    program: ProgramKey,
    /// [`Identity::changes`] when `program` was asked for.
    changes: u64,
    held: Held,
    tally: Tally,
    /// The kernel side was told to capture nothing.
    is_told: bool,
    /// The kernel side was told not to follow it any more.
    is_excluded: bool,
    needless: Needless,
    /// Received segments that wait for the record of a send.
    waiting: Vec<Segment<'static>>,
    /// The connection's end, which waits for it too.
    waiting_end: Option<Closed>,
}

/// All stages.
pub struct Pipeline {
    connections: Connections<Talk>,
    identity: Identity,
    series: Series,
    processes: FastMap<ProgramKey, ProcessKey>,
    listeners: Listeners,
    /// Processes that were found to be excluded, or are not any more, for the edge to tell the kernel side.
    excluded: Vec<(u32, bool)>,
    losses: [u64; LOSS_REASONS.len()],
    /// Connections on which segments wait, or have waited since the last tick.
    waiting: Vec<ConnectionId>,
    /// Connections that have moved bytes of which the series were not told.
    tallied: Vec<ConnectionId>,
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
            listeners: Listeners::default(),
            excluded: Vec::new(),
            losses: [0; LOSS_REASONS.len()],
            waiting: Vec::new(),
            tallied: Vec::new(),
            now_ns: 0,
        }
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
        if let Record::Segment(segment) = record
            && let Some(connection) = self.held(segment.connection, segment.pid)
            && connection.talk.program != Identity::unknown()
        {
            return None;
        }
        let pid = record.pid()?;
        self.wants_facts(pid).then_some(pid)
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

    /// The series of the program that a process belongs to.
    fn process(&mut self, pid: u32) -> (ProgramKey, ProcessKey) {
        let program = self.identity.program(pid);
        let process = self.series_of(program);
        if process == ProcessKey::EXCLUDED
            && self.excluded.len() < EXCLUDED_MAX
            && self.identity.is_alive(pid)
        {
            self.excluded.push((pid, true));
        }
        (program, process)
    }

    /// A process has ended, or runs another program: whether that one is excluded is not known yet.
    fn forget_excluded(&mut self, pid: u32) {
        if self.identity.has_exclusions() {
            self.excluded.retain(|(other, _)| *other != pid);
            self.excluded.push((pid, false));
        }
    }

    /// The processes that were found to be excluded since the last call, or are not any more, in this order.
    pub fn drain_excluded(&mut self) -> Vec<(u32, bool)> {
        std::mem::take(&mut self.excluded)
    }

    /// How many processes are excluded, of those that would be measured.
    pub fn excluded(&self) -> usize {
        self.identity.excluded()
    }

    fn series_of(&mut self, program: ProgramKey) -> ProcessKey {
        if self.identity.is_excluded(program) {
            return ProcessKey::EXCLUDED;
        }
        if !self.processes.contains_key(&program) {
            // One that had its pid may have ended since the last tick.
            self.end_programs();
        }
        let (identity, series) = (&self.identity, &mut self.series);
        *self
            .processes
            .entry(program)
            .or_insert_with(|| series.add_process(identity.labels(program)))
    }

    fn segment(&mut self, segment: &Segment<'_>, steer: &mut impl Steer) {
        let (id, direction) = (segment.connection, segment.direction);
        self.now_ns = self.now_ns.max(segment.time_ns);
        if self.held(id, segment.pid).is_none() {
            // A process that runs another program now, or another one with its pid, is another one too.
            if self.connections.contains(id) {
                self.hand_over(id, segment.pid);
            } else if !self.take_up(segment) {
                return;
            }
        }
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        let role = connection.talk.conversation.role();
        // What the other direction moved before, and was not told, is lost.
        let other = direction.opposite();
        let lost_bytes = connection.advance(other, segment.other_position);
        lose(
            connection,
            &mut self.series,
            other,
            lost_bytes,
            segment.time_ns,
        );
        let pieces = connection.add(segment);
        let pieces = connection.talk.needless.hide(segment, pieces);
        let moment = Moment {
            begin_ns: segment.begin_ns,
            time_ns: segment.time_ns,
            turn: segment.turn,
        };
        let seen_bytes = pieces.seen_bytes();
        let Pieces {
            lost_bytes,
            content,
            unseen_bytes,
        } = pieces;
        lose(
            connection,
            &mut self.series,
            direction,
            lost_bytes,
            moment.time_ns,
        );
        let series = &mut self.series;
        if !content.is_empty() {
            read(connection, series, direction, Piece::Bytes(content), moment);
        }
        if unseen_bytes > 0 {
            let piece = Piece::Unseen(unseen_bytes);
            read(connection, series, direction, piece, moment);
        }
        tally::moved(connection, &mut self.series, role, direction, seen_bytes);
        tally::list(&mut self.tallied, id, connection);
        let now_role = connection.talk.conversation.role();
        if now_role != role {
            let (process, transport) = (connection.talk.process, connection.transport());
            self.series.connection_active(process, role, transport, -1);
            self.series
                .connection_active(process, now_role, transport, 1);
        }
        steer_capture(id, connection, direction, steer);
    }

    /// Bytes on a connection that is not open here: it has ended, or the record of its beginning was lost
    /// and it is open from now on, which the result tells.
    fn take_up(&mut self, segment: &Segment<'_>) -> bool {
        let id = segment.connection;
        if let Some(ended) = self.connections.ended_mut(id) {
            let (role, bytes) = (ended.role, ended.add(segment));
            self.stray(segment, role, bytes);
            return false;
        }
        if segment.after_end {
            self.stray(segment, Role::Unknown, segment.length_bytes.into());
            return false;
        }
        let beginning = Beginning {
            slot: None,
            role: Role::Unknown,
            is_joined: true,
            pid: segment.pid,
            remote: Address::unknown(segment.transport),
        };
        self.open_unknown(id, beginning);
        true
    }

    /// Bytes on a connection that ended a moment ago: what had arrived before a reset may still be read, and
    /// a send that is answered by a reset ends after the connection.
    fn stray(&mut self, segment: &Segment<'_>, role: Role, bytes: u64) {
        let (_, process) = self.process(segment.pid);
        let transport = segment.transport.label();
        self.series
            .socket_bytes(process, role, transport, segment.direction, bytes);
        self.series
            .payload(process, "lost", "", segment.direction, bytes);
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

/// Bytes whose records were lost.
fn lose(
    connection: &mut Connection<Talk>,
    series: &mut Series,
    direction: Direction,
    lost_bytes: u64,
    time_ns: u64,
) {
    if lost_bytes == 0 {
        return;
    }
    let role = connection.talk.conversation.role();
    tally::moved(connection, series, role, direction, lost_bytes);
    let moment = Moment {
        begin_ns: 0,
        time_ns,
        turn: 0,
    };
    read(
        connection,
        series,
        direction,
        Piece::Lost(lost_bytes),
        moment,
    );
}

/// One piece through conversation and pairing into the series.
fn read(
    connection: &mut Connection<Talk>,
    series: &mut Series,
    direction: Direction,
    piece: Piece<'_>,
    moment: Moment,
) {
    let protocol = connection.talk.conversation.protocol();
    if protocol.is_empty() {
        return read_unknown(connection, series, direction, piece, moment);
    }
    let Connection { remote, talk, .. } = &mut *connection;
    let (conversation, process) = (&mut talk.conversation, talk.process);
    let moved = conversation.read_known(direction, piece, moment, &mut |heard| {
        step(&mut talk.pairing, series, process, remote, heard)
    });
    // With this piece the protocol may have ended.
    if let Some(speaker) = conversation.speaker(direction)
        && !conversation.is_settled()
    {
        let is_lost = matches!(piece, Piece::Lost(_));
        talk.pairing.moved(speaker, moment, is_lost);
    }
    tally::account(connection, series, protocol, direction, moved);
}

/// The same while it is not known what is spoken, or for good.
fn read_unknown(
    connection: &mut Connection<Talk>,
    series: &mut Series,
    direction: Direction,
    piece: Piece<'_>,
    moment: Moment,
) {
    let remote = &connection.remote;
    let Talk {
        conversation,
        is_joined,
        pairing,
        process,
        held,
        ..
    } = &mut connection.talk;
    let process = *process;
    let Reading { moved, kept } = conversation.read(direction, piece, moment, &mut |heard| {
        step(pairing, series, process, remote, heard);
    });
    let is_lost = matches!(piece, Piece::Lost(_));
    // With this piece the protocol may have been found.
    let protocol = conversation.protocol();
    match conversation.speaker(direction) {
        Some(speaker) if !protocol.is_empty() => pairing.moved(speaker, moment, is_lost),
        _ if conversation.is_settled() => {}
        _ if is_lost => pairing.missed(Loss::Gap),
        // Of what was there before the agent nobody expects to see the beginning.
        _ if !*is_joined && matches!(piece, Piece::Unseen(_)) => pairing.missed(Loss::Unseen),
        _ => {}
    }
    if let Some(kept) = kept {
        held.tell(series, process, protocol, kept);
    }
    let kept_bytes = piece.length_bytes().saturating_sub(moved.bytes());
    Held::keep(series, process, direction, kept_bytes);
    tally::account(connection, series, protocol, direction, moved);
}

/// A step of a message through the pairing into the series.
fn step(
    pairing: &mut Pairing,
    series: &mut Series,
    process: ProcessKey,
    remote: &Address,
    heard: &Heard<'_>,
) {
    let end = End {
        role: heard.role,
        protocol: heard.protocol,
        remote,
    };
    pairing.step(heard, remote, &mut |finding| {
        note(series, process, end, finding)
    });
}

/// A finding becomes counts.
fn note(series: &mut Series, process: ProcessKey, end: End<'_>, finding: Finding<'_>) {
    match finding {
        Finding::Active(method, delta) => series.active_requests(process, end.role, method, delta),
        Finding::Finished(exchange) => series.exchange(process, exchange),
        Finding::Unanswered(reason, count) => {
            series.unanswered(process, end.protocol, end.role, reason, count);
        }
        Finding::Unpaired(reason) => series.unpaired(process, end.protocol, end.role, reason),
    }
}
