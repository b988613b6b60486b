//! nginx and a driver on aarch64, with the agent attached in each way. The script is `tests/guest/aarch64.sh`.

use std::collections::{BTreeMap, BTreeSet};

use crate::checks::Checks;
use crate::scenario::Scenario;
use crate::truth::{access_log, count_by};

const SERVED: &str = "http_server_request_duration_seconds_count";
const ASKED: &str = "http_client_request_duration_seconds_count";
const ACTIVE: &str = "sockmeter_connections_active";
const BYTES: &str = "sockmeter_socket_bytes_total";
const STATUS: &str = "http_response_status_code";

/// A way in which one of the guests had the agent attached.
struct Case {
    scenario: Scenario,
    way: &'static str,
}

impl Case {
    /// Linux 6.1 attaches to no function by trampolines there, which the agent has to find out.
    fn auto_6_1() -> Self {
        Self::new("6.1", "auto")
    }

    fn tracepoint_6_1() -> Self {
        Self::new("6.1", "tracepoint")
    }

    fn auto_6_12() -> Self {
        Self::new("6.12", "auto")
    }

    fn new(kernel: &str, way: &'static str) -> Self {
        let ways = if kernel == "6.1" {
            "auto tracepoint"
        } else {
            "auto"
        };
        let scenario = Scenario::on_aarch64(kernel, ways);
        let (release, machine) = {
            let text = scenario.text("kernel");
            let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
            (words[0].clone(), words[1].clone())
        };
        let mut checks = Checks::default();
        checks.equal("the guest's machine", machine.as_str(), "aarch64");
        checks.that(release.starts_with(&format!("{kernel}.")), || {
            format!("its kernel is {release}")
        });
        drop(checks);
        Self { scenario, way }
    }

    fn name(&self, part: &str) -> String {
        format!("{}-{part}", self.way)
    }

    /// The two scrapes between which a driver worked.
    fn around(&self, driver: &str) -> [String; 2] {
        let before = if driver == "kept" {
            "started"
        } else {
            "closed"
        };
        [self.name(before), self.name(driver)]
    }

    /// What rose at both ends, and what nginx logged, is what the drivers counted, by status.
    fn requests(&self) {
        let mut checks = Checks::default();
        let nginx = [("process_pid", self.scenario.pid("nginx"))];
        let mut asked_in_all: BTreeMap<String, f64> = BTreeMap::new();
        for (name, requests) in [("kept", 400.0), ("fresh", 120.0)] {
            let driver = self.scenario.driver(&self.name(name));
            let scrapes = self.around(name);
            let scrapes = scrapes.each_ref().map(String::as_str);
            checks.equal(
                &format!("{name}: the driver's own count"),
                driver.requests,
                requests,
            );
            let served = self.scenario.rise_by(STATUS, scrapes, SERVED, &nginx);
            checks.equal(&format!("{name}: served"), &served, &driver.statuses);
            let own = [("process_pid", driver.pid.as_str())];
            let asked = self.scenario.rise_by(STATUS, scrapes, ASKED, &own);
            checks.equal(&format!("{name}: asked"), &asked, &driver.statuses);
            for (status, count) in driver.statuses {
                *asked_in_all.entry(status).or_default() += count;
            }
        }
        let log = access_log(&self.scenario.text(&format!("{}.access", self.way)));
        let logged = count_by(&log, |request| &request.status);
        checks.equal("nginx's own log", logged, asked_in_all);
        let last = self.scenario.scrape(&self.name("fresh"));
        let lost = last.sum("sockmeter_records_lost_total", &[]);
        checks.equal("records lost", lost, 0.0);
    }

