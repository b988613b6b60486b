//! Histograms of durations in whole nanoseconds, so that sums are exact.

/// Upper bounds of the buckets, ascending, in nanoseconds. A value that equals a bound belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounds(Vec<u64>);

/// A histogram's row of numbers: the count of each bucket (not cumulative), the count above the last
/// bound, then the sum's low and high half. The sum needs more than 64 bits: ten thousand requests
/// that are always open (long polling) would fill them in three weeks.
const SUM_WORDS: usize = 2;

impl Bounds {
    /// Bounds from seconds. What is not a positive number is left out, and order does not matter: the
    /// config has already refused such a list.
    pub(super) fn from_seconds(seconds: &[f64]) -> Self {
        let mut bounds_ns: Vec<u64> = seconds
            .iter()
            .filter(|bound| bound.is_finite())
            .map(|bound| (bound * 1e9).round() as u64)
            .filter(|bound_ns| *bound_ns > 0)
            .collect();
        bounds_ns.sort_unstable();
        bounds_ns.dedup();
        Self(bounds_ns)
    }

    /// The bounds in nanoseconds, ascending.
    pub fn ns(&self) -> &[u64] {
        &self.0
    }

    /// How many numbers a histogram with these bounds has.
    pub(super) fn row_len(&self) -> usize {
        self.0.len() + 1 + SUM_WORDS
    }

    /// Adds one observation to a row of [`Bounds::row_len`] numbers.
    pub(super) fn observe(&self, row: &mut [u64], value_ns: u64) {
        let Some((counts, [low, high])) = row.split_last_chunk_mut::<SUM_WORDS>() else {
            return;
        };
        // One after the other: most values belong to the first few, and there are not many.
        let within = self.0.iter().position(|bound_ns| value_ns <= *bound_ns);
        if let Some(count) = counts.get_mut(within.unwrap_or(self.0.len())) {
            *count = count.wrapping_add(1);
        }
        let (sum, carry) = low.overflowing_add(value_ns);
        *low = sum;
        *high = high.wrapping_add(u64::from(carry));
    }
}

/// What a histogram has observed. It is small, as scrapes hand it on by the thousand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observed<'a>(&'a [u64]);

impl<'a> Observed<'a> {
    /// What a row of [`Bounds::row_len`] numbers says.
    pub(super) fn of(row: &'a [u64]) -> Self {
        Self(row)
    }

    /// Observations per bucket, not cumulative: one per bound, then those above the last.
    pub fn counts(self) -> &'a [u64] {
        self.parts().0
    }

    /// Sum of the observations, in nanoseconds.
    pub fn sum_ns(self) -> u128 {
        let [low, high] = self.parts().1;
        u128::from(high) << 64 | u128::from(low)
    }

    fn parts(self) -> (&'a [u64], [u64; SUM_WORDS]) {
        let Self(row) = self;
        let parts = row.split_last_chunk::<SUM_WORDS>();
        parts.map_or((&[], [0; SUM_WORDS]), |(counts, sum)| (counts, *sum))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_at_a_bound_belongs_to_it() {
        let bounds = Bounds::from_seconds(&[0.001, 0.0005, f64::NAN, -1.0, 0.001]);
        assert_eq!(bounds.ns(), [500_000, 1_000_000]);
        let mut row = vec![0; bounds.row_len()];
        for value_ns in [0, 500_000, 500_001, 1_000_000, 1_000_001, u64::MAX] {
            bounds.observe(&mut row, value_ns);
        }
        let observed = Observed::of(&row);
        assert_eq!(observed.counts(), [2, 2, 2]);
        assert_eq!(observed.sum_ns(), 3_000_002 + u128::from(u64::MAX));
        // Which no row is.
        assert_eq!(
            (Observed(&[1]).counts(), Observed(&[1]).sum_ns()),
            (&[] as &[u64], 0)
        );
    }
}
