//! Labels to counters, gauges and histograms; the cap on series.

mod accept;
mod asked;
mod beginning;
pub mod catalogue;
mod counted;
mod family;
mod histogram;
mod http;
mod labels;
mod plain;
mod process;
pub mod route;
mod settings;
mod snapshot;
#[cfg(test)]
mod tests;

pub use accept::AcceptQueue;
pub use histogram::{Bounds, Observed};
pub use process::ProcessKey;
pub use settings::{DURATION_BUCKETS_SECONDS, Settings};
pub use snapshot::{Family, Point, Sample, Snapshot, UnknownMetric, Value};

use crate::connections::{Direction, Role};
use crate::protocol::Method;
use crate::records::Transport;
use accept::Accept;
use asked::Targets;
use beginning::Beginning;
use catalogue::named;
use counted::{Counter, add};
use family::Key;
use http::{ClientKey, ServerKey};
use labels::Words;
use plain::{Gauge, Plain, PlainLabels};
use process::{Owner, Processes};
use std::sync::Arc;

/// How long the series of an ended process wait for a scrape, in nanoseconds: 5 minutes, the time after
/// which Prometheus takes a series for gone.
pub const LINGER_NS: u64 = 300_000_000_000;

/// All series of the agent. One thread writes; [`Series::snapshot`] makes copies for all others.
///
/// In the steady state, when every series exists, nothing here allocates. Times are `CLOCK_MONOTONIC`
/// nanoseconds. What comes for a process that has been forgotten is counted in
/// `sockmeter_records_lost_total{reason="process_ended"}`.
pub struct Series {
    routes_max_per_process: usize,
    bounds: Arc<Bounds>,
    processes: Processes,
    /// The owner of agent-wide series: no process labels.
    agent: Arc<Owner>,
    beginning: Beginning,
    words: Words,
    targets: Targets,
    http_server: family::Family<ServerKey>,
    http_client: family::Family<ClientKey>,
    plain: Plain,
    accept: Accept,
}

impl Series {
    /// Without any process.
    pub fn new(settings: Settings) -> Self {
        let Settings {
            series_max_per_metric,
            routes_max_per_process,
            duration_buckets_seconds,
            labels,
        } = settings;
        let bounds = Arc::new(Bounds::from_seconds(&duration_buckets_seconds));
        let http_server = const { named("http_server_request_duration_seconds") };
        let http_client = const { named("http_client_request_duration_seconds") };
        Self {
            routes_max_per_process,
            processes: Processes::new(labels),
            agent: Arc::new(Owner {
                number: 0,
                labels: Box::default(),
                created_unix_ns: 0,
            }),
            beginning: Beginning::default(),
            words: Words::default(),
            targets: Targets::default(),
            http_server: family::Family::new(http_server, series_max_per_metric, &bounds),
            http_client: family::Family::new(http_client, series_max_per_metric, &bounds),
            plain: Plain::new(series_max_per_metric, &bounds),
            accept: Accept::new(series_max_per_metric, &bounds),
            bounds,
        }
    }

