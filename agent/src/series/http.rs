//! The HTTP request durations: what tells their series apart, and how their labels are written.

use super::Series;
use super::family::Key;
use super::labels::{Word, push_label, push_number};
use super::process::{Process, ProcessKey};
use super::route::{CATCH_ALL, template};
use crate::connections::Role;
use crate::exchanges::{Answer, Exchange, Operation};
use crate::records::Address;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

impl Series {
    /// Counts a finished exchange and its times. One whose end is not known counts as a server's.
    pub fn exchange(&mut self, process: ProcessKey, exchange: &Exchange<'_>) {
        let Operation::Http {
            method,
            target,
            version,
        } = exchange.operation;
        let Answer::Http { status } = exchange.answer;
        let method = self::method(method);
        let route = match exchange.role {
            Role::Client => CATCH_ALL_NUMBER,
            Role::Server | Role::Unknown => self.route(process, target, status),
        };

        let Some(Process { owner, .. }) = self.processes.get_mut(process) else {
            return self.late(process);
        };
        let words = &mut self.words;
        let request = Request {
            owner: owner.number,
            method: words.number(method),
            version: words.number(version),
            outcome: Outcome::new(exchange.role, status, exchange.truncated),
        };
        let (row, _) = match exchange.role {
            Role::Client => {
                let key = ClientKey {
                    request,
                    server: exchange.remote.into(),
                };
                self.http_client
                    .row(&key, owner, |out| push_client(out, method, version, &key))
            }
            Role::Server | Role::Unknown => {
                let key = ServerKey { request, route };
                let template = if route == CATCH_ALL_NUMBER {
                    CATCH_ALL
                } else {
                    self.template.as_str()
                };
                self.http_server.row(&key, owner, |out| {
                    push_server(out, method, version, &key, template)
                })
            }
        };
        self.bounds
            .observe(row, exchange.ended_ns.saturating_sub(exchange.started_ns));

        let labels = [exchange.protocol, exchange.role.label(), ""];
        if let Some(arrived_ns) = exchange.arrived_ns {
            let queue_ns = exchange.started_ns.saturating_sub(arrived_ns);
            self.plain
                .queue
                .observe(words, owner, labels, &self.bounds, queue_ns);
        }
        let first_byte_ns = exchange.first_byte_ns.saturating_sub(exchange.started_ns);
        self.plain
            .first_byte
            .observe(words, owner, labels, &self.bounds, first_byte_ns);
    }

    /// The number of the template of `target`, which is then in `self.template`.
    fn route(&mut self, key: ProcessKey, target: &[u8], status: u16) -> u16 {
        template(target, &mut self.template);
        if self.template == CATCH_ALL {
            return CATCH_ALL_NUMBER;
        }
        let Some(process) = self.processes.get_mut(key) else {
            return CATCH_ALL_NUMBER;
        };
        if let Some(number) = process.routes.get(&self.template) {
            return number;
        }
        if !process.routes.has_room(self.routes_max_per_process, status) {
            return CATCH_ALL_NUMBER;
        }
        self.processes
            .learn_route(key, &self.template)
            .unwrap_or(CATCH_ALL_NUMBER)
    }
}

/// The route number of [`CATCH_ALL`].
const CATCH_ALL_NUMBER: u16 = 0;

/// The methods of RFC 9110 and PATCH (RFC 5789), and what stands for any other.
const METHODS: &[&str] = &[
    "_OTHER", "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH",
];

/// The label value for a method as on the wire. Methods are case-sensitive.
pub(super) fn method(wire: &[u8]) -> &'static str {
    METHODS
        .iter()
        .find(|known| known.as_bytes() == wire)
        .copied()
        .unwrap_or("_OTHER")
}

/// How an exchange ended, as labels tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Outcome {
    status: u16,
    error: Error,
}

/// The kinds of `error_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Error {
    /// Not an error.
    None,
    /// The status says so; it is the label value too.
    Status,
    /// The response broke off.
    Truncated,
}

impl Outcome {
    fn new(role: Role, status: u16, truncated: bool) -> Self {
        let error_status_min = match role {
            Role::Client => 400,
            // 4xx says that the client has made an error, and not the server.
            Role::Server | Role::Unknown => 500,
        };
        let error = match (status >= error_status_min, truncated) {
            (true, _) => Error::Status,
            (false, true) => Error::Truncated,
            (false, false) => Error::None,
        };
        Self { status, error }
    }

    fn push_error(self, out: &mut String) {
        match self.error {
            Error::None => {}
            Error::Status => push_number(out, "error_type", self.status),
            Error::Truncated => push_label(out, "error_type", "truncated"),
        }
    }
}

/// What the series of both ends have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Request {
    owner: u64,
    method: Word,
    version: Word,
    outcome: Outcome,
}

/// A series of `http_server_request_duration_seconds`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct ServerKey {
    request: Request,
    /// The template's number within the owner.
    route: u16,
}

impl Key for ServerKey {
    fn owner(&self) -> u64 {
        self.request.owner
    }
}

/// A series of `http_client_request_duration_seconds`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct ClientKey {
    request: Request,
    server: Server,
}

/// Who was asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Server {
    /// Address and port. IPv4 addresses are in their IPv6 form, in which a dual-stack socket shows them.
    Inet(Ipv6Addr, u16),
    /// The name of its Unix socket.
    Unix(Arc<str>),
}

impl Key for ClientKey {
    fn owner(&self) -> u64 {
        self.request.owner
    }
}

impl From<&Address> for Server {
    fn from(remote: &Address) -> Self {
        match remote {
            Address::Inet(remote) => {
                let address = match remote.ip() {
                    IpAddr::V4(address) => address.to_ipv6_mapped(),
                    IpAddr::V6(address) => address,
                };
                Self::Inet(address, remote.port())
            }
            Address::Unix(name) => Self::Unix(Arc::clone(name)),
        }
    }
}

/// Writes the labels of a server's series.
fn push_server(out: &mut String, method: &str, version: &str, key: &ServerKey, route: &str) {
    let outcome = key.request.outcome;
    push_label(out, "http_request_method", method);
    push_number(out, "http_response_status_code", outcome.status);
    push_label(out, "http_route", route);
    push_label(out, "network_protocol_version", version);
    outcome.push_error(out);
}

/// Writes the labels of a client's series.
fn push_client(out: &mut String, method: &str, version: &str, key: &ClientKey) {
    let outcome = key.request.outcome;
    push_label(out, "http_request_method", method);
    push_number(out, "http_response_status_code", outcome.status);
    match &key.server {
        Server::Inet(address, port) => {
            push_number(out, "server_address", address.to_canonical());
            push_number(out, "server_port", port);
        }
        // OpenTelemetry: the address is the socket's name, and there is no port.
        Server::Unix(name) => push_label(out, "server_address", name),
    }
    push_label(out, "network_protocol_version", version);
    outcome.push_error(out);
}
