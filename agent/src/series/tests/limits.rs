//! What happens at the limits.

use super::*;

#[test]
fn routes_have_a_limit_per_process() {
    let mut series = Series::new(Settings {
        routes_max_per_process: 2,
        labels: Some(vec![]),
        ..Settings::default()
    });
    let (first, second) = (process(&mut series, 1), process(&mut series, 2));
    for target in [b"/a", b"/b", b"/c", b"/d", b"/a"] {
        series.exchange(first, &http(Role::Server, target, 200));
    }
    // The limit is the process's own, also where series are shared.
    series.exchange(second, &http(Role::Server, b"/c", 200));
    let routes: Vec<_> = of(
        &series.snapshot(0),
        "http_server_request_duration_seconds_count",
    )
    .into_iter()
    .map(|(labels, value)| (labels.split('"').nth(5).unwrap().to_owned(), value))
    .collect();
    assert_eq!(
        routes,
        pairs(&[("/**", "2"), ("/a", "2"), ("/b", "1"), ("/c", "1")])
    );
}

#[test]
fn what_overflows_balances() {
    let mut series = Series::new(Settings {
        series_max_per_metric: 1,
        ..Settings::default()
    });
    let (first, second) = (process(&mut series, 1), process(&mut series, 2));
    let name = "sockmeter_connections_active";
    let own = r#"process_pid="1",role="server",transport="tcp""#;
    series.connection_active(first, Role::Server, Transport::Tcp, 5);
    series.connection_active(second, Role::Server, Transport::Tcp, 3);
    assert_eq!(
        of(&series.snapshot(0), name),
        pairs(&[(r#"overflow="true""#, "3"), (own, "5")])
    );

    // Room comes up, but what went up in the overflow series comes down there.
    series.end_process(first, 0);
    series.snapshot(0);
    series.connection_active(second, Role::Server, Transport::Tcp, -1);
    let snapshot = series.snapshot(0);
    assert_eq!(of(&snapshot, name), pairs(&[(r#"overflow="true""#, "2")]));
    let folded = of(&snapshot, "sockmeter_series_overflow_total");
    assert!(
        folded.contains(&(format!("metric=\"{name}\""), "2".to_owned())),
        "{folded:?}"
    );

    // A process takes with it what it has left there.
    series.end_process(second, 0);
    series.snapshot(0);
    assert_eq!(
        of(&series.snapshot(0), name),
        pairs(&[(r#"overflow="true""#, "0")])
    );
}
