//! Exclusion: processes whose sockets are not followed.

use crate::{
    kernel::{Sock, Typed},
    mark::{self, EXCLUDED_MARK},
    watch::{self, Sight},
};
use aya_ebpf::{Global, macros::map, maps::HashMap};
use sockmeter_abi::EXCLUDED_PROCESSES_MAX;

/// Whether any process is excluded. Frozen, so that programs without exclusions do not have what is for them.
#[unsafe(no_mangle)]
static EXCLUDES: Global<u32> = Global::new(0);

/// Processes (thread groups) whose sockets are not followed. The agent adds them; the loader sets the size.
#[map]
static EXCLUDED: HashMap<u32, u32> = HashMap::with_max_entries(EXCLUDED_PROCESSES_MAX, 0);

/// Whether a socket is an excluded process's.
#[inline(always)]
pub fn is_excluded(sock: Typed<Sock>) -> bool {
    EXCLUDES.load() != 0 && matches!(watch::sight(sock), Sight::Excluded)
}

/// Lets go of a socket for good. Its slot, if it has one, is given back when the socket is: other CPUs may be using it.
#[inline(always)]
pub fn exclude(sock: Typed<Sock>) {
    let mark = mark::find(sock);
    if !mark.is_null() {
        // SAFETY: not null, so a live value.
        unsafe { (*mark).slot |= EXCLUDED_MARK };
    }
}

/// Whether a process's sockets are not followed.
#[inline(always)]
pub fn excludes(pid: u32) -> bool {
    EXCLUDES.load() != 0 && EXCLUDED.get_ptr(pid).is_some()
}

/// A process began: its parent runs the same program.
#[inline(always)]
pub fn forks(parent_pid: u32, pid: u32) {
    if EXCLUDES.load() == 0 {
        return;
    }
    if EXCLUDED.get_ptr(parent_pid).is_some() {
        // Without room its connections are followed, and the agent does not look at them.
        let _ = EXCLUDED.insert(pid, 1, 0);
    } else {
        // The agent may have been late with one that had the pid before.
        let _ = EXCLUDED.remove(pid);
    }
}

/// A process ended, or runs another program, of which nothing is known yet.
#[inline(always)]
pub fn ends(pid: u32) {
    if EXCLUDES.load() != 0 {
        let _ = EXCLUDED.remove(pid);
    }
}
