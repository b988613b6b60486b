//! Other servers than nginx, other clients than the driver. The script is `tests/guest/shapes.sh`.

use std::collections::BTreeSet;

use crate::checks::Checks;
use crate::scenario::Scenario;
use crate::truth::access_log;

const SERVED: &str = "http_server_request_duration_seconds_count";
const ASKED: &str = "http_client_request_duration_seconds_count";
const BYTES: &str = "sockmeter_socket_bytes_total";
const UNANSWERED: &str = "sockmeter_requests_unanswered_total";
const STATUS: &str = "http_response_status_code";

fn scenario() -> Scenario {
    Scenario::of("shapes")
}

#[test]
fn node_and_python_count() {
    let scenario = scenario();
    let mut checks = Checks::default();
    let scrape = scenario.scrape("others");
    for (server, driver) in [("node", "asks-node"), ("files", "asks-files")] {
        let done = scenario.driver(driver);
        let server_pid = scenario.pid(server);
        for (end, metric, pid) in [
            ("server", SERVED, server_pid),
            ("client", ASKED, done.pid.as_str()),
        ] {
            let labels = [("process_pid", pid)];
            let statuses = scrape.by(STATUS, metric, &labels);
            checks.equal(&format!("{server}, {end}"), &statuses, &done.statuses);
        }
        for (direction, want) in [("receive", done.sent), ("transmit", done.received)] {
            let labels = [
                ("process_pid", server_pid),
                ("role", "server"),
                ("direction", direction),
            ];
            checks.equal(
                &format!("{server}, {direction}"),
                scrape.sum(BYTES, &labels),
                want,
            );
        }
    }
}

#[test]
fn every_server_and_every_curl_has_series_of_its_own() {
    let scenario = scenario();
    let mut checks = Checks::default();
    let scrape = scenario.scrape("curl");
    let mut clients = Vec::new();
    for (port, server) in [("8080", "nginx"), ("8091", "node"), ("8092", "files")] {
        let labels = [("process_executable_name", "curl"), ("server_port", port)];
        checks.equal(
            &format!("curl to {server}"),
            scrape.sum(ASKED, &labels),
            1.0,
        );
        clients.extend(
            scrape
                .values("process_pid", &labels)
                .into_iter()
                .map(str::to_owned),
        );
    }
    clients.dedup();
    checks.equal("curl's pids", clients.len(), 3);
    for line in scenario.text("executables").lines() {
        let (server, executable) = line.split_once(' ').unwrap();
        let labels = [("process_pid", scenario.pid(server))];
        let names: Vec<_> = scrape
            .values("process_executable_name", &labels)
            .into_iter()
            .collect();
        checks.equal(&format!("name of {server}"), names, vec![executable]);
    }
}

#[test]
fn heads_of_7_kb_count() {
    let scenario = scenario();
    let mut checks = Checks::default();
    for server in ["node", "files"] {
        let own = [("process_pid", scenario.pid(server))];
        let scrapes = ["curl", "long-heads"];
        checks.equal(server, scenario.rise(scrapes, SERVED, &own), 1.0);
        checks.equal(server, scenario.rise(scrapes, UNANSWERED, &own), 0.0);
    }
}

#[test]
fn names_come_from_the_environment_and_the_cgroup() {
    let scenario = scenario();
    let mut checks = Checks::default();
    let scrape = scenario.scrape("others");
    let of = |label, name| scrape.values(label, &[("process_pid", scenario.pid(name))]);
    checks.equal(
        "node's name",
        of("service_name", "node"),
        BTreeSet::from(["orders"]),
    );
    let container = scenario.text("container");
    let id = BTreeSet::from([container.trim()]);
    checks.equal(
        "the container of http.server",
        of("container_id", "files"),
        id,
    );
    checks.equal(
        "the container of node",
        of("container_id", "node"),
        BTreeSet::new(),
    );
}

/// A load generator's count, both ends, and nginx's log.
fn load_agrees(name: &str, scrapes: [&str; 2], own: f64) {
    let scenario = scenario();
    let mut checks = Checks::default();
    let nginx = [("process_pid", scenario.pid("nginx"))];
    let client = [("process_executable_name", name)];
    let logged = access_log(&scenario.text(&format!("{name}.access"))).len() as f64;
    checks.equal("nginx", scenario.rise(scrapes, SERVED, &nginx), logged);
    let asked = scenario.rise(scrapes, ASKED, &client);
    let unanswered = scenario.rise(scrapes, UNANSWERED, &client);
    checks.equal("client", asked, own);
    checks.equal(
        "client with what it did not wait for",
        asked + unanswered,
        logged,
    );
    checks.that(own > 50.0, || format!("{name} asked only {own}"));
}

/// The number before or after a word in a tool's report.
fn reported(text: &str, before: &str, after: &str) -> f64 {
    let (_, rest) = text.rsplit_once(before).unwrap();
    let (number, _) = rest.trim_start().split_once(after).unwrap();
    number.trim().parse().unwrap()
}

#[test]
fn ab_agrees() {
    let own = reported(&scenario().text("ab"), "Complete requests:", "\n");
    load_agrees("ab", ["ab-before", "ab"], own);
}

#[test]
fn wrk_agrees() {
    let text = scenario().text("wrk");
    let (head, _) = text.split_once(" requests in").unwrap();
    let own = reported(&format!("{head} "), "\n", " ");
    load_agrees("wrk", ["ab", "wrk"], own);
}

#[test]
fn requests_that_go_with_the_syn() {
    let scenario = scenario();
    let mut checks = Checks::default();
    let own = scenario.json("early.json");
    let count = |name: &str| own[name].as_f64().unwrap();
    // The first has no cookie yet; the last is refused.
    checks.equal("early", count("early"), 9.0);
    checks.equal("answered", count("answered"), 9.0);
    checks.equal("refused", count("refused"), 1.0);
    let scrape = scenario.scrape("early");
    let pid = ("process_pid", scenario.pid("early"));
    let to_server = [
        pid,
        ("server_address", "127.0.0.1"),
        ("server_port", "8094"),
    ];
    let asked = scrape.sum(ASKED, &to_server);
    checks.equal("requests", asked, 9.0);
    let unanswered = scrape.sum(UNANSWERED, &[pid]);
    checks.equal("unanswered", unanswered, 1.0);
    let client = |direction| [pid, ("direction", direction), ("role", "client")];
    for (direction, name) in [("transmit", "sent"), ("receive", "received")] {
        let bytes = scrape.sum(BYTES, &client(direction));
        checks.equal(name, bytes, count(name));
    }
    let lost = scrape.sum("sockmeter_payload_bytes_total", &[pid, ("outcome", "lost")]);
    checks.equal("lost", lost, 0.0);
    let opened = scrape.sum("sockmeter_connections_opened_total", &[pid]);
    checks.equal("opened", opened, 10.0);
    checks.equal(
        "active",
        scrape.sum("sockmeter_connections_active", &[pid]),
        0.0,
    );
    // Only the first waited for its connection.
    let waited = scrape.sum("sockmeter_connect_duration_seconds_count", &[pid]);
    checks.equal("connects that took time", waited, 1.0);
}
