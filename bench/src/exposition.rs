//! The libraries that are compared: each holds the same series and writes them as text.

mod prometheus;
mod prometheus_client;
mod sockmeter;

pub use self::prometheus::Prometheus;
pub use self::prometheus_client::PrometheusClient;
pub use self::sockmeter::Sockmeter;

use crate::population::Service;
use anyhow::Result;
use std::{fmt, io};

/// Where text goes: nowhere. It is counted as it comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sink {
    /// Bytes that came.
    pub bytes: u64,
}

impl io::Write for Sink {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.bytes += text.len() as u64;
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Write for Sink {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.bytes += text.len() as u64;
        Ok(())
    }
}

/// A library with series in it.
pub trait Exposition {
    /// Makes the series of `services`.
    ///
    /// # Errors
    /// The library's.
    fn build(services: &[Service]) -> Result<Self>
    where
        Self: Sized;

    /// Writes all series.
    ///
    /// # Errors
    /// The library's.
    fn scrape(&mut self, out: &mut Sink) -> Result<()>;

    /// The same as text, to look at.
    ///
    /// # Errors
    /// The library's.
    fn text(&mut self) -> Result<String>;
}
