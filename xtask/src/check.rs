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
use crate::arch::Arch;
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
    let mut note = |name: &'static str, work: &mut dyn FnMut() -> Result<()>| {
        if let Err(why) = phase(name, work) {
            say(&format!("{name}: {why:#}"));
            failed.push(name);
        }
    };
    for (name, mut command) in commands() {
        note(name, &mut || run(&mut command));
    }
    note("house rules", &mut house_rules);
    if failed.is_empty() {
        return Ok(());
    }
    bail!("failed: {}", failed.join(", "));
}

/// What cargo's own tools check.
fn commands() -> Vec<(&'static str, Command)> {
    let mut format = cargo(None);
    format.args(["fmt", "--all", "--check"]);
    let mut kernel_format = cargo(None);
    kernel_format
        .args(["fmt", "--check"])
        .current_dir(paths::checkout().join("ebpf"));
    let mut lints = cargo(None);
    lints.args([
        "clippy",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]);
    let mut commands = vec![
        ("format", format),
        ("format of ebpf/", kernel_format),
        ("lints", lints),
    ];
    if let (Some(toolchain), Ok(arch)) = (ready_kernel_toolchain(), Arch::host()) {
        let objects: [(_, &[&str]); 2] = [
            ("lints of ebpf/", &[]),
            (
                "lints of ebpf/, fallback",
                &["--features", "fallback", "--bin", "fallback"],
            ),
        ];
        for (name, object) in objects {
            let mut lints = kernel_cargo(&toolchain, arch, "clippy");
            lints.arg("--release").args(object);
            lints.args(["--", "-D", "warnings"]);
            commands.push((name, lints));
        }
    } else {
        say(
            "lints of ebpf/: not run, its toolchain is not there; `cargo xtask build-ebpf` gets it",
        );
    }
    commands
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
