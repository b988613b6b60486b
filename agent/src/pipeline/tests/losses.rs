//! What was lost is counted: by the kernel's counters, by positions, by the table.

use super::*;

#[test]
fn losses_grow_by_what_is_new() {
    let mut bench = Bench::new();
    bench.push(Record::Losses([0, 2, 0, 5, 0, 0, 0, 1000, 0, 0, 0]));
    bench.push(Record::Losses([0, 2, 0, 7, 0, 0, 0, 1500, 0, 0, 0]));
    // The counters never go back; if they seem to, nothing is counted twice.
    bench.push(Record::Losses([0, 2, 0, 6, 0, 0, 0, 1500, 0, 0, 0]));
    bench.push(Record::Losses([0, 2, 0, 8, 0, 0, 0, 1500, 0, 0, 0]));
    // Bytes that nobody was told of are no records.
    assert_eq!(
        bench.series("sockmeter_records_lost_total"),
        [
            "{reason=\"ring_full_opened\"} 2",
            "{reason=\"ring_full_segment\"} 8"
        ]
    );
    assert_eq!(
        bench.pipeline.losses(),
        [0, 2, 0, 8, 0, 0, 0, 1500, 0, 0, 0]
    );
}

#[test]
fn a_connection_without_a_beginning_is_taken_up_at_its_first_bytes() {
    let mut bench = Bench::new();
    bench.positions = [100, 0];
    bench.receive(GET);
    assert_eq!(
        bench.series("sockmeter_connections_adopted_total"),
        ["{process_pid=\"1\",role=\"unknown\"} 1"]
    );
    assert_eq!(
        bench.connections_active(),
        [
            "{process_pid=\"1\",role=\"server\"} 1",
            "{process_pid=\"1\",role=\"unknown\"} 0"
        ]
    );
    assert_eq!(
        bench.series("sockmeter_payload_bytes_total"),
        [
            "{process_pid=\"1\",outcome=\"lost\",direction=\"receive\"} 100",
            "{process_pid=\"1\",outcome=\"parsed\",protocol=\"http1\",direction=\"receive\"} 18"
        ]
    );
    // The table tells its place.
    bench.table(true, [118, 0], 0);
    let known: Vec<_> = bench.pipeline.connections().collect();
    assert_eq!(known, [(ConnectionId(7), Some(3))]);
}

#[test]
fn an_end_without_a_beginning_counts_both() {
    let mut bench = Bench::new();
    bench.positions = [0, 30];
    bench.closed();
    assert_eq!(
        bench.series("sockmeter_connections_opened_total"),
        ["{process_pid=\"1\",role=\"server\"} 1"]
    );
    assert_eq!(
        bench.series("sockmeter_socket_bytes_total"),
        ["{process_pid=\"1\",direction=\"transmit\",role=\"server\"} 30"]
    );
    assert_eq!(bench.pipeline.connections_open(), 0);
    bench.table(true, [0, 30], 0);
    assert_eq!(bench.pipeline.connections_open(), 0);
}

#[test]
fn bytes_that_are_read_long_after_the_end_open_nothing() {
    let mut bench = Bench::new();
    bench.opened(Role::Server, false);
    bench.closed();
    bench.tick(10_000_000_000);
    bench.after_end = true;
    bench.receive(GET);
    assert_eq!(bench.pipeline.connections_open(), 0);
    assert_eq!(
        bench.series("sockmeter_payload_bytes_total"),
        ["{process_pid=\"1\",outcome=\"lost\",direction=\"receive\"} 18"]
    );
}

#[test]
fn the_table_reveals_bytes_and_retransmits_once() {
    let mut bench = Bench::new();
    bench.opened(Role::Server, false);
    bench.receive(GET);
    for _ in 0..2 {
        bench.table(true, [18, 40], 3);
    }
    assert_eq!(
        bench.series("sockmeter_socket_bytes_total"),
        [
            "{process_pid=\"1\",direction=\"receive\",role=\"server\"} 18",
            "{process_pid=\"1\",direction=\"transmit\",role=\"server\"} 40"
        ]
    );
    assert_eq!(
        bench.series("sockmeter_tcp_retransmits_total"),
        ["{process_pid=\"1\",role=\"server\"} 3"]
    );
    assert_eq!(
        bench.series("sockmeter_requests_unanswered_total"),
        ["{process_pid=\"1\",protocol=\"http1\",role=\"server\",reason=\"gap\"} 1"]
    );
    bench.positions = [18, 40];
    bench.receive(GET);
    bench.transmit(OK);
    assert_eq!(
        bench.series("sockmeter_request_first_byte_seconds_count"),
        ["{process_pid=\"1\",protocol=\"http1\",role=\"server\"} 1"]
    );
}

#[test]
fn the_table_reveals_an_open_and_a_close() {
    let mut bench = Bench::new();
    bench.table(true, [0, 0], 0);
    assert_eq!(
        bench.series("sockmeter_connections_opened_total"),
        ["{process_pid=\"1\",role=\"server\"} 1"]
    );
    bench.receive(GET);
    bench.table(false, [18, 40], 0);
    assert_eq!(bench.pipeline.connections_open(), 0);
    assert_eq!(
        bench.connections_active(),
        ["{process_pid=\"1\",role=\"server\"} 0"]
    );
    assert_eq!(
        bench.series("http_server_active_requests"),
        ["{process_pid=\"1\",http_request_method=\"GET\"} 0"]
    );
}
