//! House rule: unsafe code stays where bytes come out of the kernel, and in the kernel's own programs.

use super::source::{Finding, Source};

/// Files, and folders with all that is in them.
const ALLOWED: [&str; 11] = [
    // One call of the C library that no crate wraps.
    "agent/src/memory.rs",
    "agent/src/records.rs",
    "agent/src/records/",
    // An allocator that counts can only be written with unsafe.
    "agent/tests/http1_allocations.rs",
    // The same, and a clock that valgrind can bear.
    "bench/src/clock.rs",
    "bench/src/counting.rs",
    "ebpf/src/",
    // System calls by their number: it tries those that are forbidden.
    "tests/src/bin/forbidden.rs",
    // One call of fork, which has no safe form.
    "tests/src/bin/holder/fork.rs",
    // The kernel's calls themselves, which safe wrappers choose for their callers.
    "tests/src/bin/io/calls.rs",
    "tests/src/bin/io/calls/",
];

/// Finds unsafe code elsewhere.
pub(crate) fn fenced_in(sources: &[Source]) -> Vec<Finding> {
    let allowed = |source: &Source| ALLOWED.iter().any(|place| source.path.starts_with(place));
    let mut found = Vec::new();
    for source in sources
        .iter()
        .filter(|source| source.is_rust() && !allowed(source))
    {
        for (number, line) in source.code_lines() {
            let mut words = line.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
            if words.any(|word| word == "unsafe") {
                found.push(Finding::new(
                    source,
                    number,
                    format!("no unsafe code here, only in {}", ALLOWED.join(", ")),
                ));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsafe_code_outside_the_fence_is_found() {
        let text = "//! Not unsafe.\nlet a = unsafe { *b };\n";
        assert_eq!(
            fenced_in(&[Source::sample("agent/src/series.rs", text)]).len(),
            1
        );
        assert_eq!(
            fenced_in(&[Source::sample("agent/src/records.rs", text)]).len(),
            0
        );
    }

    #[test]
    fn a_lint_that_denies_it_is_not_it() {
        assert!(
            fenced_in(&[Source::sample(
                "agent/src/lib.rs",
                "#![deny(unsafe_code)]\n"
            )])
            .is_empty()
        );
    }
}
