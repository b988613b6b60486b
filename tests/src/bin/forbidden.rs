//! Tries system calls of all kinds, and says what the kernel answers: `forbidden [pipeline|server]`.
//!
//! With a word it first restricts itself as that thread of the agent does. Each line of the answer is a call and its
//! error number, 0 if it went well. Without a word, nothing that is tried here is refused to root, and nothing of it does
//! any harm.

#![allow(
    unsafe_code,
    reason = "system calls by their number; safe functions make others first, or have none for it"
)]

use std::io::{self, Write as _};

use anyhow::{Result, bail};
use libc::c_long;
use sockmeter::privileges::{self, Thread};

/// The address or descriptor of nothing.
const NONE: c_long = -1;
const HERE: c_long = libc::AT_FDCWD as c_long;
/// Of `enum bpf_cmd`: what makes, loads, pins, finds and attaches.
const BPF_COMMANDS: [(&str, c_long); 8] = [
    ("bpf BPF_MAP_CREATE", 0),
    ("bpf BPF_PROG_LOAD", 5),
    ("bpf BPF_OBJ_PIN", 6),
    ("bpf BPF_OBJ_GET", 7),
    ("bpf BPF_PROG_ATTACH", 8),
    ("bpf BPF_PROG_GET_FD_BY_ID", 13),
    ("bpf BPF_RAW_TRACEPOINT_OPEN", 17),
    ("bpf BPF_BTF_LOAD", 18),
];

