//! The running kernel's own description (BTF): field offsets, enumerators, function arities.
//!
//! Format: Documentation/bpf/btf.rst. Read once at start and dropped; the programs are attached by an outline of it.

#[cfg(test)]
pub(crate) mod tests;

use std::{
    collections::{HashMap, HashSet},
    fs, io,
    ops::Range,
    path::Path,
};

/// Where the kernel shows its BTF (since 5.4, with `CONFIG_DEBUG_INFO_BTF`).
pub const SYSTEM_PATH: &str = "/sys/kernel/btf/vmlinux";

const MAGIC: u16 = 0xeb9f;
const VERSION: u8 = 1;
const HEADER_BYTES: u32 = 24;
/// Anonymous members are looked into this deep; the kernel nests them about four deep.
const DEPTH_MAX: u32 = 16;

/// Kinds of types, as `btf_type.info` numbers them.
mod kind {
    /// What stands in an outline for what nobody wanted.
    pub(super) const NONE: u32 = 0;
    pub(super) const INT: u32 = 1;
    pub(super) const PTR: u32 = 2;
    pub(super) const ARRAY: u32 = 3;
    pub(super) const STRUCT: u32 = 4;
    pub(super) const UNION: u32 = 5;
    pub(super) const ENUM: u32 = 6;
    pub(super) const TYPEDEF: u32 = 8;
    pub(super) const VOLATILE: u32 = 9;
    pub(super) const CONST: u32 = 10;
    pub(super) const RESTRICT: u32 = 11;
    pub(super) const FUNC: u32 = 12;
    pub(super) const FUNC_PROTO: u32 = 13;
    pub(super) const VAR: u32 = 14;
    pub(super) const DATASEC: u32 = 15;
    pub(super) const DECL_TAG: u32 = 17;
    pub(super) const TYPE_TAG: u32 = 18;
    pub(super) const ENUM64: u32 = 19;
}

/// Why a kernel's BTF cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BtfError {
    /// The file cannot be read.
    #[error("cannot read the kernel's type information {path}: {source}")]
    Read {
        /// Which file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// The file is not BTF, or of a version that is not known.
    #[error("the kernel's type information is malformed at byte {at}")]
    Malformed {
        /// Offset in the file.
        at: usize,
    },
}

/// A kernel's types.
pub struct KernelBtf {
    raw: Vec<u8>,
    /// Where the descriptions are.
    types: Range<usize>,
    /// Where the names are.
    strings: Range<usize>,
    /// Offset in `raw` of each type; type 0 is `void`.
    offsets: Vec<u32>,
    structs: HashMap<String, u32>,
    enums: HashMap<String, u32>,
    functions: HashMap<String, u32>,
    typedefs: HashMap<String, u32>,
}

/// A member of a struct.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// From the start of the struct.
    pub offset_bytes: u32,
    /// Of the member itself.
    pub size_bytes: u32,
}

/// One type's header.
struct Type {
    name: u32,
    kind: u32,
    length: u32,
    bitfields: bool,
    size_or_type: u32,
    /// Where what follows the header begins.
    rest: usize,
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes
        .get(at..at + 4)?
        .first_chunk()
        .map(|chunk| u32::from_ne_bytes(*chunk))
}

impl KernelBtf {
    /// Reads the running kernel's types, or those of a file with the same layout. Of over 100,000 names
    /// only the `wanted` ones are kept, whatever they name; tracepoints are wanted as `btf_trace_NAME`.
    ///
    /// # Errors
    /// The file is missing (a kernel without `CONFIG_DEBUG_INFO_BTF`) or malformed.
    pub fn open(path: &Path, wanted: &HashSet<String>) -> Result<Self, BtfError> {
        let raw = fs::read(path).map_err(|source| BtfError::Read {
            path: path.display().to_string(),
            source,
        })?;
        Self::parse(raw, wanted)
    }

    /// Reads types from the content of such a file.
    ///
    /// # Errors
    /// The content is malformed.
    pub fn parse(raw: Vec<u8>, wanted: &HashSet<String>) -> Result<Self, BtfError> {
        let (types, strings) = sections(&raw).ok_or(BtfError::Malformed { at: 0 })?;
        let mut at = types.start;
        let mut btf = Self {
            raw,
            types,
            strings,
            offsets: vec![0],
            structs: HashMap::new(),
            enums: HashMap::new(),
            functions: HashMap::new(),
            typedefs: HashMap::new(),
        };
        while at < btf.types.end {
            let next = btf.index(at, wanted).ok_or(BtfError::Malformed { at })?;
            at = next;
        }
        Ok(btf)
    }

