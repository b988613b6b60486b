//! Responses before the request has ended.

use super::*;

#[test]
fn rule_11_early_response() {
    let mut connection = Connection::new();
    connection
        .client("POST /p HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc")
        .steps();
    assert_eq!(
        connection
            .server("HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n")
            .steps(),
        "[ 413 ]"
    );
    assert_eq!(connection.client("defghij").steps(), ")");
    assert_eq!(
        connection.client(GET).server(OK).steps(),
        format!("{TOLD_GET} {TOLD_OK}")
    );
}

#[test]
fn rule_11_an_answer_to_an_unfinished_head_is_nobody_elses() {
    let refused = "HTTP/1.1 414 No\r\nContent-Length: 0\r\n\r\n";
    for (begun, told, rest) in [
        ("GE", ",,,", "T /a HTTP/1.1\r\n\r\n"),
        ("GET /lo", "GET,,,", "ng HTTP/1.1\r\n\r\n"),
        ("GET /a HTTP/1.", "GET,/a,,", "1\r\n\r\n"),
        (
            "POST /a HTTP/1.0\r\nContent-",
            "POST,/a,,1.0",
            "Length: 3\r\n\r\nabc",
        ),
        ("HEAD /a HTTP/1.1\r\n", "HEAD,/a,,1.1", ""),
    ] {
        let mut connection = Connection::new();
        assert_eq!(connection.client(begun).steps(), "(");
        assert_eq!(
            connection.server(refused).steps(),
            format!("{told} [ 414 ]")
        );
        if rest.is_empty() {
            continue;
        }
        // The rest is no second request, and what follows is read as ever.
        assert_eq!(connection.client(rest).steps(), ")");
        assert_eq!(
            connection.client(GET).server(OK).steps(),
            format!("{TOLD_GET} {TOLD_OK}")
        );
    }
    // A second answer answers nothing.
    let mut connection = Connection::new();
    connection.client("GET /a").server(refused).steps();
    assert_eq!(connection.server(refused).steps(), "[ 414 ]");
    assert_eq!(
        connection.client(" HTTP/3.1\r\n\r\n").steps(),
        "lost:malformed"
    );
}

#[test]
fn rule_11_an_answer_in_pieces_to_a_head_in_pieces() {
    let mut connection = Connection::new();
    connection
        .client("GET /a HTTP/1.1\r\nHo")
        .server("HTTP/1.1 2");
    assert_eq!(connection.client("st: h\r\n\r\n").steps(), TOLD_GET);
    assert_eq!(
        connection
            .server("00 OK\r\nContent-Length: 0\r\n\r\n")
            .steps(),
        TOLD_OK
    );
}
