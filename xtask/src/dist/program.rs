//! Whether a program may be handed out: small, static, stripped, and with nothing of this machine in it.

use anyhow::{Context, Result, bail};

use crate::arch::Arch;
use crate::build::machine_paths;
use crate::setup::rust::Toolchain;

/// Larger, it would be felt where agents are copied to many hosts.
const BYTES_MAX: usize = 12_000_000;

/// `struct elf64_hdr`: which machine it is for, and where the tables of segments and sections are.
mod header {
    pub(super) const MACHINE: usize = 18;
    pub(super) const SEGMENTS: usize = 32;
    pub(super) const SECTIONS: usize = 40;
    pub(super) const SEGMENT_COUNT: usize = 56;
    pub(super) const SECTION_COUNT: usize = 60;
}

/// Bytes of `struct elf64_phdr`; its first four are its type.
const SEGMENT_BYTES: usize = 56;
/// `PT_INTERP`: names the loader of a program that is not static.
const INTERPRETER: u32 = 3;
/// Bytes of `struct elf64_shdr`, and where its type is.
const SECTION_BYTES: usize = 64;
const SECTION_TYPE: usize = 4;
/// `SHT_SYMTAB`: symbols that only debuggers need.
const SYMBOLS: u32 = 2;

/// Refuses what must not be handed out.
pub(super) fn fit(program: &[u8], arch: Arch) -> Result<()> {
    if program.len() > BYTES_MAX {
        bail!(
            "it has {} bytes, and {BYTES_MAX} are the most",
            program.len()
        );
    }
    is_of(program, arch)?;
    for (folder, _) in machine_paths(&Toolchain::active()) {
        let path = folder.display().to_string();
        if holds(program, path.as_bytes()) {
            bail!("it holds {path}, a path of this machine");
        }
    }
    Ok(())
}

/// Refuses what is not a static, stripped ELF program of that architecture.
fn is_of(program: &[u8], arch: Arch) -> Result<()> {
    const CUT_OFF: &str = "it is no whole ELF program";
    if !program.starts_with(b"\x7fELF\x02\x01") {
        bail!("it is no 64-bit little-endian ELF program");
    }
    if u16_at(program, header::MACHINE).context(CUT_OFF)? != machine(arch) {
        bail!("it is not for {}", arch.name());
    }
    let segments = table(
        program,
        [header::SEGMENTS, header::SEGMENT_COUNT],
        SEGMENT_BYTES,
    );
    for segment in segments.context(CUT_OFF)? {
        if u32_at(segment, 0).context(CUT_OFF)? == INTERPRETER {
            bail!("it is not static: it needs a loader");
        }
    }
    let sections = table(
        program,
        [header::SECTIONS, header::SECTION_COUNT],
        SECTION_BYTES,
    );
    for section in sections.context(CUT_OFF)? {
        if u32_at(section, SECTION_TYPE).context(CUT_OFF)? == SYMBOLS {
            bail!("it is not stripped");
        }
    }
    Ok(())
}

/// `EM_X86_64`, `EM_AARCH64`.
fn machine(arch: Arch) -> u16 {
    match arch {
        Arch::X86_64 => 62,
        Arch::Aarch64 => 183,
    }
}

fn holds(program: &[u8], part: &[u8]) -> bool {
    program.windows(part.len()).any(|window| window == part)
}

/// A table of entries of that size, of which two fields of the header say where it is and how many it has.
fn table(
    program: &[u8],
    [start, count]: [usize; 2],
    entry_bytes: usize,
) -> Option<impl Iterator<Item = &[u8]>> {
    let start = u64::from_le_bytes(*program.get(start..)?.first_chunk()?);
    let start = usize::try_from(start).ok()?;
    let bytes = usize::from(u16_at(program, count)?) * entry_bytes;
    let entries = program.get(start..start.checked_add(bytes)?)?;
    Some(entries.chunks_exact(entry_bytes))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A program for x86-64 with one segment and one section of these types, and something at its end.
    fn program(segment: u32, section: u32, end: &str) -> Vec<u8> {
        let mut program = b"\x7fELF\x02\x01".to_vec();
        program.resize(64, 0);
        program[header::MACHINE] = 62;
        program[header::SEGMENTS] = 64;
        program[header::SEGMENT_COUNT] = 1;
        program[header::SECTIONS] = 120;
        program[header::SECTION_COUNT] = 1;
        program.extend(segment.to_le_bytes());
        program.resize(120 + SECTION_TYPE, 0);
        program.extend(section.to_le_bytes());
        program.resize(120 + SECTION_BYTES, 0);
        program.extend(end.as_bytes());
        program
    }

    fn refused(program: &[u8], arch: Arch) -> String {
        fit(program, arch).unwrap_err().to_string()
    }

    #[test]
    fn a_static_stripped_program_is_fit() {
        fit(&program(1, 1, "/usr/lib"), Arch::X86_64).unwrap();
    }

    #[test]
    fn what_must_not_be_handed_out_is_told() {
        let good = program(1, 1, "");
        assert!(refused(&program(INTERPRETER, 1, ""), Arch::X86_64).contains("not static"));
        assert!(refused(&program(1, SYMBOLS, ""), Arch::X86_64).contains("not stripped"));
        assert!(refused(&good, Arch::Aarch64).contains("not for aarch64"));
        assert!(refused(&good[..100], Arch::X86_64).contains("no whole ELF"));
        let checkout = crate::paths::checkout().display().to_string();
        assert!(refused(&program(1, 1, &checkout), Arch::X86_64).contains(&checkout));
        let mut large = good;
        large.resize(BYTES_MAX + 1, 0);
        assert!(refused(&large, Arch::X86_64).contains("are the most"));
    }
}
