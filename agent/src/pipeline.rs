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
#[cfg(test)]
mod tests;

use crate::{
    connections::{Connection, ConnectionId, Connections, Direction, Role},
    exchanges::{End, Finding, Pairing},
    identity::{Identity, ProgramKey},
    protocol::{
        Piece,
        conversation::{Conversation, Moment},
    },
    records::{Adopted, Closed, ConnectFailed, LOSS_REASONS, Opened, Record, Segment, Table},
    series::{ProcessKey, Series, Settings, Snapshot},
};
use account::{error_type, tell_account};
use std::{collections::HashMap, net::SocketAddr};

/// The only transport of this slice.
const TCP: &str = "tcp";

/// A body that is longer than this is not captured to its end.
const SKIP_BYTES_MIN: u64 = 4096;

/// The last of [`LOSS_REASONS`].
const UNTRACKED_BYTES: &str = "connection_table_full_bytes";

/// What the pipeline may tell the kernel side: how much of a connection to copy.
pub trait Steer {
    /// Nothing more of this connection need be copied.
    fn capture_nothing(&mut self, slot: u32);
    /// Nothing before `position` of this direction need be copied.
    fn skip_until(&mut self, slot: u32, direction: Direction, position: u64);
}

/// For replays: nobody to tell.
pub struct Unsteered;

impl Steer for Unsteered {
    fn capture_nothing(&mut self, _slot: u32) {}
    fn skip_until(&mut self, _slot: u32, _direction: Direction, _position: u64) {}
}

/// What the stages keep with a connection.
struct Talk {
    conversation: Conversation,
    pairing: Pairing,
    process: ProcessKey,
    program: ProgramKey,
    /// The kernel side was told to capture nothing.
    is_told: bool,
}

/// All stages.
pub struct Pipeline {
    connections: Connections<Talk>,
    identity: Identity,
    series: Series,
    processes: HashMap<ProgramKey, ProcessKey>,
    losses: [u64; LOSS_REASONS.len()],
    now_ns: u64,
}

impl Pipeline {
    /// Stages that have seen nothing.
    pub fn new(settings: Settings) -> Self {
        Self {
            connections: Connections::default(),
            identity: Identity::new(),
            series: Series::new(settings),
            processes: HashMap::new(),
            losses: [0; LOSS_REASONS.len()],
            now_ns: 0,
        }
    }

    /// Takes in the next record.
    pub fn push(&mut self, record: Record<'_>, steer: &mut impl Steer) {
        match record {
            Record::Opened(opened) => self.opened(opened),
            Record::ConnectFailed(failed) => self.connect_failed(&failed),
            Record::Segment(segment) => self.segment(&segment, steer),
            Record::Closed(closed) => self.closed(&closed),
            Record::Started(started) => self.identity.started(&started),
            Record::Ended { pid, time_ns } => self.identity.ended(pid, time_ns),
            Record::Process(facts) => self.identity.learn(facts),
            Record::Adopted(adopted) => self.adopted(adopted),
            Record::Table(table) => self.table(table),
            Record::Losses(totals) => self.lost(totals),
            Record::Tick { time_ns } => self.tick(time_ns),
        }
    }

    /// Whether the pipeline knows too little of a process to name it: the edge then asks /proc before it
    /// pushes the record.
    pub fn wants_facts(&self, pid: u32) -> bool {
        self.identity.wants_facts(pid)
    }

    /// The processes believed to live, for the edge to check after a loss.
    pub fn pids(&self) -> Vec<u32> {
        self.identity.pids().collect()
    }

    /// The connections that are open, with their places in the kernel's table.
    pub fn connections(&self) -> impl Iterator<Item = (ConnectionId, Option<u32>)> {
        self.connections
            .iter()
            .map(|(id, connection)| (id, connection.slot))
    }

    /// How many connections are open.
    pub fn connections_open(&self) -> usize {
        self.connections.len()
    }

