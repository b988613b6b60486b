//! Unix stream sockets: pairs, every way to move bytes, bytes that are no protocol, connects that fail. The script is
//! `tests/guest/unix.sh`.

use std::collections::BTreeMap;

use crate::checks::Checks;
use crate::unix::{moved, scenario};

const ACTIVE: &str = "sockmeter_connections_active";
const OPENED: &str = "sockmeter_connections_opened_total";
const FAILED: &str = "sockmeter_connections_failed_total";
const BYTES: &str = "sockmeter_socket_bytes_total";
const PAYLOAD: &str = "sockmeter_payload_bytes_total";

#[test]
fn bytes_that_are_no_protocol_are_unrecognised_to_the_byte() {
    let scenario = scenario();
    let mut checks = Checks::default();
    for (name, role) in [("garbage", "client"), ("echo", "server")] {
        let pid = scenario.pid(name);
        let scrapes = ["bound", "garbage"];
        let what = format!("{name}'s bytes");
        checks.equal(&what, moved(&scenario, scrapes, pid, role), [100_000.0; 2]);
        let labels = [("process_pid", pid)];
        let made = scenario.rise_by("outcome", scrapes, PAYLOAD, &labels);
        let want = BTreeMap::from([("unrecognised".to_owned(), 200_000.0)]);
        checks.equal(&format!("what was made of {name}'s bytes"), made, want);
    }
}

#[test]
fn rule_06_every_way_between_a_pair_of_sockets_counts() {
    let scenario = scenario();
    let mut checks = Checks::default();
    let driver = scenario.driver("ways");
    let ways = [("process_pid", driver.pid.as_str()), ("transport", "unix")];
    for name in ["ways", "packets"] {
        let scrape = scenario.scrape(name);
        let bytes = scrape.by("direction", BYTES, &ways);
        let want = [("receive", driver.received), ("transmit", driver.sent)]
            .map(|(direction, bytes)| (direction.to_owned(), bytes));
        checks.equal(&format!("bytes, {name}"), bytes, BTreeMap::from(want));
        checks.equal(
            &format!("ends opened, {name}"),
            scrape.sum(OPENED, &ways),
            6.0,
        );
        checks.equal(
            &format!("ends left, {name}"),
            scrape.sum(ACTIVE, &ways),
            0.0,
        );
    }
    let driver = scenario.driver("child");
    let child = [("process_pid", driver.pid.as_str()), ("transport", "unix")];
    let scrape = scenario.scrape("child");
    // A child is part of its parent's program: all that one end sent the other received.
    let both = driver.sent + driver.received;
    checks.equal("bytes, child", scrape.sum(BYTES, &child), 2.0 * both);
    checks.equal("ends left, child", scrape.sum(ACTIVE, &child), 0.0);
}

#[test]
fn connects_that_fail_are_counted_by_error() {
    let scenario = scenario();
    let mut checks = Checks::default();
    let answer = scenario.json("fails.driver");
    let failed = &answer["failed"];
    let own = answer["pid"].to_string();
    let labels = [("process_pid", own.as_str()), ("transport", "unix")];
    let scrape = scenario.scrape("fails");
    let want = [
        ("not_found", "ENOENT"),
        ("refused", "ECONNREFUSED"),
        ("queue_full", "EAGAIN"),
    ]
    .map(|(name, error)| (name.to_owned(), failed[error].as_f64().unwrap()));
    checks.equal(
        "failed, by error",
        scrape.by("error_type", FAILED, &labels),
        BTreeMap::from(want),
    );
    // A second connect on a connected socket fails too, and changes nothing.
    checks.equal("connected twice", failed["EISCONN"].as_f64(), Some(1.0));
    let opened = scrape.by("role", OPENED, &labels);
    let want = ["client", "server"].map(|role| (role.to_owned(), 1.0));
    checks.equal("opened, by role", opened, BTreeMap::from(want));
    checks.equal("left", scrape.sum(ACTIVE, &labels), 0.0);
}

#[test]
fn rule_21_what_was_made_of_the_bytes_is_all_bytes() {
    let scenario = scenario();
    let mut checks = Checks::default();
    let scrape = scenario.scrape("fails");
    let pids = scrape.values("process_pid", &[]);
    checks.that(pids.len() > 5, || format!("{pids:?}"));
    for pid in pids {
        let labels = [("process_pid", pid)];
        let by = |metric: &str| scrape.by("direction", metric, &labels);
        checks.equal(&format!("bytes of {pid}"), by(PAYLOAD), by(BYTES));
    }
    let lost = scrape.sum("sockmeter_records_lost_total", &[]);
    checks.equal("records lost", lost, 0.0);
}

#[test]
fn every_program_for_unix_sockets_is_attached() {
    let scrape = scenario().scrape("fails");
    let attached = |family| scrape.sum("sockmeter_probe_attached", &[("family", family)]);
    let mut checks = Checks::default();
    checks.equal("unix_life", attached("unix_life"), 5.0);
    checks.equal("unix_io", attached("unix_io"), 5.0);
}
