//! Unpacks Debian packages into a folder that is laid over the host's files in a guest.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::command::output;

/// Since usrmerge these are links at the top of every supported system. A package that still ships
/// files in /lib would make a real folder, which in an overlay hides all of the host's /lib.
const MERGED: [&str; 4] = ["bin", "lib", "lib64", "sbin"];

/// Unpacks every package of `archives` into `root`, and nothing else: no script of a package runs.
pub(crate) fn unpack_all(archives: &Path, root: &Path) -> Result<()> {
    prepare(root)?;
    for entry in std::fs::read_dir(archives)? {
        let package = entry?.path();
        if package
            .extension()
            .is_some_and(|extension| extension == "deb")
        {
            unpack(&package, root)
                .with_context(|| format!("cannot unpack {}", package.display()))?;
        }
    }
    Ok(())
}

fn prepare(root: &Path) -> Result<()> {
    for name in MERGED {
        let merged = root.join("usr").join(name);
        std::fs::create_dir_all(&merged)
            .with_context(|| format!("cannot make {}", merged.display()))?;
        let link = root.join(name);
        if !link.is_symlink() {
            symlink(format!("usr/{name}"), link)?;
        }
    }
    Ok(())
}

fn unpack(package: &Path, root: &Path) -> Result<()> {
    let mut content = Command::new("dpkg-deb")
        .arg("--fsys-tarfile")
        .arg(package)
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start `dpkg-deb`: guests are made of Debian packages")?;
    let pipe = content.stdout.take().context("dpkg-deb has no output")?;
    output(
        Command::new("tar")
            .args(["-x", "--keep-directory-symlink", "-C"])
            .arg(root)
            .stdin(Stdio::from(pipe)),
    )?;
    if !content.wait()?.success() {
        bail!("it is damaged: delete it and run the command again");
    }
    Ok(())
}
