//! What the agent finds on a kernel. The script is `tests/guest/kernels.sh`; `docs/kernels.md` is made here, but for
//! the tests that pass there.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use xtask::kernels::{CANNOT_RUN, Found, Page};

use crate::checks::Checks;
use crate::scenario::{Scenario, kernel};

/// The kernel keeps so much of a program's name (`BPF_OBJ_NAME_LEN`, with the zero at its end).
const NAME_BYTES: usize = 15;
/// How the names of programs begin that only take notes for others.
const NOTES: &str = "noted_";
/// How a verdict says that the kernel lacks what a program would be attached to.
const LACKS: &str = "this kernel has no ";

fn scenario() -> Scenario {
    Scenario::of("kernels")
}

/// What `sockmeter check --format json` says of a program.
struct Program {
    family: String,
    name: String,
    kind: String,
    essential: bool,
    verdict: String,
    why: String,
}

impl Program {
    fn all(check: &Value) -> Vec<Self> {
        let probes = check["probes"].as_array().unwrap().iter();
        let text = |probe: &Value, field: &str| probe[field].as_str().unwrap_or("").to_owned();
        probes
            .map(|probe| Self {
                family: text(probe, "family"),
                name: text(probe, "program"),
                kind: text(probe, "kind"),
                essential: probe["essential"].as_bool().unwrap(),
                verdict: text(probe, "verdict"),
                why: text(probe, "why"),
            })
            .collect()
    }

    /// What the kernel calls it: for each way there is one.
    fn in_kernel(&self) -> String {
        match self.kind.as_str() {
            "kprobe" | "kretprobe" => cut(&format!("kprobe_{}", self.name)),
            _ => cut(&self.name),
        }
    }

    fn is_attached(&self) -> bool {
        self.verdict == "attached"
    }

    /// Something is not measured, though this kernel could.
    fn is_fault(&self) -> bool {
        match self.verdict.as_str() {
            "failed" => true,
            "unsupported" => self.essential,
            _ => false,
        }
    }
}

/// What the host lacks.
struct Unmet {
    name: String,
    why: String,
    /// The agent does not start without it.
    essential: bool,
}

impl Unmet {
    fn all(check: &Value) -> Vec<Self> {
        let requirements = check["requirements"].as_array().unwrap().iter();
        requirements
            .filter_map(|one| {
                Some(Self {
                    name: one["name"].as_str()?.to_owned(),
                    why: one["missing"].as_str()?.to_owned(),
                    essential: one["essential"].as_bool()?,
                })
            })
            .collect()
    }
}

/// Each value of `--probes` that the agent takes, with what it found.
fn ways(scenario: &Scenario) -> Vec<(String, Value)> {
    let ways = scenario.text("ways");
    let ways = ways.lines().map(str::to_owned);
    ways.map(|way| (way.clone(), scenario.json(&format!("{way}.json"))))
        .collect()
}

/// Families in the order of attaching.
fn families(programs: &[Program]) -> Vec<String> {
    let mut families: Vec<String> = programs.iter().map(|one| one.family.clone()).collect();
    families.dedup();
    families
}

#[test]
fn the_exit_code_is_as_the_verdicts_say() {
    let scenario = scenario();
    let mut checks = Checks::default();
    for (way, check) in ways(&scenario) {
        let programs = Program::all(&check);
        let mut essential = programs.iter().filter(|one| one.essential).peekable();
        let is_ready = essential.peek().is_some() && essential.all(Program::is_attached);
        let unmet = Unmet::all(&check);
        let is_whole = unmet.is_empty() && !programs.iter().any(Program::is_fault);
        let want = match (is_ready, is_whole) {
            (false, _) => 1.0,
            (true, false) => 2.0,
            (true, true) => 0.0,
        };
        for code in ["code", "text.code"] {
            let got = scenario.number(&format!("{way}.{code}"));
            checks.equal(&format!("{way}.{code}"), got, want);
        }
        // Without one that cannot be had, the agent does not start; with others it does, and ends as asked.
        let run = scenario.number(&format!("{way}.run.code"));
        checks.equal(&format!("{way}, run"), run, f64::from(!is_ready));
    }
}

