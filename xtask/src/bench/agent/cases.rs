//! The cases, and how each is run.

use std::path::Path;
use std::process::Command;

/// One run of a program.
pub(super) struct Case {
    /// Its key in the file of figures.
    pub(super) name: &'static str,
    pub(super) flags: &'static [&'static str],
    /// Exchanges until the steady state, and those that are measured here and in the guest. There every
    /// instruction is emulated; but they are counted, so few are enough.
    pub(super) warm_up: u32,
    pub(super) exchanges_here: u32,
    exchanges_in_guest: u32,
}

const fn case(name: &'static str, flags: &'static [&'static str]) -> Case {
    Case {
        name,
        flags,
        warm_up: 4096,
        exchanges_here: 300_000,
        exchanges_in_guest: 4096,
    }
}

/// One with many connections, which all have to be used, or to have ended, before it is measured.
const fn many(name: &'static str, flags: &'static [&'static str], warm_up: u32) -> Case {
    Case {
        warm_up,
        ..case(name, flags)
    }
}

/// One whose exchanges are long.
const fn long(name: &'static str, flags: &'static [&'static str], exchanges: u32) -> Case {
    Case {
        // Each connection has to be used before.
        warm_up: if exchanges / 4 > 64 {
            exchanges / 4
        } else {
            64
        },
        exchanges_here: exchanges * 8,
        exchanges_in_guest: exchanges,
        ..case(name, flags)
    }
}

/// What an exchange costs.
pub(super) const CASES: [Case; 23] = [
    case("server", &[]),
    case("server, heads of h2load", &["--head", "h2load"]),
    case("server, heads of a browser", &["--head", "browser"]),
    case("client", &["--ends", "client"]),
    case("both ends", &["--ends", "both"]),
    // Connections that ended are remembered for a while.
    many("server, a connection each", &["--new-connections"], 20_000),
    case("connections 10", &["--connections", "10"]),
    case("connections 100", &["--connections", "100"]),
    case("connections 1,000", &["--connections", "1000"]),
    many("connections 10,000", &["--connections", "10000"], 20_000),
    many("connections 50,000", &["--connections", "50000"], 100_000),
    case(
        "processes 10",
        &["--connections", "2000", "--processes", "10"],
    ),
    case(
        "processes 100",
        &["--connections", "2000", "--processes", "100"],
    ),
    case(
        "processes 1,000",
        &["--connections", "2000", "--processes", "1000"],
    ),
    case(
        "processes 2,000",
        &["--connections", "2000", "--processes", "2000"],
    ),
    case("routes 10", &["--routes", "10"]),
    case("routes 100", &["--routes", "100"]),
    case("routes 10,000", &["--routes", "10000"]),
    case("routes 1,000,000", &["--routes", "1000000"]),
    case("body 0", &["--body-bytes", "0"]),
    long("body 64 KiB", &["--body-bytes", "65536"], 4000),
    long("body 1 MiB", &["--body-bytes", "1048576"], 1000),
    long("body 16 MiB", &["--body-bytes", "16777216"], 100),
];

/// What a scrape costs.
pub(super) const SCRAPES: [Case; 4] = [
    case("scrape 1,000", &["--series", "1000"]),
    case("scrape 10,000", &["--series", "10000"]),
    case("scrape 100,000", &["--series", "100000"]),
    case("scrape 1,000,000", &["--series", "1000000"]),
];

/// More than the agent can take in.
pub(super) const OVERLOADS: [Case; 1] = [case(
    "eight million per second",
    &["--rate", "8000000", "--milliseconds", "100"],
)];

/// What is held for series and connections.
pub(super) const MEMORY: &str = "memory";

/// The cases of the short run.
pub(super) const SMOKE: [&str; 4] = [
    "server",
    "both ends",
    "server, a connection each",
    "scrape 10,000",
];

impl Case {
    /// Runs it here.
    pub(super) fn command(&self, programs: &Path, exchanges: u32) -> Command {
        let mut command = Command::new(programs.join("agent"));
        command.args(self.flags);
        command.args(["--warm-up", &self.warm_up.to_string()]);
        command.args(["--exchanges", &exchanges.to_string()]);
        command
    }

    /// The line that runs it in the guest's shell.
    pub(super) fn in_guest(&self, programs: &Path) -> String {
        let (programs, flags) = (programs.display(), self.flags.join(" "));
        if self.name.starts_with("scrape") {
            // Of a million, building them for the others takes minutes there.
            let library = if self.name == "scrape 1,000,000" {
                "--library sockmeter"
            } else {
                ""
            };
            return format!("'{programs}/scrape' {flags} {library} --rounds 2");
        }
        let (warm_up, exchanges) = (self.warm_up, self.exchanges_in_guest);
        format!("'{programs}/agent' {flags} --warm-up {warm_up} --exchanges {exchanges}")
    }
}
