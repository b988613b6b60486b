//! The server through raw sockets: each endpoint, and taking the port; [`limits`] has what clients can hold.

use super::*;
use std::io::{Read as _, Write as _};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::{self, JoinHandle};

mod limits;

/// A server on a free port, with a thread that plays the pipeline.
struct Server {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<io::Result<()>>,
}

impl Server {
    fn start(limits: Limits, mut pipeline: impl FnMut(Ask) + Send + 'static) -> Self {
        let (source, mut asks) = Source::new();
        thread::spawn(move || {
            while let Some(ask) = asks.blocking_recv() {
                pipeline(ask);
            }
        });
        Self::with_source(limits, source)
    }

    fn with_source(limits: Limits, source: Source) -> Self {
        let listener = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(serve(listener, source, limits, async {
                drop(stopped.await)
            }))
        });
        Self {
            address,
            stop,
            thread,
        }
    }

    fn connect(&self) -> std::net::TcpStream {
        let client = std::net::TcpStream::connect(self.address).unwrap();
        client
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        client
    }

    fn send(&self, request: &[u8]) -> std::net::TcpStream {
        let mut client = self.connect();
        client.write_all(request).unwrap();
        client
    }

    fn get(&self, path: &str) -> Response {
        receive(self.send(format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes()))
    }
}

struct Response {
    status: u16,
    head: String,
    body: String,
}

impl Response {
    fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    fn shown(&self) -> (u16, Option<&str>, &str) {
        (self.status, self.header("content-type"), &self.body)
    }
}

fn receive(mut client: std::net::TcpStream) -> Response {
    let mut text = String::new();
    client.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Response {
        status,
        head: head.to_owned(),
        body: body.to_owned(),
    }
}

fn good() -> Health {
    Health {
        status: Status::Ok,
        not_ready: None,
        parts: Vec::new(),
    }
}

/// Answers at once; the scrape shows the `Accept` it was asked with.
fn prompt(ask: Ask) {
    match ask {
        Ask::Metrics { accept, reply } => {
            let body = format!("up{{accept=\"{}\"}} 1\n", accept.unwrap_or_default());
            let _ = reply.send(Page {
                content_type: "text/plain; version=0.0.4",
                body: Box::new([body.into()].into_iter()),
            });
        }
        Ask::Health { reply } => drop(reply.send(good())),
    }
}

fn in_state(health: Health) -> Server {
    Server::start(Limits::default(), move |ask| {
        if let Ask::Health { reply } = ask {
            let _ = reply.send(health.clone());
        }
    })
}

const TEXT: Option<&str> = Some("text/plain; charset=utf-8");
const JSON: Option<&str> = Some("application/json");

#[test]
fn a_scrape_is_the_pipelines_page_in_the_accepted_format() {
    let server = Server::start(Limits::default(), prompt);
    let version = Some("text/plain; version=0.0.4");
    assert_eq!(
        server.get("/metrics").shown(),
        (200, version, "up{accept=\"\"} 1\n")
    );
    assert_eq!(server.get("/metrics?name[]=up").status, 200);
    let request = b"GET /metrics HTTP/1.1\r\nHost: h\r\nAccept: a/b;q=0.5\r\nAccept: */*\r\n\r\n";
    assert_eq!(
        receive(server.send(request)).body,
        "up{accept=\"a/b;q=0.5, */*\"} 1\n"
    );
}

#[test]
fn a_scrape_is_made_as_it_is_read() {
    const PIECES: u32 = 1000;
    const PIECE_BYTES: usize = 64 * 1024;
    let made = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&made);
    let server = Server::start(Limits::default(), move |ask| {
        let count = Arc::clone(&count);
        let pieces = (0..PIECES).map(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
            vec![b'x'; PIECE_BYTES].into()
        });
        if let Ask::Metrics { reply, .. } = ask {
            let _ = reply.send(Page {
                content_type: "text/plain",
                body: Box::new(pieces),
            });
        }
    });
    let mut client = server.send(b"GET /metrics HTTP/1.0\r\n\r\n");
    client.read_exact(&mut [0]).unwrap();
    thread::sleep(Duration::from_millis(300));
    // The rest is not made before what was made is in the sockets' buffers, which have a few megabytes.
    let begun = made.load(Ordering::Relaxed);
    assert!((1..PIECES / 2).contains(&begun), "{begun} pieces");
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).unwrap();
    assert_eq!(made.load(Ordering::Relaxed), PIECES);
    assert!(rest.len() >= PIECES as usize * PIECE_BYTES);
}

