//! The architectures that sockmeter is built for.

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::paths;

/// An architecture that the agent runs on. Its objects are for that architecture's kernels: registers and numbers of
/// system calls differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arch {
    /// 64-bit x86, Debian's amd64.
    X86_64,
    /// 64-bit ARM, Debian's arm64.
    Aarch64,
}

impl Arch {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::X86_64, Self::Aarch64];

    /// This machine's.
    ///
    /// # Errors
    /// When it is none of them.
    pub fn host() -> Result<Self> {
        let host = std::env::consts::ARCH;
        match Self::ALL.into_iter().find(|arch| arch.name() == host) {
            Some(arch) => Ok(arch),
            None => bail!("sockmeter is built for x86_64 and aarch64, and this machine is {host}"),
        }
    }

    /// As Rust, `uname -m` and aya say it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        }
    }

    /// As Debian says it.
    #[must_use]
    pub fn debian(self) -> &'static str {
        match self {
            Self::X86_64 => "amd64",
            Self::Aarch64 => "arm64",
        }
    }

    /// Rust's name for this architecture with musl, a C library that is linked statically.
    #[must_use]
    pub fn static_target(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64-unknown-linux-musl",
            Self::Aarch64 => "aarch64-unknown-linux-musl",
        }
    }

    /// Where its kernel objects are built.
    pub(crate) fn kernel_target_folder(self) -> PathBuf {
        let folder = paths::kept().join("ebpf");
        match Self::host() {
            Ok(host) if host == self => folder,
            _ => folder.join(self.name()),
        }
    }

    /// Its kernel object; the second one lies beside it.
    #[must_use]
    pub fn kernel_object(self) -> PathBuf {
        self.kernel_target_folder()
            .join("bpfel-unknown-none/release/sockmeter")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_keeps_its_object_where_it_always_was() {
        let host = Arch::host().unwrap();
        assert_eq!(host.kernel_object(), paths::kernel_object());
        let other = Arch::ALL.into_iter().find(|arch| *arch != host).unwrap();
        assert_ne!(other.kernel_object(), paths::kernel_object());
    }
}
