//! What an HTTP/1 connection's first bytes look like.

use crate::protocol::{Recognition, Speaker};

/// Registered methods (IANA, HTTP Method Registry) and PURGE, which caches use. A method that is not
/// here is read all the same on a connection that is known to be HTTP; it only cannot be what the
/// connection is known by. `PRI` is left out: it is HTTP/2's preface.
const METHODS: &[&[u8]] = &[
    b"GET",
    b"POST",
    b"HEAD",
    b"PUT",
    b"DELETE",
    b"OPTIONS",
    b"PATCH",
    b"CONNECT",
    b"TRACE",
    b"PROPFIND",
    b"PROPPATCH",
    b"MKCOL",
    b"COPY",
    b"MOVE",
    b"LOCK",
    b"UNLOCK",
    b"REPORT",
    b"SEARCH",
    b"QUERY",
    b"PURGE",
    b"ACL",
    b"BASELINE-CONTROL",
    b"BIND",
    b"CHECKIN",
    b"CHECKOUT",
    b"LABEL",
    b"LINK",
    b"MERGE",
    b"MKACTIVITY",
    b"MKCALENDAR",
    b"MKREDIRECTREF",
    b"MKWORKSPACE",
    b"ORDERPATCH",
    b"REBIND",
    b"UNBIND",
    b"UNCHECKOUT",
    b"UNLINK",
    b"UPDATE",
    b"UPDATEREDIRECTREF",
    b"VERSION-CONTROL",
];

/// A method that is not registered may be this long.
const METHOD_BYTES_MAX: usize = 64;

/// Are these the first bytes that `speaker` sent on an HTTP/1 connection?
pub(super) fn recognise(speaker: Speaker, opening: &[u8]) -> Recognition {
    match speaker {
        Speaker::Client => request(opening),
        Speaker::Server => prefix(b"HTTP/1.", opening),
    }
}

/// Can no more bytes make this the beginning of a request? Less strict than [`recognise`]: any token
/// (RFC 9110, section 5.6.2) is a method.
pub(super) fn is_no_request(opening: &[u8]) -> bool {
    match opening.iter().position(|&byte| !is_token(byte)) {
        Some(0) => true,
        Some(end) => end > METHOD_BYTES_MAX || opening.get(end) != Some(&b' '),
        None => opening.len() > METHOD_BYTES_MAX,
    }
}

fn request(opening: &[u8]) -> Recognition {
    let mut verdict = Recognition::No;
    for &method in METHODS {
        match prefix(method, opening) {
            Recognition::Yes => {}
            Recognition::NeedMore => {
                verdict = Recognition::NeedMore;
                continue;
            }
            Recognition::No => continue,
        }
        // Some methods begin with another one, so a mismatch behind the method is not the end.
        match opening
            .get(method.len()..)
            .map_or(Recognition::No, |rest| target(method, rest))
        {
            Recognition::Yes => return Recognition::Yes,
            Recognition::NeedMore => verdict = Recognition::NeedMore,
            Recognition::No => {}
        }
    }
    verdict
}

/// What follows the method: the target's form tells HTTP from Redis (`GET key`), SIP and RTSP
/// (`OPTIONS sip:`), which share its method names.
fn target(method: &[u8], rest: &[u8]) -> Recognition {
    let Some((&space, target)) = rest.split_first() else {
        return Recognition::NeedMore;
    };
    if space != b' ' {
        return Recognition::No;
    }
    let Some(&first) = target.first() else {
        return Recognition::NeedMore;
    };
    match first {
        b'/' => Recognition::Yes,
        b'*' if method == b"OPTIONS" => Recognition::Yes,
        _ if method == b"CONNECT" && (first.is_ascii_alphanumeric() || first == b'[') => {
            Recognition::Yes
        }
        _ => scheme(target),
    }
}

/// Absolute form; a scheme is not case-sensitive (RFC 9110, section 4.2.3).
fn scheme(target: &[u8]) -> Recognition {
    const HTTP: &[u8] = b"http";
    if !HTTP
        .iter()
        .zip(target)
        .all(|(expected, byte)| byte.eq_ignore_ascii_case(expected))
    {
        Recognition::No
    } else if target.len() < HTTP.len() {
        Recognition::NeedMore
    } else {
        Recognition::Yes
    }
}

/// Does `opening` begin with `expected`?
fn prefix(expected: &[u8], opening: &[u8]) -> Recognition {
    if opening.starts_with(expected) {
        Recognition::Yes
    } else if expected.starts_with(opening) {
        Recognition::NeedMore
    } else {
        Recognition::No
    }
}

/// `tchar` of RFC 9110, section 5.6.2.
pub(super) fn is_token(byte: u8) -> bool {
    matches!(
        byte,
        b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~'
    ) || byte.is_ascii_alphanumeric()
}
