//! What is counted where, to the number.

mod accept;
mod beginning;
mod limits;
mod processes;
mod recent;
mod sums;

use super::*;
use crate::exchanges::{Answer, Exchange, Operation};
use crate::protocol::Method;
use crate::records::Address;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// All samples, as a scrape has them: series text to value text. Of histograms `_count` and `_sum`, the latter in
/// nanoseconds.
fn scrape(snapshot: &Snapshot) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for (family, point) in snapshot
        .families()
        .flat_map(|family| family.points().map(move |point| (family, point)))
    {
        let labels: Vec<_> = [point.process_labels, point.own_labels]
            .into_iter()
            .filter(|labels| !labels.is_empty())
            .collect();
        let mut insert = |suffix: &str, value: String| {
            let series = format!("{}{suffix}{{{}}}", family.metric().name, labels.join(","));
            assert_eq!(
                all.insert(series.clone(), value),
                None,
                "{series} is there twice"
            );
        };
        match point.value {
            Value::Count(count) => insert("", count.to_string()),
            Value::Gauge(value) => insert("", value.to_string()),
            Value::Number(value) => insert("", value.to_string()),
            Value::Histogram(observed) => {
                let count: u64 = observed.counts().iter().sum();
                insert("_count", count.to_string());
                insert("_sum", observed.sum_ns().to_string());
            }
        }
    }
    all
}

/// The samples of one name, labels to value.
fn of(snapshot: &Snapshot, name: &str) -> Vec<(String, String)> {
    let all = scrape(snapshot);
    let labels = |series: &str| {
        series
            .strip_prefix(name)?
            .strip_prefix('{')?
            .strip_suffix('}')
            .map(str::to_owned)
    };
    let mut found: Vec<_> = all
        .into_iter()
        .filter_map(|(series, value)| Some((labels(&series)?, value)))
        .collect();
    found.sort();
    found
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected
        .iter()
        .map(|(labels, value)| ((*labels).to_owned(), (*value).to_owned()))
        .collect()
}

fn process(series: &mut Series, pid: u32) -> ProcessKey {
    series.add_process(&[("process_pid", pid.to_string())], 0)
}

/// The other end, unless a test says otherwise.
static PEER: Address = Address::Inet(SocketAddr::new(
    IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)),
    8080,
));

fn http<'a>(role: Role, target: &'a [u8], status: u16) -> Exchange<'a> {
    Exchange {
        role,
        protocol: "http1",
        operation: Operation::Http {
            method: Method::Get,
            target,
            version: "1.1",
        },
        answer: Answer::Http { status },
        remote: &PEER,
        arrived_ns: None,
        started_ns: 1_000_000,
        first_byte_ns: 3_000_000,
        ended_ns: 6_000_000,
        truncated: false,
    }
}

fn with_method<'a>(mut exchange: Exchange<'a>, wire: &'a [u8]) -> Exchange<'a> {
    let Operation::Http { method, .. } = &mut exchange.operation;
    *method = Method::of(wire);
    exchange
}

