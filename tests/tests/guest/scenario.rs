//! Runs a scenario's script in a guest, once for all tests that look at what it saved.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use sockmeter_tests::conservation;
use xtask::arch::Arch;
use xtask::guest::{self, DEFAULT_KERNEL, Guest, Outcome};
use xtask::paths;
use xtask::test::{AARCH64_AGENT_VARIABLE, AARCH64_DRIVER_VARIABLE};

use crate::scrape::{Labels, Scrape};
use crate::truth::Driver;

/// Kernels that preempt programs (6.18 and 7.2 do) leave one out when another task is inside it on the same processor.
const MISSED: &str = "sockmeter_probe_missed_total";

/// What one run of a scenario saved.
pub(crate) struct Scenario {
    folder: PathBuf,
    pids: BTreeMap<String, String>,
}

impl Scenario {
    /// The run of `tests/guest/NAME.sh` that belongs to this run of the tests.
    ///
    /// Tests may run in one process (cargo) or in one each (nextest, which numbers its runs), so the first
    /// leaves a note of its run in a file, and the others wait for that.
    pub(crate) fn of(name: &str) -> Self {
        Self::of_run(name, || boot(name))
    }

    /// The same of `tests/guest/aarch64.sh` on an aarch64 kernel, with the agent attached in each of these ways.
    pub(crate) fn on_aarch64(kernel: &str, ways: &str) -> Self {
        Self::of_run(&format!("aarch64-{kernel}"), || boot_aarch64(kernel, ways))
    }

    fn of_run(name: &str, boot: impl FnOnce() -> Result<Outcome, String>) -> Self {
        let run =
            std::env::var("NEXTEST_RUN_ID").unwrap_or_else(|_| std::process::id().to_string());
        let notes = Path::new(env!("CARGO_TARGET_TMPDIR")).join("scenarios");
        std::fs::create_dir_all(&notes).unwrap();
        let turn = File::create(notes.join(format!("{name}.lock"))).unwrap();
        turn.lock().unwrap();

        let path = notes.join(format!("{name}.json"));
        let known: Option<Value> = std::fs::read_to_string(&path)
            .ok()
            .and_then(|text| serde_json::from_str(&text).ok())
            .filter(|note: &Value| note["run"] == run.as_str());
        let note = known.unwrap_or_else(|| {
            let note = match boot() {
                Ok(outcome) => json!({
                    "run": run,
                    "folder": outcome.out_dir,
                    "unconserved": unconserved(&outcome.out_dir),
                }),
                Err(fault) => json!({"run": run, "fault": fault}),
            };
            std::fs::write(&path, note.to_string()).unwrap();
            note
        });
        if let Some(fault) = note["fault"].as_str() {
            panic!("the scenario {name} did not come to its end: {fault}");
        }
        if let Some(differences) = note["unconserved"].as_str() {
            panic!("in the scenario {name} conservation does not hold:\n{differences}");
        }
        let folder = PathBuf::from(note["folder"].as_str().unwrap());
        let pids = std::fs::read_to_string(folder.join("pids")).unwrap_or_default();
        let pids = pids
            .lines()
            .filter_map(|line| line.split_once(' '))
            .map(|(name, pid)| (name.to_owned(), pid.to_owned()))
            .collect();
        Self { folder, pids }
    }

