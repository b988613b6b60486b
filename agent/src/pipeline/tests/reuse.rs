//! A connection has the memory of one that ended before, and nothing else of it.

use super::*;
use crate::connections::MEMORY_NS;

const LONG: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n";
const SECOND: &[u8] = b"HEAD /a HTTP/1.1\r\nHost: b\r\n\r\n";

/// What happened on the connection before, whose end does not belong to it.
const BEFORE: &[fn(&mut Bench)] = &[
    |_| {},
    |bench| bench.receive(b"GE"),
    |bench| bench.receive(b"\x16\x03\x01"),
    |bench| bench.receive(b"*1\r\n$4\r\nPING\r\n"),
    |bench| bench.receive(&GET[..8]),
    |bench| bench.receive(&[GET, SECOND, &SECOND[..9]].concat()),
    |bench| {
        bench.receive(SECOND);
        bench.transmit(&OK[..9]);
    },
    |bench| {
        bench.receive(GET);
        bench.transmit(LONG);
    },
    |bench| {
        bench.receive(GET);
        bench.segment(2, Direction::Transmit, OK, 90);
        bench.segment(2, Direction::Receive, b"", 5);
    },
    |bench| {
        bench.receive(GET);
        bench.transmit(b"HTTP/1.1 101 Switching Protocols\r\n\r\nabc");
    },
];

/// The next connection: a response that is longer than what is captured of it, and a request behind it.
fn next(bench: &mut Bench) -> Vec<String> {
    (bench.positions, bench.turns, bench.direction) = ([0; 2], 0, None);
    bench.told.clear();
    bench.opened(Role::Server, false);
    bench.receive(&GET[..8]);
    bench.receive(&GET[8..]);
    bench.transmit(LONG);
    bench.segment(1, Direction::Transmit, b"", 100_000);
    bench.receive(GET);
    bench.transmit(OK);
    bench.closed();
    bench.told.clone()
}

/// Counters of process 1 that are not of connections or their bytes as such.
fn counts(bench: &mut Bench) -> Vec<u64> {
    let value = |series: Vec<String>| {
        let own = series
            .iter()
            .filter(|one| !one.contains("process_pid=\"2\""));
        own.filter_map(|one| one.rsplit(' ').next()?.parse::<u64>().ok())
            .sum()
    };
    [
        "http_server_request_duration_seconds_count",
        "sockmeter_requests_unanswered_total",
        "sockmeter_requests_unpaired_total",
        "sockmeter_payload_bytes_total",
        "sockmeter_payload_pending_bytes",
        "sockmeter_socket_bytes_total",
        "sockmeter_connections_active",
        "http_server_active_requests",
    ]
    .map(|metric| value(bench.series(metric)))
    .into()
}

#[test]
fn nothing_of_an_ended_connection_is_in_the_next_one() {
    let mut fresh = Bench::new();
    let told = next(&mut fresh);
    let more = counts(&mut fresh);
    assert_eq!(more[..3], [2, 0, 0]);
    assert_eq!(told.len(), 1, "{told:?}");
    for (at, before) in BEFORE.iter().enumerate() {
        let mut bench = Bench::new();
        bench.opened(Role::Client, false);
        bench.closed();
        bench.tick(MEMORY_NS);
        (bench.positions, bench.turns, bench.direction) = ([0; 2], 0, None);
        bench.opened(Role::Server, false);
        before(&mut bench);
        bench.closed();
        bench.tick(MEMORY_NS);
        let was = counts(&mut bench);
        assert_eq!(next(&mut bench), told, "{at}");
        let now = counts(&mut bench);
        let grown: Vec<u64> = now.iter().zip(&was).map(|(now, was)| now - was).collect();
        assert_eq!(grown, more, "{at}");
    }
}
