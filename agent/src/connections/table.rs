//! The table of connections: those that are open, those that ended a moment ago, and memory for the next ones.

use super::{Connection, ConnectionId, Ended, MEMORY_NS, Role};
use crate::hash::FastMap;
use std::collections::VecDeque;

/// Ended connections whose memory is kept, at most: as many as a busy service opens before others end, and no more than
/// a few hundred kilobytes.
const SPARE_MAX: usize = 64;

/// All connections that are open, and those that ended a moment ago. As many as the kernel's table has
/// places; it refuses what is beyond, and counts it.
#[derive(Debug)]
pub struct Connections<T> {
    /// Where each is. A large value in the map itself would leave as much room unused.
    open: FastMap<ConnectionId, u32>,
    places: Vec<Option<Box<Connection<T>>>>,
    free: Vec<u32>,
    /// Ended ones, for the memory that they hold.
    spare: Vec<Box<Connection<T>>>,
    /// What was asked for last: a record is asked for more than once.
    last: Option<(ConnectionId, u32)>,
    /// When each of those that ended did, oldest first.
    ended: VecDeque<(u64, ConnectionId)>,
    recent: FastMap<ConnectionId, Ended>,
}

impl<T> Default for Connections<T> {
    fn default() -> Self {
        Self {
            open: FastMap::default(),
            places: Vec::new(),
            free: Vec::new(),
            spare: Vec::new(),
            last: None,
            ended: Default::default(),
            recent: Default::default(),
        }
    }
}

impl<T> Connections<T> {
    /// An open connection.
    pub fn get_mut(&mut self, id: ConnectionId) -> Option<&mut Connection<T>> {
        let place = self.place(id)?;
        self.last = Some((id, place));
        self.places.get_mut(place as usize)?.as_deref_mut()
    }

    fn place(&self, id: ConnectionId) -> Option<u32> {
        match self.last {
            Some((last, place)) if last == id => Some(place),
            _ => self.open.get(&id).copied(),
        }
    }

    /// Whether it is open.
    pub fn contains(&self, id: ConnectionId) -> bool {
        self.place(id).is_some()
    }

    /// Whether it ended a moment ago.
    pub fn has_ended(&self, id: ConnectionId) -> bool {
        self.recent.contains_key(&id)
    }

    /// What is left of a connection that ended a moment ago.
    pub fn ended_mut(&mut self, id: ConnectionId) -> Option<&mut Ended> {
        self.recent.get_mut(&id)
    }

    /// Takes up a connection.
    pub fn insert(&mut self, id: ConnectionId, connection: Box<Connection<T>>) {
        let connection = Some(connection);
        let place = self.free.pop();
        let place = match place.and_then(|place| self.places.get_mut(place as usize)) {
            Some(empty) => {
                *empty = connection;
                place.unwrap_or_default()
            }
            None => {
                self.places.push(connection);
                // The kernel's table has 32 bits for them too.
                u32::try_from(self.places.len() - 1).unwrap_or(u32::MAX)
            }
        };
        self.open.insert(id, place);
        self.last = Some((id, place));
    }

    /// Lets go of a connection at whose end the process was `role`.
    pub fn remove(
        &mut self,
        id: ConnectionId,
        role: Role,
        time_ns: u64,
    ) -> Option<Box<Connection<T>>> {
        let place = self.open.remove(&id)?;
        self.last = None;
        self.free.push(place);
        let connection = self.places.get_mut(place as usize)?.take()?;
        self.ended.push_back((time_ns, id));
        let streams = connection.streams;
        self.recent.insert(id, Ended { role, streams });
        Some(connection)
    }

    /// Keeps the memory of a connection that was removed, for the next one.
    pub fn keep(&mut self, connection: Box<Connection<T>>) {
        if self.spare.len() < SPARE_MAX {
            self.spare.push(connection);
        }
    }

    /// One that was [kept](Self::keep).
    pub fn spare(&mut self) -> Option<Box<Connection<T>>> {
        self.spare.pop()
    }

    /// Forgets the connections that ended [`MEMORY_NS`] ago.
    pub fn tick(&mut self, now_ns: u64) {
        let is_old =
            |(ended_ns, _): &mut (u64, ConnectionId)| ended_ns.saturating_add(MEMORY_NS) <= now_ns;
        while let Some((_, id)) = self.ended.pop_front_if(is_old) {
            self.recent.remove(&id);
        }
    }

    /// All open connections, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (ConnectionId, &Connection<T>)> {
        self.open.iter().filter_map(|(id, place)| {
            let connection = self.places.get(*place as usize)?.as_deref()?;
            Some((*id, connection))
        })
    }

    /// How many are open.
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether none is open.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }
}
