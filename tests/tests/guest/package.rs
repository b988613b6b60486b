//! The Debian package: what it installs, that its service works under systemd, and that it goes again. The script is
//! `tests/guest/package.sh`.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use crate::checks::Checks;
use crate::scenario::Scenario;

/// Users that systemd makes up (`DynamicUser=` in systemd.exec(5)).
const DYNAMIC_USERS: RangeInclusive<u32> = 61184..=65519;
/// `CAP_DAC_READ_SEARCH` and `CAP_SYS_PTRACE` (`include/uapi/linux/capability.h`): what names new processes.
const CAPABILITIES_AFTER_START: u64 = 1 << 2 | 1 << 19;

fn scenario() -> Scenario {
    Scenario::of("package")
}

#[test]
fn files_are_there_with_their_rights() {
    let scenario = scenario();
    let mut checks = Checks::default();
    checks.equal(
        "status",
        scenario.text("status").trim(),
        "install ok installed",
    );
    let files = scenario.text("installed.files");
    for file in [
        "-rwxr-xr-x root:root /usr/bin/sockmeter\n",
        "-rw-r--r-- root:root /etc/sockmeter.toml\n",
        "/systemd/system/sockmeter.service\n",
        "-rw-r--r-- root:root /usr/share/doc/sockmeter/LICENSE-MIT\n",
        "-rw-r--r-- root:root /usr/share/doc/sockmeter/LICENSE-APACHE\n",
        "-rw-r--r-- root:root /usr/share/doc/sockmeter/LICENSE-GPL-2.0\n",
        "-rw-r--r-- root:root /usr/share/doc/sockmeter/copyright\n",
    ] {
        checks.has("files", &files, file);
    }
    // One whose only line begins with the bits of a file that all may read.
    let unit = files
        .lines()
        .find(|line| line.ends_with("sockmeter.service"));
    checks.that(
        unit.is_some_and(|unit| unit.starts_with("-rw-r--r-- root:root ")),
        || format!("unit: {unit:?}"),
    );
    let conffiles = scenario.text("conffiles");
    checks.has(
        "settings that upgrades keep",
        &conffiles,
        "/etc/sockmeter.toml",
    );
    checks.equal("starts at boot", scenario.text("enabled").trim(), "yes");
}

#[test]
fn version_names_the_objects_inside() {
    let scenario = scenario();
    let mut checks = Checks::default();
    let version = scenario.text("version");
    let begin = format!("sockmeter {} (commit ", env!("CARGO_PKG_VERSION"));
    checks.that(version.starts_with(&begin), || {
        format!("version: {version:?}")
    });
    let objects = scenario.text("objects");
    let hashes: Vec<&str> = objects
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    checks.equal("objects", hashes.len(), 2);
    for (name, hash) in ["object", "fallback"].iter().zip(hashes) {
        checks.has("version", &version, &format!(", {name} sha256:{hash}"));
    }
}

#[test]
fn systemd_understands_the_unit() {
    let scenario = scenario();
    let mut checks = Checks::default();
    let said = scenario.text("verify");
    checks.equal("exit code", scenario.number("verify.code"), 0.0);
    checks.that(!said.contains("sockmeter.service"), || {
        format!("systemd-analyze: {said}")
    });
}

/// What systemd said of the service when the script called that `name`.
fn state(scenario: &Scenario, name: &str) -> BTreeMap<String, String> {
    let text = scenario.text(&format!("{name}.state"));
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    pairs
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

#[test]
fn its_installation_starts_the_service_and_its_removal_ends_it() {
    let scenario = scenario();
    let mut checks = Checks::default();
    // Of the unit and its process; how that ended, and with which exit code.
    let running = ["active", "running", "success", "0"];
    for (name, want, starts) in [
        ("installed", running, "0"),
        ("restarted", running, "0"),
        ("killed", running, "1"),
        // Started again it would refuse them again.
        ("refused", ["failed", "failed", "exit-code", "2"], "0"),
        ("mended", running, "0"),
        ("removed", ["inactive", "dead", "success", "0"], "0"),
    ] {
        let state = state(&scenario, name);
        let keys = [
            "ActiveState",
            "SubState",
            "Result",
            "ExecMainStatus",
            "NRestarts",
        ];
        for (key, want) in keys.into_iter().zip(want.into_iter().chain([starts])) {
            let got = state.get(key).map(String::as_str);
            checks.equal(&format!("{name}, {key}"), got, Some(want));
        }
    }
    let pids = ["installed", "restarted", "killed", "mended"];
    let pids: BTreeSet<_> = pids
        .map(|name| state(&scenario, name).remove("MainPID"))
        .into();
    checks.equal("processes", pids.len(), 4);
    // Restarted, killed, restarted with wrong settings, which it refused, removed.
    let clean = "success exited 0";
    let ends = [
        clean,
        "signal killed KILL",
        clean,
        "exit-code exited 2",
        clean,
    ];
    checks.equal(
        "ends",
        scenario.text("ends").lines().collect(),
        ends.to_vec(),
    );
    let command = scenario.text("command");
    let unit = scenario.text("unit");
    let start = unit
        .lines()
        .find_map(|line| line.strip_prefix("ExecStart="));
    checks.equal("command", Some(command.trim()), start);
}

#[test]
fn the_service_has_the_rights_of_the_unit_and_counts() {
    let scenario = scenario();
    let mut checks = Checks::default();
    for (thread, capabilities) in [("main", 0), ("pipeline", CAPABILITIES_AFTER_START)] {
        let status = scenario.text(thread);
        let of = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key));
            line.unwrap_or_default().trim().to_owned()
        };
        let users = of("Uid:");
        for user in users.split('\t').map(str::parse) {
            let is_made_up = user.is_ok_and(|user| DYNAMIC_USERS.contains(&user));
            checks.that(is_made_up, || format!("{thread}: users: {users}"));
        }
        let mut equal = |key: &str, want: u64, radix| {
            let got = u64::from_str_radix(&of(key), radix);
            checks.equal(&format!("{thread}: {key}"), got, Ok(want));
        };
        equal("CapPrm:", capabilities, 16);
        equal("CapEff:", capabilities, 16);
        equal("NoNewPrivs:", 1, 10);
        // SECCOMP_MODE_FILTER: the unit's filter, and the agent's own.
        equal("Seccomp:", 2, 10);
    }
    let health = scenario.json("health");
    checks.equal("health", health["status"].as_str(), Some("ok"));
    let requests = scenario.number("requests");
    checks.equal("requests that nginx logged", requests, 5.0);
    let counted = scenario.scrape("served").sum(
        "http_server_request_duration_seconds_count",
        &[("service_name", "nginx")],
    );
    checks.equal("requests that were counted", counted, requests);
}

#[test]
fn what_is_removed_is_gone_but_changed_settings_until_they_are_purged() {
    let scenario = scenario();
    let mut checks = Checks::default();
    let left = scenario.text("removed.files");
    checks.equal(
        "left",
        left.as_str(),
        "-rw-r--r-- root:root /etc/sockmeter.toml\n",
    );
    checks.equal(
        "left when purged",
        scenario.text("purged.files").as_str(),
        "",
    );
}
