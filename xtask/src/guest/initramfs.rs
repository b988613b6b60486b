//! The guest's first file system: busybox, a few modules, two scripts and the command to run.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::Guest;
use super::cpio::Archive;
use super::kernel::Kernel;
use crate::arch::Arch;
use crate::paths;
use crate::setup::static_busybox;

/// The parts of busybox that `init.sh` uses.
const APPLETS: [&str; 11] = [
    "chmod",
    "cp",
    "ifconfig",
    "insmod",
    "ln",
    "mkdir",
    "mount",
    "route",
    "sh",
    "sleep",
    "switch_root",
];

/// Where the host's files are, seen from the initramfs.
const LOWER: &str = "/lower";

/// The archive for one run.
pub(crate) fn build(guest: &Guest, kernel: &Kernel, packages: &Path) -> Result<Vec<u8>> {
    let mut archive = Archive::default();
    for folder in [
        "bin", "dev", "job", "layers", "lower", "modules", "new", "proc", "sys", "upper",
    ] {
        archive.folder(folder);
    }
    archive.file(
        "bin/busybox",
        &std::fs::read(busybox(guest.arch, packages)?)?,
    );
    for applet in APPLETS {
        archive.link(&format!("bin/{applet}"), "busybox");
    }
    for module in &kernel.modules {
        let name = module
            .file_name()
            .context("a module has no name")?
            .to_string_lossy();
        archive.file(&format!("modules/{name}"), &std::fs::read(module)?);
    }
    archive.file("init", include_bytes!("init.sh"));
    archive.file("job/stage2", include_bytes!("stage2.sh"));
    archive.file(
        "job/settings",
        settings(guest, &paths::checkout(), &[&kernel.tree, packages])?.as_bytes(),
    );
    archive.file("job/command", guest.command.as_bytes());
    Ok(archive.finish())
}

/// The host's, or one of the packages where the host's does not run.
fn busybox(arch: Arch, packages: &Path) -> Result<PathBuf> {
    match arch {
        Arch::X86_64 => {
            static_busybox().context("there is no static busybox; install `busybox-static`")
        }
        Arch::Aarch64 => Ok(packages.join("usr/bin/busybox")),
    }
}

/// Shell variables that both scripts read.
fn settings(guest: &Guest, checkout: &Path, layers: &[&Path]) -> Result<String> {
    let layers: Vec<String> = layers
        .iter()
        .map(|layer| format!("{LOWER}{}", layer.display()))
        .collect();
    let checkout_text = checkout.display().to_string();
    if checkout_text.contains([':', '\'', ',', '\\']) {
        bail!(
            "the checkout's path {checkout_text} has a character that a guest's mount cannot take; move the checkout"
        );
    }
    if checkout.starts_with("/run") || checkout.starts_with("/dev") {
        bail!("the checkout's path {checkout_text} is covered in a guest; move the checkout");
    }
    let in_tmp = [checkout, &paths::cargo_target()]
        .iter()
        .any(|path| path.starts_with("/tmp"));
    let word = |is: bool| if is { "yes" } else { "no" };
    let (keep_tmp, systemd) = (word(in_tmp), word(guest.systemd));
    let layers = layers.join(":");
    Ok(format!(
        "LAYERS='{layers}'\nKEEP_TMP={keep_tmp}\nCHECKOUT='{checkout_text}'\nSYSTEMD={systemd}\nCODE_PORT={}\n",
        guest.arch.code_port()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings_of(checkout: &str, layers: &[&Path]) -> Result<String> {
        settings(&Guest::new("true"), Path::new(checkout), layers)
    }

    #[test]
    fn layers_are_found_among_the_hosts_files() {
        let text = settings_of("/src/it", &[Path::new("/k"), Path::new("/p")]).unwrap();
        assert!(text.contains("LAYERS='/lower/k:/lower/p'"), "{text}");
        assert!(text.contains("CHECKOUT='/src/it'"), "{text}");
    }

    #[test]
    fn a_checkout_in_tmp_stays_visible() {
        let text = settings_of("/tmp/it", &[]).unwrap();
        assert!(text.contains("KEEP_TMP=yes"), "{text}");
    }

    #[test]
    fn a_path_that_mount_would_split_is_refused() {
        assert!(settings_of("/src/a:b", &[]).is_err());
    }
}
