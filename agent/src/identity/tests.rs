//! Programs as trees of `/proc` and records of starts and ends make them.

mod reuse;

use super::process::{ANCESTORS_MAX, read, read_with_ancestors};
use super::*;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use tempfile::TempDir;

const DOCKER_ID: &str = "3f4ab1c5d0b1e7a9f6c2d4e8b0a1c3e5f7092b4d6f8a0c1e3b5d7f9012345678";
const SECOND_NS: u64 = 1_000_000_000;

/// A `/proc` made for a test; starts are in ticks.
struct Proc(TempDir);

impl Proc {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn root(&self) -> &Path {
        self.0.path()
    }

    fn process(&self, pid: u32, parent: u32, start: u64, exe: &str) -> &Self {
        let folder = self.root().join(pid.to_string());
        fs::create_dir_all(&folder).unwrap();
        let comm: String = exe.rsplit('/').next().unwrap().chars().take(15).collect();
        self.write(pid, "stat", &stat(&comm, parent, start));
        if exe.starts_with('/') {
            symlink(exe, folder.join("exe")).unwrap();
        }
        self.write(pid, "cgroup", "0::/\n")
            .write(pid, "environ", "PATH=/bin\0")
    }

    fn write(&self, pid: u32, file: &str, text: &str) -> &Self {
        fs::write(self.root().join(pid.to_string()).join(file), text).unwrap();
        self
    }

    fn end(&self, pid: u32) {
        fs::remove_dir_all(self.root().join(pid.to_string())).unwrap();
    }

    /// As the pipeline asks: `/proc` first where it helps.
    fn ask(&self, identity: &mut Identity, pid: u32) -> ProgramKey {
        if identity.wants_facts(pid) {
            let found = read_with_ancestors(self.root(), pid, &|pid| !identity.wants_facts(pid));
            found.into_iter().for_each(|facts| identity.learn(facts));
        }
        identity.program(pid)
    }
}

fn stat(comm: &str, parent: u32, start: u64) -> String {
    format!(
        "9 ({comm}) S {parent} 9 9 0 -1 4194304 1 0 0 0 15 7 0 0 20 0 1 0 {start} 3133440 413 1 1\n"
    )
}

fn record(is_exec: bool, pid: u32, parent_pid: u32, start: u64, file: &str) -> Started {
    Started {
        is_exec,
        pid,
        parent_pid,
        // The kernel knows better than the tick.
        start_boottime_ns: start * TICK_NS + 7_654_321,
        cgroup: 4711,
        file: file.to_owned(),
    }
}

fn fork(pid: u32, parent: u32, start: u64) -> Started {
    record(false, pid, parent, start, "")
}

fn exec(pid: u32, parent: u32, start: u64, file: &str) -> Started {
    record(true, pid, parent, start, file)
}

fn label<'a>(identity: &'a Identity, key: ProgramKey, name: &str) -> &'a str {
    let label = identity.labels(key).iter().find(|label| label.0 == name);
    label.map_or("", |label| label.1.as_str())
}

/// Service name, executable's name and pid.
fn named(identity: &Identity, key: ProgramKey) -> [&str; 3] {
    ["service_name", "process_executable_name", "process_pid"]
        .map(|name| label(identity, key, name))
}

fn ended(identity: &mut Identity) -> Vec<ProgramKey> {
    identity.drain_ended().collect()
}

#[test]
fn nginx_and_its_workers_are_one_program() {
    let proc = Proc::new();
    proc.process(1, 0, 1, "/usr/lib/systemd/systemd")
        .write(1, "cgroup", "0::/init.scope\n");
    for (pid, parent) in [(100, 1), (101, 100), (102, 100)] {
        proc.process(pid, parent, 50, "/usr/sbin/nginx");
        proc.write(pid, "cgroup", "0::/system.slice/web.service\n");
    }
    let mut identity = Identity::new();
    let key = proc.ask(&mut identity, 102);
    assert_eq!(named(&identity, key), ["web", "nginx", "100"]);
    assert_eq!(proc.ask(&mut identity, 101), key);
    assert_eq!(proc.ask(&mut identity, 100), key);
    // A worker that is forked now needs no `/proc`.
    identity.started(&fork(103, 100, 90));
    assert!(!identity.wants_facts(103));
    assert_eq!(identity.program(103), key);
}

