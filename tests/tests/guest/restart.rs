//! The agent ends, is killed and is replaced under load. The script is `tests/guest/restart.sh`.

use std::collections::{BTreeMap, BTreeSet};

use sockmeter_tests::resets::Resets;

use crate::checks::Checks;
use crate::scenario::Scenario;

const SERVED: &str = "http_server_request_duration_seconds_count";
const ASKED: &str = "http_client_request_duration_seconds_count";
const STATUS: &str = "http_response_status_code";
const ACTIVE: &str = "sockmeter_connections_active";
const ADOPTED: &str = "sockmeter_connections_adopted_total";
const OPENED: &str = "sockmeter_connections_opened_total";
const BYTES: &str = "sockmeter_socket_bytes_total";
const ENDS: [(&str, &str, &str); 2] = [("nginx", "server", SERVED), ("load", "client", ASKED)];

/// Each agent, in the order of their starts, and its scrapes.
const AGENTS: [(&str, &[&str]); 6] = [
    ("first", &["first", "last"]),
    ("second", &["second", "settled", "counted"]),
    ("killed", &["killed-last"]),
    ("killed-next", &["killed-next", "killed-settled"]),
    ("old", &["old-settled", "old-counted"]),
    (
        "new",
        &[
            "new",
            "new-settled",
            "new-counted",
            "new-alone",
            "new-alone-settled",
            "new-alone-counted",
            "closed",
        ],
    ),
];

fn scenario() -> Scenario {
    Scenario::of("restart")
}

#[test]
fn the_gauge_is_exact_under_load() {
    let scenario = scenario();
    let mut checks = Checks::default();
    for (agent, scrapes) in AGENTS {
        let before = if agent == "first" { 0.0 } else { 20.0 };
        let open = scenario.number(&format!("{agent}.ss"));
        checks.equal(&format!("connections by ss, {agent}"), open, before);
        for scrape in scrapes {
            let want = if *scrape == "closed" { 0.0 } else { 20.0 };
            for (name, role, _) in ENDS {
                let labels = [("process_pid", scenario.pid(name)), ("role", role)];
                let got = scenario.scrape(scrape).sum(ACTIVE, &labels);
                checks.equal(&format!("{name}, {scrape}"), got, want);
            }
        }
    }
}

#[test]
fn each_says_what_it_adopted() {
    let scenario = scenario();
    let mut checks = Checks::default();
    for (agent, scrapes) in AGENTS {
        let (adopted, opened) = match agent {
            "first" => (0.0, 20.0),
            _ => (20.0, 0.0),
        };
        for scrape in scrapes {
            for (name, role, _) in ENDS {
                let labels = [("process_pid", scenario.pid(name)), ("role", role)];
                for (metric, want) in [(ADOPTED, adopted), (OPENED, opened)] {
                    let got = scenario.scrape(scrape).sum(metric, &labels);
                    checks.equal(&format!("{name}, {scrape}, {metric}"), got, want);
                }
            }
        }
    }
}

/// What an agent that came under load has counted when the load was over.
fn counts_and_invents_nothing(settled: &str, made: f64) {
    let scenario = scenario();
    let mut checks = Checks::default();
    let scrape = scenario.scrape(settled);
    for (name, _, metric) in ENDS {
        let labels = [("process_pid", scenario.pid(name))];
        let counted = scrape.sum(metric, &labels);
        checks.between(&format!("{name}'s requests"), counted, 20.0, made);
        // One exchange of each connection may have been under way when the agent came.
        let unpaired = scrape.sum("sockmeter_requests_unpaired_total", &labels);
        checks.between(&format!("{name}'s unpaired"), unpaired, 0.0, 20.0);
    }
    let [served, asked] =
        ENDS.map(|(name, _, metric)| scrape.sum(metric, &[("process_pid", scenario.pid(name))]));
    // Each connection may have had one exchange that only one end began under this agent.
    checks.between("served minus asked", served - asked, -20.0, 20.0);
    let active = ["http_server_active_requests", "http_client_active_requests"];
    for (metric, (name, _, _)) in active.into_iter().zip(ENDS) {
        let got = scrape.sum(metric, &[("process_pid", scenario.pid(name))]);
        checks.equal(&format!("{name}'s active requests"), got, 0.0);
    }
}

