//! Processes end, and share series.

use super::*;

#[test]
fn an_ended_process_is_shown_once_more() {
    let mut series = Series::new(Settings::default());
    let (first, second) = (process(&mut series, 1), process(&mut series, 2));
    series.retransmits(first, Role::Server, 1);
    series.retransmits(second, Role::Server, 2);
    let name = "sockmeter_tcp_retransmits_total";
    let (one, two) = (
        r#"process_pid="1",role="server""#,
        r#"process_pid="2",role="server""#,
    );
    assert_eq!(
        of(&series.snapshot(10), name),
        pairs(&[(one, "1"), (two, "2")])
    );

    series.end_process(first, 20);
    series.end_process(first, 21);
    series.retransmits(first, Role::Server, 10);
    assert_eq!(
        of(&series.snapshot(30), name),
        pairs(&[(one, "11"), (two, "2")])
    );
    assert_eq!(of(&series.snapshot(40), name), pairs(&[(two, "2")]));

    // Its key means nothing any more, also when its place is used again.
    let third = process(&mut series, 3);
    series.retransmits(first, Role::Server, 100);
    series.retransmits(third, Role::Server, 3);
    let snapshot = series.snapshot(50);
    assert_eq!(
        of(&snapshot, name),
        pairs(&[(two, "2"), (r#"process_pid="3",role="server""#, "3")])
    );
    assert_eq!(
        of(&snapshot, "sockmeter_records_lost_total"),
        pairs(&[(r#"reason="process_ended""#, "1")])
    );
}

#[test]
fn an_ended_process_waits_for_a_scrape_five_minutes() {
    let mut series = Series::new(Settings::default());
    let key = process(&mut series, 1);
    series.connect_duration(key, "tcp", 1);
    series.end_process(key, 1_000);
    series.tick(1_000 + LINGER_NS - 1);
    assert_eq!(series.plain.connect.series(), 1);
    series.tick(1_000 + LINGER_NS);
    assert_eq!(series.plain.connect.series(), 0);
    assert_eq!(
        of(
            &series.snapshot(1_000 + LINGER_NS),
            "sockmeter_connect_duration_seconds_count"
        ),
        []
    );
}

#[test]
fn a_label_that_is_left_out_is_summed_over() {
    let mut series = Series::new(Settings {
        labels: Some(vec!["service_name"]),
        ..Settings::default()
    });
    let add = |series: &mut Series, service: &str, pid: &str| {
        series.add_process(&[
            ("process_pid", pid.to_owned()),
            ("service_name", service.to_owned()),
        ])
    };
    let (first, second, other) = (
        add(&mut series, "shop", "1"),
        add(&mut series, "shop", "2"),
        add(&mut series, "cart", "3"),
    );
    for (key, bytes) in [(first, 1), (second, 10), (other, 100)] {
        series.socket_bytes(key, Role::Server, "tcp", Direction::Receive, bytes);
        series.exchange(key, &http(Role::Server, b"/a/1", 200));
        series.connection_active(key, Role::Server, "tcp", 1);
    }
    let bytes = |series: &mut Series| {
        of(&series.snapshot(0), "sockmeter_socket_bytes_total")
            .into_iter()
            .map(|(labels, value)| (labels.split(',').next().unwrap().to_owned(), value))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        bytes(&mut series),
        pairs(&[
            (r#"service_name="cart""#, "100"),
            (r#"service_name="shop""#, "11")
        ])
    );
    let counts = of(
        &series.snapshot(0),
        "http_server_request_duration_seconds_count",
    );
    assert_eq!(
        counts
            .into_iter()
            .map(|(_, value)| value)
            .collect::<Vec<_>>(),
        ["1", "2"]
    );

    // The series stays while one of its processes lives, and what the ended one had open does not.
    series.end_process(first, 0);
    series.snapshot(0);
    assert_eq!(
        bytes(&mut series),
        pairs(&[
            (r#"service_name="cart""#, "100"),
            (r#"service_name="shop""#, "11")
        ])
    );
    let active = of(&series.snapshot(0), "sockmeter_connections_active");
    assert_eq!(
        active
            .into_iter()
            .map(|(_, value)| value)
            .collect::<Vec<_>>(),
        ["1", "1"]
    );
    series.end_process(second, 0);
    series.snapshot(0);
    assert_eq!(
        bytes(&mut series),
        pairs(&[(r#"service_name="cart""#, "100")])
    );
}
