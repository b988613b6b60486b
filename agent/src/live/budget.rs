//! The agent's CPU budget: when capture is reduced, when it is restored, and when the drain has to rest.
//!
//! Pure: it is told what two clocks say. Capture is reduced step by step while the agent uses most of its limit, and
//! restored step by step when it uses much less. That takes seconds; meanwhile, and if the last step is still too much,
//! the drain rests: what it does not take from the ring in time is lost, and counted as ever.

use crate::records::CaptureLevel;

/// Between two decisions: longer than a scrape or a burst that the ring holds.
const WINDOW_NS: u64 = 1_000_000_000;
/// The limit counts as passed from this part of it on. A thread that never waits does not get quite a whole
/// processor, and one that rests at its limit stays a little below it.
const PASSED_PART: f64 = 0.9;
/// Capture may be restored while less than this part is used, on average: the next step costs more, and must not pass
/// the limit at once.
const QUIET_PART: f64 = 0.5;
/// Windows in a row before capture is reduced: one may be a single expensive moment.
const PASSED_WINDOWS: u32 = 2;
/// Windows in a row that do not pass the limit before capture is restored: short breaks of a load are no end of it.
const QUIET_WINDOWS_MIN: u32 = 5;
/// With less captured it cannot be seen what more would cost, so restoring it is an attempt. After each that fails, the
/// next one waits twice as long, up to this: then a lasting load pays for an attempt once a minute.
const QUIET_WINDOWS_MAX: u32 = 60;
/// An attempt has failed when capture is reduced within so many windows after it.
const ATTEMPT_WINDOWS: u32 = 5;
/// Unused time is kept for so long: a burst after a quiet time need not rest.
const SAVED_NS: f64 = 1e9;
/// Time that was used above the limit (a scrape is answered whatever it costs) is made up for, up to so long.
const OWED_NS: f64 = 10e9;

/// What two clocks say at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Clocks {
    /// The monotonic clock.
    pub(super) wall_ns: u64,
    /// CPU time of the agent's process since its start.
    pub(super) cpu_ns: u64,
}

/// How much is captured, or will be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Budget {
    limit_cores: f64,
    level: CaptureLevel,
    /// When the window began.
    began: Clocks,
    /// Processors in use in the last window.
    used_cores: f64,
    passed_windows: u32,
    /// Windows in a row that did not pass the limit, and the parts of it that were used in them.
    quiet_windows: u32,
    quiet_parts: f64,
    /// Quiet windows that it takes to restore capture.
    wait_windows: u32,
    /// Windows since capture was restored; none if it was reduced since.
    attempt_windows: Option<u32>,
    /// CPU time that may be used now; below zero it is owed.
    saved_ns: f64,
    saved: Clocks,
}

impl Budget {
    /// A budget of so many processors, which begins now with nothing saved.
    pub(super) fn new(limit_cores: f64, now: Clocks) -> Self {
        Self {
            limit_cores,
            level: CaptureLevel::Full,
            began: now,
            used_cores: 0.0,
            passed_windows: 0,
            quiet_windows: 0,
            quiet_parts: 0.0,
            wait_windows: QUIET_WINDOWS_MIN,
            attempt_windows: None,
            saved_ns: 0.0,
            saved: now,
        }
    }

    pub(super) fn level(&self) -> CaptureLevel {
        self.level
    }

    pub(super) fn limit_cores(&self) -> f64 {
        self.limit_cores
    }

    /// Processors in use in the last window.
    pub(super) fn used_cores(&self) -> f64 {
        self.used_cores
    }

    /// Takes note of what was used; tells for how long the drain has to rest, zero if it may go on.
    pub(super) fn rest_ns(&mut self, now: Clocks) -> u64 {
        let (wall_ns, cpu_ns) = since(self.saved, now);
        self.saved = now;
        let most = SAVED_NS * self.limit_cores;
        let least = -OWED_NS * self.limit_cores;
        self.saved_ns = (self.saved_ns + wall_ns * self.limit_cores - cpu_ns).clamp(least, most);
        if self.saved_ns >= 0.0 {
            0
        } else {
            // At most OWED_NS, so it fits.
            (-self.saved_ns / self.limit_cores).ceil() as u64
        }
    }

