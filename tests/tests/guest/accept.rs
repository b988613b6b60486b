//! Servers that do not accept. The script is `tests/guest/accept.sh`.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::checks::Checks;
use crate::scenario::Scenario;
use crate::scrape::Scrape;

const LENGTH: &str = "sockmeter_accept_queue_length";
const LIMIT: &str = "sockmeter_accept_queue_limit";
const OVERFLOWS: &str = "sockmeter_accept_queue_overflows_total";

fn scenario() -> Scenario {
    Scenario::of("accept")
}

/// Length, limit and drops, by process and port.
type Queues = BTreeMap<(String, String), [f64; 3]>;

/// What the kernel says; nothing of the agent's own socket.
fn by_ss(text: &str) -> Queues {
    let mut queues = Queues::new();
    let lines: Vec<&str> = text.lines().collect();
    for two in lines.chunks_exact(2) {
        let [socket, memory] = two else { continue };
        if socket.contains("sockmeter") {
            continue;
        }
        let words: Vec<&str> = socket.split_whitespace().collect();
        let port = words[3].rsplit(':').next().unwrap();
        let pid = between(socket, "pid=", ",");
        let of = [
            words[1].parse().unwrap(),
            words[2].parse().unwrap(),
            between(memory, ",d", ")").parse().unwrap(),
        ];
        let sums = queues.entry((pid.to_owned(), port.to_owned())).or_default();
        for (sum, one) in sums.iter_mut().zip::<[f64; 3]>(of) {
            *sum += one;
        }
    }
    queues
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let at = text.rfind(before).unwrap() + before.len();
    text[at..].split(after).next().unwrap()
}

fn by_agent(scrape: &Scrape) -> Queues {
    let mut queues = Queues::new();
    for (at, metric) in [LENGTH, LIMIT, OVERFLOWS].into_iter().enumerate() {
        for sample in scrape.samples(metric, &[]) {
            let label = |name: &str| sample.labels[name].clone();
            let key = (label("process_pid"), label("server_port"));
            queues.entry(key).or_default()[at] = sample.value;
        }
    }
    queues
}

/// The scrapes beside which the kernel was asked, and what it said before and after.
fn judged(scenario: &Scenario, scrape: &str) -> [Queues; 3] {
    let [before, after] = ["", "-later"].map(|when| {
        let text = |place| scenario.text(&format!("{scrape}{when}.{place}.ss"));
        by_ss(&(text("near") + &text("far")))
    });
    [before, by_agent(&scenario.scrape(scrape)), after]
}

#[test]
fn rule_01_accept_queues_are_the_kernels_at_the_scrape() {
    let scenario = scenario();
    let mut checks = Checks::default();
    for name in ["stuck", "late"] {
        let [before, agent, after] = judged(&scenario, name);
        let keys = |queues: &Queues| queues.keys().cloned().collect::<Vec<_>>();
        checks.equal("processes and ports", keys(&agent), keys(&before));
        for (key, [length, limit, drops]) in agent {
            let what = format!("{name}, {key:?}");
            checks.equal(&format!("{what}: length"), length, before[&key][0]);
            checks.equal(&format!("{what}: limit"), limit, before[&key][1]);
            // A client may have tried again in between.
            let (least, most) = (before[&key][2], after[&key][2]);
            checks.between(&format!("{what}: drops"), drops, least, most);
        }
    }
}

#[test]
fn the_kernel_lets_one_more_wait_than_the_limit() {
    let scenario = scenario();
    let mut checks = Checks::default();
    for (scrape, name, port, limit) in [
        ("stuck", "stuck", "7200", 2.0),
        ("stuck", "far", "7200", 4.0),
        ("late", "late", "7201", 3.0),
    ] {
        let queues = by_agent(&scenario.scrape(scrape));
        let key = (scenario.pid(name).to_owned(), port.to_owned());
        let [length, shown, drops] = queues[&key];
        checks.equal(name, [length, shown], [limit + 1.0, limit]);
        checks.that(drops > 0.0, || format!("{name} dropped nothing"));
    }
}

