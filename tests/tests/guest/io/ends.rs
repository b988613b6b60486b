//! One end of a case: what it says that it did, and what the agent made of that.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::scrape::{Labels, Scrape};

const BYTES: &str = "sockmeter_socket_bytes_total";
const PAYLOAD: &str = "sockmeter_payload_bytes_total";
const UNANSWERED: &str = "sockmeter_requests_unanswered_total";
const UNPAIRED: &str = "sockmeter_requests_unpaired_total";

/// What the sum of some clock readings is off by, because they are written as decimal numbers.
const ROUNDING_SECONDS: f64 = 1e-5;

/// Counts by status; answers that broke off have `truncated` behind it.
type Statuses = BTreeMap<String, f64>;

/// What an end's process says of itself.
pub(crate) struct Said {
    pid: String,
    role: &'static str,
    pub(crate) fault: Option<String>,
    pub(crate) unsupported: Option<String>,
    statuses: Statuses,
    pub(crate) sent: f64,
    pub(crate) received: f64,
    /// Of the exchanges that did not break off, in order: see the program `io`.
    times: Vec<Vec<f64>>,
}

impl Said {
    /// From the last line that the end wrote.
    pub(crate) fn parse(role: &'static str, text: &str) -> Self {
        let line = text.lines().last().unwrap_or_default();
        let said: Value = serde_json::from_str(line)
            .ok()
            .filter(Value::is_object)
            .unwrap_or_else(|| panic!("the {role} did not say what it did: {text:?}"));
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
            times: serde_json::from_value(said["times"].clone()).unwrap(),
        }
    }
}

/// Between what bounds the sum of an end's durations must be. The calls' own times, which the agent takes,
/// lie between the ends' looks at the same clock, however long the machine pauses in between.
fn bounds(server: &Said, client: &Said, role: &str) -> [f64; 2] {
    let mut bounds = [0.0, 0.0];
    for (served, asked) in server.times.iter().zip(&client.times) {
        let (&[read, sending, sent], &[asking, answered]) = (served.as_slice(), asked.as_slice())
        else {
            panic!("the ends told other times: {served:?}, {asked:?}");
        };
        bounds[0] += sending - read;
        bounds[1] += if role == "server" { sent } else { answered } - asking;
    }
    bounds
}

/// What holds of an end, and what the agent says for what does not.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) requests: bool,
    pub(crate) durations: bool,
    pub(crate) bytes: bool,
    /// Each byte has one outcome, nothing is still active, one connection was opened and closed.
    pub(crate) account: bool,
    /// Requests that the process has made and the agent has not counted; infinite if it counted some that were not made.
    pub(crate) lacking: f64,
    /// The series that say what was not seen.
    pub(crate) says: BTreeSet<String>,
    /// The differences, for people.
    pub(crate) differences: Vec<String>,
}

impl Verdict {
    fn compare<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, got: T, want: T) -> bool {
        let same = got == want;
        if !same {
            let difference = format!("{what}: got {got:?}, want {want:?}");
            self.differences.push(difference);
        }
        same
    }

    fn say(&mut self, metric: &str, label: &str, value: &str, count: f64) {
        let series = format!("{metric}{{{label}=\"{value}\"}}");
        self.differences.push(format!("{series} {count}"));
        self.says.insert(series);
    }
}

/// Compares what the end `said` says with a scrape after both processes have ended.
pub(crate) fn judge(said: &Said, [server, client]: [&Said; 2], scrape: &Scrape) -> Verdict {
    let mut verdict = Verdict::default();
    let pid = ("process_pid", said.pid.as_str());
    let duration = format!("http_{}_request_duration_seconds", said.role);
    let got = statuses(scrape, &format!("{duration}_count"), &[pid]);
    verdict.requests = verdict.compare("requests", &got, &said.statuses);
    verdict.lacking = lacking(&got, &said.statuses);

    let sum = format!("{duration}_sum");
    let got = scrape.sum(&sum, &[pid]) - scrape.sum(&sum, &[pid, ("error_type", "truncated")]);
    let [least, most] = bounds(server, client, said.role);
    verdict.durations =
        verdict.requests && (least - ROUNDING_SECONDS..=most + ROUNDING_SECONDS).contains(&got);
    if !verdict.durations {
        let difference = format!("seconds: got {got}, want {least} to {most}");
        verdict.differences.push(difference);
    }

    verdict.bytes = true;
    verdict.account = true;
    for (direction, want) in [("transmit", said.sent), ("receive", said.received)] {
        let labels = [pid, ("direction", direction)];
        let bytes = scrape.sum(BYTES, &labels);
        verdict.bytes &= verdict.compare(direction, bytes, want);
        // Rule 21: each byte has one outcome.
        let payload = scrape.sum(PAYLOAD, &labels);
        verdict.account &= verdict.compare(&format!("{direction}: outcomes"), payload, bytes);
        for (outcome, bytes) in scrape.by("outcome", PAYLOAD, &labels) {
            if bytes > 0.0 && !["parsed", "skipped"].contains(&outcome.as_str()) {
                verdict.say(PAYLOAD, "outcome", &outcome, bytes);
            }
        }
    }
    for metric in [UNANSWERED, UNPAIRED] {
        for (reason, count) in scrape.by("reason", metric, &[pid]) {
            if count > 0.0 {
                verdict.say(metric, "reason", &reason, count);
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

fn lacking(got: &Statuses, want: &Statuses) -> f64 {
    let made = |status| want.get(status).copied().unwrap_or_default();
    if got.iter().any(|(status, count)| *count > made(status)) {
        return f64::INFINITY;
    }
    want.values().sum::<f64>() - got.values().sum::<f64>()
}

fn statuses(scrape: &Scrape, metric: &str, labels: Labels) -> Statuses {
    let mut counts = Statuses::new();
    for sample in scrape.samples(metric, labels) {
        let label = |name: &str| sample.labels.get(name).map_or("", String::as_str);
        let is_truncated = label("error_type") == "truncated";
        let behind = if is_truncated { " truncated" } else { "" };
        let status = format!("{}{behind}", label("http_response_status_code"));
        *counts.entry(status).or_default() += sample.value;
    }
    counts
}
