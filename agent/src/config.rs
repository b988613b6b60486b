//! Every setting: default, unit, limit; one strict TOML file and flags; the one place that rejects bad ones.
//!
//! A limit is enforced while its key is read, so that every refusal carries the line of the key.
//! `deploy/sockmeter.toml` shows the same settings to operators; a test keeps the two equal.

use crate::{probes::Wanted, series::DURATION_BUCKETS_SECONDS};
use clap::ValueEnum;
use serde::Deserialize;
use std::io::Read as _;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

mod place;
#[cfg(test)]
mod tests;
mod value;

pub use value::{BUCKETS_MAX, EXCLUDE_MAX, parse_cores, parse_excluded, parse_listen};
use value::{CAPTURE_BYTES_MAX, buckets, cores, exclude, labels, listen, ring_bytes, within};

/// Bytes of a configuration file, at most: far above any real one, so that `--config /dev/zero` ends.
pub const FILE_BYTES_MAX: u64 = 1 << 20;
/// The port of all endpoints unless `listen` says otherwise.
pub const PORT_DEFAULT: u16 = 9435;

/// Every setting of the agent. What the file leaves out keeps its default; unknown keys are refused.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct Config {
    /// Where the HTTP endpoints listen. Default `[::]:9435`: all addresses, IPv4 too, and IPv4 alone
    /// on hosts without IPv6. Port 0 lets the kernel choose.
    #[serde(deserialize_with = "listen")]
    pub listen: SocketAddr,
    /// Processors that the agent may use: 0.01 to 1024. Default 1. When it needs more it looks at less, step by step,
    /// and counts what it leaves out; see [`CaptureLevel`](crate::records::CaptureLevel).
    #[serde(deserialize_with = "cores")]
    pub cpu_limit_cores: f64,
    /// Programs that are not measured: at most 256. Default: none. With a slash the path of the executable, else its
    /// file name or the name of the service, as the labels show them.
    #[serde(deserialize_with = "exclude")]
    pub exclude: Vec<String>,
    /// `[log]`: the agent's own log.
    pub log: Log,
    /// `[kernel]`: what is held in and copied out of the kernel.
    pub kernel: Kernel,
    /// `[series]`: what is kept and shown.
    pub series: Series,
}

/// `[log]`: the agent's own log, on stderr.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct Log {
    /// Lines for people or JSON objects for collectors. Default `text`.
    pub format: Format,
    /// The least severe level that is written. Default `info`.
    pub level: Level,
}

/// `[kernel]`: memory and copying, the two things that the agent costs its host.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct Kernel {
    /// Bytes of the ring buffer: 4096 to 1 GiB, a power of two because the kernel demands it. Default
    /// 4 MiB. What does not fit between two drains is lost, and counted. A host whose pages are larger
    /// rounds it up to one page.
    #[serde(deserialize_with = "ring_bytes")]
    pub ring_bytes: u32,
    /// Connections followed at once: 1 to 1,048,576. Default 32,768. Sizes the kernel's tables; a
    /// connection beyond it is counted and not measured.
    #[serde(deserialize_with = "within::<_, 1, 1_048_576>")]
    pub connections_max: u32,
    /// Processes whose datagrams are counted at once: 1 to 65,536. Default 8192. Each that used a UDP
    /// socket, to ask a name server say, is one until it ends.
    #[serde(deserialize_with = "within::<_, 1, 65_536>")]
    pub datagram_processes_max: u32,
    /// Bytes copied from one send or receive call, at most: 0 to 8192. Default 8192, which holds the
    /// heads of nearly all messages. 0 copies nothing: traffic and connections without requests.
    #[serde(deserialize_with = "within::<_, 0, CAPTURE_BYTES_MAX>")]
    pub capture_bytes_max: u32,
    /// Milliseconds between two drains of the ring: 1 to 1000. Default 10. Longer is cheaper and needs
    /// a larger ring.
    #[serde(deserialize_with = "within::<_, 1, 1000>")]
    pub drain_interval_milliseconds: u32,
    /// A file with the kernel's types (BTF), for kernels that show none. Default: none.
    pub btf: Option<PathBuf>,
    /// How the programs are attached. Default `auto`: each family in the best way that the kernel has.
    pub probes: Wanted,
}

