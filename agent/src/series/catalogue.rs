//! Every metric that the agent can show: names, types, units, help, labels.

/// A metric, as its `HELP` and `TYPE` lines and the documentation tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// The name; counters end in `_total`.
    pub name: &'static str,
    /// Counter, gauge or histogram.
    pub kind: Kind,
    /// Base unit, which the name also ends with (before `_total`).
    pub unit: Option<&'static str>,
    /// One sentence.
    pub help: &'static str,
    /// Its own labels in the order in which they are written. A label without a value is left out.
    pub labels: &'static [&'static str],
    /// Whether the process labels stand before its own.
    pub group: Group,
}

/// The type of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, until its process or the agent ends.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts of observations by upper bound, their number and their sum.
    Histogram,
}

impl Kind {
    /// The word of the `TYPE` line.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// What a metric's series are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// One measured process: carries [`PROCESS_LABELS`].
    Process,
    /// The agent itself, or the host as a whole.
    Agent,
}

/// The labels that name a process, in the order in which they are written.
pub const PROCESS_LABELS: &[&str] = &[
    "service_name",
    "process_executable_name",
    "process_pid",
    "container_name",
    "container_id",
];

/// Every metric, in the order in which a scrape shows them.
#[rustfmt::skip] // One metric, one line.
pub const ALL: &[Metric] = &[
    histogram("http_server_request_duration_seconds", "Time from the first byte of an HTTP request that the server read to the last byte of its response.",
        &["http_request_method", "http_response_status_code", "http_route", "network_protocol_version", "error_type"]),
    histogram("http_client_request_duration_seconds", "Time from the first byte of an HTTP request that the client sent to the last byte of its response.",
        &["http_request_method", "http_response_status_code", "server_address", "server_port", "network_protocol_version", "error_type"]),
    gauge("http_server_active_requests", "HTTP requests whose head the server has read and that it has not finished answering.", &["http_request_method"]),
    gauge("http_client_active_requests", "HTTP requests whose head the client has sent and that it has not seen answered in full.", &["http_request_method"]),
    histogram("sockmeter_request_queue_seconds", "Time that a request waited in the socket before the server read it.", &["protocol", "role"]),
    histogram("sockmeter_request_first_byte_seconds", "Time from a request's first byte to its response's first byte.", &["protocol", "role"]),
    counter("sockmeter_requests_unanswered_total", None, "Requests whose response was not seen, by reason; without a protocol: what may have been requests on a connection of which too little was seen.", &["protocol", "role", "reason"]),
    counter("sockmeter_requests_unpaired_total", None, "Responses whose request was not seen, by reason.", &["protocol", "role", "reason"]),
    gauge("sockmeter_connections_active", "Open connections.", &["role", "transport"]),
    counter("sockmeter_connections_opened_total", None, "Connections that were accepted or made.", &["role", "transport"]),
    counter("sockmeter_connections_failed_total", None, "Connections that could not be made, by error.", &["role", "transport", "error_type"]),
    counter("sockmeter_connections_adopted_total", None, "Connections that were already open when they were first seen.", &["role", "transport"]),
    histogram("sockmeter_connect_duration_seconds", "Time that a client took to make a connection.", &["transport"]),
    counter("sockmeter_socket_bytes_total", Some("bytes"), "Bytes that the process read from and wrote to its sockets.", &["direction", "role", "transport"]),
    counter("sockmeter_socket_datagrams_total", None, "UDP datagrams that the process received and sent.", &["direction", "transport"]),
    counter("sockmeter_tcp_retransmits_total", None, "TCP segments that were sent again.", &["role"]),
    gauge("sockmeter_accept_queue_length", "Connections that are established and wait for the process to accept them.", &["server_port"]),
    gauge("sockmeter_accept_queue_limit", "Connections that may wait to be accepted: what listen() asked, at most net.core.somaxconn; the kernel lets one more wait.", &["server_port"]),
    counter("sockmeter_accept_queue_overflows_total", None, "Packets that the listening socket dropped, mostly because its accept queue was full: each try of a client counts, one that completes a handshake twice; so do packets that a socket filter, a wrong signature or lack of memory turned away.", &["server_port"]),
    counter("sockmeter_payload_bytes_total", Some("bytes"), "Bytes of connections by what the protocol readers made of them.", &["outcome", "protocol", "direction"]),
    unit("bytes", gauge("sockmeter_payload_pending_bytes", "First bytes of open connections that do not tell a protocol yet: they have no outcome so far.", &["direction"])),
    agent(counter("sockmeter_records_lost_total", None, "Kernel records and observations that could not be counted, by reason.", &["reason"])),
    agent(counter("sockmeter_untracked_bytes_total", Some("bytes"), "Bytes on connections, or in datagrams of processes, for which the kernel side's tables had no room, and of multipath TCP.", &[])),
    agent(gauge("sockmeter_capture_level", "1 for how much of the traffic the agent looks at now, 0 for the others: full; head, only the first bytes of heads; counts, bytes and connections without requests.", &["level"])),
    agent(counter("sockmeter_capture_reductions_total", None, "Times that the agent began to look at less, because it had used up its CPU limit.", &[])),
    agent(gauge("sockmeter_excluded_processes", "Processes that are not measured, by the setting exclude, as far as they have used sockets.", &[])),
    agent(gauge("sockmeter_series", "Label sets that a metric has now, without the overflow series.", &["metric"])),
    agent(counter("sockmeter_series_overflow_total", None, "Observations that went to a metric's overflow series because the metric has reached its limit.", &["metric"])),
    agent(gauge("sockmeter_probe_attached", "1 if the kernel program is attached, 0 if it is not.", &["program", "family", "kind"])),
    agent(counter("sockmeter_probe_missed_total", None, "Runs of the kernel program that the kernel left out.", &["program", "family", "kind"])),
    agent(gauge("sockmeter_build_info", "Always 1; the labels tell which build of the agent runs.", &["version"])),
    agent(counter("process_cpu_seconds_total", Some("seconds"), "CPU time of the agent, user and system.", &[])),
    agent(unit("bytes", gauge("process_resident_memory_bytes", "Resident memory of the agent.", &[]))),
    agent(unit("bytes", gauge("process_virtual_memory_bytes", "Virtual memory of the agent.", &[]))),
    agent(gauge("process_open_fds", "Open file descriptors of the agent.", &[])),
    agent(gauge("process_max_fds", "Limit of open file descriptors of the agent.", &[])),
    agent(unit("seconds", gauge("process_start_time_seconds", "Start of the agent since the Unix epoch.", &[]))),
];