/// What the driver did in the n-th of its loads.
fn made_in_load(number: usize) -> f64 {
    let scenario = scenario();
    let answers = scenario.text("load.driver");
    let stops = answers.lines().filter(|line| line.contains("\"stop\""));
    let stops: Vec<&str> = stops.collect();
    assert_eq!(stops.len(), 4);
    crate::truth::Driver::parse(stops[number], "stop").requests
}

#[test]
fn the_second_counts_under_load_and_invents_nothing() {
    counts_and_invents_nothing("settled", made_in_load(0));
}

#[test]
fn the_one_behind_a_killed_one_counts_under_load_and_invents_nothing() {
    counts_and_invents_nothing("killed-settled", made_in_load(1));
}

#[test]
fn one_that_comes_beside_another_counts_under_load_and_invents_nothing() {
    counts_and_invents_nothing("new-settled", made_in_load(2));
}

/// Between two scrapes an agent counts what the driver did meanwhile, request by request and byte by byte.
fn counts_all(scrapes: [&str; 2], command: &str) {
    let scenario = scenario();
    let mut checks = Checks::default();
    let answers = scenario.text("load.driver");
    let is_it = |line: &&str| line.contains(&format!("\"{command}\""));
    // The last one, where there were several.
    let answer = answers.lines().rfind(is_it).unwrap_or_default();
    let driver = crate::truth::Driver::parse(answer, command);
    checks.that(driver.requests >= 200.0, || {
        format!("{command}: {driver:?}")
    });
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
            let rise = scenario.rise(scrapes, BYTES, &labels);
            checks.equal(&format!("{name}'s bytes, {direction}"), rise, want);
        }
    }
}

#[test]
fn every_later_request_is_counted() {
    counts_all(["settled", "counted"], "get 400 /ok /missing");
}

#[test]
fn two_agents_count_each_for_itself() {
    for agent in ["old", "new"] {
        let [before, after] = ["settled", "counted"].map(|at| format!("{agent}-{at}"));
        counts_all([&before, &after], "get 400 /ok /missing");
    }
}

#[test]
fn one_whose_predecessor_has_ended_counts_on() {
    counts_all(["new-alone-settled", "new-alone-counted"], "get 200 /ok");
}

/// What one agent said last and what its successor says are never more than there was.
fn nothing_twice(last: &str, successor: &str, before: f64, made: f64) {
    let scenario = scenario();
    let mut checks = Checks::default();
    for (name, _, metric) in ENDS {
        let labels = [("process_pid", scenario.pid(name))];
        let counted = [last, successor].map(|scrape| scenario.scrape(scrape).sum(metric, &labels));
        checks.between(
            &format!("{name} in {last}"),
            counted[0],
            before + 20.0,
            before + made,
        );
        let sum = counted[0] + counted[1];
        checks.between(&format!("{name} in both"), sum, 0.0, before + made);
    }
}

#[test]
fn no_request_is_counted_by_two() {
    nothing_twice("last", "settled", 200.0, made_in_load(0));
    nothing_twice("killed-last", "killed-settled", 0.0, made_in_load(1));
}

/// No series goes down without a newer beginning, in one agent or from one to the next.
#[test]
fn prometheus_can_tell_every_reset() {
    let scenario = scenario();
    let mut checks = Checks::default();
    let mut resets = Resets::default();
    for scrape in AGENTS.iter().flat_map(|(_, scrapes)| *scrapes) {
        // Both at the same time, each of them in its order: see below.
        if !scrape.starts_with("old-") {
            let differences = resets.differences(&scenario.scrape(scrape));
            checks.equal(scrape, differences, Vec::new());
        }
    }
    let mut resets = Resets::default();
    for scrape in ["killed-settled", "old-settled", "old-counted"] {
        let differences = resets.differences(&scenario.scrape(scrape));
        checks.equal(scrape, differences, Vec::new());
    }
}

/// The beginnings in a scrape, but that of the agent's CPU time, which begins with its process.
fn beginnings(scenario: &Scenario, scrape: &str) -> Vec<(String, f64)> {
    let scrape = scenario.scrape(scrape);
    let samples = scrape.all().iter();
    samples
        .filter(|sample| sample.name.ends_with("_created"))
        .filter(|sample| sample.name != "process_cpu_seconds_created")
        .map(|sample| (format!("{} {:?}", sample.name, sample.labels), sample.value))
        .collect()
}