/// `[series]`: what is kept and shown, and its bounds.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct Series {
    /// Series of one metric: 1 to 1,000,000. Default 10,000. What is beyond it goes to one series
    /// with `overflow="true"`, so sums stay exact.
    #[serde(deserialize_with = "within::<_, 1, 1_000_000>")]
    pub max_per_metric: u32,
    /// Route templates of one process: 1 to 10,000. Default 100. What is beyond it is `/**`.
    #[serde(deserialize_with = "within::<_, 1, 10_000>")]
    pub routes_max_per_process: u32,
    /// Upper bounds of the duration histograms in seconds: 1 to 64 numbers, above zero, finite, each
    /// above the one before. `+Inf` is always added.
    #[serde(deserialize_with = "buckets")]
    pub duration_buckets_seconds: Vec<f64>,
    /// Labels that say whose series it is, in this order. Default: all. One that is left out is summed
    /// over, exactly; an empty list gives the host's totals.
    #[serde(deserialize_with = "labels")]
    pub process_labels: Vec<ProcessLabel>,
}

/// How text leaves the agent: log lines and the answers of its commands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// The least severe log level that is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// What stops a feature or the agent.
    Error,
    /// What an operator should mend.
    Warn,
    /// Start, stop and what is attached.
    #[default]
    Info,
    /// Decisions, for finding out why something is not measured.
    Debug,
    /// Every event: slow, may be larger than the traffic it describes.
    Trace,
}

/// A label that says whose series it is. The order here is the default order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProcessLabel {
    /// `service_name`
    ServiceName,
    /// `process_executable_name`
    ProcessExecutableName,
    /// `process_pid`
    ProcessPid,
    /// `container_name`
    ContainerName,
    /// `container_id`
    ContainerId,
}

impl ProcessLabel {
    /// All of them, in the default order.
    pub const ALL: [Self; 5] = [
        Self::ServiceName,
        Self::ProcessExecutableName,
        Self::ProcessPid,
        Self::ContainerName,
        Self::ContainerId,
    ];

    /// As in the file and on the series.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ServiceName => "service_name",
            Self::ProcessExecutableName => "process_executable_name",
            Self::ProcessPid => "process_pid",
            Self::ContainerName => "container_name",
            Self::ContainerId => "container_id",
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), PORT_DEFAULT),
            cpu_limit_cores: 1.0,
            exclude: Vec::new(),
            log: Log::default(),
            kernel: Kernel::default(),
            series: Series::default(),
        }
    }
}

impl Default for Kernel {
    fn default() -> Self {
        Self {
            ring_bytes: sockmeter_abi::RING_BYTES_DEFAULT,
            connections_max: sockmeter_abi::CONNECTIONS_MAX_DEFAULT,
            datagram_processes_max: sockmeter_abi::datagram::RUNS_MAX_DEFAULT,
            capture_bytes_max: sockmeter_abi::CAPTURE_BYTES_MAX,
            drain_interval_milliseconds: 10,
            btf: None,
            probes: Wanted::Auto,
        }
    }
}

impl Default for Series {
    fn default() -> Self {
        Self {
            max_per_metric: 10_000,
            routes_max_per_process: 100,
            duration_buckets_seconds: DURATION_BUCKETS_SECONDS.to_vec(),
            process_labels: ProcessLabel::ALL.to_vec(),
        }
    }
}

/// Why a configuration file was refused: one line, with the file, and the line, column and key when
/// the fault has a place.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("{}: cannot read: {why}", path.display())]
    Read {
        /// As given.
        path: PathBuf,
        /// In lower case, without the number.
        why: String,
    },
    /// The file is not TOML.
    #[error("{}:{line}:{column}: {why}", path.display())]
    Syntax {
        /// As given.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// From 1, in characters.
        column: usize,
        /// What the parser expected.
        why: String,
    },
    /// A key is unknown, or its value has the wrong type or is out of its limits.
    #[error("{}:{line}:{column}: {key}: {why}", path.display())]
    Key {
        /// As given.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// From 1, in characters.
        column: usize,
        /// With its table: `kernel.ring_bytes`.
        key: String,
        /// What is wrong and what would be right.
        why: String,
    },
}

impl Config {
    /// Reads a file of at most [`FILE_BYTES_MAX`] bytes.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let refuse = |why| ConfigError::Read {
            path: path.to_owned(),
            why,
        };
        let mut text = String::new();
        std::fs::File::open(path)
            .and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text))
            .map_err(|error| {
                refuse(match error.kind() {
                    std::io::ErrorKind::NotFound => "no such file".to_owned(),
                    std::io::ErrorKind::InvalidData => "not UTF-8 text".to_owned(),
                    kind => kind.to_string(),
                })
            })?;
        if text.len() as u64 > FILE_BYTES_MAX {
            return Err(refuse(format!("larger than {FILE_BYTES_MAX} bytes")));
        }
        Self::parse(path, &text)
    }

    /// Reads the text of a file; `path` only names it in errors.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        toml::from_str(text).map_err(|error| place::name(path, text, &error))
    }
}
