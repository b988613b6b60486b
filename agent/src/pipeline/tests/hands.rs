//! Connections that go from one process to another, and processes that become another program.

use super::*;
use crate::records::Started;

impl Bench {
    /// Process 1 executes `file`, without a new pid.
    fn executed(&mut self, file: &str) {
        self.push(Record::Started(Started {
            is_exec: true,
            pid: 1,
            parent_pid: 0,
            start_boottime_ns: 1,
            cgroup: 0,
            file: file.to_owned(),
        }));
    }
}

/// Bytes by process and direction, of what the sockets moved and of what became of them.
fn balance(bench: &mut Bench) -> [Vec<(String, u64)>; 2] {
    [
        "sockmeter_socket_bytes_total",
        "sockmeter_payload_bytes_total",
    ]
    .map(|metric| {
        let mut sums: Vec<(String, u64)> = Vec::new();
        for series in bench.series(metric) {
            let (labels, value) = series.rsplit_once(' ').unwrap();
            let label = |name: &str| {
                let (_, rest) = labels.split_once(&format!("{name}=\"")).unwrap();
                rest.split_once('"').unwrap().0.to_owned()
            };
            let whose = format!("{} {}", label("process_pid"), label("direction"));
            let value: u64 = value.parse().unwrap();
            match sums.iter_mut().find(|(known, _)| *known == whose) {
                Some((_, sum)) => *sum += value,
                None => sums.push((whose, value)),
            }
        }
        sums.sort();
        sums
    })
}

fn sums(wanted: &[(&str, u64)]) -> Vec<(String, u64)> {
    let sums = wanted.iter();
    sums.map(|(whose, bytes)| ((*whose).to_owned(), *bytes))
        .collect()
}

#[test]
fn rule_21_bytes_kept_for_recognition_are_of_the_process_that_moved_them() {
    // What the server reads, byte by byte, in turn by two processes; then the rest at once.
    for (rest, outcome) in [
        (&b" / HTTP/1.1\r\n\r\n"[..], "outcome=\"parsed\""),
        (b"TTING nowhere", "outcome=\"unrecognised\""),
    ] {
        let mut bench = Bench::new();
        bench.opened(Role::Server, false);
        for (pid, byte) in [(1, b"G"), (2, b"E"), (1, b"T")] {
            bench.segment(pid, Direction::Receive, byte, 1);
        }
        bench.segment(2, Direction::Receive, rest, rest.len() as u32);
        let wanted = sums(&[("1 receive", 2), ("2 receive", 1 + rest.len() as u64)]);
        assert_eq!(balance(&mut bench), [wanted.clone(), wanted]);
        let series = bench.series("sockmeter_payload_bytes_total");
        assert!(
            series.iter().all(|series| series.contains(outcome)),
            "{series:?}"
        );
    }
}

#[test]
fn rule_21_kept_bytes_of_both_directions_are_told_at_the_decision_and_at_the_end() {
    let mut bench = Bench::new();
    bench.opened(Role::Server, false);
    bench.segment(1, Direction::Transmit, b"H", 1);
    bench.segment(2, Direction::Receive, b"GE", 2);
    bench.segment(1, Direction::Receive, b"T / HTTP/1.1\r\n\r\n", 16);
    let wanted = sums(&[("1 receive", 16), ("1 transmit", 1), ("2 receive", 2)]);
    assert_eq!(balance(&mut bench), [wanted.clone(), wanted]);

    // Never decided; one is cut short by a gap.
    for gap_bytes in [0, 100] {
        let mut bench = Bench::new();
        bench.opened(Role::Server, false);
        bench.segment(1, Direction::Receive, b"GE", 2);
        bench.segment(2, Direction::Transmit, b"HT", 2);
        bench.positions[0] += gap_bytes;
        bench.segment(2, Direction::Receive, b"T", 1);
        bench.closed();
        let wanted = sums(&[
            ("1 receive", 2),
            ("2 receive", 1 + gap_bytes),
            ("2 transmit", 2),
        ]);
        assert_eq!(balance(&mut bench), [wanted.clone(), wanted]);
    }
}

