//! A hand-made kernel description, whole, cut and garbled.

use super::*;

/// A hand-made BTF: `struct outer { int a; struct { int b:3; long c; }; }`, an enum, a function
/// with two arguments, a tracepoint's typedef.
pub(crate) fn sample() -> Vec<u8> {
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
    let btf = KernelBtf::parse(sample(), &HashSet::new()).unwrap();
    assert_eq!(btf.member("outer", "a"), None);
    assert!(!btf.has_function("paint"));
}

#[test]
fn members_are_found_inside_anonymous_structs() {
    let btf = KernelBtf::parse(sample(), &wanted()).unwrap();
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
    let btf = KernelBtf::parse(sample(), &wanted()).unwrap();
    assert_eq!(btf.enumerator("colour", "GREEN"), Some(7));
    assert_eq!(btf.enumerator("colour", "BLUE"), None);
    assert_eq!(btf.arity("paint"), Some(2));
    assert!(btf.has_function("paint") && !btf.has_function("ping"));
    assert!(btf.has_tracepoint("ping") && !btf.has_tracepoint("paint"));
}

#[test]
fn an_outline_has_what_was_wanted_under_the_same_numbers() {
    let outline = KernelBtf::parse(sample(), &wanted()).unwrap().outline();
    let everything = |names: [&str; 4]| names.map(str::to_owned).into();
    let names = ["outer", "colour", "paint", "btf_trace_ping"];
    let btf = KernelBtf::parse(outline, &everything(names)).unwrap();
    assert_eq!(btf.functions, [("paint".to_owned(), 7)].into());
    assert_eq!(btf.typedefs, [("btf_trace_ping".to_owned(), 8)].into());
    assert!(btf.structs.is_empty() && btf.enums.is_empty());
}

#[test]
fn cut_or_garbled_files_are_refused_or_read_without_a_panic() {
    let good = sample();
    for length in 0..good.len() {
        let _ = KernelBtf::parse(good[..length].to_vec(), &wanted());
    }
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0xff;
        if let Ok(btf) = KernelBtf::parse(bad, &wanted()) {
            btf.member("outer", "c");
            btf.enumerator("colour", "RED");
            btf.arity("paint");
            btf.outline();
        }
    }
    assert!(matches!(
        KernelBtf::parse(b"\x7fELF".to_vec(), &wanted()),
        Err(BtfError::Malformed { at: 0 })
    ));
}
