//! Datagrams and their bytes per process, as each process counted them. The script is `tests/guest/datagrams.sh`.

use crate::checks::Checks;
use crate::scenario::Scenario;
use crate::scrape::{Labels, Scrape};

const DATAGRAMS: &str = "sockmeter_socket_datagrams_total";
const BYTES: &str = "sockmeter_socket_bytes_total";

fn scenario() -> Scenario {
    Scenario::of("datagrams")
}

/// Datagrams and bytes in one direction, in the series with those labels.
fn moved(scrape: &Scrape, direction: &str, labels: Labels) -> [f64; 2] {
    let labels = [labels, &[("direction", direction), ("transport", "udp")]].concat();
    [DATAGRAMS, BYTES].map(|metric| scrape.sum(metric, &labels))
}

/// A process that moved datagrams in that way said how many; the agent says the same, of no other program.
fn check_case(name: &str) {
    let scenario = scenario();
    let mut checks = Checks::default();
    let own = scenario.json(&format!("{name}.json"));
    let scrape = scenario.scrape(name);
    let pid = own["pid"].to_string();
    for direction in ["transmit", "receive"] {
        let want = [0, 1].map(|at| own[direction][at].as_f64().unwrap());
        checks.equal(
            &format!("{name}, {direction}"),
            moved(&scrape, direction, &[("process_pid", &pid)]),
            want,
        );
    }
    checks.between(
        &format!("{name} moved something"),
        own["transmit"][0].as_f64().unwrap(),
        1.0,
        f64::INFINITY,
    );
}

/// One test a case, named after it.
macro_rules! cases {
    ($($(#[$why:meta])* $name:ident: $case:literal;)*) => {
        $($(#[$why])* #[test] fn $name() { check_case($case) })*
    };
}

cases! {
    rule_06_any_call_counts: "ipv4";
    rule_06_any_call_counts_over_ipv6: "ipv6";
    ipv4_from_an_ipv6_socket_counts_once: "mapped";
    each_of_many_in_one_call_counts: "many";
    rule_05_a_peek_consumes_nothing: "peek";
    rule_05_what_is_cut_off_was_not_received: "truncated";
    an_empty_datagram_is_one: "empty";
    several_calls_make_one_datagram: "more";
    rule_05_errors_count_nothing: "errors";
    ten_thousand_in_a_burst: "burst";
    threads_count_together: "threads";
    each_segment_of_a_call_counts: "segments";
    each_segment_that_arrives_at_once_counts: "joined";
    rule_06_sendfile_and_splice: "files";
    only_what_moved_since_the_start: "older";
    a_child_counts_for_its_program: "forks";
}

#[test]
fn who_asks_is_not_known_of_a_datagram() {
    let scrape = scenario().scrape("ipv4");
    let mut checks = Checks::default();
    for sample in scrape.samples(BYTES, &[("transport", "udp")]) {
        checks.equal("its role", sample.labels.get("role"), None);
    }
}

#[test]
fn an_exec_divides_what_a_process_moved() {
    let scenario = scenario();
    let mut checks = Checks::default();
    let own = scenario.json("execs.json");
    let scrape = scenario.scrape("execs");
    let pid = own["pid"].to_string();
    let pid = ("process_pid", pid.as_str());
    let courier = ("process_executable_name", "courier");
    let after = moved(&scrape, "transmit", &[pid, courier]);
    checks.equal("after the exec", after, [2.0, 8.0]);
    let [datagrams, bytes] = moved(&scrape, "transmit", &[pid]);
    let before = [datagrams - after[0], bytes - after[1]];
    checks.equal("before the exec", before, [2.0, 11.0]);
    checks.equal("received", moved(&scrape, "receive", &[pid]), [1.0, 5.0]);
}

#[test]
fn a_process_that_ends_at_once_counts() {
    let scenario = scenario();
    let mut checks = Checks::default();
    let labels = [("process_pid", scenario.pid("short"))];
    let got = moved(&scenario.scrape("short"), "transmit", &labels);
    checks.equal("three of five bytes", got, [3.0, 15.0]);
}

#[test]
fn rule_16_a_pid_that_is_used_again_counts_anew() {
    let scenario = scenario();
    let mut checks = Checks::default();
    let scrape = scenario.scrape("reused");
    let pid = scenario.pid("second");
    checks.equal("the pid of both", pid, scenario.pid("first"));
    let pid = ("process_pid", pid);
    let courier = ("process_executable_name", "courier");
    let first = moved(&scrape, "transmit", &[pid, courier]);
    checks.equal("the first", first, [3.0, 6.0]);
    let own = scenario.json("second.json");
    let want = [0, 1].map(|at| own["transmit"][at].as_f64().unwrap() + first[at]);
    checks.equal("both", moved(&scrape, "transmit", &[pid]), want);
}

#[test]
fn a_full_ring_loses_no_datagram() {
    let scenario = scenario();
    let mut checks = Checks::default();
    let scrape = scenario.scrape("ring");
    let lost = [("reason", "ring_full_datagrams")];
    let lost = scrape.sum("sockmeter_records_lost_total", &lost);
    checks.between("lost records, of 400", lost, 100.0, 400.0);
    // Of whom they are is lost with the records.
    let got = moved(&scrape, "transmit", &[]);
    checks.equal("200 of seven bytes", got, [200.0, 1400.0]);
    checks.equal(
        "what is left in the table",
        scenario.text("ring.entries").trim(),
        "[]",
    );
}

#[test]
fn a_full_table_says_what_it_did_not_count() {
    let scenario = scenario();
    let mut checks = Checks::default();
    for (scrape, want) in [("table", [2.0, 10.0]), ("room", [3.0, 13.0])] {
        let scrape = scenario.scrape(scrape);
        checks.equal("counted", moved(&scrape, "transmit", &[]), want);
        let full = [("reason", "datagram_table_full")];
        let uncounted = [
            scrape.sum("sockmeter_records_lost_total", &full),
            scrape.sum("sockmeter_untracked_bytes_total", &[]),
        ];
        checks.equal("not counted", uncounted, [1.0, 5.0]);
    }
}

#[test]
fn the_kernel_left_nothing_out() {
    let scenario = scenario();
    let mut checks = Checks::default();
    let health = scenario.json("agent.health");
    let parts = health["parts"].as_array().unwrap();
    let part = parts
        .iter()
        .find(|part| part["name"] == "datagrams")
        .unwrap();
    checks.equal("its status", part["status"].as_str(), Some("ok"));
    let missed = scenario.scrape("reused");
    let missed = missed.sum("sockmeter_probe_missed_total", &[("family", "datagrams")]);
    checks.equal("runs left out", missed, 0.0);
}
