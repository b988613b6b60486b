//! What the agent says when it cannot start, and how it ends. The script is `tests/guest/start_stop.sh`.

use crate::checks::Checks;
use crate::scenario::Scenario;

fn scenario() -> Scenario {
    Scenario::of("start_stop")
}

/// It ended with that code and one line on stderr that has those words in it.
fn refused(name: &str, code: f64, words: &[&str]) {
    let scenario = scenario();
    let mut checks = Checks::default();
    checks.equal("exit code", scenario.number(&format!("{name}.code")), code);
    let said = scenario.text(&format!("{name}.stderr"));
    checks.that(said.lines().count() == 1, || {
        format!("not one line: {said:?}")
    });
    for word in words {
        checks.has("stderr", &said, word);
    }
    checks.equal(
        "stdout",
        scenario.text(&format!("{name}.stdout")).as_str(),
        "",
    );
}

#[test]
fn not_root() {
    refused("not-root", 1.0, &["CAP_BPF", "CAP_PERFMON", "root"]);
}

#[test]
fn root_without_cap_bpf() {
    refused("no-bpf", 1.0, &["missing CAP_BPF:"]);
}

#[test]
fn root_without_cap_perfmon() {
    refused("no-perfmon", 1.0, &["missing CAP_PERFMON:"]);
}

#[test]
fn port_taken() {
    refused("port-taken", 1.0, &["127.0.0.1:9435", "in use", "--listen"]);
}

#[test]
fn port_taken_by_another_agent() {
    refused("beside", 1.0, &["[::]:9435", "in use", "--listen"]);
    let scenario = scenario();
    let mut checks = Checks::default();
    let [before, after] = ["before", "after"].map(|at| scenario.text(&format!("beside.{at}")));
    checks.equal("what the kernel has", after, before);
    let build = scenario.scrape("beside").sum("sockmeter_build_info", &[]);
    checks.equal("the first one's answer", build, 1.0);
}

/// It had not started yet when the signal came, ended with that code, and left nothing behind.
fn ends_before_its_start(name: &str, code: f64) -> String {
    let scenario = scenario();
    let mut checks = Checks::default();
    checks.equal(
        "had started",
        scenario.number(&format!("{name}.ready")),
        0.0,
    );
    checks.equal("exit code", scenario.number(&format!("{name}.code")), code);
    let [before, after] = ["before", "after"].map(|at| scenario.text(&format!("{name}.{at}")));
    checks.equal("what the kernel has", after, before);
    scenario.text(&format!("{name}.log"))
}

#[test]
fn sigterm_during_the_start_ends_it_cleanly() {
    for phase in ["loading", "attaching", "walking"] {
        let log = ends_before_its_start(phase, 0.0);
        Checks::default().has("log", &log, "SIGTERM: stopping");
    }
}

#[test]
fn sigkill_during_the_start_leaves_nothing() {
    ends_before_its_start("killed-walking", 137.0);
}

// The exit codes are those of `sockmeter --help`.

#[test]
fn configuration_with_a_wrong_value() {
    let place = "/run/work/value.toml:3:14: kernel.ring_bytes: ";
    refused("config-value", 2.0, &[place, "5000", "4096 or 8192"]);
}

#[test]
fn configuration_with_an_unknown_key() {
    let place = "/run/work/key.toml:3:1: series.max_per_metrik: ";
    refused("config-key", 2.0, &[place, "unknown", "`max_per_metric`"]);
}

#[test]
fn configuration_that_is_not_toml() {
    refused("config-syntax", 2.0, &["/run/work/syntax.toml:2:"]);
}

#[test]
fn configuration_that_is_not_there() {
    refused(
        "config-missing",
        2.0,
        &["/run/work/nothing.toml", "no such file"],
    );
}

#[test]
fn unknown_flag() {
    let scenario = scenario();
    let mut checks = Checks::default();
    checks.equal("exit code", scenario.number("flag.code"), 2.0);
    checks.has("stderr", &scenario.text("flag.stderr"), "--lissten");
}

fn ends_cleanly(signal: &str) {
    let scenario = scenario();
    let mut checks = Checks::default();
    checks.equal(
        "exit code",
        scenario.number(&format!("agent-{signal}.code")),
        0.0,
    );
    let count = |what: &str| {
        let list = scenario.json(&format!("{what}-{signal}"));
        list.as_array().unwrap().len()
    };
    let (before, during, after) = (
        count("progs-before"),
        count("progs-during"),
        count("progs-after"),
    );
    checks.that(during > before, || {
        "no program of the agent was seen".to_owned()
    });
    checks.equal("programs left", after, before);
    checks.equal("maps left", count("maps-after"), 0);
    let listening = scenario.text(&format!("listening-after-{signal}"));
    checks.equal("still listening", listening.as_str(), "");
    let log = scenario.text(&format!("agent-{signal}.log"));
    checks.has("log", &log, &format!("SIG{signal}"));
    checks.that(!log.contains("ERROR") && !log.contains("WARN"), || {
        format!("log: {log:?}")
    });
}

#[test]
fn sigterm_ends_it_cleanly() {
    ends_cleanly("TERM");
}

#[test]
fn sigint_ends_it_cleanly() {
    ends_cleanly("INT");
}

#[test]
fn health_names_every_part() {
    let scenario = scenario();
    let mut checks = Checks::default();
    let health = scenario.json("served.health");
    checks.equal("status", health["status"].as_str(), Some("ok"));
    for part in health["parts"].as_array().unwrap() {
        let name = part["name"].as_str().unwrap();
        checks.equal(name, part["status"].as_str(), Some("ok"));
    }
    checks.equal("live", scenario.number("live.status"), 200.0);
}

#[test]
fn openmetrics_when_asked_for() {
    let scenario = scenario();
    let mut checks = Checks::default();
    let head = scenario.text("openmetrics.head");
    checks.has(
        "type",
        &head,
        "content-type: application/openmetrics-text; version=1.0.0",
    );
    let text = scenario.text("openmetrics");
    checks.that(text.ends_with("# EOF\n"), || "no end mark".to_owned());
}
