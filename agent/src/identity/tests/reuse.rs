//! One pid, two processes: told apart by their starts.

use super::*;

#[test]
fn a_reused_pid_is_another_program() {
    let proc = Proc::new();
    proc.process(300, 1, 5, "/usr/bin/redis-server");
    let mut identity = Identity::new();
    let first = proc.ask(&mut identity, 300);
    identity.ended(300, SECOND_NS);
    identity.started(&fork(300, 1, 120));
    identity.started(&exec(300, 1, 120, "/usr/bin/redis-server"));
    let second = identity.program(300);
    assert_ne!(second, first);
    assert_eq!(ended(&mut identity), [first]);
    // The grace of the first does not end the second.
    identity.tick(9 * SECOND_NS);
    assert_eq!(identity.program(300), second);
    // A parent that is younger than its child is not the parent.
    identity.started(&exec(301, 300, 100, "/usr/bin/redis-server"));
    assert_ne!(identity.program(301), second);
}

#[test]
fn records_and_proc_agree_on_a_start_in_spite_of_ticks() {
    let proc = Proc::new();
    proc.process(310, 1, 500, "/usr/bin/app");
    let mut identity = Identity::new();
    identity.started(&exec(310, 1, 500, "/usr/bin/app"));
    identity.learn(read(proc.root(), 310).unwrap());
    let key = identity.program(310);
    identity.started(&fork(310, 1, 500));
    assert_eq!(identity.program(310), key);
    assert_eq!(identity.counts().programs, 1);
}

#[test]
fn proc_may_be_ahead_of_the_records() {
    let proc = Proc::new();
    let mut identity = Identity::new();
    identity.started(&fork(7, 1, 50));
    identity.started(&exec(7, 1, 50, "/usr/bin/courier"));
    // It has ended and the next one has its pid; the records that tell so were not read yet.
    proc.process(7, 1, 55, "/usr/bin/bash");
    let courier = proc.ask(&mut identity, 7);
    assert_eq!(named(&identity, courier), ["courier", "courier", "7"]);
    identity.ended(7, SECOND_NS);
    identity.started(&fork(7, 1, 55));
    let next = proc.ask(&mut identity, 7);
    assert_eq!(named(&identity, next), ["bash", "bash", "7"]);
    assert_eq!(ended(&mut identity), [courier]);
}
