//! How long the agent sleeps between two looks at the ring.
//!
//! While records come it looks every [`Pauses::min`], and sooner where so many come that the ring would have no room for
//! them in that time. When none come, less and less often.

use crate::serve::Ask;
use std::time::Duration;
use tokio::sync::mpsc;

/// The pause doubles while nothing comes, up to this: what comes first must not fill the ring before the next look.
const PAUSE_MAX: Duration = Duration::from_millis(50);
/// The part of the ring that one pause may fill: what comes may become four times as much from one look to the next.
const SHARE: u64 = 4;
/// However much comes. Timers are no finer, and a drain of what came in it takes longer.
const PAUSE_MIN: Duration = Duration::from_millis(1);

/// When to look next.
pub(super) struct Pauses {
    min: Duration,
    now: Duration,
    share_bytes: u64,
}

/// What ended a pause.
pub(super) enum Woken {
    /// Somebody asks.
    By(Ask),
    /// It is time to look.
    ToLook,
    /// Nobody can ask any more.
    ToEnd,
}

impl Pauses {
    /// For a ring of that size, which is looked at every `min` while records come.
    pub(super) fn new(min: Duration, ring_bytes: u32) -> Self {
        Self {
            min,
            now: min,
            share_bytes: u64::from(ring_bytes) / SHARE,
        }
    }

    /// A look has found so much in the ring.
    pub(super) fn looked(&mut self, found_bytes: u64) {
        self.now = if found_bytes > self.share_bytes {
            let share = self.share_bytes as f64 / found_bytes as f64;
            self.min.mul_f64(share).max(PAUSE_MIN)
        } else if found_bytes > 0 {
            self.min
        } else {
            (self.now * 2).min(PAUSE_MAX)
        };
    }

    /// Sleeps, at least for `rest`.
    pub(super) async fn pass(&self, asks: &mut mpsc::Receiver<Ask>, rest: Duration) -> Woken {
        let pause = if rest.is_zero() {
            self.now
        } else {
            rest.max(self.min)
        };
        match tokio::time::timeout(pause, asks.recv()).await {
            Ok(ask) => ask.map_or(Woken::ToEnd, Woken::By),
            Err(_) => Woken::ToLook,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_stay_short_enough_for_a_burst() {
        let mut pauses = Pauses::new(Duration::from_millis(10), 4 << 20);
        let milliseconds = |pauses: &Pauses| pauses.now.as_millis();
        for want in [20, 40, 50, 50] {
            pauses.looked(0);
            assert_eq!(milliseconds(&pauses), want);
        }
        pauses.looked(24);
        assert_eq!(milliseconds(&pauses), 10);
    }

    #[test]
    fn a_pause_fills_no_more_than_its_share_of_the_ring() {
        let mut pauses = Pauses::new(Duration::from_millis(10), 4 << 20);
        for (found_mib, want) in [(1, 10), (2, 5), (4, 2), (1000, 1), (1, 10)] {
            pauses.looked(found_mib << 20);
            assert_eq!(pauses.now.as_millis(), want, "{found_mib}");
        }
    }
}
