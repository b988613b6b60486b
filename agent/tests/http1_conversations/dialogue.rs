//! A conversation's bytes, with what has to be said before what, and its truth.

use crate::plan::{Body, Conversation, Ending, Plan, When};
use crate::truth::{Truth, Words};

pub(crate) const CLIENT: usize = 0;
pub(crate) const SERVER: usize = 1;

/// A part of what one side says.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) bytes: Vec<u8>,
    /// The reader knows its length without looking at it.
    pub(crate) is_body: bool,
    /// How much the other side has said before.
    pub(crate) after: usize,
}

/// Both sides' parts, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dialogue {
    pub(crate) sides: [Vec<Part>; 2],
    pub(crate) truth: Truth,
}

/// Names that routes keep as they are.
const TARGETS: [&str; 6] = ["/alpha", "/beta", "/gamma", "/delta", "/epsilon", "/zeta"];

const CONTINUE: &str = "HTTP/1.1 100 Continue\r\n\r\n";

/// A request of an ending.
const LAST: Words<'_> = Words {
    method: "GET",
    target: "/omega",
    host: "h",
    version: "1.1",
};

impl Dialogue {
    pub(crate) fn new(conversation: &Conversation) -> Self {
        let mut builder = Builder::default();
        for (plan, target) in conversation.plans.iter().zip(TARGETS) {
            builder.exchange(plan, target);
        }
        builder.end(&conversation.ending);
        builder.dialogue
    }

    /// How long a side's bytes are.
    pub(crate) fn length(&self, side: usize) -> usize {
        let parts = self.sides[side].iter();
        parts.map(|part| part.bytes.len()).sum()
    }

    /// How many of a side's bytes are body, tunnels included.
    pub(crate) fn body_length(&self, side: usize) -> usize {
        let parts = self.sides[side].iter();
        let bodies = parts.filter(|part| part.is_body);
        bodies.map(|part| part.bytes.len()).sum()
    }

    /// All bytes of a side.
    pub(crate) fn bytes(&self, side: usize) -> Vec<u8> {
        let parts = self.sides[side].iter();
        parts.flat_map(|part| part.bytes.clone()).collect()
    }
}

#[derive(Default)]
struct Builder {
    dialogue: Dialogue,
    /// How far the server has to be before the client asks again.
    awaited: usize,
}

impl Builder {
    fn truth(&mut self) -> &mut Truth {
        &mut self.dialogue.truth
    }

    /// Where a side stands.
    fn at(&self, side: usize) -> usize {
        self.dialogue.length(side)
    }

    fn say(&mut self, side: usize, bytes: impl Into<Vec<u8>>, is_body: bool, after: usize) {
        let bytes = bytes.into();
        if !bytes.is_empty() {
            self.dialogue.sides[side].push(Part {
                bytes,
                is_body,
                after,
            });
        }
    }

    fn say_body(&mut self, side: usize, body: &Body, after: usize) {
        match body {
            Body::None => {}
            Body::Length(bytes) => self.say(side, bytes.clone(), true, after),
            Body::Chunked {
                chunks,
                extension,
                trailers,
            } => {
                for chunk in chunks {
                    let size = format!("{:x}{extension}\r\n", chunk.len());
                    self.say(side, size, false, after);
                    self.say(side, chunk.clone(), true, 0);
                    self.say(side, "\r\n", false, 0);
                }
                self.say(
                    side,
                    format!("0{extension}\r\n{trailers}\r\n"),
                    false,
                    after,
                );
            }
        }
    }

    fn exchange(&mut self, plan: &Plan, target: &'static str) {
        let Plan {
            method,
            version,
            fields,
            asked,
            when,
            waits,
            empty_lines,
            ..
        } = plan;
        let target = if *method == "CONNECT" { "h:1" } else { target };
        let words = Words {
            method,
            target,
            host: "h",
            version,
        };
        let expects = match when {
            When::Continued | When::NotContinued => "Expect: 100-continue\r\n",
            _ => "",
        };
        let asked_field = asked.field();
        let head = format!(
            "{method} {target} HTTP/{version}\r\nHost: h\r\n{fields}{expects}{asked_field}\r\n"
        );
        self.truth().request_begins();
        self.say(CLIENT, *empty_lines, false, self.awaited);
        if let When::InHead(share) = when {
            let cut = 1 + usize::from(*share) * (head.len() - 1) / 65536;
            self.say(CLIENT, &head[..cut], false, self.awaited);
            let words = complete(words, cut);
            self.truth().request(words);
            self.respond(plan, words, self.at(CLIENT));
            self.say(CLIENT, &head[cut..], false, self.at(SERVER));
            self.say_body(CLIENT, asked, 0);
        } else {
            self.say(CLIENT, head, false, self.awaited);
            self.truth().request(words);
            let head_end = self.at(CLIENT);
            match when {
                When::Read | When::InHead(_) => {
                    self.say_body(CLIENT, asked, 0);
                    self.respond(plan, words, self.at(CLIENT));
                }
                When::HeadRead => {
                    self.say_body(CLIENT, asked, 0);
                    self.respond(plan, words, head_end);
                }
                When::Continued => {
                    self.say(SERVER, CONTINUE, false, head_end);
                    self.say_body(CLIENT, asked, self.at(SERVER));
                    self.respond(plan, words, self.at(CLIENT));
                }
                When::NotContinued => {
                    self.respond(plan, words, head_end);
                    self.say_body(CLIENT, asked, self.at(SERVER));
                }
            }
        }
        self.truth().request_ends();
        if *waits {
            self.awaited = self.at(SERVER);
        }
    }

