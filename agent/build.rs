//! Embeds the eBPF object that `cargo xtask build-ebpf` made; without one the agent builds and says so when started.

use std::{env, error::Error, fs, path::PathBuf};

/// `struct elf64_shdr` and where its fields are.
mod section {
    pub(super) const BYTES: usize = 64;
    pub(super) const NAME: usize = 0;
    pub(super) const KIND: usize = 4;
    pub(super) const OFFSET: usize = 24;
    pub(super) const LENGTH: usize = 32;
    pub(super) const ALIGNMENT: usize = 48;
    pub(super) const UNUSED: u32 = 0;
}

/// `struct elf64_hdr`: where the sections' headers begin, how many there are, and which has the names.
mod file {
    pub(super) const BYTES: usize = 64;
    pub(super) const SECTIONS: usize = 40;
    pub(super) const COUNT: usize = 60;
    pub(super) const NAMES: usize = 62;
}

/// Debug information and what only it needs: the kernel reads BTF, which is made of it. Five sixths of the object,
/// which the agent would carry, and take apart at each start.
const NEEDLESS: [&[u8]; 3] = [b".debug_", b".rel.debug_", b".rel.BTF"];

/// Objects, all in one folder: the one that the variable names, and those beside it.
const OBJECTS: [&str; 2] = ["sockmeter", "fallback"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-env-changed=SOCKMETER_EBPF_OBJECT");
    let folder = PathBuf::from(env::var("OUT_DIR")?);
    let object = env::var_os("SOCKMETER_EBPF_OBJECT").map(PathBuf::from);
    for name in OBJECTS {
        let from = object.as_ref().map(|object| object.with_file_name(name));
        embed(from, folder.join(format!("{name}.bpf.o")))?;
    }
    Ok(())
}

/// Puts an object where the agent includes it from; without one, nothing.
fn embed(object: Option<PathBuf>, to: PathBuf) -> Result<(), Box<dyn Error>> {
    let Some(object) = object else {
        return Ok(fs::write(to, [])?);
    };
    println!("cargo::rerun-if-changed={}", object.display());
    let from = object.display();
    let whole = fs::read(&object).map_err(|error| {
        format!("cannot read {from}, which SOCKMETER_EBPF_OBJECT names: {error}")
    })?;
    let lean = without_needless(&whole).ok_or_else(|| {
        format!(
            "{from}, which SOCKMETER_EBPF_OBJECT names, is not a 64-bit little-endian ELF object"
        )
    })?;
    Ok(fs::write(to, lean)?)
}

/// The same object, with needless sections empty. They keep their places, so what refers to a section by its
/// number stays true.
fn without_needless(whole: &[u8]) -> Option<Vec<u8>> {
    let mut lean = whole.get(..file::BYTES)?.to_vec();
    let count = usize::from(u16::from_le_bytes(
        *whole.get(file::COUNT..)?.first_chunk()?,
    ));
    let names = usize::from(u16::from_le_bytes(
        *whole.get(file::NAMES..)?.first_chunk()?,
    ));
    let first = u64_at(whole, file::SECTIONS)?;
    let headers = whole.get(first..first + count * section::BYTES)?;
    let (names, _) = content(whole, headers.get(names * section::BYTES..)?)?;
    let mut new_headers = Vec::new();
    for header in headers.chunks_exact(section::BYTES) {
        let mut header = header.to_vec();
        let name = u32::from_le_bytes(*header.get(section::NAME..)?.first_chunk()?) as usize;
        let name = names.get(name..)?;
        let mut bytes: &[u8] = &[];
        if NEEDLESS.iter().any(|needless| name.starts_with(needless)) {
            let kind = header.get_mut(section::KIND..section::KIND + 4)?;
            kind.copy_from_slice(&section::UNUSED.to_le_bytes());
        } else {
            let alignment;
            (bytes, alignment) = content(whole, &header)?;
            lean.resize(lean.len().next_multiple_of(alignment.max(1)), 0);
        }
        put(&mut header, section::OFFSET, lean.len())?;
        put(&mut header, section::LENGTH, bytes.len())?;
        lean.extend(bytes);
        new_headers.extend(header);
    }
    lean.resize(lean.len().next_multiple_of(8), 0);
    let first = lean.len();
    put(&mut lean, file::SECTIONS, first)?;
    lean.extend(new_headers);
    Some(lean)
}

/// What a section holds, and to what it is aligned.
fn content<'a>(whole: &'a [u8], header: &[u8]) -> Option<(&'a [u8], usize)> {
    let [offset, length] = [section::OFFSET, section::LENGTH].map(|at| u64_at(header, at));
    let offset = offset?;
    Some((
        whole.get(offset..offset + length?)?,
        u64_at(header, section::ALIGNMENT)?,
    ))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<usize> {
    let value = u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?);
    usize::try_from(value).ok()
}

fn put(bytes: &mut [u8], at: usize, value: usize) -> Option<()> {
    let to = bytes.get_mut(at..at + 8)?;
    to.copy_from_slice(&u64::try_from(value).ok()?.to_le_bytes());
    Some(())
}
