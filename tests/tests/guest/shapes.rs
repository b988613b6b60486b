//! Long, late, broken and refused exchanges. The script is `tests/guest/shapes.sh`.

use std::collections::BTreeMap;

use crate::checks::Checks;
use crate::scenario::Scenario;
use crate::scrape::{Labels, Scrape};
use crate::truth::{access_log, at_most};

const SERVER: &str = "http_server_request_duration_seconds";
const CLIENT: &str = "http_client_request_duration_seconds";
const ACTIVE: &str = "sockmeter_connections_active";
const BYTES: &str = "sockmeter_socket_bytes_total";
const PAYLOAD: &str = "sockmeter_payload_bytes_total";
const UNANSWERED: &str = "sockmeter_requests_unanswered_total";

fn scenario() -> Scenario {
    Scenario::of("shapes")
}

fn count(histogram: &str) -> String {
    format!("{histogram}_count")
}

/// A sum and its histogram agree with durations that somebody else measured: 5 % in the sum, and no
/// duration is more than one bucket off.
fn agrees(
    checks: &mut Checks,
    what: &str,
    scrape: &Scrape,
    name: &str,
    labels: Labels,
    want: &[f64],
) {
    let number = want.len() as f64;
    checks.equal(
        &format!("{what}: count"),
        scrape.sum(&count(name), labels),
        number,
    );
    let sum = scrape.sum(&format!("{name}_sum"), labels);
    checks.close(&format!("{what}: sum"), sum, want.iter().sum(), 0.05);
    let buckets = scrape.buckets(name, labels);
    for (at, (bound, got)) in buckets.iter().enumerate() {
        let below = at
            .checked_sub(1)
            .map_or(0.0, |at| at_most(want, buckets[at].0));
        let above = buckets
            .get(at + 1)
            .map_or(number, |next| at_most(want, next.0));
        checks.between(&format!("{what}: at most {bound} s"), *got, below, above);
    }
}

/// What the Python handlers measured of `path`, to their first and to their last byte.
fn handled(scenario: &Scenario, path: &str, first: usize) -> [Vec<f64>; 2] {
    let text = scenario.text("handled");
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split(' ').collect()).collect();
    [1, 2].map(|column| {
        lines
            .iter()
            .filter(|words| words[0] == path)
            .take(first)
            .map(|words| words[column].parse().unwrap())
            .collect()
    })
}

#[test]
fn a_handler_that_sleeps_200_ms() {
    let scenario = scenario();
    let mut checks = Checks::default();
    let scrape = scenario.scrape("sleep");
    let [_, want] = handled(&scenario, "/sleep", 20);
    let labels = [
        ("process_pid", scenario.pid("handler")),
        ("http_route", "/sleep"),
    ];
    agrees(&mut checks, "server", &scrape, SERVER, &labels, &want);
    let driver = scenario.driver_commands("sleep", "get 20 /sleep");
    let labels = [("process_pid", driver.pid.as_str())];
    agrees(
        &mut checks,
        "client",
        &scrape,
        CLIENT,
        &labels,
        &driver.seconds,
    );
    checks.that(want.iter().all(|one| *one >= 0.2), || {
        format!("it did not sleep: {want:?}")
    });
}

#[test]
fn first_byte_and_last_byte_are_told_apart() {
    let scenario = scenario();
    let mut checks = Checks::default();
    let labels = [
        ("process_pid", scenario.pid("handler")),
        ("http_route", "/drip"),
    ];
    let [first, last] = handled(&scenario, "/drip", 8);
    agrees(
        &mut checks,
        "duration",
        &scenario.scrape("drip"),
        SERVER,
        &labels,
        &last,
    );
    let rise = |part| {
        let name = format!("sockmeter_request_first_byte_seconds_{part}");
        scenario.rise(["sleep", "drip"], &name, &labels[..1])
    };
    checks.equal("first bytes", rise("count"), 8.0);
    // A millisecond or two each: too short for 5 %, and far from the 200 of the last byte.
    let handlers: f64 = first.iter().sum();
    checks.between(
        "time to first byte",
        rise("sum"),
        0.0,
        handlers + 8.0 * 0.05,
    );
}