#[test]
fn all_that_an_agent_counts_begins_with_it_or_later() {
    let scenario = scenario();
    let mut checks = Checks::default();
    for (agent, scrapes) in AGENTS {
        let started = scenario.number(&format!("{agent}.started"));
        for scrape in scrapes {
            let shown = scenario.number(&format!("{scrape}.time"));
            let beginnings = beginnings(&scenario, scrape);
            checks.that(beginnings.len() > 30, || {
                format!("{scrape}: {beginnings:?}")
            });
            for (series, began) in beginnings {
                checks.between(&format!("{scrape}: {series}"), began, started, shown);
            }
        }
    }
}

#[test]
fn a_successor_begins_later_series_by_series() {
    let scenario = scenario();
    let mut checks = Checks::default();
    for [before, after] in [["last", "second"], ["killed-last", "killed-next"]] {
        let before: BTreeMap<_, _> = beginnings(&scenario, before).into_iter().collect();
        let mut compared = 0;
        for (series, began) in beginnings(&scenario, after) {
            if let Some(before) = before.get(&series) {
                compared += 1;
                checks.that(began > *before, || {
                    format!("{series}: {before}, then {began}")
                });
            }
        }
        // Of the agent's own more than twenty, of both ends bytes and payload.
        checks.that(compared > 28, || format!("only {compared} series in both"));
    }
}

#[test]
fn the_agents_own_start_and_version() {
    let scenario = scenario();
    let mut checks = Checks::default();
    for (agent, scrapes) in AGENTS {
        let scrape = scenario.scrape(scrapes[0]);
        let own = scrape.sum("process_start_time_seconds", &[]);
        let started = scenario.number(&format!("{agent}.started"));
        let shown = scenario.number(&format!("{}.time", scrapes[0]));
        // The kernel tells the time of its boot in whole seconds, rounded down.
        checks.between(&format!("{agent}'s start"), own, started - 1.01, shown);
        let cpu = scrape.sum("process_cpu_seconds_created", &[]);
        checks.equal(&format!("{agent}'s beginning"), cpu, own);
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        checks.equal("build", scrape.sum("sockmeter_build_info", &version), 1.0);
    }
}

/// What the kernel had of BPF and of probes.
fn objects(scenario: &Scenario, name: &str) -> BTreeSet<String> {
    let text = scenario.text(&format!("{name}.objects"));
    text.lines().map(str::to_owned).collect()
}

#[test]
fn no_agent_leaves_anything_behind() {
    let scenario = scenario();
    let mut checks = Checks::default();
    let nothing = objects(&scenario, "nothing");
    for after in ["between", "killed-after", "killed-end", "end"] {
        let objects = objects(&scenario, after);
        let left: Vec<_> = objects.symmetric_difference(&nothing).collect();
        checks.equal(after, left, Vec::new());
    }
    // Only of an agent that was there can nothing be left.
    for during in ["killed-during", "old"] {
        let objects = objects(&scenario, during);
        for kind in ["prog ", "map ", "link "] {
            let count = objects.iter().filter(|line| line.starts_with(kind)).count();
            checks.that(count > 5, || format!("{during}: {count} of {kind}"));
        }
    }
    checks.equal("exit code", scenario.number("first.code"), 0.0);
    // 128 and the signal's number.
    checks.equal("exit code", scenario.number("killed.code"), 137.0);
}

#[test]
fn the_old_one_takes_only_its_own_along() {
    let scenario = scenario();
    let mut checks = Checks::default();
    let own = |name| -> BTreeSet<String> {
        let numbered = |line: &String| {
            ["prog ", "map ", "link "]
                .iter()
                .any(|kind| line.starts_with(kind))
        };
        objects(&scenario, name)
            .into_iter()
            .filter(numbered)
            .collect()
    };
    let (nothing, old, new) = (own("nothing"), own("old"), own("new"));
    let left: Vec<_> = old
        .intersection(&new)
        .filter(|line| !nothing.contains(*line))
        .collect();
    checks.equal("left of the old one", left, Vec::new());
    checks.equal("objects of the new one", new.len(), old.len());
}
