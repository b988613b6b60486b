//! The datagrams of a script: how many moved, and the records that tell so.

use sockmeter::records::{Datagrams, Record};

/// Datagrams received and transmitted, and their bytes.
#[derive(Clone, Copy, Default)]
pub(super) struct Moved {
    pub(super) datagrams: [u64; 2],
    pub(super) bytes: [u64; 2],
}

impl Moved {
    /// Some more. Details: whether one was received (3) and transmitted (4), how long it was (5 to 7).
    pub(super) fn more(&mut self, pid: u32, start_boottime_ns: u64, detail: u8) -> Record<'static> {
        let datagrams = [detail >> 3 & 1, detail >> 4 & 1].map(u64::from);
        let bytes = datagrams.map(|count| count * u64::from(detail >> 5) * 100);
        for (sum, more) in self.datagrams.iter_mut().zip(datagrams) {
            *sum += more;
        }
        for (sum, more) in self.bytes.iter_mut().zip(bytes) {
            *sum += more;
        }
        Record::Datagrams(Datagrams {
            pid,
            start_boottime_ns,
            datagrams,
            bytes,
        })
    }
}
