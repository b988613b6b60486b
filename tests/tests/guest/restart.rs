//! The agent ends and starts again under load. The script is `tests/guest/restart.sh`.

use std::collections::BTreeMap;

use crate::checks::Checks;
use crate::scenario::Scenario;

const SERVED: &str = "http_server_request_duration_seconds_count";
const ASKED: &str = "http_client_request_duration_seconds_count";
const STATUS: &str = "http_response_status_code";
const ENDS: [(&str, &str, &str); 2] = [("nginx", "server", SERVED), ("load", "client", ASKED)];

fn scenario() -> Scenario {
    Scenario::of("restart")
}

#[test]
fn the_gauge_is_exact_under_load() {
    let scenario = scenario();
    let mut checks = Checks::default();
    checks.equal("connections by ss", scenario.number("second.ss"), 20.0);
    for (name, role, _) in ENDS {
        let labels = [("process_pid", scenario.pid(name)), ("role", role)];
        for (scrape, want) in [
            ("first", 20.0),
            ("second", 20.0),
            ("counted", 20.0),
            ("closed", 0.0),
        ] {
            let got = scenario
                .scrape(scrape)
                .sum("sockmeter_connections_active", &labels);
            checks.equal(&format!("{name}, {scrape}"), got, want);
        }
    }
}

#[test]
fn the_second_says_what_it_adopted() {
    let scenario = scenario();
    let mut checks = Checks::default();
    for (name, role, _) in ENDS {
        let labels = [("process_pid", scenario.pid(name)), ("role", role)];
        for (metric, scrape, want) in [
            ("sockmeter_connections_adopted_total", "first", 0.0),
            ("sockmeter_connections_opened_total", "first", 20.0),
            ("sockmeter_connections_adopted_total", "counted", 20.0),
            ("sockmeter_connections_opened_total", "counted", 0.0),
        ] {
            let got = scenario.scrape(scrape).sum(metric, &labels);
            checks.equal(&format!("{name}, {scrape}, {metric}"), got, want);
        }
    }
}

#[test]
fn the_second_counts_under_load_and_invents_nothing() {
    let scenario = scenario();
    let mut checks = Checks::default();
    let made = scenario.driver_commands("load", "stop").requests;
    for (name, _, metric) in ENDS {
        let labels = [("process_pid", scenario.pid(name))];
        let counted = scenario.scrape("settled").sum(metric, &labels);
        checks.between(
            &format!("{name}'s requests under load"),
            counted,
            100.0,
            made,
        );
        // One exchange of each connection may have been under way when the second agent came.
        let unpaired = "sockmeter_requests_unpaired_total";
        let unpaired = scenario.scrape("settled").sum(unpaired, &labels);
        checks.between(&format!("{name}'s unpaired"), unpaired, 0.0, 20.0);
    }
}

#[test]
fn both_ends_of_the_second_agree() {
    let scenario = scenario();
    let mut checks = Checks::default();
    let scrape = scenario.scrape("settled");
    let [served, asked] =
        ENDS.map(|(name, _, metric)| scrape.sum(metric, &[("process_pid", scenario.pid(name))]));
    // Each connection may have had one exchange that only one end began under the second agent.
    checks.between("served minus asked", served - asked, -20.0, 20.0);
    let active = ["http_server_active_requests", "http_client_active_requests"];
    for (metric, (name, _, _)) in active.into_iter().zip(ENDS) {
        let got = scrape.sum(metric, &[("process_pid", scenario.pid(name))]);
        checks.equal(&format!("{name}'s active requests"), got, 0.0);
    }
}

#[test]
fn every_later_request_is_counted() {
    let scenario = scenario();
    let mut checks = Checks::default();
    let driver = scenario.driver_commands("load", "get 400");
    let want = [("200", 200.0), ("404", 200.0)].map(|(status, n)| (status.to_owned(), n));
    checks.equal(
        "the driver's own count",
        &driver.statuses,
        &BTreeMap::from(want),
    );
    let scrapes = ["settled", "counted"];
    for (name, role, metric) in ENDS {
        let labels = [("process_pid", scenario.pid(name))];
        let rise = scenario.rise_by(STATUS, scrapes, metric, &labels);
        checks.equal(&format!("{name}'s requests"), &rise, &driver.statuses);
        let (sent, received) = match role {
            "client" => ("transmit", "receive"),
            _ => ("receive", "transmit"),
        };
        for (direction, want) in [(sent, driver.sent), (received, driver.received)] {
            let labels = [labels[0], ("direction", direction)];
            let rise = scenario.rise(scrapes, "sockmeter_socket_bytes_total", &labels);
            checks.equal(&format!("{name}'s bytes, {direction}"), rise, want);
        }
    }
}

#[test]
fn the_first_left_nothing_behind() {
    let scenario = scenario();
    let mut checks = Checks::default();
    checks.equal("exit code", scenario.number("first.code"), 0.0);
    let programs = scenario.json("progs-between");
    checks.equal("programs", programs.as_array().unwrap().len(), 0);
}
