//! What a pipeline has counted, to hold against what was put in.

use sockmeter::{
    pipeline::Pipeline,
    series::{Snapshot, Value},
};

/// Exchanges that the pipeline has counted, of servers and of clients.
pub fn exchanges(pipeline: &mut Pipeline) -> u64 {
    sum(&pipeline.snapshot(), "_request_duration_seconds")
}

/// Requests that the pipeline knows of without their responses.
pub fn unanswered(pipeline: &mut Pipeline) -> u64 {
    sum(&pipeline.snapshot(), "sockmeter_requests_unanswered_total")
}

/// The sum over all series of the metrics whose names end so.
fn sum(snapshot: &Snapshot, name: &str) -> u64 {
    snapshot
        .families()
        .filter(|family| family.metric().name.ends_with(name))
        .flat_map(|family| family.points())
        .map(|point| match point.value {
            Value::Histogram(observed) => observed.counts().iter().sum(),
            Value::Count(count) => count,
            Value::Gauge(_) | Value::Number(_) => 0,
        })
        .sum()
}

/// Lines with a value that a scrape of the pipeline has.
pub fn lines(pipeline: &mut Pipeline) -> usize {
    let snapshot = pipeline.snapshot();
    let points = snapshot.families().flat_map(|family| family.points());
    points
        .map(|point| match point.value {
            // Its sum and its count have a line each.
            Value::Histogram(observed) => observed.counts().len() + 2,
            Value::Count(_) | Value::Gauge(_) | Value::Number(_) => 1,
        })
        .sum()
}
