//! One path segment: does it look made up by a machine, and which word stands for it?

const ID: &str = "{id}";
const UUID: &str = "{uuid}";
const HASH: &str = "{hash}";
const DATE: &str = "{date}";
const EMAIL: &str = "{email}";
const TOKEN: &str = "{token}";
const TEXT: &str = "{text}";

/// A longer segment is a token whatever is in it.
const SEGMENT_BYTES_MAX: usize = 64;

/// Letters and what joins words are no hash and no token up to this length.
const WORDS_BYTES_MAX: usize = 15;

/// A word with a digit in it is no hash up to this length.
const NUMBERED_BYTES_MAX: usize = 7;

/// Appends the segment, or what stands for it, to `out`.
pub(super) fn push(segment: &[u8], out: &mut String) {
    // Most segments are words or a number, which one pass can tell.
    if let Some(words) = words(segment) {
        out.push_str(words);
    } else if segment.len() <= SEGMENT_BYTES_MAX && segment.iter().all(u8::is_ascii_digit) {
        out.push_str(ID);
    } else {
        push_judged(segment, out);
    }
}

fn push_judged(segment: &[u8], out: &mut String) {
    let mut buffer = [0; SEGMENT_BYTES_MAX];
    match decode(segment, &mut buffer) {
        Ok(text) => push_text(text, out),
        Err(word) => out.push_str(word),
    }
}

/// The segment, if it is plainly constant: words, or a short one with a number of one or two digits behind it (`v1`).
fn words(segment: &[u8]) -> Option<&str> {
    let is_letter = |byte: &u8| byte.is_ascii_alphabetic();
    let letters = segment.iter().take_while(|byte| is_letter(byte)).count();
    let (_, rest) = segment.split_at_checked(letters)?;
    let is_words = segment.len() <= WORDS_BYTES_MAX
        && rest
            .iter()
            .all(|byte| is_letter(byte) || matches!(byte, b'-' | b'_'));
    let is_numbered = letters > 0
        && segment.len() <= NUMBERED_BYTES_MAX
        && rest.len() <= 2
        && rest.iter().all(u8::is_ascii_digit);
    (is_words || is_numbered).then(|| str::from_utf8(segment).ok())?
}

/// Undoes percent-encoding; the word for it if the result is not what a route is made of.
fn decode<'a>(
    segment: &[u8],
    buffer: &'a mut [u8; SEGMENT_BYTES_MAX],
) -> Result<&'a str, &'static str> {
    let mut bytes = segment.iter().copied();
    let mut length = 0;
    while let Some(byte) = bytes.next() {
        let byte = match byte {
            b'%' => hex(bytes.next())
                .zip(hex(bytes.next()))
                .map(|(high, low)| high << 4 | low)
                .ok_or(TEXT)?,
            byte => byte,
        };
        // What a path may have unencoded (RFC 3986, pchar), but for `*`, which means something in templates.
        if !byte.is_ascii_alphanumeric() && !b"-._~!$&'()+,;=:@".contains(&byte) {
            return Err(TEXT);
        }
        *buffer.get_mut(length).ok_or(TOKEN)? = byte;
        length += 1;
    }
    buffer
        .get(..length)
        .and_then(|bytes| str::from_utf8(bytes).ok())
        .ok_or(TEXT)
}

fn hex(digit: Option<u8>) -> Option<u8> {
    char::from(digit?)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

fn push_text(text: &str, out: &mut String) {
    // A leading at sign is a user's or scope's name (`/@babel/core`).
    if text.find('@').is_some_and(|at| at > 0) {
        return out.push_str(EMAIL);
    }
    let (stem, extension) = match text.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() && is_extension(extension) => {
            (stem, Some(extension))
        }
        _ => (text, None),
    };
    let (kept, word) = variable(stem, extension.is_some());
    out.push_str(kept);
    out.push_str(word);
    if let Some(extension) = extension {
        out.push('.');
        out.push_str(extension);
    }
}

