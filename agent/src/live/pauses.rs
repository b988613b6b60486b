//! How long the agent sleeps between two looks at the ring.
//!
//! While records come it looks every [`Pauses::min`], which leaves the ring room for what comes meanwhile. When none come,
//! less and less often; and in the end not before the kernel side rings the bell, so that a burst after a quiet time finds
//! the agent as much awake as one in a busy time.

use crate::{records::alarm::Bell, serve::Ask};
use std::{future, time::Duration};
use tokio::sync::mpsc;

/// The pause doubles while nothing comes, up to this: as long as what comes first does not fill the ring before the next
/// look, where there is no bell.
const PAUSE_MAX: Duration = Duration::from_millis(50);
/// Where there is one: as long as nothing else has to be done.
const SLEEP: Duration = Duration::from_nanos(super::TICK_NS);

/// When to look next.
pub(super) struct Pauses {
    min: Duration,
    now: Duration,
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
    pub(super) fn new(min: Duration, bell: Option<Bell>) -> Self {
        Self {
            min,
            now: min,
            bell,
        }
    }

    /// A look has found records, or none.
    pub(super) fn looked(&mut self, is_quiet: bool) {
        self.now = match self.now {
            _ if !is_quiet => self.min,
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
        let Self { min, now, bell } = self;
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
        let mut pauses = Pauses::new(Duration::from_millis(10), None);
        let milliseconds = |pauses: &Pauses| pauses.now.as_millis();
        for want in [20, 40, 50, 50] {
            pauses.looked(true);
            assert_eq!(milliseconds(&pauses), want);
            assert!(!pauses.is_sleep(Duration::ZERO));
        }
        pauses.looked(false);
        assert_eq!(milliseconds(&pauses), 10);
    }
}
