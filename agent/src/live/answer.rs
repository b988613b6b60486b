//! Answers to the endpoints' questions.

use super::Live;
use crate::{
    export::prometheus::{Chunks, Format, negotiate},
    health::{self, Verdict, process::OwnProcess},
    records::{CaptureLevel, LOSS_REASONS},
    series::{Sample, Snapshot, UnknownMetric},
    serve::{Ask, Page},
};
use hyper::body::Bytes;

impl Live {
    /// Answers one question.
    pub(super) fn answer(&mut self, ask: Ask) {
        match ask {
            Ask::Metrics { accept, reply } => {
                if !reply.is_closed() {
                    // Whoever asked may have left meanwhile.
                    let _ = reply.send(self.page(negotiate(accept.as_deref())));
                }
            }
            Ask::Health { reply } => {
                let losses: Vec<(&'static str, u64)> = LOSS_REASONS
                    .into_iter()
                    .zip(self.pipeline.losses())
                    .collect();
                let connections = self.pipeline.connections_open();
                let mut more = vec![self.privileges.part()];
                more.extend(self.host.iter().cloned());
                let _ = reply.send(health::health(
                    self.probes.verdicts(),
                    &losses,
                    connections,
                    &self.limit.capture(self.pipeline.excluded()),
                    more,
                ));
            }
        }
    }

    fn page(&mut self, format: Format) -> Page {
        let mut snapshot = self.pipeline.snapshot();
        if let Err(error) = self.tell_agent(&mut snapshot) {
            tracing::error!("the agent's own metrics are incomplete: {error}");
        }
        Page {
            content_type: format.content_type(),
            // The server's thread makes the text, as fast as the client reads it.
            body: Box::new(Chunks::new(snapshot, format).map(Bytes::from)),
        }
    }

    /// Adds what the agent knows of itself.
    fn tell_agent(&self, snapshot: &mut Snapshot) -> Result<(), UnknownMetric> {
        let version = env!("CARGO_PKG_VERSION");
        snapshot.push(
            "sockmeter_build_info",
            &[("version", version)],
            Sample::Count(1),
        )?;
        for probe in self.probes.verdicts() {
            let is_attached = u64::from(probe.verdict == Verdict::Attached);
            let labels = [
                ("program", probe.program),
                ("family", probe.family),
                ("kind", probe.kind),
            ];
            snapshot.push(
                "sockmeter_probe_attached",
                &labels,
                Sample::Count(is_attached),
            )?;
        }
        for (probe, missed) in self.probes.missed() {
            let labels = [
                ("program", probe.program),
                ("family", probe.family),
                ("kind", probe.kind),
            ];
            snapshot.push(
                "sockmeter_probe_missed_total",
                &labels,
                Sample::Count(missed),
            )?;
        }
        let untracked_bytes = Sample::Count(self.pipeline.untracked_bytes());
        snapshot.push("sockmeter_untracked_bytes_total", &[], untracked_bytes)?;
        self.tell_capture(snapshot)?;
        let malformed = [("reason", "malformed")];
        if self.intake.malformed > 0 {
            let count = Sample::Count(self.intake.malformed);
            snapshot.push("sockmeter_records_lost_total", &malformed, count)?;
        }
        if let Ok(lost @ 1..) = self.maps.listeners_lost() {
            let reason = [("reason", "listener_table_full")];
            snapshot.push("sockmeter_records_lost_total", &reason, Sample::Count(lost))?;
        }
        match health::process::read() {
            Ok(own) => tell_process(snapshot, &own),
            Err(error) => {
                tracing::warn!("cannot read the agent's own counts: {error}");
                Ok(())
            }
        }
    }

    /// How much is captured, and of whom nothing.
    fn tell_capture(&self, snapshot: &mut Snapshot) -> Result<(), UnknownMetric> {
        for level in CaptureLevel::ALL {
            let is_now = u64::from(level == self.limit.level());
            let labels = [("level", level.label())];
            snapshot.push("sockmeter_capture_level", &labels, Sample::Count(is_now))?;
        }
        let reductions = Sample::Count(self.limit.reductions());
        snapshot.push("sockmeter_capture_reductions_total", &[], reductions)?;
        let excluded = Sample::Count(self.pipeline.excluded() as u64);
        snapshot.push("sockmeter_excluded_processes", &[], excluded)
    }
}

fn tell_process(snapshot: &mut Snapshot, own: &OwnProcess) -> Result<(), UnknownMetric> {
    let OwnProcess {
        cpu_seconds,
        resident_bytes,
        virtual_bytes,
        open_fds,
        max_fds,
        start_unix_ns,
    } = *own;
    snapshot.push_since(
        start_unix_ns,
        "process_cpu_seconds_total",
        &[],
        Sample::Number(cpu_seconds),
    )?;
    snapshot.push(
        "process_resident_memory_bytes",
        &[],
        Sample::Count(resident_bytes),
    )?;
    snapshot.push(
        "process_virtual_memory_bytes",
        &[],
        Sample::Count(virtual_bytes),
    )?;
    snapshot.push("process_open_fds", &[], Sample::Count(open_fds))?;
    if let Some(max_fds) = max_fds {
        snapshot.push("process_max_fds", &[], Sample::Count(max_fds))?;
    }
    snapshot.push(
        "process_start_time_seconds",
        &[],
        Sample::Number(own.start_unix_seconds()),
    )
}
