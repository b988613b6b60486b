//! Tally: bytes that a connection moved and that the series were not told of yet.
//!
//! Most records of a connection count under the same labels as the one before, so their bytes are added up here, and
//! are told when a label changes, each second, and before anybody sees the series. What a connection leaves when it ends
//! is added to what others have left under the same labels.

use super::{Pipeline, Talk, account::tell_account};
use crate::{
    connections::{Connection, ConnectionId, Direction, Role},
    hash::FastHasher,
    protocol::conversation::Account,
    records::Transport,
    series::{ProcessKey, Series},
};
use std::hash::{Hash, Hasher};

/// Label sets under which what ended connections left is added up, a power of two. A set has one cell where it can be;
/// what another one has there is told then.
const LEFT_CELLS: usize = 16;

/// What is not told yet, received bytes first, and under which labels.
#[derive(Debug, Default)]
pub(super) struct Tally {
    role: Role,
    socket_bytes: [u64; 2],
    protocol: &'static str,
    accounts: [Account; 2],
    /// Something was added since the last time.
    is_due: bool,
    /// See [`list`].
    is_listed: bool,
}

fn of<T>([receive, transmit]: &mut [T; 2], direction: Direction) -> &mut T {
    match direction {
        Direction::Receive => receive,
        Direction::Transmit => transmit,
    }
}

/// Bytes went through the socket of a process that had that role.
pub(super) fn moved(
    connection: &mut Connection<Talk>,
    series: &mut Series,
    role: Role,
    direction: Direction,
    bytes: u64,
) {
    if connection.talk.tally.role != role {
        tell(connection, series);
        connection.talk.tally.role = role;
    }
    let tally = &mut connection.talk.tally;
    tally.is_due = true;
    *of(&mut tally.socket_bytes, direction) += bytes;
}

/// Bytes were read as a protocol's.
pub(super) fn account(
    connection: &mut Connection<Talk>,
    series: &mut Series,
    protocol: &'static str,
    direction: Direction,
    account: Account,
) {
    // Where a text lies in two places, this tells too early, and no less.
    if !std::ptr::eq(connection.talk.tally.protocol, protocol) {
        tell(connection, series);
        connection.talk.tally.protocol = protocol;
    }
    let tally = &mut connection.talk.tally;
    tally.is_due = true;
    of(&mut tally.accounts, direction).add(account);
}

/// Tells the series. To be called before the connection goes over to another process.
pub(super) fn tell(connection: &mut Connection<Talk>, series: &mut Series) {
    let transport = connection.transport();
    let Talk { process, tally, .. } = &mut connection.talk;
    tally.tell(*process, transport, series);
}

/// Puts a connection on the list of those that have something to tell.
pub(super) fn list(
    listed: &mut Vec<ConnectionId>,
    id: ConnectionId,
    connection: &mut Connection<Talk>,
) {
    if !std::mem::replace(&mut connection.talk.tally.is_listed, true) {
        listed.push(id);
    }
}

impl Tally {
    /// Of a connection on which nothing has moved.
    pub(super) fn new(role: Role) -> Self {
        Self {
            role,
            ..Self::default()
        }
    }

    fn tell(&mut self, process: ProcessKey, transport: Transport, series: &mut Series) {
        let Self {
            role,
            socket_bytes,
            protocol,
            accounts,
            is_due,
            is_listed: _,
        } = self;
        if !std::mem::take(is_due) {
            return;
        }
        let told = std::mem::take(socket_bytes).into_iter();
        let told = told.zip(std::mem::take(accounts));
        for (direction, (bytes, account)) in Direction::BOTH.into_iter().zip(told) {
            if bytes > 0 {
                series.socket_bytes(process, *role, transport.label(), direction, bytes);
            }
            tell_account(series, process, protocol, direction, account);
        }
    }

    /// Takes what another one of the same labels has.
    fn take(&mut self, other: &mut Self) {
        let Self {
            role: _,
            socket_bytes,
            protocol: _,
            accounts,
            is_due,
            is_listed: _,
        } = other;
        self.is_due |= std::mem::take(is_due);
        let bytes = std::mem::take(socket_bytes).into_iter();
        let more = bytes.zip(std::mem::take(accounts));
        let own = self.socket_bytes.iter_mut().zip(&mut self.accounts);
        for ((own_bytes, own_account), (bytes, account)) in own.zip(more) {
            *own_bytes += bytes;
            own_account.add(account);
        }
    }
}

/// What connections moved that have ended.
#[derive(Debug, Default)]
pub(super) struct Left([Option<Share>; LEFT_CELLS]);

#[derive(Debug)]
struct Share {
    process: ProcessKey,
    transport: Transport,
    tally: Tally,
}

impl Left {
    /// A connection has ended.
    pub(super) fn take(&mut self, connection: &mut Connection<Talk>, series: &mut Series) {
        let transport = connection.transport();
        let Talk { process, tally, .. } = &mut connection.talk;
        let mut hasher = FastHasher::default();
        (*process, tally.role).hash(&mut hasher);
        let at = usize::try_from(hasher.finish()).unwrap_or_default() % LEFT_CELLS;
        let Self(cells) = self;
        let cell = &mut cells[at];
        if let Some(share) = cell {
            if share.process == *process
                && share.transport == transport
                && share.tally.role == tally.role
                && share.tally.protocol == tally.protocol
            {
                return share.tally.take(tally);
            }
            share.tell(series);
        }
        *cell = Some(Share {
            process: *process,
            transport,
            tally: std::mem::take(tally),
        });
    }

    fn tell(&mut self, series: &mut Series) {
        let Self(cells) = self;
        for share in cells.iter_mut().flatten() {
            share.tell(series);
        }
    }
}

impl Share {
    fn tell(&mut self, series: &mut Series) {
        self.tally.tell(self.process, self.transport, series);
    }
}

impl Pipeline {
    /// Tells the series what all connections moved.
    pub(super) fn tell_all(&mut self) {
        self.left.tell(&mut self.series);
        for id in self.tallied.drain(..) {
            if let Some(connection) = self.connections.get_mut(id) {
                connection.talk.tally.is_listed = false;
                tell(connection, &mut self.series);
            }
        }
    }
}