#[test]
fn a_download_of_60_mb_lasts_as_long_as_it_took() {
    let scenario = scenario();
    let mut checks = Checks::default();
    let scrape = scenario.scrape("slow");
    let log = access_log(&scenario.text("slow.access"));
    let nginx = [
        ("process_pid", scenario.pid("nginx")),
        ("http_route", "/big"),
    ];
    agrees(
        &mut checks,
        "nginx",
        &scrape,
        SERVER,
        &nginx,
        &[log[0].seconds],
    );
    let driver = scenario.driver("slow");
    let own = [("process_pid", driver.pid.as_str())];
    agrees(
        &mut checks,
        "driver",
        &scrape,
        CLIENT,
        &own,
        &driver.seconds,
    );
    checks.that(driver.seconds[0] > 2.9, || {
        format!("not slow: {:?}", driver.seconds)
    });
}

#[test]
fn bytes_of_60_mb_with_and_without_sendfile() {
    let scenario = scenario();
    let mut checks = Checks::default();
    for (name, scrapes) in [
        ("slow", ["slow-before", "slow"]),
        ("copied", ["slow", "copied"]),
    ] {
        let driver = scenario.driver(name);
        checks.that(driver.received > 60_000_000.0, || format!("{driver:?}"));
        for (process, role, direction) in
            [("nginx", "server", "transmit"), (name, "client", "receive")]
        {
            let pid = scenario.pid(process);
            let labels = [
                ("process_pid", pid),
                ("role", role),
                ("direction", direction),
            ];
            let got = scenario.rise(scrapes, BYTES, &labels);
            checks.equal(
                &format!("{name}: {process}, {direction}"),
                got,
                driver.received,
            );
            let labels = [
                ("process_pid", pid),
                ("direction", direction),
                ("outcome", "skipped"),
            ];
            let got = scenario.rise(scrapes, PAYLOAD, &labels);
            checks.equal(&format!("{name}: {process}, skipped"), got, 60_000_000.0);
        }
    }
}

#[test]
fn half_a_request_counts_when_it_is_whole() {
    let scenario = scenario();
    let mut checks = Checks::default();
    let nginx = [("process_pid", scenario.pid("nginx"))];
    let driver = scenario.driver_commands("half", "finish");
    let own = [("process_pid", driver.pid.as_str())];
    for (what, name, labels) in [("nginx", SERVER, nginx), ("driver", CLIENT, own)] {
        let rise = |scrapes| scenario.rise(scrapes, &count(name), &labels);
        checks.equal(&format!("{what}, half"), rise(["half-before", "half"]), 0.0);
        checks.equal(
            &format!("{what}, whole"),
            rise(["half", "half-finished"]),
            1.0,
        );
    }
    // It began with its first byte, not with its last.
    let scrapes = ["half-before", "half-finished"];
    let seconds = |name: &str, labels| scenario.rise(scrapes, &format!("{name}_sum"), labels);
    let log = access_log(&scenario.text("half.access"));
    checks.close(
        "nginx's duration",
        seconds(SERVER, &nginx),
        log[0].seconds,
        0.05,
    );
    checks.close(
        "driver's duration",
        seconds(CLIENT, &own),
        driver.seconds[0],
        0.05,
    );
}

#[test]
fn half_a_request_of_a_killed_client_is_none() {
    let scenario = scenario();
    let mut checks = Checks::default();
    let scrapes = ["halfkilled-before", "halfkilled"];
    let nginx = [("process_pid", scenario.pid("nginx"))];
    checks.equal(
        "answered",
        scenario.rise(scrapes, &count(SERVER), &nginx),
        0.0,
    );
    let active = [nginx[0], ("role", "server")];
    checks.equal(
        "connections then",
        scenario.scrape("halfkilled-before").sum(ACTIVE, &active),
        1.0,
    );
    let scrape = scenario.scrape("halfkilled");
    checks.equal("connections now", scrape.sum(ACTIVE, &active), 0.0);
    checks.equal(
        "active",
        scrape.sum("http_server_active_requests", &nginx),
        0.0,
    );
    let reasons = scenario.rise_by("reason", scrapes, UNANSWERED, &nginx);
    let want = BTreeMap::from([("incomplete_request".to_owned(), 1.0)]);
    checks.equal("unanswered", reasons, want);
}

