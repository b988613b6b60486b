//! Runs every test, those in guests included.

use std::path::Path;
use std::process::{Command, ExitStatus};

use anyhow::{Context, Result};

use crate::build::cargo;
use crate::command::output;
use crate::guest;
use crate::paths;
use crate::progress::{phase, say};
use crate::setup::Install;

/// Tells the tests in guests which agent to start.
const AGENT_VARIABLE: &str = "SOCKMETER_AGENT";

/// Tells them which Debian package to install.
const PACKAGE_VARIABLE: &str = "SOCKMETER_DEB";

/// Builds everything and runs the tests whose name contains `filter`; returns the runner's exit code.
///
/// # Errors
/// When something is missing, a build fails, or the runner cannot be started.
pub fn test(install: Install, filter: Option<&str>) -> Result<u8> {
    phase("setting up guests", || guest::prepare_scenarios(install))?;
    crate::build::agent(install)?;
    // Without it the tests of the package fail, and all others can run.
    let package = crate::dist::package_here(install)
        .inspect_err(|why| say(&format!("there is no Debian package to test: {why:#}")))
        .ok();
    let tests = phase("running the tests", || tests(filter, package.as_deref()))?;
    if tests != 0 || filter.is_some() {
        return Ok(tests);
    }
    phase("running the examples in the documentation", || {
        status(tester().args(["test", "--workspace", "--doc"]))
    })
}

/// nextest runs each test in a process of its own and says more; cargo's own runner does as well.
fn tests(filter: Option<&str>, package: Option<&Path>) -> Result<u8> {
    let nextest = output(Command::new("cargo-nextest").args(["nextest", "--version"])).is_ok();
    let mut command = tester();
    command.envs(package.map(|package| (PACKAGE_VARIABLE, package)));
    command.args(if nextest {
        ["nextest", "run"].as_slice()
    } else {
        &["test", "--no-fail-fast"]
    });
    status(
        command
            .arg("--workspace")
            .args((!nextest).then_some("--all-targets"))
            .args(filter),
    )
}

fn tester() -> Command {
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
