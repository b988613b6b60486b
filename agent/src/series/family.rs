//! One metric's series: a row of numbers per label set, and one overflow row.

use super::catalogue::{Kind, Metric};
use super::histogram::Bounds;
use super::process::Owner;
use super::snapshot::{self, Labels, Overflow};
use crate::hash::FastMap;
use std::hash::Hash;
use std::sync::Arc;

/// What tells the series of a metric apart.
pub(super) trait Key: Clone + Eq + Hash {
    /// Whose series it is: [`Owner::number`].
    fn owner(&self) -> u64;
}

/// The series of `metric`, at most `series_max` of them; observations that would need one more go to
/// the overflow row, so that the sum over all rows is exact.
///
/// The rows stand in one vector and the labels in another that snapshots share, so that a snapshot
/// copies numbers and nothing else.
pub(super) struct Family<K> {
    metric: &'static Metric,
    series_max: usize,
    row_len: usize,
    rows: FastMap<K, u32>,
    values: Vec<u64>,
    labels: Arc<Vec<Labels>>,
    /// Own label texts: series of different processes share them.
    texts: FastMap<Arc<str>, ()>,
    overflow: Overflow,
    folded: u64,
    /// What a series that is made now will have counted is later than this.
    since_unix_ns: u64,
    /// Series have been added since the rows were put in order.
    unordered: bool,
    /// How often rows have moved.
    moves: u32,
}

/// Where a row stands, for who comes again. It is good until rows move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RowPlace {
    at: u32,
    moves: u32,
}

/// Where observations go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The series of its own label set.
    Own,
    /// The overflow row.
    Overflow,
}

impl From<Option<RowPlace>> for Place {
    fn from(row: Option<RowPlace>) -> Self {
        row.map_or(Self::Overflow, |_| Self::Own)
    }
}

impl<K: Key> Family<K> {
    pub(super) fn new(metric: &'static Metric, series_max: usize, bounds: &Bounds) -> Self {
        let row_len = match metric.kind {
            Kind::Counter | Kind::Gauge => 1,
            Kind::Histogram => bounds.row_len(),
        };
        Self {
            metric,
            // Row numbers have 32 bits.
            series_max: series_max.min(u32::MAX as usize),
            row_len,
            rows: FastMap::default(),
            values: Vec::new(),
            labels: Arc::default(),
            texts: FastMap::default(),
            overflow: Overflow {
                row: vec![0; row_len],
                created_unix_ns: 0,
            },
            folded: 0,
            since_unix_ns: 0,
            unordered: false,
            moves: 0,
        }
    }

    /// The row of `key`, which is made if there is room, and where it stands; the overflow row if there is none.
    /// `render` writes the labels of a new one.
    pub(super) fn row(
        &mut self,
        key: &K,
        owner: &Arc<Owner>,
        render: impl FnOnce(&mut String),
    ) -> (&mut [u64], Option<RowPlace>) {
        let at = match self.rows.get(key) {
            Some(at) => *at,
            None if self.rows.len() < self.series_max => self.create(key, owner, render),
            None => return (self.overflow_row(), None),
        };
        let start = at as usize * self.row_len;
        let moves = self.moves;
        match self.values.get_mut(start..start + self.row_len) {
            Some(row) => (row, Some(RowPlace { at, moves })),
            None => (&mut self.overflow.row, None),
        }
    }

    /// All that happened before has been counted: the series that are made from now on began then.
    pub(super) fn begin_from(&mut self, unix_ns: u64) {
        self.since_unix_ns = unix_ns;
    }

    /// The row that stands there, unless rows have moved since.
    #[inline]
    pub(super) fn row_at(&mut self, place: RowPlace) -> Option<&mut [u64]> {
        let RowPlace { at, moves } = place;
        let start = at as usize * self.row_len;
        let row = start..start + self.row_len;
        (moves == self.moves).then(|| self.values.get_mut(row))?
    }

    /// The overflow row, for one observation.
    pub(super) fn overflow_row(&mut self) -> &mut [u64] {
        if self.folded == 0 {
            self.overflow.created_unix_ns = self.since_unix_ns;
        }
        self.folded = self.folded.wrapping_add(1);
        &mut self.overflow.row
    }

    /// The row in `place`, to take back what was put there: this is no observation.
    pub(super) fn existing_row(&mut self, key: &K, place: Place) -> Option<&mut [u64]> {
        match place {
            Place::Own => {
                let start = *self.rows.get(key)? as usize * self.row_len;
                self.values.get_mut(start..start + self.row_len)
            }
            Place::Overflow => Some(&mut self.overflow.row),
        }
    }

