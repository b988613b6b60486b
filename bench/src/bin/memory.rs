//! What the agent's heap holds for series and for open connections.

use anyhow::{Result, ensure};
use clap::Parser;
use sockmeter::{pipeline::Pipeline, series::Settings};
use sockmeter_bench::{
    batch::Batch,
    case::{Case, Ends, Head},
    counted,
    counting::{Counting, heap},
    intake::{Told, drain},
    traffic::Traffic,
};
use std::io::Write;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Routes of a process. With a prime number of processes, each process serves each route.
const ROUTES: u32 = 20;
/// Exchanges that are taken in at once.
const BATCH_EXCHANGES: u64 = 1024;

/// Makes processes with series, then connections, and tells what each of them holds.
#[derive(Parser)]
#[command(max_term_width = 100)]
struct Flags {
    /// Processes; 263 make about 100,000 series.
    #[arg(long, default_value_t = 263)]
    processes: u32,
    /// Connections that are open at the end, each used once.
    #[arg(long, default_value_t = 50_000)]
    connections: u32,
    /// Whose sockets they are.
    #[arg(long, value_enum, default_value_t = Ends::Server)]
    ends: Ends,
}

/// A pipeline under a case's traffic.
struct Stage {
    pipeline: Pipeline,
    traffic: Traffic,
    told: Told,
}

impl Stage {
    /// Opens connections and lets exchanges happen; tells what more is held behind it.
    fn step(&mut self, connections: u32, exchanges: u64) -> Result<i64> {
        let before = heap().held_bytes;
        let traffic_before = self.traffic.held_bytes();
        let mut batch = Batch::default();
        let mut strange = 0;
        self.traffic.open(connections, &mut batch);
        strange += drain(&batch, &mut self.pipeline, &mut self.told);
        let mut left = exchanges;
        while left > 0 {
            let count = left.min(BATCH_EXCHANGES);
            batch.clear();
            self.traffic.exchanges(count, &mut batch);
            strange += drain(&batch, &mut self.pipeline, &mut self.told);
            left -= count;
        }
        ensure!(strange == 0, "{strange} records were not understood");
        drop(batch);
        let traffic_grew = self.traffic.held_bytes() - traffic_before;
        Ok(heap().held_bytes - before - traffic_grew)
    }
}

fn main() -> Result<()> {
    let Flags {
        processes,
        connections,
        ends,
    } = Flags::parse();
    let case = Case {
        connections,
        processes,
        routes: ROUTES,
        body_bytes: 512,
        ends,
        head: Head::Ab,
        new_connections: false,
    };
    let before = heap().held_bytes;
    let mut stage = Stage {
        pipeline: Pipeline::new(Settings::default()),
        traffic: Traffic::new(&case),
        told: Told::default(),
    };
    for record in stage.traffic.processes() {
        stage.pipeline.push(record, &mut stage.told);
    }
    let idle_bytes = heap().held_bytes - before;
    let series_bytes = stage.step(processes, u64::from(processes * ROUTES))?;
    let more = connections.saturating_sub(processes);
    let connections_bytes = stage.step(more, u64::from(connections))?;
    let lines = counted::lines(&mut stage.pipeline);
    let open = stage.pipeline.connections_open();
    writeln!(
        std::io::stdout(),
        "processes {processes}\nseries {lines}\nconnections {open}\nprocesses_bytes {idle_bytes}\n\
         series_bytes {series_bytes}\nconnections_bytes {connections_bytes}\n\
         bytes_per_series {:.1}\nbytes_per_connection {:.1}\nheap_bytes {}",
        series_bytes as f64 / lines as f64,
        connections_bytes as f64 / f64::from(more.max(1)),
        idle_bytes + series_bytes + connections_bytes,
    )?;
    Ok(())
}
