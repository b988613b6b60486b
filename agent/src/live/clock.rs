//! The clocks: that of the records, and what the one on the wall shows.

use crate::records::Clock;
use rustix::time::{ClockId, Timespec, clock_gettime};
use std::time::Duration;

/// By how much the clock on the wall must have been set for the pipeline to be told. Far more than lies between two
/// readings, and less than the delay of a scrape.
const SET_MIN: Duration = Duration::from_millis(100);

/// Now, on the clock of the records.
pub(super) fn now_ns() -> u64 {
    ns(clock_gettime(ClockId::Monotonic))
}

fn ns(time: Timespec) -> u64 {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds
        .saturating_mul(1_000_000_000)
        .saturating_add(u64::try_from(time.tv_nsec).unwrap_or(0))
}

/// What both clocks show. The one on the wall first: if the thread has to wait in between, times since 1970 come out
/// too early, and nothing that is counted happened before the time that is said.
fn read() -> Clock {
    Clock {
        unix_ns: ns(clock_gettime(ClockId::Realtime)),
        time_ns: now_ns(),
    }
}

/// What the pipeline was told of the clock on the wall.
#[derive(Debug)]
pub(super) struct WallClock {
    offset_ns: u64,
}

impl WallClock {
    /// What it shows, for the pipeline to be told.
    pub(super) fn read() -> (Self, Clock) {
        let now = read();
        let offset_ns = offset_ns(now);
        (Self { offset_ns }, now)
    }

    /// What it shows now, if it was set since the pipeline was told.
    pub(super) fn change(&mut self) -> Option<Clock> {
        self.changed_to(read())
    }

    fn changed_to(&mut self, now: Clock) -> Option<Clock> {
        let offset_ns = offset_ns(now);
        if Duration::from_nanos(offset_ns.abs_diff(self.offset_ns)) < SET_MIN {
            return None;
        }
        self.offset_ns = offset_ns;
        Some(now)
    }
}

fn offset_ns(clock: Clock) -> u64 {
    clock.unix_ns.saturating_sub(clock.time_ns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clock_that_was_set_is_told_and_once() {
        let (mut clock, began) = WallClock::read();
        let later = |moved_ms: u64, passed_ms: u64| Clock {
            time_ns: began.time_ns + passed_ms * 1_000_000,
            unix_ns: began.unix_ns + moved_ms * 1_000_000,
        };
        assert_eq!(clock.changed_to(later(3_000, 3_000)), None);
        assert_eq!(clock.changed_to(later(4_099, 4_000)), None);
        // Forwards, and back again.
        let set = later(4_100, 4_000);
        assert_eq!(clock.changed_to(set), Some(set));
        assert_eq!(clock.changed_to(later(5_100, 5_000)), None);
        let set_back = later(6_000, 6_000);
        assert_eq!(clock.changed_to(set_back), Some(set_back));
    }

    #[test]
    fn the_clocks_of_this_machine() {
        let (_, began) = WallClock::read();
        let later = read();
        assert!(later.time_ns >= began.time_ns);
        // 2020: the wall's clock counts from 1970, the other one from the machine's start.
        assert!(began.unix_ns > 1_577_836_800_000_000_000 && began.time_ns < began.unix_ns);
    }
}
