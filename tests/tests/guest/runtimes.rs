//! The HTTP servers and clients of languages, before their own accounts and curl's. The script is
//! `tests/guest/runtimes.sh`.

use std::collections::BTreeMap;

use crate::programs::account::requests;
use crate::programs::step::{CLIENT, SERVER, Step};

/// What holds for each server.
fn server_agrees(name: &'static str) -> Step {
    let mut step = Step::of("runtimes", name);
    step.agrees_with_curl(name);
    step.is_settled(name);
    step
}

/// A server of which every accept is seen: none of its calls waited when the agent came.
fn event_server_agrees(name: &'static str) -> Step {
    let mut step = server_agrees(name);
    let accepted = step.connections(name, "server");
    step.checks.equal("connections", accepted, [5.0, 0.0]);
    step
}

#[test]
fn java_agrees() {
    event_server_agrees("java").uploads_took_as_logged("java", 1.0);
}

#[test]
fn node_agrees() {
    event_server_agrees("node").uploads_took_as_logged("node", 1.0);
}

#[test]
fn go_agrees() {
    event_server_agrees("go").uploads_took_as_logged("go", 1.0);
}

#[test]
fn uvicorn_with_two_workers_agrees() {
    event_server_agrees("uvicorn");
}

#[test]
fn php_with_three_workers_agrees() {
    let mut step = server_agrees("php");
    // It closes every connection after one request.
    let accepted: f64 = step.connections("php", "server").iter().sum();
    step.checks.equal("connections", accepted, 38.0);
}

/// What holds for each client: its requests are those that it counted, and those that its server counted.
fn client_agrees(name: &'static str, server: &str) -> Step {
    let mut step = Step::of("runtimes", name);
    let text = step.scenario.text(&format!("{name}.asked"));
    let own: BTreeMap<String, f64> = text
        .lines()
        .map(|line| {
            let (status, count) = line.split_once(' ').unwrap();
            (status.to_owned(), count.parse().unwrap())
        })
        .collect();
    step.checks.equal(
        "its own account",
        &own,
        &BTreeMap::from([("200".to_owned(), 24.0)]),
    );
    let asked = step.counted(name, CLIENT);
    let mut statuses: BTreeMap<String, f64> = BTreeMap::new();
    for ((_, status), count) in &asked {
        *statuses.entry(status.clone()).or_default() += count;
    }
    step.checks.equal("requests by status", &statuses, &own);
    let posts: f64 = asked
        .iter()
        .filter(|((method, _), _)| method == "POST")
        .map(|(_, count)| count)
        .sum();
    step.checks.equal("POST", posts, 6.0);
    let served = step.counted(server, SERVER);
    step.checks.equal("the server's", &asked, &served);
    let account = requests(&step.account(server));
    step.checks.equal("the server's account", &asked, &account);
    for (direction, other) in [("receive", "transmit"), ("transmit", "receive")] {
        let got = step.bytes(name, "client", direction);
        let want = step.bytes(server, "server", other);
        step.checks.equal(direction, got, want);
    }
    step.is_settled(name);
    step.is_settled(server);
    step
}

#[test]
fn python_requests_agrees() {
    let mut step = client_agrees("requests", "uvicorn");
    // One for its session, and one for each of 12 requests without.
    let opened = step.connections("requests", "client");
    step.checks.equal("connections", opened, [13.0, 0.0]);
}

#[test]
fn node_fetch_agrees() {
    let mut step = client_agrees("fetch", "node");
    let [opened, adopted] = step.connections("fetch", "client");
    step.checks.equal("adopted", adopted, 0.0);
    step.checks.between("connections", opened, 1.0, 24.0);
}

#[test]
fn go_client_agrees() {
    let mut step = client_agrees("go-client", "go");
    let opened = step.connections("go-client", "client");
    step.checks.equal("connections", opened, [1.0, 0.0]);
}
