//! Unix stream sockets: nginx, servers and clients of all kinds, against their own counts. The script is
//! `tests/guest/unix.sh`.

use std::collections::BTreeMap;

use crate::checks::Checks;
use crate::scenario::Scenario;
use crate::truth::{access_log, count_by};

const SERVED: &str = "http_server_request_duration_seconds_count";
const ASKED: &str = "http_client_request_duration_seconds_count";
const ACTIVE: &str = "sockmeter_connections_active";
const OPENED: &str = "sockmeter_connections_opened_total";
const ADOPTED: &str = "sockmeter_connections_adopted_total";
const BYTES: &str = "sockmeter_socket_bytes_total";
const STATUS: &str = "http_response_status_code";
const BACK: &str = "/run/work/back.sock";

pub(crate) fn scenario() -> Scenario {
    Scenario::of("unix")
}

/// A request as `unix_server.py` tells it.
struct Served {
    status: String,
    received: f64,
    sent: f64,
    seconds: f64,
    path: String,
}

fn served(text: &str) -> Vec<Served> {
    text.lines()
        .filter_map(|line| line.strip_prefix("request "))
        .map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            let [status, received, sent, seconds, path] = words.as_slice() else {
                panic!("not a request: {line:?}");
            };
            Served {
                status: (*status).to_owned(),
                received: received.parse().unwrap(),
                sent: sent.parse().unwrap(),
                seconds: seconds.parse().unwrap(),
                path: (*path).to_owned(),
            }
        })
        .collect()
}

/// A request as nginx tells it, to the server behind it: status, bytes sent and received.
fn passed_on(text: &str) -> Vec<(String, f64, f64)> {
    text.lines()
        .map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            let [status, sent, received, ..] = words.as_slice() else {
                panic!("not a line of the access log: {line:?}");
            };
            let status = (*status).to_owned();
            (status, sent.parse().unwrap(), received.parse().unwrap())
        })
        .collect()
}

fn sum<T>(things: &[T], part: impl Fn(&T) -> f64) -> f64 {
    things.iter().map(part).sum()
}

/// Bytes that one end moved over Unix sockets between two scrapes: received, sent.
pub(crate) fn moved(scenario: &Scenario, scrapes: [&str; 2], pid: &str, role: &str) -> [f64; 2] {
    ["receive", "transmit"].map(|direction| {
        let labels = [
            ("process_pid", pid),
            ("role", role),
            ("transport", "unix"),
            ("direction", direction),
        ];
        scenario.rise(scrapes, BYTES, &labels)
    })
}

#[test]
fn rule_20_nginx_to_a_server_on_a_unix_socket() {
    let scenario = scenario();
    let mut checks = Checks::default();
    let scrapes = ["proxied-before", "proxied"];
    let asked = passed_on(&scenario.text("proxied.access"));
    let answered = served(&scenario.text("proxied.served"));
    checks.equal("requests that nginx passed on", asked.len(), 208);

    let nginx = [
        ("process_pid", scenario.pid("nginx")),
        ("server_address", BACK),
    ];
    let statuses = scenario.rise_by(STATUS, scrapes, ASKED, &nginx);
    let logged = count_by(&asked, |one| &one.0);
    checks.equal("nginx's requests by status", &statuses, &logged);
    let scrape = scenario.scrape("proxied");
    let ports = scrape
        .samples(ASKED, &nginx)
        .filter(|sample| sample.labels.contains_key("server_port"))
        .count();
    checks.equal("series with a port", ports, 0);

    let back = [("process_pid", scenario.pid("back"))];
    let statuses = scenario.rise_by(STATUS, scrapes, SERVED, &back);
    let logged = count_by(&answered, |one| &one.status);
    checks.equal("the server's requests by status", &statuses, &logged);

    checks.equal(
        "nginx's bytes",
        moved(&scenario, scrapes, scenario.pid("nginx"), "client"),
        [sum(&asked, |one| one.2), sum(&asked, |one| one.1)],
    );
    checks.equal(
        "the server's bytes",
        moved(&scenario, scrapes, scenario.pid("back"), "server"),
        [
            sum(&answered, |one| one.received),
            sum(&answered, |one| one.sent),
        ],
    );
}