    /// At both ends, in both directions.
    fn bytes(&self) {
        let mut checks = Checks::default();
        for name in ["kept", "fresh"] {
            let mut driver = self.scenario.driver(&self.name(name));
            if name == "kept" {
                // It did nothing else between the scrapes.
                driver = self.scenario.driver_commands(&self.name(name), "get 400");
            }
            let scrapes = self.around(name);
            let scrapes = scrapes.each_ref().map(String::as_str);
            checks.that(driver.sent > 0.0, || format!("{name} sent nothing"));
            for (pid, role, sent, received) in [
                (driver.pid.as_str(), "client", "transmit", "receive"),
                (self.scenario.pid("nginx"), "server", "receive", "transmit"),
            ] {
                for (direction, want) in [(sent, driver.sent), (received, driver.received)] {
                    let labels = [
                        ("process_pid", pid),
                        ("role", role),
                        ("direction", direction),
                    ];
                    let got = self.scenario.rise(scrapes, BYTES, &labels);
                    checks.equal(&format!("{name}, {role}, {direction}"), got, want);
                }
            }
        }
    }

    /// The gauge is what the kernel lists; adopted and opened connections are told apart.
    fn connections(&self) {
        let mut checks = Checks::default();
        let kept = self.name("kept");
        for (name, role) in [("nginx", "server"), (kept.as_str(), "client")] {
            let labels = [("process_pid", self.scenario.pid(name)), ("role", role)];
            let mut equal = |scrape: &str, metric: &str, want: f64| {
                let got = self
                    .scenario
                    .scrape(&self.name(scrape))
                    .sum(metric, &labels);
                checks.equal(&format!("{name}, {scrape}, {metric}"), got, want);
            };
            equal("started", ACTIVE, 4.0);
            equal("kept", ACTIVE, self.scenario.number(&self.name("kept.ss")));
            equal("kept", ACTIVE, 8.0);
            equal("kept", "sockmeter_connections_adopted_total", 4.0);
            equal("kept", "sockmeter_connections_opened_total", 4.0);
            equal("closed", ACTIVE, 0.0);
        }
        let nginx = [
            ("process_pid", self.scenario.pid("nginx")),
            ("role", "server"),
        ];
        let opened = self.scenario.rise(
            [&self.name("closed"), &self.name("fresh")],
            "sockmeter_connections_opened_total",
            &nginx,
        );
        checks.equal("opened for 100 requests, and two more", opened, 102.0);
    }

    /// By what TCP's bytes are followed, and that what is essential is attached and was let go again.
    fn attached_by(&self, wanted: &[&str]) {
        let mut checks = Checks::default();
        let scrape = self.scenario.scrape(&self.name("fresh"));
        let of_bytes = [("family", "socket_io")];
        let attached: BTreeSet<&str> = scrape
            .samples("sockmeter_probe_attached", &of_bytes)
            .filter(|probe| probe.value == 1.0)
            .filter_map(|probe| probe.labels.get("kind").map(String::as_str))
            .collect();
        checks.equal("kinds", attached, wanted.iter().copied().collect());
        let health = self.scenario.json(&format!("{}.health", self.way));
        checks.equal("health", health["status"].as_str(), Some("ok"));
        let code = self.scenario.number(&format!("{}.code", self.way));
        checks.equal("the agent's exit code", code, 0.0);
    }
}

macro_rules! cases {
    ($($case:ident by $kinds:expr;)*) => {
        $(
            mod $case {
                use super::Case;

                #[test]
                #[ignore = "runs aarch64 programs: `cargo xtask test --arch aarch64` builds them"]
                fn attached_by_what_the_kernel_offers() {
                    Case::$case().attached_by(&$kinds);
                }

                #[test]
                #[ignore = "runs aarch64 programs: `cargo xtask test --arch aarch64` builds them"]
                fn requests_are_what_drivers_and_nginx_counted() {
                    Case::$case().requests();
                }

                #[test]
                #[ignore = "runs aarch64 programs: `cargo xtask test --arch aarch64` builds them"]
                fn bytes_are_what_the_drivers_sent_and_received() {
                    Case::$case().bytes();
                }

                #[test]
                #[ignore = "runs aarch64 programs: `cargo xtask test --arch aarch64` builds them"]
                fn connections_are_what_the_kernel_lists() {
                    Case::$case().connections();
                }
            }
        )*
    };
}

cases! {
    auto_6_1 by ["kprobe", "kretprobe", "raw_tp"];
    tracepoint_6_1 by ["raw_tp"];
    auto_6_12 by ["fentry", "fexit"];
}
