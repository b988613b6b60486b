//! What the config decides about series.

/// Upper bounds of histograms unless the configuration says otherwise.
pub const DURATION_BUCKETS_SECONDS: [f64; 14] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// Limits, bounds and labels of all series.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Label sets per metric; a histogram's label set is one, not one per bucket.
    pub series_max_per_metric: usize,
    /// Route templates per process.
    pub routes_max_per_process: usize,
    /// Upper bounds of all histograms, in seconds.
    pub duration_buckets_seconds: Vec<f64>,
    /// The process labels that are shown, in this order; `None`: all, in the order of
    /// [`PROCESS_LABELS`](super::catalogue::PROCESS_LABELS). Series that differ only in a label that is left out are one series.
    pub labels: Option<Vec<&'static str>>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            // A histogram at this limit is 170,000 lines, about 25 MB of a scrape: more than a Prometheus
            // server should be given, and little memory here.
            series_max_per_metric: 10_000,
            routes_max_per_process: 100,
            duration_buckets_seconds: DURATION_BUCKETS_SECONDS.to_vec(),
            labels: None,
        }
    }
}
