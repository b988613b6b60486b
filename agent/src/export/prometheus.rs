//! A snapshot as Prometheus text: format 0.0.4 and OpenMetrics 1.0.0.

mod accept;
#[cfg(test)]
mod tests;

pub use accept::negotiate;

use crate::series::catalogue::{Kind, Metric};
use crate::series::{Family, Observed, Point, Snapshot, Value};
use std::{
    borrow::Borrow,
    io::{self, Write},
    mem,
};

/// A text format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text 0.0.4.
    Text004,
    /// OpenMetrics 1.0.0.
    OpenMetrics100,
}

impl Format {
    /// The value of the `Content-Type` header.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text004 => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics100 => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// Bytes after which text is handed on.
pub const CHUNK_BYTES: usize = 64 * 1024;
/// Room for a chunk: a series, of which all lines are in one chunk, may begin just before its end.
const BUFFER_BYTES: usize = CHUNK_BYTES + CHUNK_BYTES / 4;

/// Writes all metrics that have series. `out` gets chunks of a bit more than [`CHUNK_BYTES`], each with one
/// `write_all`.
pub fn write(snapshot: &Snapshot, format: Format, out: &mut impl Write) -> io::Result<()> {
    let mut chunks = Chunks::new(snapshot, format);
    let mut buffer = Vec::with_capacity(BUFFER_BYTES);
    loop {
        buffer.clear();
        buffer = chunks.fill(buffer);
        if buffer.is_empty() {
            return Ok(());
        }
        out.write_all(&buffer)?;
    }
}

/// The text of a snapshot in pieces of a bit more than [`CHUNK_BYTES`], each made when it is asked for: the body of
/// a response that is sent as it is made, so that the text is never in memory as a whole.
#[derive(Debug)]
pub struct Chunks<S> {
    snapshot: S,
    text: Text,
    /// The metric at hand, and how many of its series are written.
    family: usize,
    points: usize,
    /// Nothing comes any more.
    is_done: bool,
}

impl<S: Borrow<Snapshot>> Chunks<S> {
    /// From the first metric on.
    pub fn new(snapshot: S, format: Format) -> Self {
        let bounds = snapshot.borrow().bounds().ns().iter();
        let bounds = bounds.map(|bound_ns| bound(*bound_ns));
        let bounds = bounds.chain(["+Inf".to_owned()]);
        Self {
            text: Text {
                format,
                bounds: bounds.map(|bound| bound + "\"} ").collect(),
                buffer: Vec::new(),
                head: Vec::new(),
            },
            snapshot,
            family: 0,
            points: 0,
            is_done: false,
        }
    }

    /// Writes the next piece behind what `buffer` has; nothing, if all is written.
    fn fill(&mut self, buffer: Vec<u8>) -> Vec<u8> {
        self.text.buffer = buffer;
        if !self.is_done && !self.fill_from_families() {
            if self.text.format == Format::OpenMetrics100 {
                self.text.push("# EOF\n");
            }
            self.is_done = true;
        }
        mem::take(&mut self.text.buffer)
    }

    /// Whether the piece is full; otherwise all series are written.
    fn fill_from_families(&mut self) -> bool {
        for family in self.snapshot.borrow().families_from(self.family) {
            for (at, point) in family.points_from(self.points) {
                if self.points == 0 {
                    self.text.metadata(family.metric());
                }
                self.text.point(family, point);
                self.points = at + 1;
                if self.text.buffer.len() >= CHUNK_BYTES {
                    return true;
                }
            }
            self.family += 1;
            self.points = 0;
        }
        false
    }
}

impl<S: Borrow<Snapshot>> Iterator for Chunks<S> {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        if self.is_done {
            return None;
        }
        let chunk = self.fill(Vec::with_capacity(BUFFER_BYTES));
        (!chunk.is_empty()).then_some(chunk)
    }
}

/// A bound's label value, in seconds. OpenMetrics wants a fraction also in whole numbers (`1.0`); the other format
/// gets the same, so that both make the same series.
fn bound(bound_ns: u64) -> String {
    let mut text = Vec::new();
    push_seconds(&mut text, u128::from(bound_ns));
    let mut text: String = text.into_iter().map(char::from).collect();
    if !text.contains('.') {
        text.push_str(".0");
    }
    text
}

/// The text under way.
#[derive(Debug)]
struct Text {
    format: Format,
    /// Label values of the buckets, with all that stands between them and the count.
    bounds: Vec<String>,
    buffer: Vec<u8>,
    /// What all bucket lines of a series begin with; kept for its memory.
    head: Vec<u8>,
}

impl Text {
    fn push(&mut self, text: &str) {
        self.buffer.extend_from_slice(text.as_bytes());
    }

