//! The drain: takes records out of the ring, and lets the pipeline have them.

use super::Live;
use crate::records::{KernelMaps, Record, Segment, datagrams::Mark};

/// Records after which questions are answered even if more wait.
const DRAIN_RECORDS_MAX: usize = 1_000_000;
/// The shortest record in the ring, a process's end, with the ring's own header.
const RECORD_BYTES_MIN: usize = 24;
/// What the ring puts before a record (`BPF_RINGBUF_HDR_SZ`).
const RING_HEADER_BYTES: usize = 8;

/// As many records as a ring of that size can hold.
pub(super) fn records_max(ring_bytes: u32) -> usize {
    (ring_bytes as usize / RECORD_BYTES_MIN).min(DRAIN_RECORDS_MAX)
}

impl Live {
    /// Takes in what is in the ring.
    pub(super) fn drain(&mut self) {
        self.take(self.drain_records);
    }

    /// Takes up to so many records out of the ring; tells how many there were.
    pub(super) fn take(&mut self, records_max: usize) -> usize {
        let mut count = 0;
        loop {
            count += self.take_told(records_max - count);
            let excluded = self.pipeline.drain_excluded();
            if excluded.is_empty() || count >= records_max {
                return count;
            }
            // Looks into the ring again: it may hold by now that such a process had executed another file.
            for (pid, is_excluded) in excluded {
                self.maps.set_excluded(pid, is_excluded);
            }
        }
    }

    fn take_told(&mut self, records_max: usize) -> usize {
        let Self {
            maps,
            datagrams,
            pipeline,
            intake,
            found_bytes,
            ..
        } = self;
        let KernelMaps {
            ring,
            slots,
            datagrams: table,
            ..
        } = maps;
        let mut count = 0;
        while count < records_max {
            let more = ring.next(|bytes| {
                *found_bytes += (bytes.len() + RING_HEADER_BYTES) as u64;
                if let Some(segment) = Segment::parse(bytes) {
                    return intake.push_segment(segment, pipeline, slots);
                }
                let record = match Mark::parse(bytes) {
                    Some(Mark { run, is_over }) if is_over => {
                        datagrams.finish(table, run).map(Record::Datagrams)
                    }
                    Some(Mark { run, .. }) => datagrams.more(table, run).map(Record::Datagrams),
                    None => intake.parse(bytes),
                };
                if let Some(record) = record {
                    intake.push(record, pipeline, slots);
                }
            });
            if more.is_none() {
                break;
            }
            count += 1;
        }
        count
    }
}
