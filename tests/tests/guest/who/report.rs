//! What the processes of the scenario counted themselves, up to a scrape.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::scenario::Scenario;

/// One end's counts.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Counts {
    pub(super) opened: f64,
    pub(super) requests: f64,
    pub(super) received: f64,
    pub(super) sent: f64,
}

/// What one process did, or several that one forked.
#[derive(Clone, Debug, Default)]
pub(super) struct Program {
    /// The pid of the first of them in the initial namespace.
    pub(super) pid: String,
    /// The pids that they know themselves by.
    pub(super) own_pids: Vec<u64>,
    pub(super) server: Counts,
    pub(super) client: Counts,
}

/// All programs by name, as they were at a scrape. Of two that had one name after each other the later.
pub(super) fn at(scenario: &Scenario, scrape: &str) -> BTreeMap<String, Program> {
    // By name and root; of each process what it said last.
    let mut processes = BTreeMap::<(String, u64), BTreeMap<u64, Value>>::new();
    let mut latest = BTreeMap::<String, u64>::new();
    for line in scenario.text("who.jsonl").lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        if let Some(mark) = line["scrape"].as_str() {
            if mark == scrape {
                let programs = latest.iter().map(|(name, root)| {
                    let of = &processes[&(name.clone(), *root)];
                    (name.clone(), program(*root, of))
                });
                return programs.collect();
            }
            continue;
        }
        let (name, pid) = (
            line["name"].as_str().unwrap().to_owned(),
            number(&line["pid"]),
        );
        let root = number(&line["root"]);
        let of = processes.entry((name.clone(), root)).or_default();
        // A process of an earlier one's name and pid begins with a report of nothing.
        if pid == root && is_nothing(&line) && of.get(&pid).is_some_and(|last| !is_nothing(last)) {
            of.clear();
        }
        of.insert(pid, line);
        latest.insert(name, root);
    }
    panic!("no scrape {scrape}");
}

/// The names of all scrapes, in their order.
pub(super) fn marks(scenario: &Scenario) -> Vec<String> {
    let text = scenario.text("who.jsonl");
    let lines = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines
        .filter_map(|line| Some(line["scrape"].as_str()?.to_owned()))
        .collect()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap()
}

fn is_nothing(line: &Value) -> bool {
    ["server", "client"].iter().all(|end| {
        line[end]
            .as_object()
            .unwrap()
            .values()
            .all(|count| count == 0)
    })
}

fn program(root: u64, processes: &BTreeMap<u64, Value>) -> Program {
    let mut program = Program {
        pid: root.to_string(),
        ..Program::default()
    };
    for line in processes.values() {
        program.own_pids.push(number(&line["own_pid"]));
        for (counts, end) in [
            (&mut program.server, &line["server"]),
            (&mut program.client, &line["client"]),
        ] {
            let count = |what: &str| end[what].as_f64().unwrap();
            counts.opened += count("opened");
            counts.requests += count("requests");
            counts.received += count("received");
            counts.sent += count("sent");
        }
    }
    program
}
