//! Measures what sockmeter costs. The tables are in `docs/cost.md`; each bench owns one part of it.

pub mod agent;
pub mod report;
pub mod request;
