//! What a process counted.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::json;

use crate::http::End;

/// One end's counts.
#[derive(Clone, Copy, Default)]
struct Counts {
    opened: u64,
    requests: u64,
    received: u64,
    sent: u64,
}

/// What this process did so far.
pub(crate) struct Report {
    name: String,
    pid: u32,
    /// The process that this one was forked from, at the root of all that were: sockmeter takes them for one.
    root: u32,
    counts: [Counts; 2],
    file: File,
}

/// The pid in the namespace that `/proc` is mounted for, which is the initial one.
fn pid() -> Result<u32> {
    let link = std::fs::read_link("/proc/self").context("no /proc")?;
    let name = link.to_str().context("/proc/self is no number")?;
    Ok(name.parse()?)
}

impl Report {
    /// Nothing done yet.
    pub(crate) fn begin() -> Result<Self> {
        let path = std::env::var("HOLDER_REPORT").context("HOLDER_REPORT names no file")?;
        let pid = pid()?;
        Ok(Self {
            name: std::env::var("OTEL_SERVICE_NAME").unwrap_or_default(),
            pid,
            root: pid,
            counts: [Counts::default(); 2],
            file: OpenOptions::new()
                .append(true)
                .create(true)
                .open(Path::new(&path))?,
        })
    }

    /// The same for a process that was forked off, or for another thread.
    pub(crate) fn of_child(&self) -> Result<Self> {
        Ok(Self {
            name: self.name.clone(),
            pid: pid()?,
            root: self.root,
            counts: [Counts::default(); 2],
            file: self.file.try_clone()?,
        })
    }

    fn end(&mut self, end: End) -> &mut Counts {
        let [server, client] = &mut self.counts;
        match end {
            End::Server => server,
            End::Client => client,
        }
    }

    pub(crate) fn opened(&mut self, end: End) {
        self.end(end).opened += 1;
    }

    pub(crate) fn finished(&mut self, end: End) {
        self.end(end).requests += 1;
    }

    pub(crate) fn received(&mut self, end: End, bytes: usize) {
        self.end(end).received += bytes as u64;
    }

    pub(crate) fn sent(&mut self, end: End, bytes: usize) {
        self.end(end).sent += bytes as u64;
    }

    /// Takes over what another thread of this process did.
    pub(crate) fn add(&mut self, other: &Self) {
        for (to, from) in self.counts.iter_mut().zip(other.counts) {
            to.opened += from.opened;
            to.requests += from.requests;
            to.received += from.received;
            to.sent += from.sent;
        }
    }

    /// Writes it down, in one piece: processes share the file.
    pub(crate) fn write(&mut self) -> Result<()> {
        let [server, client] = self.counts.map(|counts| {
            let Counts {
                opened,
                requests,
                received,
                sent,
            } = counts;
            json!({"opened": opened, "requests": requests, "received": received, "sent": sent})
        });
        let line = json!({
            "name": self.name,
            "pid": self.pid,
            "root": self.root,
            "own_pid": std::process::id(),
            "server": server,
            "client": client,
        });
        self.file.write_all(format!("{line}\n").as_bytes())?;
        Ok(())
    }
}
