//! Since when series count: what OpenMetrics shows as `_created`.
//!
//! A series begins when it is made. Bytes are told up to a second after they moved, so what it has counted by then may
//! have happened a little earlier, but not before everything was told the last time: that is the beginning that is
//! shown, or that of the process if that is later.

use super::Series;
use super::process::Owner;
use crate::records::Clock;
use std::sync::Arc;

/// What is known of time. A beginning is kept as time since 1970, so it stays where it is when the clock is set.
#[derive(Debug, Default)]
pub(super) struct Beginning {
    /// What to add to the time of records; none until it was told.
    unix_offset_ns: Option<u64>,
    /// Behind what was told.
    since_unix_ns: u64,
}

impl Beginning {
    fn unix_ns(&self, time_ns: u64) -> u64 {
        time_ns.saturating_add(self.unix_offset_ns.unwrap_or_default())
    }

    /// When a process begins that is added at that time: after all series that there are, also if time stands still.
    pub(super) fn of_process(&self, now_ns: u64) -> u64 {
        let behind_all = self.since_unix_ns.saturating_add(1);
        self.unix_ns(now_ns).max(behind_all)
    }
}

impl Series {
    /// What the clock shows from now on. The agent itself begins when this is told for the first time.
    pub fn set_clock(&mut self, clock: Clock) {
        let Clock { time_ns, unix_ns } = clock;
        let offset_ns = unix_ns.saturating_sub(time_ns);
        if self.beginning.unix_offset_ns.replace(offset_ns).is_none() {
            self.agent = Arc::new(Owner {
                number: self.agent.number,
                labels: self.agent.labels.clone(),
                created_unix_ns: unix_ns,
            });
        }
        self.begin_after(time_ns);
    }

    /// All that happened until then has been told. What is made from now on is later than all that was.
    pub(super) fn begin_after(&mut self, now_ns: u64) {
        let unix_ns = self.beginning.unix_ns(now_ns).saturating_add(1);
        self.beginning.since_unix_ns = unix_ns;
        self.http_server.begin_from(unix_ns);
        self.http_client.begin_from(unix_ns);
        for family in self.plain.each_mut() {
            family.begin_from(unix_ns);
        }
        for family in self.accept.each_mut() {
            family.begin_from(unix_ns);
        }
    }
}
