//! Exchanges: one request and its response, paired and timed, for all protocols alike.

use crate::connections::Role;
use std::net::SocketAddr;

/// What a request asked for, owned by the pairing table until its response ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation<'a> {
    /// HTTP: method and target as on the wire.
    Http {
        /// As on the wire.
        method: &'a [u8],
        /// As on the wire.
        target: &'a [u8],
        /// `1.0`, `1.1`, `2`.
        version: &'static str,
    },
}

/// How a request was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// HTTP status.
    Http {
        /// As on the wire.
        status: u16,
    },
}

/// A finished exchange. Times are `CLOCK_MONOTONIC` nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exchange<'a> {
    /// The end that saw it.
    pub role: Role,
    /// `http1`, ...
    pub protocol: &'static str,
    /// What was asked.
    pub operation: Operation<'a>,
    /// What was answered.
    pub answer: Answer,
    /// The other end.
    pub remote: SocketAddr,
    /// Server: the request's arrival in the socket, if known.
    pub arrived_ns: Option<u64>,
    /// The request's first byte read (server) or sent (client).
    pub started_ns: u64,
    /// The response's first byte.
    pub first_byte_ns: u64,
    /// The response's last byte.
    pub ended_ns: u64,
    /// The response broke off before its end.
    pub truncated: bool,
}
