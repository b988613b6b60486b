//! How long the agent sleeps between two looks at the ring.
//!
//! While records come it looks every [`Pauses::min`], and sooner where so many come that the ring would have no room for
//! them in that time. When none come, less and less often; and in the end not before the kernel side rings the bell, so that a burst after a quiet time finds
//! the agent as much awake as one in a busy time.

use crate::{records::alarm::Bell, serve::Ask};
use std::{future, time::Duration};
use tokio::sync::mpsc;

/// The pause doubles while nothing comes, up to this: as long as what comes first does not fill the ring before the next
/// look, where there is no bell.
const PAUSE_MAX: Duration = Duration::from_millis(50);
/// The part of the ring that one pause may fill: what comes may become four times as much from one look to the next.
const SHARE: u64 = 4;
/// However much comes. Timers are no finer, and a drain of what came in it takes longer.
const PAUSE_MIN: Duration = Duration::from_millis(1);
/// Where there is one: as long as nothing else has to be done.
const SLEEP: Duration = Duration::from_nanos(super::TICK_NS);

/// When to look next.
pub(super) struct Pauses {
    min: Duration,
    now: Duration,
    share_bytes: u64,
    bell: Option<Bell>,
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
    /// Without a bell the agent never sleeps long.
    pub(super) fn new(min: Duration, ring_bytes: u32, bell: Option<Bell>) -> Self {
        Self {
            min,
            now: min,
            share_bytes: u64::from(ring_bytes) / SHARE,
            bell,
        }
    }

    /// A look has found so much in the ring.
    pub(super) fn looked(&mut self, found_bytes: u64) {
        self.now = match self.now {
            _ if found_bytes > self.share_bytes => {
                let share = self.share_bytes as f64 / found_bytes as f64;
                self.min.mul_f64(share).max(PAUSE_MIN)
            }
            _ if found_bytes > 0 => self.min,
            now if now >= PAUSE_MAX && self.bell.is_some() => SLEEP,
            now => (now * 2).min(PAUSE_MAX),
        };
    }

    /// Whether the next pause is so long that the kernel side must know; none is while the agent has to rest.
    pub(super) fn is_sleep(&self, rest: Duration) -> bool {
        self.now >= SLEEP && rest.is_zero()
    }

    /// Sleeps, at least for `rest`.
    pub(super) async fn pass(&mut self, asks: &mut mpsc::Receiver<Ask>, rest: Duration) -> Woken {
        let is_sleep = self.is_sleep(rest);
        let Self {
            min,
            now,
            share_bytes: _,
            bell,
        } = self;
        let pause = if rest.is_zero() { *now } else { rest.max(*min) };
        let rung = async {
            match bell {
                Some(bell) if is_sleep => bell.rung().await,
                _ => future::pending().await,
            }
        };
        tokio::select! {
            ask = asks.recv() => ask.map_or(Woken::ToEnd, Woken::By),
            () = rung => Woken::ToLook,
            () = tokio::time::sleep(pause) => Woken::ToLook,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_bell_pauses_stay_short_enough_for_a_burst() {
        let mut pauses = Pauses::new(Duration::from_millis(10), 4 << 20, None);
        let milliseconds = |pauses: &Pauses| pauses.now.as_millis();
        for want in [20, 40, 50, 50] {
            pauses.looked(0);
            assert_eq!(milliseconds(&pauses), want);
            assert!(!pauses.is_sleep(Duration::ZERO));
        }
        pauses.looked(24);
        assert_eq!(milliseconds(&pauses), 10);
    }

    #[test]
    fn a_pause_fills_no_more_than_its_share_of_the_ring() {
        let mut pauses = Pauses::new(Duration::from_millis(10), 4 << 20, None);
        for (found_mib, want) in [(1, 10), (2, 5), (4, 2), (1000, 1), (1, 10)] {
            pauses.looked(found_mib << 20);
            assert_eq!(pauses.now.as_millis(), want, "{found_mib}");
        }
    }
}
