//! The Debian package: what it installs, that its service's command works, and that it goes again. The script is
//! `tests/guest/package.sh`.

use crate::checks::Checks;
use crate::scenario::Scenario;

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

#[test]
fn its_command_runs_with_the_rights_of_the_unit_and_counts() {
    let scenario = scenario();
    let mut checks = Checks::default();
    checks.equal("ready", scenario.number("ready.status"), 200.0);
    let process = scenario.text("process");
    let of = |key: &str| {
        let line = process.lines().find_map(|line| line.strip_prefix(key));
        line.unwrap_or_default().trim().to_owned()
    };
    checks.equal("users", of("Uid:").as_str(), "65534\t65534\t65534\t65534");
    checks.equal("no new privileges", of("NoNewPrivs:").as_str(), "1");
    let requests = scenario.number("requests");
    checks.equal("requests that nginx logged", requests, 5.0);
    let counted = scenario.scrape("served").sum(
        "http_server_request_duration_seconds_count",
        &[("service_name", "nginx")],
    );
    checks.equal("requests that were counted", counted, requests);
    checks.equal("exit code", scenario.number("agent.code"), 0.0);
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