#[test]
fn rule_20_both_ends_of_kept_connections() {
    let scenario = scenario();
    let mut checks = Checks::default();
    let log = scenario.text("proxied.served");
    let accepted = log.lines().filter(|line| *line == "accepted").count() as f64;
    checks.that(accepted > 0.0, || "the server accepted nothing".to_owned());
    for (name, role) in [("nginx", "client"), ("back", "server")] {
        let labels = [
            ("process_pid", scenario.pid(name)),
            ("role", role),
            ("transport", "unix"),
        ];
        let opened = scenario.rise(["proxied-before", "proxied"], OPENED, &labels);
        checks.equal(&format!("{name}'s connections opened"), opened, accepted);
        let active = scenario.scrape("proxied").sum(ACTIVE, &labels);
        let held = scenario.number("proxied.ss");
        checks.equal(&format!("{name}'s connections open"), active, held);
    }
    // nginx is TCP's server and Unix sockets' client: the two are told apart.
    let front = [
        ("process_pid", scenario.pid("nginx")),
        ("role", "server"),
        ("transport", "tcp"),
    ];
    checks.equal(
        "nginx's TCP connections open",
        scenario.scrape("proxied").sum(ACTIVE, &front),
        4.0,
    );
}

#[test]
fn rule_01_durations_are_the_server_s_own_and_no_queue_time_is_invented() {
    let scenario = scenario();
    let mut checks = Checks::default();
    let slow: Vec<Served> = served(&scenario.text("proxied.served"))
        .into_iter()
        .filter(|one| one.path == "/sleep=200")
        .collect();
    checks.equal("the server's sleeps", slow.len(), 8);
    let back = [
        ("process_pid", scenario.pid("back")),
        ("http_route", "/sleep={id}"),
    ];
    let scrape = scenario.scrape("proxied");
    checks.equal("sleeps", scrape.sum(SERVED, &back), 8.0);
    let seconds = scrape.sum("http_server_request_duration_seconds_sum", &back);
    let own = sum(&slow, |one| one.seconds);
    checks.close("seconds", seconds, own, 0.1);
    let queue = scrape.sum("sockmeter_request_queue_seconds_count", &back[..1]);
    checks.equal("queue times", queue, 0.0);
}

#[test]
fn rule_20_nginx_to_node_with_a_connection_each() {
    let scenario = scenario();
    let mut checks = Checks::default();
    let scrapes = ["proxied", "node"];
    let asked = passed_on(&scenario.text("node.access"));
    checks.equal("requests that nginx passed on", asked.len(), 50);
    let nginx = [
        ("process_pid", scenario.pid("nginx")),
        ("server_address", "/run/work/node.sock"),
    ];
    checks.equal(
        "nginx's requests",
        scenario.rise(scrapes, ASKED, &nginx),
        50.0,
    );
    let (sent, received) = (sum(&asked, |one| one.1), sum(&asked, |one| one.2));
    for (name, role, bytes) in [
        ("nginx", "client", [received, sent]),
        ("node", "server", [sent, received]),
    ] {
        let pid = scenario.pid(name);
        let what = format!("{name}'s bytes");
        checks.equal(&what, moved(&scenario, scrapes, pid, role), bytes);
        let labels = [("process_pid", pid), ("role", role), ("transport", "unix")];
        let what = format!("{name}'s connections opened");
        checks.equal(&what, scenario.rise(scrapes, OPENED, &labels), 50.0);
        let what = format!("{name}'s connections gone");
        let gone = scenario.rise(scrapes, ACTIVE, &labels);
        checks.equal(&what, gone, 0.0);
    }
    let node = [
        ("process_pid", scenario.pid("node")),
        ("service_name", "orders"),
    ];
    checks.equal(
        "node's requests",
        scenario.rise(scrapes, SERVED, &node),
        50.0,
    );
}

