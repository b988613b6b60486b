//! The life of a connection in the pipeline: it begins, changes hands, catches up with the kernel, ends.

use super::{
    Pipeline,
    account::error_type,
    segment::{lose, note, step},
    talk::{Holder, Talk},
    tally,
};
use crate::{
    connections::{Connection, ConnectionId, Direction, Role},
    exchanges::End,
    protocol::conversation::{Conversation, Moment},
    records::{Address, Adopted, Closed, ConnectFailed, Opened, Table},
    series::ProcessKey,
};

/// How a connection begins to be known.
pub(super) struct Beginning {
    pub(super) slot: Option<u32>,
    pub(super) role: Role,
    pub(super) is_joined: bool,
    pub(super) pid: u32,
    pub(super) remote: Address,
}

/// How a connection ended.
struct Ending {
    reason: &'static str,
    /// Segments sent again.
    retransmits: u32,
    /// Final positions, received and transmitted.
    bytes: [u64; 2],
    /// How often the direction had turned.
    turns: u32,
    time_ns: u64,
}

fn end_of<'a>(conversation: &Conversation, remote: &'a Address) -> End<'a> {
    End {
        role: conversation.role(),
        protocol: conversation.protocol(),
        remote,
    }
}

impl Pipeline {
    fn open(&mut self, id: ConnectionId, beginning: Beginning) {
        let Beginning {
            slot,
            role,
            is_joined,
            pid,
            remote,
        } = beginning;
        let (program, process) = self.process(pid);
        let holder = Holder {
            process,
            program,
            changes: self.identity.changes(),
        };
        let transport = remote.transport();
        let connection = match self.connections.spare() {
            Some(mut connection) => {
                connection.renew(slot, remote, pid);
                connection.talk.renew(role, is_joined, holder);
                connection
            }
            None => {
                let talk = Talk::new(role, is_joined, holder);
                Box::new(Connection::new(slot, remote, pid, talk))
            }
        };
        self.connections.insert(id, connection);
        self.series.connection_active(process, role, transport, 1);
        let transport = transport.label();
        if is_joined {
            self.series.adopted(process, role, transport);
        } else {
            self.series.connection_opened(process, role, transport);
        }
    }

