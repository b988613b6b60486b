//! nginx and a driver: every count, byte and connection. The script is `tests/guest/requests.sh`.

use std::collections::BTreeMap;

use crate::checks::Checks;
use crate::scenario::Scenario;
use crate::scrape::Scrape;
use crate::truth::{Logged, access_log, count_by, stub_status};

const SERVED: &str = "http_server_request_duration_seconds_count";
const ASKED: &str = "http_client_request_duration_seconds_count";
const ACTIVE: &str = "sockmeter_connections_active";
const BYTES: &str = "sockmeter_socket_bytes_total";
const STATUS: &str = "http_response_status_code";
/// No call moves more: a response, but for those to what is pipelined and the bodies of the POSTs.
const RESPONSE_BYTES: f64 = 400.0;
/// Ten responses of 160 bytes.
const PIPELINED_BYTES: f64 = 1_600.0;
/// A head and a body of 20,000 bytes.
const POST_BYTES: f64 = 20_200.0;

fn scenario() -> Scenario {
    Scenario::of("requests")
}

/// What rose at both ends between two scrapes is what the driver counted, status by status.
fn both_ends_counted(scenario: &Scenario, scrapes: [&str; 2], name: &str, command: &str) {
    let missed = scenario.missed(scrapes);
    both_ends_counted_but(missed, scenario, scrapes, name, command);
}

/// The same, if the kernel left so many runs of programs out.
fn both_ends_counted_but(
    missed: f64,
    scenario: &Scenario,
    scrapes: [&str; 2],
    name: &str,
    command: &str,
) {
    let mut checks = Checks::with_missed(missed);
    let driver = scenario.driver_commands(name, command);
    let nginx = [("process_pid", scenario.pid("nginx"))];
    let served = scenario.rise_by(STATUS, scrapes, SERVED, &nginx);
    checks.each_lacks("nginx's requests by status", &served, &driver.statuses);
    let own = [("process_pid", driver.pid.as_str())];
    let asked = scenario.rise_by(STATUS, scrapes, ASKED, &own);
    checks.each_lacks("the driver's requests by status", &asked, &driver.statuses);
    checks.that(driver.requests > 0.0, || {
        "the driver asked nothing".to_owned()
    });
}

#[test]
fn keep_alive_2000_requests_over_8_connections() {
    let scenario = scenario();
    both_ends_counted(
        &scenario,
        ["keepalive-before", "keepalive"],
        "keepalive",
        "get",
    );
    let mut checks = Checks::default();
    let driver = scenario.driver("keepalive");
    checks.equal("the driver's own count", driver.requests, 2000.0);
    let statuses = ["200", "201", "301", "404", "503"].map(|status| (status.to_owned(), 400.0));
    checks.equal("its split", driver.statuses, BTreeMap::from(statuses));
    let nginx = [("process_pid", scenario.pid("nginx")), ("role", "server")];
    let active = scenario.scrape("keepalive").sum(ACTIVE, &nginx);
    checks.equal("nginx's connections", active, 8.0);
}

#[test]
fn fresh_connections_200_requests() {
    let scenario = scenario();
    let scrapes = ["keepalive", "fresh"];
    both_ends_counted(&scenario, scrapes, "fresh", "fresh");
    let mut checks = Checks::with_missed(scenario.missed(scrapes));
    let opened = "sockmeter_connections_opened_total";
    for (name, role) in [("nginx", "server"), ("fresh", "client")] {
        let labels = [("process_pid", scenario.pid(name)), ("role", role)];
        let what = format!("{name}'s connections opened");
        checks.lacks(&what, scenario.rise(scrapes, opened, &labels), 200.0);
        let what = format!("{name}'s connections left");
        checks.equal(&what, scenario.scrape("fresh").sum(ACTIVE, &labels), 0.0);
    }
    let client = [("process_pid", scenario.pid("fresh"))];
    let connects = "sockmeter_connect_duration_seconds_count";
    let connects = scenario.scrape("fresh").sum(connects, &client);
    checks.lacks("connect times", connects, 200.0);
}

#[test]
fn pipelined_requests_count_each() {
    let scenario = scenario();
    let scrapes = ["fresh", "pipeline"];
    // One run tells of ten requests, and a connection that pipelines is not read again after a loss.
    let missed = scenario.missed(scrapes) * 15.0;
    both_ends_counted_but(missed, &scenario, scrapes, "pipeline", "pipeline");
    let driver = scenario.driver("pipeline");
    Checks::default().equal("the driver's own count", driver.requests, 30.0);
}

