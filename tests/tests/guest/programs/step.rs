//! One step of a scenario: what a server, its clients and sockmeter say of it.

use super::account::{Curl, Line, Requests, lines, requests};
use crate::checks::Checks;
use crate::scenario::Scenario;
use crate::scrape::{Labels, Scrape};

pub(crate) const SERVER: &str = "http_server_request_duration_seconds";
pub(crate) const CLIENT: &str = "http_client_request_duration_seconds";
const OPENED: &str = "sockmeter_connections_opened_total";
const ADOPTED: &str = "sockmeter_connections_adopted_total";
const BYTES: &str = "sockmeter_socket_bytes_total";
const PAYLOAD: &str = "sockmeter_payload_bytes_total";

/// A step of `ask` or `load` (`tests/guest/programs/ask.sh`).
pub(crate) struct Step {
    pub(crate) scenario: Scenario,
    pub(crate) checks: Checks,
    name: &'static str,
    before: String,
}

impl Step {
    pub(crate) fn of(scenario: &str, name: &'static str) -> Self {
        Self {
            scenario: Scenario::of(scenario),
            checks: Checks::default(),
            name,
            before: format!("{name}-before"),
        }
    }

    fn scrapes(&self) -> [&str; 2] {
        [&self.before, self.name]
    }

    pub(crate) fn after(&self) -> Scrape {
        self.scenario.scrape(self.name)
    }

    /// What a server wrote in this step.
    pub(crate) fn account(&self, server: &str) -> Vec<Line> {
        lines(&self.scenario.text(&format!("{}.{server}", self.name)))
    }

    /// By how much a process's sum rose.
    pub(crate) fn rise(&self, process: &str, metric: &str, labels: Labels) -> f64 {
        let mut all = vec![("process_pid", self.scenario.pid(process))];
        all.extend_from_slice(labels);
        self.scenario.rise(self.scrapes(), metric, &all)
    }

    /// A process's requests by method and status.
    pub(crate) fn counted(&self, process: &str, histogram: &str) -> Requests {
        let own = [("process_pid", self.scenario.pid(process))];
        let count = format!("{histogram}_count");
        let mut counted = Requests::new();
        for (scrape, sign) in [(&*self.before, -1.0), (self.name, 1.0)] {
            for sample in self.scenario.scrape(scrape).samples(&count, &own) {
                let label = |name| sample.labels.get(name).cloned().unwrap_or_default();
                let key = (
                    label("http_request_method"),
                    label("http_response_status_code"),
                );
                *counted.entry(key).or_default() += sign * sample.value;
            }
        }
        counted.retain(|_, count| *count != 0.0);
        counted
    }

    /// curl's account of this step; each of its two runs agrees with the series of its own process.
    pub(crate) fn curl(&mut self) -> Curl {
        let mut all = Curl::default();
        for (run, scrape) in [
            ("curl", format!("{}-curl", self.name)),
            ("many", self.name.to_owned()),
        ] {
            let name = format!("{}.{run}", self.name);
            let curl = Curl::parse(
                &self.scenario.text(&name),
                &self.scenario.text(&format!("{name}.bytes")),
            );
            let own = [("process_pid", self.scenario.pid(&name))];
            let scrape = self.scenario.scrape(&scrape);
            let sum = |metric, labels: Labels| scrape.sum(metric, &[&own[..], labels].concat());
            let sent = sum(BYTES, &[("direction", "transmit")]);
            self.checks.equal(&format!("{run}, sent"), sent, curl.sent);
            let received = sum(BYTES, &[("direction", "receive")]);
            self.checks
                .equal(&format!("{run}, received"), received, curl.received);
            let mut counted = Requests::new();
            for sample in scrape.samples(&format!("{CLIENT}_count"), &own) {
                let key = ["http_request_method", "http_response_status_code"]
                    .map(|label| sample.labels[label].clone());
                *counted.entry(key.into()).or_default() += sample.value;
            }
            self.checks
                .equal(&format!("{run}, requests"), &counted, &curl.requests);
            for metric in UNSETTLED {
                self.checks
                    .equal(&format!("{run}, {metric}"), sum(metric, &[]), 0.0);
            }
            all = all.and(curl);
        }
        all
    }

    /// What holds for every server that `ask` asked: its requests are those of its own account and of curl's, and its
    /// bytes are curl's.
    pub(crate) fn agrees_with_curl(&mut self, server: &str) {
        let curl = self.curl();
        let counted = self.counted(server, SERVER);
        self.checks
            .equal("requests, by curl", &counted, &curl.requests);
        let account = requests(&self.account(server));
        self.checks
            .equal("requests, by its account", &counted, &account);
        self.checks.equal("requests", counted.values().sum(), 38.0);
        for (direction, want) in [("receive", curl.sent), ("transmit", curl.received)] {
            let got = self.bytes(server, "server", direction);
            self.checks.equal(direction, got, want);
        }
    }

