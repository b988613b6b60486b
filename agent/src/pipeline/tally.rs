//! Tally: bytes that a connection moved and that the series were not told of yet.
//!
//! Most records of a connection count under the same labels as the one before, so their bytes are added up here, and
//! are told when a label changes, when the connection ends, each second, and before anybody sees the series.

use super::{Pipeline, Talk, account::tell_account};
use crate::{
    connections::{Connection, ConnectionId, Direction, Role},
    protocol::conversation::Account,
    series::Series,
};

/// What is not told yet, received bytes first, and under which labels.
#[derive(Debug, Default)]
pub(super) struct Tally {
    role: Role,
    socket_bytes: [u64; 2],
    protocol: &'static str,
    accounts: [Account; 2],
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
    *of(&mut connection.talk.tally.socket_bytes, direction) += bytes;
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
    of(&mut connection.talk.tally.accounts, direction).add(account);
}

/// Tells the series. To be called before the connection goes over to another process.
pub(super) fn tell(connection: &mut Connection<Talk>, series: &mut Series) {
    let transport = connection.transport().label();
    let Talk { process, tally, .. } = &mut connection.talk;
    let Tally {
        role,
        socket_bytes,
        protocol,
        accounts,
        is_listed: _,
    } = tally;
    let told = std::mem::take(socket_bytes).into_iter();
    let told = told.zip(std::mem::take(accounts));
    for (direction, (bytes, account)) in Direction::BOTH.into_iter().zip(told) {
        if bytes > 0 {
            series.socket_bytes(*process, *role, transport, direction, bytes);
        }
        tell_account(series, *process, protocol, direction, account);
    }
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

impl Pipeline {
    /// Tells the series what all connections moved.
    pub(super) fn tell_all(&mut self) {
        for id in self.tallied.drain(..) {
            if let Some(connection) = self.connections.get_mut(id) {
                connection.talk.tally.is_listed = false;
                tell(connection, &mut self.series);
            }
        }
    }
}
