//! Call: what a program at a function's return has to know of the call's beginning, where the kernel does not tell it.
//!
//! A kprobe notes the arguments for the kretprobe, by thread and function. The kernel leaves returns out when more
//! threads are inside a function than it has kept room for (`maxactive` in Documentation/trace/kprobes.rst: ten, or two
//! for each processor), and programs when another one runs on the processor. Both show: a note that nobody took, a
//! return without a note.

use crate::watch;
use aya_ebpf::{
    helpers::bpf_get_current_pid_tgid,
    macros::map,
    maps::{HashMap, PerCpuArray},
};
use sockmeter_abi::call::{CALL_COUNTERS, CALLS_UNDER_WAY_MAX};

/// A call that is under way.
#[repr(C)]
#[derive(Clone, Copy)]
struct UnderWay {
    thread: u64,
    /// Place in `abi::call::CALLS`.
    function: u64,
}

/// The first arguments that its return wants, whatever they are.
pub type Arguments = [u64; 3];

#[map]
static UNDER_WAY: HashMap<UnderWay, Arguments> = HashMap::with_max_entries(CALLS_UNDER_WAY_MAX, 0);

/// Calls of which the return, or the beginning, was not seen, by place in `abi::call::CALLS`.
#[map]
static CALLS_MISSED: PerCpuArray<[u64; CALL_COUNTERS]> = PerCpuArray::with_max_entries(1, 0);

#[inline(always)]
fn this(function: usize) -> UnderWay {
    UnderWay {
        thread: bpf_get_current_pid_tgid(),
        function: function as u64,
    }
}

/// A call begins.
#[inline(always)]
pub fn begins(function: usize, arguments: Arguments) {
    if watch::is_agent(watch::process()) {
        return;
    }
    let this = this(function);
    if let Some(left) = UNDER_WAY.get_ptr_mut(this) {
        missed(function);
        // SAFETY: a live map value, which only this thread uses.
        unsafe { *left = arguments };
    } else if UNDER_WAY.insert(this, arguments, 0).is_err() {
        missed(function);
    }
}

/// A call returns: what its beginning noted.
#[inline(always)]
pub fn returns(function: usize) -> Option<Arguments> {
    let this = this(function);
    let Some(noted) = UNDER_WAY.get_ptr(this) else {
        if watch::current_pid().is_some() {
            missed(function);
        }
        return None;
    };
    // SAFETY: a live map value, which only this thread uses.
    let arguments = unsafe { *noted };
    let _ = UNDER_WAY.remove(this);
    Some(arguments)
}

#[inline(always)]
fn missed(function: usize) {
    if let Some(counters) = CALLS_MISSED.get_ptr_mut(0) {
        // SAFETY: a live map value, private to this CPU.
        unsafe { (*counters)[function & (CALL_COUNTERS - 1)] += 1 };
    }
}
