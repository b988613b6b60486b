//! The chores, one subcommand each.
fn main() {}
