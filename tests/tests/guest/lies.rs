//! HTTP that lies: what liars made is counted as far as the servers' own logs tell, and an honest client's counts are
//! exact. The script is `tests/guest/lies.sh`, the lies are in `tests/guest/liar.py`.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::checks::Checks;
use crate::scenario::Scenario;
use crate::scrape::Scrape;

const SERVED: &str = "http_server_request_duration_seconds_count";
const ASKED: &str = "http_client_request_duration_seconds_count";
const UNANSWERED: &str = "sockmeter_requests_unanswered_total";
const UNPAIRED: &str = "sockmeter_requests_unpaired_total";
const BYTES: &str = "sockmeter_socket_bytes_total";
const PAYLOAD: &str = "sockmeter_payload_bytes_total";
const ROUTE: &str = "http_route";
const STATUS: &str = "http_response_status_code";

fn scenario() -> Scenario {
    Scenario::of("lies")
}

/// What a liar says of each of its samples.
fn samples(scenario: &Scenario, name: &str) -> Vec<Value> {
    let text = scenario.text(name);
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Exchanges besides the honest client's, unanswered requests, and unpaired answers of a server.
fn counts(scrape: &Scrape, pid: &str) -> [f64; 3] {
    let labels = [("process_pid", pid)];
    let honest = scrape.sum(SERVED, &[labels[0], (ROUTE, "/ok")]);
    [
        scrape.sum(SERVED, &labels) - honest,
        scrape.sum(UNANSWERED, &labels),
        scrape.sum(UNPAIRED, &labels),
    ]
}

/// Exchanges besides the honest client's, by status.
fn statuses(scrape: &Scrape, pid: &str) -> BTreeMap<String, f64> {
    let mut counts = BTreeMap::new();
    for sample in scrape.samples(SERVED, &[("process_pid", pid)]) {
        if sample.labels.get(ROUTE).is_none_or(|route| route != "/ok") {
            let status = sample.labels.get(STATUS).cloned().unwrap_or_default();
            *counts.entry(status).or_default() += sample.value;
        }
    }
    counts
}

/// No exchange has a status that the liar did not get, and none more often: an honest request came `first`.
#[track_caller]
fn no_status_is_made_up(server: &str, first: &str) {
    let scenario = scenario();
    let mut checks = Checks::default();
    let pid = scenario.pid(server);
    let mut before = statuses(&scenario.scrape(&format!("{server}-before")), pid);
    for (number, sample) in samples(&scenario, server).iter().enumerate() {
        let after = statuses(&scenario.scrape(&format!("{server}-{number}")), pid);
        let answers = sample["answers"].as_array().unwrap().iter();
        let got: Vec<&str> = answers.filter_map(Value::as_str).chain([first]).collect();
        for (status, now) in &after {
            let counted = now - before.get(status).copied().unwrap_or_default();
            let most = got.iter().filter(|one| *one == status).count() as f64;
            let least = if status == first { 1.0 } else { 0.0 };
            let what = format!("{}: {status}", sample["name"]);
            checks.between(&what, counted, least, most);
        }
        before = after;
    }
}

#[test]
fn no_status_is_made_up_of_lies_to_nginx() {
    no_status_is_made_up("nginx", "201");
}

#[test]
fn no_status_is_made_up_of_lies_to_http_server() {
    no_status_is_made_up("python", "200");
}

/// Each line of the server's log is an exchange, a request that is counted as unanswered, or an answer that is counted
/// as one without a request. `others`: where the log tells something else, by how much, and why.
fn log_agrees(server: &str, others: &[(&str, f64)]) {
    let scenario = scenario();
    let mut checks = Checks::default();
    let pid = scenario.pid(server);
    let mut before = counts(&scenario.scrape(&format!("{server}-before")), pid);
    for (number, sample) in samples(&scenario, server).iter().enumerate() {
        let after = counts(&scenario.scrape(&format!("{server}-{number}")), pid);
        let [exchanges, unanswered, unpaired] = [0, 1, 2].map(|at| after[at] - before[at]);
        before = after;
        let name = sample["name"].as_str().unwrap();
        let logged = sample["logged"].as_f64().unwrap();
        let other = others.iter().find(|(other, _)| *other == name);
        let other = other.map_or(0.0, |(_, other)| *other);
        let what = format!(
            "{name}: {exchanges} exchanges, {unanswered} unanswered, {unpaired} unpaired, answers {}",
            sample["answers"]
        );
        checks.equal(&what, exchanges + unanswered + unpaired, logged + other);
        checks.between(
            &format!("{name}: with the honest request"),
            exchanges,
            1.0,
            2.0,
        );
    }
}

#[test]
fn what_lies_to_nginx_came_to_is_in_its_log() {
    log_agrees("nginx", &[]);
}

#[test]
fn what_lies_to_http_server_came_to_is_in_its_log() {
    let others = [
        // Its handler ends by an exception before it logs.
        ("a NUL in the target", 1.0),
        // It closes behind its 501 without a look at what follows, which it has read.
        ("a length that is too short", 1.0),
    ];
    log_agrees("python", &others);
}

/// By which a liar's own counts are told.
const LIARS: [(&str, &str); 2] = [("nginx", "8080"), ("python", "8092")];

#[test]
fn rule_21_the_liars_bytes_are_exact_at_their_end() {
    let scenario = scenario();
    let mut checks = Checks::default();
    for (name, _) in LIARS {
        let samples = samples(&scenario, name);
        checks.between(
            &format!("{name}'s samples"),
            samples.len() as f64,
            25.0,
            100.0,
        );
        let (mut sent, mut received) = (0.0, 0.0);
        for (number, sample) in samples.iter().enumerate() {
            sent += sample["sent"].as_f64().unwrap();
            received += sample["received"].as_f64().unwrap();
            let scrape = scenario.scrape(&format!("{name}-{number}"));
            let liar = ("process_pid", scenario.pid(&format!("liar-{name}")));
            let bytes = |direction| scrape.sum(BYTES, &[liar, ("direction", direction)]);
            let [asked, answered] = [0, 1].map(|at| sample["scrape"][at].as_f64().unwrap());
            let what = format!("to {name}, {}", sample["name"]);
            // The call that asked for the scrape may not have returned yet.
            let transmitted = bytes("transmit");
            checks.that([sent, sent + asked].contains(&transmitted), || {
                format!("{what}: sent {transmitted}, want {sent} or {asked} more")
            });
            checks.equal(&format!("{what}: received"), bytes("receive"), received);
            sent += asked;
            received += answered;
        }
    }
}

#[test]
fn both_ends_count_as_many_requests_of_a_lie() {
    let scenario = scenario();
    let mut checks = Checks::default();
    for (name, port) in LIARS {
        let liar = ("process_pid", scenario.pid(&format!("liar-{name}")));
        let (mut served, mut asked) = (
            counts(
                &scenario.scrape(&format!("{name}-before")),
                scenario.pid(name),
            ),
            [0.0; 3],
        );
        for (number, sample) in samples(&scenario, name).iter().enumerate() {
            let scrape = scenario.scrape(&format!("{name}-{number}"));
            let served_now = counts(&scrape, scenario.pid(name));
            let asked_now = [
                scrape.sum(ASKED, &[liar, ("server_port", port)]),
                scrape.sum(UNANSWERED, &[liar]),
                scrape.sum(UNPAIRED, &[liar]),
            ];
            // Not each alike: of a head that is too large a server may read so little that its answer tells the
            // request, and the client's end has sent more than is read of a head.
            let rise = |now: [f64; 3], before: [f64; 3]| {
                now.iter().sum::<f64>() - before.iter().sum::<f64>()
            };
            let what = format!("to {name}, {}", sample["name"]);
            checks.equal(&what, rise(asked_now, asked), rise(served_now, served));
            (served, asked) = (served_now, asked_now);
        }
    }
}

#[test]
fn an_honest_client_beside_is_counted_exactly() {
    let scenario = scenario();
    let mut checks = Checks::default();
    let scrapes = ["lies-before", "lies"];
    let driver = scenario.driver_commands("honest", "stop");
    checks.between("its requests", driver.requests, 500.0, 1e6);
    let nginx = [("process_pid", scenario.pid("nginx")), (ROUTE, "/ok")];
    let served = scenario.rise_by(STATUS, scrapes, SERVED, &nginx);
    checks.equal("served", &served, &driver.statuses);
    let honest = [("process_pid", scenario.pid("honest"))];
    let asked = scenario.rise_by(STATUS, scrapes, ASKED, &honest);
    checks.equal("asked", &asked, &driver.statuses);
    let lies = scenario.scrape("lies");
    for metric in [UNANSWERED, UNPAIRED] {
        checks.equal(metric, lies.sum(metric, &honest), 0.0);
    }
    for (direction, want) in [("transmit", driver.sent), ("receive", driver.received)] {
        let labels = [honest[0], ("direction", direction)];
        checks.equal(direction, scenario.rise(scrapes, BYTES, &labels), want);
    }
    for outcome in ["lost", "unrecognised", "opaque"] {
        let labels = [honest[0], ("outcome", outcome)];
        checks.equal(outcome, lies.sum(PAYLOAD, &labels), 0.0);
    }
    let lost = lies.sum("sockmeter_records_lost_total", &[]);
    checks.equal("records lost", lost, 0.0);
}
