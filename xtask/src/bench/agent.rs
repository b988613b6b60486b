//! `cargo xtask bench agent`: what the agent does with a record and a series, without a kernel.
//!
//! The programs are in `bench/`. They run here for times and bytes, and in a guest whose clock counts instructions.

mod cases;
mod figures;
mod tables;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use self::cases::{CASES, Case, SCRAPES, SMOKE};
use self::figures::{Figures, Measured};
use super::report;
use crate::arch::Arch;
use crate::build::cargo;
use crate::command::{output, run};
use crate::guest::{self, DEFAULT_KERNEL, Guest};
use crate::paths;
use crate::progress::{phase, say};
use crate::setup::Install;

/// The part of the page, and the file of figures.
const NAME: &str = "agent";
/// On an idle machine the long run takes three minutes and the short one a quarter of one. A busy one gets more.
const LONG_LIMIT: Duration = Duration::from_secs(1200);
const SHORT_LIMIT: Duration = Duration::from_secs(300);
/// How often each case is timed, in turn with the others: the best counts, because the machine does other things too.
const ROUNDS: usize = 3;
/// What is printed in the guest before a case's figures.
const MARK: &str = "case ";

/// The figure that is zero where nothing is allocated.
const ALLOCATED: &str = "allocated_bytes_per_exchange";
/// Bytes of it that are no regression: in a short run a table may double once. An allocation for each exchange is more,
/// and `bench/tests/steady_state.rs` finds any.
const ALLOCATED_SLACK: f64 = 4.0;

/// Measures, and writes what came out to `docs/cost.md`; in a smoke run compares it with what is there.
///
/// # Errors
/// When something is missing, a program or the guest fails, or a figure of the smoke run has regressed.
pub fn agent(install: Install, smoke: bool) -> Result<()> {
    guest::prepare(Arch::X86_64, DEFAULT_KERNEL, &[], install)?;
    let programs = build()?;
    if smoke {
        let regressions = regressions(&programs)?;
        if regressions.is_empty() {
            say("no figure is over 10 % above the committed one");
            return Ok(());
        }
        bail!("{}", regressions.join("; "));
    }
    let mut figures = Figures::default();
    phase("measuring here", || here(&programs, &mut figures))?;
    phase("measuring in a guest", || {
        let cases: Vec<&Case> = CASES.iter().chain(&SCRAPES).collect();
        counted(&programs, &cases, LONG_LIMIT, &mut figures)
    })?;
    let page = tables::page(&figures)?;
    report::write(NAME, &page, &serde_json::to_value(&figures)?)?;
    // A closed standard output must not undo the work.
    let _ = writeln!(std::io::stdout(), "{page}");
    say("written to docs/cost.md and docs/cost/agent.json");
    Ok(())
}

/// Measures the most important cases alone, and tells what is over 10 % above the committed figures.
///
/// # Errors
/// When a program or the guest fails, or there are no committed figures.
pub fn regressions(programs: &Path) -> Result<Vec<String>> {
    let committed: Figures = serde_json::from_value(report::committed(NAME)?)?;
    let mut measured = Figures::default();
    let cases: Vec<&Case> = CASES
        .iter()
        .chain(&SCRAPES)
        .filter(|case| SMOKE.contains(&case.name))
        .collect();
    counted(programs, &cases, SHORT_LIMIT, &mut measured)?;
    memory(programs, &mut measured)?;
    let mut said = Vec::new();
    for (case, figure, new) in measured.that_must_not_grow() {
        let old = committed
            .get(case, figure)
            .with_context(|| format!("no committed {figure} of: {case}"))?;
        let slack = if figure == ALLOCATED {
            ALLOCATED_SLACK
        } else {
            0.0
        };
        let what = format!("{case}, {figure}");
        say(&format!("{what}: {new:.1}, committed {old:.1}"));
        said.extend(report::regression(&what, old + slack, new));
    }
    Ok(said)
}

/// Builds the programs; tells where they are.
///
/// # Errors
/// When the build fails.
pub fn build() -> Result<PathBuf> {
    phase("building the benchmarks", || {
        run(cargo(None).args(["build", "--release", "-p", "sockmeter-bench"]))
    })?;
    let folder = paths::agent();
    let folder = folder.parent().context("the agent is in no folder")?;
    Ok(folder.to_owned())
}

fn here(programs: &Path, figures: &mut Figures) -> Result<()> {
    for round in 0..ROUNDS {
        for case in &CASES {
            let text = output(&mut case.command(programs, case.exchanges_here))?;
            let mut measured = Measured::parse(&text);
            measured.rename("cpu_ns_per_exchange", "nanoseconds");
            figures.best(case.name, &measured);
        }
        for case in &SCRAPES {
            let text = output(Command::new(programs.join("scrape")).args(case.flags))?;
            for line in text.lines() {
                let mut measured = Measured::parse(line);
                measured.rename("cpu_ns", "nanoseconds");
                figures.best(&scrape_name(case.name, line)?, &measured);
            }
        }
        say(&format!("round {} of {ROUNDS} is done", round + 1));
    }
    memory(programs, figures)?;
    let text = output(&mut Command::new(programs.join("load")))?;
    figures.best("highest rate without a loss", &Measured::parse(&text));
    for case in &cases::OVERLOADS {
        let text = output(Command::new(programs.join("load")).args(case.flags))?;
        figures.best(case.name, &Measured::parse(&text));
    }
    Ok(())
}

fn memory(programs: &Path, figures: &mut Figures) -> Result<()> {
    let text = output(&mut Command::new(programs.join("memory")))?;
    figures.best(cases::MEMORY, &Measured::parse(&text));
    Ok(())
}

/// `scrape 1000` and the library that the line is about.
fn scrape_name(case: &str, line: &str) -> Result<String> {
    let mut words = line.split_whitespace();
    match (words.next(), words.next()) {
        (Some("library"), Some(library)) => Ok(format!("{case}, {library}")),
        _ => bail!("not a line of the scrape benchmark: {line}"),
    }
}

/// Runs the cases in a guest, where processor time is a number of instructions.
fn counted(programs: &Path, cases: &[&Case], limit: Duration, figures: &mut Figures) -> Result<()> {
    let mut script = "set -e; exec > /run/out/agent.txt; ".to_owned();
    for case in cases {
        let command = case.in_guest(programs);
        script += &format!("echo '{MARK}{}'; {command}; ", case.name);
    }
    let guest = Guest {
        counted: true,
        limit,
        show: true,
        ..Guest::new(script)
    };
    let outcome = guest.run()?;
    if outcome.exit_code != 0 {
        bail!(
            "the measuring failed with exit code {}; its messages are above",
            outcome.exit_code
        );
    }
    let file = outcome.out_dir.join("agent.txt");
    let text = std::fs::read_to_string(&file)
        .with_context(|| format!("the guest left no {}", file.display()))?;
    for part in text.split(MARK).filter(|part| !part.is_empty()) {
        let (name, text) = part.split_once('\n').unwrap_or((part, ""));
        let lines: Vec<&str> = text.lines().collect();
        if lines.iter().any(|line| line.starts_with("library ")) {
            for line in lines {
                let measured = Measured::parse(line).counted("cpu_ns");
                figures.best(&scrape_name(name, line)?, &measured);
            }
        } else {
            let measured = Measured::parse(text).counted("cpu_ns_per_exchange");
            figures.best(name, &measured);
        }
    }
    Ok(())
}
