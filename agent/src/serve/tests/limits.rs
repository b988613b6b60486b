//! What clients can hold, bytes that are not HTTP, and stopping.

use super::*;
use std::time::Instant;

#[test]
fn clients_above_the_limit_wait_for_a_place() {
    let server = Server::start(
        Limits {
            connections_max: 2,
            ..Limits::default()
        },
        prompt,
    );
    let (first, _second) = (server.connect(), server.connect());
    let mut third = server.send(b"GET /health/live HTTP/1.1\r\nHost: h\r\n\r\n");
    third
        .set_read_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    assert_eq!(
        third.read(&mut [0]).unwrap_err().kind(),
        ErrorKind::WouldBlock
    );
    drop(first);
    third
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    assert_eq!(receive(third).status, 200);
}

#[test]
fn a_head_that_does_not_end_is_cut() {
    let server = Server::start(
        Limits {
            head: Duration::from_millis(100),
            ..Limits::default()
        },
        prompt,
    );
    for begun in [&b""[..], b"GET /metrics HTTP/1.1\r\nX: "] {
        let mut client = server.send(begun);
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).unwrap();
        assert_eq!(rest, b"", "closed without an answer");
    }
}

#[test]
fn a_scrape_that_is_not_read_is_cut_and_gives_its_place_back() {
    const BODY_BYTES: usize = 64 << 20;
    // Enough for such a scrape to be read on a busy machine.
    const CONNECTION: Duration = Duration::from_secs(3);
    let limits = Limits {
        scrapes_max: 1,
        connection: CONNECTION,
        ..Limits::default()
    };
    let server = Server::start(limits, |ask| {
        if let Ask::Metrics { reply, .. } = ask {
            let _ = reply.send(Page {
                content_type: "text/plain",
                body: Box::new([vec![b'x'; BODY_BYTES].into()].into_iter()),
            });
        }
    });
    let request = b"GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n";
    let begun = Instant::now();
    let mut unread = server.send(request);
    let mut byte = [0];
    unread.read_exact(&mut byte).unwrap();
    // While the first is unread, the second has no place: it waits until its own connection is cut, or gets one.
    let mut waiting = server.send(request);
    let read = waiting.read(&mut byte);
    assert!(
        begun.elapsed() >= CONNECTION,
        "the second scrape did not wait"
    );
    drop(read);
    let mut cut = Vec::new();
    let _ = unread.read_to_end(&mut cut);
    assert!(cut.len() < BODY_BYTES, "the unread scrape was not cut");
    assert_eq!(server.get("/metrics").body.len(), BODY_BYTES);
}

#[test]
fn bytes_that_are_not_http_do_not_end_the_server() {
    let server = Server::start(Limits::default(), prompt);
    assert_eq!(
        receive(server.send(b"\x16\x03\x01\x02\x00\x01 not http \xff\r\n\r\n")).status,
        400
    );
    let endless = [
        b"GET / HTTP/1.1\r\nX: ".to_vec(),
        vec![b'a'; HEAD_BYTES_MAX],
    ]
    .concat();
    assert_eq!(receive(server.send(&endless)).status, 431);
    drop(server.send(b"GET / HT"));
    assert_eq!(server.get("/health/live").status, 200);
}

#[test]
fn stopping_ends_idle_clients_and_finishes_requests() {
    let (asked, mut seen) = mpsc::channel(1);
    let server = Server::start(Limits::default(), move |ask| {
        let _ = asked.blocking_send(());
        thread::sleep(Duration::from_millis(200));
        prompt(ask);
    });
    let idle = server.connect();
    let scrape = server.send(b"GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n");
    seen.blocking_recv().unwrap();
    let begun = Instant::now();
    server.stop.send(()).unwrap();
    assert_eq!(receive(scrape).body, "up{accept=\"\"} 1\n");
    server.thread.join().unwrap().unwrap();
    assert!(
        begun.elapsed() < Limits::default().stop,
        "an idle client held the server up"
    );
    assert!(std::net::TcpStream::connect(server.address).is_err());
    drop(idle);
}
