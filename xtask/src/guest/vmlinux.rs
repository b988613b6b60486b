//! Takes the plain kernel out of the compressed one: a guest starts faster from it.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::command::{find, output};

/// Offsets in the setup header of an x86 kernel (Documentation/arch/x86/boot.rst).
const SETUP_SECTORS: usize = 0x1f1;
const PAYLOAD_OFFSET: usize = 0x248;
const PAYLOAD_LENGTH: usize = 0x24c;
const SECTOR: usize = 512;

/// First bytes of the compressed kernel, the program that reads them, and how many bytes the kernel's
/// build appends behind (the plain size; gzip has its own).
const FORMATS: [(&[u8], &str, usize); 4] = [
    (&[0x02, 0x21, 0x4c, 0x18], "lz4", 4),
    (&[0x28, 0xb5, 0x2f, 0xfd], "zstd", 4),
    (&[0xfd, b'7', b'z', b'X'], "xz", 4),
    (&[0x1f, 0x8b], "gzip", 0),
];

/// Writes the plain kernel of `vmlinuz` to `vmlinux`.
pub(crate) fn extract(vmlinuz: &Path, vmlinux: &Path) -> Result<()> {
    let image = std::fs::read(vmlinuz)
        .with_context(|| format!("cannot read the kernel {}", vmlinuz.display()))?;
    let (program, payload) = payload(&image)
        .with_context(|| format!("{} is not a kernel that can be unpacked", vmlinuz.display()))?;
    let packed = vmlinux.with_extension("packed");
    std::fs::write(&packed, payload)
        .with_context(|| format!("cannot write {}; is the disk full?", packed.display()))?;
    let program = find(program).with_context(|| format!("`{program}` is not installed"))?;
    output(
        Command::new(program)
            .args(["-d", "-c"])
            .stdin(Stdio::from(File::open(&packed)?))
            .stdout(Stdio::from(File::create(vmlinux)?)),
    )?;
    std::fs::remove_file(packed)?;
    Ok(())
}

fn payload(image: &[u8]) -> Result<(&'static str, &[u8])> {
    let sectors = match image.get(SETUP_SECTORS).context("it is too short")? {
        0 => 4, // very old kernels leave it empty and mean four
        count => usize::from(*count),
    };
    let start = (sectors + 1) * SECTOR + number(image, PAYLOAD_OFFSET)?;
    let length = number(image, PAYLOAD_LENGTH)?;
    let payload = image.get(start..start + length).context("it is cut off")?;
    for (magic, program, appended) in FORMATS {
        if payload.starts_with(magic) {
            let end = payload.len().saturating_sub(appended);
            return Ok((program, payload.get(..end).unwrap_or_default()));
        }
    }
    bail!(
        "its compression is unknown (first bytes {:x?})",
        payload.get(..4)
    )
}

fn number(image: &[u8], at: usize) -> Result<usize> {
    let bytes = image.get(at..at + 4).context("it is too short")?;
    Ok(u32::from_le_bytes(bytes.try_into()?) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_payload_is_found_without_the_appended_size() {
        let mut image = vec![0_u8; 3 * SECTOR];
        image[SETUP_SECTORS] = 1;
        image[PAYLOAD_OFFSET] = 16;
        image[PAYLOAD_LENGTH] = 10;
        let start = 2 * SECTOR + 16;
        image[start..start + 4].copy_from_slice(&[0x28, 0xb5, 0x2f, 0xfd]);
        let (program, payload) = payload(&image).unwrap();
        assert_eq!((program, payload.len()), ("zstd", 6));
    }

    #[test]
    fn a_file_that_is_no_kernel_is_refused() {
        assert!(payload(b"#!/bin/sh").is_err());
    }
}
