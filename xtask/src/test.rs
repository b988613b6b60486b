//! Runs every test, those in guests included.

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

/// The same in aarch64 guests.
pub const AARCH64_AGENT_VARIABLE: &str = "SOCKMETER_AGENT_AARCH64";

/// Tells the tests in aarch64 guests which driver to start.
pub const AARCH64_DRIVER_VARIABLE: &str = "SOCKMETER_DRIVER_AARCH64";

/// Builds everything and runs the tests whose name contains `filter`; returns the runner's exit code.
///
/// # Errors
/// When something is missing, a build fails, or the runner cannot be started.
pub fn test(install: Install, filter: Option<&str>) -> Result<u8> {
    phase("setting up guests", || guest::prepare_scenarios(install))?;
    crate::build::agent(install)?;
    let tests = phase("running the tests", || tests(filter))?;
    if tests != 0 || filter.is_some() {
        return Ok(tests);
    }
    phase("running the examples in the documentation", || {
        status(tester().args(["test", "--workspace", "--doc"]))
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

/// nextest runs each test in a process of its own and says more; cargo's own runner does as well.
fn tests(filter: Option<&str>) -> Result<u8> {
    let nextest = output(Command::new("cargo-nextest").args(["nextest", "--version"])).is_ok();
    let mut command = tester();
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