#[test]
fn gunicorn_is_one_program_and_its_supervisor_another() {
    let proc = Proc::new();
    proc.process(50, 1, 5, "/usr/bin/python3.11");
    proc.process(60, 50, 9, "/usr/bin/python3.11")
        .write(60, "environ", "OTEL_SERVICE_NAME=shop\0");
    proc.process(61, 60, 9, "/usr/bin/python3.11")
        .write(61, "environ", "OTEL_SERVICE_NAME=shop\0");
    // setproctitle wrote over this one's environment.
    proc.process(62, 60, 9, "/usr/bin/python3.11")
        .write(62, "environ", "orker [app]\0\0\0");
    let mut identity = Identity::new();
    let shop = proc.ask(&mut identity, 61);
    assert_eq!(named(&identity, shop), ["shop", "python3.11", "60"]);
    assert_eq!(proc.ask(&mut identity, 62), shop);
    let supervisor = proc.ask(&mut identity, 50);
    assert_eq!(
        named(&identity, supervisor),
        ["python3.11", "python3.11", "50"]
    );
}

#[test]
fn a_script_started_by_its_first_line_is_named_by_proc() {
    let proc = Proc::new();
    proc.process(40, 1, 5, "/usr/bin/bash");
    let mut identity = Identity::new();
    identity.started(&exec(60, 40, 9, "/usr/local/bin/gunicorn"));
    identity.started(&fork(61, 60, 10));
    identity.started(&fork(62, 60, 10));
    proc.process(60, 40, 9, "/usr/bin/python3.11");
    proc.process(61, 60, 10, "/usr/bin/python3.11");
    let key = proc.ask(&mut identity, 61);
    assert_eq!(named(&identity, key), ["python3.11", "python3.11", "60"]);
    // 62 is gone before `/proc` can tell of it, and yet it is one of them.
    assert_eq!(proc.ask(&mut identity, 62), key);
}

#[test]
fn short_lived_curl_is_known_by_its_exec() {
    let proc = Proc::new();
    proc.process(70, 1, 5, "/usr/bin/bash")
        .write(70, "cgroup", "0::/user.slice/session-1.scope\n");
    let mut identity = Identity::new();
    let bash = proc.ask(&mut identity, 70);
    identity.started(&fork(71, 70, 20));
    assert_eq!(identity.program(71), bash);
    identity.started(&exec(71, 70, 20, "/usr/bin/curl"));
    identity.ended(71, 3 * SECOND_NS);
    let curl = proc.ask(&mut identity, 71);
    assert_eq!(named(&identity, curl), ["curl", "curl", "71"]);
    assert_ne!(curl, bash);
    identity.tick(4 * SECOND_NS - 1);
    assert_eq!(identity.program(71), curl, "still in its grace");
    assert_eq!(ended(&mut identity), []);
    identity.tick(4 * SECOND_NS);
    assert_eq!(ended(&mut identity), [curl]);
    assert_eq!(label(&identity, curl, "service_name"), "unknown", "drained");
}

#[test]
fn exec_inherits_environment_but_not_a_place_that_was_left() {
    let proc = Proc::new();
    proc.process(70, 1, 5, "/usr/bin/runc")
        .write(70, "environ", "OTEL_SERVICE_NAME=job\0");
    proc.write(70, "cgroup", "0::/system.slice/containerd.service\n");
    let mut identity = Identity::new();
    read_with_ancestors(proc.root(), 70, &|_| false)
        .into_iter()
        .for_each(|facts| identity.learn(facts));
    identity.started(&fork(71, 70, 20));
    identity.started(&fork(72, 70, 20));
    identity.started(&exec(71, 70, 20, "/bin/here"));
    identity.started(&Started {
        cgroup: 4712,
        ..exec(72, 70, 20, "/bin/there")
    });
    let (here, there) = (identity.program(71), identity.program(72));
    assert_eq!(named(&identity, here), ["job", "here", "71"]);
    assert_eq!(named(&identity, there), ["job", "there", "72"]);
    let unit = |pid: u32| identity.processes[&pid].facts.unit.as_deref();
    assert_eq!((unit(71), unit(72)), (Some("containerd"), None));
}

