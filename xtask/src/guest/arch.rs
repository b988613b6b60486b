//! What differs between guests by their architecture; the host is x86-64.

use crate::arch::Arch;

impl Arch {
    /// The one with a name, as `--arch` takes it.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|arch| arch.name() == name)
    }

    /// What is added to a folder's name to tell the architectures apart.
    pub(super) const fn suffix(self) -> &'static str {
        match self {
            Self::X86_64 => "",
            Self::Aarch64 => "-arm64",
        }
    }

    /// The flag of `cargo xtask guest` that asks for it.
    pub(super) const fn flag(self) -> &'static str {
        match self {
            Self::X86_64 => "",
            Self::Aarch64 => " --arch aarch64",
        }
    }

    /// The QEMU that emulates it, and its package.
    pub(crate) const fn emulator(self) -> (&'static str, &'static str) {
        match self {
            Self::X86_64 => ("qemu-system-x86_64", "qemu-system-x86"),
            Self::Aarch64 => ("qemu-system-aarch64", "qemu-system-arm"),
        }
    }

    /// Options of QEMU: the machine, and the port for the exit code, the file `code`, beside that of the console.
    pub(super) fn machine(self, code: &str) -> Vec<(&'static str, String)> {
        match self {
            Self::X86_64 => vec![
                ("-M", "q35".to_owned()),
                ("-cpu", "max".to_owned()),
                ("-serial", "stdio".to_owned()),
                ("-serial", format!("file:{code}")),
            ],
            // `virt` has one port of its own. Pointers signed with QEMU's own hash cost much less than with QARMA.
            Self::Aarch64 => vec![
                ("-M", "virt".to_owned()),
                ("-cpu", "max,pauth-impdef=on".to_owned()),
                ("-serial", "stdio".to_owned()),
                ("-chardev", format!("file,id=code,path={code}")),
                ("-device", "pci-serial,chardev=code".to_owned()),
            ],
        }
    }

    /// The kernel's options that only it has.
    pub(super) const fn kernel_options(self) -> &'static str {
        match self {
            Self::X86_64 => "console=ttyS0 no5lvl tsc=reliable no_timer_check",
            Self::Aarch64 => "console=ttyAMA0",
        }
    }

    /// The port for the exit code, as the guest sees it.
    pub(super) const fn code_port(self) -> &'static str {
        match self {
            Self::X86_64 => "/dev/ttyS1",
            Self::Aarch64 => "/dev/ttyS0",
        }
    }
}
