//! Turns: which guests run at a time, in all processes that work in this checkout.

use std::fs::File;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::paths;
use crate::progress::step;

/// The right to run a guest, or to change what guests run, until it is dropped.
pub(super) struct Turn {
    /// The name of what was taken first: no other guest has it meanwhile.
    pub(super) place: &'static str,
    _locks: Vec<File>,
}

/// The locks below `target/guest`: so many guests run at a time. One of a scenario seldom has work for both of its
/// processors, so two get through in little more than the time of one on a machine that has two.
const TURNS: [&str; 2] = ["turn-1", "turn-2"];

/// Between two looks whether one is free.
const PAUSE: Duration = Duration::from_millis(100);

impl Turn {
    /// Waits until there is room for a guest.
    pub(super) fn one() -> Result<Self> {
        let mut locks = Self::locks()?;
        step("waiting for another guest to end", || {
            loop {
                if let Some(free) = locks.iter().position(|lock| lock.try_lock().is_ok()) {
                    return Ok(Self {
                        place: TURNS[free],
                        _locks: vec![locks.swap_remove(free)],
                    });
                }
                std::thread::sleep(PAUSE);
            }
        })
    }

    /// Waits until there is no guest. All are taken in the same order, so nobody waits for ever.
    pub(super) fn all() -> Result<Self> {
        let locks = Self::locks()?;
        step("waiting for another guest to end", || {
            let taken = locks.iter().try_for_each(File::lock);
            taken.context("cannot take a turn")
        })?;
        Ok(Self {
            place: TURNS[0],
            _locks: locks,
        })
    }

    fn locks() -> Result<Vec<File>> {
        let folder = paths::guests();
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("cannot make {}", folder.display()))?;
        TURNS
            .iter()
            .map(|name| {
                let path = folder.join(name);
                File::create(&path).with_context(|| format!("cannot make {}", path.display()))
            })
            .collect()
    }
}
