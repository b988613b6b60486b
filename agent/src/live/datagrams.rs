//! Datagrams: reads what the kernel counted of each run, and tells what has come since.
//!
//! The runs are listed before the ring is drained and read after it: whatever started a run that is listed
//! has then been told, and the end of one takes it out of the table.

use super::is_there;
use crate::records::datagrams::{DatagramTable, Datagrams, Moved, Run};
use std::collections::{HashMap, hash_map::Entry};

/// What was told of the runs in the table.
#[derive(Default)]
pub(super) struct Told(HashMap<Run, Moved>);

impl Told {
    /// What a run moved since it was told last, if anything.
    pub(super) fn more(&mut self, table: &DatagramTable, run: Run) -> Option<Datagrams> {
        let now = table.moved(run)?;
        let told = match self.0.entry(run) {
            Entry::Occupied(mut entry) => entry.insert(now),
            Entry::Vacant(entry) => {
                entry.insert(now);
                Moved::default()
            }
        };
        let rise = |now: [u64; 2], told: [u64; 2]| {
            let [received, transmitted] = told;
            let [more_received, more_transmitted] = now;
            [
                more_received.saturating_sub(received),
                more_transmitted.saturating_sub(transmitted),
            ]
        };
        (now != told).then(|| Datagrams {
            pid: run.pid,
            start_boottime_ns: run.start_boottime_ns,
            datagrams: rise(now.datagrams, told.datagrams),
            bytes: rise(now.bytes, told.bytes),
        })
    }

    /// The last of a run that is over.
    pub(super) fn finish(&mut self, table: &mut DatagramTable, run: Run) -> Option<Datagrams> {
        let last = self.more(table, run);
        table.remove(run);
        self.0.remove(&run);
        last
    }
}

/// The runs whose end was lost: another one has taken their place, or their process is gone.
pub(super) fn stale(runs: Vec<Run>) -> Vec<Run> {
    let age = |run: &Run| (run.start_boottime_ns, run.execs);
    let mut newest: HashMap<u32, (u64, u32)> = HashMap::new();
    for run in &runs {
        let newest = newest.entry(run.pid).or_default();
        *newest = age(run).max(*newest);
    }
    runs.into_iter()
        .filter(|run| newest.get(&run.pid) != Some(&age(run)) || !is_there(run.pid))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_stale_without_its_process_or_behind_a_newer_one() {
        let run = |pid, start_boottime_ns, execs| Run {
            pid,
            execs,
            start_boottime_ns,
        };
        let own = std::process::id();
        // Above every pid that the kernel gives (PID_MAX_LIMIT).
        let nobody = 1 << 23;
        let runs = [
            run(own, 5, 2),
            run(own, 5, 1),
            run(own, 4, 3),
            run(nobody, 9, 9),
        ];
        assert_eq!(stale(runs.to_vec()), runs[1..]);
        assert_eq!(stale(vec![runs[1]]), []);
    }
}
