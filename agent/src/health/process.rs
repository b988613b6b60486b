//! The agent's own process: what it costs, as the usual `process_*` metrics tell.

use crate::identity::TICK_NS;
use crate::identity::process::Stat;
use std::io;
use std::path::Path;
use std::str::FromStr;

/// What the kernel counts about one process.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OwnProcess {
    /// `process_cpu_seconds_total`
    pub cpu_seconds: f64,
    /// `process_resident_memory_bytes`
    pub resident_bytes: u64,
    /// `process_virtual_memory_bytes`
    pub virtual_bytes: u64,
    /// `process_open_fds`
    pub open_fds: u64,
    /// `process_max_fds`; none when there is no limit.
    pub max_fds: Option<u64>,
    /// When it started, since 1970.
    pub start_unix_ns: u64,
}

impl OwnProcess {
    /// `process_start_time_seconds`. The kernel tells it in ticks, which a float has exactly.
    pub fn start_unix_seconds(&self) -> f64 {
        seconds(self.start_unix_ns / TICK_NS)
    }
}

/// Reads the agent's own counts.
///
/// # Errors
/// `/proc` is not mounted, or is not as proc(5) has it.
pub fn read() -> io::Result<OwnProcess> {
    read_from(Path::new("/proc"))
}

fn read_from(proc_root: &Path) -> io::Result<OwnProcess> {
    let own = proc_root.join("self");
    let stat = Stat::read(&own)?;
    let status = std::fs::read_to_string(own.join("status"))?;
    let limits = std::fs::read_to_string(own.join("limits"))?;
    let system = std::fs::read_to_string(proc_root.join("stat"))?;
    let boot_unix_seconds: u64 = word_after(&system, "btime ")?;
    // The folder that is read here is open meanwhile, and not the agent's.
    let open_fds = std::fs::read_dir(own.join("fd"))?.count().saturating_sub(1);
    Ok(OwnProcess {
        cpu_seconds: seconds(stat.user_ticks.saturating_add(stat.system_ticks)),
        resident_bytes: word_after::<u64>(&status, "VmRSS:")?.saturating_mul(1024),
        virtual_bytes: word_after::<u64>(&status, "VmSize:")?.saturating_mul(1024),
        open_fds: u64::try_from(open_fds).unwrap_or(u64::MAX),
        // Only `unlimited` is not a number.
        max_fds: word_after(&limits, "Max open files").ok(),
        start_unix_ns: boot_unix_seconds
            .saturating_mul(1_000_000_000)
            .saturating_add(stat.start_boottime_ns()),
    })
}

fn seconds(ticks: u64) -> f64 {
    ticks as f64 / (1_000_000_000 / TICK_NS) as f64
}

/// The first word after `name` at the start of a line.
fn word_after<T: FromStr>(text: &str, name: &str) -> io::Result<T> {
    text.lines()
        .find_map(|line| line.strip_prefix(name))
        .and_then(|rest| rest.split_ascii_whitespace().next()?.parse().ok())
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("no {name:?} in /proc")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn tree(limits: &str) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let own = root.path().join("self");
        fs::create_dir_all(own.join("fd")).unwrap();
        for fd in 0..5 {
            fs::write(own.join("fd").join(fd.to_string()), "").unwrap();
        }
        let stat =
            "7 (sockmeter) S 1 7 7 0 -1 4194304 1 0 0 0 150 75 0 0 20 0 4 0 98021 3133440 413 1";
        fs::write(own.join("stat"), stat).unwrap();
        fs::write(
            own.join("status"),
            "Name:\tsockmeter\nVmSize:\t  3060 kB\nVmRSS:\t    1652 kB\n",
        )
        .unwrap();
        fs::write(own.join("limits"), limits).unwrap();
        fs::write(
            root.path().join("stat"),
            "cpu  1 2 3\nbtime 1700000000\nprocesses 9\n",
        )
        .unwrap();
        root
    }

    #[test]
    fn counts_are_in_base_units() {
        let root = tree(
            "Max processes   96365   96365   processes\nMax open files   1024   524288   files\n",
        );
        assert_eq!(
            read_from(root.path()).unwrap(),
            OwnProcess {
                cpu_seconds: 2.25,
                resident_bytes: 1_691_648,
                virtual_bytes: 3_133_440,
                open_fds: 4,
                max_fds: Some(1024),
                start_unix_ns: 1_700_000_980_210_000_000,
            }
        );
        let own = read_from(root.path()).unwrap();
        assert_eq!(own.start_unix_seconds(), 1_700_000_980.21);
    }

    #[test]
    fn no_limit_is_none() {
        let root = tree("Max open files   unlimited   unlimited   files\n");
        assert_eq!(read_from(root.path()).unwrap().max_fds, None);
    }

    #[test]
    fn without_proc_there_is_an_error() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(
            read_from(root.path()).unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
    }

    #[test]
    fn this_process_is_there() {
        let own = read().unwrap();
        assert!(own.resident_bytes > 0 && own.virtual_bytes > own.resident_bytes);
        assert!(own.open_fds >= 3 && own.max_fds.is_none_or(|max| max >= own.open_fds));
        assert!(own.start_unix_ns > 1_600_000_000_000_000_000);
    }
}
