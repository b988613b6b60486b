//! The lists of programs agree with each other, and with what the kernel side is built for.

use super::*;
use crate::{host::lockdown::Lockdown, kernel_btf::KernelBtf};
use aya::Endianness;
use sockmeter_abi::call::CALLS;
use std::collections::HashSet;

fn programs() -> impl Iterator<Item = &'static Program> {
    ALL.iter().flat_map(|family| family.all_programs())
}

#[test]
fn every_return_that_is_followed_has_a_counter_of_calls_that_were_missed() {
    let returns = programs().filter(|program| matches!(program.attach, Attach::Exit(_)));
    let mut names: Vec<&str> = returns.map(|program| program.name).collect();
    let mut calls = CALLS.to_vec();
    names.sort_unstable();
    calls.sort_unstable();
    assert_eq!(names, calls);
}

#[test]
fn what_is_essential_can_be_had_in_every_way() {
    for family in ALL {
        let is_needed = family.programs.iter().any(|program| program.essential);
        for way in Wanted::Auto.ways() {
            let programs = family.programs_by(*way);
            assert!(!is_needed || programs.is_some(), "{} {way:?}", family.name);
        }
    }
}

#[test]
fn a_forced_way_is_the_only_one() {
    assert_eq!(
        Wanted::Auto.ways(),
        [Way::Fentry, Way::Kprobe, Way::Tracepoint]
    );
    assert_eq!(Wanted::Fentry.ways(), [Way::Fentry]);
    assert_eq!(Wanted::Kprobe.ways(), [Way::Kprobe]);
    assert_eq!(Wanted::Tracepoint.ways(), [Way::Tracepoint]);
}

#[test]
fn families_without_functions_have_no_ways_to_choose_from() {
    let without: Vec<&str> = ALL
        .iter()
        .filter(|family| !family.has_ways())
        .map(|family| family.name)
        .collect();
    assert_eq!(without, ["process_life", "listeners", "adoption"]);
}

#[test]
fn who_is_not_permitted_is_told_what_may_be_in_the_way() {
    let refused = |errno| chain(&io::Error::from_raw_os_error(errno));
    for word in ["capability", "lockdown", "security module", "seccomp"] {
        assert!(refused(libc::EPERM).contains(word), "{word}");
        assert!(!refused(libc::EINVAL).contains(word), "{word}");
    }
}

fn kernel(lockdown: Lockdown, shows_types: bool) -> Kernel {
    let outline = KernelBtf::parse(crate::kernel_btf::tests::sample(), &HashSet::new()).unwrap();
    Kernel {
        numbers: Vec::new(),
        names: HashSet::new(),
        outline: Btf::parse(&outline.outline(), Endianness::default()).unwrap(),
        lends_storage: true,
        shows_types,
        lockdown,
    }
}

#[test]
fn a_kernel_that_shows_no_types_takes_no_fentry_and_no_walk() {
    let kernel = kernel(Lockdown::None, false);
    let allowed: Vec<&Way> = Wanted::Auto
        .ways()
        .iter()
        .filter(|way| kernel.allows(**way))
        .collect();
    assert_eq!(allowed, [&Way::Kprobe, &Way::Tracepoint]);
    assert!(kernel.keeps_off(&adoption::FAMILY).is_some());
    assert!(kernel.keeps_off(&datagrams::FAMILY).is_none());
}

#[test]
fn confidentiality_leaves_fentry_and_what_reads_by_types() {
    let kernel = kernel(Lockdown::Confidentiality, true);
    let allowed: Vec<&Way> = Wanted::Auto
        .ways()
        .iter()
        .filter(|way| kernel.allows(**way))
        .collect();
    assert_eq!(allowed, [&Way::Fentry]);
    for (family, is_off) in [
        (&datagrams::FAMILY, true),
        (&listeners::FAMILY, true),
        (&socket_io::FAMILY, false),
        (&adoption::FAMILY, false),
    ] {
        assert_eq!(
            kernel.keeps_off(family).is_some(),
            is_off,
            "{}",
            family.name
        );
    }
}
