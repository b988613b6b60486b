//! The same tests on several kernels. What a kernel does otherwise shows in HTTP over TCP and in the I/O paths, so on
//! other kernels than the usual one only those run; a kernel that Debian does not have is skipped, and said to be.

use std::ffi::OsStr;
use std::time::Instant;

use anyhow::Result;

use super::{GUEST_TESTS, KERNEL_VARIABLE, all, of_scenarios, status, tester};
use crate::arch::Arch;
use crate::guest::{self, Absent, DEFAULT_KERNEL};
use crate::kernels::{Page, is_to_write};
use crate::progress::{phase, say};
use crate::setup::Install;

/// The scenarios of `tests/guest` that run on every kernel, with all tests that look at them. This one finds out what the
/// agent has there: the others make no sense where it does not start. It runs alone where `docs/kernels.md` does not say
/// yet that the agent starts.
const FIRST: &str = "kernels";
const OTHERS: [&str; 3] = ["requests", "adoption", "io"];

/// The scenarios of one kernel.
struct Ran {
    kernel: String,
    /// Names, whether all their tests passed, seconds.
    scenarios: Vec<(String, bool, f64)>,
    /// What was left out, and why.
    skipped: Option<String>,
}

impl Ran {
    fn has_passed(&self) -> bool {
        self.scenarios.iter().all(|(_, passed, _)| *passed)
    }

    /// As `docs/kernels.md` says it.
    fn tests(&self) -> String {
        let passed = self.scenarios.iter().filter(|(_, passed, _)| *passed);
        let names: Vec<&str> = passed.map(|(name, ..)| name.as_str()).collect();
        names.join(", ")
    }

    fn say(&self) {
        let Self {
            kernel,
            scenarios,
            skipped,
        } = self;
        let each = scenarios.iter().map(|(name, passed, seconds)| {
            let verdict = if *passed { "" } else { " FAILED" };
            format!("{name}{verdict} ({seconds:.0} s)")
        });
        let each: Vec<String> = each.collect();
        if !each.is_empty() {
            say(&format!("kernel {kernel}: {}", each.join(", ")));
        }
        if let Some(why) = skipped {
            say(&format!("skipped: kernel {kernel}: {why}"));
        }
    }
}

/// Returns the exit code: of a skipped kernel nothing has failed, and nothing has passed.
pub(super) fn run(install: Install, filter: Option<&str>, kernels: &[String]) -> Result<u8> {
    let mut runs = Vec::new();
    for kernel in kernels {
        let ran = if kernel == DEFAULT_KERNEL {
            on_usual(install, filter)?
        } else {
            on_other(kernel, install, filter)?
        };
        runs.push(ran);
    }
    let mut is_true = true;
    for ran in &runs {
        ran.say();
        // A part of the tests says nothing of the whole; what failed is said above.
        if filter.is_none() && !ran.scenarios.is_empty() && (ran.has_passed() || is_to_write()) {
            let kept = Page::change(|page| page.passed(&ran.kernel, &ran.tests()));
            if let Err(why) = kept {
                say(&format!("{why:#}"));
                is_true = false;
            }
        }
    }
    Ok(u8::from(!is_true || !runs.iter().all(Ran::has_passed)))
}

/// Every test.
fn on_usual(install: Install, filter: Option<&str>) -> Result<Ran> {
    let started = Instant::now();
    let passed = all(install, filter, Some(DEFAULT_KERNEL))? == 0;
    let seconds = started.elapsed().as_secs_f64();
    Ok(Ran {
        kernel: DEFAULT_KERNEL.to_owned(),
        scenarios: vec![("all".to_owned(), passed, seconds)],
        skipped: None,
    })
}

/// The scenarios that run on every kernel or, if there is a filter, the guest tests that it selects.
fn on_other(kernel: &str, install: Install, filter: Option<&str>) -> Result<Ran> {
    let mut ran = Ran {
        kernel: kernel.to_owned(),
        scenarios: Vec::new(),
        skipped: None,
    };
    if let Err(why) = guest::prepare(Arch::X86_64, kernel, &[], install) {
        let Some(absent) = why.downcast_ref::<Absent>() else {
            return Err(why);
        };
        let absent = absent.to_string();
        if is_to_write() {
            Page::change(|page| page.not_available(kernel, &absent))?;
        }
        ran.skipped = Some(absent);
        return Ok(ran);
    }
    if let Some(filter) = filter {
        ran.scenarios.push(one(kernel, filter, &[filter])?);
        return Ok(ran);
    }
    let mut left = vec![FIRST];
    if !Page::read()?.says_it_runs(kernel) {
        ran.scenarios.push(several(kernel, &left)?);
        left.clear();
        if let Some(why) = Page::read()?.refusal(kernel) {
            let others = OTHERS.join(", ");
            ran.skipped = Some(format!("{others}: the agent does not run there: {why}"));
            return Ok(ran);
        }
    }
    left.extend(OTHERS);
    ran.scenarios.push(several(kernel, &left)?);
    Ok(ran)
}

/// Scenarios on this kernel, two guests at a time.
fn several(kernel: &str, scenarios: &[&str]) -> Result<(String, bool, f64)> {
    one(kernel, &scenarios.join(", "), &of_scenarios(scenarios))
}

/// The guest tests with one of `filters` in their name, on this kernel.
fn one(kernel: &str, name: &str, filters: &[impl AsRef<OsStr>]) -> Result<(String, bool, f64)> {
    let started = Instant::now();
    let passed = phase(&format!("kernel {kernel}: {name}"), || {
        status(tester(&GUEST_TESTS, filters).env(KERNEL_VARIABLE, kernel))
    })? == 0;
    Ok((name.to_owned(), passed, started.elapsed().as_secs_f64()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paths;

    /// cargo's own runner does not mind if a filter selects nothing.
    #[test]
    fn every_scenario_of_the_matrix_has_a_script_and_tests() {
        let tests = paths::checkout().join("tests");
        for scenario in OTHERS.into_iter().chain([FIRST]) {
            let script = tests.join(format!("guest/{scenario}.sh"));
            let judge = tests.join(format!("tests/guest/{scenario}.rs"));
            assert!(script.is_file() && judge.is_file(), "{scenario}");
        }
    }

    #[test]
    fn what_failed_is_not_said_to_have_passed() {
        let scenario = |name: &str, passed| (name.to_owned(), passed, 1.0);
        let ran = Ran {
            kernel: "6.12".to_owned(),
            scenarios: vec![scenario("requests", true), scenario("io", false)],
            skipped: None,
        };
        assert!(!ran.has_passed());
        assert_eq!(ran.tests(), "requests");
    }
}