#[test]
fn a_killed_client_has_one_request_without_answer() {
    let scenario = scenario();
    let mut checks = Checks::default();
    let (before, after) = (scenario.scrape("killed-before"), scenario.scrape("killed"));
    let server = [("process_pid", scenario.pid("handler"))];
    let client = [("process_pid", scenario.pid("killed"))];
    checks.equal(
        "server, active",
        before.sum("http_server_active_requests", &server),
        1.0,
    );
    checks.equal(
        "client, active",
        before.sum("http_client_active_requests", &client),
        1.0,
    );
    checks.equal(
        "server, active after",
        after.sum("http_server_active_requests", &server),
        0.0,
    );
    checks.equal("client, answered", after.sum(&count(CLIENT), &client), 0.0);
    checks.equal("client, unanswered", after.sum(UNANSWERED, &client), 1.0);
    // The handler did answer, into a connection that nobody read: its bytes went out, then the reset came.
    let scrapes = ["killed-before", "killed"];
    let answered = scenario.rise(scrapes, &count(SERVER), &server);
    checks.equal("server, answered", answered, 1.0);
    let unanswered = after.sum(UNANSWERED, &server);
    checks.equal("server, unanswered", unanswered, 0.0);
    let sent = [server[0], ("direction", "transmit")];
    let bytes = scenario.rise(scrapes, BYTES, &sent);
    let payload = scenario.rise_by("outcome", scrapes, PAYLOAD, &sent);
    checks.that(bytes > 0.0, || "server, no byte sent".to_owned());
    checks.equal("server, lost", payload.get("lost"), None);
    checks.equal(
        "server, bytes with an outcome",
        payload.values().sum(),
        bytes,
    );
    let connections = [server[0], ("role", "server")];
    checks.equal("server, connections", after.sum(ACTIVE, &connections), 0.0);
}

#[test]
fn a_refused_connect() {
    let scenario = scenario();
    let mut checks = Checks::default();
    let scrape = scenario.scrape("refused");
    let driver = [("process_pid", scenario.pid("refused"))];
    let failed = scrape.by("error_type", "sockmeter_connections_failed_total", &driver);
    checks.equal(
        "failed",
        failed,
        BTreeMap::from([("refused".to_owned(), 1.0)]),
    );
    for metric in [ACTIVE, "sockmeter_connections_opened_total", UNANSWERED] {
        checks.equal(metric, scrape.sum(metric, &driver), 0.0);
    }
}

#[test]
fn bytes_that_are_no_protocol_are_said_to_be_and_nothing_is_counted() {
    let scenario = scenario();
    let mut checks = Checks::default();
    let scrape = scenario.scrape("garbage");
    let driver = scenario.driver("garbage");
    for (name, pid) in [
        ("driver", driver.pid.as_str()),
        ("server", scenario.pid("echo")),
    ] {
        for direction in ["receive", "transmit"] {
            let labels = [("process_pid", pid), ("direction", direction)];
            let want = BTreeMap::from([("unrecognised".to_owned(), driver.sent)]);
            let outcomes = scrape.by("outcome", PAYLOAD, &labels);
            checks.equal(&format!("{name}, {direction}"), outcomes, want);
        }
        for metric in [
            &count(SERVER),
            &count(CLIENT),
            UNANSWERED,
            "sockmeter_requests_unpaired_total",
        ] {
            let got = scrape.sum(metric, &[("process_pid", pid)]);
            checks.equal(&format!("{name}, {metric}"), got, 0.0);
        }
    }
}

#[test]
fn bytes_that_are_no_request_count_nothing_at_an_http_server_either() {
    let scenario = scenario();
    let mut checks = Checks::default();
    let scrapes = ["garbage", "noise"];
    let nginx = [("process_pid", scenario.pid("nginx"))];
    let answer = scenario.text("noise.answer");
    checks.has("nginx's answer", &answer, "400 Bad Request");
    for (direction, want) in [("receive", 300.0), ("transmit", answer.len() as f64)] {
        let labels = [nginx[0], ("direction", direction)];
        let outcomes = scenario.rise_by("outcome", scrapes, PAYLOAD, &labels);
        let want = BTreeMap::from([("unrecognised".to_owned(), want)]);
        checks.equal(direction, outcomes, want);
    }
    for metric in [
        &count(SERVER),
        UNANSWERED,
        "sockmeter_requests_unpaired_total",
    ] {
        checks.equal(metric, scenario.rise(scrapes, metric, &nginx), 0.0);
    }
    checks.equal(
        "records lost",
        scenario
            .scrape("noise")
            .sum("sockmeter_records_lost_total", &[]),
        0.0,
    );
}
