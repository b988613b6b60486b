//! What clients and servers say: heads as ab, h2load, a browser and nginx write them.

use crate::case::{Case, Head};
use std::io::Write;

const AB: &[u8] = b" HTTP/1.0\r\nConnection: Keep-Alive\r\nHost: 127.0.0.1:8080\r\nUser-Agent: ApacheBench/2.3\r\n\
    Accept: */*\r\n\r\n";
const H2LOAD: &[u8] =
    b" HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nuser-agent: h2load nghttp2/1.52.0\r\n\r\n";
const BROWSER: &[u8] = b" HTTP/1.1\r\nHost: shop.example.com\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n\
    Accept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n\
    Connection: keep-alive\r\nUpgrade-Insecure-Requests: 1\r\nSec-Fetch-Dest: document\r\n\
    Sec-Fetch-Mode: navigate\r\nSec-Fetch-Site: none\r\nPriority: u=0, i\r\n\r\n";

/// Syllables that make words which no rule takes for a number or a token.
const SYLLABLES: [&str; 10] = ["ba", "de", "fi", "go", "lu", "ma", "ne", "pi", "ro", "su"];
/// Bytes of the body that are there: a longer one is captured no further.
const BODY_BYTES_MAX: usize = 8 * 1024;

/// The texts of a case.
#[derive(Debug)]
pub(super) struct Text {
    routes: u64,
    head: &'static [u8],
    /// The path at hand; kept for its memory.
    path: Vec<u8>,
    response: Vec<u8>,
    response_head_bytes: usize,
}

impl Text {
    pub(super) fn new(case: &Case) -> Self {
        let mut response = format!(
            "HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Fri, 20 Nov 2026 09:16:25 GMT\r\n\
             Content-Type: application/octet-stream\r\nContent-Length: {}\r\n\
             Last-Modified: Fri, 20 Nov 2026 08:00:00 GMT\r\nConnection: keep-alive\r\n\
             ETag: \"673d9a40-200\"\r\nAccept-Ranges: bytes\r\n\r\n",
            case.body_bytes
        )
        .into_bytes();
        let response_head_bytes = response.len();
        let body_bytes = usize::try_from(case.body_bytes).unwrap_or(usize::MAX);
        response.resize(response.len() + body_bytes.min(BODY_BYTES_MAX), b'x');
        Self {
            routes: u64::from(case.routes.max(1)),
            head: match case.head {
                Head::Ab => AB,
                Head::H2load => H2LOAD,
                Head::Browser => BROWSER,
            },
            path: Vec::new(),
            response,
            response_head_bytes,
        }
    }

    /// The head of a request, which has no body: its parts.
    pub(super) fn request(&mut self, number: u64) -> [&[u8]; 2] {
        let mut route = number % self.routes;
        self.path.clear();
        // Writing to a vector cannot fail.
        let _ = self.path.write_all(b"GET /shop/");
        for _ in 0..6 {
            let syllable = SYLLABLES.get((route % 10) as usize).copied();
            self.path
                .extend_from_slice(syllable.unwrap_or_default().as_bytes());
            route /= 10;
        }
        [&self.path, self.head]
    }

    /// A response, and how many bytes of it are its head.
    pub(super) fn response(&self) -> (&[u8], usize) {
        (&self.response, self.response_head_bytes)
    }
}
