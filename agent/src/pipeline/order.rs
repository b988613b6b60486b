//! Order: a segment that overtook the record of a call of the other direction waits for it.
//!
//! A record is written when its call ends. Where one thread sends and another receives on one connection,
//! the answer can be read, and its record written, before the sending call has returned; or a thread can be
//! interrupted between its call's count and its record.

use super::{Pipeline, Steer, Unsteered};
use crate::{
    connections::{Connection, ConnectionId, Direction},
    records::{Closed, Segment},
};
use std::borrow::Cow;

/// Segments of one connection that wait at most; then they are taken as they came. A send may take as
/// long as its peer is slow, and its process may read all the while.
const WAITING_MAX: usize = 16;

/// Whether a send began when what waits had been received: then it is not the one that was waited for.
fn begins_behind(segment: &Segment<'_>, waiting: &Segment<'_>) -> bool {
    segment.direction == Direction::Transmit && segment.begin_ns > waiting.time_ns
}

/// What waits on a connection.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// Received segments that wait for the record of a send.
    segments: Vec<Segment<'static>>,
    /// The connection's end, which waits for it too.
    end: Option<Closed>,
}

impl Pipeline {
    /// Whether a segment neither waits nor was waited for, as nearly all.
    pub(super) fn is_in_order(&self, segment: &Segment<'_>) -> bool {
        self.waiting.is_empty() && !segment.overtakes
    }

    /// Takes segments in the order in which their calls moved bytes.
    pub(super) fn ordered(&mut self, mut segment: Segment<'_>, steer: &mut impl Steer) {
        let id = segment.connection;
        let (mut waiting, mut is_ending) = (0, false);
        if let Some(Connection { talk, .. }) = self.connections.get_mut(id)
            && let Some(Waiting { segments, end }) = talk.waiting.as_deref()
        {
            waiting = segments.len();
            is_ending = end.is_some();
            let first = segments.first();
            if let Some(first) = first.filter(|first| first.direction != segment.direction) {
                if is_ending || !begins_behind(&segment, first) {
                    // The record that was waited for: behind what was there when the first that waits was counted.
                    segment.other_position = segment.other_position.min(first.position);
                    self.segment(&segment, steer);
                    return self.release(id, steer);
                }
                // The send that was waited for has no record: the kernel left the program out at its return.
                self.release(id, steer);
                waiting = 0;
            }
        }
        if is_ending && waiting == 0 {
            self.segment(&segment, steer);
            return self.release(id, steer);
        }
        // What comes behind others that wait is not before them because an end waits as well.
        let waits = segment.overtakes || is_ending;
        if waits && waiting < WAITING_MAX && self.wait(&segment) {
            return;
        }
        // The record that was waited for was lost.
        if waiting > 0 {
            self.release(id, steer);
        }
        self.segment(&segment, steer);
    }

    /// Takes the end of a connection after what moved on it.
    pub(super) fn ordered_end(&mut self, closed: Closed, steer: &mut impl Steer) {
        let id = closed.connection;
        match self.connections.get_mut(id) {
            Some(connection) if closed.overtakes => {
                connection.talk.waiting.get_or_insert_default().end = Some(closed);
                self.waiting.push(id);
            }
            _ => {
                self.release(id, steer);
                self.closed(&closed);
            }
        }
    }

    fn wait(&mut self, segment: &Segment<'_>) -> bool {
        let Some(connection) = self.connections.get_mut(segment.connection) else {
            return false;
        };
        let content = Cow::Owned(segment.content.to_vec());
        let waiting = connection.talk.waiting.get_or_insert_default();
        waiting.segments.push(Segment {
            content,
            ..segment.clone()
        });
        self.waiting.push(segment.connection);
        true
    }

    /// Takes the segments of a connection that wait, and then its end if that waits too.
    pub(super) fn release(&mut self, id: ConnectionId, steer: &mut impl Steer) {
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        let Some(waiting) = connection.talk.waiting.take() else {
            return;
        };
        let Waiting { segments, end } = *waiting;
        for segment in segments {
            self.segment(&segment, steer);
        }
        if let Some(closed) = end {
            self.closed(&closed);
        }
    }

    /// Takes the ends that wait.
    pub(super) fn release_ended(&mut self) {
        for id in std::mem::take(&mut self.waiting) {
            let connection = self.connections.get_mut(id);
            let waiting = connection.and_then(|connection| connection.talk.waiting.as_deref());
            let is_ending = waiting.is_some_and(|waiting| waiting.end.is_some());
            if is_ending {
                self.release(id, &mut Unsteered);
            } else {
                self.waiting.push(id);
            }
        }
    }

    /// Takes all segments and ends that wait.
    pub(super) fn release_all(&mut self, steer: &mut impl Steer) {
        for id in std::mem::take(&mut self.waiting) {
            self.release(id, steer);
        }
    }
}
