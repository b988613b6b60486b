//! The filter of system calls: which thread may make which calls, with which arguments. Others fail with EPERM.
//!
//! They fail, and do not end the process: which calls a C library makes is its own affair, and one that is not foreseen
//! here (a new release, a panic that wants to show where it came from) should cost one feature and not all metrics.
//! Whoever has taken the agent over gains as little by a call that fails as by one that kills.

use super::PrivilegeError;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch, apply_filter,
};
use std::{collections::BTreeMap, env::consts::ARCH};

/// The agent's threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thread {
    /// Talks to the kernel side, reads `/proc`, measures.
    Pipeline,
    /// Talks to whoever connects. It neither opens files nor uses the kernel side, and has no capability.
    Server,
}

/// With which arguments.
#[derive(Clone, Copy)]
enum Only {
    /// Whatever they are.
    Any,
    /// The argument with this number, as far as the mask has it, is one of these.
    Masked(u8, u32, &'static [u32], &'static str),
    /// The first is this process.
    Own,
}

/// Of `enum bpf_cmd` (include/uapi/linux/bpf.h): what is done to maps and programs that are there. No command that
/// makes, loads, pins or finds one.
const COMMANDS: &[u32] = &[
    1,  // BPF_MAP_LOOKUP_ELEM
    2,  // BPF_MAP_UPDATE_ELEM
    3,  // BPF_MAP_DELETE_ELEM
    4,  // BPF_MAP_GET_NEXT_KEY
    10, // BPF_PROG_TEST_RUN: reads a listening socket
    28, // BPF_LINK_CREATE and
    33, // BPF_ITER_CREATE: begin a walk
];
const BPF: Only = Only::Masked(
    0,
    u32::MAX,
    COMMANDS,
    "commands that use maps and run programs, and none that makes or finds one",
);

/// A file that is there, as it is. (The flag of files without a name counts only with the right to write.)
const fn to_read(flags_argument: u8) -> Only {
    let mask = libc::O_ACCMODE | libc::O_CREAT | libc::O_TRUNC;
    let text = "to read";
    Only::Masked(flags_argument, mask.cast_unsigned(), &[0], text)
}

/// Memory that is no code.
const NOT_EXECUTABLE: Only =
    Only::Masked(2, libc::PROT_EXEC.cast_unsigned(), &[0], "not executable");
/// Flags of descriptors, and not whom they signal or how large their pipes are.
const FLAGS: Only = Only::Masked(
    1,
    u32::MAX,
    &[
        libc::F_GETFD.cast_unsigned(),
        libc::F_SETFD.cast_unsigned(),
        libc::F_GETFL.cast_unsigned(),
    ],
    "`F_GETFD`, `F_SETFD`, `F_GETFL`",
);
/// Of terminals and other devices nothing.
const NON_BLOCKING: Only = Only::Masked(1, u32::MAX, &[FIONBIO], "`FIONBIO`");
/// Not of one architecture's type in libc.
const FIONBIO: u32 = 0x5421;

/// A call, who makes it, and with which arguments.
struct Call {
    number: libc::c_long,
    name: &'static str,
    by: &'static [Thread],
    only: Only,
}

macro_rules! calls {
    ($by:expr, $only:expr; $($name:ident)*) => {
        &[$(Call { number: libc::$name, name: stringify!($name), by: $by, only: $only }),*]
    };
}

const PIPELINE: &[Thread] = &[Thread::Pipeline];
const SERVER: &[Thread] = &[Thread::Server];
const BOTH: &[Thread] = &[Thread::Pipeline, Thread::Server];

/// Everything that is allowed: what the agent was seen to do with glibc and with musl, and what either may do instead.
const ALLOWED: &[&[Call]] = &[
    // Memory; malloc asks how many processors there are when a second thread comes. Locks and pauses.
    calls!(BOTH, Only::Any; SYS_brk SYS_madvise SYS_mremap SYS_munmap SYS_sched_getaffinity
        SYS_futex SYS_sched_yield SYS_nanosleep SYS_clock_nanosleep SYS_restart_syscall),
    calls!(BOTH, NOT_EXECUTABLE; SYS_mmap SYS_mprotect),
    // Clocks, where they cannot be read without a call; keys of hashes.
    calls!(BOTH, Only::Any; SYS_clock_gettime SYS_getrandom),
    // The log, and the recording. Of a signal, tokio's handler tells by a socket, in the thread that is interrupted.
    calls!(BOTH, Only::Any; SYS_write SYS_writev SYS_sendto SYS_read SYS_close
        SYS_rt_sigaction SYS_rt_sigprocmask SYS_rt_sigreturn SYS_sigaltstack),
    // musl says of each file once more that executed ones do not get it; debug builds look whether what they close is open.
    calls!(BOTH, FLAGS; SYS_fcntl),
    // The end, also by a panic or an abort.
    calls!(BOTH, Only::Any; SYS_exit SYS_exit_group SYS_getpid SYS_gettid),
    calls!(BOTH, Only::Own; SYS_tgkill),
    // The kernel side.
    calls!(PIPELINE, BPF; SYS_bpf),
    // /proc: processes, and the programs' own counts.
    calls!(PIPELINE, to_read(2); SYS_openat),
    calls!(PIPELINE, Only::Any; SYS_readlinkat SYS_statx SYS_newfstatat SYS_fstat SYS_getdents64),
    // Whoever connects.
    calls!(SERVER, Only::Any; SYS_epoll_ctl SYS_epoll_pwait SYS_accept4 SYS_recvfrom SYS_shutdown),
    calls!(SERVER, NON_BLOCKING; SYS_ioctl),
    #[cfg(target_arch = "x86_64")]
    calls!(PIPELINE, to_read(1); SYS_open),
    #[cfg(target_arch = "x86_64")]
    calls!(PIPELINE, Only::Any; SYS_readlink SYS_stat),
    #[cfg(target_arch = "x86_64")]
    calls!(SERVER, Only::Any; SYS_epoll_wait),
];

