//! Labels to counters, gauges and histograms; the cap on series.

pub mod route;
