//! Reads a scrape in Prometheus' text format.

use std::collections::{BTreeMap, BTreeSet};

/// One line of a scrape.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The metric, with the suffix of its kind.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its value.
    pub value: f64,
}

/// What `/metrics` answered.
#[derive(Clone, Debug)]
pub struct Scrape {
    samples: Vec<Sample>,
}

/// Labels and values that a sample must have.
pub type Labels<'a> = &'a [(&'a str, &'a str)];

impl Scrape {
    /// Reads a scrape; panics on what is none.
    pub fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        Self {
            samples: lines
                .filter(|line| !line.is_empty())
                .map(|line| sample(line).unwrap_or_else(|| panic!("not a sample: {line:?}")))
                .collect(),
        }
    }

    /// All samples, in their order.
    pub fn all(&self) -> &[Sample] {
        &self.samples
    }

    /// The samples of that name with those labels.
    pub fn samples<'a>(
        &'a self,
        name: &'a str,
        labels: Labels<'a>,
    ) -> impl Iterator<Item = &'a Sample> {
        self.samples.iter().filter(move |sample| {
            sample.name == name
                && labels
                    .iter()
                    .all(|(label, value)| sample.labels.get(*label).is_some_and(|is| is == value))
        })
    }

    /// The sum over them; 0 when there is none.
    pub fn sum(&self, name: &str, labels: Labels) -> f64 {
        // Not `sum()`, whose zero is negative.
        self.samples(name, labels)
            .fold(0.0, |sum, sample| sum + sample.value)
    }

    /// The sum over them by the value of one label.
    pub fn by(&self, label: &str, name: &str, labels: Labels) -> BTreeMap<String, f64> {
        let mut sums = BTreeMap::new();
        for sample in self.samples(name, labels) {
            let value = sample.labels.get(label).cloned().unwrap_or_default();
            *sums.entry(value).or_default() += sample.value;
        }
        sums
    }

    /// All values of a label, over all metrics.
    pub fn values(&self, label: &str, labels: Labels) -> BTreeSet<&str> {
        self.samples
            .iter()
            .filter(|sample| {
                labels
                    .iter()
                    .all(|(label, value)| sample.labels.get(*label).is_some_and(|is| is == value))
            })
            .filter_map(|sample| sample.labels.get(label).map(String::as_str))
            .collect()
    }

    /// A histogram's bounds and cumulative counts, summed over the series with those labels.
    pub fn buckets(&self, name: &str, labels: Labels) -> Vec<(f64, f64)> {
        let sums = self.by("le", &format!("{name}_bucket"), labels);
        let mut buckets: Vec<(f64, f64)> = sums
            .into_iter()
            .map(|(bound, count)| (bound.parse().unwrap_or(f64::NAN), count))
            .collect();
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        buckets
    }
}

fn sample(line: &str) -> Option<Sample> {
    let name_length = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at(name_length);
    let mut labels = BTreeMap::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        while !rest.starts_with('}') {
            let (label, after) = rest.split_once("=\"")?;
            let (value, after) = quoted(after)?;
            labels.insert(label.to_owned(), value);
            rest = after.strip_prefix(',').unwrap_or(after);
        }
        rest = rest.strip_prefix('}')?;
    }
    Some(Sample {
        name: name.to_owned(),
        labels,
        value: rest.split_whitespace().next()?.parse().ok()?,
    })
}

/// A label's value up to its closing quote, and what follows that.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((value, text.get(at + 1..)?)),
            '\\' => value.push(match letters.next()?.1 {
                'n' => '\n',
                other => other,
            }),
            other => value.push(other),
        }
    }
    None
}

#[test]
fn the_reader_of_scrapes_reads_labels_escapes_and_infinity() {
    let text = "# HELP a b\na_bucket{le=\"+Inf\",p=\"x\\\"y,}\\\\\\n\"} 3\na 0.5 1234\nb{} 1\n";
    let scrape = Scrape::parse(text);
    assert_eq!(scrape.samples.len(), 3);
    assert_eq!(scrape.sum("a_bucket", &[("p", "x\"y,}\\\n")]), 3.0);
    assert_eq!(scrape.buckets("a", &[]), [(f64::INFINITY, 3.0)]);
    assert_eq!(scrape.sum("a", &[]), 0.5);
    assert_eq!(scrape.sum("none", &[]), 0.0);
}
