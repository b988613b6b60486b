//! Listening sockets in the pipeline: whose they are, and how their accept queues changed.

use super::Pipeline;
use crate::{
    connections::ConnectionId,
    identity::ProgramKey,
    records::Listener,
    series::{AcceptQueue, ProcessKey},
};
use std::collections::{BTreeSet, HashMap};

/// A listening socket, as it was told last.
#[derive(Clone, Copy)]
struct Listening {
    program: ProgramKey,
    process: ProcessKey,
    port: u16,
    queue: AcceptQueue,
}

/// All listening sockets.
#[derive(Default)]
pub(super) struct Listeners(HashMap<ConnectionId, Listening>);

impl Pipeline {
    pub(super) fn listener(&mut self, listener: &Listener) {
        let Listener {
            socket,
            listening,
            pid,
            port,
            length,
            limit,
            drops,
            time_ns,
        } = *listener;
        self.now_ns = self.now_ns.max(time_ns);
        let queue = AcceptQueue {
            length: length.into(),
            limit: limit.into(),
            drops: drops.into(),
        };
        if !listening {
            return self.unlisten(socket);
        }
        let (program, process) = self.process(pid);
        let known = self.listeners.0.get(&socket).copied();
        match known {
            Some(known) if known.program == program && known.port == port => {
                self.series
                    .accept_queue(process, port, Some(known.queue), Some(queue));
            }
            _ => {
                // It went over to another process, or began.
                self.unlisten(socket);
                self.series.accept_queue(process, port, None, Some(queue));
            }
        }
        let listening = Listening {
            program,
            process,
            port,
            queue,
        };
        self.listeners.0.insert(socket, listening);
    }

    fn unlisten(&mut self, socket: ConnectionId) {
        let Some(known) = self.listeners.0.remove(&socket) else {
            return;
        };
        self.series
            .accept_queue(known.process, known.port, Some(known.queue), None);
    }

    /// The programs' last processes have ended; a socket of theirs that lives on will be told again, with its holder.
    pub(super) fn unlisten_all(&mut self, ended: &BTreeSet<ProgramKey>) {
        let sockets: Vec<ConnectionId> = self
            .listeners
            .0
            .iter()
            .filter(|(_, known)| ended.contains(&known.program))
            .map(|(socket, _)| *socket)
            .collect();
        for socket in sockets {
            self.unlisten(socket);
        }
    }
}