    /// Notes the type at `at`; tells where the next one begins.
    fn index(&mut self, at: usize, wanted: &HashSet<String>) -> Option<usize> {
        let id = u32::try_from(self.offsets.len()).ok()?;
        let this = self.header(at)?;
        let length = this.length as usize;
        let size = match this.kind {
            kind::INT | kind::VAR | kind::DECL_TAG => 4,
            kind::ARRAY => 12,
            kind::STRUCT | kind::UNION | kind::DATASEC | kind::ENUM64 => 12 * length,
            kind::ENUM | kind::FUNC_PROTO => 8 * length,
            kind::NONE | 2 | 7..=12 | 16 | 18 => 0,
            _ => return None,
        };
        let name = self.text(this.name)?;
        if let Some(name) = wanted.get(name).cloned() {
            let table = match this.kind {
                kind::STRUCT | kind::UNION if length > 0 => Some(&mut self.structs),
                kind::ENUM | kind::ENUM64 => Some(&mut self.enums),
                kind::FUNC => Some(&mut self.functions),
                kind::TYPEDEF => Some(&mut self.typedefs),
                _ => None,
            };
            if let Some(table) = table {
                table.entry(name).or_insert(id);
            }
        }
        self.offsets.push(u32::try_from(at).ok()?);
        Some(this.rest + size)
    }

    fn header(&self, at: usize) -> Option<Type> {
        let types = self.raw.get(..self.types.end)?;
        let info = u32_at(types, at + 4)?;
        Some(Type {
            name: u32_at(types, at)?,
            kind: info >> 24 & 0x1f,
            length: info & 0xffff,
            bitfields: info >> 31 == 1,
            size_or_type: u32_at(types, at + 8)?,
            rest: at + 12,
        })
    }

    fn get(&self, id: u32) -> Option<Type> {
        if id == 0 {
            return None;
        }
        self.header(*self.offsets.get(id as usize)? as usize)
    }

    fn text(&self, at: u32) -> Option<&str> {
        let strings = self.raw.get(self.strings.clone())?;
        let from = strings.get(at as usize..)?;
        let end = from.iter().position(|byte| *byte == 0)?;
        // Names are C identifiers; what is not text is nobody's name.
        Some(str::from_utf8(from.get(..end)?).unwrap_or_default())
    }

    /// The type behind typedefs and qualifiers.
    fn resolve(&self, mut id: u32) -> Option<Type> {
        for _ in 0..DEPTH_MAX {
            let this = self.get(id)?;
            match this.kind {
                kind::TYPEDEF | kind::VOLATILE | kind::CONST | kind::RESTRICT | kind::TYPE_TAG => {
                    id = this.size_or_type;
                }
                _ => return Some(this),
            }
        }
        None
    }

    fn size_bytes(&self, id: u32) -> Option<u32> {
        let this = self.resolve(id)?;
        match this.kind {
            kind::PTR => Some(8),
            kind::ARRAY => {
                let element = self.size_bytes(u32_at(&self.raw, this.rest)?)?;
                element.checked_mul(u32_at(&self.raw, this.rest + 8)?)
            }
            kind::INT | kind::STRUCT | kind::UNION | kind::ENUM | kind::ENUM64 => {
                Some(this.size_or_type)
            }
            _ => None,
        }
    }

    /// The member `name` of a struct or union, looked for inside anonymous members too.
    fn step(&self, owner: &Type, name: &str, depth: u32) -> Option<(u32, u32)> {
        if !matches!(owner.kind, kind::STRUCT | kind::UNION) || depth == 0 {
            return None;
        }
        (0..owner.length as usize).find_map(|index| {
            let at = owner.rest + 12 * index;
            let member_type = u32_at(&self.raw, at + 4)?;
            let offset = u32_at(&self.raw, at + 8)?;
            let (bits, width) = if owner.bitfields {
                (offset & 0xff_ffff, offset >> 24)
            } else {
                (offset, 0)
            };
            let member = self.text(u32_at(&self.raw, at)?)?;
            if member == name {
                // A bit field has no address.
                return (width == 0 && bits % 8 == 0).then_some((bits / 8, member_type));
            }
            if !member.is_empty() {
                return None;
            }
            let (inner, found) = self.step(&self.resolve(member_type)?, name, depth - 1)?;
            Some((bits / 8 + inner, found))
        })
    }

