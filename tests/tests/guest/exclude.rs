//! Nothing of an excluded process is shown, and all of the others. The script is `tests/guest/exclude.sh`.

use serde_json::Value;

use crate::checks::Checks;
use crate::scenario::Scenario;

const SERVED: &str = "http_server_request_duration_seconds_count";
const ASKED: &str = "http_client_request_duration_seconds_count";
const BYTES: &str = "sockmeter_socket_bytes_total";

const SCRAPES: [&str; 4] = ["found", "all", "stopped", "again"];

fn scenario() -> Scenario {
    Scenario::of("exclude")
}

#[test]
fn nothing_of_an_excluded_process_is_shown() {
    let scenario = scenario();
    let mut checks = Checks::default();
    for name in SCRAPES {
        let scrape = scenario.scrape(name);
        for executable in ["nginx", "hidden"] {
            let labels = [("process_executable_name", executable)];
            let samples = scrape.all().iter().filter(|sample| {
                labels
                    .iter()
                    .all(|(label, value)| sample.labels.get(*label).is_some_and(|is| is == value))
            });
            let names: Vec<&str> = samples.map(|sample| sample.name.as_str()).collect();
            checks.equal(&format!("{name}: series of {executable}"), names, vec![]);
        }
        // Nor does it go to somebody else.
        for metric in [
            "sockmeter_untracked_bytes_total",
            "sockmeter_records_lost_total",
        ] {
            checks.equal(&format!("{name}: {metric}"), scrape.sum(metric, &[]), 0.0);
        }
        let unknown = [("process_executable_name", "unknown")];
        checks.equal(
            &format!("{name}: unknown"),
            scrape.sum(BYTES, &unknown),
            0.0,
        );
    }
}

#[test]
fn the_others_are_exact() {
    let scenario = scenario();
    let mut checks = Checks::default();
    let all = scenario.scrape("all");
    for (name, requests) in [
        // Its connections are older than the agent: ten requests were before.
        ("old", 60.0),
        ("first", 2.0),
        ("new", 60.0),
        ("hidden-client", 20.0),
        ("shown-client", 20.0),
    ] {
        let pid = [("process_pid", scenario.pid(name))];
        checks.equal(
            &format!("{name}'s requests"),
            all.sum(ASKED, &pid),
            requests,
        );
        let driver = scenario.driver(name);
        if name != "old" {
            for (direction, want) in [("transmit", driver.sent), ("receive", driver.received)] {
                let labels = [pid[0], ("direction", direction), ("transport", "tcp")];
                let what = format!("{name}'s bytes, {direction}");
                checks.equal(&what, all.sum(BYTES, &labels), want);
            }
        }
    }
    let shown = [("process_pid", scenario.pid("shown"))];
    checks.equal(
        "requests to the server that is shown",
        all.sum(SERVED, &shown),
        20.0,
    );
    let again = [("process_pid", scenario.pid("again"))];
    let asked = scenario.scrape("again").sum(ASKED, &again);
    checks.equal("requests to the new nginx", asked, 20.0);
}

#[test]
fn how_many_are_excluded_is_shown_and_told_to_the_kernel_side() {
    let scenario = scenario();
    let mut checks = Checks::default();
    let excluded = |scrape| {
        scenario
            .scrape(scrape)
            .sum("sockmeter_excluded_processes", &[])
    };
    // nginx is three, and as many again when it is there again.
    checks.equal("excluded", excluded("all"), 4.0);
    checks.equal("excluded, with the new nginx", excluded("again"), 4.0);
    let health = scenario.json("all.health");
    let parts = health["parts"].as_array().unwrap();
    let capture = parts.iter().find(|part| part["name"] == "capture").unwrap();
    let why = capture["why"].as_str().unwrap();
    checks.has("health", why, "; 4 processes excluded");
    let told = scenario.json("told");
    // Without its type a key is a list of bytes, as text.
    let pid = |entry: &Value| {
        let bytes = entry["key"].as_array().unwrap().iter();
        let byte = |byte: &Value| {
            let digits = byte.as_str().unwrap().trim_start_matches("0x");
            u64::from_str_radix(digits, 16).unwrap()
        };
        bytes.rev().fold(0, |sum, text| sum << 8 | byte(text))
    };
    let told: Vec<u64> = told.as_array().unwrap().iter().map(pid).collect();
    let hidden: u64 = scenario.pid("hidden").parse().unwrap();
    let shown: u64 = scenario.pid("shown").parse().unwrap();
    checks.that(told.contains(&hidden), || {
        format!("{hidden} not in {told:?}")
    });
    checks.that(!told.contains(&shown), || format!("{shown} in {told:?}"));
}
