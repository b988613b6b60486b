//! How often the agent wakes, and by whom. The script is `tests/guest/wakeups.sh`.

use crate::checks::Checks;
use crate::scenario::Scenario;

/// Whose calls make records in this scenario.
const WATCHED: [&str; 4] = ["nginx-", "ab-", "driver-", "curl-"];

/// Seconds of the guest, and how often the agent's threads have gone to sleep.
fn switches(scenario: &Scenario, name: &str) -> (f64, f64) {
    let text = scenario.text(&format!("{name}.switches"));
    let mut lines = text.lines();
    let seconds: f64 = lines.next().unwrap().parse().unwrap();
    let counts = lines.map(|line| line.rsplit('\t').next().unwrap().parse::<f64>().unwrap());
    (seconds, counts.sum())
}

/// How often they went to sleep in a second.
fn rate(scenario: &Scenario, name: &str) -> f64 {
    let (began, before) = switches(scenario, &format!("{name}-before"));
    let (ended, after) = switches(scenario, &format!("{name}-after"));
    (after - before) / (ended - began)
}

#[test]
fn an_idle_agent_wakes_forty_times_in_a_second_at_most() {
    let scenario = Scenario::of("wakeups");
    let mut checks = Checks::default();
    // It looks at the ring every 50 ms; both kinds of switches count.
    let woken = rate(&scenario, "quiet");
    checks.between("times in a second", woken, 0.5, 40.0);
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

#[test]
fn no_thread_wakes_the_agent_for_a_record() {
    let scenario = Scenario::of("wakeups");
    let mut checks = Checks::default();
    for name in ["quiet", "load"] {
        let trace = scenario.text(&format!("{name}.trace"));
        // `COMM-PID [CPU] FLAGS SECONDS: ...`, of which the third flag tells whether an interrupt or its
        // second half wakes somebody, and not the thread that it interrupted.
        let flags = trace.lines().map(|line| {
            let (_, behind) = line.split_once("] ").unwrap();
            (line, behind.chars().nth(2).unwrap())
        });
        // Threads of the kernel may wake any process, as when they have let go of its memory.
        let is_watched = |line: &str| {
            let comm = line.trim_start().rsplit_once(" [").unwrap().0;
            WATCHED.iter().any(|program| comm.starts_with(program))
        };
        let by_threads: Vec<&str> = flags
            .filter(|(line, context)| !"hsHzZ".contains(*context) && is_watched(line))
            .map(|(line, _)| line)
            .collect();
        checks.that(by_threads.is_empty(), || {
            format!("{name}: a thread woke it: {by_threads:#?}")
        });
        checks.that(trace.lines().count() > 10, || format!("{name}: no trace"));
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
