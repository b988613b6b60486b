//! Runs other programs and turns their failures into messages that say what to do.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, bail};

/// How much of a failed program's last words goes into the error.
const TAIL_LINES: usize = 15;

/// Runs a program whose output the user sees as it comes.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().map_err(|why| not_started(command, &why))?;
    if !status.success() {
        bail!(
            "`{}` failed ({status}); its messages are above",
            shown(command)
        );
    }
    Ok(())
}

/// Runs a program quietly and returns what it printed; its errors go into the message.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().map_err(|why| not_started(command, &why))?;
    let stdout = String::from_utf8_lossy(&stdout).into_owned();
    if !status.success() {
        let said = String::from_utf8_lossy(&stderr);
        let said = if said.trim().is_empty() {
            &stdout
        } else {
            &*said
        };
        bail!(
            "`{}` failed ({status}):\n{}{}",
            shown(command),
            tail(said, TAIL_LINES),
            advice(said)
        );
    }
    Ok(stdout)
}

/// The last lines of a longer text.
pub(crate) fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.trim_end().lines().collect();
    all.get(all.len().saturating_sub(lines)..)
        .unwrap_or_default()
        .join("\n")
}

/// The command line as a person would type it.
pub(crate) fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(OsStr::to_string_lossy)
        .collect::<Vec<_>>()
        .join(" ")
}

/// The full path of a program, looked up as a shell does, and in the folders of the administrator.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

/// Whether this process may do what only root may do.
pub(crate) fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

/// A command that runs as root: as it is for root, through sudo for others.
pub(crate) fn as_root(program: impl AsRef<Path>) -> Result<Command> {
    if is_root() {
        return Ok(Command::new(program.as_ref()));
    }
    let sudo = find("sudo")
        .context("this step needs root and there is no sudo here; run the same command as root")?;
    let mut command = Command::new(sudo);
    command.arg(program.as_ref());
    Ok(command)
}

fn not_started(command: &Command, why: &std::io::Error) -> anyhow::Error {
    let program = command.get_program().to_string_lossy();
    if why.kind() == ErrorKind::NotFound {
        anyhow::anyhow!("cannot start `{program}`: it is not installed or not in PATH")
    } else {
        anyhow::anyhow!("cannot start `{program}`: {why}")
    }
}

/// The three causes that have nothing to do with the program that stumbled over them.
fn advice(said: &str) -> &'static str {
    const CAUSES: [(&str, &str); 6] = [
        (
            "No space left on device",
            "the disk is full: free some space and run the command again",
        ),
        (
            "Could not resolve",
            "no network or no name service: check the connection or the proxy",
        ),
        (
            "Temporary failure resolving",
            "no network or no name service: check the connection or the proxy",
        ),
        (
            "Unable to connect",
            "the package server cannot be reached: check the connection or the proxy",
        ),
        (
            "linker `cc` not found",
            "there is no C compiler: install `gcc` and `libc6-dev`",
        ),
        (
            "Unable to locate package",
            "the package lists do not have it: check apt's sources",
        ),
    ];
    CAUSES
        .iter()
        .find(|(sign, _)| said.contains(sign))
        .map_or("", |(_, advice)| advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_named() {
        let why = run(&mut Command::new("no-such-program"))
            .unwrap_err()
            .to_string();
        assert!(
            why.contains("`no-such-program`: it is not installed"),
            "{why}"
        );
    }

    #[test]
    fn a_full_disk_is_told_apart_from_a_bug() {
        let mut failing = Command::new("sh");
        failing.args(["-c", "echo 'write: No space left on device' >&2; exit 1"]);
        let why = output(&mut failing).unwrap_err().to_string();
        assert!(why.contains("the disk is full"), "{why}");
    }

    #[test]
    fn a_tail_has_the_last_lines() {
        assert_eq!(tail("a\nb\nc\n", 2), "b\nc");
        assert_eq!(tail("a", 2), "a");
    }
}
