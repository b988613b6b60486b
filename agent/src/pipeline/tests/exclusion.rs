//! Programs that are excluded: nothing of them is shown, and all else is as if they were not there.

use super::*;
use crate::{
    identity::Exclusions,
    records::{Datagrams, Listener, Started},
};

/// A bench that does not measure the program of process 2.
fn bench() -> Bench {
    let mut bench = Bench::new();
    let exclusions = Exclusions::new(vec!["program2".to_owned()]);
    let settings = Settings {
        labels: Some(vec!["process_pid"]),
        ..Settings::default()
    };
    bench.pipeline = Pipeline::without(exclusions, settings);
    for pid in [1, 2] {
        bench.push(Record::Process(facts(pid)));
    }
    bench
}

/// Everything that a scrape shows of processes, or of what was lost.
fn shown(bench: &mut Bench) -> Vec<String> {
    let mut text = Vec::new();
    write(&bench.pipeline.snapshot(), Format::Text004, &mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter(|line| !line.starts_with("sockmeter_series"))
        .map(str::to_owned)
        .collect()
}

fn opened_by(bench: &mut Bench, pid: u32) {
    bench.push(Record::Opened(Opened {
        connection: ConnectionId(7),
        slot: 3,
        role: Role::Server,
        adopted: false,
        time_ns: bench.now_ns,
        connect_ns: 0,
        pid,
        local: REMOTE,
        remote: REMOTE,
    }));
}

#[test]
fn nothing_of_an_excluded_process_is_shown() {
    let mut bench = bench();
    opened_by(&mut bench, 2);
    bench.segment(2, Direction::Receive, b"GE", 2);
    bench.segment(2, Direction::Receive, &GET[2..], GET.len() as u32 - 2);
    bench.segment(2, Direction::Transmit, OK, OK.len() as u32);
    let positions = bench.positions;
    bench.table(true, [positions[0] + 100, positions[1]], 4);
    bench.push(Record::ConnectFailed(ConnectFailed {
        errno: 111,
        pid: 2,
        time_ns: bench.now_ns,
        connect_ns: 1,
        remote: REMOTE,
    }));
    bench.push(Record::Datagrams(Datagrams {
        pid: 2,
        start_boottime_ns: 1,
        datagrams: [1, 2],
        bytes: [3, 4],
    }));
    bench.push(Record::Listener(Listener {
        socket: ConnectionId(9),
        listening: true,
        pid: 2,
        port: 80,
        length: 1,
        limit: 2,
        drops: 3,
        time_ns: bench.now_ns,
    }));
    assert_eq!(shown(&mut bench), [""; 0]);
    assert_eq!(bench.pipeline.excluded(), 1);
    bench.closed();
    bench.ended(2);
    bench.tick(10_000_000_000);
    assert_eq!(shown(&mut bench), [""; 0]);
    assert_eq!(bench.pipeline.excluded(), 0);
}

#[test]
fn the_kernel_side_is_told_the_process_and_its_connection_once() {
    let mut bench = bench();
    opened_by(&mut bench, 2);
    assert_eq!(bench.pipeline.drain_excluded(), [(2, true)]);
    for _ in 0..3 {
        bench.segment(2, Direction::Receive, GET, GET.len() as u32);
    }
    assert_eq!(bench.told, ["3 7: exclude"]);
    assert_eq!(bench.pipeline.drain_excluded(), []);
    let mut bench = self::bench();
    opened_by(&mut bench, 1);
    bench.segment(1, Direction::Receive, GET, GET.len() as u32);
    assert_eq!(bench.told, [""; 0]);
    assert_eq!(bench.pipeline.drain_excluded(), []);
}

#[test]
fn a_connection_that_an_excluded_process_takes_over_is_its_own_for_good() {
    let mut bench = bench();
    opened_by(&mut bench, 1);
    bench.segment(1, Direction::Receive, GET, GET.len() as u32);
    assert_eq!(
        bench.connections_active(),
        ["{process_pid=\"1\",role=\"server\"} 1"]
    );
    bench.segment(2, Direction::Transmit, OK, OK.len() as u32);
    // It is passed back, and its processes end.
    bench.segment(1, Direction::Receive, GET, GET.len() as u32);
    bench.ended(2);
    bench.tick(10_000_000_000);
    assert_eq!(
        bench.connections_active(),
        ["{process_pid=\"1\",role=\"server\"} 0"]
    );
    let of_first = format!(
        "{{process_pid=\"1\",direction=\"receive\",role=\"server\"}} {}",
        GET.len()
    );
    assert_eq!(bench.series("sockmeter_socket_bytes_total"), [of_first]);
    for gauge in [
        "http_server_active_requests",
        "sockmeter_payload_pending_bytes",
    ] {
        assert_eq!(bench.total(gauge), 0, "{gauge}");
    }
}

#[test]
fn a_process_that_executes_an_excluded_file_is_excluded_from_then_on() {
    let mut bench = bench();
    opened_by(&mut bench, 1);
    bench.segment(1, Direction::Receive, GET, GET.len() as u32);
    bench.push(Record::Started(Started {
        is_exec: true,
        pid: 1,
        parent_pid: 0,
        start_boottime_ns: 1,
        cgroup: 0,
        file: "/opt/program2".to_owned(),
    }));
    bench.segment(1, Direction::Transmit, OK, OK.len() as u32);
    assert_eq!(
        bench.total("sockmeter_socket_bytes_total"),
        GET.len() as u64
    );
    assert_eq!(bench.told, ["3 7: exclude"]);
    assert_eq!(bench.pipeline.drain_excluded(), [(1, false), (1, true)]);
}

#[test]
fn what_the_kernel_side_is_told_ends_with_what_is_true() {
    let mut bench = bench();
    opened_by(&mut bench, 2);
    // It executes another file before the kernel side is told.
    bench.push(Record::Started(Started {
        is_exec: true,
        pid: 2,
        parent_pid: 0,
        start_boottime_ns: 1,
        cgroup: 0,
        file: "/opt/other".to_owned(),
    }));
    assert_eq!(bench.pipeline.drain_excluded(), [(2, false)]);
    let mut bench = self::bench();
    opened_by(&mut bench, 2);
    bench.ended(2);
    // A late record of it.
    bench.segment(2, Direction::Receive, GET, GET.len() as u32);
    assert_eq!(bench.pipeline.drain_excluded(), [(2, false)]);
}
