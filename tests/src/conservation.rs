//! Conservation: what must hold in every scrape at every time, whatever was measured (rule 21).

use crate::scrape::{Sample, Scrape};
use sockmeter::series::catalogue::{ALL, Kind, PROCESS_LABELS};
use std::collections::BTreeMap;

const SOCKET: &str = "sockmeter_socket_bytes_total";
const PAYLOAD: &str = "sockmeter_payload_bytes_total";
const PENDING: &str = "sockmeter_payload_pending_bytes";
const FIRST_BYTE: &str = "sockmeter_request_first_byte_seconds_count";
const QUEUE: &str = "sockmeter_request_queue_seconds_count";
const DURATIONS: [&str; 2] = [
    "http_server_request_duration_seconds_count",
    "http_client_request_duration_seconds_count",
];

/// Transports whose bytes are streams, which protocols read.
const STREAMS: [&str; 2] = ["tcp", "unix"];

/// What a series of what did not find room is marked with. It has no process.
const OVERFLOW: &str = "overflow";

/// What does not hold in a scrape, one line each.
pub fn differences(scrape: &Scrape) -> Vec<String> {
    let mut differences = Vec::new();
    bytes_have_an_outcome(scrape, &mut differences);
    exchanges_have_a_first_byte(scrape, &mut differences);
    gauges_are_not_negative(scrape, &mut differences);
    buckets_add_up(scrape, &mut differences);
    differences
}

/// By process and direction: bytes of sockets = bytes by outcome + bytes that have none yet.
fn bytes_have_an_outcome(scrape: &Scrape, differences: &mut Vec<String>) {
    let by_process = !overflows(scrape, &[SOCKET, PAYLOAD, PENDING]);
    let mut sums = BTreeMap::<_, [f64; 2]>::new();
    for sample in scrape.all() {
        let at = match sample.name.as_str() {
            SOCKET if is_stream(sample) => 0,
            PAYLOAD | PENDING => 1,
            _ => continue,
        };
        let whose = if by_process {
            process(sample)
        } else {
            String::new()
        };
        let direction = sample.labels.get("direction").cloned();
        sums.entry((whose, direction)).or_default()[at] += sample.value;
    }
    for ((process, direction), [moved, told]) in sums {
        if moved != told {
            let direction = direction.unwrap_or_default();
            differences.push(format!(
                "{process} {direction}: {moved} bytes moved, {told} told of"
            ));
        }
    }
}

/// By process and side: as many exchanges as times to first byte, and queue times of no more.
fn exchanges_have_a_first_byte(scrape: &Scrape, differences: &mut Vec<String>) {
    if overflows(scrape, &[DURATIONS[0], DURATIONS[1], FIRST_BYTE, QUEUE]) {
        return;
    }
    let mut sums = BTreeMap::<_, [f64; 3]>::new();
    for sample in scrape.all() {
        let is_client = sample
            .labels
            .get("role")
            .is_some_and(|role| role == "client");
        let (at, is_client) = match sample.name.as_str() {
            name if name == DURATIONS[0] => (0, false),
            name if name == DURATIONS[1] => (0, true),
            FIRST_BYTE => (1, is_client),
            QUEUE => (2, is_client),
            _ => continue,
        };
        sums.entry((process(sample), is_client)).or_default()[at] += sample.value;
    }
    for ((process, is_client), [exchanges, first_bytes, queued]) in sums {
        if exchanges != first_bytes || queued > exchanges {
            differences.push(format!(
                "{process} client {is_client}: {exchanges} exchanges, {first_bytes} first bytes, {queued} queued"
            ));
        }
    }
}

fn gauges_are_not_negative(scrape: &Scrape, differences: &mut Vec<String>) {
    for sample in scrape.all() {
        let is_gauge = ALL
            .iter()
            .any(|metric| metric.kind == Kind::Gauge && metric.name == sample.name);
        if is_gauge && sample.value < 0.0 {
            differences.push(format!("negative: {sample:?}"));
        }
    }
}

