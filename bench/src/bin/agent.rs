//! What the agent costs for each exchange: processor time, memory, allocations.

use anyhow::{Result, ensure};
use clap::Parser;
use sockmeter::{pipeline::Pipeline, records::Record, series::Settings};
use sockmeter_bench::{
    batch::Batch,
    case::{Case, Ends},
    clock::thread_cpu_ns,
    counted,
    counting::{Counting, heap},
    intake::{Told, drain, tick},
    traffic::Traffic,
};
use std::io::Write;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Exchanges whose records are made, and then taken in, at once: what is between two drains of a busy agent's ring.
const BATCH_EXCHANGES: u64 = 1024;

/// Feeds the agent's pipeline with records as the kernel writes them, and reports what an exchange costs.
///
/// Times are CPU time of the thread that takes the records in, without making them. In a guest
/// whose clock counts instructions (`cargo xtask guest --counted`) they are instructions.
#[derive(Parser)]
#[command(
    max_term_width = 100,
    after_help = "Where the instructions go:\n  \
        cargo build --release -p sockmeter-bench --config 'profile.release.debug=\"line-tables-only\"'\n  \
        valgrind --tool=callgrind --collect-atstart=no --toggle-collect='sockmeter_bench::intake::*' \\\n    \
        --callgrind-out-file=callgrind.out target/release/agent --exchanges 20000 --warm-up 5000\n  \
        callgrind_annotate --inclusive=yes callgrind.out | head -60"
)]
struct Flags {
    #[command(flatten)]
    case: Case,
    /// Exchanges that are measured.
    #[arg(long, default_value_t = 1_000_000)]
    exchanges: u64,
    /// Exchanges before, after which the steady state has come.
    #[arg(long, default_value_t = 100_000)]
    warm_up: u64,
}

fn main() -> Result<()> {
    let Flags {
        case,
        exchanges,
        warm_up,
    } = Flags::parse();
    let mut traffic = Traffic::new(&case);
    let empty = heap();
    let mut pipeline = Pipeline::new(Settings::default());
    let mut told = Told::default();
    for record in traffic.processes() {
        pipeline.push(record, &mut told);
    }
    let mut batch = Batch::default();
    traffic.open(case.connections, &mut batch);
    let mut strange = drain(&batch, &mut pipeline, &mut told);
    let (mut cpu_ns, mut allocations, mut allocated_bytes, mut ring_bytes) = (0, 0, 0, 0);
    let mut done = 0;
    while done < warm_up + exchanges {
        let is_warm = done >= warm_up;
        let end = if is_warm {
            warm_up + exchanges
        } else {
            warm_up
        };
        let count = BATCH_EXCHANGES.min(end - done);
        batch.clear();
        traffic.exchanges(count, &mut batch);
        let (before_ns, before) = (thread_cpu_ns(), heap());
        strange += drain(&batch, &mut pipeline, &mut told);
        if case.new_connections {
            // What has ended is forgotten with time.
            tick(traffic.now_ns(), &mut pipeline, &mut told);
        }
        let (after_ns, after) = (thread_cpu_ns(), heap());
        if is_warm {
            cpu_ns += after_ns - before_ns;
            allocations += after.allocations - before.allocations;
            allocated_bytes += after.allocated_bytes - before.allocated_bytes;
            ring_bytes += batch.ring_bytes() as u64;
        }
        done += count;
    }
    ensure!(strange == 0, "{strange} records were not understood");
    drop(batch);
    let held_bytes = heap().held_bytes - empty.held_bytes - traffic.held_bytes();
    let time_ns = traffic.now_ns();
    pipeline.push(Record::Tick { time_ns }, &mut told);
    let seen = if case.ends == Ends::Both { 2 } else { 1 };
    let counted = counted::exchanges(&mut pipeline);
    ensure!(
        counted == seen * (warm_up + exchanges),
        "the pipeline has counted {counted} exchanges, and not all"
    );
    let per_exchange = |total: u64| total as f64 / exchanges as f64;
    writeln!(
        std::io::stdout(),
        "cpu_ns_per_exchange {:.1}\nexchanges_per_second {:.0}\nallocations_per_exchange {:.3}\n\
         allocated_bytes_per_exchange {:.1}\nring_bytes_per_exchange {:.1}\nheap_bytes {held_bytes}\n\
         skips {}\nsettled {}",
        per_exchange(cpu_ns),
        1e9 * exchanges as f64 / cpu_ns as f64,
        per_exchange(allocations),
        per_exchange(allocated_bytes),
        per_exchange(ring_bytes),
        told.skips,
        told.settled,
    )?;
    Ok(())
}