#[test]
fn health_shows_each_part_and_fails_only_with_the_whole() {
    let part = Part {
        name: "tls_io".to_owned(),
        status: Status::Failed,
        why: "no OpenSSL".to_owned(),
    };
    let degraded = Health {
        status: Status::Degraded,
        not_ready: None,
        parts: vec![part],
    };
    let body =
        r#"{"status":"degraded","parts":[{"name":"tls_io","status":"failed","why":"no OpenSSL"}]}"#;
    let server = in_state(degraded.clone());
    assert_eq!(server.get("/health").shown(), (200, JSON, body));
    assert_eq!(server.get("/health/ready").shown(), (200, TEXT, "ready\n"));

    let server = in_state(Health {
        status: Status::Failed,
        parts: Vec::new(),
        ..degraded
    });
    assert_eq!(
        server.get("/health").shown(),
        (503, JSON, r#"{"status":"failed","parts":[]}"#)
    );
    assert_eq!(server.get("/health/live").shown(), (200, TEXT, "ok\n"));
}

#[test]
fn ready_gives_the_reason_until_it_is() {
    let server = in_state(Health {
        not_ready: Some("2 of 7 probes are attached".to_owned()),
        ..good()
    });
    assert_eq!(
        server.get("/health/ready").shown(),
        (503, TEXT, "2 of 7 probes are attached\n")
    );
    let body = r#"{"status":"ok","not_ready":"2 of 7 probes are attached","parts":[]}"#;
    assert_eq!(server.get("/health").shown(), (200, JSON, body));
}

#[test]
fn the_page_for_people_links_every_endpoint_and_nothing_else() {
    let page = Server::start(Limits::default(), prompt).get("/");
    assert_eq!(
        (page.status, page.header("content-type")),
        (200, Some("text/html; charset=utf-8"))
    );
    let links: Vec<&str> = page
        .body
        .split("href=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect();
    assert_eq!(
        links,
        ["/metrics", "/health", "/health/live", "/health/ready"]
    );
    assert!(
        !page.body.contains("src=") && !page.body.contains("//"),
        "loads something"
    );
}

#[test]
fn head_is_get_without_the_body() {
    let server = Server::start(Limits::default(), prompt);
    for path in ["/", "/metrics", "/health", "/health/live", "/health/ready"] {
        let head =
            receive(server.send(format!("HEAD {path} HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes()));
        let get = server.get(path);
        assert_eq!(
            head.shown(),
            (200, get.header("content-type"), ""),
            "{path}"
        );
        assert_eq!(
            head.header("content-length"),
            Some(get.body.len().to_string().as_str()),
            "{path}"
        );
    }
}

#[test]
fn other_paths_and_methods_are_told_what_there_is() {
    let server = Server::start(Limits::default(), prompt);
    let hint = "not found; there are /metrics, /health, /health/live, /health/ready and /\n";
    for path in ["/metric", "/metrics/", "/health/", "/health/startup", "//"] {
        assert_eq!(server.get(path).shown(), (404, TEXT, hint), "{path}");
    }
    for (method, path, status) in [
        ("POST", "/metrics", 405),
        ("DELETE", "/", 405),
        ("OPTIONS", "/health", 405),
        ("POST", "/x", 404),
    ] {
        let request = format!("{method} {path} HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n");
        let response = receive(server.send(request.as_bytes()));
        assert_eq!(response.status, status, "{method} {path}");
        assert_eq!(
            response.header("allow"),
            (status == 405).then_some("GET, HEAD")
        );
    }
}

#[test]
fn a_pipeline_that_does_not_answer_is_a_503() {
    let mut kept = Vec::new();
    let limits = Limits {
        answer: Duration::from_millis(50),
        ..Limits::default()
    };
    let server = Server::start(limits, move |ask| kept.push(ask));
    let why = "the pipeline did not answer within 50ms";
    assert_eq!(
        server.get("/metrics").shown(),
        (503, TEXT, format!("{why}\n").as_str())
    );
    assert_eq!(
        server.get("/health/ready").shown(),
        (503, TEXT, format!("{why}\n").as_str())
    );
    let body = format!(
        r#"{{"status":"failed","not_ready":"{why}","parts":[{{"name":"pipeline","status":"failed","why":"{why}"}}]}}"#
    );
    assert_eq!(server.get("/health").shown(), (503, JSON, body.as_str()));
    assert_eq!(server.get("/health/live").status, 200);
}

#[test]
fn a_pipeline_that_has_ended_is_a_503_at_once() {
    let (source, asks) = Source::new();
    drop(asks);
    let server = Server::with_source(Limits::default(), source);
    assert_eq!(
        server.get("/metrics").shown(),
        (503, TEXT, "the pipeline has stopped\n")
    );
    let server = Server::start(Limits::default(), drop);
    assert_eq!(
        server.get("/health/ready").shown(),
        (503, TEXT, "the pipeline has stopped\n")
    );
}

#[test]
fn a_taken_port_is_named() {
    let held = bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = held.local_addr().unwrap();
    assert_eq!(
        bind(address).unwrap_err().to_string(),
        format!("cannot listen on {address}: address in use; choose another with --listen")
    );
    let elsewhere = "192.0.2.1:9435".parse().unwrap();
    assert_eq!(
        bind(elsewhere).unwrap_err().to_string(),
        "cannot listen on 192.0.2.1:9435: address not available; choose another with --listen"
    );
}

#[test]
fn all_addresses_are_ipv4_where_there_is_no_ipv6() {
    let no_ipv6 = |address: SocketAddr| match address {
        SocketAddr::V4(_) => Ok(address.to_string()),
        SocketAddr::V6(_) => Err(io::Error::from_raw_os_error(97)),
    };
    assert_eq!(
        bind_with("[::]:9435".parse().unwrap(), no_ipv6).unwrap(),
        "0.0.0.0:9435"
    );
    assert_eq!(
        bind_with("[::1]:9435".parse().unwrap(), no_ipv6)
            .unwrap_err()
            .to_string(),
        "cannot listen on [::1]:9435: Address family not supported by protocol (os error 97); \
         choose another with --listen"
    );
    // A port that is taken must not end in half of the addresses.
    let taken = |_| Err::<(), _>(io::Error::from(ErrorKind::AddrInUse));
    assert_eq!(
        bind_with("[::]:9435".parse().unwrap(), taken)
            .unwrap_err()
            .to_string(),
        "cannot listen on [::]:9435: address in use; choose another with --listen"
    );
}

#[test]
fn all_addresses_take_ipv4_clients() {
    let listener = bind("[::]:0".parse().unwrap()).unwrap();
    let port = listener.local_addr().unwrap().port();
    assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
}