    /// Decides at the end of a window; tells the new level if that changes.
    pub(super) fn decide(&mut self, now: Clocks) -> Option<CaptureLevel> {
        if now.wall_ns.saturating_sub(self.began.wall_ns) < WINDOW_NS {
            return None;
        }
        let (wall_ns, cpu_ns) = since(self.began, now);
        self.began = now;
        self.used_cores = cpu_ns / wall_ns;
        let used_part = self.used_cores / self.limit_cores;
        if used_part >= PASSED_PART {
            self.passed_windows += 1;
            (self.quiet_windows, self.quiet_parts) = (0, 0.0);
        } else {
            self.passed_windows = 0;
            self.quiet_windows += 1;
            self.quiet_parts += used_part;
        }
        if let Some(windows) = &mut self.attempt_windows {
            *windows += 1;
            if *windows == ATTEMPT_WINDOWS && self.passed_windows == 0 {
                self.wait_windows = QUIET_WINDOWS_MIN;
            }
        }
        let level = if self.passed_windows >= PASSED_WINDOWS {
            let level = self.level.below()?;
            let attempted = self.attempt_windows.take();
            if attempted.is_some_and(|windows| windows <= ATTEMPT_WINDOWS) {
                self.wait_windows = (self.wait_windows * 2).min(QUIET_WINDOWS_MAX);
            }
            level
        } else if self.quiet_windows >= self.wait_windows {
            let mean_part = self.quiet_parts / f64::from(self.quiet_windows);
            (self.quiet_windows, self.quiet_parts) = (0, 0.0);
            let level = self.level.above().filter(|_| mean_part < QUIET_PART)?;
            self.attempt_windows = Some(0);
            level
        } else {
            return None;
        };
        self.level = level;
        self.passed_windows = 0;
        Some(level)
    }
}

