//! The HTTP request durations: what tells their series apart, and how their labels are written.

use super::Series;
use super::asked::Kind;
use super::family::{Key, RowPlace};
use super::histogram::Bounds;
use super::labels::{Word, Words, push_label, push_number};
use super::plain::Plain;
use super::process::{Process, ProcessKey, Processes};
use super::route::CATCH_ALL;
use crate::connections::Role;
use crate::exchanges::{Exchange, Operation};
use crate::protocol::Method;
use crate::records::Address;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

impl Series {
    /// Counts a finished exchange and its times. One whose end is not known counts as a server's.
    pub fn exchange(&mut self, key: ProcessKey, exchange: &Exchange<'_>) {
        let kind = Kind::of(exchange);
        let times = Times::of(exchange);
        let Some(process) = self.processes.get_mut(key) else {
            return self.late(key);
        };
        let (plain, words) = (&mut self.plain, &mut self.words);
        process.count_parts(plain, words, &self.bounds, exchange, times);
        let row = match kind.role {
            Role::Client => {
                let place = process.calls.place(exchange.remote, &kind);
                place.and_then(|place| self.http_client.row_at(place))
            }
            Role::Server | Role::Unknown => {
                let Operation::Http { target, .. } = exchange.operation;
                let place = self.targets.place(target, key, &kind);
                place.and_then(|place| self.http_server.row_at(place))
            }
        };
        if let Some(row) = row {
            return self.bounds.observe(row, times.duration_ns);
        }
        match kind.role {
            Role::Client => self.called(key, &kind, exchange.remote, times.duration_ns),
            Role::Server | Role::Unknown => self.served(key, &kind, exchange, times.duration_ns),
        };
    }

    /// Counts how long a server took, where it is not known where others like it were counted.
    #[inline(never)]
    fn served(
        &mut self,
        key: ProcessKey,
        kind: &Kind,
        exchange: &Exchange<'_>,
        duration_ns: u64,
    ) -> Option<()> {
        let Operation::Http { target, .. } = exchange.operation;
        let target = self.targets.get(target);
        let owner = Arc::clone(&self.processes.get_mut(key)?.owner);
        let routes_max = self.routes_max_per_process;
        let template = &target.template;
        let (route, is_lasting) =
            route(&mut self.processes, key, template, kind.status, routes_max);
        let series = ServerKey {
            request: Request {
                owner: owner.number,
                method: kind.method,
                version: self.words.number(kind.version),
                outcome: Outcome::of(kind),
            },
            route,
        };
        let template = match route {
            CATCH_ALL_NUMBER => CATCH_ALL,
            _ => template,
        };
        let (row, place) = self.http_server.row(&series, &owner, |out| {
            push_server(out, kind.version, &series, template);
        });
        self.bounds.observe(row, duration_ns);
        if let Some(place) = place.filter(|_| is_lasting) {
            target.counted(key, kind, place);
        }
        Some(())
    }

    /// The same of how long a client waited.
    #[inline(never)]
    fn called(
        &mut self,
        key: ProcessKey,
        kind: &Kind,
        remote: &Address,
        duration_ns: u64,
    ) -> Option<()> {
        let Process { owner, calls, .. } = self.processes.get_mut(key)?;
        let series = ClientKey {
            request: Request {
                owner: owner.number,
                method: kind.method,
                version: self.words.number(kind.version),
                outcome: Outcome::of(kind),
            },
            server: remote.into(),
        };
        let (row, place) = self.http_client.row(&series, owner, |out| {
            push_client(out, kind.version, &series);
        });
        self.bounds.observe(row, duration_ns);
        if let Some(place) = place {
            calls.counted(remote, kind, place);
        }
        Some(())
    }
}

impl Process {
    /// Counts how long the parts of an exchange took.
    fn count_parts(
        &mut self,
        plain: &mut Plain,
        words: &mut Words,
        bounds: &Bounds,
        exchange: &Exchange<'_>,
        times: Times,
    ) {
        let Exchange { role, protocol, .. } = *exchange;
        let Self { owner, parts, .. } = self;
        let is = |known: &Parts| known.role == role && std::ptr::eq(known.protocol, protocol);
        let at = parts.iter().position(is).unwrap_or_else(|| {
            parts.push(Parts {
                role,
                protocol,
                first_byte: None,
                queue: None,
            });
            parts.len() - 1
        });
        let Some(known) = parts.get_mut(at) else {
            return;
        };
        let labels = [protocol, role.label(), ""];
        let Plain {
            queue, first_byte, ..
        } = plain;
        if let Some(queue_ns) = times.queue_ns {
            queue.observe(&mut known.queue, words, owner, labels, bounds, queue_ns);
        }
        let first_byte_ns = times.first_byte_ns;
        first_byte.observe(
            &mut known.first_byte,
            words,
            owner,
            labels,
            bounds,
            first_byte_ns,
        );
    }
}

/// The number of a template for a process; and whether it will be the same next time.
fn route(
    processes: &mut Processes,
    key: ProcessKey,
    template: &str,
    status: u16,
    routes_max: usize,
) -> (u16, bool) {
    if template == CATCH_ALL {
        return (CATCH_ALL_NUMBER, true);
    }
    let Some(process) = processes.get_mut(key) else {
        return (CATCH_ALL_NUMBER, false);
    };
    if let Some(number) = process.routes.get(template) {
        return (number, true);
    }
    // Another status may find room for it later.
    if !process.routes.has_room(routes_max, status) {
        return (CATCH_ALL_NUMBER, false);
    }
    match processes.learn_route(key, template) {
        Some(number) => (number, true),
        None => (CATCH_ALL_NUMBER, false),
    }
}

/// Where the parts of a process's exchanges of one role and protocol were counted last.
#[derive(Debug)]
pub(super) struct Parts {
    role: Role,
    protocol: &'static str,
    first_byte: Option<RowPlace>,
    queue: Option<RowPlace>,
}

/// How long an exchange and its parts took.
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

/// The route number of [`CATCH_ALL`].
const CATCH_ALL_NUMBER: u16 = 0;

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
    fn of(kind: &Kind) -> Self {
        let Kind {
            role,
            method: _,
            truncated,
            status,
            version: _,
        } = *kind;
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
    method: Method,
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
fn push_server(out: &mut String, version: &str, key: &ServerKey, route: &str) {
    let outcome = key.request.outcome;
    push_label(out, "http_request_method", key.request.method.label());
    push_number(out, "http_response_status_code", outcome.status);
    push_label(out, "http_route", route);
    push_label(out, "network_protocol_version", version);
    outcome.push_error(out);
}

/// Writes the labels of a client's series.
fn push_client(out: &mut String, version: &str, key: &ClientKey) {
    let outcome = key.request.outcome;
    push_label(out, "http_request_method", key.request.method.label());
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