    fn create(&mut self, key: &K, owner: &Arc<Owner>, render: impl FnOnce(&mut String)) -> u32 {
        let at = u32::try_from(self.rows.len()).unwrap_or(u32::MAX);
        let mut own = String::new();
        render(&mut own);
        let own = match self.texts.get_key_value(own.as_str()) {
            Some((text, ())) => Arc::clone(text),
            None => {
                let text: Arc<str> = own.into();
                self.texts.insert(Arc::clone(&text), ());
                text
            }
        };
        self.rows.insert(key.clone(), at);
        self.values.resize(self.values.len() + self.row_len, 0);
        Arc::make_mut(&mut self.labels).push(Labels {
            owner: Arc::clone(owner),
            own,
            created_unix_ns: self.since_unix_ns.max(owner.created_unix_ns),
        });
        self.unordered = true;
        at
    }

    /// Forgets the series of the owners whose numbers are in `ended`, which is ascending.
    pub(super) fn forget(&mut self, ended: &[u64]) {
        if self
            .rows
            .keys()
            .any(|key| ended.binary_search(&key.owner()).is_ok())
        {
            self.arrange(ended);
            self.texts.retain(|text, ()| Arc::strong_count(text) > 1);
        }
    }

    /// Forgets one series. Not for many at once: it looks through all of them.
    pub(super) fn remove(&mut self, key: &K) {
        let Some(at) = self.rows.remove(key) else {
            return;
        };
        // The last row takes its place.
        let last = self.rows.len();
        let (from, to) = (last * self.row_len, at as usize * self.row_len);
        if from != to {
            self.values.copy_within(from..from + self.row_len, to);
        }
        self.values.truncate(from);
        Arc::make_mut(&mut self.labels).swap_remove(at as usize);
        let moved = self.rows.values_mut().find(|row| **row as usize == last);
        if let Some(moved) = moved {
            *moved = at;
        }
        self.texts.retain(|text, ()| Arc::strong_count(text) > 1);
        self.unordered = true;
        self.moves = self.moves.wrapping_add(1);
    }

    /// Puts the rows in order (owner, then label text), without those of `ended`.
    fn arrange(&mut self, ended: &[u64]) {
        const GONE: u32 = u32::MAX;
        let mut order: Vec<(&Labels, &[u64], u32)> = self
            .labels
            .iter()
            .zip(self.values.chunks_exact(self.row_len))
            .zip(0..)
            .map(|((labels, row), at)| (labels, row, at))
            .filter(|(labels, ..)| ended.binary_search(&labels.owner.number).is_err())
            .collect();
        // Mostly in order already, which this sort makes use of.
        order.sort_by(|(a, ..), (b, ..)| (a.owner.number, &a.own).cmp(&(b.owner.number, &b.own)));

        let mut moved = vec![GONE; self.rows.len()];
        let mut labels = Vec::with_capacity(order.len());
        let mut values = Vec::with_capacity(order.len() * self.row_len);
        for ((series, row, before), now) in order.into_iter().zip(0..) {
            if let Some(to) = moved.get_mut(before as usize) {
                *to = now;
            }
            labels.push(series.clone());
            values.extend_from_slice(row);
        }
        self.rows.retain(|_, at| {
            *at = moved.get(*at as usize).copied().unwrap_or(GONE);
            *at != GONE
        });
        self.labels = Arc::new(labels);
        self.values = values;
        self.unordered = false;
        self.moves = self.moves.wrapping_add(1);
    }

    /// A copy of all numbers, in order; those of `hidden` owners are not to be shown.
    pub(super) fn snapshot(&mut self, hidden: &Arc<[u64]>) -> snapshot::Rows {
        if self.unordered {
            self.arrange(&[]);
        }
        snapshot::Rows {
            row_len: self.row_len,
            hidden: Arc::clone(hidden),
            labels: Arc::clone(&self.labels),
            values: self.values.clone(),
            overflow: (self.folded > 0).then(|| self.overflow.clone()),
        }
    }

    pub(super) fn metric(&self) -> &'static Metric {
        self.metric
    }

    /// How many label sets there are, without the overflow row.
    pub(super) fn series(&self) -> usize {
        self.rows.len()
    }

    /// How many observations went to the overflow row.
    pub(super) fn folded(&self) -> u64 {
        self.folded
    }
}