#[test]
fn rule_21_a_tls_hello_in_two_hands() {
    let mut bench = Bench::new();
    bench.opened(Role::Server, false);
    bench.segment(1, Direction::Receive, b"\x16", 1);
    bench.segment(2, Direction::Receive, b"\x03\x01hello", 7);
    let wanted = sums(&[("1 receive", 1), ("2 receive", 7)]);
    assert_eq!(balance(&mut bench), [wanted.clone(), wanted]);
}

/// The processes whose series of a metric are not zero, and their values.
fn standing(bench: &mut Bench, metric: &str) -> Vec<String> {
    let series = bench.series(metric).into_iter();
    series.filter(|series| !series.ends_with(" 0")).collect()
}

const ACTIVE: &str = "sockmeter_connections_active";
const REQUESTS: &str = "http_server_active_requests";
const SERVED: &str = "http_server_request_duration_seconds_count";

#[test]
fn rule_16_a_process_that_executes_another_program_takes_its_connections_along() {
    let mut bench = Bench::with_labels(vec!["process_executable_name"]);
    bench.opened(Role::Server, false);
    bench.receive(GET);
    bench.executed("/usr/bin/handler");
    assert_eq!(
        standing(&mut bench, ACTIVE),
        ["{process_executable_name=\"unknown\",role=\"server\"} 1"],
        "/proc was not asked yet for its name"
    );
    bench.transmit(&OK[..20]);
    assert_eq!(
        standing(&mut bench, ACTIVE),
        ["{process_executable_name=\"handler\",role=\"server\"} 1"]
    );
    assert_eq!(
        standing(&mut bench, REQUESTS),
        ["{process_executable_name=\"handler\",http_request_method=\"GET\"} 1"]
    );
    bench.transmit(&OK[20..]);
    bench.receive(GET);
    bench.executed("/usr/bin/other");
    // Used before anybody looks.
    bench.transmit(OK);
    bench.closed();
    for (executable, requests) in [("handler", 1), ("other", 1)] {
        let labels = format!("{{process_executable_name=\"{executable}\"");
        let served: Vec<_> = bench
            .series(SERVED)
            .into_iter()
            .filter(|series| series.starts_with(&labels))
            .collect();
        assert_eq!(served.len(), 1, "{executable}");
        assert!(served[0].ends_with(&format!(" {requests}")), "{served:?}");
    }
    assert_eq!(standing(&mut bench, ACTIVE), [""; 0]);
    assert_eq!(standing(&mut bench, REQUESTS), [""; 0]);
}

#[test]
fn rule_16_what_a_dead_process_leaves_open_is_nobodys_until_it_is_used() {
    let mut bench = Bench::new();
    bench.opened(Role::Server, false);
    bench.receive(GET);
    bench.ended(1);
    bench.tick(crate::identity::GRACE_NS);
    let unknown = ["{role=\"server\"} 1"];
    assert_eq!(standing(&mut bench, ACTIVE), unknown);
    bench.segment(2, Direction::Transmit, OK, OK.len() as u32);
    assert_eq!(
        standing(&mut bench, ACTIVE),
        ["{process_pid=\"2\",role=\"server\"} 1"]
    );
    let served = bench.series(SERVED);
    assert!(
        served.len() == 1 && served[0].starts_with("{process_pid=\"2\""),
        "{served:?}"
    );
    bench.closed();
    assert_eq!(standing(&mut bench, ACTIVE), [""; 0]);
    assert_eq!(standing(&mut bench, REQUESTS), [""; 0]);
}

#[test]
fn rule_16_a_process_that_gets_the_pid_of_a_dead_one_is_another_one() {
    let mut bench = Bench::with_labels(vec!["process_executable_name"]);
    bench.opened(Role::Server, false);
    bench.receive(GET);
    bench.ended(1);
    let mut next = facts(1);
    next.start_boottime_ns = 2;
    next.executable = "/usr/bin/next".to_owned();
    bench.push(Record::Started(Started {
        is_exec: false,
        pid: 1,
        parent_pid: 0,
        start_boottime_ns: 2,
        cgroup: 0,
        file: String::new(),
    }));
    bench.push(Record::Process(next));
    bench.transmit(OK);
    let served = bench.series(SERVED);
    assert!(
        served.len() == 1 && served[0].contains("\"next\""),
        "{served:?}"
    );
    assert_eq!(
        standing(&mut bench, ACTIVE),
        ["{process_executable_name=\"next\",role=\"server\"} 1"]
    );
}
