//! Answers that a reset tears up while sendfile() sends them. The script is `tests/guest/torn.sh`.

use crate::checks::Checks;
use crate::scenario::Scenario;

const ANSWERS: f64 = 40.0;
const MODES: [&str; 2] = ["blocking", "nonblocking"];

#[test]
fn every_byte_of_a_torn_answer_is_counted() {
    let scenario = Scenario::of("torn");
    let mut checks = Checks::default();
    let scrape = scenario.scrape("torn");
    for mode in MODES {
        let text = scenario.text(&format!("{mode}.bytes"));
        let told: Vec<f64> = text
            .split_whitespace()
            .map(|sum| sum.parse().unwrap())
            .collect();
        for (direction, bytes) in ["receive", "transmit"].into_iter().zip(told) {
            let labels = [
                ("process_pid", scenario.pid(mode)),
                ("role", "server"),
                ("direction", direction),
            ];
            let counted = scrape.sum("sockmeter_socket_bytes_total", &labels);
            checks.equal(&format!("{mode}: {direction}"), counted, bytes);
        }
    }
    checks.equal("lost", scrape.sum("sockmeter_records_lost_total", &[]), 0.0);
}

#[test]
fn a_torn_answer_is_truncated() {
    let scenario = Scenario::of("torn");
    let mut checks = Checks::default();
    let scrape = scenario.scrape("torn");
    for mode in MODES {
        let pid = scenario.pid(mode);
        let truncated = [
            ("process_pid", pid),
            ("http_response_status_code", "200"),
            ("error_type", "truncated"),
        ];
        let truncated = scrape.sum("http_server_request_duration_seconds_count", &truncated);
        let served = [("process_pid", pid), ("role", "server")];
        let unanswered = scrape.sum("sockmeter_requests_unanswered_total", &served);
        checks.equal(&format!("{mode}: answers"), truncated + unanswered, ANSWERS);
        // A reset may come while a call sends the first page of a sendfile(), at whose entry no program runs: then it
        // is not known by the connection's end what that call was about to tell.
        checks.between(
            &format!("{mode}: truncated"),
            truncated,
            ANSWERS - 5.0,
            ANSWERS,
        );
    }
}