/// The calls that a thread may make, by name, and the restriction on their arguments if there is one.
pub fn calls(thread: Thread) -> Vec<(&'static str, Option<&'static str>)> {
    let mut calls: Vec<_> = allowed(thread)
        .map(|call| {
            let restriction = match call.only {
                Only::Any => None,
                Only::Masked(_, _, _, text) => Some(text),
                Only::Own => Some("its own process"),
            };
            (call.name.trim_start_matches("SYS_"), restriction)
        })
        .collect();
    calls.sort_unstable();
    calls
}

fn allowed(thread: Thread) -> impl Iterator<Item = &'static Call> {
    let all = ALLOWED.iter().copied().flatten();
    all.filter(move |call| call.by.contains(&thread))
}

/// Restricts this thread; nothing lifts that again.
pub(super) fn apply(thread: Thread) -> Result<(), PrivilegeError> {
    let filter = |error: &dyn std::error::Error| PrivilegeError::Filter(error.to_string());
    let program = program(thread).map_err(|error| filter(&error))?;
    apply_filter(&program).map_err(|error| filter(&error))
}

fn program(thread: Thread) -> Result<BpfProgram, BackendError> {
    let mut rules = BTreeMap::new();
    for call in allowed(thread) {
        rules.insert(call.number, call.only.rules()?);
    }
    let refuse = SeccompAction::Errno(libc::EPERM.cast_unsigned());
    let arch = TargetArch::try_from(ARCH)?;
    SeccompFilter::new(rules, refuse, SeccompAction::Allow, arch)?.try_into()
}

impl Only {
    /// Any of them is enough; without one, every argument is.
    fn rules(self) -> Result<Vec<SeccompRule>, BackendError> {
        let rule = |argument, mask: u32, value: u32| {
            let masked = SeccompCmpOp::MaskedEq(mask.into());
            // The upper halves of these arguments mean nothing to the kernel.
            let half = SeccompCmpArgLen::Dword;
            let condition = SeccompCondition::new(argument, half, masked, value.into())?;
            SeccompRule::new(vec![condition])
        };
        match self {
            Self::Any => Ok(Vec::new()),
            Self::Masked(argument, mask, values, _) => values
                .iter()
                .map(|value| rule(argument, mask, *value))
                .collect(),
            Self::Own => Ok(vec![rule(0, u32::MAX, std::process::id())?]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_thread_has_a_filter() {
        for thread in [Thread::Pipeline, Thread::Server] {
            // Longer than a list without restrictions, and as short as the kernel takes it (BPF_MAXINSNS).
            let length = program(thread).unwrap().len();
            assert!(
                (allowed(thread).count()..4096).contains(&length),
                "{length}"
            );
        }
    }

    #[test]
    fn no_call_is_listed_twice() {
        for thread in [Thread::Pipeline, Thread::Server] {
            let mut numbers: Vec<_> = allowed(thread).map(|call| call.number).collect();
            numbers.sort_unstable();
            let before = numbers.len();
            numbers.dedup();
            assert_eq!(numbers.len(), before, "{thread:?}");
        }
    }

    #[test]
    fn only_the_pipeline_opens_files_and_uses_the_kernel_side() {
        let names =
            |thread| -> Vec<&str> { calls(thread).into_iter().map(|(name, _)| name).collect() };
        for name in ["bpf", "openat"] {
            assert!(names(Thread::Pipeline).contains(&name));
            assert!(!names(Thread::Server).contains(&name));
        }
        assert!(names(Thread::Server).contains(&"accept4"));
        assert!(!names(Thread::Pipeline).contains(&"accept4"));
    }
}
