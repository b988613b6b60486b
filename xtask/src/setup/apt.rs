//! Debian packages: installs them on the host, or only downloads them for a guest.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::Install;
use crate::command::{as_root, find, output};
use crate::progress::{say, step};

/// Installs packages on the host, after saying which.
pub(crate) fn install(packages: &[String], allowed: Install) -> Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    let names = packages.join(" ");
    if allowed == Install::Refused {
        bail!(
            "missing packages: {names}; install them with `apt-get install {names}`, or leave out --no-install"
        );
    }
    if find("apt-get").is_none() {
        bail!("missing packages: {names}; there is no apt-get here, so install their like by hand");
    }
    say(&format!("installs on this machine with apt: {names}"));
    step(&format!("installing {names}"), || {
        updating_lists_once(|| {
            let mut command = as_root("env")?;
            command.args([
                "DEBIAN_FRONTEND=noninteractive",
                "apt-get",
                "install",
                "--yes",
                "--quiet",
            ]);
            command.args(["--no-install-recommends", "-o", "DPkg::Lock::Timeout=120"]);
            output(command.args(packages))
        })
    })?;
    Ok(())
}

/// Downloads those of `packages`, and of what they need, that the host does not have. Installs nothing.
pub(crate) fn download_missing(packages: &[String], folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder.join("partial"))?;
    let archives = format!("Dir::Cache::archives={}/", folder.display());
    updating_lists_once(|| {
        let mut command = Command::new("apt-get");
        command.args([
            "install",
            "--download-only",
            "--yes",
            "--quiet",
            "--no-install-recommends",
        ]);
        // Only this folder is written, so neither the lock of the system nor apt's own user is wanted.
        command.args([
            "-o",
            &archives,
            "-o",
            "Debug::NoLocking=1",
            "-o",
            "APT::Sandbox::User=root",
        ]);
        output(command.args(packages))
    })
    .with_context(|| {
        format!(
            "cannot download the guest's packages ({})",
            packages.join(" ")
        )
    })?;
    Ok(())
}

/// A fresh machine has no package lists, an old one has lists whose packages are gone.
fn updating_lists_once(attempt: impl Fn() -> Result<String>) -> Result<String> {
    let first = match attempt() {
        Err(why) => why,
        done => return done,
    };
    let why = first.to_string();
    if ![
        "Unable to locate",
        "no installation candidate",
        "404",
        "Failed to fetch",
    ]
    .iter()
    .any(|sign| why.contains(sign))
    {
        return Err(first);
    }
    step("reading the package lists anew", || {
        output(as_root("apt-get")?.args(["update", "--quiet"]))
    })?;
    attempt()
}

/// An apt that knows another Debian release or architecture, beside and without touching the machine's own.
pub(crate) struct OtherRelease {
    options: Vec<String>,
}

impl OtherRelease {
    /// Sets it up in `folder` with the server that this machine's apt already uses.
    pub(crate) fn new(release: &str, architecture: &str, folder: &Path) -> Result<Self> {
        for part in ["lists/partial", "cache/archives/partial", "parts"] {
            std::fs::create_dir_all(folder.join(part))?;
        }
        let sources = folder.join("sources.list");
        let system =
            std::fs::read_to_string("/etc/os-release").context("cannot read /etc/os-release")?;
        std::fs::write(
            &sources,
            sources_for(release, &host_codename(&system)?, &known_sources()?)?,
        )?;
        // Nothing is installed there.
        let status = folder.join("status");
        std::fs::write(&status, "")?;
        let folder = folder.display();
        let options = [
            format!("APT::Architecture={architecture}"),
            format!("APT::Architectures={architecture}"),
            format!("Dir::State::status={}", status.display()),
            format!("Dir::Etc::sourcelist={}", sources.display()),
            format!("Dir::Etc::sourceparts={folder}/parts"),
            format!("Dir::State::lists={folder}/lists"),
            format!("Dir::Cache={folder}/cache"),
            "APT::Sandbox::User=root".to_owned(),
            "Acquire::Languages=none".to_owned(),
            "Debug::NoLocking=1".to_owned(),
        ];
        Ok(Self {
            options: options.to_vec(),
        })
    }

    /// Reads the release's package lists.
    pub(crate) fn update(&self) -> Result<()> {
        output(
            self.command("apt-get")
                .args(["update", "--quiet", "--error-on=any"]),
        )?;
        Ok(())
    }

    /// The packages whose names begin so. (`apt-cache pkgnames` names those too that are only needed by others.)
    pub(crate) fn names(&self, begins: &str) -> Result<Vec<String>> {
        let begins = format!("^{}", begins.replace('.', "\\."));
        let mut search = self.command("apt-cache");
        let text = output(search.args(["search", "--names-only", &begins]))?;
        let names = text
            .lines()
            .filter_map(|line| line.split_whitespace().next());
        Ok(names.map(str::to_owned).collect())
    }

