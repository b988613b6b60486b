//! Since when series count.

use super::*;
use crate::records::Clock;

/// Since 1970, where the records' clock shows 0.
const BOOT_UNIX_NS: u64 = 1_700_000_000_000_000_000;

fn series_at(boot_unix_ns: u64) -> Series {
    let mut series = Series::new(Settings {
        labels: Some(vec!["process_pid"]),
        series_max_per_metric: 3,
        ..Settings::default()
    });
    set_clock(&mut series, 100, boot_unix_ns);
    series
}

fn set_clock(series: &mut Series, time_ns: u64, boot_unix_ns: u64) {
    series.set_clock(Clock {
        time_ns,
        unix_ns: boot_unix_ns + time_ns,
    });
}

fn process_at(series: &mut Series, pid: u32, now_ns: u64) -> ProcessKey {
    series.add_process(&[("process_pid", pid.to_string())], now_ns)
}

/// The beginnings of a metric's series that are not hidden, in the order of a scrape, as the records' clock showed them.
fn beginnings(snapshot: &Snapshot, name: &str) -> Vec<u64> {
    let mut families = snapshot.families();
    let family = families.find(|family| family.metric().name == name);
    let points = family.into_iter().flat_map(Family::points);
    points
        .map(|point| point.created_unix_ns - BOOT_UNIX_NS)
        .collect()
}

const BYTES: &str = "sockmeter_socket_bytes_total";

fn receive(series: &mut Series, key: ProcessKey) {
    series.socket_bytes(key, Role::Server, "tcp", Direction::Receive, 1);
}

#[test]
fn a_series_begins_with_its_process_or_where_it_was_not_there_yet() {
    let mut series = series_at(BOOT_UNIX_NS);
    let first = process_at(&mut series, 1, 150);
    receive(&mut series, first);
    series.tick(1_000);
    let second = process_at(&mut series, 2, 1_500);
    series.connection_opened(second, Role::Server, "tcp");
    // It may have been received since the tick, before the process was seen to open a connection.
    series.connection_opened(first, Role::Server, "tcp");
    receive(&mut series, second);
    let snapshot = series.snapshot(1_900);
    assert_eq!(beginnings(&snapshot, BYTES), [150, 1_500]);
    let opened = "sockmeter_connections_opened_total";
    assert_eq!(beginnings(&snapshot, opened), [1_001, 1_500]);
    // It stays where it is, whatever comes to it.
    receive(&mut series, first);
    assert_eq!(beginnings(&series.snapshot(3_000), BYTES), [150, 1_500]);
}

#[test]
fn a_pid_that_is_given_again_begins_later_though_time_stands_still() {
    let mut series = series_at(BOOT_UNIX_NS);
    let shown = |series: &mut Series| beginnings(&series.snapshot(500), BYTES);
    let first = process_at(&mut series, 1, 500);
    receive(&mut series, first);
    series.end_process(first, 500);
    let second = process_at(&mut series, 1, 500);
    series.tick(500);
    receive(&mut series, second);
    series.end_process(second, 500);
    let third = process_at(&mut series, 1, 500);
    receive(&mut series, third);
    assert_eq!(shown(&mut series), [500]);
    assert_eq!(shown(&mut series), [501]);
    assert_eq!(shown(&mut series), [502]);
}

#[test]
fn what_overflows_and_what_finds_room_later_have_beginnings_of_their_own() {
    let mut series = series_at(BOOT_UNIX_NS);
    let pids = [1, 2, 3, 4].map(|pid| process_at(&mut series, pid, 200));
    series.tick(1_000);
    for pid in pids {
        receive(&mut series, pid);
    }
    assert_eq!(
        beginnings(&series.snapshot(2_000), BYTES),
        [1_001, 1_001, 1_001, 1_001]
    );
    series.end_process(pids[0], 2_100);
    series.snapshot(2_200);
    receive(&mut series, pids[3]);
    // The overflow series is the last one.
    assert_eq!(
        beginnings(&series.snapshot(3_000), BYTES),
        [1_001, 1_001, 2_201, 1_001]
    );
}

#[test]
fn a_port_that_is_listened_on_anew_begins_later() {
    let mut series = series_at(BOOT_UNIX_NS);
    let process = process_at(&mut series, 1, 200);
    let queue = |drops| {
        Some(AcceptQueue {
            drops,
            ..AcceptQueue::default()
        })
    };
    let overflows = "sockmeter_accept_queue_overflows_total";
    series.accept_queue(process, 80, None, queue(5));
    assert_eq!(beginnings(&series.snapshot(200), overflows), [200]);
    series.accept_queue(process, 80, queue(5), None);
    series.accept_queue(process, 80, None, queue(0));
    assert_eq!(beginnings(&series.snapshot(200), overflows), [201]);
}

#[test]
fn a_clock_that_is_set_moves_no_beginning() {
    let hour_ns = 3_600_000_000_000;
    let mut series = series_at(BOOT_UNIX_NS);
    let first = process_at(&mut series, 1, 200);
    receive(&mut series, first);
    series.records_lost("ring_full", 1);
    set_clock(&mut series, 1_000, BOOT_UNIX_NS + hour_ns);
    let second = process_at(&mut series, 2, 1_500);
    receive(&mut series, second);
    series.connection_opened(first, Role::Server, "tcp");
    let snapshot = series.snapshot(2_000);
    assert_eq!(beginnings(&snapshot, BYTES), [200, hour_ns + 1_500]);
    let opened = "sockmeter_connections_opened_total";
    assert_eq!(beginnings(&snapshot, opened), [hour_ns + 1_001]);
    // Those of the agent itself: the first, which is counted by the series, and one that is pushed.
    let lost = "sockmeter_records_lost_total";
    assert_eq!(beginnings(&snapshot, lost), [101]);
    let folded = beginnings(&snapshot, "sockmeter_series_overflow_total");
    assert!(folded.len() > 10 && folded.iter().all(|at| *at == 100));
}

#[test]
fn a_clock_that_is_set_back_leaves_the_pids_of_before_in_order() {
    let mut series = series_at(BOOT_UNIX_NS + 1_000);
    let first = process_at(&mut series, 1, 200);
    receive(&mut series, first);
    series.end_process(first, 300);
    set_clock(&mut series, 400, BOOT_UNIX_NS);
    let second = process_at(&mut series, 1, 500);
    receive(&mut series, second);
    assert_eq!(beginnings(&series.snapshot(600), BYTES), [1_200]);
    assert_eq!(beginnings(&series.snapshot(600), BYTES), [1_201]);
}