    fn metadata(&mut self, metric: &Metric) {
        let name = match self.format {
            Format::Text004 => metric.name,
            Format::OpenMetrics100 => without_total(metric.name),
        };
        // The catalogue's test sees to it that no help needs escaping.
        for part in [
            "# HELP ",
            name,
            " ",
            metric.help,
            "\n# TYPE ",
            name,
            " ",
            metric.kind.label(),
            "\n",
        ] {
            self.push(part);
        }
        if let (Format::OpenMetrics100, Some(unit)) = (self.format, metric.unit) {
            for part in ["# UNIT ", name, " ", unit, "\n"] {
                self.push(part);
            }
        }
    }

    fn point(&mut self, family: &Family, point: Point<'_>) {
        debug_assert_eq!(
            family.metric().kind == Kind::Histogram,
            matches!(point.value, Value::Histogram(_))
        );
        let Metric { name, kind, .. } = *family.metric();
        match point.value {
            Value::Count(count) => {
                self.series(name, "", &point);
                self.integer(count);
            }
            Value::Gauge(value) => {
                self.series(name, "", &point);
                self.integer(value);
            }
            Value::Number(value) => {
                self.series(name, "", &point);
                self.float(value);
            }
            Value::Histogram(observed) => self.histogram(name, &point, observed),
        }
        if self.format == Format::OpenMetrics100 && kind != Kind::Gauge {
            self.series(without_total(name), "_created", &point);
            push_seconds(&mut self.buffer, point.created_unix_ns.into());
            self.buffer.push(b'\n');
        }
    }

    fn histogram(&mut self, name: &str, point: &Point<'_>, observed: Observed<'_>) {
        self.head.clear();
        push_series(&mut self.head, name, "_bucket", point, Some("le=\""));
        let mut cumulative = 0_u64;
        let mut digits = itoa::Buffer::new();
        let mut text = "0";
        for (bound, count) in self.bounds.iter().zip(observed.counts()) {
            // Most buckets are empty, and end where the one before did.
            if *count > 0 {
                cumulative = cumulative.wrapping_add(*count);
                text = digits.format(cumulative);
            }
            self.buffer.extend_from_slice(&self.head);
            self.buffer.extend_from_slice(bound.as_bytes());
            self.buffer.extend_from_slice(text.as_bytes());
            self.buffer.push(b'\n');
        }
        self.series(name, "_sum", point);
        push_seconds(&mut self.buffer, observed.sum_ns());
        self.buffer.push(b'\n');
        self.series(name, "_count", point);
        self.integer(cumulative);
    }

    fn series(&mut self, name: &str, suffix: &str, point: &Point<'_>) {
        push_series(&mut self.buffer, name, suffix, point, None);
    }

    fn integer(&mut self, value: impl itoa::Integer) {
        self.push(itoa::Buffer::new().format(value));
        self.buffer.push(b'\n');
    }

    fn float(&mut self, value: f64) {
        if value.is_finite() {
            self.push(ryu::Buffer::new().format_finite(value));
        } else if value.is_nan() {
            self.push("NaN");
        } else {
            self.push(if value > 0.0 { "+Inf" } else { "-Inf" });
        }
        self.buffer.push(b'\n');
    }
}

/// In OpenMetrics `_total` belongs to the sample and not to the counter's name.
fn without_total(name: &str) -> &str {
    name.strip_suffix("_total").unwrap_or(name)
}

/// Writes `name{labels} `, or `name{labels,last` if there is a last, unfinished label.
fn push_series(out: &mut Vec<u8>, name: &str, suffix: &str, point: &Point<'_>, last: Option<&str>) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(suffix.as_bytes());
    let mut separator = b'{';
    for labels in [
        point.process_labels,
        point.own_labels,
        last.unwrap_or_default(),
    ] {
        if !labels.is_empty() {
            out.push(separator);
            out.extend_from_slice(labels.as_bytes());
            separator = b',';
        }
    }
    match (last, separator) {
        (Some(_), _) => {}
        (None, b'{') => out.push(b' '),
        (None, _) => out.extend_from_slice(b"} "),
    }
}

/// Writes nanoseconds as seconds, exactly.
fn push_seconds(out: &mut Vec<u8>, duration_ns: u128) {
    const NS_PER_SECOND: u128 = 1_000_000_000;
    out.extend_from_slice(
        itoa::Buffer::new()
            .format(duration_ns / NS_PER_SECOND)
            .as_bytes(),
    );
    let mut fraction_ns = u32::try_from(duration_ns % NS_PER_SECOND).unwrap_or_default();
    if fraction_ns == 0 {
        return;
    }
    out.push(b'.');
    let mut place = 100_000_000;
    while fraction_ns > 0 {
        out.push(b'0' + (fraction_ns / place) as u8);
        fraction_ns %= place;
        place /= 10;
    }
}
