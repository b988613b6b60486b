//! Every setting: default, unit, limit; one strict TOML file and flags; the one place that rejects bad ones.
//!
//! A limit is enforced while its key is read, so that every refusal carries the line of the key.
//! `deploy/sockmeter.toml` shows the same settings to operators; a test keeps the two equal.

use crate::{probes::Wanted, series::DURATION_BUCKETS_SECONDS};
use clap::ValueEnum;
use serde::{Deserialize, Deserializer, de::Error as _};
use std::io::Read as _;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

mod place;
#[cfg(test)]
mod tests;

/// Bytes of a configuration file, at most: far above any real one, so that `--config /dev/zero` ends.
pub const FILE_BYTES_MAX: u64 = 1 << 20;
/// The port of all endpoints unless `listen` says otherwise.
pub const PORT_DEFAULT: u16 = 9435;
/// Bounds of one histogram: more would multiply every series by more than a dashboard can use.
pub const BUCKETS_MAX: usize = 64;

// Wide, because the const parameters of `within` are compared with what TOML holds: 64-bit integers.
/// Processors that the agent may be limited to: less would not do for a scrape, more is no limit.
const CORES_MIN: f64 = 0.01;
const CORES_MAX: f64 = 1024.0;

const RING_BYTES_MIN: i64 = 4096;
const RING_BYTES_MAX: i64 = 1 << 30;
const CAPTURE_BYTES_MAX: i64 = sockmeter_abi::CAPTURE_BYTES_MAX as i64;

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

/// Reads `ADDRESS:PORT`, or `:PORT` for all addresses. Host names are refused: what they mean changes.
pub fn parse_listen(text: &str) -> Result<SocketAddr, String> {
    let full = if text.starts_with(':') {
        format!("[::]{text}")
    } else {
        text.to_owned()
    };
    full.parse().map_err(|_| {
        format!("{text:?} is not an address and port; write 127.0.0.1:9435, [::1]:9435 or :9435 for all addresses")
    })
}

fn listen<'de, D: Deserializer<'de>>(input: D) -> Result<SocketAddr, D::Error> {
    parse_listen(&String::deserialize(input)?).map_err(D::Error::custom)
}

/// Names of programs that are not measured, at most: each is compared with each new program.
pub const EXCLUDE_MAX: usize = 256;

/// Reads the name of a program that is not measured.
pub fn parse_excluded(name: &str) -> Result<String, String> {
    if name.is_empty() {
        Err("the name is empty; write the name of a service or executable, or its path".to_owned())
    } else {
        Ok(name.to_owned())
    }
}

fn exclude<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<String>, D::Error> {
    let names = Vec::<String>::deserialize(input)?;
    let count = names.len();
    if count > EXCLUDE_MAX {
        return Err(D::Error::custom(format!(
            "{count} names; use up to {EXCLUDE_MAX}"
        )));
    }
    let names = names.iter().map(|name| parse_excluded(name));
    names.collect::<Result<_, _>>().map_err(D::Error::custom)
}

/// Reads a number of processors.
pub fn parse_cores(text: &str) -> Result<f64, String> {
    let cores = text.trim().parse().map_err(|_| {
        format!("{text:?} is not a number of processors; write 1, or 0.5 for half of one")
    })?;
    check_cores(cores)
}

fn check_cores(cores: f64) -> Result<f64, String> {
    if (CORES_MIN..=CORES_MAX).contains(&cores) {
        Ok(cores)
    } else {
        Err(format!(
            "{cores} is out of range; use {CORES_MIN} to {CORES_MAX}"
        ))
    }
}

fn cores<'de, D: Deserializer<'de>>(input: D) -> Result<f64, D::Error> {
    check_cores(f64::deserialize(input)?).map_err(D::Error::custom)
}

fn within<'de, D: Deserializer<'de>, const MIN: i64, const MAX: i64>(
    input: D,
) -> Result<u32, D::Error> {
    let value = i64::deserialize(input)?;
    u32::try_from(value)
        .ok()
        .filter(|_| (MIN..=MAX).contains(&value))
        .ok_or_else(|| D::Error::custom(format!("{value} is out of range; use {MIN} to {MAX}")))
}

fn ring_bytes<'de, D: Deserializer<'de>>(input: D) -> Result<u32, D::Error> {
    let value = within::<D, RING_BYTES_MIN, RING_BYTES_MAX>(input)?;
    if value.is_power_of_two() {
        return Ok(value);
    }
    // Not a power of two and within limits that are: both neighbours are within them too.
    let above = value.next_power_of_two();
    let below = above / 2;
    Err(D::Error::custom(format!(
        "{value} is not a power of two; use {below} or {above}"
    )))
}

fn buckets<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<f64>, D::Error> {
    let bounds = Vec::<f64>::deserialize(input)?;
    let count = bounds.len();
    if count == 0 || count > BUCKETS_MAX {
        return Err(D::Error::custom(format!(
            "{count} bounds; use 1 to {BUCKETS_MAX}"
        )));
    }
    let mut before = 0.0;
    for &bound in &bounds {
        if !bound.is_finite() || bound <= 0.0 {
            return Err(D::Error::custom(format!(
                "{bound} is not a number above zero; +Inf is always added"
            )));
        }
        if bound <= before {
            return Err(D::Error::custom(format!(
                "{bound} after {before}; each bound must be above the one before"
            )));
        }
        before = bound;
    }
    Ok(bounds)
}

fn labels<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<ProcessLabel>, D::Error> {
    let labels = Vec::<ProcessLabel>::deserialize(input)?;
    let twice = labels
        .iter()
        .enumerate()
        .find(|(at, label)| labels.iter().take(*at).any(|one| one == *label));
    match twice {
        Some((_, label)) => Err(D::Error::custom(format!(
            "{} is listed twice",
            label.as_str()
        ))),
        None => Ok(labels),
    }
}
