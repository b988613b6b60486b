//! Formatting, lints, and the house rules: what every change has to pass before it is tested.

mod clocks;
mod layout;
mod metrics;
mod source;
mod stages;
mod unsafety;

use std::process::Command;

use anyhow::{Result, bail};

use self::source::{Finding, Source};
use crate::build::{cargo, kernel_cargo};
use crate::command::{find, output, run, shown};
use crate::paths;
use crate::progress::{phase, say, step};
use crate::setup::Install;
use crate::setup::rust::ready_kernel_toolchain;

type Rule = fn(&[Source]) -> Vec<Finding>;

/// The house rules. A rule enters this list together with its test.
const RULES: [Rule; 8] = [
    layout::sizes,
    layout::first_lines,
    layout::no_mod_files,
    layout::telling_names,
    stages::order,
    clocks::none_in_the_middle,
    unsafety::fenced_in,
    metrics::exist,
];

/// Runs all checks, also after one has found something.
///
/// # Errors
/// When one of them finds something, with the names of those that did.
pub fn check(install: Install) -> Result<()> {
    components(install)?;
    let mut failed = Vec::new();
    let mut note = |name: &str, result: Result<()>| {
        if let Err(why) = result {
            say(&format!("{name}: {why:#}"));
            failed.push(name.to_owned());
        }
    };
    let ebpf = paths::checkout().join("ebpf");
    note(
        "format",
        phase("format", || {
            run(cargo(None).args(["fmt", "--all", "--check"]))
        }),
    );
    note(
        "format of ebpf/",
        phase("format of ebpf/", || {
            run(cargo(None).args(["fmt", "--check"]).current_dir(ebpf))
        }),
    );
    note(
        "lints",
        phase("lints", || {
            run(cargo(None).args([
                "clippy",
                "--workspace",
                "--all-targets",
                "--",
                "-D",
                "warnings",
            ]))
        }),
    );
    match ready_kernel_toolchain() {
        Some(toolchain) => note(
            "lints of ebpf/",
            phase("lints of ebpf/", || {
                run(kernel_cargo(&toolchain, "clippy").args(["--release", "--", "-D", "warnings"]))
            }),
        ),
        None => say(
            "lints of ebpf/: not run, the kernel toolchain is not there (`cargo xtask build-ebpf` gets it)",
        ),
    }
    note("house rules", phase("house rules", house_rules));
    if failed.is_empty() {
        return Ok(());
    }
    bail!("failed: {}", failed.join(", "));
}

/// A minimal installation of Rust has neither formatter nor linter.
fn components(install: Install) -> Result<()> {
    for (program, component) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
        if output(cargo(None).args([program, "--version"])).is_ok() {
            continue;
        }
        if install == Install::Refused || find("rustup").is_none() {
            bail!(
                "missing: {component}; get it with `rustup component add {component}`, or from where this Rust came"
            );
        }
        let mut add = Command::new("rustup");
        add.args(["component", "add", component]);
        say(&format!("installs on this machine: `{}`", shown(&add)));
        step(&format!("getting {component}"), || output(&mut add))?;
    }
    Ok(())
}

fn house_rules() -> Result<()> {
    let sources = source::read_all(&paths::checkout())?;
    let findings: Vec<Finding> = RULES.iter().flat_map(|rule| rule(&sources)).collect();
    for finding in &findings {
        eprintln!("{finding}");
    }
    let failures = findings.iter().filter(|finding| finding.fails).count();
    if failures > 0 {
        bail!("{failures} findings, shown above");
    }
    Ok(())
}
