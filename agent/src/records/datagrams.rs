//! Datagrams: the kernel's table of what each run sent and received, and what is told of it.

use super::maps::{MapError, refused, take};
use aya::{
    Ebpf,
    maps::{MapData, PerCpuHashMap},
};
use serde::{Deserialize, Serialize};
pub use sockmeter_abi::datagram::{Moved, Run};
use sockmeter_abi::record::{RUN_MARK, RunMark};
use zerocopy::{FromBytes, transmute};

/// What a process sent and received in datagrams since it was told last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Datagrams {
    /// The process.
    pub pid: u32,
    /// Its start, nanoseconds since boot: the pid may be another process's by now.
    pub start_boottime_ns: u64,
    /// Datagrams received and transmitted.
    pub datagrams: [u64; 2],
    /// Bytes received and transmitted.
    pub bytes: [u64; 2],
}

/// A record from the ring that says to look into the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The run to look at.
    pub run: Run,
    /// It is over, so it is the last look.
    pub is_over: bool,
}

impl Mark {
    /// Reads a record, if it is one of these.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (record, _) = RunMark::read_from_prefix(bytes).ok()?;
        let RunMark {
            kind,
            is_over,
            reserved: _,
            run,
        } = record;
        (kind == RUN_MARK).then_some(Self {
            run,
            is_over: is_over != 0,
        })
    }
}

/// The table. Entries are made by the kernel side and removed by the agent.
pub struct DatagramTable(PerCpuHashMap<MapData, [u32; 4], [u64; 4]>);

impl DatagramTable {
    pub(super) fn take(ebpf: &mut Ebpf) -> Result<Self, MapError> {
        let map = PerCpuHashMap::try_from(take(ebpf, "DATAGRAMS")?);
        map.map(Self).map_err(refused("DATAGRAMS"))
    }

    /// The runs in it.
    pub fn runs(&self) -> impl Iterator<Item = Run> {
        self.0
            .keys()
            .map_while(Result::ok)
            .map(|key| transmute!(key))
    }

    /// What a run moved so far, over all CPUs; nothing if it is not in the table.
    pub fn moved(&self, run: Run) -> Option<Moved> {
        let per_cpu = self.0.get(&transmute!(run), 0).ok()?;
        let mut sums = [0; 4];
        for counts in per_cpu.iter() {
            for (sum, count) in sums.iter_mut().zip(counts) {
                *sum += count;
            }
        }
        Some(transmute!(sums))
    }

    /// Takes a run out.
    pub fn remove(&mut self, run: Run) {
        // Fails only when it is not there.
        let _ = self.0.remove(&transmute!(run));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zerocopy::IntoBytes;

    #[test]
    fn a_mark_is_told_from_other_records() {
        let run = Run {
            pid: 7,
            execs: 2,
            start_boottime_ns: 9,
        };
        let record = |kind, is_over| RunMark {
            kind,
            is_over,
            reserved: 0,
            run,
        };
        for (is_over, want) in [(0, false), (1, true)] {
            let mark = Mark::parse(record(RUN_MARK, is_over).as_bytes());
            let want = Mark { run, is_over: want };
            assert_eq!(mark, Some(want));
        }
        assert_eq!(Mark::parse(record(RUN_MARK - 1, 0).as_bytes()), None);
        assert_eq!(Mark::parse(&record(RUN_MARK, 0).as_bytes()[..23]), None);
    }

    #[test]
    fn keys_and_values_keep_their_order() {
        let run = Run {
            pid: 1,
            execs: 2,
            start_boottime_ns: 3 << 32 | 4,
        };
        let key: [u32; 4] = transmute!(run);
        assert_eq!(key, [1, 2, 4, 3]);
        let moved: Moved = transmute!([1_u64, 2, 3, 4]);
        assert_eq!((moved.datagrams, moved.bytes), ([1, 2], [3, 4]));
    }
}