    /// What was lost so far, in the order of [`LOSS_REASONS`].
    pub fn losses(&self) -> [u64; LOSS_REASONS.len()] {
        self.losses
    }

    /// A copy of all series as they are now.
    pub fn snapshot(&mut self) -> Snapshot {
        self.series.snapshot(self.now_ns)
    }

    /// The series of the program that a process belongs to.
    fn process(&mut self, pid: u32) -> (ProgramKey, ProcessKey) {
        let program = self.identity.program(pid);
        let (identity, series) = (&self.identity, &mut self.series);
        let process = *self
            .processes
            .entry(program)
            .or_insert_with(|| series.add_process(identity.labels(program)));
        (program, process)
    }

    fn open(&mut self, id: ConnectionId, beginning: Beginning) {
        let Beginning {
            slot,
            role,
            is_joined,
            pid,
            remote,
        } = beginning;
        let (program, process) = self.process(pid);
        let talk = Talk {
            conversation: Conversation::new(role, is_joined),
            pairing: Pairing::default(),
            process,
            program,
            is_told: false,
        };
        self.connections
            .insert(id, Connection::new(slot, remote, pid, talk));
        self.series.connection_active(process, role, TCP, 1);
        if is_joined {
            self.series.adopted(process, role, TCP);
        } else {
            self.series.connection_opened(process, role, TCP);
        }
    }

    fn opened(&mut self, opened: Opened) {
        let Opened {
            connection,
            slot,
            role,
            adopted,
            time_ns,
            connect_ns,
            pid,
            local: _,
            remote,
        } = opened;
        self.now_ns = self.now_ns.max(time_ns);
        if let Some(known) = self.connections.get_mut(connection) {
            // Listed as open at start, and now used for the first time.
            known.slot = Some(slot);
            return;
        }
        if self.connections.has_ended(connection) {
            return;
        }
        self.open(
            connection,
            Beginning {
                slot: Some(slot),
                role,
                is_joined: adopted,
                pid,
                remote,
            },
        );
        if role == Role::Client && !adopted {
            let (_, process) = self.process(pid);
            self.series.connect_duration(process, connect_ns);
        }
    }

    fn adopted(&mut self, adopted: Adopted) {
        let Adopted {
            connection,
            role,
            pid,
            time_ns,
            local: _,
            remote,
        } = adopted;
        self.now_ns = self.now_ns.max(time_ns);
        if !self.connections.contains(connection) {
            self.open(
                connection,
                Beginning {
                    slot: None,
                    role,
                    is_joined: true,
                    pid,
                    remote,
                },
            );
        }
    }

    fn connect_failed(&mut self, failed: &ConnectFailed) {
        let ConnectFailed {
            errno,
            pid,
            time_ns,
            connect_ns: _,
            remote: _,
        } = *failed;
        self.now_ns = self.now_ns.max(time_ns);
        let (_, process) = self.process(pid);
        self.series
            .connection_failed(process, Role::Client, TCP, error_type(errno));
    }

    /// The connection went over to another process (fork, a passed descriptor): it is that one's now.
    fn hand_over(&mut self, id: ConnectionId, pid: u32) {
        let (program, process) = self.process(pid);
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        connection.pid = pid;
        let talk = &mut connection.talk;
        if talk.program == program {
            return;
        }
        let role = talk.conversation.role();
        self.series.connection_active(talk.process, role, TCP, -1);
        self.series.connection_active(process, role, TCP, 1);
        (talk.program, talk.process) = (program, process);
    }

