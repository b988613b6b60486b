//! Hosts that lack something: types, capabilities, the right to read kernel memory. The script is `tests/guest/host.sh`.

use serde_json::Value;

use crate::checks::Checks;
use crate::scenario::Scenario;

const SERVED: &str = "http_server_request_duration_seconds_count";
const ASKED: &str = "http_client_request_duration_seconds_count";
const STATUS: &str = "http_response_status_code";

fn scenario() -> Scenario {
    Scenario::of("host")
}

/// What `check` says of one thing that the host offers.
fn requirement<'a>(check: &'a Value, name: &str) -> &'a Value {
    let requirements = check["requirements"].as_array().unwrap();
    let found = requirements.iter().find(|one| one["name"] == name);
    found.unwrap_or_else(|| panic!("no {name} in {check}"))
}

/// The verdicts on a family's programs, each once.
fn verdicts(check: &Value, family: &str) -> Vec<String> {
    let probes = check["probes"].as_array().unwrap();
    let mut verdicts: Vec<String> = probes
        .iter()
        .filter(|probe| probe["family"] == family)
        .map(|probe| probe["verdict"].as_str().unwrap().to_owned())
        .collect();
    verdicts.sort();
    verdicts.dedup();
    verdicts
}

/// Requests by status, bytes and connections are the driver's own, at both ends.
fn exact(scenario: &Scenario, name: &str, with_requests: bool) {
    let mut checks = Checks::default();
    let driver = scenario.driver(name);
    let before = format!("{name}-before");
    let scrapes = [before.as_str(), name];
    checks.equal("the driver's own count", driver.requests, 200.0);
    for (pid, role, metric, sent, received) in [
        (driver.pid.as_str(), "client", ASKED, "transmit", "receive"),
        (
            scenario.pid("nginx"),
            "server",
            SERVED,
            "receive",
            "transmit",
        ),
    ] {
        let own = [("process_pid", pid), ("role", role)];
        let opened = scenario.rise(scrapes, "sockmeter_connections_opened_total", &own);
        checks.equal(&format!("{role}, connections"), opened, 4.0);
        let active = scenario
            .scrape(name)
            .sum("sockmeter_connections_active", &own);
        checks.equal(&format!("{role}, left open"), active, 0.0);
        for (direction, want) in [(sent, driver.sent), (received, driver.received)] {
            let labels = [own[0], own[1], ("direction", direction)];
            let got = scenario.rise(scrapes, "sockmeter_socket_bytes_total", &labels);
            checks.equal(&format!("{role}, {direction}"), got, want);
        }
        if with_requests {
            let rise = scenario.rise_by(STATUS, scrapes, metric, &own[..1]);
            checks.equal(&format!("{role}, requests"), &rise, &driver.statuses);
        }
    }
}

#[test]
fn each_missing_capability_is_told_with_what_to_do() {
    let scenario = scenario();
    let mut checks = Checks::default();
    for (name, code, missing) in [
        ("unprivileged", 1.0, &["CAP_BPF", "CAP_PERFMON"][..]),
        ("blind", 2.0, &["CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH"]),
        ("all", 0.0, &[]),
    ] {
        checks.equal(name, scenario.number(&format!("{name}.code")), code);
        let check = scenario.json(&format!("{name}.json"));
        for capability in missing {
            let one = requirement(&check, capability);
            checks.has(
                capability,
                one["missing"].as_str().unwrap_or(""),
                capability,
            );
            checks.has(capability, one["remedy"].as_str().unwrap_or(""), "root");
        }
    }
    let all = scenario.json("all.json");
    let requirements = all["requirements"].as_array().unwrap();
    for one in requirements {
        checks.that(one["missing"].is_null(), || format!("missing: {one}"));
    }
    for name in [
        "kernel",
        "cgroup",
        "container runtime",
        "kprobes",
        "security modules",
    ] {
        let found = requirement(&all, name)["found"].as_str().unwrap();
        checks.that(!found.is_empty(), || format!("{name} is not told"));
    }
    checks.equal(
        "cgroup",
        requirement(&all, "cgroup")["found"].as_str(),
        Some("v2"),
    );
}

#[test]
fn a_kernel_that_shows_no_types_is_refused_with_the_option_named() {
    let scenario = scenario();
    let mut checks = Checks::default();
    checks.equal("check", scenario.number("untyped.code"), 1.0);
    checks.equal("run", scenario.number("untyped.run.code"), 1.0);
    checks.has("why", &scenario.text("untyped.run.stderr"), "--btf FILE");
    let check = scenario.json("untyped.json");
    let types = requirement(&check, "type information");
    checks.has(
        "remedy",
        types["remedy"].as_str().unwrap_or(""),
        "--btf FILE",
    );
    checks.equal("no types in it", scenario.number("no-types.run.code"), 1.0);
    checks.has("why", &scenario.text("no-types.run.stderr"), "malformed");
}

