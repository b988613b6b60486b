//! Load generators, before their own reports and nginx's log. The script is `tests/guest/programs.sh`.

use super::account::requests;
use super::step::{CLIENT, SERVER, Step};

/// The number before a word in a report.
fn before(report: &str, word: &str) -> f64 {
    let (head, _) = report.split_once(word).unwrap();
    let number = head.rsplit([' ', '\n', '(']).next().unwrap();
    number.parse().unwrap()
}

/// The number behind a word in a report.
fn behind(report: &str, word: &str) -> f64 {
    let (_, rest) = report.split_once(word).unwrap();
    rest.split_whitespace().next().unwrap().parse().unwrap()
}

/// nginx's log, nginx's series and the client's; returns the step and the requests that the client counts.
fn agrees(name: &'static str) -> (Step, f64) {
    let mut step = Step::of("programs", name);
    let logged = requests(&step.account("nginx"));
    let served = step.counted("nginx", SERVER);
    step.checks.equal("nginx's requests", &served, &logged);
    step.agrees_with_logged_bytes("nginx");
    step.is_settled("nginx");
    let asked = step.counted(name, CLIENT).values().sum();
    (step, asked)
}

#[test]
fn ab_agrees_with_and_without_kept_connections() {
    for (name, least) in [("ab", 40.0), ("ab-kept", 4.0)] {
        let (mut step, asked) = agrees(name);
        let report = step.scenario.text(&format!("{name}.report"));
        let complete = behind(&report, "Complete requests:");
        step.checks.equal("requests", asked, complete);
        let received = step.bytes(name, "client", "receive");
        step.checks
            .equal("received", received, behind(&report, "Total transferred:"));
        // For its last requests it opens connections that it does not use any more.
        let [opened, _] = step.connections(name, "client");
        step.checks
            .between("connections", opened, least, least + 4.0);
        let accepted = step.connections("nginx", "server");
        step.checks
            .equal("nginx's connections", accepted, [opened, 0.0]);
        step.is_settled(name);
    }
}

#[test]
fn h2load_agrees_over_http1() {
    let (mut step, asked) = agrees("h2load");
    let report = step.scenario.text("h2load.report");
    step.checks
        .equal("requests", asked, before(&report, " succeeded"));
    let received = step.bytes("h2load", "client", "receive");
    step.checks
        .equal("received", received, before(&report, ") total"));
    let opened = step.connections("h2load", "client");
    step.checks.equal("connections", opened, [4.0, 0.0]);
    step.is_settled("h2load");
}

#[test]
fn wrk_agrees_but_for_what_it_does_not_wait_for() {
    let (mut step, asked) = agrees("wrk");
    let report = step.scenario.text("wrk.report");
    step.checks
        .equal("requests", asked, before(&report, " requests in"));
    let unanswered = step.rise("wrk", "sockmeter_requests_unanswered_total", &[]);
    let served: f64 = step.counted("nginx", SERVER).values().sum();
    step.checks
        .equal("with what it did not wait for", asked + unanswered, served);
    step.checks.between("unanswered", unanswered, 0.0, 4.0);
}