    /// A member of a struct by its path (`msg_iter.count`); alternatives are separated by `|`, and
    /// the first that exists is taken.
    pub fn member(&self, owner: &str, paths: &str) -> Option<Member> {
        paths.split('|').find_map(|path| {
            let mut at = *self.structs.get(owner)?;
            let mut offset_bytes = 0;
            for name in path.split('.') {
                let (offset, found) = self.step(&self.resolve(at)?, name, DEPTH_MAX)?;
                offset_bytes += offset;
                at = found;
            }
            Some(Member {
                offset_bytes,
                size_bytes: self.size_bytes(at)?,
            })
        })
    }

    /// The value of an enumerator, by its enum's name and its own.
    pub fn enumerator(&self, owner: &str, name: &str) -> Option<u32> {
        let this = self.get(*self.enums.get(owner)?)?;
        let step = if this.kind == kind::ENUM64 { 12 } else { 8 };
        (0..this.length as usize).find_map(|index| {
            let at = this.rest + step * index;
            (self.text(u32_at(&self.raw, at)?)? == name).then(|| u32_at(&self.raw, at + 4))?
        })
    }

    /// The number of arguments of a kernel function.
    pub fn arity(&self, function: &str) -> Option<u32> {
        let function = self.get(*self.functions.get(function)?)?;
        let prototype = self.get(function.size_or_type)?;
        (prototype.kind == kind::FUNC_PROTO).then_some(prototype.length)
    }

    /// BTF with the functions and tracepoints that were wanted, under the numbers that they have in the kernel's, and
    /// nothing else: a hundredth of its names, so that looking a few of them up does not take the whole of it apart again.
    pub fn outline(&self) -> Vec<u8> {
        let named = self.functions.iter().chain(&self.typedefs);
        let mut named: Vec<(u32, &str)> = named.map(|(name, id)| (*id, name.as_str())).collect();
        named.sort_unstable();
        let count = named.last().map_or(0, |(id, _)| *id);
        let (mut types, mut strings) = (vec![0; 12 * count as usize], vec![0]);
        for (id, name) in named {
            let at = 12 * (id as usize).saturating_sub(1);
            let (Some(to), Some(this)) = (types.get_mut(at..at + 12), self.get(id)) else {
                continue;
            };
            let name_at = u32::try_from(strings.len()).unwrap_or(0);
            strings.extend(name.bytes().chain([0]));
            for (to, word) in to.chunks_exact_mut(4).zip([name_at, this.kind << 24, 0]) {
                to.copy_from_slice(&word.to_ne_bytes());
            }
        }
        let length = |section: &[u8]| u32::try_from(section.len()).unwrap_or(0);
        let mut raw: Vec<u8> = MAGIC
            .to_ne_bytes()
            .into_iter()
            .chain([VERSION, 0])
            .collect();
        let of_sections = [0, length(&types), length(&types), length(&strings)];
        for word in [HEADER_BYTES].into_iter().chain(of_sections) {
            raw.extend(word.to_ne_bytes());
        }
        raw.extend(types);
        raw.extend(strings);
        raw
    }

    /// Does the kernel have this function, so that a program can be attached to it?
    pub fn has_function(&self, function: &str) -> bool {
        self.functions.contains_key(function)
    }

    /// Does the kernel have this tracepoint?
    pub fn has_tracepoint(&self, tracepoint: &str) -> bool {
        self.typedefs
            .contains_key(&format!("btf_trace_{tracepoint}"))
    }
}

/// Where the type and string sections are (`struct btf_header`).
fn sections(raw: &[u8]) -> Option<(Range<usize>, Range<usize>)> {
    if u16::from_ne_bytes(*raw.first_chunk()?) != MAGIC {
        return None;
    }
    let header = u32_at(raw, 4)? as usize;
    let section = |offset: usize, length: usize| {
        let from = header.checked_add(u32_at(raw, offset)? as usize)?;
        let section = from..from.checked_add(u32_at(raw, length)? as usize)?;
        raw.get(section.clone()).map(|_| section)
    };
    Some((section(8, 12)?, section(16, 20)?))
}
