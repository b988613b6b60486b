//! What a pipeline has counted, to hold against what was put in.

use sockmeter::{pipeline::Pipeline, series::Value};

/// Exchanges that the pipeline has counted, of servers and of clients.
pub fn exchanges(pipeline: &mut Pipeline) -> u64 {
    let snapshot = pipeline.snapshot();
    let families = snapshot.families();
    families
        .filter(|family| family.metric().name.ends_with("_request_duration_seconds"))
        .flat_map(|family| family.points())
        .map(|point| match point.value {
            Value::Histogram { counts, .. } => counts.iter().sum(),
            _ => 0,
        })
        .sum()
}
