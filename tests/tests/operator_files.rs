//! The files that operators load: rules pass Prometheus' own checker and tests, the dashboard is whole.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "in a test that is how a fault is told"
)]

use serde_json::{Value, json};
use sockmeter::series::catalogue::{self, Kind};
use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use xtask::paths;

/// Words of PromQL that are no metrics; functions are known by their parenthesis.
const KEYWORDS: [&str; 11] = [
    "and", "avg", "bool", "count", "inf", "max", "min", "offset", "or", "sum", "unless",
];
/// What a list of labels in parentheses stands behind.
const LABEL_LISTS: [&str; 6] = [
    "by",
    "group_left",
    "group_right",
    "ignoring",
    "on",
    "without",
];

fn folder(name: &str) -> PathBuf {
    paths::checkout().join(name)
}

/// The files of a folder with this ending, in order of names.
fn files(name: &str, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder(name)).unwrap();
    let mut found: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_str().is_some_and(|path| path.ends_with(ending)))
        .collect();
    found.sort();
    assert!(!found.is_empty(), "no *{ending} in {name}/");
    found
}

/// Among the guests' packages, or on the host, whose packages are not fetched a second time.
fn promtool() -> PathBuf {
    let unpacked = paths::kept().join("guest/packages/root/usr/bin/promtool");
    let found = [unpacked, PathBuf::from("/usr/bin/promtool")]
        .into_iter()
        .find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("promtool is not there; `cargo xtask test` fetches it"))
}

fn run_promtool(subcommand: &str, file: &Path) {
    let done = Command::new(promtool())
        .args([subcommand, "rules"])
        .arg(file)
        .output()
        .unwrap();
    assert!(
        done.status.success(),
        "promtool {subcommand} rules {}:\n{}{}",
        file.display(),
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr)
    );
}

#[test]
fn rules_are_valid() {
    for file in files("rules", ".rules.yml") {
        run_promtool("check", &file);
    }
}

#[test]
fn rules_do_what_their_tests_say() {
    for file in files("rules", ".rules.test.yml") {
        run_promtool("test", &file);
    }
}

#[test]
fn every_alert_is_tested() {
    let tests: String = files("rules", ".rules.test.yml")
        .iter()
        .map(|file| fs::read_to_string(file).unwrap())
        .collect();
    for file in files("rules", ".rules.yml") {
        let text = fs::read_to_string(file).unwrap();
        for alert in values(&text, "alert:") {
            let tested = values(&tests, "alertname:").any(|name| name == alert);
            assert!(tested, "no test names the alert {alert}");
        }
    }
}

/// What stands behind `key` in the lines of a YAML file.
fn values<'a>(text: &'a str, key: &'a str) -> impl Iterator<Item = &'a str> {
    text.lines().filter_map(move |line| {
        let value = line.trim_start_matches([' ', '-']).strip_prefix(key)?;
        Some(value.trim())
    })
}

/// Every name that a query may have: the agent's series, and what the rules record.
fn known_names() -> HashSet<String> {
    let mut names = HashSet::new();
    for metric in catalogue::ALL {
        if metric.kind == Kind::Histogram {
            names
                .extend(["_bucket", "_sum", "_count"].map(|part| format!("{}{part}", metric.name)));
        } else {
            names.insert(metric.name.to_owned());
        }
    }
    for file in files("rules", ".rules.yml") {
        let text = fs::read_to_string(file).unwrap();
        names.extend(values(&text, "record:").map(str::to_owned));
    }
    names
}

/// The metrics that a query names.
fn metrics(query: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut behind_list_word = false;
    let mut rest = query;
    while let Some(first) = rest.chars().next() {
        let is_word = |letter: char| letter.is_ascii_alphanumeric() || "_:$.".contains(letter);
        let length = match first {
            '"' => 2 + rest.get(1..).and_then(|rest| rest.find('"')).unwrap(),
            '{' => 1 + closing(rest, '}'),
            '[' => 1 + closing(rest, ']'),
            '(' if behind_list_word => 1 + closing(rest, ')'),
            letter if is_word(letter) => rest.find(|letter| !is_word(letter)).unwrap_or(rest.len()),
            letter => letter.len_utf8(),
        };
        let (part, behind) = rest.split_at(length);
        rest = behind;
        if part.trim().is_empty() {
            continue;
        }
        behind_list_word = LABEL_LISTS.contains(&part);
        let is_name = first.is_ascii_alphabetic() || first == '_';
        let is_function = rest.trim_start().starts_with('(');
        if is_name && !is_function && !behind_list_word && !KEYWORDS.contains(&part) {
            names.push(part.to_owned());
        }
    }
    names
}

