//! Whose a connection is (rules 16, 17, 18, 21). The script is `tests/guest/who.sh`.

mod report;

use std::collections::BTreeSet;

use crate::checks::Checks;
use crate::scenario::Scenario;
use crate::scrape::Scrape;
use report::Program;

const SERVED: &str = "http_server_request_duration_seconds_count";
const ASKED: &str = "http_client_request_duration_seconds_count";
const SERVING: &str = "http_server_active_requests";
const ASKING: &str = "http_client_active_requests";
const ACTIVE: &str = "sockmeter_connections_active";
const OPENED: &str = "sockmeter_connections_opened_total";
const BYTES: &str = "sockmeter_socket_bytes_total";
const PAYLOAD: &str = "sockmeter_payload_bytes_total";
const UNANSWERED: &str = "sockmeter_requests_unanswered_total";

fn scenario() -> Scenario {
    Scenario::of("who")
}

/// A scrape, what the processes themselves had done by then, and the differences.
struct Case {
    scrape: Scrape,
    programs: std::collections::BTreeMap<String, Program>,
    checks: Checks,
}

impl Case {
    fn of(scrape: &str) -> Self {
        let scenario = scenario();
        Self {
            scrape: scenario.scrape(scrape),
            programs: report::at(&scenario, scrape),
            checks: Checks::default(),
        }
    }

    fn program(&self, name: &str) -> &Program {
        let program = self.programs.get(name);
        program.unwrap_or_else(|| panic!("{name} reported nothing"))
    }

    /// A sum over the series of one program. Its name is asked for as well: pids are used again.
    fn sum(&self, name: &str, metric: &str, more: &[(&str, &str)]) -> f64 {
        let mut labels = vec![
            ("process_pid", self.program(name).pid.as_str()),
            ("service_name", name),
        ];
        labels.extend_from_slice(more);
        self.scrape.sum(metric, &labels)
    }

    /// Everything that these programs counted is what the scrape says of them, and every byte has an outcome.
    fn agree(&mut self, names: &[&str]) {
        for name in names {
            let Program { server, client, .. } = self.program(name).clone();
            for (role, counts, requests) in [("server", server, SERVED), ("client", client, ASKED)]
            {
                for (what, metric, labels, want) in [
                    ("requests", requests, vec![], counts.requests),
                    ("opened", OPENED, vec![("role", role)], counts.opened),
                    (
                        "received",
                        BYTES,
                        vec![("role", role), ("direction", "receive")],
                        counts.received,
                    ),
                    (
                        "sent",
                        BYTES,
                        vec![("role", role), ("direction", "transmit")],
                        counts.sent,
                    ),
                ] {
                    let got = self.sum(name, metric, &labels);
                    self.checks
                        .equal(&format!("{name}, {role}, {what}"), got, want);
                }
            }
            self.balance(name, server.received + client.received, "receive");
            self.balance(name, server.sent + client.sent, "transmit");
        }
    }

    /// The outcomes of a program's bytes add up to what it counted.
    fn balance(&mut self, name: &str, want: f64, direction: &str) {
        let got = self.sum(name, PAYLOAD, &[("direction", direction)]);
        let what = format!("{name}, {direction}, outcomes together");
        self.checks.equal(&what, got, want);
    }

    /// So many connections of a role are open, and so many requests under way.
    fn open(&mut self, name: &str, role: &str, connections: f64, requests: f64) {
        let got = self.sum(name, ACTIVE, &[("role", role)]);
        let what = format!("{name}, {role}, connections open");
        self.checks.equal(&what, got, connections);
        let metric = if role == "server" { SERVING } else { ASKING };
        let got = self.sum(name, metric, &[]);
        let what = format!("{name}, {role}, requests under way");
        self.checks.equal(&what, got, requests);
    }

    /// Nothing of it was counted for a process that did nothing.
    fn nothing_elsewhere(&mut self) {
        let known: BTreeSet<(&str, &str)> = self
            .programs
            .iter()
            .map(|(name, program)| (name.as_str(), program.pid.as_str()))
            .collect();
        for executable in ["holder", "other", "unknown"] {
            for metric in [SERVED, ASKED, BYTES, PAYLOAD, OPENED, UNANSWERED] {
                let labels = [("process_executable_name", executable)];
                for sample in self.scrape.samples(metric, &labels) {
                    let label = |name: &str| sample.labels.get(name).map_or("", String::as_str);
                    let whose = (label("service_name"), label("process_pid"));
                    self.checks.that(known.contains(&whose), || {
                        format!("{metric} of {whose:?}: {}", sample.value)
                    });
                }
            }
        }
    }
}

#[test]
fn rule_17_both_ends_of_a_loopback_connection_count_apart() {
    let mut case = Case::of("families");
    for family in ["4", "6", "mapped", "mapped-client"] {
        let (server, client) = (format!("server-{family}"), format!("client-{family}"));
        case.agree(&[&server, &client]);
        case.open(&server, "server", 1.0, 0.0);
        case.open(&client, "client", 1.0, 0.0);
        case.open(&server, "client", 0.0, 0.0);
        case.open(&client, "server", 0.0, 0.0);
        let asked = case.program(&client).client.requests;
        case.checks.equal("it asked itself", asked, 7.0);
    }
    case.nothing_elsewhere();
}

#[test]
fn probe() {
    let scenario = scenario();
    for line in scenario.text("who.jsonl").lines() {
        if !line.contains("scrape") {
            continue;
        }
    }
}
