//! The agent keeps to its CPU limit, and what it leaves out is counted. The script is `tests/guest/limit.sh`.

use serde_json::Value;

use crate::checks::Checks;
use crate::scenario::Scenario;

const SERVED: &str = "http_server_request_duration_seconds_count";
const ASKED: &str = "http_client_request_duration_seconds_count";
const BYTES: &str = "sockmeter_socket_bytes_total";
const OPENED: &str = "sockmeter_connections_opened_total";
const UNANSWERED: &str = "sockmeter_requests_unanswered_total";
const UNPAIRED: &str = "sockmeter_requests_unpaired_total";
const LEVEL: &str = "sockmeter_capture_level";

/// Requests that ab made, over kept connections and with one each.
const KEPT: f64 = 60_000.0;
const FRESH: f64 = 1000.0;

fn scenario() -> Scenario {
    Scenario::of("limit")
}

fn of_report(report: &str, line: &str) -> f64 {
    let found = report.lines().find_map(|text| text.strip_prefix(line));
    let words = found.unwrap().split_whitespace().next();
    words.unwrap().parse().unwrap()
}

/// What `/health` says of capturing: status and why.
fn capture(health: &Value) -> (String, String) {
    let parts = health["parts"].as_array().unwrap();
    let part = parts.iter().find(|part| part["name"] == "capture").unwrap();
    let text = |key: &str| part[key].as_str().unwrap().to_owned();
    (text("status"), text("why"))
}

/// Under load nothing looks at requests, and all of them, their bytes and connections are counted.
#[test]
fn rule_21_what_is_not_looked_at_is_counted() {
    let scenario = scenario();
    let mut checks = Checks::default();
    let (kept, fresh) = (scenario.text("kept"), scenario.text("fresh"));
    let driver = scenario.driver("both");
    let complete = |report: &str| of_report(report, "Complete requests:");
    checks.equal("kept requests", complete(&kept), KEPT);
    checks.equal("fresh requests", complete(&fresh), FRESH);
    checks.equal("the driver's requests", driver.requests, 480.0);
    // Series are shown once more after their process has ended.
    let all = [
        ("kept", ASKED, "reduced", KEPT),
        ("fresh", ASKED, "loaded", FRESH),
        ("both", ASKED, "restored", 480.0),
        ("nginx", SERVED, "restored", KEPT + FRESH + 480.0),
    ];
    let rise = |name, scrape, metric, label| {
        let labels = [("process_pid", scenario.pid(name)), label];
        scenario.rise(["before", scrape], metric, &labels)
    };
    let tcp = ("transport", "tcp");
    for (name, metric, scrape, made) in all {
        let sum = |metric| {
            let labels = [("process_pid", scenario.pid(name))];
            scenario.rise(["before", scrape], metric, &labels)
        };
        let unanswered = sum(UNANSWERED);
        checks.equal(&format!("{name}: requests"), sum(metric) + unanswered, made);
        let what = format!("{name}: not looked at");
        checks.between(&what, unanswered, made / 10.0, made);
        checks.equal(&format!("{name}: unpaired"), sum(UNPAIRED), 0.0);
        let opened = rise(name, scrape, OPENED, tcp);
        match name {
            "kept" => checks.equal("kept connections", opened, 8.0),
            "both" => checks.equal("the driver's connections", opened, 4.0),
            // ab makes some more than it needs at its end.
            "fresh" => checks.between("fresh connections", opened, FRESH, FRESH + 8.0),
            _ => checks.between("nginx's connections", opened, FRESH + 12.0, FRESH + 20.0),
        }
    }
    let clients = &all[..3];
    for metric in [OPENED, BYTES] {
        for (one, other) in [("receive", "transmit"), ("transmit", "receive")] {
            let label = |direction| {
                if metric == OPENED {
                    tcp
                } else {
                    ("direction", direction)
                }
            };
            let labels = [("process_pid", scenario.pid("nginx")), tcp, label(one)];
            let served = scenario.rise(["before", "restored"], metric, &labels);
            let asked = clients.iter().fold(0.0, |sum, (name, _, scrape, _)| {
                let labels = [("process_pid", scenario.pid(name)), tcp, label(other)];
                sum + scenario.rise(["before", scrape], metric, &labels)
            });
            checks.equal(&format!("nginx's {metric}, {one}"), served, asked);
        }
    }
    let transferred = |report: &str| of_report(report, "Total transferred:");
    for (name, scrape, received) in [
        ("kept", "reduced", transferred(&kept)),
        ("fresh", "loaded", transferred(&fresh)),
        ("both", "restored", driver.received),
    ] {
        let labels = [
            ("process_pid", scenario.pid(name)),
            tcp,
            ("direction", "receive"),
        ];
        let bytes = scenario.rise(["before", scrape], BYTES, &labels);
        checks.equal(&format!("{name}: bytes received"), bytes, received);
    }
    let sent = rise("both", "restored", BYTES, ("direction", "transmit"));
    checks.equal("the driver's bytes sent", sent, driver.sent);
}

