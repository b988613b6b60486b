//! The crate `prometheus-client`.

use super::{Exposition, Sink};
use crate::population::{Service, requests};
use anyhow::Result;
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Metric, Registry},
};
use sockmeter::series::DURATION_BUCKETS_SECONDS;
use std::{fmt, hash::Hash};

/// A registry of that crate.
pub struct PrometheusClient(Registry);

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Process {
    service_name: String,
    process_executable_name: &'static str,
    process_pid: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Duration {
    #[prometheus(flatten)]
    process: Process,
    http_request_method: &'static str,
    http_response_status_code: u16,
    http_route: &'static str,
    network_protocol_version: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Method {
    #[prometheus(flatten)]
    process: Process,
    http_request_method: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct End {
    #[prometheus(flatten)]
    process: Process,
    sockmeter_protocol: &'static str,
    sockmeter_role: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Connection {
    #[prometheus(flatten)]
    process: Process,
    sockmeter_role: &'static str,
    network_transport: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Bytes {
    #[prometheus(flatten)]
    process: Process,
    network_io_direction: &'static str,
    sockmeter_role: &'static str,
    network_transport: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Payload {
    #[prometheus(flatten)]
    process: Process,
    outcome: &'static str,
    sockmeter_protocol: &'static str,
    network_io_direction: &'static str,
}

type Histograms<K> = Family<K, Histogram, fn() -> Histogram>;

impl PrometheusClient {
    fn histogram<K>(&mut self, name: &str) -> Histograms<K>
    where
        K: Clone + Eq + Hash,
        Histograms<K>: Metric,
    {
        let new: fn() -> Histogram = || Histogram::new(DURATION_BUCKETS_SECONDS);
        self.family(name, Family::new_with_constructor(new))
    }

    fn family<M: Metric + Clone + fmt::Debug>(&mut self, name: &str, family: M) -> M {
        self.0.register(name, name, family.clone());
        family
    }
}

impl Exposition for PrometheusClient {
    fn build(services: &[Service]) -> Result<Self> {
        let mut library = Self(Registry::default());
        let duration = library.histogram::<Duration>("http_server_request_duration_seconds");
        let queue = library.histogram::<End>("sockmeter_request_queue_seconds");
        let first_byte = library.histogram::<End>("sockmeter_request_first_byte_seconds");
        let requests_active = library.family(
            "http_server_active_requests",
            Family::<Method, Gauge>::default(),
        );
        let active = library.family(
            "sockmeter_connections_active",
            Family::<Connection, Gauge>::default(),
        );
        let opened = library.family(
            "sockmeter_connections_opened",
            Family::<Connection, Counter>::default(),
        );
        let socket = library.family(
            "sockmeter_socket_bytes",
            Family::<Bytes, Counter>::default(),
        );
        let payload = library.family(
            "sockmeter_payload_bytes",
            Family::<Payload, Counter>::default(),
        );
        for service in services {
            let [service_name, _, process_pid] = service.values().map(str::to_owned);
            let process = Process {
                service_name,
                process_executable_name: "shop",
                process_pid,
            };
            let end = End {
                process: process.clone(),
                sockmeter_protocol: "http1",
                sockmeter_role: "server",
            };
            for requests in requests() {
                let duration = duration.get_or_create_owned(&Duration {
                    process: process.clone(),
                    http_request_method: requests.method,
                    http_response_status_code: requests.status,
                    http_route: requests.route,
                    network_protocol_version: "1.1",
                });
                for duration_ns in requests.durations_ns() {
                    duration.observe(duration_ns as f64 / 1e9);
                    let queue_seconds = (duration_ns / 8) as f64 / 1e9;
                    queue.get_or_create(&end).observe(queue_seconds);
                    let first_byte_seconds = (duration_ns / 2) as f64 / 1e9;
                    first_byte.get_or_create(&end).observe(first_byte_seconds);
                }
            }
            let method = Method {
                process: process.clone(),
                http_request_method: "GET",
            };
            requests_active.get_or_create(&method).inc();
            let connection = Connection {
                process: process.clone(),
                sockmeter_role: "server",
                network_transport: "tcp",
            };
            active.get_or_create(&connection).inc();
            opened.get_or_create(&connection).inc();
            for (direction, bytes) in [("receive", 80), ("transmit", 752)] {
                let labels = Bytes {
                    process: process.clone(),
                    network_io_direction: direction,
                    sockmeter_role: "server",
                    network_transport: "tcp",
                };
                socket.get_or_create(&labels).inc_by(bytes);
                let labels = Payload {
                    process: process.clone(),
                    outcome: "parsed",
                    sockmeter_protocol: "http1",
                    network_io_direction: direction,
                };
                payload.get_or_create(&labels).inc_by(bytes);
            }
            let labels = Payload {
                process,
                outcome: "skipped",
                sockmeter_protocol: "http1",
                network_io_direction: "transmit",
            };
            payload.get_or_create(&labels).inc_by(512);
        }
        Ok(library)
    }

    fn scrape(&mut self, out: &mut Sink) -> Result<()> {
        Ok(encode(out, &self.0)?)
    }

    fn text(&mut self) -> Result<String> {
        let mut text = String::new();
        encode(&mut text, &self.0)?;
        Ok(text)
    }
}
