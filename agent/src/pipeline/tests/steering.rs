//! What the pipeline tells the kernel side.

use super::*;

#[test]
fn of_what_cannot_be_read_nothing_is_captured_and_that_is_told_once() {
    let no_protocol = [&b"SSH-2.0-OpenSSH\r\n"[..], b"\x16\x03\x01\x02\x00\x01"];
    for content in no_protocol {
        let mut bench = Bench::new();
        bench.opened(Role::Server, false);
        bench.receive(content);
        bench.receive(b"more");
        bench.transmit(b"more");
        assert_eq!(bench.told, ["3 7: nothing"]);
    }
}

#[test]
fn behind_an_upgrade_nothing_is_captured() {
    let mut bench = Bench::new();
    bench.opened(Role::Server, false);
    bench.receive(GET);
    assert_eq!(bench.told, [""; 0]);
    bench.transmit(b"HTTP/1.1 101 Switching\r\n\r\n");
    assert_eq!(bench.told, ["3 7: nothing"]);
}

#[test]
fn a_long_body_is_skipped_to_its_end() {
    let mut bench = Bench::new();
    bench.opened(Role::Server, false);
    // A head of 46 bytes.
    let head = b"POST /file HTTP/1.1\r\nContent-Length: 10000\r\n\r\n";
    bench.receive(head);
    assert_eq!(bench.told, ["3 7: receive until 10046"]);
    bench.told.clear();
    // Its last 4095 bytes and what comes behind are captured.
    bench.segment(1, Direction::Receive, b"", 5905);
    assert_eq!(bench.told, [""; 0]);
    bench.segment(1, Direction::Receive, b"", 4095);
    bench.transmit(OK);
    assert_eq!(bench.told, [""; 0]);
    assert_eq!(
        bench.series("sockmeter_request_first_byte_seconds_count"),
        ["{process_pid=\"1\",protocol=\"http1\",role=\"server\"} 1"]
    );
}

#[test]
fn a_connection_without_a_known_place_is_not_steered() {
    let mut bench = Bench::new();
    bench.adopted(Role::Server);
    bench.receive(b"POST /file HTTP/1.1\r\nContent-Length: 10000\r\n\r\n");
    assert_eq!(bench.told, [""; 0]);
    bench.opened(Role::Server, true);
    bench.segment(1, Direction::Receive, b"", 1000);
    assert_eq!(bench.told, ["3 7: receive until 10046"]);
}

#[test]
fn rule_08_a_place_lost_in_what_is_needless_is_found_again_alike() {
    let body = [b'x'; 10_000];
    // The kernel side obeys, or is late.
    let [obeyed, late] = [&b""[..], &body].map(|captured| {
        let mut bench = Bench::new();
        bench.opened(Role::Server, false);
        bench.receive(GET);
        bench.transmit(b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n");
        bench.receive(b"@ no request\r\n\r\n");
        bench.segment(1, Direction::Transmit, captured, 10_000);
        bench.receive(GET);
        bench.transmit(OK);
        bench.closed();
        [
            "http_server_request_duration_seconds_count",
            "sockmeter_requests_unanswered_total",
            "sockmeter_requests_unpaired_total",
            "sockmeter_payload_bytes_total",
        ]
        .map(|metric| bench.series(metric))
    });
    assert_eq!(obeyed, late);
}

#[test]
fn a_length_that_is_a_lie_does_not_blind_for_good() {
    let mut bench = Bench::new();
    bench.opened(Role::Server, false);
    bench.receive(b"PUT /file HTTP/1.1\r\nContent-Length: 9223372036854775807\r\n\r\n");
    assert_eq!(bench.told.len(), 1, "{:?}", bench.told);
    let until: u64 = bench.told[0].rsplit(' ').next().unwrap().parse().unwrap();
    assert!(until < 1 << 30, "{until}");
}
