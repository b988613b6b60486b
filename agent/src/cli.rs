//! The command line: flags, commands, exit codes, and the one door to stdout.

use crate::config::{
    Config, ConfigError, Format, Level, parse_cores, parse_excluded, parse_listen,
};
use crate::probes::Wanted;
use clap::{Args, Parser, Subcommand};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Exit code: the agent cannot run here: no permission, a taken port, an unfit kernel.
pub const EXIT_CANNOT_RUN: u8 = 1;
/// Exit code: the command line or the configuration file is wrong. clap uses the same number.
pub const EXIT_USAGE: u8 = 2;
/// Exit code of `sockmeter check`: runs here, with features off.
pub const EXIT_FEATURES_OFF: u8 = 2;

const ABOUT: &str = "Gives every unmodified service on this host its metrics";

const LONG_ABOUT: &str = "\
Gives every unmodified service on this host its metrics.

sockmeter watches the sockets of all processes from the kernel (eBPF), reads the requests in them \
and serves their counts, latencies, active connections and traffic, per process, as Prometheus \
series. It changes nothing: no restart, no library, no proxy. It needs root or CAP_BPF and \
CAP_PERFMON.";

const AFTER_HELP: &str = "\
Endpoints (http://HOST:9435 unless --listen says otherwise):
  /metrics       the series: Prometheus text, OpenMetrics by Accept
  /health        JSON: each part and why; 503 when a part that is needed has failed
  /health/live   200 while the process answers
  /health/ready  200 once the probes are attached, 503 before, with the reason
  /              a page for people

Exit codes:
  0  ended as asked; check: everything works here
  1  cannot run: no permission, a taken port, an unfit kernel
  2  wrong command line or configuration file; check: works here with features off

Examples:
  sockmeter check                      what this host supports, and why not
  sockmeter --listen 127.0.0.1:9435    run, reachable from this host only
  sockmeter --config sockmeter.toml    run with the settings of a file";

/// The whole command line.
#[derive(Clone, Debug, PartialEq, Parser)]
#[command(name = "sockmeter", version, about = ABOUT, long_about = LONG_ABOUT, after_long_help = AFTER_HELP)]
pub struct Cli {
    /// Settings, before or after the command.
    #[command(flatten)]
    pub flags: Flags,
    /// What to do; none means [`Command::Run`].
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Settings from the command line. Each wins over the same setting in the file.
#[derive(Clone, Debug, Default, PartialEq, Args)]
pub struct Flags {
    /// Read settings from this TOML file; without it, none is read
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Serve the endpoints here: ADDRESS:PORT, or :PORT for all addresses [default: :9435]
    #[arg(long, global = true, value_name = "ADDRESS", value_parser = parse_listen)]
    pub listen: Option<SocketAddr>,
    /// Use no more than so many processors; when that is not enough, look at less and count it [default: 1]
    #[arg(long, global = true, value_name = "CORES", value_parser = parse_cores)]
    pub cpu_limit: Option<f64>,
    /// Do not measure this program: the name of its service or executable or, with a slash, its path. May be repeated
    #[arg(long, global = true, value_name = "NAME", value_parser = parse_excluded)]
    pub exclude: Vec<String>,
    /// Take the kernel's types (BTF) from this file, where the kernel shows none [/sys/kernel/btf/vmlinux]
    #[arg(long, global = true, value_name = "FILE")]
    pub btf: Option<PathBuf>,
    /// Attach the kernel programs in this way only [default: auto, each family in the best way that the kernel has]
    #[arg(long, global = true, value_enum, value_name = "WAY")]
    pub probes: Option<Wanted>,
    /// Write log lines (to stderr) for people or for programs [default: text]
    #[arg(long, global = true, value_enum, value_name = "FORMAT")]
    pub log_format: Option<Format>,
    /// Write log lines of this level and above [default: info]
    #[arg(long, global = true, value_enum, value_name = "LEVEL")]
    pub log_level: Option<Level>,
    /// Write every record to FILE for replay. It holds the captured bytes of all services: keep it private
    #[arg(long, global = true, value_name = "FILE", help_heading = "Advanced")]
    pub record: Option<PathBuf>,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Measure and serve until told to stop (the default)
    Run,
    /// Say what this host supports and why not; exit 0, 1 (cannot run) or 2 (features off)
    Check {
        /// Answer for people or for programs
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// List every metric with its type, labels and help
    Metrics {
        /// Answer for people or for programs
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
}

impl Cli {
    /// The command that was given, or [`Command::Run`].
    pub fn task(&self) -> Command {
        self.command.unwrap_or(Command::Run)
    }

    /// The settings: defaults, then the file, then the flags.
    pub fn settings(&self) -> Result<Config, ConfigError> {
        // Full destructuring: a new flag does not build until it is applied here.
        let Flags {
            config,
            listen,
            cpu_limit,
            exclude,
            btf,
            probes,
            log_format,
            log_level,
            record: _,
        } = &self.flags;
        let mut settings = config
            .as_deref()
            .map_or_else(|| Ok(Config::default()), Config::load)?;
        settings.listen = listen.unwrap_or(settings.listen);
        settings.cpu_limit_cores = cpu_limit.unwrap_or(settings.cpu_limit_cores);
        if !exclude.is_empty() {
            settings.exclude.clone_from(exclude);
        }
        if btf.is_some() {
            settings.kernel.btf.clone_from(btf);
        }
        settings.kernel.probes = probes.unwrap_or(settings.kernel.probes);
        settings.log.format = log_format.unwrap_or(settings.log.format);
        settings.log.level = log_level.unwrap_or(settings.log.level);
        Ok(settings)
    }
}

/// Writes a command's answer to stdout. A reader that left early (`| head`) is not an error.
pub fn print(text: &str) -> io::Result<()> {
    write_all(io::stdout().lock(), text)
}

fn write_all(mut out: impl io::Write, text: &str) -> io::Result<()> {
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Refuses(ErrorKind);

    impl io::Write for Refuses {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn only_a_reader_that_left_is_no_error() {
        let mut written = Vec::new();
        write_all(&mut written, "line\n").unwrap();
        assert_eq!(written, b"line\n");
        assert!(write_all(Refuses(ErrorKind::BrokenPipe), "line\n").is_ok());
        let full = write_all(Refuses(ErrorKind::StorageFull), "line\n").unwrap_err();
        assert_eq!(full.kind(), ErrorKind::StorageFull);
    }
}
