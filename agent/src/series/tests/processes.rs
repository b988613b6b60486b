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
        let labels = [
            ("process_pid", pid.to_owned()),
            ("service_name", service.to_owned()),
        ];
        series.add_process(&labels, 0)
    };
    let (first, second, other) = (
        add(&mut series, "shop", "1"),
        add(&mut series, "shop", "2"),
        add(&mut series, "cart", "3"),
    );
    for (key, bytes) in [(first, 1), (second, 10), (other, 100)] {
        series.socket_bytes(key, Role::Server, "tcp", Direction::Receive, bytes);
        series.exchange(key, &http(Role::Server, b"/a/1", 200));
        series.connection_active(key, Role::Server, Transport::Tcp, 1);
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

#[test]
fn rule_16_a_pid_that_is_given_again_begins_at_zero() {
    let mut series = Series::new(Settings::default());
    let name = "sockmeter_tcp_retransmits_total";
    let own = r#"process_pid="1",role="server""#;
    let shown = |series: &mut Series| of(&series.snapshot(10), name);
    let first = process(&mut series, 1);
    series.retransmits(first, Role::Server, 100);
    series.end_process(first, 20);
    // Two more have the pid before anybody looks.
    let second = process(&mut series, 1);
    series.retransmits(second, Role::Server, 5);
    series.end_process(second, 21);
    let third = process(&mut series, 1);
    series.retransmits(third, Role::Server, 7);
    series.retransmits(first, Role::Server, 1);
    assert_eq!(shown(&mut series), pairs(&[(own, "101")]), "one at a time");
    series.retransmits(third, Role::Server, 1);
    assert_eq!(shown(&mut series), pairs(&[(own, "5")]));
    assert_eq!(shown(&mut series), pairs(&[(own, "8")]));
    series.end_process(third, 30);
    assert_eq!(shown(&mut series), pairs(&[(own, "8")]));
    assert_eq!(shown(&mut series), []);
    assert_eq!(series.plain.retransmits.series(), 0);
}

#[test]
fn rule_16_routes_of_a_pid_that_is_given_again_are_its_own() {
    let mut series = Series::new(Settings::default());
    let first = process(&mut series, 1);
    series.exchange(first, &http(Role::Server, b"/first", 200));
    series.end_process(first, 20);
    let second = process(&mut series, 1);
    series.exchange(second, &http(Role::Server, b"/second", 200));
    series.exchange(first, &http(Role::Server, b"/late", 200));
    let routes = |series: &mut Series| {
        let name = "http_server_request_duration_seconds_count";
        let all = of(&series.snapshot(30), name).into_iter();
        let route = |labels: String| {
            let (_, rest) = labels.split_once("http_route=\"").unwrap();
            rest.split_once('"').unwrap().0.to_owned()
        };
        all.map(|(labels, _)| route(labels)).collect::<Vec<_>>()
    };
    assert_eq!(routes(&mut series), ["/first", "/late"]);
    assert_eq!(routes(&mut series), ["/second"]);
}

#[test]
fn a_name_whose_process_lives_on_is_shared() {
    // The first process of a program has ended, its workers live, and its pid was given again.
    let mut series = Series::new(Settings::default());
    let (first, second) = (process(&mut series, 1), process(&mut series, 1));
    series.retransmits(first, Role::Server, 1);
    series.retransmits(second, Role::Server, 2);
    let name = "sockmeter_tcp_retransmits_total";
    let own = r#"process_pid="1",role="server""#;
    assert_eq!(of(&series.snapshot(10), name), pairs(&[(own, "3")]));
}