/// The metric `name`, for use in `const { }`: a name that [`ALL`] does not have fails the build.
pub(super) const fn named(name: &str) -> &'static Metric {
    let mut at = 0;
    while at < ALL.len() {
        if same(ALL[at].name.as_bytes(), name.as_bytes()) {
            return &ALL[at];
        }
        at += 1;
    }
    panic!("the catalogue has no such metric")
}

/// `a == b`, which is not yet usable in constants.
const fn same(a: &[u8], b: &[u8]) -> bool {
    let mut at = 0;
    while at < a.len() && at < b.len() && a[at] == b[at] {
        at += 1;
    }
    at == a.len() && at == b.len()
}

const fn histogram(
    name: &'static str,
    help: &'static str,
    labels: &'static [&'static str],
) -> Metric {
    Metric {
        name,
        kind: Kind::Histogram,
        unit: Some("seconds"),
        help,
        labels,
        group: Group::Process,
    }
}

const fn gauge(name: &'static str, help: &'static str, labels: &'static [&'static str]) -> Metric {
    Metric {
        name,
        kind: Kind::Gauge,
        unit: None,
        help,
        labels,
        group: Group::Process,
    }
}

const fn counter(
    name: &'static str,
    unit: Option<&'static str>,
    help: &'static str,
    labels: &'static [&'static str],
) -> Metric {
    Metric {
        name,
        kind: Kind::Counter,
        unit,
        help,
        labels,
        group: Group::Process,
    }
}

const fn unit(unit: &'static str, metric: Metric) -> Metric {
    Metric {
        unit: Some(unit),
        ..metric
    }
}

const fn agent(metric: Metric) -> Metric {
    Metric {
        group: Group::Agent,
        ..metric
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_follow_the_conventions() {
        let mut seen = HashSet::new();
        for metric in ALL {
            assert!(seen.insert(metric.name), "{} is there twice", metric.name);
            let base = metric.name.strip_suffix("_total");
            assert_eq!(
                base.is_some(),
                metric.kind == Kind::Counter,
                "{}",
                metric.name
            );
            if let Some(unit) = metric.unit {
                assert!(
                    base.unwrap_or(metric.name).ends_with(&format!("_{unit}")),
                    "{}",
                    metric.name
                );
            }
            // So that the exporter need not escape it.
            assert!(!metric.help.contains(['\\', '\n', '"']), "{}", metric.name);
            assert!(metric.help.ends_with('.'), "{}", metric.name);
            let labels: HashSet<_> = metric.labels.iter().collect();
            assert_eq!(labels.len(), metric.labels.len(), "{}", metric.name);
            assert!(
                !metric
                    .labels
                    .iter()
                    .any(|label| PROCESS_LABELS.contains(label)),
                "{}",
                metric.name
            );
        }
    }

    #[test]
    fn a_metric_is_found_by_its_name() {
        assert_eq!(named("process_open_fds").name, "process_open_fds");
        assert!(!same(b"http_server", b"http_server_active_requests"));
    }
}