#[test]
fn rule_19_connections_from_before_the_agent() {
    let scenario = scenario();
    let mut checks = Checks::default();
    let scrapes = ["held-before", "held"];
    let driver = scenario.driver_commands("held", "get 30 ");
    let log = served(&scenario.text("held.served"));
    checks.equal("requests", driver.requests, 30.0);
    for (name, role, metric) in [("held", "client", ASKED), ("back", "server", SERVED)] {
        let pid = scenario.pid(name);
        let labels = [("process_pid", pid), ("role", role), ("transport", "unix")];
        for metric in [ADOPTED, ACTIVE] {
            let first = scenario.scrape("started").sum(metric, &labels);
            checks.equal(
                &format!("{name}'s at the first scrape, {metric}"),
                first,
                3.0,
            );
        }
        let active = scenario.scrape("held").sum(ACTIVE, &labels);
        checks.equal(&format!("{name}'s connections"), active, 3.0);
        let closed = scenario.scrape("held-closed").sum(ACTIVE, &labels);
        checks.equal(&format!("{name}'s connections, closed"), closed, 0.0);
        let statuses = scenario.rise_by(STATUS, scrapes, metric, &[("process_pid", pid)]);
        checks.equal(
            &format!("{name}'s requests by status"),
            &statuses,
            &driver.statuses,
        );
    }
    let address = [
        ("process_pid", scenario.pid("held")),
        ("server_address", BACK),
    ];
    checks.equal(
        "requests by name",
        scenario.rise(scrapes, ASKED, &address),
        30.0,
    );
    checks.equal(
        "the client's bytes",
        moved(&scenario, scrapes, scenario.pid("held"), "client"),
        [driver.received, driver.sent],
    );
    checks.equal(
        "the server's bytes",
        moved(&scenario, scrapes, scenario.pid("back"), "server"),
        [sum(&log, |one| one.received), sum(&log, |one| one.sent)],
    );
}

#[test]
fn rule_20_short_lived_clients_of_nginx_and_of_an_abstract_socket() {
    let scenario = scenario();
    let mut checks = Checks::default();
    let scrapes = ["curl-before", "curl"];
    let log = access_log(&scenario.text("front"));
    checks.equal("nginx's log", log.len(), 10);
    let statuses = count_by(&log, |one| &one.status);
    let curl = |address: &'static str| {
        [
            ("process_executable_name", "curl"),
            ("server_address", address),
        ]
    };
    let front = curl("/run/work/front.sock");
    checks.equal(
        "curl's requests by status",
        &scenario.scrape("curl").by(STATUS, ASKED, &front),
        &statuses,
    );
    let nginx = [("process_pid", scenario.pid("nginx"))];
    checks.equal(
        "nginx's requests by status",
        &scenario.rise_by(STATUS, scrapes, SERVED, &nginx),
        &statuses,
    );
    checks.equal(
        "nginx's bytes",
        moved(&scenario, scrapes, scenario.pid("nginx"), "server"),
        [sum(&log, |one| one.received), sum(&log, |one| one.sent)],
    );
    let named = curl("@sockmeter/test");
    let asked = scenario.scrape("curl").by(STATUS, ASKED, &named);
    let want = BTreeMap::from([("201".to_owned(), 5.0)]);
    checks.equal("requests to the abstract socket", &asked, &want);
    let server = [("process_pid", scenario.pid("abstract"))];
    let answered = scenario.rise_by(STATUS, scrapes, SERVED, &server);
    checks.equal("the abstract socket's requests", &answered, &want);
}

#[test]
fn rule_18_a_client_with_a_name_of_its_own_is_a_client() {
    let scenario = scenario();
    let mut checks = Checks::default();
    let driver = scenario.driver("bound");
    let client = [
        ("process_pid", driver.pid.as_str()),
        ("server_address", BACK),
    ];
    let scrape = scenario.scrape("bound");
    checks.equal("requests", scrape.sum(ASKED, &client), 7.0);
    let roles = scrape.by("role", OPENED, &client[..1]);
    let want = BTreeMap::from([("client".to_owned(), 1.0)]);
    checks.equal("connections by role", roles, want);
}
