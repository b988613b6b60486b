//! Attach family: what wakes an agent that sleeps long; user half of `ebpf/src/alarm.rs`.

use super::{Attach, Family, Program};

/// The name of the program that makes the timer.
pub const BEGIN: &str = "alarm_begin";

/// The function without which the kernel has no timers for programs (5.15).
pub const TIMER: &str = "bpf_timer_start";

/// Not needed: without it the agent sleeps less.
pub const FAMILY: Family = Family {
    name: "alarm",
    programs: &[Program {
        name: BEGIN,
        attach: Attach::Once(TIMER),
        essential: false,
        gives: "long sleeps while nothing happens",
    }],
};
