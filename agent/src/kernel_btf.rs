//! The running kernel's own description (BTF): field offsets, enumerators, function arities.
//!
//! Format: Documentation/bpf/btf.rst. Read once at start and dropped.

use std::{
    collections::{HashMap, HashSet},
    fs, io,
    path::Path,
};

/// Where the kernel shows its BTF (since 5.4, with `CONFIG_DEBUG_INFO_BTF`).
pub const SYSTEM_PATH: &str = "/sys/kernel/btf/vmlinux";

const MAGIC: u16 = 0xeb9f;
/// Anonymous members are looked into this deep; the kernel nests them about four deep.
const DEPTH_MAX: u32 = 16;

/// Kinds of types, as `btf_type.info` numbers them.
mod kind {
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
    types: Vec<u8>,
    strings: Vec<u8>,
    /// Offset of each type in `types`; type 0 is `void`.
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
        Self::parse(&raw, wanted)
    }

    /// Reads types from the content of such a file.
    ///
    /// # Errors
    /// The content is malformed.
    pub fn parse(raw: &[u8], wanted: &HashSet<String>) -> Result<Self, BtfError> {
        let (types, strings) = sections(raw).ok_or(BtfError::Malformed { at: 0 })?;
        let mut btf = Self {
            types: types.to_vec(),
            strings: strings.to_vec(),
            offsets: vec![0],
            structs: HashMap::new(),
            enums: HashMap::new(),
            functions: HashMap::new(),
            typedefs: HashMap::new(),
        };
        let mut at = 0;
        while at < btf.types.len() {
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
            2 | 7..=12 | 16 | 18 => 0,
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
        let info = u32_at(&self.types, at + 4)?;
        Some(Type {
            name: u32_at(&self.types, at)?,
            kind: info >> 24 & 0x1f,
            length: info & 0xffff,
            bitfields: info >> 31 == 1,
            size_or_type: u32_at(&self.types, at + 8)?,
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
        let from = self.strings.get(at as usize..)?;
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
                let element = self.size_bytes(u32_at(&self.types, this.rest)?)?;
                element.checked_mul(u32_at(&self.types, this.rest + 8)?)
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
            let member_type = u32_at(&self.types, at + 4)?;
            let offset = u32_at(&self.types, at + 8)?;
            let (bits, width) = if owner.bitfields {
                (offset & 0xff_ffff, offset >> 24)
            } else {
                (offset, 0)
            };
            let member = self.text(u32_at(&self.types, at)?)?;
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
            (self.text(u32_at(&self.types, at)?)? == name).then(|| u32_at(&self.types, at + 4))?
        })
    }

    /// The number of arguments of a kernel function.
    pub fn arity(&self, function: &str) -> Option<u32> {
        let function = self.get(*self.functions.get(function)?)?;
        let prototype = self.get(function.size_or_type)?;
        (prototype.kind == kind::FUNC_PROTO).then_some(prototype.length)
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

/// The type and string sections (`struct btf_header`).
fn sections(raw: &[u8]) -> Option<(&[u8], &[u8])> {
    if u16::from_ne_bytes(*raw.first_chunk()?) != MAGIC {
        return None;
    }
    let header = u32_at(raw, 4)? as usize;
    let section = |offset: usize, length: usize| {
        let from = header.checked_add(u32_at(raw, offset)? as usize)?;
        raw.get(from..from.checked_add(u32_at(raw, length)? as usize)?)
    };
    Some((section(8, 12)?, section(16, 20)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A hand-made BTF: `struct outer { int a; struct { int b:3; long c; }; }`, an enum, a function
    /// with two arguments, a tracepoint's typedef.
    fn sample() -> Vec<u8> {
        let mut strings = vec![0];
        let mut string = |text: &str| {
            let at = strings.len() as u32;
            strings.extend(text.as_bytes());
            strings.push(0);
            at
        };
        let names: Vec<u32> = [
            "int",
            "long",
            "outer",
            "a",
            "b",
            "c",
            "colour",
            "RED",
            "GREEN",
            "paint",
            "btf_trace_ping",
        ]
        .iter()
        .map(|name| string(name))
        .collect();
        let mut words: Vec<u32> = Vec::new();
        let info = |kind: u32, length: u32, flag: u32| kind << 24 | length | flag << 31;
        words.extend([names[0], info(1, 0, 0), 4, 32]); // 1 int
        words.extend([names[1], info(1, 0, 0), 8, 64]); // 2 long
        words.extend([0, info(4, 2, 1), 16]); // 3 anonymous
        words.extend([names[4], 1, 3 << 24]);
        words.extend([names[5], 2, 64]);
        words.extend([names[2], info(4, 2, 0), 24]); // 4 outer
        words.extend([names[3], 1, 0]);
        words.extend([0, 3, 64]);
        words.extend([names[6], info(6, 2, 0), 4, names[7], 0, names[8], 7]); // 5 colour
        words.extend([0, info(13, 2, 0), 0, 0, 1, 0, 2]); // 6 prototype
        words.extend([names[9], info(12, 1, 0), 6]); // 7 paint
        words.extend([names[10], info(8, 0, 0), 6]); // 8 typedef
        let types: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        let mut raw = Vec::new();
        raw.extend(MAGIC.to_ne_bytes());
        raw.extend([1, 0]);
        for word in [
            24,
            0,
            types.len() as u32,
            types.len() as u32,
            strings.len() as u32,
        ] {
            raw.extend(word.to_ne_bytes());
        }
        raw.extend(types);
        raw.extend(strings);
        raw
    }

    fn wanted() -> HashSet<String> {
        ["outer", "colour", "paint", "btf_trace_ping"]
            .map(str::to_owned)
            .into()
    }

    #[test]
    fn names_that_nobody_wants_are_not_kept() {
        let btf = KernelBtf::parse(&sample(), &HashSet::new()).unwrap();
        assert_eq!(btf.member("outer", "a"), None);
        assert!(!btf.has_function("paint"));
    }

    #[test]
    fn members_are_found_inside_anonymous_structs() {
        let btf = KernelBtf::parse(&sample(), &wanted()).unwrap();
        assert_eq!(
            btf.member("outer", "a"),
            Some(Member {
                offset_bytes: 0,
                size_bytes: 4
            })
        );
        assert_eq!(
            btf.member("outer", "x|c"),
            Some(Member {
                offset_bytes: 16,
                size_bytes: 8
            })
        );
        assert_eq!(btf.member("outer", "b"), None, "a bit field has no address");
        assert_eq!(btf.member("missing", "a"), None);
    }

    #[test]
    fn enumerators_arities_and_tracepoints() {
        let btf = KernelBtf::parse(&sample(), &wanted()).unwrap();
        assert_eq!(btf.enumerator("colour", "GREEN"), Some(7));
        assert_eq!(btf.enumerator("colour", "BLUE"), None);
        assert_eq!(btf.arity("paint"), Some(2));
        assert!(btf.has_function("paint") && !btf.has_function("ping"));
        assert!(btf.has_tracepoint("ping") && !btf.has_tracepoint("paint"));
    }

    #[test]
    fn cut_or_garbled_files_are_refused_or_read_without_a_panic() {
        let good = sample();
        for length in 0..good.len() {
            let _ = KernelBtf::parse(&good[..length], &wanted());
        }
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0xff;
            if let Ok(btf) = KernelBtf::parse(&bad, &wanted()) {
                btf.member("outer", "c");
                btf.enumerator("colour", "RED");
                btf.arity("paint");
            }
        }
        assert!(matches!(
            KernelBtf::parse(b"\x7fELF", &wanted()),
            Err(BtfError::Malformed { at: 0 })
        ));
    }
}
