//! What a scrape costs: processor time, text, memory; beside two other libraries with the same series.

use anyhow::{Result, ensure};
use clap::{Parser, ValueEnum};
use sockmeter_bench::{
    clock::thread_cpu_ns,
    counting::{Counting, heap, restart_peak},
    exposition::{Exposition, Prometheus, PrometheusClient, Sink, Sockmeter},
    population::{Service, services},
};
use std::io::Write;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Builds series and writes them as text, several times and in turn with other libraries.
#[derive(Parser)]
#[command(
    max_term_width = 100,
    after_help = "Where the instructions go:\n  \
        valgrind --tool=callgrind --collect-atstart=no --toggle-collect='*::measured' \\\n    \
        --callgrind-out-file=callgrind.out target/release/scrape --library sockmeter --rounds 3"
)]
struct Flags {
    /// Lines of a scrape with a value; about as many are made.
    #[arg(long, default_value_t = 100_000)]
    series: usize,
    /// How often each library is scraped; the best counts.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Which libraries.
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "sockmeter,prometheus,prometheus-client"
    )]
    library: Vec<Library>,
    /// Write the text to standard output and measure nothing.
    #[arg(long)]
    show: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Library {
    Sockmeter,
    Prometheus,
    PrometheusClient,
}

/// A library with its series, and what was measured of it.
struct Contender {
    library: Library,
    exposition: Box<dyn Exposition>,
    built_bytes: i64,
    first_ns: u64,
    best_ns: u64,
    peak_bytes: i64,
    allocations: u64,
    text_bytes: u64,
}

impl Contender {
    fn build(library: Library, services: &[Service]) -> Result<Self> {
        let before = heap().held_bytes;
        let exposition: Box<dyn Exposition> = match library {
            Library::Sockmeter => Box::new(Sockmeter::build(services)?),
            Library::Prometheus => Box::new(Prometheus::build(services)?),
            Library::PrometheusClient => Box::new(PrometheusClient::build(services)?),
        };
        Ok(Self {
            library,
            exposition,
            built_bytes: heap().held_bytes - before,
            first_ns: 0,
            best_ns: u64::MAX,
            peak_bytes: 0,
            allocations: 0,
            text_bytes: 0,
        })
    }

    fn round(&mut self) -> Result<()> {
        let mut sink = Sink::default();
        restart_peak();
        let (before, before_ns) = (heap(), thread_cpu_ns());
        measured(&mut *self.exposition, &mut sink)?;
        let (after_ns, after) = (thread_cpu_ns(), heap());
        let scrape_ns = after_ns - before_ns;
        if self.text_bytes == 0 {
            self.first_ns = scrape_ns;
        }
        self.best_ns = self.best_ns.min(scrape_ns);
        self.peak_bytes = self.peak_bytes.max(after.peak_bytes - before.held_bytes);
        self.allocations = after.allocations - before.allocations;
        self.text_bytes = sink.bytes;
        Ok(())
    }
}

/// Not inlined, so that callgrind can be told to count here and nowhere else.
#[inline(never)]
fn measured(exposition: &mut dyn Exposition, sink: &mut Sink) -> Result<()> {
    exposition.scrape(sink)
}

/// Lines of a scrape with a value, without those that the agent tells of itself.
fn lines(text: &str) -> usize {
    let is_own = |line: &str| line.starts_with("sockmeter_series");
    text.lines()
        .filter(|line| !line.starts_with('#') && !is_own(line))
        .count()
}

fn main() -> Result<()> {
    let Flags {
        series,
        rounds,
        library,
        show,
    } = Flags::parse();
    let services = services(series);
    let mut out = std::io::stdout();
    let mut contenders = Vec::new();
    for library in library {
        contenders.push(Contender::build(library, &services)?);
    }
    if show {
        for contender in &mut contenders {
            out.write_all(contender.exposition.text()?.as_bytes())?;
        }
        return Ok(());
    }
    for _ in 0..rounds {
        for contender in &mut contenders {
            contender.round()?;
        }
    }
    let mut counted = None;
    for mut contender in contenders {
        let lines = lines(&contender.exposition.text()?);
        ensure!(
            *counted.get_or_insert(lines) == lines,
            "the libraries have different series: {lines} of {:?}",
            contender.library
        );
        let name = contender.library.to_possible_value();
        writeln!(
            out,
            "library {} series {lines} text_bytes {} cpu_ns {} first_cpu_ns {} built_bytes {} \
             bytes_per_series {:.1} peak_bytes {} allocations {}",
            name.map(|name| name.get_name().to_owned())
                .unwrap_or_default(),
            contender.text_bytes,
            contender.best_ns,
            contender.first_ns,
            contender.built_bytes,
            contender.built_bytes as f64 / lines as f64,
            contender.peak_bytes,
            contender.allocations,
        )?;
    }
    Ok(())
}
