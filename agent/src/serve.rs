//! The HTTP endpoints on one port: `/metrics`, `/health`, `/health/live`, `/health/ready`, and `/` for people.
//!
//! The server never touches the pipeline's data: it asks through a bounded channel and waits a bounded
//! time, so a slow or dead pipeline is a 503 and not a hang. Everything that a client can hold (its
//! connection, its headers, its scrape) has a [limit](Limits), so no client can exhaust the agent.

use hyper::body::Bytes;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Serialize;
use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

mod answer;
mod body;
#[cfg(test)]
mod tests;

/// Questions that wait for the pipeline, at most; further ones wait in their connections.
pub const ASKS_MAX: usize = 16;
/// Bytes of a request's head, at most; a longer one is answered with 431.
pub const HEAD_BYTES_MAX: usize = 16 * 1024;
/// How long the server rests when the kernel gives it no connection, mostly for want of descriptors.
const ACCEPT_REST: Duration = Duration::from_secs(1);

/// What the server asks of the pipeline. When `reply.is_closed()` nobody waits any more: skip the work.
#[derive(Debug)]
pub enum Ask {
    /// A scrape.
    Metrics {
        /// The request's `Accept`, which chooses the text format.
        accept: Option<String>,
        /// Where the answer goes.
        reply: oneshot::Sender<Page>,
    },
    /// The state of each part.
    Health {
        /// Where the answer goes.
        reply: oneshot::Sender<Health>,
    },
}

/// A body and what it is.
pub struct Page {
    /// With its version and character set.
    pub content_type: &'static str,
    /// In pieces, each asked for when there is room to send it.
    pub body: Box<dyn Iterator<Item = Bytes> + Send>,
}

impl fmt::Debug for Page {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { content_type, .. } = self;
        out.debug_struct("Page")
            .field("content_type", content_type)
            .finish_non_exhaustive()
    }
}

/// The agent's state, as `/health` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Health {
    /// The whole: `failed` makes `/health` a 503.
    pub status: Status,
    /// Why `/health/ready` is a 503; absent once the probes are attached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_ready: Option<String>,
    /// Each part, in the order of the flow.
    pub parts: Vec<Part>,
}

/// One part of the agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Part {
    /// `socket_io`, `records`, ...
    pub name: String,
    /// Of this part alone.
    pub status: Status,
    /// Why it is not `ok`, or what it does.
    pub why: String,
}

/// How well something works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Everything works.
    Ok,
    /// Works with features off.
    Degraded,
    /// Does not work.
    Failed,
}

/// The server's end of the channel to the pipeline.
#[derive(Clone, Debug)]
pub struct Source(mpsc::Sender<Ask>);

impl Source {
    /// Both ends of the channel; the pipeline drains its end with `try_recv` between two batches.
    pub fn new() -> (Self, mpsc::Receiver<Ask>) {
        let (asks, answers) = mpsc::channel(ASKS_MAX);
        (Self(asks), answers)
    }

    /// Completes when the pipeline's end is gone.
    pub fn closed(&self) -> impl Future<Output = ()> + use<> {
        let asks = self.0.clone();
        async move { asks.closed().await }
    }
}

/// What clients can hold, at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Open connections; further clients wait in the kernel's backlog. Default 64.
    pub connections_max: usize,
    /// Scrapes that are being answered; further ones wait within `answer`. Default 4, because each holds a copy
    /// of all numbers until it is sent: a megabyte at 100,000 series.
    pub scrapes_max: usize,
    /// From connecting to the end of the request's head. Default 10 s.
    pub head: Duration,
    /// From the request to the pipeline's answer. Default 10 s, Prometheus' own default.
    pub answer: Duration,
    /// The whole life of a connection, which serves one request. Default 60 s.
    pub connection: Duration,
    /// From the end of `shutdown` until open connections are cut. Default 5 s.
    pub stop: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 64,
            scrapes_max: 4,
            head: Duration::from_secs(10),
            answer: Duration::from_secs(10),
            connection: Duration::from_secs(60),
            stop: Duration::from_secs(5),
        }
    }
}

/// The endpoints cannot have their port.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {why}; choose another with --listen")]
pub struct BindError {
    /// As configured.
    pub address: SocketAddr,
    /// In lower case where the cause is a known one.
    pub why: String,
}

/// Takes the port, before anything costly is started. `[::]` means all addresses: on a host without
/// IPv6 it is IPv4 alone.
pub fn bind(address: SocketAddr) -> Result<std::net::TcpListener, BindError> {
    bind_with(address, std::net::TcpListener::bind)
}

fn bind_with<T>(
    address: SocketAddr,
    bind: impl Fn(SocketAddr) -> io::Result<T>,
) -> Result<T, BindError> {
    let all = address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    bind(address)
        .or_else(|error| match error.kind() {
            ErrorKind::AddrInUse | ErrorKind::PermissionDenied => Err(error),
            _ if all => bind((Ipv4Addr::UNSPECIFIED, address.port()).into()),
            _ => Err(error),
        })
        .map_err(|error| BindError {
            address,
            why: match error.kind() {
                kind @ (ErrorKind::AddrInUse
                | ErrorKind::AddrNotAvailable
                | ErrorKind::PermissionDenied) => kind.to_string(),
                _ => error.to_string(),
            },
        })
}

struct Shared {
    source: Source,
    limits: Limits,
    scrapes: Semaphore,
}

/// Serves until `shutdown` ends, then lets open requests finish within [`Limits::stop`]. Needs a tokio
/// runtime with I/O and time; one thread is enough.
pub async fn serve(
    listener: std::net::TcpListener,
    source: Source,
    limits: Limits,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let shared = Arc::new(Shared {
        source,
        limits,
        scrapes: Semaphore::new(limits.scrapes_max),
    });
    let (stop, stopping) = watch::channel(());
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < limits.connections_max => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, Arc::clone(&shared), stopping.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    sleep(ACCEPT_REST).await;
                }
            }
        }
    }
    drop((listener, stop));
    // What is still open then is cut when `connections` is dropped.
    let _ = timeout(limits.stop, async {
        while connections.join_next().await.is_some() {}
    })
    .await;
    Ok(())
}

/// One request and its answer. Connections are not kept: a scraper that comes every few seconds gains
/// nothing by it, and idle clients would take the place of others.
async fn connection(stream: TcpStream, shared: Arc<Shared>, mut stopping: watch::Receiver<()>) {
    // Held to the connection's end: until then hyper holds what is not yet sent.
    let scrape = OnceLock::new();
    let (shared, scrape) = (&*shared, &scrape);
    let mut served = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(shared.limits.head)
            .keep_alive(false)
            .max_buf_size(HEAD_BYTES_MAX)
            .serve_connection(
                TokioIo::new(stream),
                service_fn(move |request| answer::answer(request, shared, scrape)),
            )
    );
    let ended = timeout(shared.limits.connection, async {
        tokio::select! {
            ended = served.as_mut() => ended,
            _ = stopping.changed() => {
                served.as_mut().graceful_shutdown();
                served.await
            }
        }
    });
    match ended.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "connection ended early"),
        Err(_) => tracing::debug!("connection cut: it took too long"),
    }
}