/// Buckets only grow, and the last one has every observation.
fn buckets_add_up(scrape: &Scrape, differences: &mut Vec<String>) {
    let mut last = BTreeMap::<_, f64>::new();
    for sample in scrape.all() {
        if let Some(histogram) = sample.name.strip_suffix("_bucket") {
            let mut labels = sample.labels.clone();
            labels.remove("le");
            let before = last.insert((histogram, labels), sample.value);
            if before.is_some_and(|before| before > sample.value) {
                differences.push(format!("less than the bucket before: {sample:?}"));
            }
        }
    }
    for sample in scrape.all() {
        let Some(histogram) = sample.name.strip_suffix("_count") else {
            continue;
        };
        // A scrape lists a series' buckets in the order of their bounds, the infinite one last.
        if last.remove(&(histogram, sample.labels.clone())) != Some(sample.value) {
            differences.push(format!("not in the last bucket: {sample:?}"));
        }
    }
    for (histogram, labels) in last.into_keys() {
        differences.push(format!("no count: {histogram} {labels:?}"));
    }
}

fn is_stream(sample: &Sample) -> bool {
    let transport = sample.labels.get("transport");
    transport.is_none_or(|transport| STREAMS.contains(&transport.as_str()))
}

/// Did one of these metrics have more series than it may?
fn overflows(scrape: &Scrape, metrics: &[&str]) -> bool {
    scrape.all().iter().any(|sample| {
        metrics.contains(&sample.name.as_str()) && sample.labels.contains_key(OVERFLOW)
    })
}

fn process(sample: &Sample) -> String {
    let labels = PROCESS_LABELS.iter();
    let values = labels.filter_map(|label| sample.labels.get(*label));
    values.cloned().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn differences_of(text: &str) -> usize {
        differences(&Scrape::parse(text)).len()
    }

    #[test]
    fn every_byte_is_somewhere() {
        let moved = "sockmeter_socket_bytes_total{process_pid=\"1\",direction=\"receive\",role=\"server\",transport=\"tcp\"} 5\n";
        let parsed = "sockmeter_payload_bytes_total{process_pid=\"1\",outcome=\"parsed\",direction=\"receive\"} 3\n";
        let pending =
            "sockmeter_payload_pending_bytes{process_pid=\"1\",direction=\"receive\"} 2\n";
        assert_eq!(differences_of(&[moved, parsed, pending].concat()), 0);
        assert_eq!(differences_of(&[moved, parsed].concat()), 1);
        // Of another process; the other way.
        let others = parsed.replace("pid=\"1\"", "pid=\"2\"");
        assert_eq!(differences_of(&[moved, &others, pending].concat()), 2);
        let other_way = parsed.replace("receive", "transmit");
        assert_eq!(differences_of(&[moved, &other_way, pending].concat()), 2);
        let datagrams = moved.replace("tcp", "udp");
        assert_eq!(differences_of(&datagrams), 0);
        let overflow = "sockmeter_payload_bytes_total{overflow=\"true\"} 3\n";
        assert_eq!(differences_of(overflow), 1);
    }

    #[test]
    fn exchanges_gauges_and_buckets() {
        let exchange = "http_server_request_duration_seconds_bucket{process_pid=\"1\",le=\"1\"} 1\n\
            http_server_request_duration_seconds_bucket{process_pid=\"1\",le=\"+Inf\"} 2\n\
            http_server_request_duration_seconds_sum{process_pid=\"1\"} 3\n\
            http_server_request_duration_seconds_count{process_pid=\"1\"} 2\n";
        let first_byte = exchange
            .replace(
                "http_server_request_duration",
                "sockmeter_request_first_byte",
            )
            .replace("{", "{role=\"server\",");
        let text = [exchange, &first_byte].concat();
        assert_eq!(differences_of(&text), 0);
        assert_eq!(differences_of(exchange), 1);
        assert_eq!(
            differences_of(
                &text.replace("server\",process_pid=\"1\"", "client\",process_pid=\"1\"")
            ),
            2
        );
        assert_eq!(
            differences_of(&text.replace("le=\"1\"} 1", "le=\"1\"} 3")),
            2
        );
        assert_eq!(differences_of(&text.replace("+Inf\"} 2", "+Inf\"} 3")), 2);
        assert_eq!(
            differences_of("sockmeter_connections_active{role=\"server\"} -1\n"),
            1
        );
    }
}
