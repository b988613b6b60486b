//! Datagrams in the pipeline: counts that the kernel made for a process become its program's.

use super::Pipeline;
use crate::{connections::Direction, records::Datagrams};

impl Pipeline {
    pub(super) fn datagrams(&mut self, moved: &Datagrams) {
        let Datagrams {
            pid,
            start_boottime_ns,
            datagrams,
            bytes,
        } = *moved;
        let program = self.identity.program_since(pid, start_boottime_ns);
        let process = self.series_of(program);
        for (direction, (datagrams, bytes)) in Direction::BOTH
            .into_iter()
            .zip(datagrams.into_iter().zip(bytes))
        {
            // A part of a datagram may come without one.
            if datagrams > 0 || bytes > 0 {
                self.series.datagrams(process, direction, datagrams, bytes);
            }
        }
    }
}
