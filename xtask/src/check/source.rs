//! The files that the house rules read, and what a rule finds in them.

use std::fmt::{self, Display, Formatter};
use std::path::Path;

use anyhow::{Context, Result};

/// Kinds of files that a rule reads.
const KINDS: [&str; 6] = ["rs", "md", "json", "yml", "yaml", "txt"];

/// One file of the checkout.
pub(crate) struct Source {
    /// Relative to the checkout, with slashes.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// Something that a rule found.
#[derive(Debug)]
pub(crate) struct Finding {
    pub(crate) path: String,
    pub(crate) line: usize,
    pub(crate) what: String,
    /// Otherwise it is only a warning.
    pub(crate) fails: bool,
}

impl Finding {
    pub(crate) fn new(source: &Source, line: usize, what: impl Into<String>) -> Self {
        Self {
            path: source.path.clone(),
            line,
            what: what.into(),
            fails: true,
        }
    }
}

impl Display for Finding {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let kind = if self.fails { "error" } else { "warning" };
        write!(out, "{kind}: {}:{}: {}", self.path, self.line, self.what)
    }
}

impl Source {
    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// The lines of Rust code with their numbers, without comments, strings and characters.
    pub(crate) fn code_lines(&self) -> Vec<(usize, String)> {
        let code = without_words(&self.text);
        (1..).zip(code.lines().map(str::to_owned)).collect()
    }

    #[cfg(test)]
    pub(crate) fn sample(path: &str, text: &str) -> Self {
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }
}

/// Reads the checkout without what is built or hidden.
pub(crate) fn read_all(checkout: &Path) -> Result<Vec<Source>> {
    let mut sources = Vec::new();
    let mut folders = vec![checkout.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)
            .with_context(|| format!("cannot read {}", folder.display()))?
        {
            let (path, kind) = entry.and_then(|entry| Ok((entry.path(), entry.file_type()?)))?;
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if kind.is_dir()
                && !name.starts_with('.')
                && !["target", "node_modules"].contains(&name.as_str())
            {
                folders.push(path);
            } else if kind.is_file() && KINDS.iter().any(|kind| name.ends_with(&format!(".{kind}")))
            {
                let bytes = std::fs::read(&path)
                    .with_context(|| format!("cannot read {}", path.display()))?;
                let path = path.strip_prefix(checkout)?.to_string_lossy().into_owned();
                sources.push(Source {
                    path,
                    text: String::from_utf8_lossy(&bytes).into_owned(),
                });
            }
        }
    }
    sources.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(sources)
}

/// Blanks out comments, strings and characters of Rust code; lines stay where they are.
fn without_words(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let after_word = code.ends_with(|last: char| last.is_alphanumeric() || last == '_');
        let length = word_length(rest, after_word);
        if length == 0 {
            code.push(first);
            rest = rest.get(first.len_utf8()..).unwrap_or_default();
        } else {
            let (word, behind) = rest.split_at_checked(length).unwrap_or((rest, ""));
            code.push(' ');
            code.extend(word.chars().filter(|letter| *letter == '\n'));
            rest = behind;
        }
    }
    code
}

/// How many bytes of a comment, string or character the text starts with.
fn word_length(text: &str, after_word: bool) -> usize {
    let until = |end: &str, from: usize| {
        text.get(from..)
            .and_then(|rest| rest.find(end))
            .map_or(text.len(), |at| from + at + end.len())
    };
    if text.starts_with("//") {
        return text.find('\n').unwrap_or(text.len());
    }
    if text.starts_with("/*") {
        return until("*/", 2);
    }
    if text.starts_with('"') {
        return quoted_length(text, '"');
    }
    if text.starts_with('\'') {
        // A quote that closes after one character, or after an escape; anything else is a lifetime.
        let mut letters = text.chars().skip(1);
        let character = letters.next() == Some('\\') || letters.next() == Some('\'');
        return if character {
            quoted_length(text, '\'')
        } else {
            0
        };
    }
    let hashes = text
        .strip_prefix('r')
        .map_or(0, |rest| rest.len() - rest.trim_start_matches('#').len());
    if !after_word
        && text
            .get(1 + hashes..)
            .is_some_and(|rest| rest.starts_with('"'))
        && text.starts_with('r')
    {
        return until(&format!("\"{}", "#".repeat(hashes)), 2 + hashes);
    }
    0
}

fn quoted_length(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, letter) in text.char_indices().skip(1) {
        if letter == quote && !escaped {
            return at + 1;
        }
        escaped = letter == '\\' && !escaped;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_blanked_and_code_stays() {
        let code = without_words(
            "let a = \"x \\\" y\"; // z\nlet b: &'static str = r#\"q \" q\"#; '\\'' '\"' c",
        );
        for gone in ['x', 'y', 'z', 'q', '"'] {
            assert!(!code.contains(gone), "{code}");
        }
        assert!(
            code.contains("let a =") && code.contains("'static str") && code.ends_with(" c"),
            "{code}"
        );
    }

    #[test]
    fn lines_keep_their_numbers() {
        let lines = Source::sample("a.rs", "/* 1\n2 */ a\n\"3\n4\" b").code_lines();
        assert!(
            lines
                .get(3)
                .is_some_and(|(number, code)| *number == 4 && code.contains('b')),
            "{lines:?}"
        );
    }
}
