//! Registers: the arguments and the number of a system call, as the kernel saved them (`struct pt_regs`).

use aya_ebpf::helpers::bpf_probe_read_kernel;

/// Where the words are; both layouts are part of the kernel's user API (ptrace), but for what arm64 keeps behind them.
#[cfg(bpf_target_arch = "x86_64")]
mod layout {
    /// di, si, dx, r10.
    pub(super) const ARGUMENTS: [u64; 4] = [14, 13, 12, 7];
    /// orig_ax.
    pub(super) const NUMBER: u64 = 15;
    /// cs, which is that of 32-bit code in `int 0x80` and `sysenter` (`__USER32_CS`).
    pub(super) const MODE: u64 = 17;
    pub(super) const MODE_MASK: u64 = 0xffff;
    pub(super) const MODE_32_BIT: u64 = 0x23;
}
#[cfg(bpf_target_arch = "aarch64")]
mod layout {
    /// x0 to x3; x0 is the result once the call returns.
    pub(super) const ARGUMENTS: [u64; 4] = [0, 1, 2, 3];
    /// syscallno, behind orig_x0.
    pub(super) const NUMBER: u64 = 35;
    /// pstate, of which a bit is that of 32-bit code (`PSR_MODE32_BIT`).
    pub(super) const MODE: u64 = 33;
    pub(super) const MODE_MASK: u64 = 0x10;
    pub(super) const MODE_32_BIT: u64 = 0x10;
}

/// The registers of a system call.
#[derive(Clone, Copy)]
pub struct Registers(u64);

impl Registers {
    #[inline(always)]
    pub fn new(address: u64) -> Self {
        Self(address)
    }

    #[inline(always)]
    fn word(self, index: u64) -> u64 {
        // SAFETY: the helper checks the address.
        unsafe { bpf_probe_read_kernel((self.0 + 8 * index) as *const u64) }.unwrap_or(0)
    }

    /// One of the first four arguments; zero for others.
    #[inline(always)]
    pub fn argument(self, index: usize) -> u64 {
        match layout::ARGUMENTS.get(index) {
            Some(word) => self.word(*word),
            None => 0,
        }
    }

    /// The call's number. (An `int` on arm64.)
    #[inline(always)]
    pub fn number(self) -> u64 {
        self.word(layout::NUMBER) & 0xffff_ffff
    }

    /// Whether the caller is 32-bit code, whose calls have other numbers.
    #[inline(always)]
    pub fn is_32_bit(self) -> bool {
        self.word(layout::MODE) & layout::MODE_MASK == layout::MODE_32_BIT
    }
}
