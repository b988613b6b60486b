//! What is recognised, what is refused, and the limits.

use super::*;

#[test]
fn recognises_requests() {
    let verdict = |opening: &str| (KIND.recognise)(Client, opening.as_bytes());
    let yes = [
        "GET /",
        "OPTIONS * HTTP/1.1",
        "CONNECT example.org:443",
        "CONNECT [::1]:1",
        "GET http://h/",
        "GET HTTPS://h/",
        "UPDATEREDIRECTREF /",
    ];
    for opening in yes {
        assert_eq!(verdict(opening), Recognition::Yes, "{opening}");
        for end in 0..4 {
            assert_eq!(
                verdict(&opening[..end]),
                Recognition::NeedMore,
                "{opening} {end}"
            );
        }
    }
    assert_eq!(verdict("UPDATE"), Recognition::NeedMore);
    assert_eq!(verdict("UPDATE "), Recognition::NeedMore);
    assert_eq!(verdict("GET ht"), Recognition::NeedMore);
    let no = [
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "GET key\r\n",
        "GET * HTTP/1.1",
        "get /",
        "OPTIONS sip:a@b",
        "OPTIONS rtsp://h",
        "GETX /",
        "\r\nGET /",
        " GET /",
        "*1\r\n$4\r\nPING",
        "\x16\x03\x01",
        "SELECT /",
    ];
    for opening in no {
        assert_eq!(verdict(opening), Recognition::No, "{opening}");
    }
}

#[test]
fn recognises_responses() {
    let verdict = |opening: &str| (KIND.recognise)(Server, opening.as_bytes());
    assert_eq!(verdict("HTTP/1."), Recognition::Yes);
    assert_eq!(verdict("HTTP/1"), Recognition::NeedMore);
    assert_eq!(verdict(""), Recognition::NeedMore);
    assert_eq!(verdict("HTTP/2"), Recognition::No);
    assert_eq!(verdict("SSH-2.0"), Recognition::No);
}

#[test]
fn lengths_that_are_not_plain_are_malformed() {
    let post = |fields: &str| request(&format!("POST /p HTTP/1.1\r\n{fields}\r\n\r\n"));
    let whole = "( POST,/p,,1.1 )";
    for good in [
        "Content-Length: 0",
        "Content-Length:  0\t",
        "Content-Length: 0\r\ncontent-length: 00",
        "Content-Length: 0, 0",
    ] {
        assert_eq!(post(good), whole, "{good}");
    }
    let bad = [
        "5\r\nContent-Length: 6",
        "5, 6",
        "5,",
        "",
        "+5",
        "-5",
        "0x5",
        "5 5",
        "5\0",
        "5.0",
        "18446744073709551616",
        "5\r\n 5",
        "5\r\nTransfer-Encoding: chunked",
    ];
    for bad in bad {
        assert_eq!(
            post(&format!("Content-Length: {bad}")),
            "( lost:malformed",
            "{bad}"
        );
        assert_eq!(
            response(&format!("HTTP/1.1 200 OK\r\nContent-Length: {bad}\r\n\r\n")),
            "lost:malformed",
            "{bad}"
        );
    }
    assert_eq!(
        post("Content-Length: 18446744073709551615"),
        "( POST,/p,,1.1"
    );
}

#[test]
fn codings_that_do_not_end_a_request_are_malformed() {
    let post = |fields: &str| request(&format!("POST /p HTTP/1.1\r\n{fields}\r\n\r\n0\r\n\r\n"));
    let whole = "( POST,/p,,1.1 )";
    for good in [
        "chunked",
        "CHUNKED",
        "gzip, chunked",
        "gzip\r\nTransfer-Encoding: chunked",
        " , chunked ,",
    ] {
        assert_eq!(post(&format!("Transfer-Encoding: {good}")), whole, "{good}");
    }
    for bad in [
        "gzip",
        "xchunked",
        "chunked, gzip",
        "chunked, chunked",
        "chunked, gzip, chunked",
        "identity",
        "",
        "\"chunked\"",
        "chunked;q=1",
    ] {
        assert_eq!(
            post(&format!("Transfer-Encoding: {bad}")),
            "( lost:malformed",
            "{bad}"
        );
    }
    assert_eq!(
        request("POST /p HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"),
        "( lost:malformed"
    );
}

#[test]
fn heads_that_break_the_rules_are_malformed() {
    let bad = [
        "GET /a HTTP/1.1\r\nA : b\r\n\r\n",
        "GET /a HTTP/1.1\r\nA: b\r\n c\r\n\r\n",
        "GET /a HTTP/1.1\r\nA: b\0\r\n\r\n",
        "GET /a HTTP/1.1\r\nA: b\rC: d\r\n\r\n",
        "GET /a HTTP/2.0\r\n\r\n",
        "GET /a\r\n\r\n",
        "GET /a b HTTP/1.1\r\n\r\n",
        "GET /a HTTP/1.1\r\n: b\r\n\r\n",
    ];
    for bad in bad {
        assert_eq!(request(bad), "( lost:malformed", "{bad}");
        let mut connection = Connection::new();
        for byte in bad.split_inclusive(|_| true) {
            connection.client(byte);
        }
        assert_eq!(connection.steps(), "( lost:malformed", "{bad}");
    }
    let mut connection = Connection::new();
    assert_eq!(
        connection
            .client(GET)
            .client("{\"no\": \"request\"}")
            .steps(),
        format!("{TOLD_GET} ( lost:malformed")
    );
    assert_eq!(response("\x15\x03\x03"), "lost:malformed");
    assert_eq!(
        response("HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 0\r\n\r\n"),
        TOLD_OK
    );
}

#[test]
fn limits_are_lost_as_too_large() {
    let fields = "A: b\r\n".repeat(129);
    assert_eq!(
        request(&format!("GET /a HTTP/1.1\r\n{fields}\r\n")),
        "( lost:too_large"
    );
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(64 * 1024));
    assert_eq!(request(&long), "( lost:too_large");
    let mut connection = Connection::new();
    connection.client(&long[..60_000]).client(&long[60_000..]);
    assert_eq!(connection.steps(), "( lost:too_large");
}

#[test]
fn an_unknown_method_is_read_on_a_known_connection() {
    let mut connection = Connection::new();
    connection.client(GET).server(OK).steps();
    assert_eq!(
        connection.client("BREW /pot HTTP/1.1\r\n\r\n").steps(),
        "( BREW,/pot,,1.1 )"
    );
}
