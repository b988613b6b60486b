//! Whose a connection is (rules 16, 17, 18, 21). The script is `tests/guest/who.sh`.

mod case;
mod report;

use std::collections::BTreeSet;

use crate::scenario::Scenario;
use case::{Case, OPENED, PAYLOAD};

fn scenario() -> Scenario {
    Scenario::of("who")
}

#[test]
fn rule_16_nothing_is_counted_for_anybody_else() {
    let marks = report::marks(&scenario());
    assert!(marks.len() > 30, "{marks:?}");
    for mark in marks {
        Case::of(&mark).nothing_elsewhere();
    }
}

#[test]
fn rule_17_both_ends_of_a_loopback_connection_count_apart() {
    let mut case = Case::of("families");
    let families = ["4", "6", "mapped", "mapped-client"];
    for family in families {
        let (server, client) = (format!("server-{family}"), format!("client-{family}"));
        case.agree(&[&server, &client]);
        case.open(&server, [1.0, 0.0]);
        case.open(&client, [0.0, 1.0]);
        case.served(&server, 7.0);
    }
    case.agree(&["both"]);
    case.open("both", [1.0, 1.0]);
    case.served("both", 3.0);
    let mut closed = Case::of("families-closed");
    for family in families {
        closed.over(&[&format!("server-{family}"), &format!("client-{family}")]);
    }
    closed.over(&["both"]);
}

#[test]
fn rule_16_workers_on_one_listening_socket() {
    let mut case = Case::of("prefork");
    // Forked ones are one process; those with a name of their own are not.
    case.agree(&["forker", "starter", "caller"]);
    case.served("forker", 60.0);
    let own = &case.program("forker").own_pids;
    assert!(own.len() > 2, "which of them served: {own:?}");
    let workers = ["worker-1", "worker-2", "worker-3"];
    case.agree(&workers);
    let served: Vec<f64> = workers
        .iter()
        .map(|worker| case.program(worker).server.requests)
        .collect();
    case.checks.equal("together", served.iter().sum(), 60.0);
    let busy = served.iter().filter(|served| **served > 0.0).count();
    case.checks
        .that(busy > 1, || format!("one did it all: {served:?}"));
    for name in ["forker", "starter", "worker-1", "worker-2", "worker-3"] {
        case.over(&[name]);
    }
}

#[test]
fn rule_16_two_listening_sockets_on_one_port() {
    let mut case = Case::of("shared-port");
    case.agree(&["port-one", "port-two", "caller"]);
    let [one, two] = ["port-one", "port-two"].map(|name| case.program(name).server);
    let opened = [one.opened, two.opened];
    case.checks.equal("together", one.opened + two.opened, 16.0);
    case.checks
        .that(!opened.contains(&0.0), || format!("not shared: {opened:?}"));
    case.over(&["port-one", "port-two"]);
}

#[test]
fn rule_16_children_serve_what_their_parent_accepted() {
    let mut case = Case::of("forked");
    case.agree(&["parent", "visitor"]);
    case.served("parent", 12.0);
    case.open("parent", [3.0, 0.0]);
    case.open("visitor", [0.0, 3.0]);
    drop(case);
    let mut case = Case::of("forked-one-closed");
    case.agree(&["parent", "visitor"]);
    case.open("parent", [2.0, 0.0]);
    case.open("visitor", [0.0, 2.0]);
    drop(case);
    // Their parent has ended; they go on under its name.
    let mut case = Case::of("forked-orphans");
    case.agree(&["parent"]);
    case.served("parent", 14.0);
    case.open("parent", [2.0, 0.0]);
    Case::of("orphans-closed").over(&["parent", "visitor", "service-x", "service-y"]);
}

