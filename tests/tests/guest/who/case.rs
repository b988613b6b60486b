//! A scrape against what the processes of the scenario counted by then.

use std::collections::{BTreeMap, BTreeSet};

use super::report::{self, Program};
use super::scenario;
use crate::checks::Checks;
use crate::scrape::Scrape;

const SERVED: &str = "http_server_request_duration_seconds_count";
const ASKED: &str = "http_client_request_duration_seconds_count";
const SERVING: &str = "http_server_active_requests";
const ASKING: &str = "http_client_active_requests";
const ACTIVE: &str = "sockmeter_connections_active";
pub(super) const OPENED: &str = "sockmeter_connections_opened_total";
const BYTES: &str = "sockmeter_socket_bytes_total";
pub(super) const PAYLOAD: &str = "sockmeter_payload_bytes_total";
const UNPAIRED: &str = "sockmeter_requests_unpaired_total";
const UNANSWERED: &str = "sockmeter_requests_unanswered_total";

/// A scrape, what the processes themselves had done by then, and the differences.
pub(super) struct Case {
    pub(super) scrape: Scrape,
    programs: BTreeMap<String, Program>,
    pub(super) checks: Checks,
}

impl Case {
    pub(super) fn of(scrape: &str) -> Self {
        let scenario = scenario();
        Self {
            scrape: scenario.scrape(scrape),
            programs: report::at(&scenario, scrape),
            checks: Checks::default(),
        }
    }

    pub(super) fn program(&self, name: &str) -> &Program {
        let program = self.programs.get(name);
        program.unwrap_or_else(|| panic!("{name} reported nothing"))
    }

    /// A sum over the series of one program. Its name is asked for as well: pids are used again.
    pub(super) fn sum(&self, name: &str, metric: &str, more: &[(&str, &str)]) -> f64 {
        let mut labels = vec![
            ("process_pid", self.program(name).pid.as_str()),
            ("service_name", name),
        ];
        labels.extend_from_slice(more);
        self.scrape.sum(metric, &labels)
    }

    /// Everything that these programs counted is what the scrape says of them, and every byte has an outcome.
    pub(super) fn agree(&mut self, names: &[&str]) {
        for name in names {
            let program = self.program(name).clone();
            self.agrees(name, &program);
        }
    }

    pub(super) fn agrees(&mut self, name: &str, program: &Program) {
        let Program { server, client, .. } = program;
        for (role, counts, requests) in [("server", server, SERVED), ("client", client, ASKED)] {
            for (what, metric, labels, want) in [
                ("requests", requests, &[][..], counts.requests),
                ("opened", OPENED, &[("role", role)], counts.opened),
                (
                    "received",
                    BYTES,
                    &[("role", role), ("direction", "receive")],
                    counts.received,
                ),
                (
                    "sent",
                    BYTES,
                    &[("role", role), ("direction", "transmit")],
                    counts.sent,
                ),
            ] {
                let got = self.sum(name, metric, labels);
                let what = format!("{name}, {role}, {what}");
                self.checks.equal(&what, got, want);
            }
        }
        for (direction, want) in [
            ("receive", server.received + client.received),
            ("transmit", server.sent + client.sent),
        ] {
            let got = self.sum(name, PAYLOAD, &[("direction", direction)]);
            let what = format!("{name}, {direction}, outcomes together");
            self.checks.equal(&what, got, want);
        }
        for (metric, labels) in [
            (PAYLOAD, &[("outcome", "lost")][..]),
            (UNANSWERED, &[]),
            (UNPAIRED, &[]),
        ] {
            let got = self.sum(name, metric, labels);
            self.checks.equal(&format!("{name}, {metric}"), got, 0.0);
        }
    }

    /// So many connections are open with the program as server and as client.
    pub(super) fn open(&mut self, name: &str, [server, client]: [f64; 2]) {
        for (role, want) in [("server", server), ("client", client)] {
            let got = self.sum(name, ACTIVE, &[("role", role)]);
            let what = format!("{name}, {role}, connections open");
            self.checks.equal(&what, got, want);
        }
    }

    /// So many requests are under way with the program as server and as client.
    pub(super) fn under_way(&mut self, name: &str, [server, client]: [f64; 2]) {
        for (metric, want) in [(SERVING, server), (ASKING, client)] {
            let got = self.sum(name, metric, &[]);
            self.checks.equal(&format!("{name}, {metric}"), got, want);
        }
    }

    /// Nothing is open or under way with these programs any more.
    pub(super) fn over(&mut self, names: &[&str]) {
        for name in names {
            self.open(name, [0.0; 2]);
            self.under_way(name, [0.0; 2]);
        }
    }

    pub(super) fn served(&mut self, name: &str, want: f64) {
        let got = self.program(name).server.requests;
        self.checks
            .equal(&format!("{name} itself counted"), got, want);
    }

    pub(super) fn unknown(&self) -> f64 {
        let labels = [("service_name", "unknown"), ("role", "server")];
        self.scrape.sum(ACTIVE, &labels)
    }

    /// Nothing of the scenario was counted for anybody who did nothing, no gauge is negative, no record was lost.
    pub(super) fn nothing_elsewhere(&mut self) {
        let programs = self.programs.iter();
        let known: BTreeSet<(&str, &str)> = programs
            .map(|(name, program)| (name.as_str(), program.pid.as_str()))
            .collect();
        for executable in ["holder", "other", "unknown"] {
            for metric in [SERVED, ASKED, BYTES, PAYLOAD, OPENED, UNANSWERED, UNPAIRED] {
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
        for metric in [ACTIVE, SERVING, ASKING] {
            for sample in self.scrape.samples(metric, &[]) {
                self.checks
                    .that(sample.value >= 0.0, || format!("below zero: {sample:?}"));
            }
        }
        for metric in [
            "sockmeter_records_lost_total",
            "sockmeter_probe_missed_total",
        ] {
            let got = self.scrape.sum(metric, &[]);
            self.checks.equal(metric, got, 0.0);
        }
    }
}
