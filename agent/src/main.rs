//! Flags, logging, start, stop.
fn main() {}
