//! Resets: what Prometheus sees from one scrape to the next. A counter or histogram begins anew only with a newer
//! `_created`, and otherwise never goes down.

use crate::scrape::{Sample, Scrape};
use sockmeter::series::catalogue::{ALL, Kind};
use std::collections::BTreeMap;

/// What the scrapes of one agent, or of one after the other, have shown so far. They have to be OpenMetrics.
#[derive(Debug, Default)]
pub struct Resets {
    /// When a series began, and its value then, as they were shown last.
    shown: BTreeMap<Series, [f64; 2]>,
}

/// A sample's name and labels.
type Series = (String, BTreeMap<String, String>);

impl Resets {
    /// What does not hold in the next scrape, one line each.
    pub fn differences(&mut self, scrape: &Scrape) -> Vec<String> {
        let samples = scrape.all().iter();
        let created: BTreeMap<_, f64> = samples
            .filter(|sample| sample.name.ends_with("_created"))
            .map(|sample| ((sample.name.as_str(), &sample.labels), sample.value))
            .collect();
        let mut differences = Vec::new();
        for sample in scrape.all() {
            let Some(name) = created_name(&sample.name) else {
                continue;
            };
            let mut labels = sample.labels.clone();
            labels.remove("le");
            match created.get(&(name.as_str(), &labels)) {
                None => differences.push(format!("no {name} of {sample:?}")),
                Some(began) => differences.extend(self.compare(sample, *began)),
            }
        }
        differences
    }

    fn compare(&mut self, sample: &Sample, began: f64) -> Option<String> {
        let series = (sample.name.clone(), sample.labels.clone());
        let [began_before, before] = self.shown.insert(series, [began, sample.value])?;
        let is_reset = began > began_before;
        let is_the_same = began == began_before && sample.value >= before;
        (!is_reset && !is_the_same)
            .then(|| format!("{before} since {began_before}, then since {began}: {sample:?}"))
    }
}

/// The name of the sample that says since when this one is counted, if it is of a counter or a histogram.
fn created_name(sample: &str) -> Option<String> {
    let metric = |kind, suffix: &str| {
        let mut of_kind = ALL.iter().filter(move |metric| metric.kind == kind);
        let base = sample.strip_suffix(suffix)?;
        let name = match kind {
            Kind::Counter => sample,
            _ => base,
        };
        of_kind
            .any(|metric| metric.name == name)
            .then(|| format!("{base}_created"))
    };
    metric(Kind::Counter, "_total")
        .or_else(|| metric(Kind::Histogram, "_bucket"))
        .or_else(|| metric(Kind::Histogram, "_sum"))
        .or_else(|| metric(Kind::Histogram, "_count"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn differences(scrapes: &[&str]) -> usize {
        let mut resets = Resets::default();
        let scrapes = scrapes.iter().map(|text| Scrape::parse(text));
        scrapes
            .map(|scrape| resets.differences(&scrape).len())
            .sum()
    }

    #[test]
    fn a_series_goes_down_only_with_a_newer_beginning() {
        let retransmits = |count, created| {
            format!(
                "sockmeter_tcp_retransmits_total{{role=\"server\"}} {count}\n\
                 sockmeter_tcp_retransmits_created{{role=\"server\"}} {created}\n"
            )
        };
        let first = retransmits(5, "1.5");
        assert_eq!(differences(&[&first, "", &first]), 0);
        assert_eq!(differences(&[&first, &retransmits(6, "1.5")]), 0);
        assert_eq!(differences(&[&first, &retransmits(1, "1.6")]), 0);
        assert_eq!(differences(&[&first, "", &retransmits(4, "1.5")]), 1);
        assert_eq!(differences(&[&first, &retransmits(6, "1.4")]), 1);
        // Without a beginning; that of other labels is none.
        assert_eq!(differences(&[&first.replace("_created{", "_other{")]), 1);
        assert_eq!(
            differences(&[&first.replace("_created{role=\"server", "_created{role=\"client")]),
            1
        );
        assert_eq!(differences(&["sockmeter_connections_active 3\n"]), 0);
    }

    #[test]
    fn each_line_of_a_histogram_is_looked_at() {
        let lines = |[bucket, sum, count]: [u32; 3]| {
            let name = "sockmeter_connect_duration_seconds";
            format!(
                "{name}_bucket{{transport=\"tcp\",le=\"+Inf\"}} {bucket}\n\
                 {name}_sum{{transport=\"tcp\"}} {sum}\n{name}_count{{transport=\"tcp\"}} {count}\n\
                 {name}_created{{transport=\"tcp\"}} 7\n"
            )
        };
        let first = lines([2, 3, 4]);
        assert_eq!(differences(&[&first, &lines([3, 4, 5])]), 0);
        for less in [[1, 3, 4], [2, 2, 4], [2, 3, 3]] {
            assert_eq!(differences(&[&first, &lines(less)]), 1);
        }
        assert_eq!(differences(&[&first.replace("_created", "_other")]), 3);
    }
}
