//! Collects every difference of a case, and fails with all of them at the end.

use std::fmt::Debug;

/// The differences of one case.
#[derive(Default)]
pub(crate) struct Checks {
    made: usize,
    differences: Vec<String>,
}

impl Checks {
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
