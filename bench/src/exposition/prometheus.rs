//! The crate `prometheus`.

use super::{Exposition, Sink};
use crate::population::{Service, requests};
use anyhow::Result;
use prometheus::{
    Encoder, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder,
};
use sockmeter::series::DURATION_BUCKETS_SECONDS;

/// A registry of that crate.
pub struct Prometheus(Registry);

const SERVICE: [&str; 3] = ["service_name", "process_executable_name", "process_pid"];

impl Prometheus {
    fn histogram(&self, name: &str, labels: &[&str]) -> Result<HistogramVec> {
        let options = HistogramOpts::new(name, name).buckets(DURATION_BUCKETS_SECONDS.to_vec());
        let family = HistogramVec::new(options, &[&SERVICE, labels].concat())?;
        self.0.register(Box::new(family.clone()))?;
        Ok(family)
    }

    fn counter(&self, name: &str, labels: &[&str]) -> Result<IntCounterVec> {
        let family = IntCounterVec::new(Opts::new(name, name), &[&SERVICE, labels].concat())?;
        self.0.register(Box::new(family.clone()))?;
        Ok(family)
    }

    fn gauge(&self, name: &str, labels: &[&str]) -> Result<IntGaugeVec> {
        let family = IntGaugeVec::new(Opts::new(name, name), &[&SERVICE, labels].concat())?;
        self.0.register(Box::new(family.clone()))?;
        Ok(family)
    }
}

impl Exposition for Prometheus {
    fn build(services: &[Service]) -> Result<Self> {
        let library = Self(Registry::new());
        let duration = library.histogram(
            "http_server_request_duration_seconds",
            &[
                "http_request_method",
                "http_response_status_code",
                "http_route",
                "network_protocol_version",
            ],
        )?;
        let ends = ["sockmeter_protocol", "sockmeter_role"];
        let queue = library.histogram("sockmeter_request_queue_seconds", &ends)?;
        let first_byte = library.histogram("sockmeter_request_first_byte_seconds", &ends)?;
        let requests_active =
            library.gauge("http_server_active_requests", &["http_request_method"])?;
        let transport = ["sockmeter_role", "network_transport"];
        let active = library.gauge("sockmeter_connections_active", &transport)?;
        let opened = library.counter("sockmeter_connections_opened_total", &transport)?;
        let socket = library.counter(
            "sockmeter_socket_bytes_total",
            &[
                "network_io_direction",
                "sockmeter_role",
                "network_transport",
            ],
        )?;
        let payload = library.counter(
            "sockmeter_payload_bytes_total",
            &["outcome", "sockmeter_protocol", "network_io_direction"],
        )?;
        for service in services {
            let of = |labels: &[&'static str]| [&service.values(), labels].concat();
            let queue = queue.with_label_values(&of(&["http1", "server"]));
            let first_byte = first_byte.with_label_values(&of(&["http1", "server"]));
            for requests in requests() {
                let status = requests.status.to_string();
                let own = [requests.method, &status, requests.route, "1.1"];
                let values = [service.values().as_slice(), &own].concat();
                let duration = duration.with_label_values(&values);
                for duration_ns in requests.durations_ns() {
                    duration.observe(duration_ns as f64 / 1e9);
                    queue.observe((duration_ns / 8) as f64 / 1e9);
                    first_byte.observe((duration_ns / 2) as f64 / 1e9);
                }
            }
            requests_active.with_label_values(&of(&["GET"])).inc();
            active.with_label_values(&of(&["server", "tcp"])).inc();
            opened.with_label_values(&of(&["server", "tcp"])).inc();
            for (direction, bytes) in [("receive", 80), ("transmit", 752)] {
                let labels = of(&[direction, "server", "tcp"]);
                socket.with_label_values(&labels).inc_by(bytes);
                let labels = of(&["parsed", "http1", direction]);
                payload.with_label_values(&labels).inc_by(bytes);
            }
            let labels = of(&["skipped", "http1", "transmit"]);
            payload.with_label_values(&labels).inc_by(512);
        }
        Ok(library)
    }

    fn scrape(&mut self, out: &mut Sink) -> Result<()> {
        Ok(TextEncoder::new().encode(&self.0.gather(), out)?)
    }

    fn text(&mut self) -> Result<String> {
        Ok(TextEncoder::new().encode_to_string(&self.0.gather())?)
    }
}
