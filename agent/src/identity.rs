//! Who is at each end: pids become programs, programs get labels.

pub mod container;
pub mod process;
