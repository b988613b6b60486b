//! Runs every test, those in guests included; on other kernels than the usual one, those of [`matrix`].

mod matrix;

use std::ffi::OsStr;
use std::process::{Command, ExitStatus};

use anyhow::{Context, Result};

use crate::arch::Arch;
use crate::build::{self, Profile, cargo};
use crate::command::output;
use crate::guest::{self, AARCH64_KERNELS};
use crate::paths;
use crate::progress::{phase, say};
use crate::setup::Install;

/// Tells the tests in guests which agent to start.
const AGENT_VARIABLE: &str = "SOCKMETER_AGENT";
/// Tells them which kernel to boot.
const KERNEL_VARIABLE: &str = "SOCKMETER_TEST_KERNEL";
/// Tells them how the agent shall attach its programs.
const PROBES_VARIABLE: &str = "SOCKMETER_TEST_PROBES";

/// Tells them which Debian package to install.
const PACKAGE_VARIABLE: &str = "SOCKMETER_DEB";
/// The tests of that.
const PACKAGE: &str = "package";

/// What cargo's runners call the tests in guests.
const GUEST_TESTS: [&str; 3] = ["--workspace", "--test", "guest"];

/// Ways of attaching that the usual kernel does not need, and is made to take for these scenarios.
const OTHER_WAYS: [&str; 2] = ["kprobe", "tracepoint"];
const SCENARIOS_OF_WAYS: [&str; 2] = ["requests", "io"];

/// The same in aarch64 guests.
pub const AARCH64_AGENT_VARIABLE: &str = "SOCKMETER_AGENT_AARCH64";

/// Tells the tests in aarch64 guests which driver to start.
pub const AARCH64_DRIVER_VARIABLE: &str = "SOCKMETER_DRIVER_AARCH64";

/// Builds everything and runs the tests whose name contains `filter`; returns the runner's exit code. If `kernels` is
/// empty or has the usual one, every test runs on that; on others only what [`matrix`] says.
///
/// # Errors
/// When something is missing, a build fails, or the runner cannot be started.
pub fn test(install: Install, filter: Option<&str>, kernels: &[String]) -> Result<u8> {
    phase("setting up guests", || guest::prepare_scenarios(install))?;
    crate::build::agent(install)?;
    if kernels.is_empty() {
        return all(install, filter, None);
    }
    matrix::run(install, filter, kernels)
}

/// Every test of the workspace, with its guests on the usual kernel, or on this one.
fn all(install: Install, filter: Option<&str>, kernel: Option<&str>) -> Result<u8> {
    // Without it the tests of the package fail, and all others can run.
    let package = filter
        .is_none_or(|filter| filter.starts_with(PACKAGE))
        .then(|| {
            crate::dist::package_here(install)
                .inspect_err(|why| say(&format!("there is no Debian package to test: {why:#}")))
        });
    let package = package.and_then(Result::ok);
    let tests = phase("running the tests", || {
        let mut tester = tester(&["--workspace"], filter.as_slice());
        tester.envs(package.map(|package| (PACKAGE_VARIABLE, package)));
        status(tester.envs(kernel.map(|name| (KERNEL_VARIABLE, name))))
    })?;
    if tests != 0 || filter.is_some() {
        return Ok(tests);
    }
    for way in OTHER_WAYS {
        let tests = phase(
            &format!("running the tests of HTTP and of the I/O paths with --probes {way}"),
            || {
                let filters = of_scenarios(&SCENARIOS_OF_WAYS);
                status(tester(&GUEST_TESTS, &filters).env(PROBES_VARIABLE, way))
            },
        )?;
        if tests != 0 {
            return Ok(tests);
        }
    }
    phase("running the examples in the documentation", || {
        status(command().args(["test", "--workspace", "--doc"]))
    })
}

/// Builds an agent for aarch64 and runs the HTTP tests in aarch64 guests; returns the runner's exit code.
///
/// # Errors
/// As for [`test`].
pub fn aarch64(install: Install) -> Result<u8> {
    phase("setting up aarch64 guests", || {
        AARCH64_KERNELS
            .iter()
            .try_for_each(|kernel| guest::prepare(Arch::Aarch64, kernel, &[], install))
    })?;
    let agent = build::agent_for(Arch::Aarch64, Profile::Dev, install)?;
    let driver = build::test_program_for(Arch::Aarch64, "driver", install)?;
    phase("running the tests in aarch64 guests", || {
        status(
            cargo(None)
                .env(AARCH64_AGENT_VARIABLE, agent)
                .env(AARCH64_DRIVER_VARIABLE, driver)
                .args(["test", "-p", "sockmeter-tests", "--test", "guest"])
                .args(["--", "--ignored", "aarch64::"]),
        )
    })
}

/// Filters for scenarios and all tests that look at them.
fn of_scenarios(scenarios: &[&str]) -> Vec<String> {
    let filters = scenarios
        .iter()
        .flat_map(|name| [format!("scenarios::{name}"), format!("{name}::")]);
    filters.collect()
}

/// Runs tests of what is selected. nextest runs each test in a process of its own and says more; cargo's own runner
/// does as well.
fn tester(selection: &[&str], filters: &[impl AsRef<OsStr>]) -> Command {
    let nextest = output(Command::new("cargo-nextest").args(["nextest", "--version"])).is_ok();
    let mut command = command();
    command.args(if nextest {
        ["nextest", "run"].as_slice()
    } else {
        &["test"]
    });
    // Which tests fail belongs together, and a guest that has run is not to run again for the next of them.
    command.arg("--no-fail-fast");
    let targets = !nextest && !selection.contains(&"--test");
    command
        .args(selection)
        .args(targets.then_some("--all-targets"))
        .args((!nextest).then_some("--"))
        .args(filters);
    command
}

fn command() -> Command {
    let mut command = cargo(Some(&paths::kernel_object()));
    command.env(AGENT_VARIABLE, paths::agent());
    command
}

fn status(command: &mut Command) -> Result<u8> {
    let status: ExitStatus = command.status().context("cannot start the test runner")?;
    if !status.success() {
        say(&format!("the test runner ended with a failure ({status})"));
    }
    Ok(status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .unwrap_or(1))
}
