//! One end of a case: what it says that it did, and what the agent made of that.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::scrape::{Labels, Scrape};

const BYTES: &str = "sockmeter_socket_bytes_total";
const PAYLOAD: &str = "sockmeter_payload_bytes_total";
const UNANSWERED: &str = "sockmeter_requests_unanswered_total";
const UNPAIRED: &str = "sockmeter_requests_unpaired_total";

/// Allowed between two clocks' readings of one sum of durations: a share, and an absolute part for each
/// request, because the emulated machine may pause between a call's end and the process's look at the clock.
const DURATION_SHARE: f64 = 0.05;
const DURATION_SECONDS: f64 = 0.004;

/// Counts by status; answers that broke off have `truncated` behind it.
type Statuses = BTreeMap<String, f64>;

/// What an end's process says of itself.
pub(crate) struct Said {
    pid: String,
    role: &'static str,
    pub(crate) fault: Option<String>,
    pub(crate) unsupported: Option<String>,
    statuses: Statuses,
    sent: f64,
    received: f64,
    /// Of those that did not break off.
    seconds: Vec<f64>,
}

impl Said {
    /// From the last line that the end wrote.
    pub(crate) fn parse(role: &'static str, text: &str) -> Self {
        let line = text.lines().last().unwrap_or_default();
        let said: Value = serde_json::from_str(line)
            .unwrap_or_else(|why| panic!("the {role} said nothing of itself ({why}): {text:?}"));
        let word = |name: &str| said[name].as_str().map(str::to_owned);
        let mut statuses = Statuses::new();
        for (counts, behind) in [("statuses", ""), ("truncated", " truncated")] {
            for (status, count) in said[counts].as_object().unwrap() {
                statuses.insert(format!("{status}{behind}"), count.as_f64().unwrap());
            }
        }
        Self {
            pid: said["pid"].to_string(),
            role,
            fault: word("fault"),
            unsupported: word("unsupported"),
            statuses,
            sent: said["sent"].as_f64().unwrap(),
            received: said["received"].as_f64().unwrap(),
            seconds: said["seconds"]
                .as_array()
                .unwrap()
                .iter()
                .map(|one| one.as_f64().unwrap())
                .collect(),
        }
    }
}

/// What holds of an end, and what the agent says for what does not.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) requests: bool,
    pub(crate) durations: bool,
    pub(crate) bytes: bool,
    /// Each byte has one outcome, nothing is still active, one connection was opened and closed.
    pub(crate) account: bool,
    /// The series that say what was not seen.
    pub(crate) says: BTreeSet<String>,
    /// The differences, for people.
    pub(crate) differences: Vec<String>,
}

impl Verdict {
    fn compare<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, got: T, want: T) -> bool {
        let same = got == want;
        if !same {
            self.differences
                .push(format!("{what}: got {got:?}, want {want:?}"));
        }
        same
    }

    pub(crate) fn is_exact(&self) -> bool {
        self.requests && self.durations && self.bytes && self.account && self.says.is_empty()
    }
}

/// Compares what an end says with a scrape after its process has ended.
pub(crate) fn judge(said: &Said, scrape: &Scrape) -> Verdict {
    let mut verdict = Verdict::default();
    let pid = ("process_pid", said.pid.as_str());
    let duration = format!("http_{}_request_duration_seconds", said.role);

    let statuses = statuses(scrape, &format!("{duration}_count"), &[pid]);
    verdict.requests = verdict.compare("requests", &statuses, &said.statuses);

    let got = scrape.sum(&format!("{duration}_sum"), &[pid])
        - scrape.sum(
            &format!("{duration}_sum"),
            &[pid, ("error_type", "truncated")],
        );
    let want: f64 = said.seconds.iter().sum();
    let allowed = want * DURATION_SHARE + said.seconds.len() as f64 * DURATION_SECONDS;
    verdict.durations = (got - want).abs() <= allowed;
    if !verdict.durations {
        verdict
            .differences
            .push(format!("seconds: got {got}, want {want}"));
    }

    verdict.bytes = true;
    verdict.account = true;
    for (direction, want) in [("transmit", said.sent), ("receive", said.received)] {
        let labels = [pid, ("direction", direction)];
        let bytes = scrape.sum(BYTES, &labels);
        verdict.bytes &= verdict.compare(direction, bytes, want);
        let payload = scrape.sum(PAYLOAD, &labels);
        verdict.account &= verdict.compare(&format!("{direction}: outcomes"), payload, bytes);
        for (outcome, bytes) in scrape.by("outcome", PAYLOAD, &labels) {
            if bytes > 0.0 && !["parsed", "skipped"].contains(&outcome.as_str()) {
                verdict
                    .says
                    .insert(format!("{PAYLOAD}{{outcome=\"{outcome}\"}}"));
            }
        }
    }
    for metric in [UNANSWERED, UNPAIRED] {
        for (reason, count) in scrape.by("reason", metric, &[pid]) {
            if count > 0.0 {
                verdict
                    .says
                    .insert(format!("{metric}{{reason=\"{reason}\"}}"));
                verdict
                    .differences
                    .push(format!("{metric} {reason}: {count}"));
            }
        }
    }
    let active = scrape.sum(&format!("http_{}_active_requests", said.role), &[pid]);
    verdict.account &= verdict.compare("active requests", active, 0.0);
    let role = [pid, ("role", said.role)];
    for (metric, want) in [
        ("sockmeter_connections_active", 0.0),
        ("sockmeter_connections_opened_total", 1.0),
    ] {
        verdict.account &= verdict.compare(metric, scrape.sum(metric, &role), want);
    }
    verdict
}

fn statuses(scrape: &Scrape, metric: &str, labels: Labels) -> Statuses {
    let mut counts = Statuses::new();
    for sample in scrape.samples(metric, labels) {
        let label = |name: &str| sample.labels.get(name).map_or("", String::as_str);
        let behind = if label("error_type") == "truncated" {
            " truncated"
        } else {
            ""
        };
        let status = format!("{}{behind}", label("http_response_status_code"));
        *counts.entry(status).or_default() += sample.value;
    }
    counts
}