/// Where a bracket closes; none of ours are nested, and no label value has one.
fn closing(text: &str, bracket: char) -> usize {
    text.find(bracket)
        .unwrap_or_else(|| panic!("no {bracket} in {text}"))
}

#[test]
fn queries_are_read() {
    let query = r#"sum by (le) (rate(a_bucket{b="c", e=~"$f"}[$__rate_interval])) / 2e3 and on (job) g unless h offset 5m > bool 0"#;
    assert_eq!(metrics(query), ["a_bucket", "g", "h"]);
}

#[test]
fn dashboards_are_whole_and_name_known_metrics() {
    let known = known_names();
    for file in files("dashboards", ".json") {
        let place = file.display();
        let dashboard: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        assert!(dashboard["schemaVersion"].as_u64().unwrap() >= 39);
        let variables = dashboard["templating"]["list"].as_array().unwrap();
        let names: Vec<_> = variables
            .iter()
            .map(|variable| variable["name"].as_str().unwrap())
            .collect();
        assert_eq!(names, ["datasource", "service_name"], "{place}");

        let mut ids = HashSet::new();
        let mut places = HashSet::new();
        let mut queries = 0;
        for panel in dashboard["panels"].as_array().unwrap() {
            let title = panel["title"].as_str().unwrap();
            assert!(
                ids.insert(panel["id"].as_u64().unwrap()),
                "{place}: {title}: its id is there twice"
            );
            let corner = (
                panel["gridPos"]["x"].as_u64(),
                panel["gridPos"]["y"].as_u64(),
            );
            assert!(
                places.insert(corner),
                "{place}: {title}: another panel is in its place"
            );
            for target in panel["targets"].as_array().into_iter().flatten() {
                let query = target["expr"].as_str().unwrap();
                let used = metrics(query);
                assert!(!used.is_empty(), "{place}: {title}: {query}");
                for name in used {
                    assert!(
                        known.contains(&name),
                        "{place}: {title}: there is no metric {name}"
                    );
                }
                queries += 1;
            }
        }
        assert!(queries > 0, "{place} asks for nothing");
    }
}

/// A query of a dashboard is a rule's expression, once its variables have values.
#[test]
fn dashboards_ask_in_valid_promql() {
    for file in files("dashboards", ".json") {
        let dashboard: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        let panels = dashboard["panels"].as_array().unwrap();
        let targets = panels
            .iter()
            .flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
        let rules: Vec<Value> = targets
            .zip(1..)
            .map(|(target, number)| {
                let query = target["expr"].as_str().unwrap();
                let query = query
                    .replace("$__rate_interval", "5m")
                    .replace("$service_name", ".*");
                json!({"record": format!("query_{number}"), "expr": query})
            })
            .collect();
        // JSON is YAML too.
        let rules = json!({"groups": [{"name": "queries", "rules": rules}]});
        let copy = Path::new(env!("CARGO_TARGET_TMPDIR")).join("dashboard.rules.yml");
        fs::write(&copy, rules.to_string()).unwrap();
        run_promtool("check", &copy);
    }
}

/// A dashboard's list of services comes from a metric too.
#[test]
fn the_list_of_services_comes_from_a_known_metric() {
    let known = known_names();
    for file in files("dashboards", ".json") {
        let dashboard: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        let variables = dashboard["templating"]["list"].as_array().unwrap();
        for variable in variables
            .iter()
            .filter(|variable| variable["type"] == "query")
        {
            let definition = variable["definition"].as_str().unwrap();
            let metric = definition.split(['(', ',']).nth(1).unwrap();
            assert!(known.contains(metric), "there is no metric {metric}");
        }
    }
}