#[test]
fn with_the_types_of_a_file_everything_but_the_walk_works() {
    let scenario = scenario();
    exact(&scenario, "file", true);
    let health = scenario.text("file.health");
    let mut checks = Checks::default();
    checks.has("the walk", &health, "a walk needs the kernel's own types");
    let attached = [("family", "socket_io"), ("kind", "kretprobe")];
    let attached = scenario
        .scrape("file")
        .sum("sockmeter_probe_attached", &attached);
    checks.that(attached > 0.0, || "no kretprobe is attached".to_owned());
}

#[test]
fn what_a_security_module_refuses_is_told_as_such() {
    let scenario = scenario();
    let mut checks = Checks::default();
    checks.equal("check", scenario.number("refused.code"), 1.0);
    checks.equal("run", scenario.number("refused.run.code"), 1.0);
    let why = scenario.text("refused.run.stderr");
    checks.has("why", &why, "security module");
    let check = scenario.json("refused.json");
    let modules = scenario.text("modules");
    let found = requirement(&check, "security modules")["found"].as_str();
    checks.equal("security modules", found, Some(modules.trim()));
    for probe in check["probes"].as_array().unwrap() {
        let why = probe["why"].as_str().unwrap_or("");
        checks.has(&probe["program"].to_string(), why, "security module");
    }
}

#[test]
fn what_a_security_module_refuses_costs_nothing_else() {
    let scenario = scenario();
    let mut checks = Checks::default();
    checks.equal("check", scenario.number("unwalked.code"), 2.0);
    let health = scenario.json("unwalked.health");
    checks.equal("health", health["status"].as_str(), Some("degraded"));
    checks.has("health", &health.to_string(), "security module");
    let scrape = scenario.scrape("unwalked");
    let check = scenario.json("all.json");
    for probe in check["probes"].as_array().unwrap() {
        let word = |name: &str| probe[name].as_str().unwrap();
        let labels = ["program", "family", "kind"].map(|label| (label, word(label)));
        let got = scrape.sum("sockmeter_probe_attached", &labels);
        let was_attached = f64::from(word("verdict") == "attached");
        let want = if word("kind") == "iter" {
            0.0
        } else {
            was_attached
        };
        checks.equal(&format!("{labels:?}"), got, want);
    }
    exact(&scenario, "unwalked", true);
}

#[test]
fn integrity_costs_nothing() {
    let scenario = scenario();
    let mut checks = Checks::default();
    checks.has("before", &scenario.text("lockdown-before"), "[none]");
    checks.equal("check", scenario.number("integrity.code"), 0.0);
    let check = scenario.json("integrity.json");
    let lockdown = requirement(&check, "lockdown");
    checks.equal("lockdown", lockdown["found"].as_str(), Some("integrity"));
    exact(&scenario, "integrity", true);
}

#[test]
fn confidentiality_leaves_connections_and_bytes_and_says_what_is_off() {
    let scenario = scenario();
    let mut checks = Checks::default();
    checks.equal("check", scenario.number("confidentiality.code"), 2.0);
    let check = scenario.json("confidentiality.json");
    let lockdown = requirement(&check, "lockdown");
    checks.equal(
        "lockdown",
        lockdown["found"].as_str(),
        Some("confidentiality"),
    );
    for (family, verdict) in [
        ("socket_io", "attached"),
        ("socket_life", "attached"),
        ("process_life", "attached"),
        ("datagrams", "off"),
        ("listeners", "off"),
    ] {
        let found = verdicts(&check, family);
        let is_as_wanted = found.contains(&verdict.to_owned())
            && found
                .iter()
                .all(|one| one == verdict || one == "unsupported");
        checks.that(is_as_wanted, || format!("{family}: {found:?}"));
    }
    checks.equal("forced", scenario.number("forced.run.code"), 1.0);
    checks.has("forced", &scenario.text("forced.run.stderr"), "lockdown");
    checks.has(
        "health",
        &scenario.text("confidentiality.health"),
        "confidentiality",
    );
    let off = [("family", "datagrams")];
    let attached = scenario
        .scrape("confidentiality")
        .sum("sockmeter_probe_attached", &off);
    checks.equal("datagrams attached", attached, 0.0);
    exact(&scenario, "confidentiality", false);
}
