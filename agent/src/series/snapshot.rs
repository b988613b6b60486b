//! A scrape's worth of numbers, copied so that they can be written while counting goes on.

use super::catalogue::{self, Kind, Metric};
use super::histogram::{Bounds, Observed};
use super::labels::push_label;
use super::process::Owner;
use std::sync::Arc;

/// Every series at one moment. It is independent of the [`Series`](super::Series) it was taken from, and
/// the same observations always make an equal one.
#[derive(Clone, Debug)]
pub struct Snapshot {
    bounds: Arc<Bounds>,
    /// As many as, and in the order of, [`catalogue::ALL`].
    families: Vec<Family>,
    /// When the agent began to count, since 1970.
    began_unix_ns: u64,
}

/// One metric of a snapshot.
#[derive(Clone, Debug)]
pub struct Family {
    metric: &'static Metric,
    rows: Rows,
    pushed: Vec<Pushed>,
}

/// An agent-wide series.
#[derive(Clone, Debug)]
struct Pushed {
    labels: Box<str>,
    sample: Sample,
    created_unix_ns: u64,
}

/// The value of an agent-wide series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sample {
    /// A whole number that is not negative.
    Count(u64),
    /// Any number, in the metric's unit.
    Number(f64),
}

/// One series: its labels, as rendered text, and its value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point<'a> {
    /// The labels of the process, `name="value"` with commas between, escaped; may be empty.
    pub process_labels: &'a str,
    /// The metric's own labels, in the same form; may be empty.
    pub own_labels: &'a str,
    /// What was counted.
    pub value: Value<'a>,
    /// Since when it is counted, in nanoseconds since 1970; of a gauge without meaning.
    pub created_unix_ns: u64,
}

/// What a series shows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// A counter, or an agent-wide gauge, that is a whole number.
    Count(u64),
    /// A gauge that is a whole number.
    Gauge(i64),
    /// Any other number, in the metric's unit.
    Number(f64),
    /// A histogram of durations.
    Histogram(Observed<'a>),
}

/// The labels of a series, shared with the table it was copied from.
#[derive(Clone, Debug)]
pub(super) struct Labels {
    pub(super) owner: Arc<Owner>,
    pub(super) own: Arc<str>,
    /// Nothing that the series has counted happened before, since 1970.
    pub(super) created_unix_ns: u64,
}

/// The series of what found no room.
#[derive(Clone, Debug)]
pub(super) struct Overflow {
    pub(super) row: Vec<u64>,
    /// As for [`Labels`].
    pub(super) created_unix_ns: u64,
}

/// The numbers of a family, `row_len` per series.
#[derive(Clone, Debug, Default)]
pub(super) struct Rows {
    pub(super) row_len: usize,
    /// Numbers of the owners whose series are not shown, ascending.
    pub(super) hidden: Arc<[u64]>,
    pub(super) labels: Arc<Vec<Labels>>,
    pub(super) values: Vec<u64>,
    /// If anything found no room.
    pub(super) overflow: Option<Overflow>,
}

