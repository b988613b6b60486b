//! Accept queues: sums over sockets, and series that end with them.

use super::*;

const METRICS: [&str; 3] = [
    "sockmeter_accept_queue_length",
    "sockmeter_accept_queue_limit",
    "sockmeter_accept_queue_overflows_total",
];

fn queue(length: u64, limit: u64, drops: u64) -> Option<AcceptQueue> {
    Some(AcceptQueue {
        length,
        limit,
        drops,
    })
}

/// What the three metrics show for all series whose labels contain `part`, in one text.
fn shown(series: &mut Series, part: &str) -> String {
    let snapshot = series.snapshot(0);
    let of_metric = |metric| {
        of(&snapshot, metric)
            .into_iter()
            .filter(|(labels, _)| labels.contains(part))
            .map(|(_, value)| value)
            .collect::<Vec<_>>()
            .join("+")
    };
    METRICS.map(of_metric).join(" ")
}

#[test]
fn sockets_of_one_process_and_port_are_summed_and_end_one_by_one() {
    let mut series = Series::new(Settings::default());
    let process = process(&mut series, 1);
    series.accept_queue(process, 80, None, queue(3, 10, 5));
    series.accept_queue(process, 80, None, queue(1, 20, 2));
    series.accept_queue(process, 81, None, queue(0, 7, 0));
    assert_eq!(shown(&mut series, r#"server_port="80""#), "4 30 7");
    assert_eq!(shown(&mut series, r#"server_port="81""#), "0 7 0");

    series.accept_queue(process, 80, queue(3, 10, 5), queue(0, 5, 9));
    assert_eq!(shown(&mut series, r#"server_port="80""#), "1 25 11");

    // What it dropped was dropped; what waited does not wait any more.
    series.accept_queue(process, 80, queue(0, 5, 9), None);
    assert_eq!(shown(&mut series, r#"server_port="80""#), "1 20 11");
    series.accept_queue(process, 80, queue(1, 20, 2), None);
    assert_eq!(shown(&mut series, r#"server_port="80""#), "  ");
    assert_eq!(shown(&mut series, r#"server_port="81""#), "0 7 0");

    // The same port later is a new one.
    series.accept_queue(process, 80, None, queue(2, 4, 0));
    assert_eq!(shown(&mut series, r#"server_port="80""#), "2 4 0");
    assert_eq!(shown(&mut series, r#"server_port="81""#), "0 7 0");
}

#[test]
fn what_finds_no_room_balances_in_the_overflow_series() {
    let mut series = Series::new(Settings {
        series_max_per_metric: 1,
        ..Settings::default()
    });
    let process = process(&mut series, 1);
    series.accept_queue(process, 80, None, queue(3, 10, 5));
    series.accept_queue(process, 81, None, queue(1, 20, 2));
    assert_eq!(shown(&mut series, "overflow"), "1 20 2");
    // Room comes up; what went up there comes down there.
    series.accept_queue(process, 80, queue(3, 10, 5), None);
    series.accept_queue(process, 81, queue(1, 20, 2), queue(4, 20, 2));
    assert_eq!(shown(&mut series, "overflow"), "4 20 2");
    series.accept_queue(process, 81, queue(4, 20, 2), None);
    assert_eq!(shown(&mut series, "overflow"), "0 0 2");
    assert_eq!(shown(&mut series, "server_port"), "  ");
}