#[test]
fn exec_in_place_ends_one_program_and_begins_another() {
    let proc = Proc::new();
    proc.process(80, 1, 5, "/bin/sh");
    let mut identity = Identity::new();
    let shell = proc.ask(&mut identity, 80);
    identity.started(&exec(80, 1, 5, "/usr/bin/node"));
    assert_eq!(ended(&mut identity), [shell]);
    let node = identity.program(80);
    assert_eq!(named(&identity, node), ["node", "node", "80"]);
    // The same file again, or itself: the same program.
    identity.started(&exec(80, 1, 5, "node"));
    assert_eq!(identity.program(80), node);
    identity.started(&exec(80, 1, 5, "/proc/self/exe"));
    assert_eq!(identity.program(80), node);
    assert_eq!(ended(&mut identity), []);
}

#[test]
fn nginx_that_executes_its_new_binary_stays_in_the_tree() {
    let proc = Proc::new();
    proc.process(100, 1, 50, "/usr/sbin/nginx");
    let mut identity = Identity::new();
    let key = proc.ask(&mut identity, 100);
    identity.started(&fork(120, 100, 70));
    identity.started(&exec(120, 100, 70, "/usr/sbin/nginx"));
    proc.process(120, 100, 70, "/usr/sbin/nginx");
    assert_eq!(proc.ask(&mut identity, 120), key);
}

#[test]
fn a_child_with_a_service_name_of_its_own_is_a_program() {
    let proc = Proc::new();
    proc.process(50, 1, 5, "/usr/bin/python3.11");
    let mut identity = Identity::new();
    let parent = proc.ask(&mut identity, 50);
    identity.started(&fork(51, 50, 70));
    identity.started(&exec(51, 50, 70, "/usr/bin/python3.11"));
    proc.process(51, 50, 70, "/usr/bin/python3.11")
        .write(51, "environ", "OTEL_SERVICE_NAME=b\0");
    let child = proc.ask(&mut identity, 51);
    assert_ne!(child, parent);
    assert_eq!(named(&identity, child), ["b", "python3.11", "51"]);
}

#[test]
fn containers_and_units_end_the_tree() {
    let proc = Proc::new();
    proc.process(10, 1, 5, "/usr/bin/app");
    proc.process(11, 10, 6, "/usr/bin/app");
    proc.write(
        11,
        "cgroup",
        &format!("0::/system.slice/docker-{DOCKER_ID}.scope\n"),
    );
    proc.process(12, 10, 6, "/usr/bin/app")
        .write(12, "cgroup", "0::/system.slice/b.service\n");
    let mut identity = Identity::new();
    let [host, container, unit] = [10, 11, 12].map(|pid| proc.ask(&mut identity, pid));
    assert_eq!(named(&identity, host), ["app", "app", "10"]);
    assert_eq!(named(&identity, container), ["app", "app", "11"]);
    assert_eq!(label(&identity, container, "container_id"), DOCKER_ID);
    assert_eq!(named(&identity, unit), ["b", "app", "12"]);
    assert_eq!(identity.labels(unit).len(), 3, "no container, no label");
}

