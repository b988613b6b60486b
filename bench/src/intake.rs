//! What the agent does with each record that it takes out of the ring.

use crate::batch::Batch;
use sockmeter::{
    pipeline::{Pipeline, Steer},
    records::{ConnectionId, Direction, Record, Segment, datagrams::Mark},
};

/// What the pipeline told the kernel side, which is not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Connections of which nothing need be copied any more.
    pub settled: u64,
    /// Stretches that need not be copied.
    pub skips: u64,
    ticked_ns: u64,
}

/// Between two ticks, as at the live edge.
const TICK_NS: u64 = 1_000_000_000;

impl Steer for Told {
    fn capture_nothing(&mut self, _: u32, _: ConnectionId) {
        self.settled += 1;
    }

    fn skip_until(&mut self, _: u32, _: ConnectionId, _: Direction, _: u64) {
        self.skips += 1;
    }
}

/// Parses and pushes all records, as the live edge does between the ring and the pipeline; tells how many were not
/// understood or come from a process that is not known, of which there are none. Not inlined, so that callgrind
/// can be told to count here and nowhere else.
#[inline(never)]
pub fn drain(batch: &Batch, pipeline: &mut Pipeline, told: &mut Told) -> u64 {
    let mut strange = 0;
    for bytes in batch.records() {
        if let Some(segment) = Segment::parse(bytes) {
            strange += u64::from(pipeline.unnamed_of(&segment).is_some());
            pipeline.push_segment(segment, told);
            continue;
        }
        let record = match Mark::parse(bytes) {
            Some(_) => None,
            None => Record::parse(bytes).ok(),
        };
        let Some(record) = record else {
            strange += 1;
            continue;
        };
        if pipeline.unnamed(&record).is_some() {
            strange += 1;
        }
        pipeline.push(record, told);
    }
    strange
}

/// Lets the pipeline know that time has passed, as the live edge does each second.
#[inline(never)]
pub fn tick(time_ns: u64, pipeline: &mut Pipeline, told: &mut Told) {
    if time_ns.saturating_sub(told.ticked_ns) >= TICK_NS {
        told.ticked_ns = time_ns;
        pipeline.push(Record::Tick { time_ns }, told);
    }
}
