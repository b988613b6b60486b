//! Tests of the agent in guests: what it shows is compared with what servers and clients counted.
//!
//! `cargo xtask test` runs them. Each module looks at what a scenario saved: a script in `tests/guest`
//! that runs once, in one guest, for all of its tests.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "in a test that is how a fault is told"
)]

mod aarch64;
mod accept;
mod adoption;
mod checks;
mod cost;
mod cost_agent;
mod datagrams;
mod exclude;
mod host;
mod io;
mod kernels;
mod lies;
mod limit;
mod memory;
mod others;
mod overload;
mod package;
mod privileges;
mod programs;
mod queue;
mod requests;
mod restart;
mod runtimes;
mod scenario;
mod scenarios;
mod shapes;
mod start_stop;
mod torn;
mod truth;
mod unix;
mod unix_ways;
mod wakeups;
mod who;

pub(crate) use sockmeter_tests::scrape;
