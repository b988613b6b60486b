//! What was measured: figures by case and by name.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Figures of a run that may not become larger: they come out the same on every machine.
const BOUNDED: [&str; 7] = [
    "instructions",
    "allocated_bytes_per_exchange",
    "ring_bytes_per_exchange",
    "heap_bytes",
    "bytes_per_series",
    "bytes_per_connection",
    "peak_bytes",
];

/// The figures that one run printed.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Measured(BTreeMap<String, f64>);

/// The figures of all cases.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Figures(BTreeMap<String, BTreeMap<String, f64>>);

impl Measured {
    /// Pairs of a name and a number; others are passed over.
    pub(super) fn parse(text: &str) -> Self {
        let words: Vec<&str> = text.split_whitespace().collect();
        let pairs = words.chunks_exact(2).filter_map(|pair| match pair {
            [name, number] => Some(((*name).to_owned(), number.parse().ok()?)),
            _ => None,
        });
        Self(pairs.collect())
    }

    /// Calls a figure by another name, and drops what follows from it.
    pub(super) fn rename(&mut self, from: &str, to: &str) {
        if let Some(number) = self.0.remove(from) {
            self.0.insert(to.to_owned(), number);
        }
        self.0.remove("exchanges_per_second");
        self.0.remove("first_cpu_ns");
    }

    /// The figures of a run whose clock counted instructions.
    pub(super) fn counted(mut self, clock: &str) -> Self {
        self.rename(clock, "instructions");
        self
    }
}

impl Figures {
    /// Takes in a run: of each figure the smallest of all runs.
    pub(super) fn best(&mut self, case: &str, measured: &Measured) {
        let figures = self.0.entry(case.to_owned()).or_default();
        for (name, number) in &measured.0 {
            let best = figures.entry(name.clone()).or_insert(*number);
            *best = best.min(*number);
        }
    }

    /// One figure.
    pub(super) fn get(&self, case: &str, figure: &str) -> Option<f64> {
        self.0.get(case)?.get(figure).copied()
    }

    /// All that is counted in instructions or bytes of our own: case, figure, number.
    pub(super) fn that_must_not_grow(&self) -> impl Iterator<Item = (&str, &str, f64)> {
        let ours = |case: &str| !case.contains("prometheus");
        let cases = self.0.iter().filter(move |(case, _)| ours(case));
        cases.flat_map(|(case, figures)| {
            let bounded = figures.iter();
            let bounded = bounded.filter(|(name, _)| BOUNDED.contains(&name.as_str()));
            bounded.map(move |(name, number)| (case.as_str(), name.as_str(), *number))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_of_several_runs_counts() {
        let mut figures = Figures::default();
        for text in ["cpu_ns 7\nheap_bytes 10\n", "cpu_ns 5 heap_bytes 12 word x"] {
            figures.best("a", &Measured::parse(text).counted("cpu_ns"));
        }
        assert_eq!(figures.get("a", "instructions"), Some(5.0));
        assert_eq!(figures.get("a", "heap_bytes"), Some(10.0));
        assert_eq!(figures.get("a", "word"), None);
    }

    #[test]
    fn times_and_other_libraries_are_free_to_grow() {
        let mut figures = Figures::default();
        let measured = Measured::parse("instructions 1 nanoseconds 2");
        figures.best("a", &measured);
        figures.best("scrape, prometheus", &measured);
        let all: Vec<_> = figures.that_must_not_grow().collect();
        assert_eq!(all, [("a", "instructions", 1.0)]);
    }
}
