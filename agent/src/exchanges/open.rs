//! A request that is under way, as the pairing keeps it.

use super::{Answer, End, Exchange, Operation};

/// A request that waits for the end of its response.
#[derive(Debug, Default)]
pub(super) struct Open {
    pub(super) stream: u32,
    pub(super) arrived_ns: Option<u64>,
    pub(super) started_ns: u64,
    /// Method, then target.
    pub(super) text: Vec<u8>,
    pub(super) method_bytes: usize,
    pub(super) version: &'static str,
    /// Its head is complete, so it counts as active.
    pub(super) is_known: bool,
    pub(super) answer: Option<Answer>,
    pub(super) first_byte_ns: Option<u64>,
}

impl Open {
    pub(super) fn method(&self) -> &[u8] {
        self.text.get(..self.method_bytes).unwrap_or_default()
    }

    pub(super) fn target(&self) -> &[u8] {
        self.text.get(self.method_bytes..).unwrap_or_default()
    }

    pub(super) fn exchange<'a>(
        &'a self,
        end: End<'a>,
        answer: Answer,
        ended_ns: u64,
        truncated: bool,
    ) -> Exchange<'a> {
        Exchange {
            role: end.role,
            protocol: end.protocol,
            operation: Operation::Http {
                method: self.method(),
                target: self.target(),
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
