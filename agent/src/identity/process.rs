//! What the kernel knows about a process: facts, from `/proc` or from the record of an exec.

use super::container;
use serde::{Deserialize, Serialize};
use sockmeter_abi::record::ProcessStarted;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// One process, as far as it is known. Plain data, so that a recording can hold it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// Its pid (thread group id) in the initial pid namespace.
    pub pid: u32,
    /// Its parent's.
    pub parent_pid: u32,
    /// Its start in nanoseconds since boot; from `/proc` rounded down to [`TICK_NS`].
    pub start_boottime_ns: u64,
    /// Id of its cgroup (v2), zero if not known: tells that a process has moved.
    pub cgroup: u64,
    /// Where `executable` comes from.
    pub source: Source,
    /// The file it runs, empty if not known.
    pub executable: String,
    /// The name that its environment gives it (OpenTelemetry's variables).
    pub service_name: Option<String>,
    /// The systemd service it runs in, without `.service`.
    pub unit: Option<String>,
    /// The container it runs in.
    pub container_id: Option<String>,
}

/// How much [`Facts::executable`] can be trusted, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// `/proc/PID/exe`: the path of the running file.
    Proc,
    /// The record of an exec: the file as it was asked for, so maybe a link, a script or relative.
    Exec,
    /// `/proc/PID/comm`: a kernel thread or a process that may not be looked into; 15 bytes.
    Comm,
}

/// `/proc` counts in hundredths of a second (`USER_HZ`, part of the kernel's interface) everywhere.
pub const TICK_NS: u64 = 10_000_000;

/// Ancestors that are looked at, at most: deeper trees exist only by accident.
pub const ANCESTORS_MAX: usize = 64;

const COMM_BYTES_MAX: usize = 15;
const STAT_BYTES_MAX: u64 = 4 * 1024;
const CGROUP_BYTES_MAX: u64 = 16 * 1024;
const ENVIRON_BYTES_MAX: u64 = 128 * 1024;
const SERVICE_NAME_BYTES_MAX: usize = 255;

/// Reads what `proc_root` (`/proc`) tells about a process.
///
/// # Errors
/// The process is not there (any more), which is an everyday outcome: it may end at any moment.
pub fn read(proc_root: &Path, pid: u32) -> io::Result<Facts> {
    let folder = proc_root.join(pid.to_string());
    let stat = Stat::read(&folder)?;
    let (executable, source) = match std::fs::read_link(folder.join("exe")) {
        Ok(path) => executable(&path.to_string_lossy(), &stat.comm),
        Err(_) => (stat.comm.clone(), Source::Comm),
    };
    let cgroup = read_text(&folder.join("cgroup"), CGROUP_BYTES_MAX).unwrap_or_default();
    let environ = read_bytes(&folder.join("environ"), ENVIRON_BYTES_MAX).unwrap_or_default();
    // The pid may have passed to another process meanwhile; then some of the above is that one's.
    if Stat::read(&folder)?.start_ticks != stat.start_ticks {
        return Err(io::Error::new(
            io::ErrorKind::NotFound,
            "the pid was reused while it was read",
        ));
    }
    Ok(Facts {
        pid,
        parent_pid: stat.parent_pid,
        start_boottime_ns: stat.start_ticks.saturating_mul(TICK_NS),
        cgroup: 0,
        source,
        executable,
        service_name: service_name(&environ),
        unit: container::unit(&cgroup).map(str::to_owned),
        container_id: container::container_id(&cgroup).map(str::to_owned),
    })
}

/// Reads a process and those above it that may belong to the same program, the topmost first; nothing
/// if the process is not there. `known` ancestors are not read again.
pub fn read_with_ancestors(proc_root: &Path, pid: u32, known: &dyn Fn(u32) -> bool) -> Vec<Facts> {
    let mut found: Vec<Facts> = Vec::new();
    let mut next = pid;
    while found.len() < ANCESTORS_MAX {
        let Ok(facts) = read(proc_root, next) else {
            break;
        };
        // The first that is not of the program is kept: it will be the parent of others as well.
        let last = found
            .last()
            .is_some_and(|child| !child.continues(&facts) || !child.may_descend_from(&facts));
        next = facts.parent_pid;
        found.push(facts);
        if last || next == 0 || known(next) {
            break;
        }
    }
    found.reverse();
    found
}

impl Facts {
    /// What the record of an exec tells; all there is when the process was too short-lived for `/proc`.
    pub fn from_exec(record: &ProcessStarted) -> Self {
        let file = record
            .file
            .split(|byte| *byte == 0)
            .next()
            .unwrap_or_default();
        let mut executable = String::from_utf8_lossy(file).into_owned();
        // Executed by descriptor: the number of the descriptor names nothing.
        if executable.starts_with("/dev/fd/") {
            executable.clear();
        }
        Self {
            executable,
            ..Self::nameless(record)
        }
    }

    /// A process of which only the record of its start is known.
    pub fn nameless(record: &ProcessStarted) -> Self {
        Self {
            pid: record.pid,
            parent_pid: record.parent_pid,
            start_boottime_ns: record.start_boottime_ns,
            cgroup: record.cgroup,
            source: Source::Exec,
            executable: String::new(),
            service_name: None,
            unit: None,
            container_id: None,
        }
    }

    /// Takes over what a process gets from the one that forked or executed it: environment and place.
    /// The place only if the cgroup is the same, as far as is known; the result tells.
    pub fn inherit(&mut self, from: &Self) -> bool {
        self.service_name.clone_from(&from.service_name);
        let is_in_same_place = self.cgroup == 0 || from.cgroup == 0 || self.cgroup == from.cgroup;
        if is_in_same_place {
            self.unit.clone_from(&from.unit);
            self.container_id.clone_from(&from.container_id);
        }
        is_in_same_place
    }