/// A call, its number and its arguments; those that are left out are 0.
type Attempt = (&'static str, c_long, Vec<c_long>);

fn main() -> Result<()> {
    let mut attempts = attempts();
    attempts.extend(BPF_COMMANDS.map(|(name, command)| (name, libc::SYS_bpf, vec![command])));
    match std::env::args().nth(1).as_deref() {
        None => {}
        Some("pipeline") => privileges::seal(Thread::Pipeline)?,
        Some("server") => privileges::seal(Thread::Server)?,
        Some(word) => bail!("no thread is called {word}"),
    }
    let mut out = io::stdout().lock();
    for (name, number, arguments) in attempts {
        writeln!(out, "{name}: {}", answer(number, &arguments))?;
    }
    Ok(())
}

/// The error number of a call.
fn answer(number: c_long, arguments: &[c_long]) -> i32 {
    let mut all = [0; 6];
    for (to, from) in all.iter_mut().zip(arguments) {
        *to = *from;
    }
    let [a, b, c, d, e, f] = all;
    // SAFETY: what the calls are given is nothing that Rust knows of: no address of this process but of a constant, new
    // mappings, and descriptors that are not there.
    let result = unsafe { libc::syscall(number, a, b, c, d, e, f) };
    if result < 0 {
        io::Error::last_os_error().raw_os_error().unwrap_or(0)
    } else {
        0
    }
}

fn attempts() -> Vec<Attempt> {
    let own = c_long::from(std::process::id());
    let null = c"/dev/null".as_ptr() as c_long;
    let mut attempts = of_processes(own);
    attempts.extend(of_files(null));
    attempts.extend(of_the_host());
    attempts.extend(of_memory_and_sockets());
    #[cfg(target_arch = "x86_64")]
    attempts.push((
        "open to write",
        libc::SYS_open,
        vec![null, libc::O_RDWR.into()],
    ));
    attempts
}

fn of_processes(own: c_long) -> Vec<Attempt> {
    vec![
        ("execve", libc::SYS_execve, vec![]),
        ("execveat", libc::SYS_execveat, vec![NONE]),
        // A thread without what threads share.
        ("clone", libc::SYS_clone, vec![libc::CLONE_THREAD.into()]),
        ("clone3", libc::SYS_clone3, vec![]),
        ("ptrace", libc::SYS_ptrace, vec![libc::PTRACE_ATTACH.into()]),
        ("process_vm_readv", libc::SYS_process_vm_readv, vec![own]),
        ("process_vm_writev", libc::SYS_process_vm_writev, vec![own]),
        ("pidfd_open", libc::SYS_pidfd_open, vec![own]),
        ("pidfd_getfd", libc::SYS_pidfd_getfd, vec![NONE]),
        ("kill", libc::SYS_kill, vec![own]),
        ("tgkill another", libc::SYS_tgkill, vec![1, 1]),
        ("setresuid", libc::SYS_setresuid, vec![NONE, NONE, NONE]),
        ("setgroups", libc::SYS_setgroups, vec![NONE]),
        ("capset", libc::SYS_capset, vec![]),
        ("prctl", libc::SYS_prctl, vec![libc::PR_GET_DUMPABLE.into()]),
        ("prlimit64", libc::SYS_prlimit64, vec![]),
        ("setns", libc::SYS_setns, vec![NONE]),
        ("unshare", libc::SYS_unshare, vec![]),
        ("keyctl", libc::SYS_keyctl, vec![NONE]),
    ]
}

fn of_files(null: c_long) -> Vec<Attempt> {
    let open = |flags: i32| vec![HERE, null, flags.into()];
    vec![
        ("openat to read", libc::SYS_openat, open(libc::O_RDONLY)),
        ("openat to write", libc::SYS_openat, open(libc::O_WRONLY)),
        (
            "openat to append",
            libc::SYS_openat,
            open(libc::O_RDWR | libc::O_APPEND),
        ),
        ("openat to create", libc::SYS_openat, open(libc::O_CREAT)),
        ("openat to truncate", libc::SYS_openat, open(libc::O_TRUNC)),
        ("openat2", libc::SYS_openat2, vec![HERE]),
        ("open_by_handle_at", libc::SYS_open_by_handle_at, vec![NONE]),
        ("unlinkat", libc::SYS_unlinkat, vec![HERE]),
        ("renameat2", libc::SYS_renameat2, vec![HERE, 0, HERE]),
        ("linkat", libc::SYS_linkat, vec![HERE, 0, HERE]),
        ("symlinkat", libc::SYS_symlinkat, vec![0, HERE]),
        ("mkdirat", libc::SYS_mkdirat, vec![HERE]),
        ("mknodat", libc::SYS_mknodat, vec![HERE]),
        ("fchmodat", libc::SYS_fchmodat, vec![HERE]),
        ("fchownat", libc::SYS_fchownat, vec![HERE]),
        ("truncate", libc::SYS_truncate, vec![]),
        ("setxattr", libc::SYS_setxattr, vec![]),
        ("chroot", libc::SYS_chroot, vec![]),
        ("mount", libc::SYS_mount, vec![]),
        ("umount2", libc::SYS_umount2, vec![]),
        ("pivot_root", libc::SYS_pivot_root, vec![]),
        // Into the terminal, as if it had been typed.
        (
            "ioctl TIOCSTI",
            libc::SYS_ioctl,
            vec![0, libc::TIOCSTI as c_long],
        ),
        (
            "fcntl F_SETOWN",
            libc::SYS_fcntl,
            vec![0, libc::F_SETOWN.into()],
        ),
    ]
}

fn of_the_host() -> Vec<Attempt> {
    vec![
        ("init_module", libc::SYS_init_module, vec![]),
        ("finit_module", libc::SYS_finit_module, vec![NONE]),
        ("delete_module", libc::SYS_delete_module, vec![]),
        ("kexec_load", libc::SYS_kexec_load, vec![]),
        ("reboot", libc::SYS_reboot, vec![]),
        ("perf_event_open", libc::SYS_perf_event_open, vec![]),
        ("sethostname", libc::SYS_sethostname, vec![0, NONE]),
        ("clock_settime", libc::SYS_clock_settime, vec![]),
        ("swapon", libc::SYS_swapon, vec![]),
        ("syslog", libc::SYS_syslog, vec![NONE]),
    ]
}

fn of_memory_and_sockets() -> Vec<Attempt> {
    let map = |protection: i32| {
        let new = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        vec![0, 4096, protection.into(), new.into(), NONE]
    };
    let socket = |family: i32, kind: i32| vec![family.into(), kind.into()];
    vec![
        ("mmap to write", libc::SYS_mmap, map(libc::PROT_WRITE)),
        (
            "mmap to execute",
            libc::SYS_mmap,
            map(libc::PROT_READ | libc::PROT_EXEC),
        ),
        (
            "mprotect to execute",
            libc::SYS_mprotect,
            vec![0, 0, libc::PROT_EXEC.into()],
        ),
        ("memfd_create", libc::SYS_memfd_create, vec![]),
        ("userfaultfd", libc::SYS_userfaultfd, vec![NONE]),
        ("io_uring_setup", libc::SYS_io_uring_setup, vec![]),
        (
            "socket AF_INET",
            libc::SYS_socket,
            socket(libc::AF_INET, libc::SOCK_STREAM),
        ),
        (
            "socket AF_UNIX",
            libc::SYS_socket,
            socket(libc::AF_UNIX, libc::SOCK_STREAM),
        ),
        (
            "socket AF_PACKET",
            libc::SYS_socket,
            socket(libc::AF_PACKET, libc::SOCK_RAW),
        ),
        (
            "socket AF_NETLINK",
            libc::SYS_socket,
            socket(libc::AF_NETLINK, libc::SOCK_RAW),
        ),
        ("connect", libc::SYS_connect, vec![NONE]),
        ("bind", libc::SYS_bind, vec![NONE]),
        ("listen", libc::SYS_listen, vec![NONE]),
        ("accept4", libc::SYS_accept4, vec![NONE]),
        ("epoll_ctl", libc::SYS_epoll_ctl, vec![NONE, 0, NONE]),
        (
            "ioctl FIONBIO",
            libc::SYS_ioctl,
            vec![NONE, libc::FIONBIO as c_long],
        ),
        // Of a map that is not there.
        ("bpf BPF_MAP_LOOKUP_ELEM", libc::SYS_bpf, vec![1]),
    ]
}
