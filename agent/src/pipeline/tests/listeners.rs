//! Listening sockets: whose accept queue it is.

use super::*;
use crate::records::Listener;

impl Bench {
    fn listener(&mut self, pid: u32, listening: bool, [length, limit, drops]: [u32; 3]) {
        self.push(Record::Listener(Listener {
            socket: ConnectionId(70),
            listening,
            pid,
            port: 80,
            length,
            limit,
            drops,
            time_ns: self.now_ns,
        }));
    }

    /// What the three metrics show: holder and value.
    fn queues(&mut self) -> [Vec<String>; 3] {
        ["length", "limit", "overflows_total"].map(|metric| {
            let lines = self.series(&format!("sockmeter_accept_queue_{metric}"));
            lines
                .into_iter()
                .map(|line| {
                    line.replace(",server_port=\"80\"}", "")
                        .replace("{process_pid=", "")
                })
                .collect()
        })
    }
}

/// One value of each metric, for one holder.
fn held_by(pid: u32, values: [u32; 3]) -> [Vec<String>; 3] {
    values.map(|value| vec![format!("\"{pid}\" {value}")])
}

/// None of any metric.
const NONE: [Vec<String>; 3] = [const { Vec::new() }; 3];

#[test]
fn an_accept_queue_is_its_holders() {
    let mut bench = Bench::new();
    bench.listener(1, true, [3, 10, 7]);
    bench.listener(1, true, [2, 10, 8]);
    assert_eq!(bench.queues(), held_by(1, [2, 10, 8]));
    // The holder has closed its descriptor; another one has it still.
    bench.listener(2, true, [2, 10, 9]);
    assert_eq!(bench.queues(), held_by(2, [2, 10, 9]));
    bench.listener(2, false, [0; 3]);
    assert_eq!(bench.queues(), NONE);
}

#[test]
fn an_accept_queue_ends_with_its_holder() {
    let mut bench = Bench::new();
    bench.listener(1, true, [3, 10, 7]);
    bench.push(Record::Ended {
        pid: 1,
        time_ns: bench.now_ns,
    });
    bench.tick(crate::identity::GRACE_NS);
    bench.tick(crate::identity::GRACE_NS);
    assert_eq!(bench.queues(), NONE);
    // A child that had it too, found by the next walk.
    bench.listener(2, true, [3, 10, 7]);
    assert_eq!(bench.queues(), held_by(2, [3, 10, 7]));
}
