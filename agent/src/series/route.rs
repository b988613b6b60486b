//! Route templates: what is left of a request target when its variable parts are named.
//!
//! Query, fragment and path parameters (`;jsessionid=1`) are cut off, empty segments too. A segment that looks made
//! up by a machine becomes one of a few words, or ends in one:
//!
//! | word | what | example |
//! |---|---|---|
//! | `{id}` | number | `/users/42`, `/order-42`, `/user123`, `/1.2.3`, `/10.5,-3` |
//! | `{uuid}` | UUID | `/f47ac10b-58cc-4372-a567-0e02b2c3d479` |
//! | `{hash}` | at least eight hexadecimal digits | `/9fceb02d`, `/main.4f3a2b1c.js` |
//! | `{date}` | date, with or without a time | `/2026-05-31`, `/2026-05`, `/2026-05-31T10:00:00Z` |
//! | `{email}` | has an at sign inside | `/ann@example.org` |
//! | `{token}` | letters and digits mixed as base64 and random names do, or very long | `/dQw4w9WgXcQ` |
//! | `{text}` | needs percent-encoding: what people typed | `/caf%C3%A9`, `/new%20york` |
//!
//! What follows the word in its segment is dropped, except a file name's extension: `/photo_20260531.jpg` is
//! `/photo_{id}.jpg`. In file names only long numbers count, so `jquery-3.6.0.min.js` stays. Words without
//! digits always stay: `/blog/my-first-post` cannot be told from `/blog/latest`; the limit per process bounds that.

mod segment;
#[cfg(test)]
mod tests;

use crate::hash::FastMap;
use std::sync::Arc;

/// The template for what comes after a process has reached its limit.
pub const CATCH_ALL: &str = "/**";

/// Segments of a template; what is deeper becomes `/**`.
pub const SEGMENTS_MAX: usize = 10;

/// Bytes of a template, without a closing `/**`.
pub const TEMPLATE_BYTES_MAX: usize = 160;

/// Writes the template of a request target into `out`, replacing what it has: printable ASCII, at most
/// [`TEMPLATE_BYTES_MAX`] bytes and `/**`. It is `*` for the asterisk form and empty for the authority form
/// (`CONNECT`), which names a peer and no route.
pub fn template(target: &[u8], out: &mut String) {
    out.clear();
    if target == b"*" {
        out.push('*');
        return;
    }
    let Some(path) = path(target) else { return };
    let segments = path
        .split(|byte| *byte == b'/')
        .map(without_parameters)
        .filter(|segment| !segment.is_empty());
    for (depth, segment) in segments.enumerate() {
        let before = out.len();
        out.push('/');
        segment::push(segment, out);
        if depth == SEGMENTS_MAX || out.len() > TEMPLATE_BYTES_MAX {
            out.truncate(before);
            out.push_str(CATCH_ALL);
            return;
        }
    }
    if out.is_empty() || path.ends_with(b"/") {
        out.push('/');
    }
}

/// The path of an origin-form or absolute-form target, without query and fragment.
fn path(target: &[u8]) -> Option<&[u8]> {
    let end = target
        .iter()
        .position(|byte| matches!(byte, b'?' | b'#'))
        .unwrap_or(target.len());
    let target = target.get(..end)?;
    if target.starts_with(b"/") {
        return Some(target);
    }
    let colon = target.iter().position(|byte| *byte == b':')?;
    let authority_and_path = target.get(colon..)?.strip_prefix(b"://")?;
    let slash = authority_and_path.iter().position(|byte| *byte == b'/');
    Some(
        slash
            .and_then(|slash| authority_and_path.get(slash..))
            .unwrap_or(b"/"),
    )
}

fn without_parameters(segment: &[u8]) -> &[u8] {
    segment
        .split(|byte| *byte == b';')
        .next()
        .unwrap_or(segment)
}

/// The templates that one process has used.
#[derive(Debug, Default)]
pub(super) struct Routes(FastMap<Arc<str>, u16>);

impl Routes {
    /// The number of a template that was used before.
    pub(super) fn get(&self, template: &str) -> Option<u16> {
        self.0.get(template).copied()
    }

    /// Whether a template that was answered with `status` may be added. Half of the places are kept for
    /// what is there: a scanner that asks for a thousand names gets 404 for each.
    pub(super) fn has_room(&self, routes_max: usize, status: u16) -> bool {
        self.0.len()
            < if status == 404 {
                routes_max / 2
            } else {
                routes_max
            }
    }

    pub(super) fn insert(&mut self, template: Arc<str>, number: u16) {
        self.0.insert(template, number);
    }
}
