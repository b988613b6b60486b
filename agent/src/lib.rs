//! The agent, stage by stage, in the order in which data flows.
//!
//! Records come out of the kernel ([`records`]), become two byte streams per connection
//! ([`connections`]), then messages ([`protocol`]), then exchanges ([`exchanges`]) whose ends get
//! names ([`identity`]) and land in [`series`], which [`export`] shows. [`pipeline`] joins the stages:
//! read it first. Everything between `records` and `series` is plain synchronous code without a clock,
//! so a recording replays to the same scrape, byte for byte.

#![deny(unsafe_code)]

pub mod adoption;
pub mod check;
pub mod cli;
pub mod config;
pub mod connections;
pub mod exchanges;
pub mod export;
mod hash;
pub mod health;
pub mod host;
pub mod identity;
pub mod kernel_btf;
pub mod live;
pub mod log;
pub mod memory;
pub mod pipeline;
pub mod privileges;
pub mod probes;
pub mod protocol;
mod recent;
pub mod records;
pub mod series;
pub mod serve;
