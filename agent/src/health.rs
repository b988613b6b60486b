//! The agent's own state: verdicts, losses, its own process.

pub mod process;