/// How much later it is, and how much was used.
fn since(before: Clocks, now: Clocks) -> (f64, f64) {
    let wall_ns = now.wall_ns.saturating_sub(before.wall_ns);
    let cpu_ns = now.cpu_ns.saturating_sub(before.cpu_ns);
    (wall_ns as f64, cpu_ns as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use CaptureLevel::{Counts, Full, Head};

    /// A budget, and the clocks that it is told.
    struct Bench {
        budget: Budget,
        now: Clocks,
    }

    impl Bench {
        fn new(limit_cores: f64) -> Self {
            let now = Clocks {
                wall_ns: 7_000_000_000,
                cpu_ns: 3_000_000_000,
            };
            Self {
                budget: Budget::new(limit_cores, now),
                now,
            }
        }

        fn use_up(&mut self, wall_ns: u64, cpu_ns: u64) {
            self.now.wall_ns += wall_ns;
            self.now.cpu_ns += cpu_ns;
        }

        /// A second in which so many thousandths of a processor were used.
        fn second(&mut self, used: u64) -> Option<CaptureLevel> {
            self.use_up(WINDOW_NS, used * 1_000_000);
            self.budget.decide(self.now)
        }

        /// Quiet seconds up to the next change, and what it is.
        fn quiet(&mut self) -> (u32, CaptureLevel) {
            (1..1000)
                .find_map(|seconds| Some((seconds, self.second(0)?)))
                .unwrap()
        }
    }

    #[test]
    fn capture_is_reduced_step_by_step_while_the_limit_is_passed() {
        let mut bench = Bench::new(0.5);
        let changes: Vec<_> = (0..8).map(|_| bench.second(450)).collect();
        let (head, counts) = (Some(Head), Some(Counts));
        assert_eq!(changes, [None, head, None, counts, None, None, None, None]);
        assert_eq!(bench.budget.used_cores(), 0.45);
    }

    #[test]
    fn one_expensive_second_changes_nothing() {
        let mut bench = Bench::new(1.0);
        for _ in 0..20 {
            assert_eq!(bench.second(1000), None);
            assert_eq!(bench.second(899), None);
        }
    }

    #[test]
    fn capture_is_restored_step_by_step_after_quiet_seconds() {
        let mut bench = Bench::new(1.0);
        for _ in 0..4 {
            bench.second(950);
        }
        assert_eq!(bench.budget.level(), Counts);
        assert_eq!(bench.quiet(), (QUIET_WINDOWS_MIN, Head));
        assert_eq!(bench.quiet(), (QUIET_WINDOWS_MIN, Full));
        assert!((0..100).all(|_| bench.second(0).is_none()));
    }

    #[test]
    fn half_of_the_limit_is_not_quiet_enough() {
        let mut bench = Bench::new(1.0);
        bench.second(950);
        bench.second(950);
        for _ in 0..100 {
            assert_eq!(bench.second(500), None);
        }
        // On average: single seconds may be above it, if they do not pass the limit.
        let changes: Vec<_> = [300, 899, 300, 701, 300]
            .map(|used| bench.second(used))
            .into();
        assert_eq!(changes, [None, None, None, None, None]);
        let changes: Vec<_> = [300, 899, 300, 600, 300]
            .map(|used| bench.second(used))
            .into();
        assert_eq!(changes, [None, None, None, None, Some(Full)]);
    }

    #[test]
    fn attempts_that_fail_become_rarer_and_one_that_succeeds_ends_that() {
        let mut bench = Bench::new(1.0);
        let mut waited = Vec::new();
        for _ in 0..6 {
            assert_eq!((bench.second(1000), bench.second(1000)), (None, Some(Head)));
            let (seconds, level) = bench.quiet();
            assert_eq!(level, Full);
            waited.push(seconds);
        }
        assert_eq!(waited, [5, 10, 20, 40, 60, 60]);
        for _ in 0..ATTEMPT_WINDOWS {
            bench.second(0);
        }
        assert_eq!((bench.second(1000), bench.second(1000)), (None, Some(Head)));
        assert_eq!(bench.quiet(), (QUIET_WINDOWS_MIN, Full));
    }

    #[test]
    fn nothing_is_decided_within_a_window() {
        let mut bench = Bench::new(1.0);
        for _ in 0..100 {
            bench.use_up(WINDOW_NS / 100 - 1, WINDOW_NS);
            assert_eq!(bench.budget.decide(bench.now), None);
        }
    }

    #[test]
    fn the_drain_rests_for_as_long_as_it_used_too_much() {
        let mut bench = Bench::new(0.1);
        assert_eq!(bench.budget.rest_ns(bench.now), 0);
        // 1 ms of CPU time in 1 ms: 0.9 ms too much, which a tenth of a processor has in 9 ms.
        bench.use_up(1_000_000, 1_000_000);
        assert_eq!(bench.budget.rest_ns(bench.now), 9_000_000);
        bench.use_up(4_000_000, 0);
        assert_eq!(bench.budget.rest_ns(bench.now), 5_000_000);
        bench.use_up(5_000_000, 0);
        assert_eq!(bench.budget.rest_ns(bench.now), 0);
    }

    #[test]
    fn what_is_saved_and_owed_has_limits() {
        let mut bench = Bench::new(0.5);
        bench.use_up(3_600_000_000_000, 0);
        assert_eq!(bench.budget.rest_ns(bench.now), 0);
        // A second's share was kept.
        bench.use_up(0, 500_000_000);
        assert_eq!(bench.budget.rest_ns(bench.now), 0);
        bench.use_up(0, 1_000_000);
        assert_eq!(bench.budget.rest_ns(bench.now), 2_000_000);
        bench.use_up(0, 3_600_000_000_000);
        assert_eq!(bench.budget.rest_ns(bench.now), 10_000_000_000);
    }

    #[test]
    fn whoever_rests_when_told_stays_at_the_limit() {
        for limit_cores in [0.01, 0.05, 0.5, 1.0] {
            let mut bench = Bench::new(limit_cores);
            let began = bench.now;
            while bench.now.wall_ns - began.wall_ns < 60_000_000_000 {
                // As much work as there may be between two looks.
                bench.use_up(700_000, 700_000);
                let rest_ns = bench.budget.rest_ns(bench.now);
                bench.use_up(rest_ns, 0);
            }
            let (wall_ns, cpu_ns) = since(began, bench.now);
            let used_part = cpu_ns / wall_ns / limit_cores;
            assert!(
                (0.99..1.01).contains(&used_part),
                "{limit_cores}: {used_part}"
            );
        }
    }
}
