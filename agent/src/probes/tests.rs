//! The lists of programs agree with each other, and with what the kernel side is built for.

use super::*;

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