#[test]
fn an_exchange_has_three_durations() {
    let mut series = Series::new(Settings::default());
    let key = process(&mut series, 7);
    series.exchange(
        key,
        &Exchange {
            arrived_ns: Some(400_000),
            ..http(Role::Server, b"/users/1?x", 200)
        },
    );
    // A request that was read before it is said to have arrived has not waited.
    series.exchange(
        key,
        &Exchange {
            arrived_ns: Some(u64::MAX),
            ..http(Role::Server, b"/users/2", 200)
        },
    );
    let snapshot = series.snapshot(0);

    let labels = r#"process_pid="7",http_request_method="GET",http_response_status_code="200",http_route="/users/{id}",network_protocol_version="1.1""#;
    assert_eq!(
        of(&snapshot, "http_server_request_duration_seconds_count"),
        pairs(&[(labels, "2")])
    );
    assert_eq!(
        of(&snapshot, "http_server_request_duration_seconds_sum"),
        pairs(&[(labels, "10000000")])
    );
    let first = snapshot.families().next().unwrap().points().next().unwrap();
    // Five milliseconds: exactly at the fourth bound.
    let Value::Histogram(observed) = first.value else {
        panic!("{first:?}")
    };
    assert_eq!(
        observed.counts(),
        [0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    );

    let labels = r#"process_pid="7",protocol="http1",role="server""#;
    assert_eq!(
        of(&snapshot, "sockmeter_request_queue_seconds_sum"),
        pairs(&[(labels, "600000")])
    );
    assert_eq!(
        of(&snapshot, "sockmeter_request_queue_seconds_count"),
        pairs(&[(labels, "2")])
    );
    assert_eq!(
        of(&snapshot, "sockmeter_request_first_byte_seconds_sum"),
        pairs(&[(labels, "4000000")])
    );
}

#[test]
fn errors_are_told_by_role() {
    let mut series = Series::new(Settings {
        labels: Some(vec![]),
        ..Settings::default()
    });
    let key = process(&mut series, 7);
    for role in [Role::Server, Role::Client] {
        for status in [200, 404, 500] {
            series.exchange(key, &http(role, b"/", status));
        }
        series.exchange(
            key,
            &Exchange {
                truncated: true,
                ..http(role, b"/", 200)
            },
        );
        // The status says more than that the response broke off: no series of its own.
        series.exchange(
            key,
            &Exchange {
                truncated: true,
                ..http(role, b"/", 500)
            },
        );
    }
    let snapshot = series.snapshot(0);
    let (route, peer) = (
        r#"http_route="/","#,
        r#"server_address="10.0.0.1",server_port="8080","#,
    );
    let line = |status: u16, middle: &str, error: &str| {
        format!(
            r#"http_request_method="GET",http_response_status_code="{status}",{middle}network_protocol_version="1.1"{error}"#
        )
    };
    let truncated = r#",error_type="truncated""#;
    assert_eq!(
        of(&snapshot, "http_server_request_duration_seconds_count"),
        pairs(&[
            (&line(200, route, ""), "1"),
            (&line(200, route, truncated), "1"),
            (&line(404, route, ""), "1"),
            (&line(500, route, r#",error_type="500""#), "2"),
        ])
    );
    assert_eq!(
        of(&snapshot, "http_client_request_duration_seconds_count"),
        pairs(&[
            (&line(200, peer, ""), "1"),
            (&line(200, peer, truncated), "1"),
            (&line(404, peer, r#",error_type="404""#), "1"),
            (&line(500, peer, r#",error_type="500""#), "2"),
        ])
    );
}

#[test]
fn methods_and_peers_have_one_spelling() {
    let mut series = Series::new(Settings {
        labels: Some(vec![]),
        ..Settings::default()
    });
    let key = process(&mut series, 7);
    let remote = Address::Inet("[::ffff:10.0.0.1]:8080".parse().unwrap());
    series.exchange(
        key,
        &with_method(
            Exchange {
                remote: &remote,
                ..http(Role::Client, b"/", 200)
            },
            b"PATCH",
        ),
    );
    series.exchange(key, &with_method(http(Role::Client, b"/", 200), b"PATCH"));
    for method in [b"get".as_slice(), b"PROPFIND", b"", b"\xff\""] {
        series.active_requests(key, Role::Server, Method::of(method), 1);
    }
    series.active_requests(key, Role::Server, Method::Get, 1);
    let snapshot = series.snapshot(0);
    let client = r#"http_request_method="PATCH",http_response_status_code="200",server_address="10.0.0.1",server_port="8080",network_protocol_version="1.1""#;
    assert_eq!(
        of(&snapshot, "http_client_request_duration_seconds_count"),
        pairs(&[(client, "2")])
    );
    assert_eq!(
        of(&snapshot, "http_server_active_requests"),
        pairs(&[
            (r#"http_request_method="GET""#, "1"),
            (r#"http_request_method="_OTHER""#, "4")
        ])
    );
}

#[test]
fn every_count_has_its_labels() {
    let mut series = Series::new(Settings {
        labels: Some(vec![]),
        ..Settings::default()
    });
    let key = process(&mut series, 7);
    series.unanswered(key, "http1", Role::Server, "closed", 1);
    series.unpaired(key, "http1", Role::Client, "gap");
    series.connection_active(key, Role::Client, Transport::Tcp, 2);
    series.connection_opened(key, Role::Server, "unix");
    series.connection_failed(key, Role::Client, "tcp", "ECONNREFUSED");
    series.adopted(key, Role::Unknown, "tcp");
    series.socket_bytes(key, Role::Server, "tcp", Direction::Receive, 10);
    series.retransmits(key, Role::Server, 3);
    series.payload(key, "skipped", "http1", Direction::Transmit, 20);
    series.payload(key, "skipped", "http1", Direction::Transmit, 1);
    series.records_lost("ring_full", 4);
    let all = scrape(&series.snapshot(0));
    for (line, value) in [
        (
            r#"sockmeter_requests_unanswered_total{protocol="http1",role="server",reason="closed"}"#,
            "1",
        ),
        (
            r#"sockmeter_requests_unpaired_total{protocol="http1",role="client",reason="gap"}"#,
            "1",
        ),
        (
            r#"sockmeter_connections_active{role="client",transport="tcp"}"#,
            "2",
        ),
        (
            r#"sockmeter_connections_opened_total{role="server",transport="unix"}"#,
            "1",
        ),
        (
            r#"sockmeter_connections_failed_total{role="client",transport="tcp",error_type="ECONNREFUSED"}"#,
            "1",
        ),
        (
            r#"sockmeter_connections_adopted_total{role="unknown",transport="tcp"}"#,
            "1",
        ),
        (
            r#"sockmeter_socket_bytes_total{direction="receive",role="server",transport="tcp"}"#,
            "10",
        ),
        (r#"sockmeter_tcp_retransmits_total{role="server"}"#, "3"),
        (
            r#"sockmeter_payload_bytes_total{outcome="skipped",protocol="http1",direction="transmit"}"#,
            "21",
        ),
        (r#"sockmeter_records_lost_total{reason="ring_full"}"#, "4"),
    ] {
        assert_eq!(all.get(line).map(String::as_str), Some(value), "{line}");
    }
}

#[test]
fn labels_stand_in_the_order_of_the_settings() {
    let mut series = Series::new(Settings {
        labels: Some(vec!["process_pid", "service_name"]),
        ..Settings::default()
    });
    let labels = [
        ("service_name", "s".to_owned()),
        ("container_id", "c".to_owned()),
        ("process_pid", "1".to_owned()),
    ];
    let key = series.add_process(&labels, 0);
    series.connect_duration(key, "tcp", 1);
    let count = of(
        &series.snapshot(0),
        "sockmeter_connect_duration_seconds_count",
    );
    assert_eq!(
        count,
        pairs(&[(r#"process_pid="1",service_name="s",transport="tcp""#, "1")])
    );
}

#[test]
fn the_same_observations_make_the_same_bytes() {
    let bytes = |statuses: &[u16]| {
        let mut series = Series::new(Settings::default());
        let keys = [process(&mut series, 9), process(&mut series, 1)];
        for status in statuses {
            for key in keys {
                series.exchange(key, &http(Role::Server, b"/", *status));
            }
        }
        let snapshot = series.snapshot(0);
        let points: Vec<_> = snapshot.families().flat_map(Family::points).collect();
        format!("{points:?}")
    };
    assert_eq!(
        bytes(&[200, 500, 301]),
        bytes(&[301, 200, 500]),
        "series stand in label order"
    );
    let text = bytes(&[200]);
    let place = |pid| text.find(&format!(r#"process_pid=\"{pid}\""#)).unwrap();
    assert!(
        place(9) < place(1),
        "processes in the order of their adding"
    );
}

#[test]
fn a_snapshot_is_its_own() {
    fn assert_send<T: Send + Sync + 'static>(_: &T) {}
    let mut series = Series::new(Settings::default());
    let key = process(&mut series, 1);
    series.connect_duration(key, "tcp", 1);
    let before = series.snapshot(0);
    assert_send(&before);
    series.connect_duration(key, "tcp", 1);
    let other = process(&mut series, 2);
    series.connect_duration(other, "tcp", 1);
    let name = "sockmeter_connect_duration_seconds_count";
    let [first, second] = [1, 2].map(|pid| format!("process_pid=\"{pid}\",transport=\"tcp\""));
    assert_eq!(of(&before, name), pairs(&[(&first, "1")]));
    assert_eq!(
        of(&series.snapshot(0), name),
        pairs(&[(&first, "2"), (&second, "1")])
    );
}
