//! What a conversation is to be counted as.

use std::fmt::Write;

/// What there is to be told of a conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Truth {
    /// Finished exchanges, as [`exchange`] writes them.
    pub(crate) exchanges: Vec<String>,
    /// Requests without an answer, by reason.
    pub(crate) unanswered: Vec<&'static str>,
    /// Answers without a request.
    pub(crate) unpaired: u64,
    /// Bytes of a tunnel, received by the server and transmitted.
    pub(crate) tunnel: [u64; 2],
    /// What the reader tells of requests, and of responses.
    pub(crate) steps: [Vec<String>; 2],
}

/// The words of a request that are complete; the others are empty.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Words<'a> {
    pub(crate) method: &'a str,
    pub(crate) target: &'a str,
    pub(crate) host: &'a str,
    pub(crate) version: &'a str,
}

impl Truth {
    pub(crate) fn request_begins(&mut self) {
        self.steps[0].push("(".to_owned());
    }

    pub(crate) fn request(&mut self, words: Words<'_>) {
        let Words {
            method,
            target,
            host,
            version,
        } = words;
        self.steps[0].push(format!("{method} {target} {host} {version}"));
    }

    pub(crate) fn request_ends(&mut self) {
        self.steps[0].push(")".to_owned());
    }

    pub(crate) fn response(&mut self, status: u16) {
        self.steps[1].push("[".to_owned());
        self.steps[1].push(status.to_string());
    }

    pub(crate) fn response_ends(&mut self) {
        self.steps[1].push("]".to_owned());
    }

    pub(crate) fn finished(&mut self, words: Words<'_>, status: u16, is_truncated: bool) {
        self.exchanges.push(exchange(words, status, is_truncated));
    }
}

/// An exchange in one line, with what its series' labels tell.
pub(crate) fn exchange(words: Words<'_>, status: u16, is_truncated: bool) -> String {
    let Words {
        method,
        target,
        host: _,
        version,
    } = words;
    /// The methods that have a label value of their own.
    const NAMED: [&str; 9] = [
        "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH",
    ];
    let method = if NAMED.contains(&method) {
        method
    } else {
        "_OTHER"
    };
    let mut text = format!("{method} {status}");
    // Only paths are routes.
    if target.starts_with('/') {
        let _ = write!(text, " {target}");
    }
    if !version.is_empty() {
        let _ = write!(text, " {version}");
    }
    if is_truncated {
        text.push_str(" truncated");
    }
    text
}