#[test]
fn a_daemon_is_named_after_the_process_that_stays() {
    let mut identity = Identity::new();
    identity.started(&exec(200, 1, 5, "/usr/sbin/daemon"));
    identity.started(&fork(201, 200, 6));
    identity.started(&fork(202, 201, 6));
    identity.ended(200, SECOND_NS);
    identity.tick(2 * SECOND_NS);
    let key = identity.program(202);
    assert_eq!(named(&identity, key), ["daemon", "daemon", "201"]);
    // Once named it keeps its name, and lives until its last process ends.
    identity.ended(201, 3 * SECOND_NS);
    identity.tick(9 * SECOND_NS);
    identity.started(&fork(203, 202, 900));
    assert_eq!(identity.program(203), key);
    assert_eq!(named(&identity, key), ["daemon", "daemon", "201"]);
    identity.ended(202, 10 * SECOND_NS);
    identity.tick(19 * SECOND_NS);
    assert_eq!(ended(&mut identity), []);
    identity.ended(203, 20 * SECOND_NS);
    identity.ended(203, 20 * SECOND_NS);
    identity.tick(21 * SECOND_NS);
    assert_eq!(ended(&mut identity), [key]);
    assert_eq!(identity.counts(), Counts::default());
}

#[test]
fn nothing_known_is_unknown_and_counted() {
    let proc = Proc::new();
    let mut identity = Identity::new();
    assert_eq!(proc.ask(&mut identity, 999), Identity::unknown());
    identity.started(&fork(998, 999, 5));
    identity.started(&exec(997, 999, 5, "/dev/fd/3"));
    assert!(identity.wants_facts(998) && identity.wants_facts(997));
    assert_eq!(identity.program(998), Identity::unknown());
    assert_eq!(identity.program(997), Identity::unknown());
    assert_eq!(
        named(&identity, Identity::unknown()),
        ["unknown", "unknown", ""]
    );
    assert_eq!(identity.counts().unknown_total, 3);
    proc.process(998, 1, 5, "/usr/bin/late");
    let late = proc.ask(&mut identity, 998);
    assert_eq!(named(&identity, late), ["late", "late", "998"]);
}

#[test]
fn the_table_is_bounded_and_what_does_not_fit_is_counted() {
    let mut identity = Identity::new();
    let pids = 1..=u32::try_from(PROCESSES_MAX).unwrap() + 2;
    pids.for_each(|pid| identity.started(&exec(pid, 0, 5, "a")));
    assert_eq!(identity.counts().processes, PROCESSES_MAX);
    assert_eq!(identity.counts().overflow_total, 2);
    assert_eq!(identity.living().count(), PROCESSES_MAX);
    let pids: Vec<u32> = identity.living().map(|(pid, _)| pid).collect();
    pids.iter().for_each(|&pid| identity.ended(pid, 0));
    assert_eq!(identity.living().count(), 0);
    identity.tick(GRACE_NS);
    assert_eq!(identity.counts().processes + identity.counts().programs, 0);
}

#[test]
fn ancestors_come_first_and_only_as_many_as_needed() {
    let proc = Proc::new();
    proc.process(1, 0, 1, "/sbin/init")
        .process(20, 1, 2, "/usr/bin/bash");
    proc.process(30, 20, 3, "/usr/bin/app")
        .process(31, 30, 4, "/usr/bin/app")
        .process(32, 31, 5, "/usr/bin/app");
    let pids = |pid, known: &dyn Fn(u32) -> bool| -> Vec<u32> {
        read_with_ancestors(proc.root(), pid, known)
            .iter()
            .map(|facts| facts.pid)
            .collect()
    };
    assert_eq!(pids(32, &|_| false), [20, 30, 31, 32]);
    assert_eq!(pids(32, &|pid| pid == 30), [31, 32]);
    assert_eq!(pids(1, &|_| false), [1]);
    assert_eq!(pids(99, &|_| false), [0; 0]);
    // The parent vanished meanwhile, or its pid is a younger process's.
    proc.end(31);
    assert_eq!(pids(32, &|_| false), [32]);
    proc.process(31, 30, 400, "/usr/bin/app");
    assert_eq!(pids(32, &|_| false), [31, 32]);
    let deep = Proc::new();
    for pid in 1..200 {
        deep.process(pid, pid - 1, 5, "/usr/bin/app");
    }
    assert_eq!(
        read_with_ancestors(deep.root(), 199, &|_| false).len(),
        ANCESTORS_MAX
    );
}