/// A metric was named that [`catalogue::ALL`] does not have as a counter or gauge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the catalogue has no counter or gauge {0}")]
pub struct UnknownMetric(pub &'static str);

impl Snapshot {
    pub(super) fn new(bounds: Arc<Bounds>, began_unix_ns: u64) -> Self {
        let empty = |metric| Family {
            metric,
            rows: Rows::default(),
            pushed: Vec::new(),
        };
        Self {
            bounds,
            families: catalogue::ALL.iter().map(empty).collect(),
            began_unix_ns,
        }
    }

    /// Adds an agent-wide series, which counts since the agent began. Series of one metric must differ in their
    /// labels, and histograms cannot be added.
    pub fn push(
        &mut self,
        metric: &'static str,
        labels: &[(&str, &str)],
        value: Sample,
    ) -> Result<(), UnknownMetric> {
        self.push_since(self.began_unix_ns, metric, labels, value)
    }

    /// The same of one that counts since another time.
    pub fn push_since(
        &mut self,
        created_unix_ns: u64,
        metric: &'static str,
        labels: &[(&str, &str)],
        value: Sample,
    ) -> Result<(), UnknownMetric> {
        let known = catalogue::ALL
            .iter()
            .find(|known| known.name == metric && known.kind != Kind::Histogram);
        let known = known.ok_or(UnknownMetric(metric))?;
        self.push_known(known, labels, value, created_unix_ns);
        Ok(())
    }

    /// Adds what the series say of themselves.
    pub(super) fn push_own(
        &mut self,
        metric: &'static Metric,
        labels: &[(&str, &str)],
        value: Sample,
    ) {
        self.push_known(metric, labels, value, self.began_unix_ns);
    }

    fn push_known(
        &mut self,
        metric: &'static Metric,
        labels: &[(&str, &str)],
        sample: Sample,
        created_unix_ns: u64,
    ) {
        let mut text = String::new();
        for (name, value) in labels {
            push_label(&mut text, name, value);
        }
        if let Some(family) = self.family_mut(metric) {
            family.pushed.push(Pushed {
                labels: text.into(),
                sample,
                created_unix_ns,
            });
        }
    }

    fn family_mut(&mut self, metric: &Metric) -> Option<&mut Family> {
        self.families
            .iter_mut()
            .find(|family| family.metric.name == metric.name)
    }

    pub(super) fn set(&mut self, metric: &'static Metric, rows: Rows) {
        if let Some(family) = self.family_mut(metric) {
            family.rows = rows;
        }
    }

    /// The metrics that have at least one series, in the order of the catalogue.
    pub fn families(&self) -> impl Iterator<Item = &Family> {
        self.families
            .iter()
            .filter(|family| family.points().next().is_some())
    }

    /// The metrics from a place on, in the same order, with those that have no series.
    pub fn families_from(&self, start: usize) -> &[Family] {
        self.families.get(start..).unwrap_or_default()
    }

    /// The bounds of all histograms.
    pub fn bounds(&self) -> &Bounds {
        &self.bounds
    }
}

impl Family {
    /// What the catalogue says of it.
    pub fn metric(&self) -> &'static Metric {
        self.metric
    }

    /// Its series: by process in the order in which processes were added, then by label text; then the
    /// overflow series; then what was pushed, in that order.
    pub fn points(&self) -> impl Iterator<Item = Point<'_>> {
        self.points_from(0).map(|(_, point)| point)
    }

    /// The same from a place on, each with its place; the places of series that are not shown are left out.
    pub fn points_from(&self, start: usize) -> impl Iterator<Item = (usize, Point<'_>)> {
        let Rows {
            row_len,
            hidden,
            labels,
            values,
            overflow,
        } = &self.rows;
        let row_len = (*row_len).max(1);
        let rows_left = labels.get(start..).unwrap_or_default();
        let values_left = values.get(start * row_len..).unwrap_or_default();
        let rows = (start..)
            .zip(rows_left.iter().zip(values_left.chunks_exact(row_len)))
            .filter(|(_, (labels, _))| hidden.binary_search(&labels.owner.number).is_err())
            .map(|(at, (labels, row))| {
                let point = Point {
                    process_labels: &labels.owner.labels,
                    own_labels: &labels.own,
                    value: self.value(row),
                    created_unix_ns: labels.created_unix_ns,
                };
                (at, point)
            });
        let overflow = overflow.iter().map(|overflow| Point {
            process_labels: "",
            own_labels: "overflow=\"true\"",
            value: self.value(&overflow.row),
            created_unix_ns: overflow.created_unix_ns,
        });
        let pushed = self.pushed.iter().map(|pushed| Point {
            process_labels: "",
            own_labels: &pushed.labels,
            value: match pushed.sample {
                Sample::Count(count) => Value::Count(count),
                Sample::Number(number) => Value::Number(number),
            },
            created_unix_ns: pushed.created_unix_ns,
        });
        let behind = (labels.len()..).zip(overflow.chain(pushed));
        rows.chain(behind.skip(start.saturating_sub(labels.len())))
    }

    fn value<'a>(&self, row: &'a [u64]) -> Value<'a> {
        let first = row.first().copied().unwrap_or_default();
        match self.metric.kind {
            Kind::Counter => Value::Count(first),
            // Gauges are kept in two's complement.
            Kind::Gauge => Value::Gauge(first.cast_signed()),
            Kind::Histogram => Value::Histogram(Observed::of(row)),
        }
    }
}
