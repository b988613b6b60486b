//! Gives a TOML error its place: line, column and the key with its table.

use super::ConfigError;
use std::ops::Range;
use std::path::Path;
use toml::de::{DeTable, DeValue};

/// serde's words for what it wanted, and an operator's.
const PLAIN: [(&str, &str); 6] = [
    ("expected i64", "expected a whole number"),
    ("expected f64", "expected a number"),
    ("expected a sequence", "expected a list"),
    ("unknown variant", "unknown value"),
    ("integer `", "`"),
    ("floating point `", "`"),
];

/// Turns the parser's error, which knows a byte range, into ours, which names the place.
pub(super) fn name(path: &Path, text: &str, error: &toml::de::Error) -> ConfigError {
    let path = path.to_owned();
    let span = error.span().unwrap_or(0..0);
    let (line, column) = line_and_column(text, span.start);
    let why = plain(error.message());
    match DeTable::parse(text)
        .ok()
        .and_then(|table| key_at(table.get_ref(), &span))
    {
        Some(key) => ConfigError::Key {
            path,
            line,
            column,
            key,
            why,
        },
        None => ConfigError::Syntax {
            path,
            line,
            column,
            why,
        },
    }
}

/// The innermost key whose name or value spans the fault.
fn key_at(table: &DeTable<'_>, span: &Range<usize>) -> Option<String> {
    table.iter().find_map(|(key, value)| {
        let name = key.get_ref();
        let inner = match value.get_ref() {
            DeValue::Table(inner) => key_at(inner, span).map(|rest| format!("{name}.{rest}")),
            _ => None,
        };
        let here = || {
            [key.span(), value.span()]
                .iter()
                .any(|own| own.start <= span.start && span.end <= own.end)
        };
        inner.or_else(|| here().then(|| name.to_string()))
    })
}

fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    // A parser's offset may lie past the end, where something is missing.
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before
        .rsplit('\n')
        .next()
        .unwrap_or_default()
        .chars()
        .count()
        + 1;
    (line, column)
}

/// One line in an operator's words.
fn plain(message: &str) -> String {
    // The key is named in front of the message already.
    let unknown = message
        .strip_prefix("unknown field `")
        .and_then(|rest| rest.split_once("`, "));
    let message = unknown.map_or_else(
        || message.to_owned(),
        |(_, rest)| format!("unknown key, {rest}"),
    );
    let message = PLAIN.iter().fold(message, |message, (theirs, ours)| {
        message.replace(theirs, ours)
    });
    message
        .lines()
        .map(str::trim)
        .collect::<Vec<_>>()
        .join("; ")
}
