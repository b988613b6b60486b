//! `cargo xtask bench request`: instructions per request in a guest whose clock counts them.
//!
//! The guest's half is `tests/guest/cost/`: it runs the loads and says what each process used.

mod figures;
mod measured;
mod tables;

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use self::figures::Figures;
use self::measured::Measured;
use super::report;
use crate::arch::Arch;
use crate::build::{self, cargo};
use crate::command::run;
use crate::guest::{self, DEFAULT_KERNEL, Guest};
use crate::paths;
use crate::progress::{phase, say};
use crate::setup::Install;

/// The part of the page, and the file of figures.
const NAME: &str = "request";
/// Run in the guest; names the packages that it needs.
const SCRIPT: &str = "tests/guest/cost.sh";
/// On an idle machine the long run takes about five minutes, and the short one less than one; a busy machine gets
/// several times that.
const LONG_LIMIT: Duration = Duration::from_secs(3000);
const SHORT_LIMIT: Duration = Duration::from_secs(600);

/// Measures, and writes what came out to `docs/cost.md`; in a smoke run compares it with what is there.
///
/// # Errors
/// When something is missing, the guest fails, or a figure of the smoke run has regressed.
pub fn request(install: Install, smoke: bool) -> Result<()> {
    let packages = guest::packages_of(&std::fs::read_to_string(paths::checkout().join(SCRIPT))?);
    guest::prepare(Arch::X86_64, DEFAULT_KERNEL, &packages, install)?;
    build::agent(install)?;
    if smoke {
        let regressions = regressions(&paths::agent())?;
        if regressions.is_empty() {
            say("no figure is over 10 % above the committed one");
            return Ok(());
        }
        bail!("{}", regressions.join("; "));
    }
    let loader = build_loader()?;
    let floor = format!(
        "FLOOR='{}' FLOOR_OBJECT='{}'",
        loader.display(),
        paths::floor_object().display()
    );
    let measured = phase("measuring in a guest", || {
        measure(&paths::agent(), &floor, "", LONG_LIMIT)
    })?;
    let figures = Figures::of(&measured)?;
    let page = tables::page(&figures);
    report::write(NAME, &page, &serde_json::to_value(&figures)?)?;
    // A closed standard output must not undo the work.
    let _ = writeln!(std::io::stdout(), "{page}");
    say("written to docs/cost.md and docs/cost/request.json");
    Ok(())
}

/// Measures the two most important loads alone, and tells what is over 10 % above the committed figures.
///
/// # Errors
/// When the guest fails or there are no committed figures.
pub fn regressions(agent: &Path) -> Result<Vec<String>> {
    let committed = report::committed(NAME)?;
    let measured = measure(agent, "", "smoke", SHORT_LIMIT)?;
    let figures = serde_json::to_value(Figures::of(&measured)?)?;
    let mut said = Vec::new();
    for load in measured::SMOKE {
        for (figure, meaning) in [
            ("added_observed", "added to server and client"),
            ("observer", "used by the agent"),
        ] {
            let what = format!("{load}, instructions per request {meaning}");
            let [old, new] = [&committed, &figures].map(|all| all["loads"][load][figure].as_f64());
            let old = old.with_context(|| format!("no committed figure for: {what}"))?;
            let new = new.with_context(|| format!("no measured figure for: {what}"))?;
            say(&format!("{what}: {new:.0}, committed {old:.0}"));
            said.extend(report::regression(&what, old, new));
        }
    }
    Ok(said)
}

fn build_loader() -> Result<std::path::PathBuf> {
    phase("building the floor's loader", || {
        let mut build = cargo(Some(&paths::kernel_object()));
        build.args(["build", "--release", "-p", "sockmeter-tests"]);
        run(build.args(["--bin", "floor"]))
    })?;
    Ok(paths::agent().with_file_name("floor"))
}

/// Boots the guest and reads what it saved.
fn measure(agent: &Path, variables: &str, how: &str, limit: Duration) -> Result<Measured> {
    let script = std::fs::read_to_string(paths::checkout().join(SCRIPT))?;
    let agent = agent.display();
    let guest = Guest {
        counted: true,
        limit,
        packages: guest::packages_of(&script),
        show: true,
        ..Guest::new(format!(
            "SOCKMETER_AGENT='{agent}' {variables} bash {SCRIPT} {how}"
        ))
    };
    let outcome = guest.run()?;
    if outcome.exit_code != 0 {
        bail!(
            "the measuring failed with exit code {}; its messages are above",
            outcome.exit_code
        );
    }
    let file = outcome.out_dir.join("cost.json");
    let text = std::fs::read_to_string(&file)
        .with_context(|| format!("the guest left no {}", file.display()))?;
    let saved: Value = serde_json::from_str(&text)?;
    serde_json::from_value(saved).with_context(|| format!("cannot understand {}", file.display()))
}
