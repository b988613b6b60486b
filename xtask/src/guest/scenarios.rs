//! What the scripts in `tests/guest` need beside what every guest has: packages, and programs in Go.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::packages;
use crate::arch::Arch;
use crate::command::output;
use crate::paths;
use crate::progress::step;

/// How a script names the packages that it needs, in a line of its own.
const NAMED_BY: &str = "# Packages: ";
/// How Debian's folders of a Go release begin, in `/usr/lib`.
const GO: &str = "go-";

/// The packages that a script names.
pub(super) fn packages_of(script: &str) -> Vec<String> {
    script
        .lines()
        .filter_map(|line| line.strip_prefix(NAMED_BY))
        .flat_map(str::split_whitespace)
        .map(str::to_owned)
        .collect()
}

/// The packages that any script names.
pub(super) fn packages_of_all() -> Result<Vec<String>> {
    let mut packages = Vec::new();
    for script in files_of(&folder(), "sh")? {
        packages.extend(packages_of(&std::fs::read_to_string(script)?));
    }
    Ok(packages)
}

/// Where the Go programs of `tests/guest/programs` are when they are built.
pub(super) fn programs() -> PathBuf {
    paths::guests().join("programs")
}

/// Builds them on the host, where it takes seconds; in a guest, whose processors are emulated, it takes minutes.
pub(super) fn build_programs() -> Result<()> {
    let go = go()?;
    for source in files_of(&folder().join("programs"), "go")? {
        let program = programs().join(source.file_stem().context("a program has no name")?);
        if is_newer(&program, &source) {
            continue;
        }
        step(&format!("building {}", source.display()), || {
            output(
                Command::new(go.join("bin/go"))
                    .env("GOROOT", &go)
                    .env("GOCACHE", paths::guests().join("go-cache"))
                    // Neither modules nor toolchains from the network, and no C library: it runs in any guest.
                    .envs([
                        ("GOTOOLCHAIN", "local"),
                        ("GOPROXY", "off"),
                        ("GO111MODULE", "off"),
                        ("CGO_ENABLED", "0"),
                    ])
                    .arg("build")
                    .arg("-o")
                    .args([&program, &source]),
            )
        })?;
    }
    Ok(())
}

/// Debian's Go: unpacked for guests, or installed on the host and so not unpacked.
fn go() -> Result<PathBuf> {
    for libraries in [
        packages::root(Arch::X86_64).join("usr/lib"),
        PathBuf::from("/usr/lib"),
    ] {
        for entry in std::fs::read_dir(libraries)? {
            let entry = entry?;
            let is_go = entry.file_name().to_string_lossy().starts_with(GO);
            if is_go && entry.path().join("bin/go").is_file() {
                return Ok(entry.path());
            }
        }
    }
    bail!(
        "there is no /usr/lib/{GO}*/bin/go among the guest's packages, though golang-go is one of them"
    )
}

fn folder() -> PathBuf {
    paths::checkout().join("tests/guest")
}

fn files_of(folder: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in
        std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?
    {
        let file = entry?.path();
        if file.extension().is_some_and(|is| is == extension) {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

fn is_newer(program: &Path, source: &Path) -> bool {
    let changed = |file: &Path| std::fs::metadata(file).and_then(|of| of.modified());
    matches!((changed(program), changed(source)), (Ok(built), Ok(written)) if built > written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_names_its_packages() {
        let script = "# What it does.\n# Packages: haproxy caddy\n. tests/guest/lib.sh\n";
        assert_eq!(packages_of(script), ["haproxy", "caddy"]);
        assert!(packages_of("haproxy -f x\n").is_empty());
    }

    #[test]
    fn every_script_is_asked() {
        let all = packages_of_all().unwrap();
        assert!(all.iter().any(|name| name == "golang-go"), "{all:?}");
    }
}