    fn respond(&mut self, plan: &Plan, words: Words<'_>, after: usize) {
        let Plan {
            status,
            answered,
            interim,
            ..
        } = plan;
        let head = format!("{interim}HTTP/1.1 {status} Why\r\n{}\r\n", answered.field());
        self.say(SERVER, head, false, after);
        if words.method != "HEAD" && !matches!(status, 204 | 304) {
            self.say_body(SERVER, answered, 0);
        }
        self.truth().response(*status);
        self.truth().response_ends();
        self.truth().finished(words, *status, false);
    }

    /// A request of the ending, and the answer to it as far as it goes.
    fn ask(&mut self, words: Words<'_>, rest: &str, answer: &str) {
        let Words {
            method,
            target,
            host,
            version,
        } = words;
        let head = format!("{method} {target} HTTP/{version}\r\nHost: {host}\r\n{rest}");
        self.say(CLIENT, head, false, self.awaited);
        self.say(SERVER, answer, false, self.at(CLIENT));
        self.truth().request_begins();
        self.truth().request(words);
    }

    fn end(&mut self, ending: &Ending) {
        match ending {
            Ending::Plain => {}
            Ending::CutHead => {
                self.say(CLIENT, "GET /omega HTTP/1.1\r\nHo", false, self.awaited);
                self.truth().request_begins();
                self.truth().unanswered.push("incomplete_request");
            }
            Ending::CutBody => {
                self.ask(LAST, "Content-Length: 100\r\n\r\n", "");
                self.say(CLIENT, "half of it", true, 0);
                self.truth().unanswered.push("closed");
            }
            Ending::Unanswered => {
                self.ask(LAST, "\r\n", "");
                self.truth().request_ends();
                self.truth().unanswered.push("closed");
            }
            Ending::CutAnswerHead => {
                self.ask(LAST, "\r\n", "HTTP/1.1 200 OK\r\nContent-Le");
                self.truth().request_ends();
                self.truth().unanswered.push("closed");
            }
            Ending::CutAnswer => {
                self.ask(
                    LAST,
                    "\r\n",
                    "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n",
                );
                self.say(SERVER, "half of it", true, 0);
                self.truth().request_ends();
                self.truth().response(200);
                self.truth().finished(LAST, 200, true);
            }
            Ending::UntilClose(bytes) => {
                self.ask(LAST, "\r\n", "HTTP/1.0 200 OK\r\n\r\n");
                self.say(SERVER, bytes.clone(), true, 0);
                self.truth().request_ends();
                self.truth().response(200);
                self.truth().steps[1].push("ResponseEndedBefore".to_owned());
                self.truth().finished(LAST, 200, false);
            }
            Ending::Unasked => {
                let head = "HTTP/1.1 408 Slow\r\nContent-Length: 4\r\n\r\n";
                self.say(SERVER, head, false, self.at(CLIENT));
                self.say(SERVER, "slow", true, 0);
                self.truth().response(408);
                self.truth().response_ends();
                self.truth().unpaired += 1;
            }
            Ending::Tunnel { is_connect, bytes } => self.tunnel(*is_connect, bytes),
        }
    }

    fn tunnel(&mut self, is_connect: bool, bytes: &[u8]) {
        let (method, target, status) = if is_connect {
            ("CONNECT", "h:1", 200)
        } else {
            ("GET", "/omega", 101)
        };
        let words = Words {
            method,
            target,
            ..LAST
        };
        let answer = format!("HTTP/1.1 {status} Go\r\nContent-Length: 5\r\n\r\n");
        self.ask(words, "Upgrade: x\r\n\r\n", &answer);
        self.truth().request_ends();
        self.truth().response(status);
        self.truth().response_ends();
        self.truth().steps[1].push("Upgraded".to_owned());
        self.truth().finished(words, status, false);
        for (side, other) in [(CLIENT, SERVER), (SERVER, CLIENT)] {
            self.say(side, bytes, true, self.at(other));
            self.truth().tunnel[side] = bytes.len() as u64;
        }
    }
}

/// The words of a request that are in the first `cut` bytes of its head, each with what ends it.
fn complete(words: Words<'_>, cut: usize) -> Words<'_> {
    let method_end = words.method.len() + 1;
    let target_end = method_end + words.target.len() + 1;
    let version_end = target_end + "HTTP/1.1\r".len();
    let known = |word, end| if cut >= end { word } else { "" };
    Words {
        method: known(words.method, method_end),
        target: known(words.target, target_end),
        host: "",
        version: known(words.version, version_end),
    }
}
