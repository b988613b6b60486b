//! The command line as a user gives it: parsing, precedence, help.

use clap::{CommandFactory as _, Parser as _};
use sockmeter::cli::{Cli, Command, Flags};
use sockmeter::config::{Config, Format, Level};
use std::io::Write as _;

fn parse(words: &[&str]) -> Result<Cli, clap::Error> {
    Cli::try_parse_from([&["sockmeter"], words].concat())
}

#[test]
fn the_definition_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn no_words_run_with_the_defaults() {
    let cli = parse(&[]).unwrap();
    assert_eq!(
        cli,
        Cli {
            flags: Flags::default(),
            command: None
        }
    );
    assert_eq!(cli.task(), Command::Run);
    assert_eq!(cli.settings().unwrap(), Config::default());
}

#[test]
fn commands_and_their_formats() {
    for (words, task) in [
        (&["run"][..], Command::Run),
        (
            &["check"],
            Command::Check {
                format: Format::Text,
            },
        ),
        (
            &["check", "--format", "json"],
            Command::Check {
                format: Format::Json,
            },
        ),
        (
            &["metrics"],
            Command::Metrics {
                format: Format::Text,
            },
        ),
        (
            &["metrics", "--format=json"],
            Command::Metrics {
                format: Format::Json,
            },
        ),
    ] {
        assert_eq!(parse(words).unwrap().task(), task, "{words:?}");
    }
}

#[test]
fn flags_win_over_the_file() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(
        b"listen = '127.0.0.1:1'\n[log]\nformat = 'json'\nlevel = 'warn'\n[kernel]\nring_bytes = 8192\n",
    )
    .unwrap();
    let path = file.path().to_str().unwrap();

    let from_file = parse(&["--config", path]).unwrap().settings().unwrap();
    assert_eq!(from_file.listen.to_string(), "127.0.0.1:1");
    assert_eq!(
        (from_file.log.format, from_file.log.level),
        (Format::Json, Level::Warn)
    );

    // Flags stand before or after the command.
    for words in [
        [
            "--config",
            path,
            "--listen",
            ":2",
            "--log-format",
            "text",
            "--log-level",
            "debug",
            "run",
        ],
        [
            "run",
            "--config",
            path,
            "--listen",
            ":2",
            "--log-format",
            "text",
            "--log-level",
            "debug",
        ],
    ] {
        let settings = parse(&words).unwrap().settings().unwrap();
        assert_eq!(settings.listen.to_string(), "[::]:2");
        assert_eq!(
            (settings.log.format, settings.log.level),
            (Format::Text, Level::Debug)
        );
        assert_eq!(settings.kernel.ring_bytes, 8192);
    }
}

#[test]
fn a_bad_file_is_named_with_line_and_key() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"[kernel]\nring_bytes = 5000\n").unwrap();
    let path = file.path().to_str().unwrap();
    assert_eq!(
        parse(&["--config", path])
            .unwrap()
            .settings()
            .unwrap_err()
            .to_string(),
        format!("{path}:2:14: kernel.ring_bytes: 5000 is not a power of two; use 4096 or 8192")
    );
}

#[test]
fn usage_errors_exit_2_and_name_the_word() {
    for (words, named) in [
        (
            &["--listen", "localhost"][..],
            "\"localhost\" is not an address and port",
        ),
        (
            &["--log-level", "loud"],
            "[possible values: error, warn, info, debug, trace]",
        ),
        (
            &["--cpu-limit", "half"],
            "\"half\" is not a number of processors",
        ),
        (&["--cpu-limit", "0"], "0 is out of range; use 0.01 to 1024"),
        (&["--exclude", ""], "the name is empty"),
        (&["--log-format", "xml"], "[possible values: text, json]"),
        (&["--verbose"], "unexpected argument '--verbose'"),
        (&["chekc"], "unrecognized subcommand 'chekc'"),
        (
            &["metrics", "--format", "markdown"],
            "[possible values: text, json]",
        ),
    ] {
        let error = parse(words).unwrap_err();
        assert_eq!(
            error.exit_code(),
            i32::from(sockmeter::cli::EXIT_USAGE),
            "{words:?}"
        );
        assert!(error.to_string().contains(named), "{error}");
    }
}

#[test]
fn help_names_every_flag_endpoint_and_exit_code() {
    let help = parse(&["--help"]).unwrap_err();
    assert_eq!(help.exit_code(), 0);
    let help = help.to_string();
    for word in [
        "--config <FILE>",
        "--listen <ADDRESS>",
        "--log-format <FORMAT>",
        "--log-level <LEVEL>",
        "--record <FILE>",
        "check",
        "metrics",
        "/metrics",
        "/health/live",
        "/health/ready",
        ":9435",
        "Exit codes:",
        "CAP_BPF",
    ] {
        assert!(help.contains(word), "{word:?} is not in:\n{help}");
    }
    assert!(
        help.lines().all(|line| line.chars().count() <= 100),
        "a line is too wide:\n{help}"
    );
}

#[test]
fn version_is_the_crates() {
    let version = parse(&["--version"]).unwrap_err();
    assert_eq!(version.exit_code(), 0);
    let version = version.to_string();
    let begins = format!("sockmeter {} (commit ", env!("CARGO_PKG_VERSION"));
    assert!(version.starts_with(&begins), "{version}");
    for part in [", aya 0.", ", object ", ", fallback "] {
        assert!(version.contains(part), "{part:?} is not in {version}");
    }
}
