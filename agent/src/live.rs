//! The live edge: kernel and /proc in, the pipeline in the middle, answers out. One thread.
//!
//! The kernel side never wakes this thread; it drains the ring on a timer, and at once when somebody
//! asks, so that an answer holds everything that happened before the question.

mod answer;
mod budget;
mod clock;
mod datagrams;
mod drain;
mod intake;
mod limit;
mod listeners;
pub mod pauses;
mod reconcile;
mod rights;

use crate::{
    adoption,
    config::Config,
    host::{self, Requirement},
    identity::Exclusions,
    kernel_btf::BtfError,
    memory,
    pipeline::Pipeline,
    privileges::{Privileges, Thread},
    probes::{ProbeError, Probes},
    records::{KernelMaps, Record, maps::MapError},
    series,
    serve::{Ask, Part},
};
use clock::{WallClock, now_ns};
use datagrams::Told;
use intake::Intake;
use limit::Limit;
use listeners::Listening;
use pauses::{Pauses, Woken};
use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::sync::mpsc;

/// Where processes are looked up.
const PROC: &str = "/proc";
/// Between two looks at what changes slowly: ended processes, losses.
const TICK_NS: u64 = 1_000_000_000;

/// Why the agent cannot begin, or go on.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// No probes.
    #[error(transparent)]
    Probes(#[from] ProbeError),
    /// The kernel's maps.
    #[error(transparent)]
    Maps(#[from] MapError),
    /// The kernel's types.
    #[error(transparent)]
    Types(#[from] BtfError),
    /// The recording.
    #[error("cannot write the recording {path}: {source}")]
    Recording {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The agent at work.
pub struct Live {
    probes: Probes,
    maps: KernelMaps,
    datagrams: Told,
    pipeline: Pipeline,
    intake: Intake,
    limit: Limit,
    /// As many records as the ring can hold: what comes while these are taken came later.
    drain_records: usize,
    ring_bytes: u32,
    /// What was taken out of the ring since the last look.
    found_bytes: u64,
    pause_min: Duration,
    clock: WallClock,
    ticked_ns: u64,
    /// What the kernel's loss counters said last.
    losses: [u64; sockmeter_abi::field::LOSS_COUNTERS_USED],
    listening: Listening,
    privileges: Privileges,
    /// What it offers, as it was at the start.
    host: Vec<Part>,
}

/// Whether a process has that pid now.
fn is_there(pid: u32) -> bool {
    Path::new(PROC).join(pid.to_string()).exists()
}

impl Live {
    /// Loads and attaches the probes, gives up the rights that this took, and takes up the connections that are
    /// already open.
    ///
    /// # Errors
    /// The probes cannot be had, or the recording cannot be begun.
    pub fn start(config: &Config, recording: Option<&Path>) -> Result<Self, LiveError> {
        let host = host::requirements(config.kernel.btf.as_deref());
        let (clock, began) = WallClock::read();
        let intake = Intake::new(recording)?;
        let (probes, mut maps) = Probes::start(config)?;
        maps.arm(probes.follows_unix())?;
        let exclusions = Exclusions::new(config.exclude.clone());
        let pipeline = Pipeline::without(exclusions, settings(config));
        let mut live = Self {
            probes,
            maps,
            datagrams: Told::default(),
            pipeline,
            intake,
            limit: Limit::new(config.cpu_limit_cores),
            drain_records: drain::records_max(config.kernel.ring_bytes),
            ring_bytes: config.kernel.ring_bytes,
            found_bytes: 0,
            pause_min: Duration::from_millis(config.kernel.drain_interval_milliseconds.into()),
            clock,
            ticked_ns: 0,
            losses: [0; sockmeter_abi::field::LOSS_COUNTERS_USED],
            listening: Listening::default(),
            privileges: Privileges::default(),
            host: host.iter().map(Requirement::part).collect(),
        };
        live.privileges = Privileges::narrow(&mut || live.failures());
        live.put(Record::Clock(began));
        live.walk();
        live.drain();
        memory::give_back();
        Ok(live)
    }

    /// The verdict on each program.
    pub fn probes(&self) -> &Probes {
        &self.probes
    }

    /// What the agent may still do.
    pub fn privileges(&self) -> &Privileges {
        &self.privileges
    }

    /// How many connections are open.
    pub fn connections_open(&self) -> usize {
        self.pipeline.connections_open()
    }

    /// Takes up the connections and listening sockets that no program has seen. The kernel side follows each
    /// from the moment at which the walk comes by it, and what happens to it then is in the ring behind this.
    fn walk(&mut self) {
        let time_ns = now_ns();
        self.listening.walked(time_ns);
        let told = match self.probes.walk() {
            Ok(told) => told,
            Err(error) => {
                self.listening.cannot_walk(&error);
                return;
            }
        };
        for adopted in adoption::read(&told, time_ns) {
            if !self.pipeline.knows(adopted.connection) {
                let record = Record::Adopted(adopted);
                self.intake
                    .push(record, &mut self.pipeline, &self.maps.slots);
            }
        }
    }

    /// Works until the asking side is gone. The thread that calls this can do nothing else from then on.
    ///
    /// # Errors
    /// The kernel's maps or the recording fail.
    pub fn run(mut self, mut asks: mpsc::Receiver<Ask>) -> Result<(), LiveError> {
        self.privileges.seal(Thread::Pipeline);
        let mut pauses = Pauses::new(self.pause_min, self.ring_bytes);
        let mut rest = Duration::ZERO;
        loop {
            match pauses.pass(&mut asks, rest) {
                Woken::By(ask) => {
                    let is_scrape = matches!(ask, Ask::Metrics { .. });
                    if is_scrape || !self.limit.is_resting() {
                        self.settle()?;
                    }
                    if is_scrape {
                        self.read_listeners()?;
                    }
                    self.answer(ask);
                }
                Woken::ToEnd => break,
                Woken::ToLook => {
                    self.found_bytes = 0;
                    self.drain_within_limit();
                    pauses.looked(std::mem::take(&mut self.found_bytes));
                    if self.limit.may_compare() {
                        self.reconcile_losses()?;
                    }
                }
            }
            self.tick();
            rest = self.keep_to_limit()?;
            self.intake.check()?;
        }
        Ok(())
    }

    fn tick(&mut self) {
        let now_ns = now_ns();
        if now_ns.saturating_sub(self.ticked_ns) < TICK_NS {
            return;
        }
        self.ticked_ns = now_ns;
        self.take_counts();
        self.intake.asked.clear();
        if let Some(clock) = self.clock.change() {
            self.put(Record::Clock(clock));
        }
        self.put(Record::Tick { time_ns: now_ns });
    }

    /// Lets the pipeline have a record that is about no process.
    fn put(&mut self, record: Record<'_>) {
        self.intake
            .put(record, &mut self.pipeline, &self.maps.slots);
    }
}

fn settings(config: &Config) -> series::Settings {
    let crate::config::Series {
        max_per_metric,
        routes_max_per_process,
        duration_buckets_seconds,
        process_labels,
    } = &config.series;
    series::Settings {
        series_max_per_metric: *max_per_metric as usize,
        routes_max_per_process: *routes_max_per_process as usize,
        duration_buckets_seconds: duration_buckets_seconds.clone(),
        labels: Some(process_labels.iter().map(|label| label.as_str()).collect()),
    }
}
