//! HTTP/1 conversations, however they are cut, merged, interleaved and left unseen, are told the same: by the reader
//! alone, and by the whole pipeline for either end.
//!
//! The same conversations in every run: `PROPTEST_RNG_SEED=N` makes others, `PROPTEST_CASES=N` more. A failure prints
//! the smallest conversation and schedule that fail.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "in a test that is how a fault is told"
)]

mod dialogue;
mod end;
mod holes;
mod joints;
mod lies;
mod plan;
mod reader;
mod schedule;
mod truth;

use proptest::test_runner::{Config, RngSeed};

/// So many cases, from one seed, unless the environment says otherwise.
fn cases(cases: u32) -> Config {
    let config = Config::default();
    let is_told = std::env::var_os("PROPTEST_CASES").is_some();
    Config {
        cases: if is_told { config.cases } else { cases },
        rng_seed: match config.rng_seed {
            RngSeed::Random => RngSeed::Fixed(9112),
            seed => seed,
        },
        failure_persistence: None,
        ..config
    }
}
