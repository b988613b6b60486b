//! Messages that come whole: told in one step where that is safe, and always the same as if they had come in parts.

use super::*;

const HEAD: &str = "HEAD /h HTTP/1.1\r\nHost: h\r\n\r\n";
const POST: &str = "POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc";
const LONGER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok\r\n";
const EMPTY: &str = "HTTP/1.1 204 No Content\r\n\r\n";
const INTERIM: &str = "HTTP/1.1 100 Continue\r\n\r\n";
const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
const PIPELINED: &str = "GET /a HTTP/1.1\r\nHost: h\r\n\r\nGET /a HTTP/1.1\r\nHost: h\r\n\r\n";

/// How many messages were told in one step.
fn whole(reader: &mut dyn Protocol, speaker: Speaker, bytes: &str) -> usize {
    let mut whole = 0;
    reader.read(speaker, Piece::Bytes(bytes.as_bytes()), &mut |message| {
        whole += usize::from(message.parts().count() > 1);
    });
    whole
}

#[test]
fn what_comes_again_is_told_in_one_step() {
    let mut reader = (KIND.reader)(Start::Beginning);
    // A reader that knows no request yet looks closer.
    for (round, told) in [(1, [0, 0]), (2, [1, 1]), (3, [1, 1])] {
        let request = whole(
            &mut *reader,
            Client,
            "GET /whole HTTP/1.1\r\nHost: w\r\n\r\n",
        );
        let answer = "HTTP/1.1 200 OK\r\nX-Whole: 1\r\nContent-Length: 2\r\n\r\nok";
        let response = whole(&mut *reader, Server, answer);
        assert_eq!([request, response], told, "{round}");
    }
    assert_eq!(whole(&mut *reader, Client, PIPELINED), 0);
    assert_eq!(whole(&mut *reader, Server, OK), 0, "two are open");
}

#[test]
fn what_comes_again_says_the_same_in_one_piece_and_in_two() {
    for (request, response) in [
        (GET, OK),
        (GET, LONGER),
        (GET, EMPTY),
        (GET, CHUNKED),
        (HEAD, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"),
        (HEAD, OK),
        (POST, OK),
        (GET, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"),
        (
            PIPELINED,
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 204 No\r\n\r\n",
        ),
    ] {
        let exchange = |connection: &mut Connection, cut: usize| {
            for (speaker, text) in [(Client, request), (Server, INTERIM), (Server, response)] {
                let (first, second) = text.split_at(cut.min(text.len()));
                for part in [first, second] {
                    connection.read(speaker, Piece::Bytes(part.as_bytes()));
                }
            }
            (connection.steps(), connection.bytes())
        };
        let mut apart = Connection::new();
        let told = [17, 21, 30].map(|cut| exchange(&mut apart, cut));
        let mut together = Connection::new();
        let again = [0, 0, 0].map(|cut| exchange(&mut together, cut));
        assert_eq!(again, told, "{request:?} {response:?}");
    }
}