#[test]
fn bodies_and_methods() {
    let scenario = scenario();
    let scrapes = ["pipeline", "various"];
    both_ends_counted(&scenario, scrapes, "various", "");
    let mut checks = Checks::with_missed(scenario.missed(scrapes));
    for (name, metric) in [("nginx", SERVED), ("various", ASKED)] {
        let labels = [("process_pid", scenario.pid(name))];
        let rise = scenario.rise_by("http_request_method", scrapes, metric, &labels);
        let want = [("GET", 30.0), ("POST", 20.0)].map(|(method, n)| (method.to_owned(), n));
        checks.each_lacks(&format!("{name}'s methods"), &rise, &BTreeMap::from(want));
    }
}

#[test]
fn paths_with_numbers_are_one_route() {
    let scenario = scenario();
    let nginx = [("process_pid", scenario.pid("nginx"))];
    let scrapes = ["pipeline", "various"];
    let mut checks = Checks::with_missed(scenario.missed(scrapes));
    let routes = scenario.rise_by("http_route", scrapes, SERVED, &nginx);
    let want = [("/created", 20.0), ("/users/{id}", 30.0)].map(|(route, n)| (route.to_owned(), n));
    checks.each_lacks("routes", &routes, &BTreeMap::from(want));
}

#[test]
fn connections_held_open_from_before_the_agent() {
    let scenario = scenario();
    let mut checks = Checks::default();
    let ends = [("nginx", "server"), ("held", "client")];
    for (name, role) in ends {
        let labels = [("process_pid", scenario.pid(name)), ("role", role)];
        let mut equal = |scrape: &str, metric: &str, want: f64| {
            let got = scenario.scrape(scrape).sum(metric, &labels);
            checks.equal(&format!("{name}, {scrape}, {metric}"), got, want);
        };
        equal("started", ACTIVE, 20.0);
        equal("started", "sockmeter_connections_adopted_total", 20.0);
        equal("held", ACTIVE, scenario.number("held.ss"));
        equal("held", ACTIVE, 50.0);
        equal("held", "sockmeter_connections_adopted_total", 20.0);
        equal("held", "sockmeter_connections_opened_total", 30.0);
        equal("closed", ACTIVE, 0.0);
    }
    // nginx's processes also hold Unix sockets to each other.
    let unknown = [("role", "unknown"), ("transport", "tcp")];
    checks.equal(
        "of unknown role",
        scenario.scrape("held").sum(ACTIVE, &unknown),
        0.0,
    );
}

#[test]
fn requests_on_adopted_connections_are_counted() {
    both_ends_counted(&scenario(), ["started", "held"], "held", "get 100");
}

#[test]
fn bytes_are_what_the_driver_sent_and_received() {
    let scenario = scenario();
    // Each driver was alone between its two scrapes; `held` had moved bytes before the agent came.
    for (name, command, scrapes, call_bytes) in [
        ("held", "get 100", ["started", "held"], RESPONSE_BYTES),
        (
            "keepalive",
            "",
            ["keepalive-before", "keepalive"],
            RESPONSE_BYTES,
        ),
        ("fresh", "", ["keepalive", "fresh"], RESPONSE_BYTES),
        ("pipeline", "", ["fresh", "pipeline"], PIPELINED_BYTES),
        ("various", "", ["pipeline", "various"], POST_BYTES),
    ] {
        let driver = scenario.driver_commands(name, command);
        // What was missed in the interval before is told in this one.
        let mut checks = Checks::with_missed(scenario.missed_until(scrapes[1]));
        for (pid, role, sent, received) in [
            (driver.pid.as_str(), "client", "transmit", "receive"),
            (scenario.pid("nginx"), "server", "receive", "transmit"),
        ] {
            for (direction, want) in [(sent, driver.sent), (received, driver.received)] {
                let labels = [
                    ("process_pid", pid),
                    ("role", role),
                    ("direction", direction),
                ];
                let got = scenario.rise(scrapes, BYTES, &labels);
                let what = format!("{name}, {role}, {direction}");
                checks.bytes(&what, got, want, call_bytes);
            }
        }
    }
}

