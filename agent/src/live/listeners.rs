//! Listening sockets: reads their accept queues when somebody asks, and finds their holders again.

use super::{Live, LiveError, is_there, now_ns};
use crate::records::{ConnectionId, Listener, Record};
use std::{collections::HashMap, io};

/// After this long without a walk, the next question begins one: a process may have closed a listening socket
/// that its child still serves.
const WALK_AFTER_NS: u64 = 60_000_000_000;
/// Between two walks for a holder that has ended: its socket may be in nobody's table (on its way through a
/// Unix socket), and a walk does not find it then.
const WALK_AGAIN_NS: u64 = 5_000_000_000;

/// What was told of listening sockets.
#[derive(Default)]
pub(super) struct Listening {
    /// As it was told last, by cookie, to tell which have gone; without its time.
    told: HashMap<u64, Listener>,
    walked_ns: u64,
    /// What fails is said once: walks,
    has_said_walk: bool,
    /// and reads.
    has_said_read: bool,
}

impl Listening {
    /// A walk has found who holds what.
    pub(super) fn walked(&mut self, time_ns: u64) {
        self.walked_ns = time_ns;
    }

    /// A walk fails.
    pub(super) fn cannot_walk(&mut self, error: &io::Error) {
        if !std::mem::replace(&mut self.has_said_walk, true) {
            tracing::warn!(
                "cannot walk over the open files; what is older than the agent counts from its next use: {error}"
            );
        }
    }

    fn cannot_read(&mut self, error: &io::Error) {
        if !std::mem::replace(&mut self.has_said_read, true) {
            tracing::warn!("cannot read accept queues: {error}");
        }
    }

    fn is_due(&self, time_ns: u64, is_homeless: bool) -> bool {
        let wait_ns = if is_homeless {
            WALK_AGAIN_NS
        } else {
            WALK_AFTER_NS
        };
        time_ns.saturating_sub(self.walked_ns) >= wait_ns
    }
}

impl Live {
    /// Tells the pipeline every listening socket whose holder lives, changed or not: the holder may have become
    /// another program.
    pub(super) fn read_listeners(&mut self) -> Result<(), LiveError> {
        let mut held = self.held_listeners()?;
        let is_homeless = held.iter().any(|(_, is_held)| !is_held);
        if self.listening.is_due(now_ns(), is_homeless) {
            self.walk();
            held = self.held_listeners()?;
        }
        let mut gone: HashMap<u64, Listener> = std::mem::take(&mut self.listening.told);
        for (cookie, _) in held.into_iter().filter(|(_, is_held)| *is_held) {
            let Some(now) = self.read_listener(cookie) else {
                continue;
            };
            gone.remove(&cookie);
            self.tell_listener(now.clone());
            self.listening.told.insert(cookie, now);
        }
        for (_, known) in gone {
            self.tell_listener(Listener {
                listening: false,
                length: 0,
                limit: 0,
                drops: 0,
                ..known
            });
        }
        Ok(())
    }

    /// Cookies, and whether their holders live.
    fn held_listeners(&self) -> Result<Vec<(u64, bool)>, LiveError> {
        let cookies = self.maps.listeners()?;
        Ok(cookies
            .into_iter()
            .filter_map(|cookie| Some((cookie, is_there(self.maps.listener(cookie)?.pid))))
            .collect())
    }

    fn tell_listener(&mut self, listener: Listener) {
        let time_ns = now_ns();
        let record = Record::Listener(Listener {
            time_ns,
            ..listener
        });
        self.intake
            .push(record, &mut self.pipeline, &self.maps.slots);
    }

    /// One listening socket as it is now; nothing if it does not listen any more.
    fn read_listener(&mut self, cookie: u64) -> Option<Listener> {
        if let Err(error) = self.probes.read_listener(cookie) {
            self.listening.cannot_read(&error);
            return None;
        }
        let sockmeter_abi::listener::Listener {
            sock: _,
            walk: _,
            pid,
            length,
            limit,
            drops,
            port,
            is_listening,
            reserved: _,
        } = self.maps.listener(cookie)?;
        if is_listening == 0 {
            self.maps.forget_listener(cookie);
            return None;
        }
        Some(Listener {
            socket: ConnectionId(cookie),
            listening: true,
            pid,
            port,
            length,
            limit,
            drops,
            time_ns: 0,
        })
    }
}