#[test]
fn rule_16_a_service_takes_over_from_who_accepted_and_ended() {
    let mut case = Case::of("inetd");
    case.agree(&["inetd", "service-x", "service-y", "visitor"]);
    case.served("service-x", 4.0);
    // Nobody can see yet that the second service has the second connection.
    case.open("inetd", [1.0, 0.0]);
    case.open("service-x", [1.0, 0.0]);
    drop(case);
    let mut case = Case::of("inetd-ended");
    case.agree(&["inetd"]);
    case.over(&["inetd"]);
    let unknown = case.unknown();
    case.checks.equal("nobody's", unknown, 1.0);
    drop(case);
    let mut case = Case::of("inetd-gone");
    let opened = case.sum("inetd", OPENED, &[]);
    case.checks.equal("inetd's series", opened, 0.0);
    let unknown = case.unknown();
    case.checks.equal("nobody's, later", unknown, 1.0);
    drop(case);
    let mut case = Case::of("inetd-orphans");
    case.agree(&["service-x", "service-y", "visitor"]);
    case.served("service-x", 6.0);
    case.served("service-y", 5.0);
    case.open("service-x", [1.0, 0.0]);
    case.open("service-y", [1.0, 0.0]);
    let unknown = case.unknown();
    case.checks.equal("nobody's, at the end", unknown, 0.0);
}

/// The connection that three processes pass around, at a scrape: whose it is and whether a request is under way.
fn passed(scrape: &str, holder: &str, under_way: f64) {
    let mut case = Case::of(scrape);
    case.agree(&["hand-1", "hand-2", "hand-3", "asker"]);
    for name in ["hand-1", "hand-2", "hand-3"] {
        let is_holder = f64::from(u8::from(name == holder));
        case.open(name, [is_holder, 0.0]);
        case.under_way(name, [is_holder * under_way, 0.0]);
    }
    case.open("asker", [0.0, 1.0]);
    case.under_way("asker", [0.0, under_way]);
}

#[test]
fn rule_16_a_passed_connection_is_of_who_used_it_last() {
    passed("passed-unused", "hand-1", 0.0);
    passed("passed-first", "hand-2", 0.0);
    passed("passed-between", "hand-3", 0.0);
    let names = ["hand-1", "hand-2", "hand-3", "asker"];
    Case::of("passed-closed").over(&names);
}

#[test]
fn rule_16_a_request_is_of_who_ends_its_answer() {
    passed("passed-within", "hand-1", 1.0);
    passed("passed-answer", "hand-2", 0.0);
    passed("passed-within-answer", "hand-2", 1.0);
    passed("passed-in-full", "hand-3", 0.0);
    let mut case = Case::of("passed-in-full");
    for (name, want) in [("hand-1", 1.0), ("hand-2", 4.0), ("hand-3", 3.0)] {
        case.served(name, want);
    }
}

#[test]
fn rule_21_first_bytes_in_many_hands() {
    passed("first-bytes", "hand-2", 0.0);
    let names = ["hand-1", "hand-2", "hand-3", "asker"];
    let mut case = Case::of("never-whole");
    case.agree(&names);
    case.over(&names);
    for (name, direction, want) in [
        ("hand-1", "receive", 1.0),
        ("hand-2", "receive", 2.0),
        ("asker", "transmit", 3.0),
    ] {
        let labels = [("outcome", "unrecognised"), ("direction", direction)];
        let got = case.sum(name, PAYLOAD, &labels);
        case.checks.equal(name, got, want);
    }
}

#[test]
fn rule_16_a_client_passes_its_connection_within_a_request() {
    let mut case = Case::of("client-passed");
    case.agree(&["asker", "asker-2", "hand-1"]);
    case.open("asker", [0.0, 0.0]);
    case.open("asker-2", [0.0, 1.0]);
    let asked = case.program("asker-2").client.requests;
    case.checks.equal("the second one asked", asked, 1.0);
    Case::of("client-passed-closed").over(&["asker", "asker-2", "hand-1"]);
}