    pub(super) fn opened(&mut self, opened: Opened) {
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
            // Found by a walk before this record of its first use was read.
            known.slot = Some(slot);
            return;
        }
        if self.connections.has_ended(connection) {
            return;
        }
        let transport = remote.transport().label();
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
        // Nobody waited for the connection if it took no time: its data went with the SYN.
        if role == Role::Client && !adopted && connect_ns > 0 {
            let (_, process) = self.process(pid);
            self.series.connect_duration(process, transport, connect_ns);
        }
    }

    pub(super) fn adopted(&mut self, adopted: Adopted) {
        let Adopted {
            connection,
            slot,
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
                    slot,
                    role,
                    is_joined: true,
                    pid,
                    remote,
                },
            );
        }
    }

    pub(super) fn connect_failed(&mut self, failed: &ConnectFailed) {
        let ConnectFailed {
            errno,
            pid,
            time_ns,
            connect_ns: _,
            ref remote,
        } = *failed;
        self.now_ns = self.now_ns.max(time_ns);
        let (_, process) = self.process(pid);
        let transport = remote.transport().label();
        self.series
            .connection_failed(process, Role::Client, transport, error_type(errno));
    }

    /// The connection went over to another process (fork, a passed descriptor): it is that one's now.
    pub(super) fn hand_over(&mut self, id: ConnectionId, pid: u32) {
        let (program, process) = self.process(pid);
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        // What an excluded process has used is not looked at again, whoever has it: the kernel side may not tell.
        if connection.talk.process == ProcessKey::EXCLUDED {
            return;
        }
        connection.pid = pid;
        connection.talk.changes = self.identity.changes();
        if connection.talk.program == program {
            return;
        }
        tally::tell(connection, &mut self.series);
        let transport = connection.transport();
        let talk = &mut connection.talk;
        let role = talk.conversation.role();
        self.series
            .connection_active(talk.process, role, transport, -1);
        self.series.connection_active(process, role, transport, 1);
        for method in talk.pairing.active() {
            self.series.active_requests(talk.process, role, method, -1);
            self.series.active_requests(process, role, method, 1);
        }
        let kept_bytes = talk.conversation.kept_bytes();
        talk.held.hand_over(talk.process, kept_bytes);
        (talk.program, talk.process) = (program, process);
    }

    pub(super) fn closed(&mut self, closed: &Closed) {
        let Closed {
            connection,
            errno,
            retransmits,
            time_ns,
            bytes,
            pid,
            role,
            transport,
            adopted,
            turns,
            overtakes: _,
        } = *closed;
        self.now_ns = self.now_ns.max(time_ns);
        let reason = if errno == 0 {
            "closed"
        } else {
            error_type(errno)
        };
        // The kernel side followed it, so only a lost record can have kept it from here. One that it
        // did not follow was nobody's when it ended (still in the accept queue).
        if pid != 0 {
            let beginning = Beginning {
                slot: None,
                role,
                is_joined: adopted,
                pid,
                remote: Address::unknown(transport),
            };
            self.open_unknown(connection, beginning);
        }
        let ending = Ending {
            reason,
            retransmits,
            bytes,
            turns,
            time_ns,
        };
        self.end(connection, &ending);
    }

    /// Takes up a connection of which the beginning was lost.
    pub(super) fn open_unknown(&mut self, id: ConnectionId, beginning: Beginning) {
        if !self.connections.contains(id) && !self.connections.has_ended(id) {
            self.open(id, beginning);
        }
    }

    fn end(&mut self, id: ConnectionId, ending: &Ending) {
        let Ending {
            reason,
            retransmits,
            bytes,
            turns,
            time_ns,
        } = *ending;
        self.catch_up(id, retransmits, bytes, time_ns);
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        let role = connection.talk.conversation.role();
        let Some(mut connection) = self.connections.remove(id, role, time_ns) else {
            return;
        };
        let series = &mut self.series;
        self.left.take(&mut connection, series);
        let talk = &mut connection.talk;
        let moment = Moment {
            begin_ns: 0,
            time_ns,
            turn: 0,
        };
        let end = end_of(&talk.conversation, &connection.remote);
        let (pairing, process) = (&mut talk.pairing, talk.process);
        let kept = talk.conversation.close(moment, &mut |heard| {
            step(pairing, series, process, end.remote, heard);
        });
        // What is settled otherwise was no requests.
        let turns = (!talk.conversation.is_settled()).then_some(turns);
        pairing.close(end, reason, turns, &mut |finding| {
            note(series, process, end, finding)
        });
        if let Some(kept) = kept {
            talk.held.tell(series, process, "", kept);
        }
        let transport = end.remote.transport();
        series.connection_active(process, end.role, transport, -1);
        connection.talk.trim();
        self.connections.keep(connection);
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
        for (direction, position) in Direction::BOTH.into_iter().zip(bytes) {
            let lost_bytes = connection.advance(direction, position);
            lose(connection, &mut self.series, direction, lost_bytes, time_ns);
        }
        tally::list(&mut self.tallied, id, connection);
    }

    /// What the kernel's table says now, told after all records before it.
    pub(super) fn table(&mut self, table: Table) {
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
            turns,
            local: _,
            remote,
        } = table;
        self.now_ns = self.now_ns.max(time_ns);
        if pid != 0 {
            let beginning = Beginning {
                slot: Some(slot),
                role,
                is_joined: adopted,
                pid,
                remote,
            };
            self.open_unknown(connection, beginning);
        }
        if let Some(known) = self.connections.get_mut(connection) {
            known.slot.get_or_insert(slot);
        }
        if !open {
            let ending = Ending {
                reason: "closed",
                retransmits,
                bytes,
                turns,
                time_ns,
            };
            return self.end(connection, &ending);
        }
        self.catch_up(connection, retransmits, bytes, time_ns);
        self.miss(connection, turns);
    }

    /// So many turns are over, and what was not heard of them will not be. Where it is not known what was spoken, there
    /// may be no requests in them.
    fn miss(&mut self, id: ConnectionId, turns: u32) {
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        let (series, process) = (&mut self.series, connection.talk.process);
        let end = end_of(&connection.talk.conversation, &connection.remote);
        if !end.protocol.is_empty() {
            connection.talk.pairing.miss(turns, &mut |finding| {
                note(series, process, end, finding);
            });
        }
    }
}