#[test]
fn nginx_own_log_agrees() {
    let scenario = scenario();
    let mut checks = Checks::with_missed(scenario.missed_until("various"));
    let nginx = [("process_pid", scenario.pid("nginx"))];
    let log = access_log(&scenario.text("access"));
    // The log goes on for the last driver, whose requests were all alike.
    let (log, _) = log.split_at(log.len().min(2380));
    let scrape = scenario.scrape("various");
    let statuses = scrape.by(STATUS, SERVED, &nginx);
    checks.each_lacks("statuses", &statuses, &count_by(log, |line| &line.status));
    let methods = scrape.by("http_request_method", SERVED, &nginx);
    checks.each_lacks("methods", &methods, &count_by(log, |line| &line.method));
    let sum = |of: fn(&Logged) -> f64| log.iter().map(of).sum::<f64>();
    // `$request_length` leaves out the bodies that nginx reads only to throw them away.
    let thrown_away = 20.0 * 20_000.0;
    for (direction, want) in [
        ("receive", sum(|line| line.received) + thrown_away),
        ("transmit", sum(|line| line.sent)),
    ] {
        let labels = [nginx[0], ("role", "server"), ("direction", direction)];
        let got = scrape.sum(BYTES, &labels);
        checks.bytes(direction, got, want, RESPONSE_BYTES);
    }
}

#[test]
fn stub_status_agrees() {
    let scenario = scenario();
    let mut checks = Checks::with_missed(scenario.missed_until("ended"));
    let nginx = [("process_pid", scenario.pid("nginx")), ("role", "server")];
    let scrape = scenario.scrape("ended");
    let [accepted, handled, requests] = stub_status(&scenario.text("stub_status"));
    // nginx counts the question itself too, and the first 20 requests, before the agent.
    let served = scrape.sum(SERVED, &nginx[..1]);
    checks.lacks("requests", served, requests - 1.0 - 20.0);
    let opened = scrape.sum("sockmeter_connections_opened_total", &nginx);
    let adopted = scrape.sum("sockmeter_connections_adopted_total", &nginx);
    checks.lacks("accepted", opened + adopted, accepted - 1.0);
    checks.lacks("handled", opened + adopted, handled - 1.0);
}

#[test]
fn every_byte_has_an_outcome() {
    let scenario = scenario();
    for (scrape, name, call_bytes) in [
        ("various", "nginx", POST_BYTES),
        ("held", "held", RESPONSE_BYTES),
        ("keepalive", "keepalive", RESPONSE_BYTES),
        ("fresh", "fresh", RESPONSE_BYTES),
        ("pipeline", "pipeline", PIPELINED_BYTES),
        ("various", "various", POST_BYTES),
    ] {
        // A request that is lost takes one beside it along.
        let mut checks = Checks::with_missed(scenario.missed_until(scrape) * 2.0);
        let scrape = scenario.scrape(scrape);
        let pid = [("process_pid", scenario.pid(name))];
        for direction in ["receive", "transmit"] {
            let labels = [pid[0], ("direction", direction)];
            let payload = "sockmeter_payload_bytes_total";
            let what = format!("{name}, {direction}: outcomes together");
            checks.equal(
                &what,
                scrape.sum(payload, &labels),
                scrape.sum(BYTES, &labels),
            );
            let read: f64 = ["parsed", "skipped"]
                .map(|outcome| scrape.sum(payload, &[pid[0], labels[1], ("outcome", outcome)]))
                .iter()
                .sum();
            let what = format!("{name}, {direction}: parsed and skipped");
            checks.bytes(&what, read, scrape.sum(BYTES, &labels), call_bytes);
        }
    }
    let lost = scenario
        .scrape("various")
        .sum("sockmeter_records_lost_total", &[]);
    Checks::default().equal("records lost", lost, 0.0);
}

#[test]
fn nothing_is_unanswered_or_still_active() {
    let scenario = scenario();
    let mut checks = Checks::with_missed(scenario.missed_until("ended"));
    let scrape = scenario.scrape("ended");
    let nginx = [("process_pid", scenario.pid("nginx"))];
    for metric in [
        "sockmeter_requests_unanswered_total",
        "sockmeter_requests_unpaired_total",
    ] {
        checks.exceeds(metric, scrape.sum(metric, &nginx), 0.0);
    }
    let active = scrape.sum("http_server_active_requests", &nginx);
    checks.equal("active", active, 0.0);
}

