//! How often the agent wakes, and by what. The script is `tests/guest/wakeups.sh`.

use crate::checks::Checks;
use crate::scenario::Scenario;

/// Seconds of the guest, and how often the agent's threads have gone to sleep.
fn switches(scenario: &Scenario, name: &str) -> (f64, f64) {
    let text = scenario.text(&format!("{name}.switches"));
    let mut lines = text.lines();
    let seconds: f64 = lines.next().unwrap().parse().unwrap();
    let counts = lines.map(|line| line.parse::<f64>().unwrap());
    (seconds, counts.sum())
}

/// How often they went to sleep in a second.
fn rate(scenario: &Scenario, name: &str) -> f64 {
    let (began, before) = switches(scenario, &format!("{name}-before"));
    let (ended, after) = switches(scenario, &format!("{name}-after"));
    (after - before) / (ended - began)
}

#[test]
fn an_idle_agent_wakes_five_times_in_a_second_at_most() {
    let scenario = Scenario::of("wakeups");
    let mut checks = Checks::default();
    let woken = rate(&scenario, "quiet");
    checks.between("times in a second", woken, 0.5, 5.0);
}

#[test]
fn an_agent_under_load_wakes_200_times_in_a_second_at_most() {
    let scenario = Scenario::of("wakeups");
    let mut checks = Checks::default();
    let served = [("process_executable_name", "nginx")];
    let requests = scenario.rise(
        ["burst-after", "load"],
        "http_server_request_duration_seconds_count",
        &served,
    );
    checks.equal("requests", requests, 5000.0);
    let woken = rate(&scenario, "load");
    checks.between("times in a second", woken, 1.0, 200.0);
}

/// The kernel's stack at each wake-up, innermost first: lines ` => FUNCTION` behind that of the event.
fn stacks(scenario: &Scenario, name: &str) -> Vec<Vec<String>> {
    let trace = scenario.text(&format!("{name}.trace"));
    let mut stacks: Vec<Vec<String>> = Vec::new();
    for line in trace.lines() {
        if line.contains(": sched_waking: ") {
            stacks.push(Vec::new());
        } else if let (Some(function), Some(stack)) = (line.strip_prefix(" => "), stacks.last_mut())
        {
            stack.push(function.to_owned());
        }
    }
    stacks
}

#[test]
fn no_record_wakes_the_agent() {
    let scenario = Scenario::of("wakeups");
    let mut checks = Checks::default();
    for name in ["quiet", "load"] {
        let stacks = stacks(&scenario, name);
        // `bpf_ringbuf_notify`, which the ring calls in an interrupt that it asks for. (Frames of a program may just be
        // below a timer's, and a trampoline's are below whatever a call on a socket wakes.)
        let by_records: Vec<_> = stacks
            .iter()
            .filter(|stack| {
                stack
                    .iter()
                    .any(|function| function.starts_with("bpf_ringbuf"))
            })
            .collect();
        checks.that(by_records.is_empty(), || {
            format!("{name}: a record woke it: {by_records:#?}")
        });
        let by_timer = stacks
            .iter()
            .filter(|stack| stack.iter().any(|function| function == "hrtimer_wakeup"))
            .count();
        checks.between(
            &format!("{name}: woken by a timer, of {}", stacks.len()),
            by_timer as f64,
            0.8 * stacks.len() as f64,
            stacks.len() as f64,
        );
        checks.that(by_timer > 10, || format!("{name}: no trace"));
    }
}

#[test]
fn a_burst_after_a_quiet_time_finds_the_agent_awake() {
    let scenario = Scenario::of("wakeups");
    let mut checks = Checks::default();
    let scrapes = ["burst-before", "burst-after"];
    let full = [("reason", "ring_full_segment")];
    let lost = scenario.rise(scrapes, "sockmeter_records_lost_total", &full);
    checks.equal("lost records", lost, 0.0);
    for (name, metric) in [
        ("nginx", "http_server_request_duration_seconds_count"),
        ("burst", "http_client_request_duration_seconds_count"),
    ] {
        let labels = [
            ("process_pid", scenario.pid(name)),
            ("http_response_status_code", "200"),
        ];
        let counted = scenario.rise(scrapes, metric, &labels);
        checks.equal(&format!("{name}'s requests"), counted, 3000.0);
    }
}
