//! The project's chores. A library too, because the tests boot guests with it.

pub mod arch;
pub mod bench;
pub mod build;
pub mod check;
mod command;
pub mod demo;
pub mod guest;
pub mod kernels;
pub mod paths;
mod progress;
pub mod run;
pub mod setup;
pub mod test;
