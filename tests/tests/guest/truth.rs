//! What servers and clients themselves say that they did.

use std::collections::BTreeMap;

use serde_json::Value;

/// What a driver did, over all its commands or some of them.
#[derive(Debug, Default)]
pub(crate) struct Driver {
    pub(crate) pid: String,
    pub(crate) requests: f64,
    /// Responses by status.
    pub(crate) statuses: BTreeMap<String, f64>,
    pub(crate) sent: f64,
    pub(crate) received: f64,
    /// One per response, from the request's first byte to the response's last.
    pub(crate) seconds: Vec<f64>,
}

impl Driver {
    /// From the driver's answers: those to commands that start with `prefix`.
    pub(crate) fn parse(answers: &str, prefix: &str) -> Self {
        let mut driver = Self::default();
        for line in answers.lines() {
            let answer: Value = serde_json::from_str(line).unwrap();
            driver.pid = answer["pid"].to_string();
            if !answer["command"].as_str().unwrap().starts_with(prefix) {
                continue;
            }
            driver.requests += answer["requests"].as_f64().unwrap();
            driver.sent += answer["sent"].as_f64().unwrap();
            driver.received += answer["received"].as_f64().unwrap();
            for (status, count) in answer["statuses"].as_object().unwrap() {
                *driver.statuses.entry(status.clone()).or_default() += count.as_f64().unwrap();
            }
            let seconds = answer["seconds"].as_array().unwrap();
            driver
                .seconds
                .extend(seconds.iter().map(|one| one.as_f64().unwrap()));
        }
        driver
    }
}

/// nginx's account of one request, as `nginx.conf` tells it to write it.
#[derive(Debug)]
pub(crate) struct Logged {
    pub(crate) status: String,
    pub(crate) received: f64,
    pub(crate) sent: f64,
    pub(crate) seconds: f64,
    pub(crate) method: String,
}

/// Reads nginx's access log.
pub(crate) fn access_log(text: &str) -> Vec<Logged> {
    text.lines()
        .map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            let [status, received, sent, seconds, method, _] = words.as_slice() else {
                panic!("not a line of the access log: {line:?}");
            };
            Logged {
                status: (*status).to_owned(),
                received: received.parse().unwrap(),
                sent: sent.parse().unwrap(),
                seconds: seconds.parse().unwrap(),
                method: (*method).to_owned(),
            }
        })
        .collect()
}

/// Counts by a property.
pub(crate) fn count_by<T>(things: &[T], key: impl Fn(&T) -> &str) -> BTreeMap<String, f64> {
    let mut counts = BTreeMap::new();
    for thing in things {
        *counts.entry(key(thing).to_owned()).or_default() += 1.0;
    }
    counts
}

/// nginx's `stub_status`: accepted, handled, requests.
pub(crate) fn stub_status(text: &str) -> [f64; 3] {
    let counts = text.lines().nth(2).unwrap();
    let numbers: Vec<f64> = counts
        .split_whitespace()
        .map(|word| word.parse().unwrap())
        .collect();
    numbers.try_into().unwrap()
}

/// How often `durations` are at most `bound`.
pub(crate) fn at_most(durations: &[f64], bound: f64) -> f64 {
    durations.iter().filter(|one| **one <= bound).count() as f64
}
