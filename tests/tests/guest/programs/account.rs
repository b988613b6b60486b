//! Programs' own accounts of their requests: the access logs of servers, and what curl says that it did.

use std::collections::BTreeMap;

use serde_json::Value;

/// How many requests had a method and a status.
pub(crate) type Requests = BTreeMap<(String, String), f64>;

/// A server's account of one request. What it does not write is not there.
#[derive(Debug, PartialEq)]
pub(crate) struct Line {
    pub(crate) status: String,
    pub(crate) method: String,
    pub(crate) received: Option<f64>,
    pub(crate) sent: Option<f64>,
    /// As the server writes it, in its unit.
    pub(crate) time: Option<f64>,
    /// What the server wrote behind that.
    pub(crate) more: Vec<String>,
}

/// Reads a server's account: Caddy's JSON, uvicorn's log, or `STATUS METHOD RECEIVED SENT TIME ...`, as the others
/// are told to write it.
pub(crate) fn lines(text: &str) -> Vec<Line> {
    text.lines().filter_map(line).collect()
}

fn line(text: &str) -> Option<Line> {
    if text.starts_with('{') {
        let json: Value = serde_json::from_str(text).unwrap();
        return Some(Line {
            status: json["status"].to_string(),
            method: json["request"]["method"].as_str()?.to_owned(),
            received: None,
            sent: None,
            time: json["duration"].as_f64(),
            more: Vec::new(),
        });
    }
    let (quoted, status);
    let mut words: Vec<&str> = text.split_whitespace().collect();
    if text.starts_with("INFO:") {
        // INFO:     127.0.0.1:55718 - "GET /ok HTTP/1.1" 200 OK
        (_, quoted) = text.split_once('"')?;
        (_, status) = text.rsplit_once("\" ")?;
        words = vec![
            status.split(' ').next()?,
            quoted.split(' ').next()?,
            "-",
            "-",
            "-",
        ];
    }
    let [status, method, received, sent, time, more @ ..] = words.as_slice() else {
        panic!("not a line of an account: {text:?}");
    };
    let number = |word: &str| word.parse().ok();
    Some(Line {
        status: (*status).to_owned(),
        method: (*method).to_owned(),
        received: number(received),
        sent: number(sent),
        time: number(time),
        more: more.iter().map(|word| (*word).to_owned()).collect(),
    })
}

/// The requests of an account.
pub(crate) fn requests(lines: &[Line]) -> Requests {
    let mut requests = Requests::new();
    for line in lines {
        let key = (line.method.clone(), line.status.clone());
        *requests.entry(key).or_default() += 1.0;
    }
    requests
}

/// What curl says that it did.
#[derive(Debug, Default)]
pub(crate) struct Curl {
    pub(crate) requests: Requests,
    pub(crate) sent: f64,
    pub(crate) received: f64,
    /// From when each request could begin to its answer's last byte.
    pub(crate) seconds: f64,
}

impl Curl {
    /// From its `--write-out` (`STATUS METHOD SECONDS SECONDS`) and the headings of its `--trace`.
    pub(crate) fn parse(transfers: &str, trace: &str) -> Self {
        let mut curl = Self::default();
        for transfer in transfers.lines() {
            let words: Vec<&str> = transfer.split(' ').collect();
            let [status, method, begin, end] = words.as_slice() else {
                panic!("not a transfer of curl: {transfer:?}");
            };
            let key = ((*method).to_owned(), (*status).to_owned());
            *curl.requests.entry(key).or_default() += 1.0;
            let [begin, end]: [f64; 2] = [begin, end].map(|time| time.parse().unwrap());
            curl.seconds += end - begin;
        }
        for heading in trace.lines() {
            let bytes = || -> f64 {
                let (before, _) = heading.split_once(" bytes").unwrap();
                let (_, number) = before.rsplit_once(' ').unwrap();
                number.parse().unwrap()
            };
            if heading.starts_with("=>") {
                curl.sent += bytes();
            } else if heading.starts_with("<=") {
                curl.received += bytes();
            } else {
                // curl 7.88 traces a head of `100 Continue` without the empty line at its end.
                curl.received += 2.0;
            }
        }
        curl
    }

    /// Both together.
    pub(crate) fn and(mut self, other: Self) -> Self {
        for (key, count) in other.requests {
            *self.requests.entry(key).or_default() += count;
        }
        self.sent += other.sent;
        self.received += other.received;
        self.seconds += other.seconds;
        self
    }
}

#[test]
fn accounts_of_all_kinds_are_read() {
    let text = "200 GET 80 165 12471\n404 HEAD - - 0.5 x\n\
        INFO:     127.0.0.1:55718 - \"GET /ok?13 HTTP/1.1\" 200 OK\n\
        {\"request\":{\"method\":\"POST\"},\"duration\":0.25,\"status\":201}\n";
    let lines = lines(text);
    let counted: Vec<_> = lines
        .iter()
        .map(|line| (line.method.as_str(), line.status.as_str(), line.time))
        .collect();
    let want = [
        ("GET", "200", Some(12471.0)),
        ("HEAD", "404", Some(0.5)),
        ("GET", "200", None),
        ("POST", "201", Some(0.25)),
    ];
    assert_eq!(counted, want);
    assert_eq!(
        (lines[0].received, lines[0].sent),
        (Some(80.0), Some(165.0))
    );
    assert_eq!((lines[1].received, lines[1].more.len()), (None, 1));
    assert_eq!(requests(&lines)[&("GET".to_owned(), "200".to_owned())], 2.0);
}

#[test]
fn curls_account_is_read() {
    let trace = "=> Send header, 80 bytes (0x50)\n<= Recv header, 23 bytes (0x17)\n\
        0000: 48 54 54 50 2f 31 2e 31 20 31 30 30 20 43 6f 6e HTTP/1.1 100 Con\n<= Recv data, 5 bytes (0x5)\n";
    let curl = Curl::parse("200 GET 0.5 1.25\n", trace);
    let both = curl.and(Curl::parse("200 GET 0 1\n", ""));
    assert_eq!((both.sent, both.received, both.seconds), (80.0, 30.0, 1.75));
    assert_eq!(both.requests[&("GET".to_owned(), "200".to_owned())], 2.0);
}
