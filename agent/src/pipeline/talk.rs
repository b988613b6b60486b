//! What the stages keep with a connection, and how the next connection gets its memory.

use super::{held::Held, order::Waiting, steer::Needless, tally::Tally};
use crate::{
    connections::Role, exchanges::Pairing, identity::ProgramKey,
    protocol::conversation::Conversation, series::ProcessKey,
};

/// What the stages keep with a connection.
pub(super) struct Talk {
    pub(super) conversation: Conversation,
    /// It was open before the agent.
    pub(super) is_joined: bool,
    pub(super) pairing: Pairing,
    pub(super) process: ProcessKey,
    pub(super) program: ProgramKey,
    /// [`Identity::changes`](crate::identity::Identity::changes) when `program` was asked for.
    pub(super) changes: u64,
    pub(super) held: Held,
    pub(super) tally: Tally,
    /// The kernel side was told to capture nothing.
    pub(super) is_told: bool,
    /// The kernel side was told not to follow it any more.
    pub(super) is_excluded: bool,
    pub(super) needless: Needless,
    /// Nearly never.
    pub(super) waiting: Option<Box<Waiting>>,
}

/// Whose a connection is when it begins.
#[derive(Clone, Copy)]
pub(super) struct Holder {
    pub(super) process: ProcessKey,
    pub(super) program: ProgramKey,
    pub(super) changes: u64,
}

impl Talk {
    pub(super) fn new(role: Role, is_joined: bool, holder: Holder) -> Self {
        let Holder {
            process,
            program,
            changes,
        } = holder;
        Self {
            conversation: Conversation::new(role, is_joined),
            is_joined,
            pairing: Pairing::default(),
            process,
            program,
            changes,
            held: Held::default(),
            tally: Tally::new(role),
            is_told: false,
            is_excluded: false,
            needless: Needless::default(),
            waiting: None,
        }
    }

    /// As new, but for memory that it has.
    pub(super) fn renew(&mut self, role: Role, is_joined: bool, holder: Holder) {
        let Self {
            conversation,
            is_joined: own_is_joined,
            pairing,
            process,
            program,
            changes,
            held,
            tally,
            is_told,
            is_excluded,
            needless,
            waiting,
        } = self;
        conversation.renew(role, is_joined);
        *own_is_joined = is_joined;
        pairing.renew();
        (*process, *program, *changes) = (holder.process, holder.program, holder.changes);
        *held = Held::default();
        *tally = Tally::new(role);
        (*is_told, *is_excluded) = (false, false);
        *needless = Needless::default();
        *waiting = None;
    }

    /// The connection has ended: gives back what is more than the next one will want.
    pub(super) fn trim(&mut self) {
        let Self {
            conversation,
            pairing,
            waiting,
            ..
        } = self;
        conversation.trim();
        pairing.trim();
        *waiting = None;
    }
}
