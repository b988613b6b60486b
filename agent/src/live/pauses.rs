//! How long the agent sleeps between two looks at the ring.
//!
//! While records come it looks every [`Pauses::min`], and sooner where so many come that the ring would have no room for
//! them in that time. When none come, less and less often.

use crate::serve::Ask;
use std::{
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::{Duration, Instant},
};
use tokio::sync::mpsc;

/// The pause doubles while nothing comes, up to this: what comes first must not fill the ring before the next look.
const PAUSE_MAX: Duration = Duration::from_millis(50);
/// When nothing has come for this long, a look costs more than it is worth.
const QUIET: Duration = Duration::from_secs(2);
/// The pause then: four looks in a second. A burst that begins in it has the whole ring for itself.
const PAUSE_QUIET: Duration = Duration::from_millis(250);
/// The part of the ring that one pause may fill: what comes may become four times as much from one look to the next.
const SHARE: u64 = 4;
/// However much comes. Timers are no finer, and a drain of what came in it takes longer.
const PAUSE_MIN: Duration = Duration::from_millis(1);

/// When to look next.
pub struct Pauses {
    min: Duration,
    now: Duration,
    /// For how long nothing has come.
    quiet: Duration,
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
    pub fn new(min: Duration, ring_bytes: u32) -> Self {
        Self {
            min,
            now: min,
            quiet: Duration::ZERO,
            share_bytes: u64::from(ring_bytes) / SHARE,
        }
    }

    /// A look has found so much in the ring.
    pub fn looked(&mut self, found_bytes: u64) {
        if found_bytes == 0 {
            self.quiet = self.quiet.saturating_add(self.now);
            let longest = if self.quiet < QUIET {
                PAUSE_MAX.min(self.now * 2)
            } else {
                PAUSE_QUIET
            };
            self.now = longest.max(self.min);
            return;
        }
        self.quiet = Duration::ZERO;
        // Longer by twice at most: what came in one short pause tells little.
        let share = (self.share_bytes as f64 / found_bytes as f64).min(2.0);
        let longest = self.now.min(self.min).mul_f64(share).max(PAUSE_MIN);
        self.now = longest.min(self.min);
    }

    /// For how long to sleep now.
    pub fn pause(&self) -> Duration {
        self.now
    }

    /// The same, if the drain has to rest. No shorter than without: else a look that finds nothing costs a rest that is
    /// over long before the next look would have been, and the agent uses all that it may although it is idle.
    fn pause_with(&self, rest: Duration) -> Duration {
        if rest.is_zero() {
            self.now
        } else {
            rest.max(self.min).max(self.now)
        }
    }

    /// Sleeps, at least for `rest`.
    ///
    /// Parked and not in a runtime: tokio's timers are kept in wheels, so a thread that sleeps for longer than a turn of
    /// the smallest (64 ms) is also woken when its timer goes from one wheel to the next.
    pub(super) fn pass(&self, asks: &mut mpsc::Receiver<Ask>, rest: Duration) -> Woken {
        let pause = self.pause_with(rest);
        let began = Instant::now();
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut context = Context::from_waker(&waker);
        loop {
            if let Poll::Ready(ask) = asks.poll_recv(&mut context) {
                return ask.map_or(Woken::ToEnd, Woken::By);
            }
            let left = pause.saturating_sub(began.elapsed());
            if left.is_zero() {
                return Woken::ToLook;
            }
            thread::park_timeout(left);
        }
    }
}

/// Ends the pause of a thread.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
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
    fn a_quiet_host_is_looked_at_four_times_in_a_second() {
        let mut pauses = Pauses::new(Duration::from_millis(10), 4 << 20);
        let milliseconds = |pauses: &Pauses| pauses.now.as_millis();
        // 10, 20, 40, and then 50 until two seconds are full.
        for _ in 0..41 {
            pauses.looked(0);
            assert!(milliseconds(&pauses) <= 50);
        }
        for _ in 0..3 {
            pauses.looked(0);
            assert_eq!(milliseconds(&pauses), 250);
        }
        pauses.looked(24);
        assert_eq!(milliseconds(&pauses), 10);
    }

    #[test]
    fn a_pause_fills_no_more_than_its_share_of_the_ring() {
        let mut pauses = Pauses::new(Duration::from_millis(10), 4 << 20);
        // As long as it fills no more, a pause stays as it is, and grows again when less comes.
        for (found_kib, want_ns) in [
            (1024, 10_000_000),
            (2048, 5_000_000),
            (1024, 5_000_000),
            (4096, 1_250_000),
            (1024, 1_250_000),
            (100_000, 1_000_000),
            (512, 2_000_000),
            (1, 4_000_000),
            (1, 8_000_000),
            (1, 10_000_000),
            (1, 10_000_000),
        ] {
            pauses.looked(found_kib << 10);
            assert_eq!(pauses.pause().as_nanos(), want_ns, "{found_kib}");
        }
    }

    #[test]
    fn a_rest_makes_no_pause_shorter() {
        let mut pauses = Pauses::new(Duration::from_millis(10), 4 << 20);
        let milliseconds = |pauses: &Pauses, rest| {
            let rest = Duration::from_millis(rest);
            pauses.pause_with(rest).as_millis()
        };
        let rests = [0, 1, 50, 3000];
        assert_eq!(
            rests.map(|rest| milliseconds(&pauses, rest)),
            [10, 10, 50, 3000]
        );
        for _ in 0..50 {
            pauses.looked(0);
        }
        assert_eq!(
            rests.map(|rest| milliseconds(&pauses, rest)),
            [250, 250, 250, 3000]
        );
    }

    #[test]
    fn a_question_ends_a_pause_and_so_does_the_end_of_all_who_ask() {
        let pauses = Pauses::new(Duration::from_secs(3600), 4 << 20);
        let (asks, mut asked) = mpsc::channel(1);
        let asking = thread::spawn(move || {
            let (reply, _) = tokio::sync::oneshot::channel();
            asks.blocking_send(Ask::Health { reply }).unwrap();
        });
        let mut pass = || pauses.pass(&mut asked, Duration::ZERO);
        assert!(matches!(pass(), Woken::By(Ask::Health { .. })));
        assert!(matches!(pass(), Woken::ToEnd));
        asking.join().unwrap();
    }

    #[test]
    fn a_pause_ends_by_itself() {
        let pauses = Pauses::new(Duration::from_millis(1), 4 << 20);
        let (_asks, mut asked) = mpsc::channel(1);
        let woken = pauses.pass(&mut asked, Duration::ZERO);
        assert!(matches!(woken, Woken::ToLook));
    }
}