#[test]
fn overflows_are_what_the_namespace_dropped() {
    let scenario = scenario();
    let mut checks = Checks::default();
    let queues = by_agent(&scenario.scrape("stuck"));
    for (name, place) in [("stuck", "near"), ("far", "far")] {
        let counted = |when: &str, counter: &str| {
            let text = scenario.text(&format!("{when}.{place}.nstat"));
            let counters: Value = serde_json::from_str(&text).unwrap();
            counters["kernel"][counter].as_f64().unwrap()
        };
        let key = (scenario.pid(name).to_owned(), "7200".to_owned());
        for counter in ["TcpExtListenOverflows", "TcpExtListenDrops"] {
            let (least, most) = (counted("stuck", counter), counted("stuck-later", counter));
            let what = format!("{name}, {counter}");
            checks.between(&what, queues[&key][2], least, most);
        }
    }
}

#[test]
fn accepting_empties_the_queue() {
    let scenario = scenario();
    let mut checks = Checks::default();
    let queues = by_agent(&scenario.scrape("accepted"));
    for (name, limit) in [("stuck", 2.0), ("far", 4.0)] {
        let key = (scenario.pid(name).to_owned(), "7200".to_owned());
        checks.equal(name, [queues[&key][0], queues[&key][1]], [0.0, limit]);
    }
}

#[test]
fn several_sockets_of_a_process_and_port_are_summed_and_heirs_are_found() {
    let scenario = scenario();
    let mut checks = Checks::default();
    let queues = by_agent(&scenario.scrape("late"));
    let limit = |name: &str, port: &str| {
        queues
            .get(&(scenario.pid(name).to_owned(), port.to_owned()))
            .map(|queue| queue[1])
    };
    checks.equal("two sockets of 5", limit("twice", "7202"), Some(10.0));
    checks.equal("the heir's", limit("heir", "7203"), Some(9.0));
}

#[test]
fn series_end_with_their_socket() {
    let scenario = scenario();
    let mut checks = Checks::default();
    let ports = |scrape: &str| -> Vec<(String, String)> {
        by_agent(&scenario.scrape(scrape)).into_keys().collect()
    };
    let key = |name: &str, port: &str| (scenario.pid(name).to_owned(), port.to_owned());
    for (name, port) in [("stuck", "7200"), ("late", "7201")] {
        checks.that(ports("used").contains(&key(name, port)), || {
            format!("no {name} before")
        });
        checks.that(!ports("ended").contains(&key(name, port)), || {
            format!("{name} after its end")
        });
    }
    for (name, port) in [("far", "7200"), ("twice", "7202"), ("heir", "7203")] {
        checks.that(ports("ended").contains(&key(name, port)), || {
            format!("no {name} at the end")
        });
    }
}

#[test]
fn rule_19_a_connect_that_is_under_way_at_the_start_is_a_clients() {
    let scenario = scenario();
    let mut checks = Checks::default();
    for (name, at_first, at_last) in [("stuck-client", 3.0, 10.0), ("far-client", 5.0, 8.0)] {
        let labels = [("process_pid", scenario.pid(name)), ("role", "client")];
        for (scrape, want) in [("stuck", at_first), ("used", at_last)] {
            for metric in [
                "sockmeter_connections_active",
                "sockmeter_connections_adopted_total",
            ] {
                let got = scenario.scrape(scrape).sum(metric, &labels);
                checks.equal(&format!("{name}, {scrape}, {metric}"), got, want);
            }
        }
    }
    for (server, client) in [
        ("stuck", "stuck-client"),
        ("far", "far-client"),
        ("late", "late-client"),
    ] {
        let used = scenario.scrape("used");
        let made = scenario.driver_commands(client, "use").requests;
        for (name, metric) in [
            (server, "http_server_request_duration_seconds_count"),
            (client, "http_client_request_duration_seconds_count"),
        ] {
            let got = used.sum(metric, &[("process_pid", scenario.pid(name))]);
            checks.equal(name, got, made);
        }
    }
}

#[test]
fn a_program_that_inherits_a_listening_socket_by_exec_has_its_queue() {
    let scenario = scenario();
    let mut checks = Checks::default();
    for (when, name) in [
        ("before-exec", "python3.11"),
        ("after-exec", "sleep"),
        ("long-after-exec", "sleep"),
    ] {
        let scrape = scenario.scrape(when);
        let labels = [
            ("process_pid", scenario.pid("became")),
            ("process_executable_name", name),
            ("server_port", "7204"),
        ];
        checks.equal(when, scrape.sum(LIMIT, &labels), 7.0);
    }
}
