//! What does not fit is counted. The script is `tests/guest/overload.sh`.

use std::collections::BTreeMap;

use crate::checks::Checks;
use crate::scenario::Scenario;
use crate::truth::stub_status;

const SERVED: &str = "http_server_request_duration_seconds_count";
const ASKED: &str = "http_client_request_duration_seconds_count";
const BYTES: &str = "sockmeter_socket_bytes_total";
const PAYLOAD: &str = "sockmeter_payload_bytes_total";
const UNANSWERED: &str = "sockmeter_requests_unanswered_total";
const STATUS: &str = "http_response_status_code";

fn scenario() -> Scenario {
    Scenario::of("overload")
}

#[test]
fn a_full_ring_loses_no_byte_and_no_connection() {
    let scenario = scenario();
    let mut checks = Checks::default();
    let scrapes = ["ring-before", "flooded"];
    let flooded = scenario.scrape("flooded");
    let lost = [("reason", "ring_full_segment")];
    let lost = flooded.sum("sockmeter_records_lost_total", &lost);
    checks.between("lost records, of about 8000", lost, 1000.0, 8500.0);
    let driver = scenario.driver("flood");
    for (name, sent, received) in [
        ("flood", "transmit", "receive"),
        ("nginx", "receive", "transmit"),
    ] {
        let pid = ("process_pid", scenario.pid(name));
        for (direction, want) in [(sent, driver.sent), (received, driver.received)] {
            let labels = [pid, ("direction", direction)];
            let what = format!("{name}'s bytes, {direction}");
            checks.equal(&what, scenario.rise(scrapes, BYTES, &labels), want);
            // Rule 21: each byte has one outcome.
            let what = format!("{name}'s payload, {direction}");
            checks.equal(&what, scenario.rise(scrapes, PAYLOAD, &labels), want);
        }
        // nginx's processes also hold Unix sockets to each other.
        let tcp = [pid, ("transport", "tcp")];
        let opened = flooded.sum("sockmeter_connections_opened_total", &tcp)
            + flooded.sum("sockmeter_connections_adopted_total", &tcp);
        checks.equal(&format!("{name}'s connections"), opened, 8.0);
        let active = flooded.sum("sockmeter_connections_active", &tcp);
        checks.equal(&format!("{name}'s open connections"), active, 0.0);
        for gauge in ["http_server_active_requests", "http_client_active_requests"] {
            checks.equal(&format!("{name}, {gauge}"), flooded.sum(gauge, &[pid]), 0.0);
        }
        let counted = flooded.sum(SERVED, &[pid]) + flooded.sum(ASKED, &[pid]);
        checks.between(&format!("{name}'s requests"), counted, 0.0, 2000.0);
    }
}

#[test]
fn rule_21_requests_made_are_requests_counted_and_requests_counted_as_lost() {
    let scenario = scenario();
    let mut checks = Checks::default();
    let scrapes = ["hundred-before", "hundred"];
    let report = scenario.text("ab");
    let of_report = |line: &str| {
        let found = report.lines().find_map(|text| text.strip_prefix(line));
        found.unwrap().trim().parse::<f64>().unwrap()
    };
    let made = of_report("Complete requests:");
    checks.equal("requests that ab made", made, 100_000.0);
    checks.equal("failed ones", of_report("Failed requests:"), 0.0);
    let [before, after] = scrapes.map(|name| {
        let [_, _, requests] = stub_status(&scenario.text(&format!("{name}.stub")));
        requests
    });
    checks.equal("nginx's own count", after - before - 1.0, made);
    for (name, metric, of_curl) in [("nginx", SERVED, 2.0), ("ab", ASKED, 0.0)] {
        let pid = [("process_executable_name", name)];
        let counted = scenario.rise(scrapes, metric, &pid);
        let lost = scenario.rise(scrapes, UNANSWERED, &pid);
        checks.equal(
            &format!("{name}'s requests"),
            counted + lost,
            made + of_curl,
        );
        checks.between(&format!("{name}'s counted ones"), counted, 1.0, made);
        checks.between(&format!("{name}'s lost ones"), lost, made / 10.0, made);
        let unpaired = scenario.rise(scrapes, "sockmeter_requests_unpaired_total", &pid);
        checks.equal(&format!("{name}'s unpaired answers"), unpaired, 0.0);
        let [bytes, payload] = [BYTES, PAYLOAD].map(|metric| scenario.rise(scrapes, metric, &pid));
        checks.equal(&format!("{name}'s bytes"), payload, bytes);
    }
}

#[test]
fn a_socket_that_outlives_its_connection_counts_once() {
    let scenario = scenario();
    let mut checks = Checks::default();
    let shell = [("process_executable_name", "bash"), ("role", "client")];
    for scrape in ["ring-before", "flooded"] {
        let scrape = scenario.scrape(scrape);
        for (metric, want) in [
            ("sockmeter_connections_opened_total", 1.0),
            ("sockmeter_connections_adopted_total", 0.0),
            ("sockmeter_connections_active", 0.0),
            (BYTES, 7.0),
        ] {
            checks.equal(metric, scrape.sum(metric, &shell), want);
        }
    }
}

#[test]
fn counting_is_exact_again_after_a_flood() {
    let scenario = scenario();
    let mut checks = Checks::default();
    let want = BTreeMap::from([("201".to_owned(), 10.0)]);
    for (name, metric) in [("nginx", SERVED), ("calm", ASKED)] {
        let labels = [("process_pid", scenario.pid(name)), (STATUS, "201")];
        let rise = scenario.rise_by(STATUS, ["flooded", "calm"], metric, &labels);
        checks.equal(&format!("{name}'s requests"), &rise, &want);
    }
}

#[test]
fn a_full_table_counts_what_it_does_not_follow() {
    let scenario = scenario();
    let mut checks = Checks::default();
    let driver = scenario.driver("many");
    let table = scenario.scrape("table");
    let refused = [("reason", "connection_table_full")];
    let refused = table.sum("sockmeter_records_lost_total", &refused);
    checks.between("calls without a place", refused, 1.0, f64::INFINITY);
    let bytes = |name| table.sum(BYTES, &[("process_pid", scenario.pid(name))]);
    let followed = bytes("nginx") + bytes("many");
    let both_ends = 2.0 * (driver.sent + driver.received);
    checks.between("followed bytes", followed, 1.0, both_ends - 1.0);
    // Whoever scraped may have had no place either.
    let untracked = table.sum("sockmeter_untracked_bytes_total", &[]);
    checks.between("all bytes", followed + untracked, both_ends, f64::INFINITY);
}

#[test]
fn a_slot_that_is_used_again_is_captured_again() {
    let scenario = scenario();
    let mut checks = Checks::default();
    let driver = scenario.driver("reused");
    checks.equal("the driver's own count", driver.requests, 200.0);
    let scrapes = ["slots-before", "slots"];
    for (name, metric) in [("nginx", SERVED), ("reused", ASKED)] {
        let labels = [("process_pid", scenario.pid(name))];
        let rise = scenario.rise_by(STATUS, scrapes, metric, &labels);
        checks.equal(&format!("{name}'s requests"), &rise, &driver.statuses);
        let lost = [labels[0], ("outcome", "lost")];
        checks.equal(
            &format!("{name}'s lost bytes"),
            scenario.rise(scrapes, PAYLOAD, &lost),
            0.0,
        );
    }
}
