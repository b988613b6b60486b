//! A connection from its beginning to its end, and what comes after it.

use super::*;

#[test]
fn a_connection_that_changes_hands_takes_its_gauges_along() {
    let mut bench = Bench::new();
    bench.opened(Role::Server, false);
    bench.receive(GET);
    assert_eq!(
        bench.connections_active(),
        ["{process_pid=\"1\",role=\"server\"} 1"]
    );
    bench.segment(2, Direction::Transmit, &OK[..20], 20);
    assert_eq!(
        bench.connections_active(),
        [
            "{process_pid=\"1\",role=\"server\"} 0",
            "{process_pid=\"2\",role=\"server\"} 1"
        ]
    );
    assert_eq!(
        bench.series("http_server_active_requests"),
        [
            "{process_pid=\"1\",http_request_method=\"GET\"} 0",
            "{process_pid=\"2\",http_request_method=\"GET\"} 1"
        ]
    );
    bench.segment(2, Direction::Transmit, &OK[20..], OK.len() as u32 - 20);
    bench.closed();
    assert_eq!(
        bench.series("sockmeter_request_first_byte_seconds_count"),
        ["{process_pid=\"2\",protocol=\"http1\",role=\"server\"} 1"]
    );
    for gauge in [
        "http_server_active_requests",
        "sockmeter_connections_active",
    ] {
        let standing = bench.series(gauge);
        assert!(
            standing.iter().all(|series| series.ends_with(" 0")),
            "{standing:?}"
        );
    }
}

#[test]
fn a_listed_connection_counts_once() {
    let mut bench = Bench::new();
    bench.adopted(Role::Server);
    bench.adopted(Role::Server);
    bench.opened(Role::Server, true);
    assert_eq!(
        bench.connections_active(),
        ["{process_pid=\"1\",role=\"server\"} 1"]
    );
    assert_eq!(
        bench.series("sockmeter_connections_adopted_total"),
        ["{process_pid=\"1\",role=\"server\"} 1"]
    );
    assert_eq!(bench.series("sockmeter_connections_opened_total"), [""; 0]);
    // Its place in the table is known from now on.
    let known: Vec<_> = bench.pipeline.connections().collect();
    assert_eq!(known, [(ConnectionId(7), Some(3))]);
}

#[test]
fn what_comes_late_opens_no_connection_again() {
    let mut bench = Bench::new();
    bench.opened(Role::Client, false);
    bench.closed();
    bench.opened(Role::Client, false);
    // Read from the table before the record of the end came.
    bench.table(true, [40, 50], 0);
    bench.table(false, [40, 50], 0);
    bench.closed();
    assert_eq!(bench.pipeline.connections_open(), 0);
    assert_eq!(
        bench.connections_active(),
        ["{process_pid=\"1\",role=\"client\"} 0"]
    );
    assert_eq!(
        bench.series("sockmeter_connections_opened_total"),
        ["{process_pid=\"1\",role=\"client\"} 1"]
    );
    assert_eq!(
        bench.series("sockmeter_connect_duration_seconds_sum"),
        ["{process_pid=\"1\"} 0.0005"]
    );
    assert_eq!(bench.series("sockmeter_socket_bytes_total"), [""; 0]);
}

#[test]
fn bytes_after_the_end_are_lost() {
    let mut bench = Bench::new();
    bench.opened(Role::Server, false);
    bench.closed();
    bench.segment(2, Direction::Receive, GET, 18);
    assert_eq!(
        bench.series("sockmeter_socket_bytes_total"),
        ["{process_pid=\"2\",direction=\"receive\",role=\"server\"} 18"]
    );
    assert_eq!(
        bench.series("sockmeter_payload_bytes_total"),
        ["{process_pid=\"2\",outcome=\"lost\",direction=\"receive\"} 18"]
    );
    assert_eq!(bench.pipeline.connections_open(), 0);
}

#[test]
fn a_role_that_is_learnt_moves_the_gauge() {
    let mut bench = Bench::new();
    bench.adopted(Role::Unknown);
    bench.receive(OK);
    assert_eq!(
        bench.connections_active(),
        ["{process_pid=\"1\",role=\"unknown\"} 1"]
    );
    bench.transmit(GET);
    assert_eq!(
        bench.connections_active(),
        [
            "{process_pid=\"1\",role=\"client\"} 1",
            "{process_pid=\"1\",role=\"unknown\"} 0"
        ]
    );
    bench.closed();
    assert_eq!(
        bench.connections_active(),
        [
            "{process_pid=\"1\",role=\"client\"} 0",
            "{process_pid=\"1\",role=\"unknown\"} 0"
        ]
    );
}

#[test]
fn bytes_are_of_the_protocol_that_they_were_read_as() {
    let mut bench = Bench::new();
    bench.opened(Role::Server, false);
    // One ambiguous byte of the server, then HTTP, then something else in the segment of the 101.
    bench.transmit(b"H");
    bench.receive(GET);
    bench.transmit(b"TTP/1.1 200 OK\r\n\r\n");
    bench.closed();
    assert_eq!(
        bench.series("sockmeter_payload_bytes_total"),
        [
            "{process_pid=\"1\",outcome=\"lost\",protocol=\"http1\",direction=\"transmit\"} 18",
            "{process_pid=\"1\",outcome=\"parsed\",protocol=\"http1\",direction=\"receive\"} 18",
            "{process_pid=\"1\",outcome=\"unrecognised\",direction=\"transmit\"} 1",
        ]
    );
    let mut bench = Bench::new();
    bench.opened(Role::Server, false);
    bench.receive(GET);
    bench.transmit(b"HTTP/1.1 101 Up\r\n\r\nframe");
    assert_eq!(
        bench.series("sockmeter_payload_bytes_total"),
        [
            "{process_pid=\"1\",outcome=\"opaque\",direction=\"transmit\"} 5",
            "{process_pid=\"1\",outcome=\"parsed\",protocol=\"http1\",direction=\"receive\"} 18",
            "{process_pid=\"1\",outcome=\"parsed\",protocol=\"http1\",direction=\"transmit\"} 19",
        ]
    );
}

#[test]
fn series_end_with_their_process() {
    let mut bench = Bench::new();
    bench.opened(Role::Server, false);
    bench.closed();
    bench.ended(1);
    assert_eq!(bench.connections_active().len(), 1);
    bench.tick(crate::identity::GRACE_NS);
    assert_eq!(bench.connections_active().len(), 1, "shown once more");
    assert_eq!(bench.connections_active(), [""; 0]);
}

#[test]
fn rule_19_a_connection_that_is_joined_in_a_long_body_is_read_from_its_next_request() {
    let mut bench = Bench::new();
    bench.opened(Role::Server, true);
    for _ in 0..2_000 {
        bench.transmit(b"a piece of a download");
    }
    bench.receive(GET);
    bench.transmit(OK);
    assert_eq!(
        bench.series("sockmeter_request_first_byte_seconds_count"),
        ["{process_pid=\"1\",protocol=\"http1\",role=\"server\"} 1"]
    );
}
