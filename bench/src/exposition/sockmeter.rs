//! The agent's own series and exporter.

use super::{Exposition, Sink};
use crate::population::{Service, requests};
use anyhow::Result;
use sockmeter::{
    exchanges::{Answer, Exchange, Operation},
    export::prometheus::{Chunks, Format, write},
    protocol::Method,
    records::{Address, Direction, Role, Transport},
    series::{Series, Settings},
};
use std::io::Write;

/// The agent's series.
pub struct Sockmeter(Series);

impl Exposition for Sockmeter {
    fn build(services: &[Service]) -> Result<Self> {
        let mut series = Series::new(Settings {
            series_max_per_metric: usize::MAX,
            ..Settings::default()
        });
        let remote = Address::unknown(Transport::Tcp);
        for service in services {
            let process = series.add_process(&service.labels, 0);
            for requests in requests() {
                for duration_ns in requests.durations_ns() {
                    let started_ns = 1_000_000_000;
                    let exchange = Exchange {
                        role: Role::Server,
                        protocol: "http1",
                        operation: Operation::Http {
                            method: Method::of(requests.method.as_bytes()),
                            target: requests.route.as_bytes(),
                            version: "1.1",
                        },
                        answer: Answer::Http {
                            status: requests.status,
                        },
                        remote: &remote,
                        arrived_ns: Some(started_ns - duration_ns / 8),
                        started_ns,
                        first_byte_ns: started_ns + duration_ns / 2,
                        ended_ns: started_ns + duration_ns,
                        truncated: false,
                    };
                    series.exchange(process, &exchange);
                }
            }
            series.active_requests(process, Role::Server, Method::Get, 1);
            series.connection_opened(process, Role::Server, "tcp");
            series.connection_active(process, Role::Server, Transport::Tcp, 1);
            for (direction, bytes) in [(Direction::Receive, 80), (Direction::Transmit, 752)] {
                series.socket_bytes(process, Role::Server, "tcp", direction, bytes);
                series.payload(process, "parsed", "http1", direction, bytes);
            }
            series.payload(process, "skipped", "http1", Direction::Transmit, 512);
        }
        Ok(Self(series))
    }

    fn scrape(&mut self, out: &mut Sink) -> Result<()> {
        // As the server does.
        for chunk in Chunks::new(self.0.snapshot(0), Format::Text004) {
            out.write_all(&chunk)?;
        }
        Ok(())
    }

    fn text(&mut self) -> Result<String> {
        let mut text = Vec::new();
        write(&self.0.snapshot(0), Format::Text004, &mut text)?;
        Ok(String::from_utf8(text)?)
    }
}