    /// The bytes of the server's own account.
    pub(crate) fn agrees_with_logged_bytes(&mut self, server: &str) {
        let [received, sent] = self.logged_bytes(server);
        for (direction, want) in [("receive", received), ("transmit", sent)] {
            let got = self.bytes(server, "server", direction);
            let what = format!("{direction}, logged");
            self.checks.equal(&what, got, want);
        }
    }

    /// The same of Apache, whose `%I` counts one byte too many for a request that waits already when the one before
    /// is answered: of three requests of 29 bytes in one write the second and the third are logged with 30.
    pub(crate) fn agrees_with_apaches_bytes(&mut self, server: &str) {
        let [received, sent] = self.logged_bytes(server);
        let got = self.bytes(server, "server", "transmit");
        self.checks.equal("transmit, logged", got, sent);
        let got =
            self.bytes(server, "server", "receive") + self.bytes(server, "unknown", "receive");
        let looks = self.account(server).len() as f64;
        self.checks
            .between("receive, logged", got, received - looks, received);
    }

    /// Received and sent, by the server's account.
    fn logged_bytes(&self, server: &str) -> [f64; 2] {
        let account = self.account(server);
        let sum = |of: fn(&Line) -> Option<f64>| account.iter().filter_map(of).sum::<f64>();
        [sum(|line| line.received), sum(|line| line.sent)]
    }

    pub(crate) fn bytes(&self, process: &str, role: &str, direction: &str) -> f64 {
        self.rise(process, BYTES, &[("role", role), ("direction", direction)])
    }

    /// Connections that a process made or accepted, and those of which sockmeter did not see that.
    pub(crate) fn connections(&self, process: &str, role: &str) -> [f64; 2] {
        [
            self.rise(process, OPENED, &[("role", role)]),
            self.rise(process, ADOPTED, &[]),
        ]
    }

    /// Nothing is open or lost, and every byte has an outcome.
    pub(crate) fn is_settled(&mut self, process: &str) {
        self.has_ended(process);
        let own = [
            ("process_pid", self.scenario.pid(process)),
            ("outcome", "lost"),
        ];
        let lost = self.after().sum(PAYLOAD, &own);
        self.checks.equal(&format!("{process}, lost"), lost, 0.0);
    }

    /// Nothing is open, and every byte has an outcome.
    pub(crate) fn has_ended(&mut self, process: &str) {
        let scrape = self.after();
        let own = [("process_pid", self.scenario.pid(process))];
        for metric in UNSETTLED {
            let sum = scrape.sum(metric, &own);
            self.checks.equal(&format!("{process}, {metric}"), sum, 0.0);
        }
        let served = [own[0], ("role", "server")];
        let open = scrape.sum("sockmeter_connections_active", &served);
        self.checks
            .equal(&format!("{process}, connections"), open, 0.0);
        for direction in ["receive", "transmit"] {
            let labels = [own[0], ("direction", direction)];
            let what = format!("{process}, {direction}, outcomes");
            self.checks.equal(
                &what,
                scrape.sum(PAYLOAD, &labels),
                scrape.sum(BYTES, &labels),
            );
        }
        let lost = scrape.sum("sockmeter_records_lost_total", &[]);
        self.checks.equal("records lost", lost, 0.0);
    }

    /// The time of the uploads, one of which is slow, by the server's account in units of `unit` seconds. It may
    /// begin to count later, by the read of the head, and end later, by its log's line.
    pub(crate) fn uploads_took_as_logged(&mut self, server: &str, unit: f64) {
        let account = self.account(server);
        let uploads: Vec<f64> = account
            .iter()
            .filter(|line| line.method == "POST")
            .map(|line| line.time.unwrap() * unit)
            .collect();
        let want: f64 = uploads.iter().sum();
        let labels = [("http_request_method", "POST")];
        let got = self.rise(server, &format!("{SERVER}_sum"), &labels);
        let slack = want * 0.05 + uploads.len() as f64 * 0.01;
        self.checks
            .between("seconds of uploads", got, want - slack, want + slack);
        self.checks
            .that(want > 0.7, || format!("no upload was slow: {uploads:?}"));
    }
}

const UNSETTLED: [&str; 4] = [
    "sockmeter_requests_unanswered_total",
    "sockmeter_requests_unpaired_total",
    "http_server_active_requests",
    "http_client_active_requests",
];