/// `js`, `woff2`; not `0` as in `1.0`.
fn is_extension(text: &str) -> bool {
    text.len() <= 5
        && text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// The constant beginning and the word for the rest, which is empty if all is constant.
fn variable(stem: &str, is_file: bool) -> (&str, &'static str) {
    if is_date(stem) {
        return ("", DATE);
    }
    if is_number(stem) {
        return ("", ID);
    }
    for (length, is, word) in [(36, is_uuid as fn(&str) -> bool, UUID), (10, is_date, DATE)] {
        let split = stem
            .len()
            .checked_sub(length)
            .and_then(|at| stem.split_at_checked(at));
        if let Some((before, last)) = split
            && is(last)
        {
            return (before, word);
        }
    }
    if stem.len() >= 8 && stem.ends_with('=') {
        return ("", TOKEN);
    }
    let is_separator = |c: char| !c.is_ascii_alphanumeric();
    let mut start = 0;
    for piece in stem.split_inclusive(is_separator) {
        let before = stem.get(..start).unwrap_or_default();
        if let Some((offset, word)) =
            variable_piece(piece.trim_end_matches(is_separator), is_file, before)
        {
            let before = stem.get(..start + offset).unwrap_or_default();
            // The beginning of a token with `-` or `_` in it is no constant.
            return if switches(before) >= 2 {
                ("", TOKEN)
            } else {
                (before, word)
            };
        }
        start += piece.len();
    }
    (stem, "")
}

/// Where in a piece between separators the variable part begins, and its word.
fn variable_piece(piece: &str, is_file: bool, before: &str) -> Option<(usize, &'static str)> {
    // File names carry versions and sizes, which tell files apart but are not many; so do names with dots (`v1.2`).
    let digits_min = if is_file { 5 } else { 3 };
    let is_long = piece.len() >= digits_min || !is_file && !before.ends_with('.');
    if is_long && is_number(piece) {
        return Some((0, ID));
    }
    if is_hash(piece) {
        return Some((0, HASH));
    }
    let digits = piece.bytes().filter(u8::is_ascii_digit).count();
    let is_token = match switches(piece) {
        4.. => true,
        3 => piece.len() >= 10,
        _ => piece.len() >= 32 || digits > 0 && piece.len() >= 20,
    };
    if is_token {
        return Some((0, TOKEN));
    }
    if digits < digits_min {
        return None;
    }
    let mut run = 0;
    for (at, byte) in piece.bytes().enumerate() {
        run = if byte.is_ascii_digit() { run + 1 } else { 0 };
        if run == digits_min {
            return Some((at + 1 - run, ID));
        }
    }
    None
}

/// How often a letter and a digit stand side by side: words and their numbers do so once or twice.
fn switches(text: &str) -> usize {
    let is_switch = |a: u8, b: u8| {
        a.is_ascii_alphabetic() && b.is_ascii_digit()
            || a.is_ascii_digit() && b.is_ascii_alphabetic()
    };
    text.bytes()
        .zip(text.bytes().skip(1))
        .filter(|(a, b)| is_switch(*a, *b))
        .count()
}

/// Digits, with what stands in versions, coordinates, addresses and times.
fn is_number(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_digit())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || b".,-+:".contains(&byte))
}

/// `2026-05`, `2026-05-31`, and the latter with whatever follows a `T`.
fn is_date(text: &str) -> bool {
    let (date, time) = text.split_at_checked(10).unwrap_or((text, ""));
    let shape = |text: &str, shape: &str| {
        text.len() == shape.len()
            && text
                .bytes()
                .zip(shape.bytes())
                .all(|(a, b)| a == b || b == b'0' && a.is_ascii_digit())
    };
    match time.as_bytes() {
        [] => shape(date, "0000-00-00") || shape(date, "0000-00"),
        [b'T' | b't', ..] => shape(date, "0000-00-00"),
        _ => false,
    }
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// Hexadecimal digits; letters alone only if there are many, as `defaced` is a word too.
fn is_hash(text: &str) -> bool {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let is_hex = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_long =
        digits.len() >= 16 || digits.len() >= 8 && digits.bytes().any(|byte| byte.is_ascii_digit());
    is_hex && (is_long || digits.len() < text.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_told_at_first_sight_is_what_a_closer_look_tells(segment in "[a-cA-Cx0-9_-]{1,18}|[a-z]{1,8}[0-9]{0,3}|[0-9]{1,70}") {
            let (mut first, mut closer) = (String::new(), String::new());
            push(segment.as_bytes(), &mut first);
            push_judged(segment.as_bytes(), &mut closer);
            prop_assert_eq!(first, closer);
        }
    }
}