    /// The executable's file name.
    pub fn name(&self) -> &str {
        match self.source {
            // Kernel threads have slashes in their names.
            Source::Comm => &self.executable,
            Source::Proc | Source::Exec => self.executable.rsplit('/').next().unwrap_or_default(),
        }
    }

    /// Whether both are the same process and not two that had the same pid.
    pub fn is_same_process(&self, other: &Self) -> bool {
        self.pid == other.pid && self.start_boottime_ns.abs_diff(other.start_boottime_ns) < TICK_NS
    }

    /// Whether the start times allow `parent` to be the parent, which a reused pid's do not.
    pub fn may_descend_from(&self, parent: &Self) -> bool {
        parent.start_boottime_ns < self.start_boottime_ns.saturating_add(TICK_NS)
    }

    /// Whether this process is more of the program that `other`, its parent or its past, runs: the same
    /// executable in the same container and the same systemd unit, and no service name of its own.
    pub fn continues(&self, other: &Self) -> bool {
        // A service name that is gone is no sign: programs that set their title overwrite their environment.
        let own_name = self.service_name.is_some() && self.service_name != other.service_name;
        self.has_same_executable(other)
            && self.container_id == other.container_id
            && self.unit == other.unit
            && !own_name
    }

    /// Whether both run the same file, as far as their sources can tell.
    pub fn has_same_executable(&self, other: &Self) -> bool {
        match (self.source, other.source) {
            (Source::Proc, Source::Proc) => self.executable == other.executable,
            (Source::Comm, _) | (_, Source::Comm) => {
                let comm = |facts: &'_ Self| {
                    facts
                        .name()
                        .bytes()
                        .take(COMM_BYTES_MAX)
                        .collect::<Vec<u8>>()
                };
                comm(self) == comm(other)
            }
            _ => self.name() == other.name(),
        }
    }
}

/// The fields of `/proc/PID/stat` that are used here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// The name of the main thread.
    pub comm: String,
    /// Its parent's pid.
    pub parent_pid: u32,
    /// Processor time in user mode, in [`TICK_NS`].
    pub user_ticks: u64,
    /// Processor time in the kernel, in [`TICK_NS`].
    pub system_ticks: u64,
    /// Start since boot, in [`TICK_NS`].
    pub start_ticks: u64,
}

impl Stat {
    /// Reads the `stat` of a process's folder.
    ///
    /// # Errors
    /// The process is not there, or its `stat` is not as proc(5) has it.
    pub fn read(folder: &Path) -> io::Result<Self> {
        let text = read_text(&folder.join("stat"), STAT_BYTES_MAX)?;
        Self::parse(&text)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "stat is not as expected"))
    }

    fn parse(text: &str) -> Option<Self> {
        // The name is in parentheses and may hold some, and spaces.
        let (head, fields) = text.rsplit_once(')')?;
        let (_, comm) = head.split_once('(')?;
        let mut fields = fields.split_ascii_whitespace();
        Some(Self {
            comm: comm.to_owned(),
            parent_pid: fields.nth(1)?.parse().ok()?,
            user_ticks: fields.nth(9)?.parse().ok()?,
            system_ticks: fields.next()?.parse().ok()?,
            start_ticks: fields.nth(6)?.parse().ok()?,
        })
    }
}

fn executable(path: &str, comm: &str) -> (String, Source) {
    let path = path.strip_suffix(" (deleted)").unwrap_or(path);
    // A file in memory has a name made up by who wrote it.
    if path.is_empty() || path.starts_with("/memfd:") {
        return (comm.to_owned(), Source::Comm);
    }
    (path.to_owned(), Source::Proc)
}

/// The service name in an environment: `OTEL_SERVICE_NAME`, else `service.name` of
/// `OTEL_RESOURCE_ATTRIBUTES`; empty means unset, as OpenTelemetry's specification has it.
fn service_name(environ: &[u8]) -> Option<String> {
    let value = |name: &[u8]| {
        environ
            .split(|byte| *byte == 0)
            .find_map(|entry| entry.strip_prefix(name)?.strip_prefix(b"="))
    };
    value(b"OTEL_SERVICE_NAME").and_then(label).or_else(|| {
        value(b"OTEL_RESOURCE_ATTRIBUTES")?
            .split(|byte| *byte == b',')
            .find_map(|pair| {
                pair.trim_ascii()
                    .strip_prefix(b"service.name")?
                    .trim_ascii_start()
                    .strip_prefix(b"=")
            })
            .and_then(|value| label(&percent_decoded(value)))
    })
}

fn label(value: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(value);
    let text = text.trim();
    let text = &text[..text.floor_char_boundary(SERVICE_NAME_BYTES_MAX)];
    (!text.is_empty()).then(|| text.to_owned())
}

/// What is not a percent-encoded byte stays as it is.
fn percent_decoded(mut text: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    while let [first, rest @ ..] = text {
        let byte = match rest {
            [high, low, ..] if *first == b'%' => hex_digit(*high).zip(hex_digit(*low)),
            _ => None,
        };
        decoded.push(byte.map_or(*first, |(high, low)| high << 4 | low));
        text = if byte.is_some() { &rest[2..] } else { rest };
    }
    decoded
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

fn read_text(path: &Path, bytes_max: u64) -> io::Result<String> {
    read_bytes(path, bytes_max).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

fn read_bytes(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(bytes_max).read_to_end(&mut bytes)?;
    Ok(bytes)
}