#[test]
fn every_family_has_its_verdict_and_what_is_left_out_its_reason() {
    let scenario = scenario();
    let mut checks = Checks::default();
    for (way, check) in ways(&scenario) {
        let (programs, unmet) = (Program::all(&check), Unmet::all(&check));
        let text = scenario.text(&format!("{way}.text"));
        for Unmet { name, why, .. } in &unmet {
            checks.has(&format!("{way}, {name}"), &text, why);
        }
        if let Some(why) = check["failure"].as_str() {
            checks.has(&way, &text, why);
        }
        if programs.is_empty() {
            let has_reason = check["failure"].is_string() || unmet.iter().any(|one| one.essential);
            checks.that(has_reason, || format!("{way}: no programs, and no reason"));
            continue;
        }
        let all = sockmeter::probes::ALL.iter();
        let want: Vec<String> = all.map(|family| family.name.to_owned()).collect();
        checks.equal(&way, families(&programs), want);
        for family in families(&programs) {
            let own = || programs.iter().filter(|one| one.family == family);
            let attached = own().filter(|one| one.is_attached()).count();
            let line = format!(
                " {family}: {attached} of {} programs attached",
                own().count()
            );
            checks.has(&format!("{way}, {family}"), &text, &line);
        }
        for one in programs.iter().filter(|one| !one.is_attached()) {
            let place = format!("{}/{} ", one.family, one.name);
            let line = text.lines().find(|line| line.contains(&place));
            let what = format!("{way}, {place}");
            checks.has(&what, line.unwrap_or_default(), &one.why);
        }
    }
}

/// The names of programs in what `bpftool prog show -j` printed, cut as the kernel cuts them.
fn loaded(scenario: &Scenario, file: &str) -> Vec<String> {
    let programs = scenario.json(file);
    let names = programs.as_array().unwrap().iter();
    let mut names: Vec<String> = names
        .map(|one| cut(one["name"].as_str().unwrap_or_default()))
        .collect();
    names.sort();
    names
}

fn cut(name: &str) -> String {
    name.chars().take(NAME_BYTES).collect()
}

#[test]
fn what_is_attached_is_in_the_kernel_and_what_was_only_tried_is_not() {
    let scenario = scenario();
    let mut checks = Checks::default();
    for (way, check) in ways(&scenario) {
        let before = loaded(&scenario, &format!("{way}.before"));
        let after = loaded(&scenario, &format!("{way}.after"));
        checks.equal(&format!("{way}, left by check"), &after, &before);
        if scenario.number(&format!("{way}.code")) == 1.0 {
            continue;
        }
        let programs = Program::all(&check);
        let attached = programs.iter().filter(|one| one.is_attached());
        let mut want: Vec<String> = attached.map(Program::in_kernel).chain(before).collect();
        want.sort();
        // Those that note arguments for the one at a function's return have no verdict of their own.
        let mut during = loaded(&scenario, &format!("{way}.during"));
        during.retain(|name| !name.starts_with("noted_"));
        // Beside the one that is attached to a function's return: it notes at the entry what that will want.
        let during = during.into_iter().filter(|name| !name.starts_with(NOTES));
        checks.equal(&format!("{way}, loaded"), during.collect(), want);
    }
}

