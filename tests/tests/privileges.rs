//! What the documentation and the systemd unit say about privileges is what the agent does.

#![allow(clippy::unwrap_used, reason = "in a test that is how a fault is told")]

use sockmeter::privileges::{Capability, NEEDS, Thread, calls, table};
use std::collections::BTreeMap;
use std::fs;
use xtask::paths;

fn read(file: &str) -> String {
    fs::read_to_string(paths::checkout().join(file)).unwrap()
}

#[test]
fn the_readme_has_the_table_of_capabilities() {
    let table = table();
    assert!(
        read("README.md").contains(&table),
        "README.md needs:\n{table}"
    );
}

/// The calls that each thread may make, as the documentation has them.
fn calls_table() -> String {
    let mut rows: BTreeMap<&str, [&str; 2]> = BTreeMap::new();
    for (column, thread) in [Thread::Pipeline, Thread::Server].into_iter().enumerate() {
        for (call, restriction) in calls(thread) {
            rows.entry(call).or_insert(["no"; 2])[column] = restriction.unwrap_or("yes");
        }
    }
    let head = "| Call | Pipeline | Server |\n|---|---|---|\n".to_owned();
    rows.iter().fold(head, |text, (call, [pipeline, server])| {
        text + &format!("| `{call}` | {pipeline} | {server} |\n")
    })
}

/// Of the other architecture some are missing.
#[cfg(target_arch = "x86_64")]
#[test]
fn the_documentation_has_the_table_of_calls() {
    let table = calls_table();
    assert!(
        read("docs/privileges.md").contains(&table),
        "docs/privileges.md needs:\n{table}"
    );
}

#[test]
fn the_unit_has_what_the_table_says() {
    let unit = read("deploy/sockmeter.service");
    let words = |key: &str| -> Vec<String> {
        let mut lines = unit.lines().filter_map(|line| line.strip_prefix(key));
        lines
            .next()
            .unwrap()
            .split(' ')
            .map(str::to_owned)
            .collect()
    };
    // Its port is not a low one.
    let wanted: Vec<&str> = NEEDS
        .iter()
        .map(|need| need.capability)
        .filter(|capability| *capability != Capability::NetBindService)
        .map(Capability::name)
        .collect();
    assert_eq!(words("AmbientCapabilities="), wanted);
    assert_eq!(words("CapabilityBoundingSet="), wanted);
    // Neither is among the calls of a usual service (`systemd-analyze syscall-filter @system-service`).
    let allowed = words("SystemCallFilter=");
    for call in ["bpf", "seccomp"] {
        assert!(allowed.iter().any(|word| word == call), "no {call}");
    }
}
