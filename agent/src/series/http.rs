//! The HTTP request durations: what tells their series apart, and how their labels are written.

use super::Series;
use super::family::Key;
use super::labels::{Word, push_label, push_number};
use super::process::{Process, ProcessKey};
use super::recent::{Kind, Rows};
use super::route::{CATCH_ALL, template};
use crate::connections::Role;
use crate::exchanges::{Answer, Exchange, Operation};
use crate::records::Address;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

impl Series {
    /// Counts a finished exchange and its times. One whose end is not known counts as a server's.
    pub fn exchange(&mut self, process: ProcessKey, exchange: &Exchange<'_>) {
        let kind = kind(process, exchange);
        let times = Times::of(exchange);
        // A process that has been forgotten may have shared its series with one that is there.
        let is_known = self.processes.get_mut(process).is_some();
        let rows = self.recent.get(&kind).filter(|_| is_known);
        if rows.is_some_and(|rows| self.observe_at(rows, kind.role, times).is_some()) {
            return;
        }
        if let Some(rows) = self.observe(&kind, exchange, times) {
            self.recent.put(&kind, rows);
        }
    }

    /// Counts an exchange where others of its kind were; `None`, and nothing is counted, if that cannot be.
    fn observe_at(&mut self, rows: Rows, role: Role, times: Times) -> Option<()> {
        let duration = match role {
            Role::Client => self.http_client.row_at(rows.duration),
            Role::Server | Role::Unknown => self.http_server.row_at(rows.duration),
        }?;
        let first_byte = self.plain.first_byte.row_at(rows.first_byte)?;
        if let Some(queue_ns) = times.queue_ns {
            let queue = self.plain.queue.row_at(rows.queue?)?;
            self.bounds.observe(queue, queue_ns);
        }
        self.bounds.observe(duration, times.duration_ns);
        self.bounds.observe(first_byte, times.first_byte_ns);
        Some(())
    }

    /// Counts an exchange, and tells where others of its kind will be counted, if that is sure.
    fn observe(&mut self, kind: &Kind<'_>, exchange: &Exchange<'_>, times: Times) -> Option<Rows> {
        let Kind {
            process,
            role,
            protocol,
            method,
            version,
            status,
            truncated,
            target,
            remote: _,
        } = *kind;
        let (route, is_lasting) = match role {
            Role::Client => (CATCH_ALL_NUMBER, true),
            Role::Server | Role::Unknown => self.route(process, target, status),
        };
        let Some(Process { owner, .. }) = self.processes.get_mut(process) else {
            self.late(process);
            return None;
        };
        let words = &mut self.words;
        let request = Request {
            owner: owner.number,
            method: words.number(method),
            version: words.number(version),
            outcome: Outcome::new(role, status, truncated),
        };
        let duration = match role {
            Role::Client => {
                let key = ClientKey {
                    request,
                    server: exchange.remote.into(),
                };
                let (row, _) = self
                    .http_client
                    .row(&key, owner, |out| push_client(out, method, version, &key));
                self.bounds.observe(row, times.duration_ns);
                self.http_client.place(&key)
            }
            Role::Server | Role::Unknown => {
                let key = ServerKey { request, route };
                let template = if route == CATCH_ALL_NUMBER {
                    CATCH_ALL
                } else {
                    self.template.as_str()
                };
                let (row, _) = self.http_server.row(&key, owner, |out| {
                    push_server(out, method, version, &key, template)
                });
                self.bounds.observe(row, times.duration_ns);
                self.http_server.place(&key)
            }
        };
        let labels = [protocol, role.label(), ""];
        let queue = times.queue_ns.and_then(|queue_ns| {
            let queue = &mut self.plain.queue;
            queue.observe(words, owner, labels, &self.bounds, queue_ns)
        });
        let first_byte = &mut self.plain.first_byte;
        let first_byte =
            first_byte.observe(words, owner, labels, &self.bounds, times.first_byte_ns)?;
        let duration = duration.filter(|_| is_lasting)?;
        Some(Rows {
            duration,
            first_byte,
            queue,
        })
    }

    /// The number of the template of `target`, which is then in `self.template`; and whether it will be the same
    /// next time.
    fn route(&mut self, key: ProcessKey, target: &[u8], status: u16) -> (u16, bool) {
        template(target, &mut self.template);
        if self.template == CATCH_ALL {
            return (CATCH_ALL_NUMBER, true);
        }
        let Some(process) = self.processes.get_mut(key) else {
            return (CATCH_ALL_NUMBER, false);
        };
        if let Some(number) = process.routes.get(&self.template) {
            return (number, true);
        }
        // Another status may find room for it later.
        if !process.routes.has_room(self.routes_max_per_process, status) {
            return (CATCH_ALL_NUMBER, false);
        }
        match self.processes.learn_route(key, &self.template) {
            Some(number) => (number, true),
            None => (CATCH_ALL_NUMBER, false),
        }
    }
}

/// How long the parts of an exchange took.
#[derive(Clone, Copy, Debug)]
struct Times {
    duration_ns: u64,
    queue_ns: Option<u64>,
    first_byte_ns: u64,
}

impl Times {
    fn of(exchange: &Exchange<'_>) -> Self {
        let started_ns = exchange.started_ns;
        Self {
            duration_ns: exchange.ended_ns.saturating_sub(started_ns),
            queue_ns: exchange
                .arrived_ns
                .map(|arrived_ns| started_ns.saturating_sub(arrived_ns)),
            first_byte_ns: exchange.first_byte_ns.saturating_sub(started_ns),
        }
    }
}

fn kind<'a>(process: ProcessKey, exchange: &Exchange<'a>) -> Kind<'a> {
    let Operation::Http {
        method,
        target,
        version,
    } = exchange.operation;
    let Answer::Http { status } = exchange.answer;
    let is_client = exchange.role == Role::Client;
    Kind {
        process,
        role: exchange.role,
        protocol: exchange.protocol,
        method: self::method(method),
        version,
        status,
        truncated: exchange.truncated,
        target: if is_client { b"" } else { target },
        remote: is_client.then_some(exchange.remote),
    }
}

/// The route number of [`CATCH_ALL`].
const CATCH_ALL_NUMBER: u16 = 0;

/// The label value for a method as on the wire. Methods are case-sensitive; they are those of RFC 9110 and PATCH
/// (RFC 5789), and `_OTHER` stands for any other.
pub(super) fn method(wire: &[u8]) -> &'static str {
    match wire {
        b"GET" => "GET",
        b"HEAD" => "HEAD",
        b"POST" => "POST",
        b"PUT" => "PUT",
        b"DELETE" => "DELETE",
        b"CONNECT" => "CONNECT",
        b"OPTIONS" => "OPTIONS",
        b"TRACE" => "TRACE",
        b"PATCH" => "PATCH",
        _ => "_OTHER",
    }
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
