//! `cargo xtask bench request`: instructions per request in a guest whose clock counts them.

use anyhow::{Result, bail};

use crate::setup::Install;

/// Measures, and writes what came out to `docs/cost.md`; in a smoke run compares it with what is there.
///
/// # Errors
/// When something is missing, the guest fails, or a figure of the smoke run has regressed.
pub fn request(_install: Install, _smoke: bool) -> Result<()> {
    bail!("nothing is measured yet")
}
