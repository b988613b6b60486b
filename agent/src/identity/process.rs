//! Facts about processes from `/proc`. Edge: it reads, and remembers nothing.

use super::{container, environment};
use crate::records::facts::{Facts, Source, TICK_NS};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Ancestors that are looked at, at most: deeper trees exist only by accident.
pub const ANCESTORS_MAX: usize = 64;

const STAT_BYTES_MAX: u64 = 4 * 1024;
const CGROUP_BYTES_MAX: u64 = 16 * 1024;
const ENVIRON_BYTES_MAX: u64 = 128 * 1024;

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
        start_boottime_ns: stat.start_boottime_ns(),
        cgroup: 0,
        source,
        executable,
        service_name: environment::service_name(&environ),
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

    /// Its start in nanoseconds since boot, rounded down to [`TICK_NS`].
    pub fn start_boottime_ns(&self) -> u64 {
        self.start_ticks.saturating_mul(TICK_NS)
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

fn read_text(path: &Path, bytes_max: u64) -> io::Result<String> {
    read_bytes(path, bytes_max).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

fn read_bytes(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(bytes_max).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;
    use std::process::Command;

    fn stat(comm: &str, start: u64) -> String {
        format!("7 ({comm}) S 3 7 7 0 -1 64 1 0 0 0 15 7 0 0 20 0 1 0 {start} 31 4 1")
    }

    /// Process 7, and the path of its folder.
    fn process(comm: &str, exe: Option<&str>) -> (tempfile::TempDir, PathBuf) {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("7");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("stat"), stat(comm, 120)).unwrap();
        if let Some(exe) = exe {
            symlink(exe, folder.join("exe")).unwrap();
        }
        (root, folder)
    }

    #[test]
    fn every_fact_of_a_process() {
        let (root, folder) = process("web", Some("/opt/web"));
        let id = "a".repeat(64);
        fs::write(
            folder.join("cgroup"),
            format!("0::/system.slice/web.service/libpod-{id}\n"),
        )
        .unwrap();
        fs::write(folder.join("environ"), "A=1\0OTEL_SERVICE_NAME=shop\0").unwrap();
        let expected = Facts {
            pid: 7,
            parent_pid: 3,
            start_boottime_ns: 1_200_000_000,
            cgroup: 0,
            source: Source::Proc,
            executable: "/opt/web".to_owned(),
            service_name: Some("shop".to_owned()),
            unit: Some("web".to_owned()),
            container_id: Some(id),
        };
        assert_eq!(read(root.path(), 7).unwrap(), expected);
    }

    #[test]
    fn executables_that_are_not_plain_paths() {
        let cases = [
            (
                Some("/usr/sbin/nginx (deleted)"),
                Source::Proc,
                "/usr/sbin/nginx",
                "nginx",
            ),
            (
                Some("/memfd:runc_cloned:/proc/self/exe (deleted)"),
                Source::Comm,
                "kworker/0:1 (x) y",
                "kworker/0:1 (x) y",
            ),
            (None, Source::Comm, "kworker/0:1 (x) y", "kworker/0:1 (x) y"),
        ];
        for (exe, source, executable, name) in cases {
            let (root, _) = process("kworker/0:1 (x) y", exe);
            let facts = read(root.path(), 7).unwrap();
            assert_eq!(
                (facts.source, facts.executable.as_str(), facts.name()),
                (source, executable, name)
            );
            assert_eq!(
                (facts.unit, facts.service_name, facts.parent_pid),
                (None, None, 3)
            );
        }
    }

    #[test]
    fn a_huge_environment_is_read_to_its_limit() {
        let (root, folder) = process("web", Some("/opt/web"));
        let limit = usize::try_from(ENVIRON_BYTES_MAX).unwrap();
        let environ = |before: usize| {
            format!(
                "A={}\0OTEL_SERVICE_NAME=shop\0{}",
                "x".repeat(before),
                "y".repeat(limit)
            )
        };
        fs::write(folder.join("environ"), environ(limit - 100)).unwrap();
        assert_eq!(
            read(root.path(), 7).unwrap().service_name.as_deref(),
            Some("shop")
        );
        fs::write(folder.join("environ"), environ(limit)).unwrap();
        assert_eq!(read(root.path(), 7).unwrap().service_name, None);
    }

    /// Reads process 7 while `meanwhile` happens between the first and the last of its files.
    fn read_while(meanwhile: impl FnOnce(&Path) + Send) -> io::Result<Facts> {
        let (root, folder) = process("web", Some("/opt/web"));
        let environ = folder.join("environ");
        assert!(
            Command::new("mkfifo")
                .arg(&environ)
                .status()
                .unwrap()
                .success()
        );
        std::thread::scope(|scope| {
            scope.spawn(|| {
                // Opening waits for the reader.
                let open = fs::OpenOptions::new().write(true).open(&environ).unwrap();
                meanwhile(&folder);
                drop(open);
            });
            read(root.path(), 7)
        })
    }

    #[test]
    fn a_process_that_vanishes_or_is_replaced_while_it_is_read_is_not_found() {
        assert!(read_while(|_| ()).is_ok());
        let vanished = read_while(|folder| fs::remove_dir_all(folder).unwrap());
        assert_eq!(vanished.unwrap_err().kind(), io::ErrorKind::NotFound);
        let replaced =
            read_while(|folder| fs::write(folder.join("stat"), stat("web", 121)).unwrap());
        assert_eq!(replaced.unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(
            read(Path::new("/nowhere"), 7).unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
    }

    #[test]
    fn stat_that_is_not_one_is_an_error() {
        for text in [
            "",
            "7 web S 3",
            "7 (web) S",
            "7 (web) S x 7 7 0 -1 64 1 0 0 0 15 7 0 0 20 0 1 0 5",
        ] {
            assert_eq!(Stat::parse(text), None, "{text}");
        }
        let expected = Stat {
            comm: "a b) (c".to_owned(),
            parent_pid: 3,
            user_ticks: 15,
            system_ticks: 7,
            start_ticks: 9,
        };
        assert_eq!(Stat::parse(&stat("a b) (c", 9)), Some(expected));
    }

    #[test]
    fn this_process_is_there() {
        let facts = read(Path::new("/proc"), std::process::id()).unwrap();
        assert_eq!(
            facts.executable,
            std::env::current_exe().unwrap().to_string_lossy()
        );
        assert_eq!(facts.parent_pid, std::os::unix::process::parent_id());
    }
}
