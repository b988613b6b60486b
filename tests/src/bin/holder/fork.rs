//! A process that splits in two, as servers that fork do.

use anyhow::{Result, bail};
use std::io::Error;

/// Runs `child` in a new process, which ends with it; returns its pid, as this process sees it.
pub(crate) fn fork(child: impl FnOnce() -> Result<()>) -> Result<u32> {
    // SAFETY: this program has only one thread whenever it forks, so the child may do what the parent may.
    let pid = unsafe { libc::fork() };
    match pid {
        -1 => bail!("cannot fork: {}", Error::last_os_error()),
        0 => std::process::exit(i32::from(child().is_err())),
        pid => Ok(pid.cast_unsigned()),
    }
}
