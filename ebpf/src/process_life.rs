//! Attach family: processes starting and ending.

use crate::{
    clock::now_ns,
    datagrams, exclusion,
    kernel::{
        BPRM_FILENAME, Program, SIGNAL_LIVE, TASK_PARENT, TASK_PID, TASK_SIGNAL,
        TASK_START_BOOTTIME, TASK_TGID, Task, TracepointContext, Typed, reads_kernel,
    },
    output,
};
use aya_ebpf::helpers::generated::{
    bpf_get_current_cgroup_id, bpf_get_current_comm, bpf_probe_read_kernel_str,
};
#[cfg(not(feature = "fallback"))]
use aya_ebpf::macros::btf_tracepoint;
#[cfg(feature = "fallback")]
use aya_ebpf::macros::raw_tracepoint;
use sockmeter_abi::record::{
    CAUSE_EXEC, CAUSE_FORK, PROCESS_ENDED, PROCESS_STARTED, ProcessEnded, ProcessStarted,
};

/// `TASK_COMM_LEN`, with the zero at the end.
const COMM_BYTES: u32 = 16;

#[inline(always)]
fn started(task: Typed<Task>, cause: u8) -> ProcessStarted {
    ProcessStarted {
        kind: PROCESS_STARTED,
        cause,
        reserved: 0,
        pid: TASK_TGID.load(task),
        parent_pid: TASK_TGID.load(TASK_PARENT.load(task)),
        reserved2: 0,
        time_ns: now_ns(),
        start_boottime_ns: TASK_START_BOOTTIME.load(task),
        // The current process is the parent (fork) or the process itself (exec): both in its cgroup.
        // SAFETY: takes no arguments.
        cgroup: unsafe { bpf_get_current_cgroup_id() },
        file: [0; 96],
    }
}

#[cfg_attr(
    not(feature = "fallback"),
    btf_tracepoint(function = "sched_process_fork")
)]
#[cfg_attr(
    feature = "fallback",
    raw_tracepoint(tracepoint = "sched_process_fork")
)]
pub fn process_fork(ctx: TracepointContext) -> i32 {
    let child = Typed::<Task>(ctx.arg(1));
    // New threads come by here too.
    if TASK_PID.load(child) == TASK_TGID.load(child) {
        let record = started(child, CAUSE_FORK);
        exclusion::forks(record.parent_pid, record.pid);
        output::submit(PROCESS_STARTED, record);
    }
    0
}

#[cfg_attr(
    not(feature = "fallback"),
    btf_tracepoint(function = "sched_process_exec")
)]
#[cfg_attr(
    feature = "fallback",
    raw_tracepoint(tracepoint = "sched_process_exec")
)]
pub fn process_exec(ctx: TracepointContext) -> i32 {
    let task = Typed::<Task>(ctx.arg(0));
    let mut run = datagrams::run(task);
    // This exec is counted already.
    run.execs = run.execs.wrapping_sub(1);
    datagrams::ended(run);
    let mut record = started(task, CAUSE_EXEC);
    exclusion::ends(record.pid);
    let file = BPRM_FILENAME.load(Typed::<Program>(ctx.arg(2)));
    if reads_kernel() {
        // SAFETY: the helper checks the address and ends the string inside the buffer.
        unsafe {
            bpf_probe_read_kernel_str(
                record.file.as_mut_ptr().cast(),
                record.file.len() as u32,
                file as *const _,
            )
        };
    } else {
        // SAFETY: the buffer is longer than what the helper writes. It is the new program's name, cut to 15 bytes.
        unsafe { bpf_get_current_comm(record.file.as_mut_ptr().cast(), COMM_BYTES) };
    }
    output::submit(PROCESS_STARTED, record);
    0
}

#[cfg_attr(
    not(feature = "fallback"),
    btf_tracepoint(function = "sched_process_exit")
)]
#[cfg_attr(
    feature = "fallback",
    raw_tracepoint(tracepoint = "sched_process_exit")
)]
pub fn process_exit(ctx: TracepointContext) -> i32 {
    let task = Typed::<Task>(ctx.arg(0));
    // Threads end one by one; `live` has already been counted down for this one.
    if SIGNAL_LIVE.load(TASK_SIGNAL.load(task)) == 0 {
        datagrams::ended(datagrams::run(task));
        exclusion::ends(TASK_TGID.load(task));
        output::submit(
            PROCESS_ENDED,
            ProcessEnded {
                kind: PROCESS_ENDED,
                reserved: 0,
                pid: TASK_TGID.load(task),
                time_ns: now_ns(),
            },
        );
    }
    0
}