    fn segment(&mut self, segment: &Segment<'_>, steer: &mut impl Steer) {
        let (id, direction) = (segment.connection, segment.direction);
        self.now_ns = self.now_ns.max(segment.time_ns);
        match self.connections.get_mut(id) {
            Some(connection) if connection.pid != segment.pid => self.hand_over(id, segment.pid),
            Some(_) => {}
            None => return self.stray(segment),
        }
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        let pieces = connection.add(segment);
        let role = connection.talk.conversation.role();
        self.series.socket_bytes(
            connection.talk.process,
            role,
            TCP,
            direction,
            pieces.lost_bytes + u64::from(segment.length_bytes),
        );
        let moment = Moment {
            begin_ns: segment.begin_ns,
            time_ns: segment.time_ns,
        };
        for piece in pieces.iter() {
            read(connection, &mut self.series, direction, piece, moment);
        }
        let now_role = connection.talk.conversation.role();
        if now_role != role {
            self.series
                .connection_active(connection.talk.process, role, TCP, -1);
            self.series
                .connection_active(connection.talk.process, now_role, TCP, 1);
        }
        steer_capture(connection, direction, steer);
    }

    /// Bytes on a connection that is not open here: it ended a moment ago, or its beginning was lost.
    fn stray(&mut self, segment: &Segment<'_>) {
        let (_, process) = self.process(segment.pid);
        let bytes = u64::from(segment.length_bytes);
        self.series
            .socket_bytes(process, Role::Unknown, TCP, segment.direction, bytes);
        self.series
            .payload(process, "lost", "", segment.direction, bytes);
    }

    fn closed(&mut self, closed: &Closed) {
        let Closed {
            connection,
            errno,
            retransmits,
            time_ns,
            bytes,
        } = *closed;
        self.now_ns = self.now_ns.max(time_ns);
        let reason = if errno == 0 {
            "closed"
        } else {
            error_type(errno)
        };
        self.end(connection, reason, retransmits, bytes, time_ns);
    }

    fn end(
        &mut self,
        id: ConnectionId,
        reason: &'static str,
        retransmits: u32,
        bytes: [u64; 2],
        time_ns: u64,
    ) {
        self.catch_up(id, retransmits, bytes, time_ns);
        let Some(mut connection) = self.connections.remove(id, time_ns) else {
            return;
        };
        let series = &mut self.series;
        let talk = &mut connection.talk;
        let moment = Moment {
            begin_ns: 0,
            time_ns,
        };
        let end = end_of(&talk.conversation, connection.remote);
        let (pairing, process) = (&mut talk.pairing, talk.process);
        let kept = talk.conversation.close(moment, &mut |heard| {
            pairing.step(heard, end.remote, &mut |finding| {
                note(series, process, end, finding)
            });
        });
        pairing.close(end, reason, &mut |finding| {
            note(series, process, end, finding)
        });
        for (direction, bytes) in [Direction::Receive, Direction::Transmit]
            .into_iter()
            .zip(kept)
        {
            if bytes > 0 {
                series.payload(process, "unrecognised", "", direction, bytes);
            }
        }
        series.connection_active(process, end.role, TCP, -1);
    }

    /// Takes over what the kernel counted: bytes whose records were lost, and segments sent again.
    fn catch_up(&mut self, id: ConnectionId, retransmits: u32, bytes: [u64; 2], time_ns: u64) {
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        let (process, role) = (connection.talk.process, connection.talk.conversation.role());
        let more = retransmits.saturating_sub(connection.retransmits);
        connection.retransmits += more;
        if more > 0 {
            self.series.retransmits(process, role, u64::from(more));
        }
        let moment = Moment {
            begin_ns: 0,
            time_ns,
        };
        for (direction, position) in [Direction::Receive, Direction::Transmit]
            .into_iter()
            .zip(bytes)
        {
            let lost_bytes = connection.advance(direction, position);
            if lost_bytes > 0 {
                self.series
                    .socket_bytes(process, role, TCP, direction, lost_bytes);
                let piece = Piece::Lost(lost_bytes);
                read(connection, &mut self.series, direction, piece, moment);
            }
        }
    }

