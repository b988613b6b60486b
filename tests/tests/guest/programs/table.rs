//! `docs/programs.md`: what the two scenarios of real programs showed, written from what they saved.

use std::path::Path;

use super::account::{Requests, requests};
use super::step::{CLIENT, SERVER, Step};

/// A server: scenario, step, process, name, what its own account tells.
const SERVERS: [[&str; 5]; 16] = [
    [
        "programs",
        "nginx",
        "nginx",
        "nginx, two workers",
        "status, method, bytes, seconds",
    ],
    [
        "programs",
        "nginx-kept",
        "nginx",
        "nginx before gunicorn, connections kept",
        "status, method, bytes, seconds",
    ],
    [
        "programs",
        "php-fpm",
        "nginx",
        "nginx before php-fpm (FastCGI)",
        "status, method, bytes, seconds",
    ],
    [
        "programs",
        "php-fpm-unix",
        "nginx",
        "nginx before php-fpm on a Unix socket",
        "status, method, bytes, seconds",
    ],
    [
        "programs",
        "apache-prefork",
        "apache-prefork",
        "Apache, prefork",
        "status, method, bytes, seconds",
    ],
    [
        "programs",
        "apache-event",
        "apache-event",
        "Apache, event",
        "status, method, bytes, seconds",
    ],
    [
        "programs",
        "haproxy",
        "haproxy",
        "HAProxy before nginx",
        "status, method, seconds",
    ],
    [
        "programs",
        "lighttpd",
        "lighttpd",
        "lighttpd",
        "status, method, bytes",
    ],
    [
        "programs",
        "caddy",
        "caddy",
        "Caddy, before gunicorn for uploads",
        "status, method, seconds",
    ],
    [
        "programs",
        "gunicorn-threads",
        "gunicorn-threads",
        "gunicorn, two workers with threads",
        "status, method, seconds",
    ],
    [
        "programs",
        "gunicorn-sync",
        "gunicorn-sync",
        "gunicorn, three workers",
        "status, method, seconds",
    ],
    [
        "runtimes",
        "uvicorn",
        "uvicorn",
        "uvicorn, two workers",
        "status, method",
    ],
    [
        "runtimes",
        "node",
        "node",
        "Node, `http`",
        "status, method, seconds",
    ],
    [
        "runtimes",
        "go",
        "go",
        "Go, `net/http`",
        "status, method, seconds",
    ],
    [
        "runtimes",
        "java",
        "java",
        "Java, `com.sun.net.httpserver`",
        "status, method, seconds",
    ],
    [
        "runtimes",
        "php",
        "php",
        "PHP's built-in server, three workers",
        "status, method",
    ],
];

/// A client: scenario, step, process, its server, name, what its own account tells.
const CLIENTS: [[&str; 6]; 9] = [
    [
        "programs",
        "nginx",
        "nginx",
        "gunicorn-threads",
        "nginx to gunicorn",
        "status, bytes",
    ],
    [
        "programs",
        "haproxy",
        "haproxy",
        "nginx",
        "HAProxy to nginx",
        "status",
    ],
    [
        "programs",
        "caddy",
        "caddy",
        "gunicorn-threads",
        "Caddy to gunicorn",
        "status",
    ],
    ["programs", "ab", "ab", "nginx", "ab", "requests, bytes"],
    [
        "programs",
        "ab-kept",
        "ab-kept",
        "nginx",
        "ab, connections kept",
        "requests, bytes",
    ],
    [
        "programs",
        "h2load",
        "h2load",
        "nginx",
        "h2load `--h1`",
        "requests, bytes",
    ],
    [
        "runtimes",
        "requests",
        "requests",
        "uvicorn",
        "Python requests",
        "status",
    ],
    [
        "runtimes",
        "fetch",
        "fetch",
        "node",
        "Node `fetch`",
        "status",
    ],
    [
        "runtimes",
        "go-client",
        "go-client",
        "go",
        "Go `net/http`",
        "status",
    ],
];

fn sum(requests: &Requests) -> f64 {
    requests.values().sum()
}

/// How many of the requests that were made were counted, with their method and status.
fn of(counted: &Requests, made: &Requests) -> String {
    let both = made
        .iter()
        .map(|(key, count)| counted.get(key).map_or(0.0, |other| other.min(*count)))
        .sum::<f64>();
    format!("{both} of {}", sum(made))
}

fn exact(got: [f64; 2], want: [f64; 2]) -> String {
    if got == want {
        "exact".to_owned()
    } else {
        format!("{got:?}, not {want:?}")
    }
}

fn table() -> String {
    let mut text = "\
# Real programs

`cargo xtask test` runs these programs unmodified, as Debian ships them, in guests with Linux 6.1, and compares what
sockmeter shows with their own accounts; its last test writes this page. Every server is asked by curl: GET, HEAD, POST,
`Expect: 100-continue`, a status of 404, an upload that takes a second, and 16 requests of which four run at a time.

| Server | Its account tells | Requests counted, by its account | By curl's | Bytes, by curl's |
|---|---|---|---|---|
"
    .to_owned();
    for [scenario, name, process, shown, tells] in SERVERS {
        let mut step = Step::of(scenario, name);
        let curl = step.curl();
        let counted = step.counted(process, SERVER);
        let own = of(&counted, &requests(&step.account(process)));
        let others = of(&counted, &curl.requests);
        let bytes =
            ["receive", "transmit"].map(|direction| step.bytes(process, "server", direction));
        let bytes = exact(bytes, [curl.sent, curl.received]);
        text.push_str(&format!(
            "| {shown} | {tells} | {own} | {others} | {bytes} |\n"
        ));
    }
    text.push_str(
        "
| Client | Its account tells | Requests counted, by its server's account | Bytes, by its server's |
|---|---|---|---|
",
    );
    for [scenario, name, process, server, shown, tells] in CLIENTS {
        let step = Step::of(scenario, name);
        let made = requests(&step.account(server));
        let counted = of(&step.counted(process, CLIENT), &made);
        let bytes =
            ["receive", "transmit"].map(|direction| step.bytes(process, "client", direction));
        let want = ["transmit", "receive"].map(|direction| step.bytes(server, "server", direction));
        let bytes = exact(bytes, want);
        text.push_str(&format!("| {shown} | {tells} | {counted} | {bytes} |\n"));
    }
    text.push_str(
        "
curl's own counts agree with its series in every run, and wrk's but for the requests that it does not wait for at its
end. Behind nginx, php-fpm speaks FastCGI: its bytes are exact, and `unrecognised`. Its workers, as those of Apache
prefork, wait in `accept` when the agent starts, and a call that has begun is not seen to return. Over TCP the first
connection of each is known to be new at its first use. Over a Unix socket it is counted as adopted, not as opened;
HTTP on it is measured all the same, and of anything else the bytes are `lost`, not `unrecognised`.

Where an account says something else, and why:

- HAProxy logs the bytes of its own form of a message, not of the wire.
- lighttpd does not log the bytes of requests' bodies, and counts a connection's first request from its accept on.
- Apache's `%I` counts one byte too many for a request that waits already when the one before is answered.
- curl traces a head of `100 Continue` without its empty line.
- Seconds agree within 5 % and 10 ms for each request: a log may begin behind the head and end with its own line.
",
    );
    text
}

#[test]
fn the_page_of_programs_is_what_the_tests_saw() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/programs.md");
    let text = table();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &text).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, kept, "UPDATE_GOLDEN=1 writes {}", path.display());
}
