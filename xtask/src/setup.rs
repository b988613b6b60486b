//! Finds out which tools are missing, says so, and gets them.

pub(crate) mod apt;
pub(crate) mod rust;

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::arch::Arch;
use crate::command::find;

/// Whether a command may install what it needs on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Install {
    /// Missing parts are named, then installed.
    Allowed,
    /// Missing parts are named in an error.
    Refused,
}

impl Install {
    /// From the flag `--no-install`.
    #[must_use]
    pub fn unless(no_install: bool) -> Self {
        if no_install {
            Self::Refused
        } else {
            Self::Allowed
        }
    }
}

/// Everything on the host that guests need, as (how to see that it is there, package).
pub(crate) fn guest_tools(arch: Arch, install: Install) -> Result<()> {
    const PROGRAMS: [(&str, &str); 7] = [
        ("setpriv", "util-linux"),
        ("depmod", "kmod"),
        ("lz4", "lz4"),
        ("zstd", "zstd"),
        ("xz", "xz-utils"),
        ("tar", "tar"),
        ("dpkg-deb", "dpkg"),
    ];
    let mut missing: Vec<String> = PROGRAMS
        .iter()
        .chain([&arch.emulator()])
        .filter(|(program, _)| find(program).is_none())
        .map(|(_, package)| (*package).to_owned())
        .collect();
    if static_busybox().is_none() {
        missing.push("busybox-static".to_owned());
    }
    if Virtiofsd::find().is_none() {
        missing.push(virtiofsd_package());
    }
    apt::install(&missing, install)
}

/// A busybox that runs where there is nothing else.
pub(crate) fn static_busybox() -> Option<PathBuf> {
    const LOADER: &[u8] = b"/lib64/ld-linux";
    let file = find("busybox")?;
    let content = std::fs::read(&file).ok()?;
    let dynamic = content
        .windows(LOADER.len())
        .take(4096)
        .any(|part| part == LOADER);
    (!dynamic).then_some(file)
}

/// The server that shares the host's files with a guest; two programs of that name are around.
pub(crate) enum Virtiofsd {
    /// QEMU's own, in C, with QEMU up to 7.2.
    InC(PathBuf),
    /// Its successor, in Rust.
    InRust(PathBuf),
}

impl Virtiofsd {
    pub(crate) fn find() -> Option<Self> {
        let exists = |path: &str| Path::new(path).is_file().then(|| PathBuf::from(path));
        exists("/usr/lib/qemu/virtiofsd")
            .map(Self::InC)
            .or_else(|| {
                exists("/usr/libexec/virtiofsd")
                    .or_else(|| find("virtiofsd"))
                    .map(Self::InRust)
            })
    }
}

/// Newer releases have it in a package of its own.
fn virtiofsd_package() -> String {
    let known =
        crate::command::output(std::process::Command::new("apt-cache").args(["show", "virtiofsd"]));
    if known.is_ok_and(|text| !text.is_empty()) {
        "virtiofsd"
    } else {
        "qemu-system-common"
    }
    .to_owned()
}
