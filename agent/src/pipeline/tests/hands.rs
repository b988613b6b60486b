//! Connections that go from one process to another, and processes that become another program.

use super::*;

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
