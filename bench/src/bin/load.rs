//! At which rate the ring begins to lose records, and whether each loss is counted.

use anyhow::{Result, ensure};
use clap::Parser;
use sockmeter::{live::pauses::Pauses, pipeline::Pipeline, series::Settings};
use sockmeter_bench::{
    batch::Batch,
    case::{Case, Ends},
    clock::thread_cpu_ns,
    counted,
    intake::{Told, drain},
    traffic::Traffic,
};
use std::{collections::VecDeque, io::Write, time::Duration};

/// Exchanges that are taken in between two looks at what has come meanwhile.
const SLICE_EXCHANGES: u64 = 64;
/// Steps of the search for the highest rate without a loss: each halves what is unknown.
const SEARCH_STEPS: u32 = 8;

/// Lets exchanges happen at a rate, in a time that only the agent's work and its pauses make go by.
///
/// The agent sleeps as long as it would, then takes in what is in the ring until it is empty; while it works, more comes.
/// In the first half of the time the rate rises evenly from nothing. Its work is what it really costs, as CPU time of
/// this thread, so the rate at which records are lost does not depend on what else the machine does. In a guest whose
/// clock counts instructions, it is that of a processor with a thousand million instructions per second.
#[derive(Parser)]
#[command(max_term_width = 100)]
struct Flags {
    #[command(flatten)]
    case: Case,
    /// Exchanges per second; without it, the highest rate without a loss is looked for.
    #[arg(long)]
    rate: Option<u64>,
    /// How long the agent sleeps when the ring is empty, at most.
    #[arg(long, default_value_t = 10)]
    pause_milliseconds: u64,
    /// Bytes of the ring.
    #[arg(long, default_value_t = sockmeter_abi::RING_BYTES_DEFAULT)]
    ring_bytes: u32,
    /// For how long.
    #[arg(long, default_value_t = 1000)]
    milliseconds: u64,
}

/// What came of a rate.
#[derive(Clone, Copy, Debug)]
struct Outcome {
    made: u64,
    counted: u64,
    unanswered: u64,
    lost_records: u64,
    busy_ns: u64,
    total_ns: u64,
}

fn main() -> Result<()> {
    let flags = Flags::parse();
    if let Some(rate) = flags.rate {
        return report(rate, run(&flags, rate)?);
    }
    let (mut good, mut bad) = (0, 8_000_000);
    let mut best = None;
    for _ in 0..SEARCH_STEPS {
        let rate = u64::midpoint(good, bad);
        let outcome = run(&flags, rate)?;
        if outcome.lost_records == 0 {
            (good, best) = (rate, Some(outcome));
        } else {
            bad = rate;
        }
    }
    best.map_or(Ok(()), |outcome| report(good, outcome))
}

fn report(rate: u64, outcome: Outcome) -> Result<()> {
    let Outcome {
        made,
        counted,
        unanswered,
        lost_records,
        busy_ns,
        total_ns,
    } = outcome;
    writeln!(
        std::io::stdout(),
        "rate {rate}\nmade {made}\ncounted {counted}\nunanswered {unanswered}\n\
         lost_records {lost_records}\nbusy_percent {:.1}",
        100.0 * busy_ns as f64 / total_ns as f64
    )?;
    Ok(())
}

/// The ring: slices of records, the oldest first.
struct Ring {
    slices: VecDeque<Batch>,
    spare: Vec<Batch>,
    bytes: usize,
    room_bytes: usize,
    lost_records: u64,
}

impl Ring {
    /// Lets exchanges happen until so many are made.
    fn fill(&mut self, traffic: &mut Traffic, until: u64) {
        let mut left = until.saturating_sub(traffic.made());
        while left > 0 {
            let count = left.min(SLICE_EXCHANGES);
            let mut slice = self.spare.pop().unwrap_or_default();
            slice.clear();
            slice.limit(self.room_bytes - self.bytes);
            traffic.exchanges(count, &mut slice);
            self.lost_records += slice.lost();
            self.bytes += slice.ring_bytes();
            self.slices.push_back(slice);
            left -= count;
        }
    }
}

/// How many exchanges happen until then at a rate that is reached at `half_ns`.
fn due(rate: u64, half_ns: u64, now_ns: u64) -> Result<u64> {
    let [rate, half_ns, now_ns] = [rate, half_ns, now_ns].map(u128::from);
    let rising_ns = now_ns.min(half_ns);
    let rated_ns = rising_ns * rising_ns / (2 * half_ns) + (now_ns - rising_ns);
    Ok(u64::try_from(rate * rated_ns / 1_000_000_000)?)
}

fn run(flags: &Flags, rate: u64) -> Result<Outcome> {
    let mut pipeline = Pipeline::new(Settings::default());
    let mut told = Told::default();
    let mut traffic = Traffic::new(&flags.case);
    for record in traffic.processes() {
        pipeline.push(record, &mut told);
    }
    let mut all = Batch::default();
    traffic.open(flags.case.connections, &mut all);
    let mut strange = drain(&all, &mut pipeline, &mut told);
    let mut ring = Ring {
        slices: VecDeque::new(),
        spare: Vec::new(),
        bytes: 0,
        room_bytes: flags.ring_bytes as usize,
        lost_records: 0,
    };
    let half_ns = flags.milliseconds * 500_000;
    let due = |now_ns: u64| due(rate, half_ns, now_ns);
    let longest = Duration::from_millis(flags.pause_milliseconds);
    let mut pauses = Pauses::new(longest, flags.ring_bytes);
    let (mut now_ns, mut busy_ns) = (0, 0);
    while now_ns < 2 * half_ns {
        now_ns += u64::try_from(pauses.pause().as_nanos())?;
        ring.fill(&mut traffic, due(now_ns)?);
        let mut found_bytes = 0;
        while let Some(slice) = ring.slices.pop_front() {
            let before_ns = thread_cpu_ns();
            strange += drain(&slice, &mut pipeline, &mut told);
            let spent_ns = thread_cpu_ns() - before_ns;
            (now_ns, busy_ns) = (now_ns + spent_ns, busy_ns + spent_ns);
            ring.fill(&mut traffic, due(now_ns)?);
            ring.bytes -= slice.ring_bytes();
            found_bytes += slice.ring_bytes() as u64;
            ring.spare.push(slice);
            if now_ns > 4 * half_ns {
                // More comes than is taken in: it never ends.
                break;
            }
        }
        pauses.looked(found_bytes);
    }
    for slice in &ring.slices {
        strange += drain(slice, &mut pipeline, &mut told);
    }
    all.clear();
    let made = traffic.made() * if flags.case.ends == Ends::Both { 2 } else { 1 };
    traffic.close(&mut all);
    strange += drain(&all, &mut pipeline, &mut told);
    ensure!(strange == 0, "{strange} records were not understood");
    let outcome = Outcome {
        made,
        counted: counted::exchanges(&mut pipeline),
        unanswered: counted::unanswered(&mut pipeline),
        lost_records: ring.lost_records,
        busy_ns,
        total_ns: now_ns,
    };
    ensure!(
        outcome.made == outcome.counted + outcome.unanswered,
        "a request was neither counted nor counted as lost: {outcome:?}"
    );
    Ok(outcome)
}