    /// A process to count for. Empty values, and labels that the settings leave out, are not shown. One that has
    /// the pid and all labels of an ended process is shown when the other was shown for the last time, and
    /// begins at zero.
    pub fn add_process(&mut self, labels: &[(&'static str, String)], now_ns: u64) -> ProcessKey {
        self.processes
            .add(labels, self.beginning.of_process(now_ns))
    }

    /// The process has ended. It is forgotten, and series that no other process shares with it go away, after
    /// the next snapshot, which still shows them, or [`LINGER_NS`] later if there is none. Until then
    /// what comes late is still counted.
    pub fn end_process(&mut self, process: ProcessKey, now_ns: u64) {
        self.processes.end(process, now_ns);
    }

    /// All that happened until now has been told. Forgets the processes that ended [`LINGER_NS`] ago. Cheap when there
    /// are none; to be called every second or so.
    pub fn tick(&mut self, now_ns: u64) {
        self.begin_after(now_ns);
        self.forget(now_ns, false);
    }

    /// Moves the number of requests that are being served by `delta`.
    pub fn active_requests(&mut self, process: ProcessKey, role: Role, method: Method, delta: i64) {
        let gauge = match role {
            Role::Client => Gauge::HttpClientRequests(method),
            Role::Server | Role::Unknown => Gauge::HttpServerRequests(method),
        };
        self.shift(process, gauge, delta);
    }

    /// A request whose response was not seen.
    pub fn unanswered(
        &mut self,
        process: ProcessKey,
        protocol: &'static str,
        role: Role,
        reason: &'static str,
        count: u64,
    ) {
        self.add(
            process,
            Counter::Unanswered,
            [protocol, role.label(), reason],
            count,
        );
    }

    /// A response whose request was not seen.
    pub fn unpaired(
        &mut self,
        process: ProcessKey,
        protocol: &'static str,
        role: Role,
        reason: &'static str,
    ) {
        self.add(
            process,
            Counter::Unpaired,
            [protocol, role.label(), reason],
            1,
        );
    }

    /// Moves the number of open connections by `delta`.
    pub fn connection_active(
        &mut self,
        process: ProcessKey,
        role: Role,
        transport: Transport,
        delta: i64,
    ) {
        self.shift(process, Gauge::Connections(role, transport), delta);
    }

    /// A connection was accepted or made.
    pub fn connection_opened(&mut self, process: ProcessKey, role: Role, transport: &'static str) {
        self.add(process, Counter::Opened, [role.label(), transport, ""], 1);
    }

    /// A connection could not be made. `error_type` names the error, as `refused`.
    pub fn connection_failed(
        &mut self,
        process: ProcessKey,
        role: Role,
        transport: &'static str,
        error_type: &'static str,
    ) {
        self.add(
            process,
            Counter::Failed,
            [role.label(), transport, error_type],
            1,
        );
    }

    /// A connection was open before it was first seen.
    pub fn adopted(&mut self, process: ProcessKey, role: Role, transport: &'static str) {
        self.add(process, Counter::Adopted, [role.label(), transport, ""], 1);
    }

    /// A client's connection was made in `duration_ns`.
    pub fn connect_duration(
        &mut self,
        process: ProcessKey,
        transport: &'static str,
        duration_ns: u64,
    ) {
        let Some(known) = self.processes.get_mut(process) else {
            return self.late(process);
        };
        let (bounds, labels) = (&self.bounds, [transport, "", ""]);
        self.plain
            .count(&mut self.words, known, Counter::Connect, labels, |row| {
                bounds.observe(row, duration_ns);
            });
    }

    /// Bytes went through a socket.
    pub fn socket_bytes(
        &mut self,
        process: ProcessKey,
        role: Role,
        transport: &'static str,
        direction: Direction,
        bytes: u64,
    ) {
        self.add(
            process,
            Counter::SocketBytes,
            [direction.label(), role.label(), transport],
            bytes,
        );
    }

    /// Datagrams, and their bytes, went through sockets. Who asks and who answers is not known of them.
    pub fn datagrams(
        &mut self,
        process: ProcessKey,
        direction: Direction,
        datagrams: u64,
        bytes: u64,
    ) {
        let direction = direction.label();
        self.add(
            process,
            Counter::Datagrams,
            [direction, "udp", ""],
            datagrams,
        );
        self.add(process, Counter::SocketBytes, [direction, "", "udp"], bytes);
    }

    /// TCP segments were sent again.
    pub fn retransmits(&mut self, process: ProcessKey, role: Role, segments: u64) {
        self.add(
            process,
            Counter::Retransmits,
            [role.label(), "", ""],
            segments,
        );
    }

    /// What became of bytes: `outcome` is `parsed`, `skipped`, `unrecognised`, `opaque` or `lost`.
    pub fn payload(
        &mut self,
        process: ProcessKey,
        outcome: &'static str,
        protocol: &'static str,
        direction: Direction,
        bytes: u64,
    ) {
        self.add(
            process,
            Counter::Payload,
            [outcome, protocol, direction.label()],
            bytes,
        );
    }

    /// Moves the number of bytes that have no outcome yet by `delta`.
    pub fn payload_pending(&mut self, process: ProcessKey, direction: Direction, delta: i64) {
        self.shift(process, Gauge::PendingBytes(direction), delta);
    }

    /// Records could not be counted.
    pub fn records_lost(&mut self, reason: &'static str, records: u64) {
        self.plain
            .records_lost
            .add(&mut self.words, &self.agent, [reason, "", ""], records);
    }

    /// A copy of all series, in the catalogue's order; processes that have ended are forgotten after it.
    pub fn snapshot(&mut self, now_ns: u64) -> Snapshot {
        self.tick(now_ns);
        let mut snapshot = Snapshot::new(Arc::clone(&self.bounds), self.agent.created_unix_ns);
        let hidden: Arc<[u64]> = self.processes.hidden().into();
        take(&mut snapshot, &mut self.http_server, &hidden);
        take(&mut snapshot, &mut self.http_client, &hidden);
        for family in self.plain.each_mut() {
            take(&mut snapshot, family, &hidden);
        }
        for family in self.accept.each_mut() {
            take(&mut snapshot, family, &hidden);
        }
        self.forget(now_ns, true);
        snapshot
    }

    fn add(&mut self, process: ProcessKey, counter: Counter, labels: PlainLabels, n: u64) {
        let Some(known) = self.processes.get_mut(process) else {
            return self.late(process);
        };
        self.plain
            .count(&mut self.words, known, counter, labels, |row| add(row, n));
    }

    fn shift(&mut self, process: ProcessKey, gauge: Gauge, delta: i64) {
        let Some(known) = self.processes.get_mut(process) else {
            return self.late(process);
        };
        self.plain.shift(&mut self.words, known, gauge, delta);
    }

    /// Something came for a process that has been forgotten, or is not measured.
    fn late(&mut self, process: ProcessKey) {
        if process != ProcessKey::EXCLUDED {
            self.records_lost("process_ended", 1);
        }
    }

    fn forget(&mut self, now_ns: u64, shown: bool) {
        let forgotten = self.processes.forget(now_ns, shown);
        for gauges in forgotten.gauges {
            self.plain.take_back(gauges);
        }
        if forgotten.owners.is_empty() {
            return;
        }
        self.http_server.forget(&forgotten.owners);
        self.http_client.forget(&forgotten.owners);
        for family in self.plain.each_mut() {
            family.forget(&forgotten.owners);
        }
        for family in self.accept.each_mut() {
            family.forget(&forgotten.owners);
        }
    }
}

/// Copies a family, and what there is to say about its size.
fn take<K: Key>(snapshot: &mut Snapshot, family: &mut family::Family<K>, hidden: &Arc<[u64]>) {
    let metric = family.metric();
    snapshot.set(metric, family.snapshot(hidden));
    let labels = [("metric", metric.name)];
    snapshot.push_own(
        const { named("sockmeter_series") },
        &labels,
        Sample::Count(family.series() as u64),
    );
    snapshot.push_own(
        const { named("sockmeter_series_overflow_total") },
        &labels,
        Sample::Count(family.folded()),
    );
}
