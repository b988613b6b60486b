//! Messages that come whole and alone, as nearly all do: a request without a body, and its answer. They are taken in one
//! step, without a change of place.

use super::head::{self, Body};
use super::place::parsed;
use super::{Emit, Mode, Reader, messages, messages::tell, place::Place};
use crate::protocol::{Consumed, Response, Speaker, Step};

impl Reader {
    /// Takes a message of which `bytes` are all, if nothing else is under way and its head is known; `None`, and
    /// nothing is taken, if not. What is told and taken is what [`Reader::advance`] would tell and take.
    pub(super) fn take_whole(
        &mut self,
        speaker: Speaker,
        bytes: &[u8],
        emit: &mut Emit<'_>,
    ) -> Option<Consumed> {
        let is_between = self.mode == Mode::Http
            && self.request.place == Place::Between
            && self.response.place == Place::Between;
        if !is_between {
            return None;
        }
        match speaker {
            Speaker::Client => self.take_whole_request(bytes, emit),
            Speaker::Server => self.take_whole_response(bytes, emit),
        }
    }

    fn take_whole_request(&mut self, bytes: &[u8], emit: &mut Emit<'_>) -> Option<Consumed> {
        // A head that is known to be one need not be one that a connection can be known by.
        if !self.is_anchored || !self.open.is_empty() {
            return None;
        }
        let (length, head) = head::known_request(bytes)?;
        if length != bytes.len() || head.body != Body::None {
            return None;
        }
        self.open.push_back(head.kind);
        tell(Step::WholeRequest(messages::request(&head)), emit);
        Some(parsed(length))
    }

    fn take_whole_response(&mut self, bytes: &[u8], emit: &mut Emit<'_>) -> Option<Consumed> {
        if self.open.len() != 1 {
            return None;
        }
        let method = self.open.front().copied();
        let (length, head) = head::known_response(bytes)?;
        if head.is_interim() || head.is_upgrade(method) {
            return None;
        }
        let behind_bytes = (bytes.len() - length) as u64;
        let is_whole = match head.body(method) {
            Ok(Body::None) => behind_bytes == 0,
            Ok(Body::Length(bytes)) => behind_bytes == bytes,
            Ok(Body::Chunked | Body::UntilClose) | Err(_) => false,
        };
        if !is_whole {
            return None;
        }
        let response = Response::Http {
            status: head.status,
        };
        tell(Step::WholeResponse(response), emit);
        self.open.clear();
        self.is_unasked = false;
        Some(Consumed {
            skipped_bytes: behind_bytes,
            ..parsed(length)
        })
    }
}
