//! A segment in the pipeline: its bytes go through conversation and pairing into the series.

use super::{
    Pipeline, Talk,
    held::Held,
    life::Beginning,
    steer::{Steer, steer_capture},
    tally,
};
use crate::{
    connections::{Connection, Direction, Pieces, Role},
    exchanges::{End, Finding, Pairing},
    protocol::{
        Loss, Piece,
        conversation::{Heard, Moment, Reading},
    },
    records::{Address, Segment},
    series::{ProcessKey, Series},
};

impl Pipeline {
    pub(super) fn segment(&mut self, segment: &Segment<'_>, steer: &mut impl Steer) {
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
}

/// Bytes whose records were lost.
pub(super) fn lose(
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
pub(super) fn step(
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
pub(super) fn note(series: &mut Series, process: ProcessKey, end: End<'_>, finding: Finding<'_>) {
    match finding {
        Finding::Active(method, delta) => series.active_requests(process, end.role, method, delta),
        Finding::Finished(exchange) => series.exchange(process, exchange),
        Finding::Unanswered(reason, count) => {
            series.unanswered(process, end.protocol, end.role, reason, count);
        }
        Finding::Unpaired(reason) => series.unpaired(process, end.protocol, end.role, reason),
    }
}
