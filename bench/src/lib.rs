//! Benchmarks of the agent without a kernel: what it costs from a record's bytes to a counted exchange.

pub mod batch;
pub mod case;
pub mod clock;
pub mod counted;
pub mod counting;
pub mod exposition;
pub mod intake;
pub mod population;
pub mod traffic;
