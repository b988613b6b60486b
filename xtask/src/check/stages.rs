//! House rule: data flows one way, so a stage names no later one.

use super::source::{Finding, Source};

/// The stages in the order of the flow.
pub(crate) const STAGES: [&str; 7] = [
    "records",
    "connections",
    "protocol",
    "exchanges",
    "identity",
    "series",
    "export",
];

/// Finds stages that name a later stage.
pub(crate) fn order(sources: &[Source]) -> Vec<Finding> {
    sources.iter().flat_map(later_names).collect()
}

/// The stage that a file is part of, and how the file names the crate's top.
fn stage(path: &str) -> Option<(usize, &'static [&'static str])> {
    let inside = path.strip_prefix("agent/src/")?.strip_suffix(".rs")?;
    let mut parts = inside.split('/');
    let name = parts.next()?;
    let tops: &[&str] = match parts.count() {
        0 => &["crate::", "super::"],
        1 => &["crate::", "super::super::"],
        _ => &["crate::"],
    };
    Some((STAGES.iter().position(|stage| *stage == name)?, tops))
}

fn later_names(source: &Source) -> Vec<Finding> {
    let Some((own, tops)) = stage(&source.path) else {
        return Vec::new();
    };
    // A `use` may go over several lines, so the code is searched as one text.
    let code: String = source
        .code_lines()
        .into_iter()
        .map(|(_, line)| line + "\n")
        .collect();
    let mut found = Vec::new();
    for top in tops {
        for (at, _) in code.match_indices(top) {
            let rest = code.get(at + top.len()..).unwrap_or_default();
            let before = code.get(..at).unwrap_or_default();
            if before.ends_with(|last: char| last.is_alphanumeric() || ":_$".contains(last)) {
                continue;
            }
            let line = before.matches('\n').count() + 1;
            for name in first_names(rest) {
                if STAGES.iter().skip(own + 1).any(|stage| *stage == name) {
                    let own = STAGES.get(own).copied().unwrap_or_default();
                    found.push(Finding::new(
                        source,
                        line,
                        format!("stage `{own}` names the later stage `{name}`"),
                    ));
                }
            }
        }
    }
    found
}

/// `a::b` -> a; `{a, b::{c, d}}` -> a, b.
fn first_names(path: &str) -> Vec<&str> {
    let name = |text: &'_ str| -> usize {
        text.find(|c: char| !c.is_alphanumeric() && c != '_')
            .unwrap_or(text.len())
    };
    let Some(group) = path.strip_prefix('{') else {
        return vec![path.get(..name(path)).unwrap_or_default()];
    };
    let (mut names, mut depth, mut start) = (Vec::new(), 0_usize, 0);
    for (at, letter) in group.char_indices() {
        let ends = depth == 0 && matches!(letter, ',' | '}');
        if ends {
            let item = group.get(start..at).unwrap_or_default().trim();
            names.push(item.get(..name(item)).unwrap_or_default());
            start = at + 1;
        }
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            _ => {}
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> usize {
        order(&[Source::sample(path, text)]).len()
    }

    #[test]
    fn a_later_stage_is_found_however_it_is_named() {
        assert_eq!(
            found("agent/src/connections.rs", "use crate::series::Series;"),
            1
        );
        assert_eq!(found("agent/src/connections.rs", "use super::export;"), 1);
        assert_eq!(
            found(
                "agent/src/protocol/http1.rs",
                "use crate::{\n    records::{A, B},\n    exchanges,\n};"
            ),
            1
        );
        assert_eq!(
            found(
                "agent/src/protocol/http1.rs",
                "fn f() { super::super::series::new() }"
            ),
            1
        );
    }

    #[test]
    fn earlier_stages_comments_and_other_files_are_free() {
        assert_eq!(
            found(
                "agent/src/series.rs",
                "use crate::{records, exchanges::Exchange};"
            ),
            0
        );
        assert_eq!(
            found(
                "agent/src/records.rs",
                "//! Before [`crate::series`].\nuse crate::config;"
            ),
            0
        );
        assert_eq!(found("agent/src/pipeline.rs", "use crate::export;"), 0);
        assert_eq!(
            found(
                "agent/src/protocol/http1.rs",
                "use super::Message; use other_crate::series;"
            ),
            0
        );
    }
}
