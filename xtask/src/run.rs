//! Starts the agent on this machine.

use std::convert::Infallible;
use std::os::unix::process::CommandExt;

use anyhow::{Result, bail};

use crate::command::as_root;
use crate::paths;
use crate::progress::say;
use crate::setup::Install;

const DEFAULT_PORT: &str = "9435";

/// Builds the agent and becomes it. Returns only when that fails.
///
/// # Errors
/// When something is missing, a build fails, or the agent cannot be started.
pub fn run(install: Install, flags: &[String]) -> Result<Infallible> {
    crate::build::agent(install)?;
    let only_asks = flags
        .iter()
        .any(|flag| ["--help", "-h", "--version", "-V"].contains(&flag.as_str()));
    let mut agent = as_root(paths::agent())?;
    if !only_asks {
        say(&format!(
            "metrics will be at {} (Ctrl-C ends the agent)",
            url(flags)
        ));
    }
    let why = agent.args(flags).exec();
    bail!("cannot start {}: {why}", paths::agent().display());
}

/// Where the agent answers, by its `--listen`.
fn url(flags: &[String]) -> String {
    let with_value = flags.iter().find_map(|flag| flag.strip_prefix("--listen="));
    let next = || {
        flags
            .iter()
            .skip_while(|flag| *flag != "--listen")
            .nth(1)
            .map(String::as_str)
    };
    let listen = with_value.or_else(next).unwrap_or(DEFAULT_PORT);
    let (host, port) = listen.rsplit_once(':').unwrap_or(("", listen));
    let host = if matches!(host, "" | "0.0.0.0" | "[::]") {
        "127.0.0.1"
    } else {
        host
    };
    format!("http://{host}:{port}/metrics")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_follows_the_flag() {
        let url = |flags: &[&str]| {
            url(&flags
                .iter()
                .map(|flag| (*flag).to_owned())
                .collect::<Vec<_>>())
        };
        assert_eq!(url(&[]), "http://127.0.0.1:9435/metrics");
        assert_eq!(
            url(&["--listen", "0.0.0.0:80"]),
            "http://127.0.0.1:80/metrics"
        );
        assert_eq!(url(&["--listen=[::1]:81"]), "http://[::1]:81/metrics");
    }
}
