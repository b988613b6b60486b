//! Writes one bench's part of `docs/cost.md` and its figures below `docs/cost/`, and compares new figures with those.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::paths;

/// A figure that is larger than the committed one by more than this has regressed.
const TOLERANCE: f64 = 0.10;

/// Replaces the text between `<!-- NAME: begin -->` and `<!-- NAME: end -->` in `docs/cost.md`, and all of
/// `docs/cost/NAME.json`.
///
/// # Errors
/// When a file cannot be read or written, or has no such part.
pub fn write(name: &str, markdown: &str, figures: &Value) -> Result<()> {
    let page = paths::checkout().join("docs/cost.md");
    let text = std::fs::read_to_string(&page)
        .with_context(|| format!("cannot read {}", page.display()))?;
    let text = replaced(&text, name, markdown).with_context(|| format!("in {}", page.display()))?;
    let mut json = serde_json::to_string_pretty(&rounded(figures))?;
    json.push('\n');
    for (file, text) in [(page, text), (figures_of(name), json)] {
        std::fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

/// The figures that the last [`write()`] of this bench left.
///
/// # Errors
/// When there are none.
pub fn committed(name: &str) -> Result<Value> {
    let file = figures_of(name);
    let text = std::fs::read_to_string(&file).with_context(|| {
        format!(
            "cannot read {}; `cargo xtask bench {name}` makes it",
            file.display()
        )
    })?;
    serde_json::from_str(&text).with_context(|| format!("{} is not JSON", file.display()))
}

/// What to say of a figure that is too large beside the committed one; nothing of one that is not.
#[must_use]
pub fn regression(what: &str, committed: f64, measured: f64) -> Option<String> {
    (measured > committed * (1.0 + TOLERANCE)).then(|| {
        format!(
            "{what}: {measured:.1}, and {committed:.1} is committed: more by {:.1} %",
            (measured / committed - 1.0) * 100.0
        )
    })
}

/// A Markdown table with aligned columns, the first to the left: it is read on a terminal as well.
#[must_use]
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let length = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        let cells = cells.map(|cell| cell.chars().count());
        let own = head.get(column).map_or(0, |name| name.chars().count());
        cells.fold(own.max(3), usize::max)
    };
    let lengths: Vec<usize> = (0..head.len()).map(length).collect();
    let mut text = String::new();
    let mut line = |cells: &[String]| {
        for (column, (cell, length)) in cells.iter().zip(&lengths).enumerate() {
            text.push_str(&match column {
                0 => format!("| {cell:<length$} "),
                _ => format!("| {cell:>length$} "),
            });
        }
        text.push_str("|\n");
    };
    line(&head.iter().map(|&name| name.to_owned()).collect::<Vec<_>>());
    let rules = lengths.iter().enumerate().map(|(column, length)| {
        let end = if column == 0 { "-" } else { ":" };
        format!("{}{end}", "-".repeat(length - 1))
    });
    line(&rules.collect::<Vec<_>>());
    for row in rows {
        line(row);
    }
    text
}

/// A whole number with commas.
#[must_use]
pub fn grouped(number: f64) -> String {
    let digits = format!("{:.0}", number.abs());
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if number <= -0.5 {
        text.insert(0, '-');
    }
    text
}

/// With two digits behind the point: what is behind them is noise, and makes a change hard to read.
fn rounded(figures: &Value) -> Value {
    match figures {
        Value::Number(number) if number.is_f64() => number.as_f64().map_or(Value::Null, |number| {
            ((number * 100.0).round() / 100.0).into()
        }),
        Value::Array(all) => all.iter().map(rounded).collect(),
        Value::Object(all) => all
            .iter()
            .map(|(name, value)| (name.clone(), rounded(value)))
            .collect(),
        other => other.clone(),
    }
}

fn figures_of(name: &str) -> PathBuf {
    paths::checkout().join(format!("docs/cost/{name}.json"))
}

fn replaced(text: &str, name: &str, part: &str) -> Result<String> {
    let (begin, end) = (
        format!("<!-- {name}: begin -->"),
        format!("<!-- {name}: end -->"),
    );
    let Some((before, rest)) = text.split_once(&begin) else {
        bail!("there is no line {begin}");
    };
    let Some((_, after)) = rest.split_once(&end) else {
        bail!("there is no line {end} behind {begin}");
    };
    Ok(format!(
        "{before}{begin}\n\n{}\n\n{end}{after}",
        part.trim()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_named_part_is_replaced() {
        let text = "a\n<!-- x: begin -->\nold\n<!-- x: end -->\nb\n<!-- y: begin -->\nkept\n<!-- y: end -->\n";
        let new = replaced(text, "x", "new\n").unwrap();
        assert_eq!(
            new,
            "a\n<!-- x: begin -->\n\nnew\n\n<!-- x: end -->\nb\n<!-- y: begin -->\nkept\n<!-- y: end -->\n"
        );
        assert!(replaced(text, "z", "new").is_err());
    }

    #[test]
    fn ten_percent_more_is_a_regression() {
        assert_eq!(regression("a", 100.0, 110.0), None);
        assert_eq!(regression("a", 100.0, 50.0), None);
        let said = regression("agent", 100.0, 115.0).unwrap();
        assert_eq!(said, "agent: 115.0, and 100.0 is committed: more by 15.0 %");
    }

    #[test]
    fn figures_are_saved_with_two_digits() {
        let figures = serde_json::json!({"a": [1.234_567, 3], "b": "text", "c": -0.005_1});
        let want = serde_json::json!({"a": [1.23, 3], "b": "text", "c": -0.01});
        assert_eq!(rounded(&figures), want);
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [vec!["long name".to_owned(), "1".to_owned()]];
        assert_eq!(
            table(&["a", "number"], &rows),
            "| a         | number |\n| --------- | -----: |\n| long name |      1 |\n"
        );
    }

    #[test]
    fn numbers_are_grouped_by_thousands() {
        assert_eq!(grouped(0.2), "0");
        assert_eq!(grouped(999.0), "999");
        assert_eq!(grouped(1_234_567.4), "1,234,567");
        assert_eq!(grouped(-1234.0), "-1,234");
    }
}
