//! Bytes that are kept for recognition are somewhere at all times.

use super::*;

fn pending(bench: &mut Bench) -> Vec<String> {
    bench.series("sockmeter_payload_pending_bytes")
}

#[test]
fn rule_21_bytes_without_an_outcome_are_pending() {
    let mut bench = Bench::new();
    bench.opened(Role::Server, false);
    bench.segment(1, Direction::Receive, b"GE", 2);
    bench.segment(2, Direction::Receive, b"T", 1);
    bench.segment(2, Direction::Transmit, b"H", 1);
    assert_eq!(bench.series("sockmeter_payload_bytes_total"), [""; 0]);
    assert_eq!(
        pending(&mut bench),
        [
            "{process_pid=\"1\",direction=\"receive\"} 2",
            "{process_pid=\"2\",direction=\"receive\"} 1",
            "{process_pid=\"2\",direction=\"transmit\"} 1",
        ]
    );
    bench.segment(1, Direction::Receive, b" / HTTP/1.1\r\n", 13);
    let settled = [
        "{process_pid=\"1\",direction=\"receive\"} 0",
        "{process_pid=\"2\",direction=\"receive\"} 0",
        "{process_pid=\"2\",direction=\"transmit\"} 0",
    ];
    assert_eq!(pending(&mut bench), settled);
    // A request's head that goes on is read, though it is not complete.
    assert_eq!(
        bench.series("sockmeter_payload_bytes_total"),
        [
            "{process_pid=\"1\",outcome=\"parsed\",protocol=\"http1\",direction=\"receive\"} 15",
            "{process_pid=\"2\",outcome=\"parsed\",protocol=\"http1\",direction=\"receive\"} 1",
            "{process_pid=\"2\",outcome=\"unrecognised\",direction=\"transmit\"} 1",
        ]
    );
}

#[test]
fn rule_21_the_end_and_a_gap_settle_what_is_pending() {
    for gap_bytes in [0, 50] {
        let mut bench = Bench::new();
        bench.opened(Role::Server, false);
        bench.receive(b"POS");
        bench.positions[0] += gap_bytes;
        assert_eq!(
            pending(&mut bench),
            ["{process_pid=\"1\",direction=\"receive\"} 3"]
        );
        bench.closed();
        assert_eq!(
            pending(&mut bench),
            ["{process_pid=\"1\",direction=\"receive\"} 0"]
        );
    }
}
