//! Where exchanges were counted last is remembered, and never where they must not be counted any more.

use super::*;

const DURATION: &str = "http_server_request_duration_seconds_count";

fn shared(series: &mut Series) -> ProcessKey {
    series.add_process(&[("service_name", "shop".to_owned())], 0)
}

fn settings(series_max_per_metric: usize) -> Settings {
    Settings {
        series_max_per_metric,
        labels: Some(vec!["service_name", "process_pid"]),
        ..Settings::default()
    }
}

/// The counts of all series of a metric, without their labels.
fn counts(series: &mut Series, name: &str) -> Vec<String> {
    let found = of(&series.snapshot(0), name);
    found.into_iter().map(|(_, count)| count).collect()
}

#[test]
fn a_kind_is_all_that_tells_series_apart() {
    let mut series = Series::new(settings(100));
    let (first, second) = (process(&mut series, 1), process(&mut series, 2));
    let get = http(Role::Server, b"/a", 200);
    let elsewhere = Address::Inet("10.0.0.2:8080".parse().unwrap());
    let asked = Exchange {
        role: Role::Client,
        ..get
    };
    let others = [
        (second, get),
        (first, with_method(get, b"PUT")),
        (first, http(Role::Server, b"/b", 200)),
        (first, http(Role::Server, b"/a", 201)),
        (
            first,
            Exchange {
                truncated: true,
                ..get
            },
        ),
        (first, asked),
        (
            first,
            Exchange {
                remote: &elsewhere,
                ..asked
            },
        ),
    ];
    for round in 1..=3 {
        series.exchange(first, &get);
        for (process, exchange) in &others {
            series.exchange(*process, exchange);
        }
        let each = round.to_string();
        assert_eq!(counts(&mut series, DURATION), vec![each.as_str(); 6]);
        let client = "http_client_request_duration_seconds_count";
        assert_eq!(counts(&mut series, client), vec![each.as_str(); 2]);
    }
}

#[test]
fn times_of_arrival_may_come_later() {
    let mut series = Series::new(settings(100));
    let key = process(&mut series, 1);
    let get = http(Role::Server, b"/a", 200);
    let arrived = Exchange {
        arrived_ns: Some(400_000),
        ..get
    };
    for exchange in [get, get, arrived, arrived, get, arrived] {
        series.exchange(key, &exchange);
    }
    assert_eq!(counts(&mut series, DURATION), ["6"]);
    assert_eq!(
        counts(&mut series, "sockmeter_request_queue_seconds_count"),
        ["3"]
    );
    assert_eq!(
        counts(&mut series, "sockmeter_request_queue_seconds_sum"),
        ["1800000"]
    );
}

#[test]
fn rows_that_moved_are_found_again() {
    let mut series = Series::new(settings(100));
    let (first, second) = (process(&mut series, 1), process(&mut series, 2));
    let get = |target| http(Role::Server, target, 200);
    series.exchange(second, &get(b"/b"));
    series.exchange(second, &get(b"/b"));
    // In the order of a scrape these rows come before those.
    series.exchange(first, &get(b"/a"));
    series.exchange(second, &get(b"/a"));
    assert_eq!(counts(&mut series, DURATION), ["1", "1", "2"]);
    series.exchange(second, &get(b"/b"));
    assert_eq!(counts(&mut series, DURATION), ["1", "1", "3"]);
    series.end_process(first, 0);
    series.snapshot(0);
    series.exchange(second, &get(b"/b"));
    assert_eq!(counts(&mut series, DURATION), ["1", "4"]);
}

#[test]
fn a_forgotten_process_is_not_found_by_what_it_did() {
    let mut series = Series::new(settings(100));
    let (first, second) = (shared(&mut series), shared(&mut series));
    let get = http(Role::Server, b"/a", 200);
    series.exchange(first, &get);
    series.exchange(first, &get);
    // The other one keeps their series.
    series.exchange(second, &get);
    series.end_process(first, 0);
    series.snapshot(0);
    series.exchange(first, &get);
    assert_eq!(counts(&mut series, DURATION), ["3"]);
    let late = of(&series.snapshot(0), "sockmeter_records_lost_total");
    assert_eq!(late, pairs(&[(r#"reason="process_ended""#, "1")]));

    // Its place is another one's now.
    let third = shared(&mut series);
    series.exchange(third, &get);
    series.exchange(first, &get);
    assert_eq!(counts(&mut series, DURATION), ["4"]);
}

#[test]
fn a_pid_that_is_given_again_begins_at_zero() {
    let mut series = Series::new(settings(100));
    let before = process(&mut series, 1);
    let get = http(Role::Server, b"/a", 200);
    series.exchange(before, &get);
    series.exchange(before, &get);
    series.active_requests(before, Role::Server, Method::Get, 1);
    series.end_process(before, 0);
    let after = process(&mut series, 1);
    series.exchange(after, &get);
    series.active_requests(after, Role::Server, Method::Get, 5);
    assert_eq!(counts(&mut series, DURATION), ["2"], "shown a last time");
    series.exchange(after, &get);
    series.exchange(after, &get);
    series.active_requests(after, Role::Server, Method::Get, -2);
    assert_eq!(counts(&mut series, DURATION), ["3"]);
    assert_eq!(counts(&mut series, "http_server_active_requests"), ["3"]);
}

#[test]
fn what_overflowed_finds_its_own_series_when_there_is_room() {
    let mut series = Series::new(settings(1));
    let (first, second) = (process(&mut series, 1), process(&mut series, 2));
    let get = http(Role::Server, b"/a", 200);
    for _ in 0..2 {
        series.exchange(first, &get);
        series.exchange(second, &get);
    }
    assert_eq!(
        counts(&mut series, DURATION),
        ["2", "2"],
        "one of them is the overflow series"
    );
    series.end_process(first, 0);
    series.snapshot(0);
    series.exchange(second, &get);
    series.exchange(second, &get);
    let own = r#"process_pid="2",http_request_method="GET",http_response_status_code="200",http_route="/a",network_protocol_version="1.1""#;
    assert_eq!(
        of(&series.snapshot(0), DURATION),
        pairs(&[(r#"overflow="true""#, "2"), (own, "2")])
    );
}

#[test]
fn a_route_that_found_no_room_may_find_it_by_another_status() {
    let mut series = Series::new(Settings {
        routes_max_per_process: 2,
        ..settings(100)
    });
    let key = process(&mut series, 1);
    let get = |target, status| http(Role::Server, target, status);
    for (target, status) in [
        ("/a", 200),
        ("/b", 404),
        ("/b", 404),
        ("/b", 200),
        ("/b", 404),
    ] {
        series.exchange(key, &get(target.as_bytes(), status));
    }
    let routes = of(&series.snapshot(0), DURATION).into_iter();
    let routes: Vec<_> = routes
        .map(|(labels, count)| {
            format!(
                "{} {} {count}",
                labels.split('"').nth(7).unwrap(),
                labels.split('"').nth(5).unwrap()
            )
        })
        .collect();
    assert_eq!(routes, ["/a 200 1", "/b 200 1", "/** 404 2", "/b 404 1"]);
}
