//! The CPU limit at work: reads the clocks, tells the kernel side how much to capture, and reads from the table of
//! connections what then has no records.

use super::{
    Live, LiveError,
    budget::{Budget, Clocks},
    now_ns,
};
use crate::{
    health::Capture,
    records::{CaptureLevel, Record},
};
use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// Records between two looks at the clocks: a look costs less than one record.
const SLICE_RECORDS: usize = 256;
/// After capture was restored, for how long there may be calls that were counted under the old word. A program that
/// has read it ends in microseconds, unless its processor is taken away.
const UNRECORDED_NS: u64 = 2_000_000_000;
/// Between two comparisons of the kernel's table with what was told, while time is short: each reads all of it.
const COMPARE_NS: u64 = 1_000_000_000;

/// What the agent may use, and what came of it.
pub(super) struct Limit {
    budget: Budget,
    /// The drain has to rest for so long.
    rest_ns: u64,
    /// Until then, calls may be counted that make no record.
    unrecorded_until_ns: u64,
    compared_ns: u64,
    reductions: u64,
    /// Processors in use when capture was last reduced, and when that was.
    reduced_at: (f64, u64),
}

fn clocks() -> Clocks {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    let seconds = u64::try_from(used.tv_sec).unwrap_or(0);
    let cpu_ns = seconds
        .saturating_mul(1_000_000_000)
        .saturating_add(u64::try_from(used.tv_nsec).unwrap_or(0));
    Clocks {
        wall_ns: now_ns(),
        cpu_ns,
    }
}

impl Limit {
    /// Counts from now on: what the start cost is not held against it.
    pub(super) fn new(limit_cores: f64) -> Self {
        Self {
            budget: Budget::new(limit_cores, clocks()),
            rest_ns: 0,
            unrecorded_until_ns: 0,
            compared_ns: 0,
            reductions: 0,
            reduced_at: (0.0, 0),
        }
    }

    /// How much is captured.
    pub(super) fn level(&self) -> CaptureLevel {
        self.budget.level()
    }

    /// How often capture was reduced.
    pub(super) fn reductions(&self) -> u64 {
        self.reductions
    }

    /// For `/health`.
    pub(super) fn capture(&self, excluded_processes: usize) -> Capture {
        let (reduced_at_cores, reduced_ns) = self.reduced_at;
        Capture {
            level: self.level(),
            excluded_processes,
            limit_cores: self.budget.limit_cores(),
            used_cores: self.budget.used_cores(),
            reduced_at_cores,
            reduced_for: Duration::from_nanos(now_ns().saturating_sub(reduced_ns)),
        }
    }

    /// Whether the drain has to rest; looks at the clocks.
    fn must_rest(&mut self) -> bool {
        self.rest_ns = self.budget.rest_ns(clocks());
        self.is_resting()
    }

    /// Whether the drain had to rest at the last look.
    pub(super) fn is_resting(&self) -> bool {
        self.rest_ns > 0
    }

    /// Whether calls may have been counted that made no record.
    pub(super) fn is_unrecorded(&self) -> bool {
        self.level() == CaptureLevel::Counts || now_ns() < self.unrecorded_until_ns
    }

    /// Whether the kernel's table may be compared now.
    pub(super) fn may_compare(&mut self) -> bool {
        let is_tight = self.is_resting() || self.level() != CaptureLevel::Full;
        let now_ns = now_ns();
        if is_tight && now_ns.saturating_sub(self.compared_ns) < COMPARE_NS {
            return false;
        }
        self.compared_ns = now_ns;
        true
    }
}

impl Live {
    /// Takes in what is in the ring, as far as the limit allows.
    pub(super) fn drain_within_limit(&mut self) {
        while !self.limit.must_rest() && self.take(SLICE_RECORDS) == SLICE_RECORDS {}
    }

    /// Decides how much is captured from now on; tells for how long to rest.
    pub(super) fn keep_to_limit(&mut self) -> Result<Duration, LiveError> {
        let before = self.limit.level();
        if let Some(level) = self.limit.budget.decide(clocks()) {
            self.maps.set_level(level)?;
            self.level_changed(before, level);
        }
        self.limit.must_rest();
        Ok(Duration::from_nanos(self.limit.rest_ns))
    }

    fn level_changed(&mut self, before: CaptureLevel, level: CaptureLevel) {
        let limit = &mut self.limit;
        let (used_cores, limit_cores) = (limit.budget.used_cores(), limit.budget.limit_cores());
        if before == CaptureLevel::Counts {
            limit.unrecorded_until_ns = now_ns().saturating_add(UNRECORDED_NS);
        }
        let (level_name, meaning) = (level.label(), level.meaning());
        if level > before {
            limit.reductions += 1;
            limit.reduced_at = (used_cores, now_ns());
            tracing::warn!(
                level = level_name,
                "capture is reduced, as the agent used {used_cores:.2} of {limit_cores} processors (cpu_limit_cores): {meaning}"
            );
        } else {
            tracing::info!(
                level = level_name,
                "capture is restored, as the agent used {used_cores:.2} of {limit_cores} processors: {meaning}"
            );
        }
    }

    /// Takes in what calls moved that made no record.
    pub(super) fn take_counts(&mut self) {
        if !self.limit.is_unrecorded() {
            return;
        }
        for table in self.behind_table() {
            self.intake
                .put(Record::Table(table), &mut self.pipeline, &self.maps.slots);
        }
    }
}
