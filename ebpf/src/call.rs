//! Call: what a program at a function's return has to know of the call's beginning, where the kernel does not tell it.
//!
//! A kprobe notes the arguments for the kretprobe, by thread. The kernel leaves returns out when more threads are inside
//! a function than it has kept room for (`maxactive` in Documentation/trace/kprobes.rst: ten, or two for each
//! processor), and programs when another one runs on the processor. Both show: a note that nobody took, a return without
//! a note. What nobody took when the system call returns is taken there ([`crate::kprobe`]).

use crate::{kernel::opaque, watch};
use aya_ebpf::{
    helpers::bpf_get_current_pid_tgid,
    macros::map,
    maps::{HashMap, PerCpuArray},
};
use sockmeter_abi::call::{CALL_COUNTERS, CALLS_UNDER_WAY_MAX};

/// The arguments that a return wants, whatever they are.
pub type Arguments = [u64; 3];

/// A call that is under way. (None is made inside another one of the same thread.)
#[repr(C)]
#[derive(Clone, Copy)]
struct UnderWay {
    /// Place in `abi::call::CALLS`.
    function: u64,
    arguments: Arguments,
}

/// By thread.
#[map]
static UNDER_WAY: HashMap<u64, UnderWay> = HashMap::with_max_entries(CALLS_UNDER_WAY_MAX, 0);

/// Calls that were not measured, as their return or their beginning was not seen, by place in `abi::call::CALLS`.
#[map]
static CALLS_MISSED: PerCpuArray<[u64; CALL_COUNTERS]> = PerCpuArray::with_max_entries(1, 0);

/// A call begins.
#[inline(always)]
pub fn begins(function: usize, arguments: Arguments) {
    if watch::is_agent(watch::process()) {
        return;
    }
    let thread = bpf_get_current_pid_tgid();
    let call = UnderWay {
        function: function as u64,
        arguments,
    };
    if let Some(left) = UNDER_WAY.get_ptr_mut(thread) {
        // SAFETY: a live map value, which only this thread uses.
        unsafe {
            missed((*left).function as usize);
            *left = call;
        }
    } else if UNDER_WAY.insert(thread, call, 0).is_err() {
        missed(function);
    }
}

/// A call returns: what its beginning noted.
#[inline(always)]
pub fn returns(function: usize) -> Option<Arguments> {
    let thread = bpf_get_current_pid_tgid();
    let noted = UNDER_WAY.get_ptr(thread);
    // SAFETY: a live map value, which only this thread uses.
    let noted = noted.map(|noted| unsafe { *noted });
    match noted {
        Some(UnderWay {
            function: noted,
            arguments,
        }) if noted == function as u64 => {
            let _ = UNDER_WAY.remove(thread);
            Some(arguments)
        }
        _ => {
            if watch::current_pid().is_some() {
                missed(function);
            }
            None
        }
    }
}

/// A system call returns: the function, in a range of places in `abi::call::CALLS`, whose return was left out meanwhile,
/// and what its beginning noted. Who cannot tell from the system call what it did has [`missed`] it.
#[inline(always)]
pub fn left(functions: core::ops::Range<usize>) -> Option<(usize, Arguments)> {
    let thread = bpf_get_current_pid_tgid();
    let noted = UNDER_WAY.get_ptr(thread)?;
    // SAFETY: a live map value, which only this thread uses.
    let UnderWay {
        function,
        arguments,
    } = unsafe { *noted };
    let function = function as usize;
    if !functions.contains(&function) {
        return None;
    }
    let _ = UNDER_WAY.remove(thread);
    Some((function, arguments))
}

/// Counts a call that is not measured.
#[inline(always)]
pub fn missed(function: usize) {
    if let Some(counters) = CALLS_MISSED.get_ptr_mut(0) {
        // The verifier has to see the bound.
        let function = opaque(function as u64) as usize & (CALL_COUNTERS - 1);
        // SAFETY: a live map value, private to this CPU.
        unsafe { (*counters)[function] += 1 };
    }
}
