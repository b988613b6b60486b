//! Flags, logging, start, stop.

use clap::Parser;
use sockmeter::{
    check,
    cli::{self, Cli, Command},
    config::Config,
    health::Verdict,
    host,
    live::Live,
    log,
    privileges::{self, Kept, Thread},
    serve::{self, Limits, Source},
};
use std::{io, net::TcpListener, path::Path, process::ExitCode, thread};
use tokio::{
    runtime::Builder,
    signal::unix::{SignalKind, signal},
};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let config = match cli.settings() {
        Ok(config) => config,
        Err(error) => return refuse(&error, cli::EXIT_USAGE),
    };
    log::start(&config.log);
    match cli.task() {
        Command::Check { format } => {
            let report = check::report(&config);
            match cli::print(&report.render(format)) {
                Ok(()) => ExitCode::from(report.exit_code()),
                Err(error) => refuse(&error, cli::EXIT_CANNOT_RUN),
            }
        }
        Command::Metrics { format } => match cli::print(&check::metrics(format)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => refuse(&error, cli::EXIT_CANNOT_RUN),
        },
        Command::Run => match run(&config, cli.flags.record.as_deref()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("sockmeter: {error:#}");
                ExitCode::from(cli::EXIT_CANNOT_RUN)
            }
        },
    }
}

fn refuse(error: &dyn std::error::Error, code: u8) -> ExitCode {
    eprintln!("sockmeter: {error}");
    ExitCode::from(code)
}

/// Runs until SIGTERM or SIGINT, or until the agent cannot go on.
fn run(config: &Config, recording: Option<&Path>) -> anyhow::Result<()> {
    let barred: Vec<String> = host::requirements(config.kernel.btf.as_deref())
        .iter()
        .filter(|found| found.bars())
        .filter_map(host::Requirement::advice)
        .collect();
    if !barred.is_empty() {
        anyhow::bail!("cannot run here: {}", barred.join("; "));
    }
    let listener = serve::bind(config.listen)?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    // Before anything is loaded: a signal that comes meanwhile is kept, and the agent ends when it has started.
    let (mut terminate, mut interrupt) = {
        let _inside = runtime.enter();
        (
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
        )
    };
    let live = Live::start(config, recording)?;
    announce(&live, &listener)?;
    let (source, asks) = Source::new();
    let worker = thread::Builder::new()
        .name("pipeline".to_owned())
        .spawn(move || -> anyhow::Result<()> { Ok(live.run(asks)?) })?;
    // Only now: no thread can be started from here on.
    if let Err(error) = privileges::seal(Thread::Server) {
        tracing::warn!("{error}; the server goes on with more rights than it needs");
    }
    runtime.block_on(async {
        let dead = source.closed();
        let stop = async {
            tokio::select! {
                _ = terminate.recv() => tracing::info!("SIGTERM: stopping"),
                _ = interrupt.recv() => tracing::info!("SIGINT: stopping"),
                () = dead => tracing::error!("the pipeline has ended: stopping"),
            }
        };
        serve::serve(listener, source.clone(), Limits::default(), stop).await
    })?;
    // The pipeline ends when nobody can ask it any more; the probes are detached with it.
    drop(source);
    match worker.join() {
        Ok(ended) => ended,
        Err(_) => anyhow::bail!("the pipeline panicked; this is a bug"),
    }
}

fn announce(live: &Live, listener: &TcpListener) -> io::Result<()> {
    for (probe, why) in check::faults(live.probes().verdicts()) {
        tracing::warn!(
            program = probe.program,
            family = probe.family,
            "probe is off: {why}"
        );
    }
    for Kept { capability, why } in live.privileges().kept() {
        tracing::info!("keeps {capability}: {why}");
    }
    for need in live.privileges().missing() {
        tracing::warn!("{}", need.lack());
    }
    let verdicts = live.probes().verdicts().iter();
    let attached = verdicts
        .filter(|probe| probe.verdict == Verdict::Attached)
        .count();
    tracing::info!(
        programs = attached,
        connections = live.connections_open(),
        "attached; metrics on http://{}/metrics",
        listener.local_addr()?
    );
    Ok(())
}
