//! The agent runs with what its table of capabilities says, gives up what it does not need, and measures as before. The
//! script is `tests/guest/privileges.sh`.

use std::collections::{BTreeMap, BTreeSet};

use sockmeter::privileges::{After, Capability, NEEDS, Need, Thread, Without, calls};

use crate::checks::Checks;
use crate::scenario::{Scenario, kernel};
use crate::scrape::Scrape;

const SERVED: &str = "http_server_request_duration_seconds_count";
const ASKED: &str = "http_client_request_duration_seconds_count";
const EPERM: &str = "1";
/// The clients' executable, what the kernel makes of that name, the link by which those are called that are younger than
/// the agent, and what their environment says.
const EXECUTABLE: &str = "a-client-with-a-long-name";
const COMM: &str = "a-client-with-a";
const LINK: &str = "a-link";
const SERVICE: &str = "shop";

fn scenario() -> Scenario {
    Scenario::of("privileges")
}

/// As the script calls the run without it.
fn without(need: &Need) -> String {
    format!("without-{}", word(need))
}

fn word(need: &Need) -> String {
    let name = need.capability.name().to_lowercase();
    name.trim_start_matches("cap_").to_owned()
}

/// What the clients are called: as services and as executables.
struct Names {
    younger: [&'static str; 2],
    older: [&'static str; 2],
}

/// With everything that the table has.
const ALL_NAMES: Names = Names {
    younger: [SERVICE, EXECUTABLE],
    older: [SERVICE, EXECUTABLE],
};

/// What the clients and the server did in a run is what the agent says, and the clients have these names. It is that
/// agent's `nth` run.
fn is_measured(checks: &mut Checks, scenario: &Scenario, run: &str, names: &Names, nth: f64) {
    let scrape = scenario.scrape(run);
    // Where the kernel left out runs of programs (7.2 does), not all can be seen; but never more.
    let left_out = scrape.sum("sockmeter_probe_missed_total", &[]);
    let least = |count: f64| if left_out > 0.0 { 1.0 } else { count };
    for (client, asked, [service, executable]) in
        [(run, 20.0, names.younger), ("old", 5.0 * nth, names.older)]
    {
        let labels = [("process_pid", scenario.pid(client))];
        let what = |what| format!("{run}: {client}: {what}");
        let got = scrape.sum(ASKED, &labels);
        checks.between(&what("requests"), got, least(asked), asked);
        let name = |label| {
            let samples = scrape.samples(ASKED, &labels);
            let names = samples.filter_map(|sample| sample.labels.get(label));
            names.map(String::as_str).collect::<BTreeSet<_>>()
        };
        checks.equal(
            &what("service"),
            name("service_name"),
            BTreeSet::from([service]),
        );
        let got = name("process_executable_name");
        checks.equal(&what("executable"), got, BTreeSet::from([executable]));
    }
    checks.equal(run, scenario.driver(run).requests, 20.0);
    let nginx = [("process_executable_name", "nginx")];
    let (got, served) = (scrape.sum(SERVED, &nginx), 25.0 * nth);
    checks.between(&format!("{run}: served"), got, least(served), served);
    // Of itself it tells as much as ever: a descriptor for each program, at least.
    let attached: f64 = attached(&scrape).values().sum();
    let descriptors = scrape.sum("process_open_fds", &[]);
    checks.that(descriptors > attached, || {
        format!("{run}: {descriptors} descriptors for {attached} programs")
    });
    let counts = scrape.samples("sockmeter_probe_missed_total", &[]).count() as f64;
    checks.equal(&format!("{run}: programs' own counts"), counts, attached);
}

/// What is attached.
fn attached(scrape: &Scrape) -> BTreeMap<String, f64> {
    scrape.by("program", "sockmeter_probe_attached", &[])
}

/// The states of a run's threads, by thread and field.
fn threads(scenario: &Scenario, run: &str) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut threads: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    let mut thread = String::new();
    for line in scenario.text(&format!("{run}.status")).lines() {
        let (field, value) = line.split_once(":\t").unwrap();
        if field == "Name" {
            value.clone_into(&mut thread);
        }
        let fields = threads.entry(thread.clone()).or_default();
        fields.insert(field.to_owned(), value.to_owned());
    }
    threads
}

/// As `/proc/PID/status` shows the capabilities that are kept, of those that the agent may have had.
fn kept(has: impl Fn(&Need) -> bool) -> String {
    let number = |capability| match capability {
        // include/uapi/linux/capability.h
        Capability::DacReadSearch => 2,
        Capability::NetBindService => 10,
        Capability::SysPtrace => 19,
        Capability::Perfmon => 38,
        Capability::Bpf => 39,
    };
    let is_kept = |need: &&Need| match need.after {
        After::Kept => has(need),
        After::KeptForOldKernels => kernel() == "5.10" && has(need),
        After::GivenUp => false,
    };
    let bits = NEEDS.iter().filter(is_kept);
    let set = bits.fold(0_u64, |set, need| set | 1 << number(need.capability));
    format!("{set:016x}")
}

fn are_restricted(checks: &mut Checks, scenario: &Scenario, run: &str, kept: &str) {
    let threads = threads(scenario, run);
    let names: Vec<&str> = threads.keys().map(String::as_str).collect();
    checks.equal(
        &format!("{run}: threads"),
        names,
        vec!["pipeline", "sockmeter"],
    );
    let none = "0".repeat(16);
    for (thread, fields) in &threads {
        let keeps = if thread == "pipeline" { kept } else { &none };
        for (field, want) in [
            ("CapInh", none.as_str()),
            ("CapPrm", keeps),
            ("CapEff", keeps),
            ("CapAmb", &none),
            ("NoNewPrivs", "1"),
            // SECCOMP_MODE_FILTER
            ("Seccomp", "2"),
        ] {
            checks.equal(
                &format!("{run}: {thread}: {field}"),
                fields[field].as_str(),
                want,
            );
        }
        // Only root may take something out of it.
        let bounds = fields["CapBnd"] == none;
        checks.equal(
            &format!("{run}: {thread}: no bounding set"),
            bounds,
            run == "root",
        );
    }
}

#[test]
fn the_script_reads_the_table() {
    let words: Vec<String> = NEEDS.iter().map(word).collect();
    let table = scenario().text("table");
    assert_eq!(table.lines().collect::<Vec<_>>(), words);
}

#[test]
fn exactly_the_table_is_enough() {
    let scenario = scenario();
    let mut checks = Checks::default();
    let all = attached(&scenario.scrape("root"));
    checks.that(all.values().any(|is| *is == 1.0), || format!("{all:?}"));
    checks.equal("attached", attached(&scenario.scrape("exact")), all);
    for (run, nth) in [("root", 1.0), ("exact", 1.0), ("traced", 2.0)] {
        is_measured(&mut checks, &scenario, run, &ALL_NAMES, nth);
    }
    for run in ["root", "exact"] {
        // Opened before it may open nothing to write, and written after.
        let lines = scenario.number(&format!("{run}.recorded"));
        checks.that(lines > 100.0, || format!("{run}: {lines} lines recorded"));
        let health = scenario.json(&format!("{run}.health"));
        checks.equal(run, health["status"].as_str(), Some("ok"));
    }
}

#[test]
fn without_one_of_the_table_happens_what_it_says() {
    let scenario = scenario();
    let mut checks = Checks::default();
    for need in NEEDS {
        let run = without(need);
        let names = match need.without {
            Without::NoStart | Without::NoLowPorts => {
                checks.equal(&run, scenario.number(&format!("{run}.code")), 1.0);
                let why = if need.without == Without::NoStart {
                    format!("missing {}:", need.capability.name())
                } else {
                    "cannot listen on 127.0.0.1:80: permission denied".to_owned()
                };
                checks.has(&run, &scenario.text(&format!("{run}.log")), &why);
                continue;
            }
            Without::NoExecutables => Names {
                younger: [LINK; 2],
                older: [COMM; 2],
            },
            Without::NoEnvironments => Names {
                younger: [EXECUTABLE; 2],
                older: [EXECUTABLE; 2],
            },
        };
        is_measured(&mut checks, &scenario, &run, &names, 1.0);
        are_restricted(
            &mut checks,
            &scenario,
            &run,
            &kept(|other| other.capability != need.capability),
        );
        let all = attached(&scenario.scrape("root"));
        checks.equal(&run, attached(&scenario.scrape(&run)), all);
        // It says what is missing, and why that matters.
        checks.has(&run, &scenario.text(&format!("{run}.log")), &need.lack());
        let health = scenario.json(&format!("{run}.health"));
        checks.equal(&run, health["status"].as_str(), Some("degraded"));
        let parts = health["parts"].as_array().unwrap();
        let part = parts
            .iter()
            .find(|part| part["name"] == "privileges")
            .unwrap();
        checks.has(&run, part["why"].as_str().unwrap(), &need.lack());
    }
}

#[test]
fn every_thread_is_restricted() {
    let scenario = scenario();
    let mut checks = Checks::default();
    for run in ["root", "exact", "heir"] {
        are_restricted(&mut checks, &scenario, run, &kept(|_| true));
    }
}

#[test]
fn accept_queues_and_their_holders_are_found_again() {
    let scenario = scenario();
    let mut checks = Checks::default();
    let labels = [
        ("process_pid", scenario.pid("heir")),
        ("server_port", "7203"),
    ];
    let limit = scenario
        .scrape("heir")
        .sum("sockmeter_accept_queue_limit", &labels);
    checks.equal("backlog", limit, 9.0);
}

#[test]
fn others_of_its_user_cannot_look_into_it() {
    let scenario = scenario();
    let mut checks = Checks::default();
    checks.has("agent", &scenario.text("looked-agent"), "Permission denied");
    checks.equal("another", scenario.text("looked-open").as_str(), "");
}

/// Of each attempt, the error number.
fn answers(scenario: &Scenario, run: &str) -> BTreeMap<String, String> {
    let text = scenario.text(&format!("calls-{run}"));
    let answers = text.lines().map(|line| line.rsplit_once(": ").unwrap());
    answers
        .map(|(call, number)| (call.to_owned(), number.to_owned()))
        .collect()
}

#[test]
fn forbidden_calls_fail() {
    let scenario = scenario();
    let mut checks = Checks::default();
    let free = answers(&scenario, "root");
    checks.that(free.len() > 70, || format!("{} calls", free.len()));
    for (call, number) in &free {
        checks.that(number != EPERM, || format!("root: {call} is refused"));
    }
    for (run, allowed) in [
        (
            "pipeline",
            ["openat to read", "bpf BPF_MAP_LOOKUP_ELEM", "mmap to write"].as_slice(),
        ),
        (
            "server",
            &["accept4", "epoll_ctl", "ioctl FIONBIO", "mmap to write"],
        ),
    ] {
        let restricted = answers(&scenario, run);
        for (call, number) in &free {
            // What is allowed is answered as if there was no filter.
            let want = if allowed.contains(&call.as_str()) {
                number
            } else {
                EPERM
            };
            checks.equal(&format!("{run}: {call}"), restricted[call].as_str(), want);
        }
    }
}

/// The calls in strace's account, by thread, and the lines in which one was refused.
fn traced(account: &str) -> (BTreeMap<&str, BTreeSet<&str>>, Vec<&str>) {
    let mut calls: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for line in account.lines() {
        let (thread, rest) = line.split_once(' ').unwrap();
        let rest = rest.trim_start();
        let rest = rest.strip_prefix("<... ").unwrap_or(rest);
        let end = rest
            .find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
            .unwrap();
        // Signals and ends are not calls.
        if end > 0 {
            calls.entry(thread).or_default().insert(&rest[..end]);
        }
    }
    let refused = account.lines().filter(|line| line.contains(" EPERM "));
    (calls, refused.collect())
}

#[test]
fn no_call_of_the_agent_is_refused() {
    let scenario = scenario();
    let mut checks = Checks::default();
    let account = scenario.text("strace");
    let (threads, refused) = traced(&account);
    checks.equal("refused", refused, vec![]);
    let listed =
        |thread| -> BTreeSet<&str> { calls(thread).into_iter().map(|(name, _)| name).collect() };
    let of_both = [
        ("pipeline", listed(Thread::Pipeline)),
        ("server", listed(Thread::Server)),
    ];
    checks.equal("threads", threads.len(), 2);
    for (name, listed) in &of_both {
        // Each has calls that the other may not make.
        let mark = if *name == "pipeline" {
            "bpf"
        } else {
            "accept4"
        };
        let made = threads.values().find(|made| made.contains(mark)).unwrap();
        let beyond: Vec<_> = made.difference(listed).collect();
        checks.equal(&format!("{name}: calls beyond the list"), beyond, vec![]);
    }
    checks.equal("exit code", scenario.number("exact.code"), 0.0);
}
