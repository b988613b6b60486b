//! The table of connections: those that are open, those that ended a moment ago, and memory for the next ones.

use super::{Connection, ConnectionId, Ended, MEMORY_NS, Role};
use crate::hash::FastMap;
use std::collections::{VecDeque, hash_map::Entry};

/// Ended connections whose memory is kept, at most: as many as a busy service opens before others end, and no more than
/// a few hundred kilobytes.
const SPARE_MAX: usize = 64;

/// Where a connection that is known is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// It is open, in this place.
    Open(u32),
    /// It ended a moment ago, as the one with this number.
    Ended(u32),
}

/// A connection that ended a moment ago.
#[derive(Debug)]
struct Past {
    id: ConnectionId,
    ended_ns: u64,
    left: Ended,
}

/// All connections that are open, and those that ended a moment ago. As many as the kernel's table has
/// places; it refuses what is beyond, and counts it.
#[derive(Debug)]
pub struct Connections<T> {
    /// One table for both: a connection that ends moves in it and is not looked for twice. A large value in the map
    /// itself would leave as much room unused.
    known: FastMap<ConnectionId, At>,
    places: Vec<Option<Box<Connection<T>>>>,
    free: Vec<u32>,
    /// Ended ones, for the memory that they hold.
    spare: Vec<Box<Connection<T>>>,
    /// What was asked for last: a record is asked for more than once.
    last: Option<(ConnectionId, u32)>,
    /// Those that ended, oldest first.
    ended: VecDeque<Past>,
    /// The number of the oldest. Numbers begin again at zero behind the last.
    first: u32,
}

impl<T> Default for Connections<T> {
    fn default() -> Self {
        Self {
            known: FastMap::default(),
            places: Vec::new(),
            free: Vec::new(),
            spare: Vec::new(),
            last: None,
            ended: VecDeque::new(),
            first: 0,
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
            _ => match self.known.get(&id)? {
                At::Open(place) => Some(*place),
                At::Ended(_) => None,
            },
        }
    }

    /// Whether it is open.
    pub fn contains(&self, id: ConnectionId) -> bool {
        self.place(id).is_some()
    }

    /// Whether it ended a moment ago.
    pub fn has_ended(&self, id: ConnectionId) -> bool {
        matches!(self.known.get(&id), Some(At::Ended(_)))
    }

    /// What is left of a connection that ended a moment ago.
    pub fn ended_mut(&mut self, id: ConnectionId) -> Option<&mut Ended> {
        let At::Ended(number) = *self.known.get(&id)? else {
            return None;
        };
        let at = number.wrapping_sub(self.first);
        self.ended.get_mut(at as usize).map(|past| &mut past.left)
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
        self.known.insert(id, At::Open(place));
        self.last = Some((id, place));
    }

    /// Lets go of a connection at whose end the process was `role`.
    pub fn remove(
        &mut self,
        id: ConnectionId,
        role: Role,
        time_ns: u64,
    ) -> Option<Box<Connection<T>>> {
        let at = self.known.get_mut(&id)?;
        let At::Open(place) = *at else { return None };
        // There are fewer than the kernel's table has had places, which have 32 bits, in a moment.
        let behind = u32::try_from(self.ended.len()).unwrap_or(u32::MAX);
        *at = At::Ended(self.first.wrapping_add(behind));
        self.last = None;
        self.free.push(place);
        let connection = self.places.get_mut(place as usize)?.take()?;
        let streams = connection.streams;
        self.ended.push_back(Past {
            id,
            ended_ns: time_ns,
            left: Ended { role, streams },
        });
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
        let is_old = |past: &mut Past| past.ended_ns.saturating_add(MEMORY_NS) <= now_ns;
        while let Some(Past { id, .. }) = self.ended.pop_front_if(is_old) {
            // It may have been taken up again, by a walk that had come by before it ended.
            if let Entry::Occupied(at) = self.known.entry(id)
                && *at.get() == At::Ended(self.first)
            {
                at.remove();
            }
            self.first = self.first.wrapping_add(1);
        }
    }

    /// All open connections, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (ConnectionId, &Connection<T>)> {
        self.known.iter().filter_map(|(id, at)| {
            let At::Open(place) = at else { return None };
            let connection = self.places.get(*place as usize)?.as_deref()?;
            Some((*id, connection))
        })
    }

    /// How many are open.
    pub fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// Whether none is open.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