    /// What a package depends on, by name.
    pub(crate) fn needs(&self, package: &str) -> Result<Vec<String>> {
        let text = output(self.command("apt-cache").args(["depends", package]))?;
        let names = text
            .lines()
            .filter_map(|line| line.trim().strip_prefix("Depends: "));
        Ok(names.map(str::to_owned).collect())
    }

    /// Downloads one package into `folder`.
    pub(crate) fn download(&self, package: &str, folder: &Path) -> Result<()> {
        output(
            self.command("apt-get")
                .args(["download", package])
                .current_dir(folder),
        )?;
        Ok(())
    }

    /// Downloads packages and all that they need into `folder`.
    pub(crate) fn download_with_needs(&self, packages: &[String], folder: &Path) -> Result<()> {
        std::fs::create_dir_all(folder.join("partial"))?;
        let mut command = self.command("apt-get");
        command
            .args([
                "install",
                "--download-only",
                "--yes",
                "--quiet",
                "--no-install-recommends",
                "-o",
            ])
            .arg(format!("Dir::Cache::archives={}/", folder.display()));
        output(command.args(packages))?;
        Ok(())
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.args(self.options.iter().flat_map(|option| ["-o", option]));
        command
    }
}

/// The name of this machine's Debian release.
fn host_codename(os_release: &str) -> Result<String> {
    let field = |name: &str| {
        let value = |line: &str| Some(line.strip_prefix(name)?.trim_matches('"').to_owned());
        os_release.lines().find_map(value)
    };
    let system = field("ID=").unwrap_or_else(|| "unknown".to_owned());
    if system != "debian" {
        bail!(
            "guest kernels are Debian's, and this machine ({system}) has no Debian package server in its apt; \
             run guests on a Debian machine or in a Debian container (bookworm is tested)"
        );
    }
    field("VERSION_CODENAME=").context("/etc/os-release has no VERSION_CODENAME")
}

fn known_sources() -> Result<String> {
    let format = "$(REPO_URI) $(RELEASE) $(COMPONENT)";
    output(Command::new("apt-get").args([
        "indextargets",
        "--format",
        format,
        "Created-By: Packages",
    ]))
    .context("guest kernels come from Debian, through apt")
}

/// One line for the release and one for its security updates.
fn sources_for(release: &str, host: &str, known: &str) -> Result<String> {
    const KEYS: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
    let mut lines: Vec<String> = Vec::new();
    for source in known.lines() {
        let [server, suite, "main"] = source.split_whitespace().collect::<Vec<_>>()[..] else {
            continue;
        };
        let Some(part @ ("" | "-security")) = suite.strip_prefix(host) else {
            continue;
        };
        let options = if Path::new(KEYS).exists() {
            format!("[signed-by={KEYS}] ")
        } else {
            String::new()
        };
        // Neither has security updates of its own.
        let without = release == "sid" || release.ends_with("-backports");
        if without && !part.is_empty() {
            continue;
        }
        lines.push(format!("deb {options}{server} {release}{part} main\n"));
    }
    if lines.is_empty() {
        bail!(
            "apt on this machine has no source for Debian {host} main; add one, guest kernels come from its server"
        );
    }
    lines.dedup();
    Ok(lines.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_release_is_asked_from_the_same_servers() {
        let known = "http://a/debian bookworm main\nhttp://a/debian bookworm-updates main\n\
                     http://a/security bookworm-security main\nhttp://b/other nodistro main\n";
        let sources = sources_for("trixie", "bookworm", known).unwrap();
        let lines: Vec<&str> = sources.lines().collect();
        assert_eq!(lines.len(), 2, "{sources}");
        assert!(lines[0].ends_with("http://a/debian trixie main"));
        assert!(lines[1].ends_with("http://a/security trixie-security main"));
    }

    #[test]
    fn the_unstable_release_and_backports_have_no_security_part() {
        let known = "http://a/debian bookworm main\nhttp://a/security bookworm-security main\n";
        for release in ["sid", "trixie-backports"] {
            let sources = sources_for(release, "bookworm", known).unwrap();
            let want = format!("http://a/debian {release} main\n");
            assert!(sources.lines().count() == 1, "{sources}");
            assert!(sources.ends_with(&want), "{sources}");
        }
    }

    #[test]
    fn a_machine_without_debian_is_told_so() {
        let debian = "ID=debian\nVERSION_CODENAME=bookworm\n";
        assert_eq!(host_codename(debian).unwrap(), "bookworm");
        let why = host_codename("ID=ubuntu\nVERSION_CODENAME=noble\n")
            .unwrap_err()
            .to_string();
        assert!(why.contains("this machine (ubuntu)"), "{why}");
        assert!(sources_for("trixie", "bookworm", "").is_err());
    }
}
