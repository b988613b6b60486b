//! Connections that are older than the agent. The script is `tests/guest/adoption.sh`.

use std::collections::BTreeSet;

use crate::checks::Checks;
use crate::scenario::Scenario;

const ACTIVE: &str = "sockmeter_connections_active";
const ADOPTED: &str = "sockmeter_connections_adopted_total";
const OPENED: &str = "sockmeter_connections_opened_total";
const BYTES: &str = "sockmeter_socket_bytes_total";
const SERVED: &str = "http_server_request_duration_seconds_count";
const ASKED: &str = "http_client_request_duration_seconds_count";
/// No call moves more, but for the reads of the long download, whose last is found at the next request.
const CALL_BYTES: f64 = 200.0;
/// nginx's processes also hold Unix sockets to each other.
const TCP: (&str, &str) = ("transport", "tcp");
const ROLES: [&str; 3] = ["server", "client", "unknown"];

/// Who held how many connections when the agent started, and in which role.
const HELD: [(&str, &str, f64); 22] = [
    // 10 of `idle`, 1 each of `half`, `middle` and `chosen`, 3 of `bound`.
    ("nginx", "server", 16.0),
    ("idle", "client", 10.0),
    ("half", "client", 1.0),
    ("middle", "client", 1.0),
    ("bound", "client", 3.0),
    ("chosen", "client", 1.0),
    ("crowd", "server", 500.0),
    ("crowd-client", "client", 500.0),
    ("orphan", "server", 4.0),
    ("orphan-client", "client", 4.0),
    ("zero", "server", 1.0),
    ("zero-client", "client", 1.0),
    ("shared", "server", 2.0),
    ("shared-client", "client", 2.0),
    ("far", "server", 3.0),
    ("far-client", "client", 3.0),
    ("twin", "server", 1.0),
    ("twin-client", "client", 1.0),
    ("remote", "server", 2.0),
    ("remote-client", "client", 2.0),
    // Neither socket tells, and neither sees its other end: see `told_role` in `ebpf/src/adoption.rs`.
    ("remote-zero", "unknown", 1.0),
    ("remote-bound", "unknown", 1.0),
];

/// Pairs that only talk to each other.
const PAIRS: [(&str, &str); 8] = [
    ("crowd", "crowd-client"),
    ("orphan", "orphan-client"),
    ("zero", "zero-client"),
    ("shared", "shared-client"),
    ("far", "far-client"),
    ("twin", "twin-client"),
    ("remote", "remote-client"),
    ("remote-zero", "remote-bound"),
];

fn scenario() -> Scenario {
    Scenario::of("adoption")
}

#[test]
fn rule_19_the_gauge_is_exact_at_the_first_scrape() {
    let scenario = scenario();
    let mut checks = Checks::default();
    let first = scenario.scrape("first");
    for (name, role, want) in HELD {
        let pid = ("process_pid", scenario.pid(name));
        for one in ROLES {
            let want = if one == role { want } else { 0.0 };
            for metric in [ACTIVE, ADOPTED] {
                let got = first.sum(metric, &[pid, ("role", one), TCP]);
                checks.equal(&format!("{name}, {one}, {metric}"), got, want);
            }
        }
        checks.equal(
            &format!("{name}'s new ones"),
            first.sum(OPENED, &[pid, TCP]),
            0.0,
        );
    }
}

#[test]
fn rule_19_the_kernels_list_has_the_same_connections() {
    let scenario = scenario();
    let mut checks = Checks::default();
    let first = scenario.scrape("first");
    let listed = scenario.text("near.ss") + &scenario.text("far.ss");
    for (name, _, want) in HELD {
        let pid = scenario.pid(name);
        // ss names the processes that hold a socket: of nginx the workers.
        if name != "nginx" {
            let owner = format!("pid={pid},");
            let count = listed.lines().filter(|line| line.contains(&owner)).count();
            checks.equal(&format!("{name} by ss"), count as f64, want);
        }
    }
    let lines = listed.lines().count() as f64;
    let pids: BTreeSet<&str> = HELD.iter().map(|(name, ..)| scenario.pid(name)).collect();
    let sum: f64 = pids
        .iter()
        .map(|pid| first.sum(ACTIVE, &[("process_pid", pid), TCP]))
        .sum();
    checks.equal("all connections", sum, lines);
}

#[test]
fn rule_18_a_role_that_is_not_known_is_said_until_a_request_tells() {
    let scenario = scenario();
    let mut checks = Checks::default();
    let used = scenario.scrape("used");
    let missed = scenario.missed_until("used");
    for (name, role, want) in HELD {
        let told = match name {
            "remote-zero" => "server",
            "remote-bound" => "client",
            _ => role,
        };
        let pid = ("process_pid", scenario.pid(name));
        // A request that was missed tells nothing: so many may have the role that they had.
        let untold = used.sum(ACTIVE, &[pid, ("role", role), TCP]);
        let untold = if role == told { 0.0 } else { untold };
        checks.between(&format!("{name}, untold"), untold, 0.0, missed);
        for one in ROLES {
            let want = match one {
                _ if one == told => want - untold,
                _ if one == role => untold,
                _ => 0.0,
            };
            let got = used.sum(ACTIVE, &[pid, ("role", one), TCP]);
            checks.equal(&format!("{name}, {one}"), got, want);
        }
    }
}

