//! Label text, and small numbers for the words that labels are made of.

use crate::hash::FastMap;
use std::fmt::Write;

/// Writes `name="value"` behind what `out` has, escaped as both Prometheus formats ask for. An empty value
/// means the same as no label, so it is left out.
pub(super) fn push_label(out: &mut String, name: &str, value: &str) {
    if value.is_empty() {
        return;
    }
    if !out.is_empty() {
        out.push(',');
    }
    out.push_str(name);
    out.push_str("=\"");
    for character in value.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            other => out.push(other),
        }
    }
    out.push('"');
}

/// Like [`push_label`], for a value whose text needs no escaping.
pub(super) fn push_number(out: &mut String, name: &str, value: impl std::fmt::Display) {
    if !out.is_empty() {
        out.push(',');
    }
    // Writing to a String cannot fail.
    let _ = write!(out, "{name}=\"{value}\"");
}

/// A label value of the program's own text, as a number that fits into a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Word(u16);

/// The words that have been used so far. Their number is bounded by the program's text.
#[derive(Debug, Default)]
pub(super) struct Words {
    texts: Vec<&'static str>,
    /// By address and length: looking at the text itself is only needed once per address.
    by_address: FastMap<(usize, usize), Word>,
}

impl Words {
    /// The number of `text`; equal texts have equal numbers.
    pub(super) fn number(&mut self, text: &'static str) -> Word {
        let address = (text.as_ptr().addr(), text.len());
        if let Some(word) = self.by_address.get(&address) {
            return *word;
        }
        let at = self
            .texts
            .iter()
            .position(|known| *known == text)
            .unwrap_or_else(|| {
                self.texts.push(text);
                self.texts.len() - 1
            });
        let word = Word(u16::try_from(at).unwrap_or(u16::MAX));
        self.by_address.insert(address, word);
        word
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_escaped() {
        let mut out = String::new();
        push_label(&mut out, "a", "plain");
        push_label(&mut out, "b", "");
        push_label(&mut out, "c", "q\"b\\n\nü");
        push_number(&mut out, "d", 200);
        assert_eq!(out, "a=\"plain\",c=\"q\\\"b\\\\n\\nü\",d=\"200\"");
    }

    #[test]
    fn equal_words_have_one_number() {
        let mut words = Words::default();
        let elsewhere: &'static str = Box::leak("server".to_owned().into_boxed_str());
        let (server, client) = (words.number("server"), words.number("client"));
        assert_ne!(server, client);
        assert_eq!(words.number(elsewhere), server);
        assert_eq!(words.number("server"), server);
    }
}
