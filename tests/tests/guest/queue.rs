//! The time that requests wait in the socket. The script is `tests/guest/queue.sh`.

use crate::checks::Checks;
use crate::scenario::Scenario;

const QUEUE: &str = "sockmeter_request_queue_seconds";
/// The steps of the script, with the scrape before each.
const PLANS: [(&str, &str); 4] = [
    ("prompt", "0.3:3:kept"),
    ("waited-0.3:3:kept", "0.3:2:new"),
    ("waited-0.3:2:new", "0.1:5:kept"),
    ("waited-0.1:5:kept", "0.02:5:kept"),
];

fn nginx() -> [(&'static str, &'static str); 2] {
    [("process_executable_name", "nginx"), ("role", "server")]
}

#[test]
fn rule_01_a_request_that_is_read_at_once_does_not_wait() {
    let scenario = Scenario::of("queue");
    let mut checks = Checks::default();
    let rise = |name: &str, labels: &[(&str, &str)]| {
        let labels = [&nginx(), labels].concat();
        scenario.rise(["idle", "prompt"], name, &labels)
    };
    checks.equal("requests", rise(&format!("{QUEUE}_count"), &[]), 200.0);
    let short = rise(&format!("{QUEUE}_bucket"), &[("le", "0.001")]);
    checks.between("requests below 1 ms", short, 100.0, 200.0);
}

#[test]
fn rule_01_a_request_to_a_stopped_server_waits_as_long_as_it_was_stopped() {
    let scenario = Scenario::of("queue");
    let mut checks = Checks::default();
    for (before, plan) in PLANS {
        let waits: Vec<f64> = scenario
            .text(&format!("waits-{plan}"))
            .lines()
            .map(|line| line.rsplit(' ').next().unwrap().parse().unwrap())
            .collect();
        let scrapes = [before, &format!("waited-{plan}")];
        let count = scenario.rise(scrapes, &format!("{QUEUE}_count"), &nginx());
        // And the one that opened the connection.
        checks.equal(
            &format!("{plan}, requests"),
            count,
            waits.len() as f64 + 1.0,
        );
        let sum = scenario.rise(scrapes, &format!("{QUEUE}_sum"), &nginx());
        let want: f64 = waits.iter().sum();
        // Above the timer of delayed acknowledgements the time is right to a tick, and the server needs a
        // moment to go on.
        checks.between(
            &format!("{plan}, seconds"),
            sum,
            want * 0.9,
            want * 1.1 + 0.02,
        );
    }
}
