//! What overtook the record of a send waits for it.

use super::*;

const ANSWERED: &str = "sockmeter_request_first_byte_seconds_count";
const ONE: [&str; 1] = ["{process_pid=\"1\",protocol=\"http1\",role=\"client\"} 1"];

/// A client's answer, whose record comes before the one of its request.
fn answer_first() -> Bench {
    let mut bench = Bench::new();
    bench.opened(Role::Client, false);
    bench.began_ns = Some(bench.now_ns);
    bench.overtakes = true;
    bench.receive(OK);
    bench.overtakes = false;
    bench
}

#[test]
fn an_answer_waits_for_its_request() {
    let mut bench = answer_first();
    assert_eq!(bench.series("sockmeter_socket_bytes_total"), [""; 0]);
    bench.transmit(GET);
    assert_eq!(bench.series(ANSWERED), ONE);
    assert_eq!(bench.series("sockmeter_requests_unpaired_total"), [""; 0]);
}

#[test]
fn nothing_waits_longer_than_to_the_next_tick() {
    let mut bench = answer_first();
    bench.tick(1);
    assert_eq!(
        bench.series("sockmeter_socket_bytes_total"),
        ["{process_pid=\"1\",direction=\"receive\",role=\"client\"} 40"]
    );
    assert_eq!(
        bench.series("sockmeter_requests_unpaired_total"),
        ["{process_pid=\"1\",protocol=\"http1\",role=\"client\",reason=\"no_request\"} 1"]
    );
}

#[test]
fn an_end_waits_for_what_was_sent_before() {
    let mut bench = Bench::new();
    bench.opened(Role::Client, false);
    bench.overtakes = true;
    bench.positions = [0, 18];
    bench.closed();
    assert_eq!(bench.pipeline.connections_open(), 1);
    bench.positions = [0, 0];
    bench.overtakes = false;
    bench.transmit(GET);
    assert_eq!(bench.pipeline.connections_open(), 0);
    assert_eq!(
        bench.series("sockmeter_requests_unanswered_total"),
        ["{process_pid=\"1\",protocol=\"http1\",role=\"client\",reason=\"closed\"} 1"]
    );
    assert_eq!(
        bench.series("sockmeter_payload_bytes_total"),
        ["{process_pid=\"1\",outcome=\"parsed\",protocol=\"http1\",direction=\"transmit\"} 18"]
    );
}

#[test]
fn a_scrape_shows_no_connection_that_has_ended() {
    let mut bench = answer_first();
    bench.overtakes = true;
    bench.closed();
    assert_eq!(
        bench.connections_active(),
        ["{process_pid=\"1\",role=\"client\"} 0"]
    );
    assert_eq!(bench.pipeline.connections_open(), 0);
}

#[test]
fn what_comes_behind_what_waits_keeps_its_place_when_an_end_waits_too() {
    let mut bench = Bench::new();
    bench.opened(Role::Client, false);
    let (first, second) = OK.split_at(30);
    bench.began_ns = Some(bench.now_ns);
    bench.overtakes = true;
    bench.receive(first);
    bench.positions = [OK.len() as u64, GET.len() as u64];
    bench.closed();
    bench.overtakes = false;
    bench.positions = [first.len() as u64, 0];
    bench.receive(second);
    bench.transmit(GET);
    assert_eq!(bench.series(ANSWERED), ONE);
    assert_eq!(bench.pipeline.connections_open(), 0);
}

/// A server's send has returned without a record, so the kernel side takes it for one that goes on.
#[test]
fn what_waits_for_a_send_that_has_no_record_comes_before_the_next_send() {
    let mut bench = Bench::new();
    bench.opened(Role::Server, false);
    bench.receive(GET);
    bench.overtakes = true;
    bench.receive(GET);
    bench.overtakes = false;
    // TCP's number told of the bytes.
    bench.positions[1] = OK.len() as u64;
    bench.transmit(OK);
    for _ in 0..3 {
        bench.receive(GET);
        bench.transmit(OK);
    }
    bench.closed();
    assert_eq!(
        bench.series("sockmeter_requests_unanswered_total"),
        ["{process_pid=\"1\",protocol=\"http1\",role=\"server\",reason=\"gap\"} 2"]
    );
    assert_eq!(
        bench.series(ANSWERED),
        ["{process_pid=\"1\",protocol=\"http1\",role=\"server\"} 3"]
    );
    assert_eq!(bench.series("sockmeter_requests_unpaired_total"), [""; 0]);
}