#[test]
fn what_a_kernel_is_said_to_lack_it_lacks() {
    let scenario = scenario();
    let mut checks = Checks::default();
    let symbols = scenario.text("symbols");
    let symbols: BTreeSet<&str> = symbols.lines().collect();
    // Or the list is empty, and everything lacks in it.
    checks.that(symbols.contains("inet_sendmsg"), || {
        "no inet_sendmsg in /proc/kallsyms".to_owned()
    });
    for (way, check) in ways(&scenario) {
        for Program {
            name, verdict, why, ..
        } in Program::all(&check)
        {
            let what = format!("{way}, {name} ({verdict})");
            let reason = why.is_empty() == (verdict == "attached");
            checks.that(reason, || format!("{what}: a reason, or none: {why:?}"));
            let Some(target) = why.strip_prefix(LACKS) else {
                continue;
            };
            let tracepoint = format!("__tracepoint_{target}");
            let names = [target, tracepoint.as_str()];
            checks.that(!names.iter().any(|name| symbols.contains(name)), || {
                format!("{what}: the kernel has {target}")
            });
        }
    }
}

#[test]
fn health_says_of_each_family_what_check_found() {
    let scenario = scenario();
    let mut checks = Checks::default();
    for (way, check) in ways(&scenario) {
        if scenario.number(&format!("{way}.code")) == 1.0 {
            continue;
        }
        let health = scenario.json(&format!("{way}.health"));
        let parts = health["parts"].as_array().unwrap();
        let programs = Program::all(&check);
        for family in families(&programs) {
            let part = parts.iter().find(|part| part["name"] == family.as_str());
            let status = part.and_then(|part| part["status"].as_str());
            let want = status_of(&programs, &family);
            checks.equal(&format!("{way}, {family}"), status, Some(want));
        }
    }
}

fn status_of(programs: &[Program], family: &str) -> &'static str {
    let faults: Vec<&Program> = programs
        .iter()
        .filter(|one| one.family == family && one.is_fault())
        .collect();
    match faults.iter().any(|one| one.essential) {
        _ if faults.is_empty() => "ok",
        true => "failed",
        false => "degraded",
    }
}

/// What a row of the page says.
fn found(check: &Value, code: f64, release: &str) -> Found {
    let programs = Program::all(check);
    let series: Vec<&str> = release.split('.').take(2).collect();
    let series = series.join(".");
    let cell = |family: &String| {
        let own = programs.iter().filter(|one| one.family == *family);
        let kinds = own
            .filter(|one| one.is_attached())
            .map(|one| one.kind.as_str());
        let kinds: BTreeSet<&str> = kinds.collect();
        let kinds = kinds.into_iter().collect::<Vec<_>>().join(", ");
        format!("{}: {kinds}", status_of(&programs, family))
    };
    let cells: BTreeMap<String, String> = families(&programs)
        .into_iter()
        .map(|family| (family.clone(), cell(&family)))
        .collect();
    // The page is of a series, whose releases come and go.
    let unmet = Unmet::all(check).into_iter().map(|one| {
        let why = one.why.replace(release, &series);
        [one.name, "missing".to_owned(), why]
    });
    let left_out = programs.iter().filter(|one| !one.is_attached());
    let left_out = left_out.map(|one| {
        let Program {
            family,
            name,
            verdict,
            why,
            ..
        } = one;
        [format!("{family}/{name}"), verdict.clone(), why.clone()]
    });
    let failure = check["failure"].as_str();
    let failure = failure.map(|why| ["kernel object", "failed", why].map(str::to_owned));
    Found {
        series: series.clone(),
        verdict: match code {
            0.0 => "ready",
            2.0 => "features off",
            _ => CANNOT_RUN,
        }
        .to_owned(),
        families: cells,
        missing: unmet.chain(failure).chain(left_out).collect(),
    }
}

#[test]
fn the_page_of_kernels_is_what_was_found() {
    let scenario = scenario();
    let release = scenario.text("kernel");
    let ways = ways(&scenario);
    let most = ways.iter().map(|(_, check)| families(&Program::all(check)));
    let most = most.max_by_key(Vec::len).unwrap_or_default();
    let found = ways.iter().map(|(way, check)| {
        let code = scenario.number(&format!("{way}.code"));
        (way.clone(), found(check, code, release.trim()))
    });
    let found = found.collect();
    if let Err(why) = Page::change(|page| page.found(&kernel(), most, found)) {
        panic!("{why:#}");
    }
}