    /// A file that the scenario saved.
    pub(crate) fn text(&self, file: &str) -> String {
        let path = self.folder.join(file);
        std::fs::read_to_string(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
    }

    /// A file with one number in it.
    pub(crate) fn number(&self, file: &str) -> f64 {
        self.text(file).trim().parse().unwrap()
    }

    pub(crate) fn json(&self, file: &str) -> Value {
        serde_json::from_str(&self.text(file)).unwrap()
    }

    pub(crate) fn scrape(&self, name: &str) -> Scrape {
        Scrape::parse(&self.text(&format!("{name}.prom")))
    }

    pub(crate) fn driver(&self, name: &str) -> Driver {
        self.driver_commands(name, "")
    }

    /// What a driver did for the commands that start with `prefix`.
    pub(crate) fn driver_commands(&self, name: &str, prefix: &str) -> Driver {
        Driver::parse(&self.text(&format!("{name}.driver")), prefix)
    }

    pub(crate) fn pid(&self, name: &str) -> &str {
        &self.pids[name]
    }

    /// By how much a sum rose from one scrape to a later one.
    pub(crate) fn rise(&self, scrapes: [&str; 2], name: &str, labels: Labels) -> f64 {
        let [before, after] = scrapes.map(|scrape| self.scrape(scrape).sum(name, labels));
        after - before
    }

    /// How many runs of programs the kernel left out until a scrape.
    pub(crate) fn missed_until(&self, scrape: &str) -> f64 {
        self.scrape(scrape).sum(MISSED, &[])
    }

    /// How many between two.
    pub(crate) fn missed(&self, scrapes: [&str; 2]) -> f64 {
        self.rise(scrapes, MISSED, &[])
    }

    /// By how much sums by a label rose; what did not rise is left out.
    pub(crate) fn rise_by(
        &self,
        label: &str,
        scrapes: [&str; 2],
        name: &str,
        labels: Labels,
    ) -> BTreeMap<String, f64> {
        let [before, mut after] = scrapes.map(|scrape| self.scrape(scrape).by(label, name, labels));
        for (value, sum) in &mut after {
            *sum -= before.get(value).copied().unwrap_or_default();
        }
        after.retain(|_, sum| *sum != 0.0);
        after
    }
}

/// What must hold in each scrape whatever the scenario is about, and does not.
fn unconserved(folder: &Path) -> Option<String> {
    let files = std::fs::read_dir(folder).unwrap();
    let mut scrapes: Vec<PathBuf> = files
        .map(|file| file.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "prom")
        })
        .collect();
    scrapes.sort();
    let lines = scrapes.iter().flat_map(|path| {
        let scrape = Scrape::parse(&std::fs::read_to_string(path).unwrap());
        let name = path.file_stem().unwrap_or_default().display().to_string();
        let differences = conservation::differences(&scrape).into_iter();
        differences.map(move |difference| format!("{name}: {difference}"))
    });
    let lines: Vec<String> = lines.collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// The kernel that the guests run: `SOCKMETER_TEST_KERNEL`, or the usual one.
pub(crate) fn kernel() -> String {
    std::env::var("SOCKMETER_TEST_KERNEL").unwrap_or_else(|_| DEFAULT_KERNEL.to_owned())
}

/// How the agent is told to attach its programs: `SOCKMETER_TEST_PROBES`, or as it finds best.
pub(crate) fn probes() -> String {
    std::env::var("SOCKMETER_TEST_PROBES").unwrap_or_else(|_| "auto".to_owned())
}

fn boot(name: &str) -> Result<Outcome, String> {
    let Ok(agent) = std::env::var("SOCKMETER_AGENT") else {
        return Err(
            "SOCKMETER_AGENT does not name the agent to test; `cargo xtask test` builds it and says which"
                .to_owned(),
        );
    };
    let driver = env!("CARGO_BIN_EXE_driver");
    let io = env!("CARGO_BIN_EXE_io");
    let probes = probes();
    // One scenario needs it, and says so when it is not there.
    let package = std::env::var("SOCKMETER_DEB").unwrap_or_default();
    let programs = guest::programs();
    let programs = programs.display();
    let script = paths::checkout().join(format!("tests/guest/{name}.sh"));
    let script = std::fs::read_to_string(script).map_err(|why| why.to_string())?;
    let mut guest = Guest::new(format!(
        "export SOCKMETER_AGENT='{agent}' DRIVER='{driver}' IO='{io}' PROGRAMS='{programs}' PROBES='{probes}' DEB='{package}'; bash tests/guest/{name}.sh"
    ));
    guest.kernel = kernel();
    guest.packages = guest::packages_of(&script);
    let says = |words: &str| script.lines().any(|line| line == words);
    guest.in_turn = says("# Processors: in turn.");
    guest.alone = says("# Guests: no other.");
    guest.systemd = says("# First process: systemd.");
    run(name, &mut guest)
}

fn boot_aarch64(kernel: &str, ways: &str) -> Result<Outcome, String> {
    let program = |variable: &str| {
        std::env::var(variable).map_err(|_| {
            format!("{variable} names no program for aarch64; `cargo xtask test --arch aarch64` builds it and says which")
        })
    };
    let agent = program(AARCH64_AGENT_VARIABLE)?;
    let driver = program(AARCH64_DRIVER_VARIABLE)?;
    let mut guest = Guest::new(format!(
        "export SOCKMETER_AGENT='{agent}' DRIVER='{driver}' WAYS='{ways}'; bash tests/guest/aarch64.sh"
    ));
    guest.kernel = kernel.to_owned();
    guest.arch = Arch::Aarch64;
    run(&format!("aarch64-{kernel}"), &mut guest)
}

fn run(name: &str, guest: &mut Guest) -> Result<Outcome, String> {
    guest.limit = Duration::from_secs(600);
    let outcome = guest.run().map_err(|why| format!("{why:#}"))?;
    if outcome.exit_code != 0 {
        return Err(format!(
            "exit code {}; its console:\n{}",
            outcome.exit_code, outcome.console
        ));
    }
    eprintln!(
        "scenario {name}: {:.1} s, {}",
        outcome.seconds,
        outcome.out_dir.display()
    );
    Ok(outcome)
}
