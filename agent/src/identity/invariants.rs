//! What holds after any order of records and facts: nothing leaks, each program ends exactly once.

use super::*;
use proptest::prelude::*;
use std::collections::HashSet;

#[derive(Clone, Debug)]
enum Step {
    Started(bool, u32, u32, u64, u64, u8),
    Learn(u32, u32, u64, u8, Option<String>),
    Ended(u32),
    Ask(u32),
    Tick(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let (pid, start, file) = (0..6_u32, 0..3_u64, 0..3_u8);
    prop_oneof![
        (
            any::<bool>(),
            pid.clone(),
            pid.clone(),
            start.clone(),
            0..3_u64,
            file.clone()
        )
            .prop_map(|(is_exec, pid, parent, start, cgroup, file)| {
                Step::Started(is_exec, pid, parent, start, cgroup, file)
            }),
        (
            pid.clone(),
            pid.clone(),
            start,
            file,
            proptest::option::of("[ab]")
        )
            .prop_map(|(pid, parent, start, file, name)| Step::Learn(
                pid, parent, start, file, name
            )),
        pid.clone().prop_map(Step::Ended),
        pid.prop_map(Step::Ask),
        (0..3 * GRACE_NS).prop_map(Step::Tick),
    ]
}

fn started(is_exec: bool, pid: u32, parent_pid: u32, start: u64, cgroup: u64, name: u8) -> Started {
    Started {
        is_exec,
        pid,
        parent_pid,
        start_boottime_ns: start * TICK_NS,
        cgroup,
        file: char::from(b'a' + name).to_string(),
    }
}

proptest! {
    #[test]
    fn nothing_leaks_and_each_program_ends_once(steps in proptest::collection::vec(step(), 0..200)) {
        let mut identity = Identity::new();
        let (mut now_ns, mut living, mut ended) = (0, HashSet::new(), HashSet::new());
        for step in steps {
            match step {
                Step::Started(is_exec, pid, parent, start, cgroup, file) => {
                    identity.started(&started(is_exec, pid, parent, start, cgroup, file));
                }
                Step::Learn(pid, parent, start, file, service_name) => identity.learn(Facts {
                    source: Source::Proc,
                    service_name,
                    ..Facts::from_exec(&started(true, pid, parent, start, 0, file))
                }),
                Step::Ended(pid) => identity.ended(pid, now_ns),
                Step::Ask(pid) => {
                    let key = identity.program(pid);
                    prop_assert_eq!(identity.program(pid), key);
                    if key != Identity::unknown() {
                        prop_assert!(!ended.contains(&key));
                        prop_assert_eq!(identity.labels(key).len(), 3);
                        living.insert(key);
                    }
                }
                Step::Tick(later_ns) => {
                    now_ns += later_ns;
                    identity.tick(now_ns);
                }
            }
            for key in identity.drain_ended() {
                prop_assert!(living.remove(&key));
                prop_assert!(ended.insert(key));
            }
        }
        (0..6).for_each(|pid| identity.ended(pid, now_ns));
        identity.tick(now_ns + GRACE_NS);
        let last: HashSet<ProgramKey> = identity.drain_ended().collect();
        prop_assert_eq!(last, living);
        let counts = identity.counts();
        prop_assert_eq!((counts.processes, counts.programs, counts.overflow_total), (0, 0, 0));
        prop_assert!(identity.leaving.is_empty());
    }
}