/// While connections are open, too.
#[test]
fn requests_that_are_not_looked_at_are_told_before_their_connections_end() {
    let scenario = scenario();
    let mut checks = Checks::default();
    let both = [("process_pid", scenario.pid("both"))];
    for (scrape, made) in [("loaded", 440.0), ("reduced", 440.0), ("restored", 480.0)] {
        let scrape_now = scenario.scrape(scrape);
        let answered = scrape_now.sum(ASKED, &both);
        let unanswered = scrape_now.sum(UNANSWERED, &both);
        checks.equal(&format!("{scrape}: requests"), answered + unanswered, made);
        // The first 40 and the last 40 may have been looked at.
        checks.between(&format!("{scrape}: not looked at"), unanswered, 400.0, made);
    }
}

#[test]
fn the_level_is_shown_everywhere() {
    let scenario = scenario();
    let mut checks = Checks::default();
    for (scrape, level) in [
        ("before", "full"),
        ("counting", "counts"),
        ("restored", "full"),
    ] {
        let shown = scenario.scrape(scrape).by("level", LEVEL, &[]);
        let want = ["counts", "full", "head"]
            .map(|name| (name.to_owned(), f64::from(u8::from(name == level))));
        checks.equal(&format!("{scrape}: level"), &shown, &want.into());
    }
    // It may be trying `head` then.
    let full = scenario.scrape("reduced").sum(LEVEL, &[("level", "full")]);
    checks.equal("reduced: level full", full, 0.0);
    let reductions = scenario.rise(
        ["before", "reduced"],
        "sockmeter_capture_reductions_total",
        &[],
    );
    checks.between("reductions", reductions, 2.0, 10.0);
    let log = scenario.text("limited.log");
    let told: Vec<&str> = ["full", "head", "counts"]
        .into_iter()
        .filter(|level| log.contains(&format!("level=\"{level}\"")))
        .collect();
    checks.equal("levels in the log", &told, &vec!["full", "head", "counts"]);
    let reduced = scenario.json("reduced.health");
    let (status, why) = capture(&reduced);
    checks.equal("status", status.as_str(), "degraded");
    checks.equal(
        "status of all",
        reduced["status"].as_str().unwrap(),
        "degraded",
    );
    assert!(
        why.starts_with("counts: ") && why.contains("of cpu_limit_cores"),
        "{why}"
    );
    let (status, why) = capture(&scenario.json("restored.health"));
    checks.equal("status after", status.as_str(), "ok");
    assert!(why.starts_with("full: "), "{why}");
}

#[test]
fn the_agent_keeps_near_to_its_limit() {
    let scenario = scenario();
    let mut checks = Checks::default();
    let spent = |what| {
        scenario.number(&format!("ended.{what}")) - scenario.number(&format!("began.{what}"))
    };
    let cores = spent("cpu") / 1e9 / spent("uptime");
    let limit_cores = scenario.number("limit");
    eprintln!(
        "{cores:.3} of {limit_cores} processors over {:.1} s",
        spent("uptime")
    );
    checks.between("processors", cores, 0.0, limit_cores);
}

#[test]
fn counting_is_exact_again_after_the_load() {
    let scenario = scenario();
    let mut checks = Checks::default();
    let both = [
        ("process_pid", scenario.pid("both")),
        ("http_response_status_code", "201"),
    ];
    let restored = scenario.scrape("restored").sum(ASKED, &both);
    checks.equal("requests on the old connections", restored, 40.0);
    for (name, metric) in [("nginx", SERVED), ("calm", ASKED)] {
        let labels = [("process_pid", scenario.pid(name)), both[1]];
        let rise = scenario.rise(["restored", "calm"], metric, &labels);
        checks.equal(&format!("{name}'s requests"), rise, 10.0);
        let unanswered = scenario.rise(["restored", "calm"], UNANSWERED, &labels[..1]);
        checks.equal(&format!("{name}'s unanswered ones"), unanswered, 0.0);
    }
}

#[test]
fn nothing_is_lost_of_a_load_that_the_limit_allows() {
    let scenario = scenario();
    let mut checks = Checks::default();
    let moderate = scenario.scrape("moderate");
    let lost = moderate.sum("sockmeter_records_lost_total", &[]);
    checks.equal("lost records", lost, 0.0);
    checks.equal("level", moderate.sum(LEVEL, &[("level", "full")]), 1.0);
    let reductions = moderate.sum("sockmeter_capture_reductions_total", &[]);
    checks.equal("reductions", reductions, 0.0);
    for (name, metric) in [("nginx", SERVED), ("moderate", ASKED)] {
        let labels = [("process_pid", scenario.pid(name))];
        let rise = scenario.rise(["moderate-before", "moderate"], metric, &labels);
        checks.equal(&format!("{name}'s requests"), rise, 3000.0);
    }
}
