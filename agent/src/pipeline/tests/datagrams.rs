//! Datagrams count for the program that moved them.

use super::*;
use crate::records::Datagrams;

const BYTES: &str = "sockmeter_socket_bytes_total";
const DATAGRAMS: &str = "sockmeter_socket_datagrams_total";

impl Bench {
    fn moved(&mut self, pid: u32, start_boottime_ns: u64, datagrams: [u64; 2], bytes: [u64; 2]) {
        self.push(Record::Datagrams(Datagrams {
            pid,
            start_boottime_ns,
            datagrams,
            bytes,
        }));
    }
}

#[test]
fn datagrams_add_up_and_have_no_role() {
    let mut bench = Bench::new();
    bench.moved(1, 1, [2, 1], [100, 40]);
    bench.moved(1, 1, [1, 0], [5, 0]);
    // A part of a datagram that an earlier call began, and an empty one.
    bench.moved(2, 1, [0, 0], [0, 7]);
    bench.moved(2, 1, [1, 0], [0, 0]);
    assert_eq!(
        bench.series(DATAGRAMS),
        [
            "{process_pid=\"1\",direction=\"receive\",transport=\"udp\"} 3",
            "{process_pid=\"1\",direction=\"transmit\",transport=\"udp\"} 1",
            "{process_pid=\"2\",direction=\"receive\",transport=\"udp\"} 1",
            "{process_pid=\"2\",direction=\"transmit\",transport=\"udp\"} 0",
        ]
    );
    assert_eq!(
        bench.series(BYTES),
        [
            "{process_pid=\"1\",direction=\"receive\",transport=\"udp\"} 105",
            "{process_pid=\"1\",direction=\"transmit\",transport=\"udp\"} 40",
            "{process_pid=\"2\",direction=\"receive\",transport=\"udp\"} 0",
            "{process_pid=\"2\",direction=\"transmit\",transport=\"udp\"} 7",
        ]
    );
    // They are no payload of a connection.
    assert_eq!(bench.series("sockmeter_payload_bytes_total"), [""; 0]);
}

#[test]
fn rule_16_what_a_process_moved_does_not_count_for_the_next_one_with_its_pid() {
    let mut bench = Bench::new();
    // Process 1 started at 1; `/proc` would tell that as the tick of then.
    bench.moved(1, 0, [1, 0], [10, 0]);
    bench.moved(1, 2, [1, 0], [20, 0]);
    let mut series = bench.series(BYTES);
    series.sort();
    assert_eq!(
        series,
        [
            "{direction=\"receive\",transport=\"udp\"} 20",
            "{process_pid=\"1\",direction=\"receive\",transport=\"udp\"} 10",
        ]
    );
}

#[test]
fn what_moved_before_an_end_still_counts() {
    let mut bench = Bench::new();
    bench.moved(1, 1, [1, 0], [10, 0]);
    bench.push(Record::Ended {
        pid: 1,
        time_ns: 5_000,
    });
    bench.moved(1, 1, [1, 0], [1, 0]);
    bench.tick(2_000_000_000);
    assert_eq!(
        bench.series(BYTES),
        ["{process_pid=\"1\",direction=\"receive\",transport=\"udp\"} 11"]
    );
    assert_eq!(bench.series(BYTES), [""; 0]);
}
