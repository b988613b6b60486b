//! What is known about a process, and what follows from it about another one.

use super::Started;
use serde::{Deserialize, Serialize};

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

const COMM_BYTES_MAX: usize = 15;

impl Facts {
    /// What the record of an exec tells; all there is when the process was too short-lived for `/proc`.
    pub fn from_exec(record: &Started) -> Self {
        let mut executable = record.file.clone();
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
    pub fn nameless(record: &Started) -> Self {
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
        self.pid == other.pid && is_same_start(self.start_boottime_ns, other.start_boottime_ns)
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

/// Whether two starts, in nanoseconds since boot, can be one: `/proc` tells only in which tick it was.
pub fn is_same_start(one_ns: u64, other_ns: u64) -> bool {
    let tick_of = |time_ns: u64| time_ns - time_ns % TICK_NS;
    one_ns == other_ns || tick_of(one_ns) == other_ns || tick_of(other_ns) == one_ns
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exec_of(file: &str) -> Facts {
        Facts::from_exec(&Started {
            is_exec: true,
            pid: 7,
            parent_pid: 3,
            start_boottime_ns: 1_207_654_321,
            cgroup: 5,
            file: file.to_owned(),
        })
    }

    #[test]
    fn execs_tell_a_file() {
        let facts = exec_of("/usr/bin/curl");
        assert_eq!(
            (facts.pid, facts.parent_pid, facts.start_boottime_ns),
            (7, 3, 1_207_654_321)
        );
        assert_eq!((facts.source, facts.cgroup), (Source::Exec, 5));
        assert_eq!(
            (facts.executable.as_str(), facts.name()),
            ("/usr/bin/curl", "curl")
        );
        assert_eq!(exec_of("./server").name(), "server");
        assert_eq!(exec_of("/dev/fd/3").executable, "");
    }

    #[test]
    fn starts_are_compared_as_exactly_as_they_are_known() {
        let (recorded, of_proc) = (1_207_654_321, 1_200_000_000);
        for (one, other) in [
            (recorded, of_proc),
            (recorded, recorded),
            (of_proc, of_proc),
        ] {
            assert!(is_same_start(one, other) && is_same_start(other, one));
        }
        // The next one with the pid, 3 ms later and in the next tick, as both tell it.
        for next in [1_210_654_321, 1_210_000_000] {
            assert!(!is_same_start(recorded, next) && !is_same_start(of_proc, next));
        }
    }

    #[test]
    fn sources_differ_in_what_is_the_same_executable() {
        let of = |source, executable: &str| Facts {
            source,
            executable: executable.to_owned(),
            ..exec_of("")
        };
        let (proc, exec, comm) = (Source::Proc, Source::Exec, Source::Comm);
        assert!(!of(proc, "/a/web").has_same_executable(&of(proc, "/b/web")));
        assert!(of(proc, "/a/web").has_same_executable(&of(exec, "./web")));
        assert!(!of(proc, "/a/web").has_same_executable(&of(exec, "/a/web2")));
        assert!(
            of(proc, "/a/a-very-long-name-indeed")
                .has_same_executable(&of(comm, "a-very-long-nam"))
        );
    }
}
