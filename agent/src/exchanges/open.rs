//! A request that is under way, as the pairing keeps it.

use super::{Answer, End, Exchange, Operation};
use crate::protocol::Method;

/// A request that waits for the end of its response.
#[derive(Debug, Default)]
pub(super) struct Open {
    pub(super) stream: u32,
    /// `None` until its head is complete; then it counts as active.
    pub(super) method: Option<Method>,
    pub(super) answer: Option<Answer>,
    pub(super) arrived_ns: Option<u64>,
    pub(super) started_ns: u64,
    pub(super) first_byte_ns: Option<u64>,
    pub(super) version: &'static str,
    pub(super) target: Vec<u8>,
}

impl Open {
    /// Another request, in the memory of this one.
    pub(super) fn begin(&mut self, stream: u32, arrived_ns: Option<u64>, started_ns: u64) {
        let Self {
            stream: of,
            method,
            answer,
            arrived_ns: arrived,
            started_ns: started,
            first_byte_ns,
            version,
            target,
        } = self;
        (*of, *arrived, *started) = (stream, arrived_ns, started_ns);
        (*method, *answer, *first_byte_ns, *version) = (None, None, None, "");
        target.clear();
    }

    pub(super) fn exchange<'a>(
        &'a self,
        end: End<'a>,
        (method, answer): (Method, Answer),
        ended_ns: u64,
        truncated: bool,
    ) -> Exchange<'a> {
        Exchange {
            role: end.role,
            protocol: end.protocol,
            operation: Operation::Http {
                method,
                target: &self.target,
                version: self.version,
            },
            answer,
            remote: end.remote,
            arrived_ns: self.arrived_ns,
            started_ns: self.started_ns,
            first_byte_ns: self.first_byte_ns.unwrap_or(ended_ns),
            ended_ns,
            truncated,
        }
    }
}