#[test]
fn two_workers_are_one_process() {
    let scenario = scenario();
    let mut checks = Checks::default();
    let workers = scenario.text("nginx-workers");
    checks.equal("workers", workers.split_whitespace().count(), 2);
    let executable = [("process_executable_name", "nginx")];
    let scrape = scenario.scrape("various");
    let pids: Vec<&str> = scrape
        .values("process_pid", &executable)
        .into_iter()
        .collect();
    checks.equal("pids of nginx", pids, vec![scenario.pid("nginx")]);
    checks.has("nginx's file", &scenario.text("nginx-exe"), "/nginx");
}

#[test]
fn series_of_an_ended_process_go_after_a_last_scrape() {
    let scenario = scenario();
    let mut checks = Checks::with_missed(scenario.missed_until("after-ended"));
    let driver = [("process_pid", scenario.pid("various"))];
    let last = scenario.scrape("ended").sum(ASKED, &driver);
    checks.lacks("last scrape", last, 50.0);
    let after = scenario.scrape("after-ended");
    checks.equal("names of it", after.values("process_pid", &driver).len(), 0);
    let nginx = [("process_pid", scenario.pid("nginx"))];
    checks.lacks("nginx's stay", after.sum(SERVED, &nginx), 2380.0);
}

#[test]
fn kernel_maps_take_less_than_24_mib() {
    let scenario = scenario();
    let maps = scenario.json("maps");
    let bytes: f64 = maps
        .as_array()
        .unwrap()
        .iter()
        .map(|map| {
            let said = map["bytes_memlock"].as_f64().unwrap();
            // Linux 6.1 does not count a ring buffer; it is as large as its `max_entries` says.
            let ring = map["type"] == "ringbuf" && said == 0.0;
            if ring {
                map["max_entries"].as_f64().unwrap()
            } else {
                said
            }
        })
        .sum();
    let mebibyte = f64::from(1 << 20);
    Checks::default().between("bytes of all maps", bytes, mebibyte, 24.0 * mebibyte);
}

#[test]
fn promtool_finds_no_fault() {
    let scenario = scenario();
    let mut checks = Checks::default();
    checks.equal("exit code", scenario.number("promtool.code"), 0.0);
    checks.equal("remarks", scenario.text("promtool").as_str(), "");
}

#[test]
fn a_real_prometheus_scrapes() {
    let scenario = scenario();
    let mut checks = Checks::with_missed(scenario.missed_until("scraped"));
    let targets = scenario.json("prometheus.targets");
    let target = &targets["data"]["activeTargets"][0];
    checks.equal("health", target["health"].as_str(), Some("up"));
    checks.equal("error", target["lastError"].as_str(), Some(""));
    let nginx = [("process_pid", scenario.pid("nginx"))];
    let scraped = scenario.scrape("scraped");
    let active = [nginx[0], ("role", "server")];
    for (file, want) in [
        ("prometheus.counted", scraped.sum(SERVED, &nginx)),
        ("prometheus.active", scraped.sum(ACTIVE, &active)),
    ] {
        let answer = scenario.json(file);
        let got = answer["data"]["result"][0]["value"][1].as_str();
        checks.equal(file, got, Some(want.to_string().as_str()));
    }
    // 2380, stub_status, and this driver's.
    checks.lacks("requests", scraped.sum(SERVED, &nginx), 2481.0);
    // Prometheus asks for OpenMetrics, which alone has this.
    let open_metrics = Scrape::parse(&scenario.text("openmetrics"));
    let created = "http_server_request_duration_seconds_created";
    let created = open_metrics.samples(created, &nginx);
    let newest = created.fold(0.0, |newest: f64, sample| newest.max(sample.value));
    let answer = scenario.json("prometheus.created");
    let got = answer["data"]["result"][0]["value"][1].as_str().unwrap();
    checks.equal("newest beginning", got.parse().unwrap(), newest);
}

#[test]
fn a_stop_detaches_everything() {
    let scenario = scenario();
    let mut checks = Checks::default();
    let programs = |file| scenario.json(file).as_array().unwrap().len();
    checks.equal("exit code", scenario.number("agent.code"), 0.0);
    checks.that(programs("progs-during") > programs("progs-before"), || {
        "no program of the agent was seen".to_owned()
    });
    checks.equal(
        "programs left",
        programs("progs-after"),
        programs("progs-before"),
    );
}