    /// What the kernel's table says now, told after all records before it.
    fn table(&mut self, table: Table) {
        let Table {
            connection,
            slot,
            open,
            role,
            adopted,
            pid,
            time_ns,
            bytes,
            retransmits,
            local: _,
            remote,
        } = table;
        self.now_ns = self.now_ns.max(time_ns);
        if !open {
            return self.end(connection, "closed", retransmits, bytes, time_ns);
        }
        if !self.connections.contains(connection) {
            // The record of its beginning was lost, or some before this.
            let is_joined = adopted || bytes != [0; 2];
            self.open(
                connection,
                Beginning {
                    slot: Some(slot),
                    role,
                    is_joined,
                    pid,
                    remote,
                },
            );
        }
        self.catch_up(connection, retransmits, bytes, time_ns);
    }

    fn lost(&mut self, totals: [u64; LOSS_REASONS.len()]) {
        for ((reason, total), before) in LOSS_REASONS.iter().zip(totals).zip(&mut self.losses) {
            let more = total.saturating_sub(*before);
            *before += more;
            // Bytes are no records; see `untracked_bytes`.
            if more > 0 && *reason != UNTRACKED_BYTES {
                self.series.records_lost(reason, more);
            }
        }
    }

    fn tick(&mut self, time_ns: u64) {
        self.now_ns = self.now_ns.max(time_ns);
        self.connections.tick(self.now_ns);
        self.identity.tick(self.now_ns);
        for program in self.identity.drain_ended() {
            if let Some(process) = self.processes.remove(&program) {
                self.series.end_process(process, self.now_ns);
            }
        }
        self.series.tick(self.now_ns);
    }
}

/// How a connection begins to be known.
struct Beginning {
    slot: Option<u32>,
    role: Role,
    is_joined: bool,
    pid: u32,
    remote: SocketAddr,
}

fn end_of(conversation: &Conversation, remote: SocketAddr) -> End {
    End {
        role: conversation.role(),
        protocol: conversation.protocol(),
        remote,
    }
}

/// One piece through conversation and pairing into the series.
fn read(
    connection: &mut Connection<Talk>,
    series: &mut Series,
    direction: Direction,
    piece: Piece<'_>,
    moment: Moment,
) {
    let remote = connection.remote;
    let Talk {
        conversation,
        pairing,
        process,
        ..
    } = &mut connection.talk;
    let process = *process;
    let account = conversation.read(direction, piece, moment, &mut |heard| {
        let end = End {
            role: heard.role,
            protocol: heard.protocol,
            remote,
        };
        pairing.step(heard, remote, &mut |finding| {
            note(series, process, end, finding)
        });
    });
    if let Some(speaker) = conversation.speaker(direction) {
        pairing.moved(speaker, moment);
    }
    tell_account(series, process, conversation.protocol(), direction, account);
}

/// A finding becomes counts.
fn note(series: &mut Series, process: ProcessKey, end: End, finding: Finding<'_>) {
    match finding {
        Finding::Active(method, delta) => series.active_requests(process, end.role, method, delta),
        Finding::Finished(exchange) => series.exchange(process, &exchange),
        Finding::Unanswered(reason) => series.unanswered(process, end.protocol, end.role, reason),
        Finding::Unpaired(reason) => series.unpaired(process, end.protocol, end.role, reason),
    }
}

/// Tells the kernel side what need not be captured.
fn steer_capture(connection: &mut Connection<Talk>, direction: Direction, steer: &mut impl Steer) {
    let Some(slot) = connection.slot else { return };
    if connection.talk.conversation.is_settled() {
        if !std::mem::replace(&mut connection.talk.is_told, true) {
            steer.capture_nothing(slot);
        }
        return;
    }
    let needless_bytes = connection.talk.conversation.needless_bytes(direction);
    if needless_bytes >= SKIP_BYTES_MIN {
        let position = connection.position(direction);
        steer.skip_until(slot, direction, position.saturating_add(needless_bytes));
    }
}
