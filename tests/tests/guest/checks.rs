//! Collects every difference of a case, and fails with all of them at the end.

use std::collections::BTreeMap;
use std::fmt::Debug;

/// Counts by a label.
pub(crate) type Counts = BTreeMap<String, f64>;

/// What a run that the kernel leaves out costs at one end: the request whose bytes it would have told of, and the next
/// one, which cannot be told from an answer to it.
pub(crate) const REQUESTS_A_MISSED_RUN: f64 = 2.0;

/// The differences of one case.
#[derive(Default)]
pub(crate) struct Checks {
    made: usize,
    differences: Vec<String>,
    /// Runs of programs that the kernel left out meanwhile, by its own count (`sockmeter_probe_missed_total`).
    missed: f64,
}

impl Checks {
    /// Of a case in which the kernel left so many runs of programs out: where it left none out, everything is exact.
    pub(crate) fn with_missed(missed: f64) -> Self {
        let mut checks = Self::default();
        checks.missed = missed;
        checks
    }

    /// `got` must be `want`, or less by what missed runs cost.
    pub(crate) fn lacks(&mut self, what: &str, got: f64, want: f64) {
        self.differs(what, got, want, [REQUESTS_A_MISSED_RUN, 0.0]);
    }

    /// `got` must be `want`, or more by what missed runs cost.
    pub(crate) fn exceeds(&mut self, what: &str, got: f64, want: f64) {
        self.differs(what, got, want, [0.0, REQUESTS_A_MISSED_RUN]);
    }

    /// Counts that each must be as wanted, or less by what missed runs cost together.
    pub(crate) fn each_lacks(&mut self, what: &str, got: &Counts, want: &Counts) {
        let names: Vec<&String> = got.keys().chain(want.keys()).collect();
        let of = |counts: &Counts, name: &String| counts.get(name).copied().unwrap_or_default();
        let more: Vec<_> = names
            .into_iter()
            .filter(|name| of(got, name) > of(want, name))
            .collect();
        let (more, show) = (more.is_empty(), || {
            format!("{what}: got {got:?}, want {want:?}")
        });
        self.that(more, show);
        if more && got != want {
            let [sum, all] = [got, want].map(|counts| counts.values().sum());
            self.lacks(&show(), sum, all);
        }
    }

    /// `got` must be `want` bytes. TCP's own count tells at a connection's next call what a missed run did not: by then
    /// they come too late, and from its last call not yet.
    pub(crate) fn bytes(&mut self, what: &str, got: f64, want: f64, bytes_of_a_call: f64) {
        self.differs(what, got, want, [bytes_of_a_call; 2]);
    }

    /// For each missed run `got` may be so much less or more than `want`.
    fn differs(&mut self, what: &str, got: f64, want: f64, [less, more]: [f64; 2]) {
        let missed = self.missed;
        let range = want - less * missed..=want + more * missed;
        self.that(range.contains(&got), || {
            format!("{what}: got {got:?}, want {want:?} ({missed} runs of programs left out)")
        });
        if got != want {
            eprintln!(
                "{what}: got {got:?}, want {want:?}: the kernel left {missed} runs of programs out"
            );
        }
    }

    /// `got` must be `want`.
    pub(crate) fn equal<T: PartialEq + Debug>(&mut self, what: &str, got: T, want: T) {
        self.that(got == want, || {
            format!("{what}: got {got:?}, want {want:?}")
        });
    }

    /// `got` must be as large as `want`, give or take a share of it.
    pub(crate) fn close(&mut self, what: &str, got: f64, want: f64, share: f64) {
        self.that((got - want).abs() <= want.abs() * share, || {
            let percent = (got / want - 1.0) * 100.0;
            let limit = share * 100.0;
            format!("{what}: got {got:.6}, want {want:.6}: {percent:+.1} %, {limit} % allowed")
        });
    }

    /// `got` must be within both bounds.
    pub(crate) fn between(&mut self, what: &str, got: f64, least: f64, most: f64) {
        self.that((least..=most).contains(&got), || {
            format!("{what}: got {got}, want {least} to {most}")
        });
    }

    /// `text` must have `part` in it.
    pub(crate) fn has(&mut self, what: &str, text: &str, part: &str) {
        self.that(text.contains(part), || {
            format!("{what}: no {part:?} in {:?}", text.trim_end())
        });
    }

    /// Must hold.
    pub(crate) fn that(&mut self, holds: bool, difference: impl FnOnce() -> String) {
        self.made += 1;
        if !holds {
            self.differences.push(difference());
        }
    }
}

impl Drop for Checks {
    fn drop(&mut self) {
        if !self.differences.is_empty() && !std::thread::panicking() {
            panic!(
                "{} of {} checks failed:\n  {}",
                self.differences.len(),
                self.made,
                self.differences.join("\n  ")
            );
        }
    }
}