#[test]
fn rule_16_a_program_that_is_executed_serves_on() {
    let mut case = Case::of("exec-before");
    case.agree(&["before", "patron"]);
    case.served("before", 2.0);
    case.open("before", [1.0, 0.0]);
    drop(case);
    let mut case = Case::of("exec-after");
    let pids = ["before", "after"].map(|name| case.program(name).pid.clone());
    assert_eq!(pids[0], pids[1]);
    case.agree(&["before", "after", "patron"]);
    case.served("after", 3.0);
    case.over(&["before"]);
    case.open("after", [1.0, 0.0]);
    let names = case
        .scrape
        .values("process_executable_name", &[("service_name", "after")]);
    assert_eq!(names, BTreeSet::from(["other"]));
    drop(case);
    let mut case = Case::of("exec-after-again");
    case.agree(&["after"]);
    case.open("after", [1.0, 0.0]);
    Case::of("exec-closed").over(&["before", "after", "patron"]);
}

#[test]
fn rule_16_copies_of_a_descriptor_are_one_connection() {
    let mut case = Case::of("dup");
    case.agree(&["copier", "reader"]);
    case.open("copier", [2.0, 0.0]);
    drop(case);
    // The copy took another connection's place, which that closed. Its client still holds it.
    let mut case = Case::of("dup2");
    case.agree(&["copier", "reader"]);
    case.served("copier", 4.0);
    case.open("copier", [1.0, 0.0]);
    case.open("reader", [0.0, 2.0]);
}

#[test]
fn rule_16_threads_and_event_loops() {
    let mut case = Case::of("loops");
    case.agree(&["threads", "events", "many"]);
    case.served("threads", 20.0);
    case.served("events", 120.0);
    case.open("threads", [1.0, 0.0]);
    case.open("events", [30.0, 0.0]);
    case.open("many", [0.0, 31.0]);
    drop(case);
    let mut case = Case::of("loops-closed");
    case.agree(&["threads", "events", "many"]);
    case.over(&["events"]);
    case.open("many", [0.0, 1.0]);
}

#[test]
fn rule_16_a_pid_that_is_given_again_is_another_process() {
    let mut case = Case::of("twin-first");
    case.agree(&["twin", "server-1"]);
    let first = case.program("twin").clone();
    drop(case);
    let mut case = Case::of("twin-last-of-first");
    assert_eq!(case.program("twin").pid, first.pid);
    case.agrees("twin", &first);
    case.over(&["twin"]);
    drop(case);
    let mut case = Case::of("twin-second");
    case.agree(&["twin", "server-1"]);
    case.open("twin", [0.0, 1.0]);
    let asked = [&first, case.program("twin")].map(|twin| twin.client.requests);
    case.checks.equal("requests", asked, [3.0, 5.0]);
}

#[test]
fn rule_16_containers_and_the_same_addresses_in_two_of_them() {
    let scenario = scenario();
    let [left, right] = ["left.ss", "right.ss"].map(|file| {
        let text = scenario.text(file);
        let line = text.lines().find(|line| line.contains(":40000"));
        let words = line.unwrap().split_whitespace().skip(2);
        words.map(str::to_owned).collect::<BTreeSet<_>>()
    });
    let addresses = ["127.0.0.1:40000", "127.0.0.1:7070"];
    assert_eq!(left, BTreeSet::from(addresses.map(str::to_owned)));
    assert_eq!(left, right);
    let mut case = Case::of("namespaces");
    for (space, requests) in [("left", 3.0), ("right", 6.0)] {
        let (server, client) = (format!("{space}-server"), format!("{space}-client"));
        case.agree(&[&server, &client]);
        case.served(&server, requests);
        case.open(&server, [1.0, 0.0]);
        case.open(&client, [0.0, 1.0]);
        // Its own pid is 1, and what the scrape has is the initial namespace's.
        for name in [&server, &client] {
            assert_eq!(case.program(name).own_pids, [1]);
            assert_ne!(case.program(name).pid, "1");
        }
    }
    let mut closed = Case::of("namespaces-closed");
    closed.over(&["left-server", "left-client", "right-server", "right-client"]);
}
