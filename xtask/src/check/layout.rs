//! House rules about files: their size, their first line, their names.

use super::source::{Finding, Source};

const WARN_LINES: usize = 400;
const FAIL_LINES: usize = 600;
/// Names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 7] = [
    "common", "helper", "helpers", "manager", "misc", "util", "utils",
];

/// A file that one cannot hold in the head is several.
pub(crate) fn sizes(sources: &[Source]) -> Vec<Finding> {
    let counted = sources
        .iter()
        .filter(|source| source.is_rust())
        .map(|source| (source, source.text.lines().count()));
    counted
        .filter(|(_, lines)| *lines > WARN_LINES)
        .map(|(source, lines)| Finding {
            fails: lines > FAIL_LINES,
            ..Finding::new(source, lines, format!("{lines} lines; over {WARN_LINES} is a warning, over {FAIL_LINES} fails: split it"))
        })
        .collect()
}

/// The first thing that a reader sees is what the file is for.
pub(crate) fn first_lines(sources: &[Source]) -> Vec<Finding> {
    let rust = sources.iter().filter(|source| source.is_rust());
    rust.filter(|source| !source.text.starts_with("//! "))
        .map(|source| {
            Finding::new(
                source,
                1,
                "the first line has to be a `//!` comment that says what the file is for",
            )
        })
        .collect()
}

/// A module is `name.rs` and `name/`.
pub(crate) fn no_mod_files(sources: &[Source]) -> Vec<Finding> {
    let is_mod = |source: &&Source| source.path.rsplit('/').next() == Some("mod.rs");
    sources
        .iter()
        .filter(is_mod)
        .map(|source| {
            Finding::new(
                source,
                1,
                "no mod.rs: call it like its folder, beside the folder",
            )
        })
        .collect()
}

/// Files and folders are named after what is in them.
pub(crate) fn telling_names(sources: &[Source]) -> Vec<Finding> {
    let rust = sources.iter().filter(|source| source.is_rust());
    rust.filter_map(|source| {
        let mut parts = source.path.trim_end_matches(".rs").split('/');
        let name = parts.find(|part| EMPTY_NAMES.contains(part))?;
        Some(Finding::new(
            source,
            1,
            format!("`{name}` does not say what is inside"),
        ))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_file_warns_and_a_very_long_one_fails() {
        let file = |lines: usize| Source::sample("a.rs", &"x\n".repeat(lines));
        let found = sizes(&[file(400), file(401), file(601)]);
        assert_eq!(
            found
                .iter()
                .map(|finding| finding.fails)
                .collect::<Vec<_>>(),
            [false, true]
        );
    }

    #[test]
    fn an_attribute_before_the_first_comment_is_found() {
        let found = first_lines(&[
            Source::sample("a.rs", "#![no_std]\n//! Late.\n"),
            Source::sample("b.rs", "//! Good.\n#![no_std]\n"),
            Source::sample("README.md", "# Not Rust\n"),
        ]);
        assert_eq!(found.len(), 1);
        assert_eq!(
            found.first().map(|finding| finding.path.as_str()),
            Some("a.rs")
        );
    }

    #[test]
    fn mod_files_are_found() {
        assert_eq!(
            no_mod_files(&[
                Source::sample("agent/src/export/mod.rs", ""),
                Source::sample("a/mod_x.rs", "")
            ])
            .len(),
            1
        );
    }

    #[test]
    fn empty_names_are_found() {
        let paths = [
            "agent/src/utils.rs",
            "agent/src/common/a.rs",
            "agent/src/commoner.rs",
        ];
        assert_eq!(
            telling_names(&paths.map(|path| Source::sample(path, ""))).len(),
            2
        );
    }
}