#[test]
fn rule_19_every_next_request_is_counted() {
    let scenario = scenario();
    let mut checks = Checks::with_missed(scenario.missed_until("used"));
    let used = scenario.scrape("used");
    let requests = |name: &str, metric| used.sum(metric, &[("process_pid", scenario.pid(name))]);
    for (server, client) in PAIRS {
        let made = scenario.driver_commands(client, "use").requests;
        checks.lacks(client, requests(client, ASKED), made);
        checks.lacks(server, requests(server, SERVED), made);
    }
    // nginx has logged the two whose beginning nobody saw, too.
    let logged = scenario.text("access").lines().count() as f64;
    checks.lacks("nginx", requests("nginx", SERVED), logged - 2.0);
    for (name, command) in [
        ("idle", "get 40"),
        ("half", "get 1"),
        ("bound", "use"),
        ("chosen", "use"),
        ("middle", "use"),
    ] {
        let made = scenario.driver_commands(name, command).requests;
        checks.lacks(name, requests(name, ASKED), made);
    }
    let unpaired = used.sum("sockmeter_requests_unpaired_total", &[]);
    checks.exceeds("responses without a request", unpaired, 0.0);
}

#[test]
fn rule_21_every_byte_since_the_start_is_counted() {
    let scenario = scenario();
    let mut checks = Checks::with_missed(scenario.missed_until("used"));
    let used = scenario.scrape("used");
    let bytes = |name: &str, direction| {
        let pid = ("process_pid", scenario.pid(name));
        used.sum(BYTES, &[pid, ("direction", direction)])
    };
    for (name, command) in [
        ("idle", "get 40"),
        ("bound", "use"),
        ("chosen", "use"),
        ("middle", "use"),
    ]
    .into_iter()
    .chain(PAIRS.map(|(_, client)| (client, "use")))
    {
        let driver = scenario.driver_commands(name, command);
        for (direction, want) in [("transmit", driver.sent), ("receive", driver.received)] {
            let what = format!("{name}, {direction}");
            checks.bytes(&what, bytes(name, direction), want, CALL_BYTES);
        }
    }
    for (server, client) in PAIRS {
        for (to, from) in [("receive", "transmit"), ("transmit", "receive")] {
            let want = bytes(client, from);
            checks.bytes(server, bytes(server, to), want, CALL_BYTES);
        }
    }
    let lost = used.sum("sockmeter_records_lost_total", &[]);
    checks.equal("records lost", lost, 0.0);
}

#[test]
fn rule_18_a_connection_from_an_accept_that_was_blocked_is_a_new_one_of_the_server() {
    let scenario = scenario();
    let mut checks = Checks::with_missed(scenario.missed_until("blocked"));
    let scrape = scenario.scrape("blocked");
    for (name, role) in [("blocked", "server"), ("blocked-client", "client")] {
        let pid = ("process_pid", scenario.pid(name));
        let labels = [pid, ("role", role)];
        let driver = scenario.driver_commands("blocked-client", "use");
        checks.lacks(&format!("{name} opened"), scrape.sum(OPENED, &labels), 3.0);
        checks.exceeds(&format!("{name} adopted"), scrape.sum(ADOPTED, &[pid]), 0.0);
        let (got, bytes) = (scrape.sum(BYTES, &labels), driver.sent + driver.received);
        checks.bytes(&format!("{name}'s bytes"), got, bytes, CALL_BYTES);
        let lost = [pid, ("outcome", "lost")];
        let lost = scrape.sum("sockmeter_payload_bytes_total", &lost);
        checks.bytes(&format!("{name}'s lost bytes"), lost, 0.0, CALL_BYTES);
        let requests = scrape.sum(SERVED, &[pid]) + scrape.sum(ASKED, &[pid]);
        checks.lacks(&format!("{name}'s requests"), requests, driver.requests);
    }
}

#[test]
fn rule_19_closes_bring_the_gauge_to_zero() {
    let scenario = scenario();
    let mut checks = Checks::default();
    let closed = scenario.scrape("closed");
    let later = ["blocked", "blocked-client"];
    for name in HELD.map(|(name, ..)| name).into_iter().chain(later) {
        let pid = ("process_pid", scenario.pid(name));
        checks.equal(name, closed.sum(ACTIVE, &[pid, TCP]), 0.0);
    }
    // The one that asks.
    checks.has(
        "health",
        &scenario.text("closed.health"),
        "connections followed; nothing lost",
    );
}
