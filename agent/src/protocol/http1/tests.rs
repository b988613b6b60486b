//! The reader, rule by rule (numbers: "What a correct exchange is").

mod early;
mod heads;
mod recovery;
mod whole;

use super::*;
use crate::protocol::{Request, Response};
use Speaker::{Client, Server};

/// What a connection's pieces came to: the steps, and the sums of bytes.
#[derive(Default)]
struct Told {
    steps: Vec<String>,
    consumed: Consumed,
}

struct Connection {
    reader: Box<dyn Protocol>,
    told: Told,
}

impl Connection {
    fn new() -> Self {
        Self {
            reader: (KIND.reader)(Start::Beginning),
            told: Told::default(),
        }
    }

    fn read(&mut self, speaker: Speaker, piece: Piece<'_>) -> &mut Self {
        let steps = &mut self.told.steps;
        let consumed = self.reader.read(speaker, piece, &mut |message| {
            steps.extend(message.parts().map(text));
        });
        assert_eq!(total(consumed), piece.length_bytes());
        self.told.consumed = sum(self.told.consumed, consumed);
        self
    }

    fn client(&mut self, bytes: &str) -> &mut Self {
        self.read(Client, Piece::Bytes(bytes.as_bytes()))
    }

    fn server(&mut self, bytes: &str) -> &mut Self {
        self.read(Server, Piece::Bytes(bytes.as_bytes()))
    }

    /// The steps since the last call.
    fn steps(&mut self) -> String {
        std::mem::take(&mut self.told.steps).join(" ")
    }

    /// Parsed, skipped, lost, opaque since the last call.
    fn bytes(&mut self) -> [u64; 4] {
        let Consumed {
            parsed_bytes,
            skipped_bytes,
            lost_bytes,
            opaque_bytes,
        } = std::mem::take(&mut self.told.consumed);
        [parsed_bytes, skipped_bytes, lost_bytes, opaque_bytes]
    }

    fn close(&mut self) -> &mut Self {
        let steps = &mut self.told.steps;
        self.reader
            .close(&mut |message| steps.extend(message.parts().map(text)));
        self
    }
}

fn text(message: Message<'_>) -> String {
    assert_eq!(message.stream, 0);
    match message.step {
        Step::RequestStarted => "(".to_owned(),
        Step::Request(Request::Http {
            kind: _,
            method,
            target,
            host,
            version,
        }) => {
            let [method, target, host] =
                [method, target, host].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
            format!("{method},{target},{host},{version}")
        }
        Step::RequestEnded => ")".to_owned(),
        Step::ResponseStarted => "[".to_owned(),
        Step::Response(Response::Http { status }) => status.to_string(),
        Step::ResponseEnded => "]".to_owned(),
        Step::ResponseEndedBefore => "]before".to_owned(),
        Step::ResponseEndLost => "]lost".to_owned(),
        Step::WholeRequest(_) | Step::WholeResponse(_) => unreachable!("told in parts"),
        Step::Upgraded => "upgraded".to_owned(),
        Step::Lost(loss) => format!("lost:{}", loss.label()),
    }
}

const GET: &str = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n";
const TOLD_GET: &str = "( GET,/a,h,1.1 )";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const TOLD_OK: &str = "[ 200 ]";
const POST_CHUNKED: &str = "POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
const OK_CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

/// The steps of a request alone.
fn request(head: &str) -> String {
    Connection::new().client(head).steps()
}

/// The steps of a response to GET.
fn response(bytes: &str) -> String {
    let mut connection = Connection::new();
    connection.client(GET).steps();
    connection.server(bytes).steps()
}

#[test]
fn an_exchange_and_its_bytes() {
    let mut connection = Connection::new();
    let post = "POST /p HTTP/1.0\r\nHOST: x.org \r\nContent-Length: 3\r\n\r\nabc";
    assert_eq!(connection.client(post).steps(), "( POST,/p,x.org,1.0 )");
    assert_eq!(connection.bytes(), [53, 3, 0, 0]);
    assert_eq!(connection.server(OK).steps(), TOLD_OK);
    assert_eq!(connection.bytes(), [38, 2, 0, 0]);
}

#[test]
fn rule_06_unseen_bodies_move_the_place() {
    let mut connection = Connection::new();
    connection
        .client("PUT /p HTTP/1.1\r\nContent-Length: 100\r\n\r\nabc")
        .steps();
    assert_eq!(connection.reader.needless_bytes(Client), 97);
    assert_eq!(connection.read(Client, Piece::Unseen(90)).steps(), "");
    assert_eq!(connection.read(Client, Piece::Lost(7)).steps(), ")");
    assert_eq!(connection.bytes(), [40, 93, 7, 0]);
    assert_eq!(connection.reader.needless_bytes(Client), 0);
    connection.server(OK_CHUNKED).steps();
    assert_eq!(
        connection.server("ff\r\nab").reader.needless_bytes(Server),
        253
    );
    assert_eq!(
        connection
            .read(Server, Piece::Unseen(253))
            .server("\r\n0\r\n\r\n")
            .steps(),
        "]"
    );
    assert_eq!(
        connection.client(GET).server(OK).steps(),
        format!("{TOLD_GET} {TOLD_OK}")
    );
}

#[test]
fn rule_07_split_anywhere() {
    let client = format!("{POST_CHUNKED}3;e=1\r\nabc\r\n0\r\nT: v\r\n\r\n\r\n{GET}");
    let server =
        format!("HTTP/1.1 100 Continue\r\n\r\n{OK_CHUNKED}a\r\n0123456789\r\n0\r\n\r\n{OK}");
    let asked = format!("( POST,/c,h,1.1 ) {TOLD_GET}");
    let answered = format!("{TOLD_OK} {TOLD_OK}");
    for cut in 0..=client.len() {
        let mut connection = Connection::new();
        assert_eq!(
            connection
                .client(&client[..cut])
                .client(&client[cut..])
                .steps(),
            asked,
            "{cut}"
        );
        let cut = cut.min(server.len());
        assert_eq!(
            connection
                .server(&server[..cut])
                .server(&server[cut..])
                .steps(),
            answered,
            "{cut}"
        );
    }
    let mut connection = Connection::new();
    for byte in client.split_inclusive(|_| true) {
        connection.client(byte);
    }
    assert_eq!(connection.steps(), asked);
    for byte in server.split_inclusive(|_| true) {
        connection.server(byte);
    }
    assert_eq!(connection.steps(), answered);
    assert_eq!(connection.bytes()[2..], [0, 0]);
}

#[test]
fn rule_07_lines_may_end_with_lf() {
    assert_eq!(request("GET /a HTTP/1.1\nHost: h\n\n"), TOLD_GET);
    assert_eq!(response("HTTP/1.1 200 OK\nContent-Length: 0\n\n"), TOLD_OK);
}

#[test]
fn rule_09_pipelining_fifo() {
    let mut connection = Connection::new();
    connection
        .client(&format!("HEAD /h HTTP/1.1\r\n\r\n{GET}"))
        .client(GET)
        .steps();
    let head_answer = "HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n";
    let answers = format!("{head_answer}{OK}HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(
        connection.server(&answers).steps(),
        "[ 200 ] [ 200 ] [ 404 ]"
    );
}

#[test]
fn rule_09_overflow_is_lost() {
    let mut connection = Connection::new();
    connection.client(&GET.repeat(OPEN_REQUESTS_MAX));
    assert!(!connection.steps().contains("lost"));
    assert_eq!(connection.client(GET).steps(), "( lost:too_large");
}

#[test]
fn rule_10_interim_head_204_304() {
    assert_eq!(
        response(&format!(
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\n{OK}"
        )),
        TOLD_OK
    );
    assert_eq!(
        response("HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\n"),
        "[ 204 ]"
    );
    assert_eq!(
        response("HTTP/1.1 304 Not\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"),
        "[ 304 ]"
    );
    assert_eq!(
        response("HTTP/1.1 999 X\r\nContent-Length: 0\r\n\r\n"),
        "[ 999 ]"
    );
    assert_eq!(response("HTTP/1.1 099 X\r\n\r\n"), "lost:malformed");
    assert_eq!(response("HTTP/1.1 20 X\r\n\r\n"), "lost:malformed");
}

#[test]
fn rule_10_upgrade_and_connect_end_http() {
    let mut connection = Connection::new();
    connection
        .client("GET /ws HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n")
        .steps();
    let switching = "HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n\r\n";
    assert_eq!(
        connection.server(&format!("{switching}\u{1}\u{2}")).steps(),
        "[ 101 ] upgraded"
    );
    connection.bytes();
    assert_eq!(
        connection
            .client(GET)
            .read(Server, Piece::Unseen(7))
            .read(Client, Piece::Lost(1))
            .close()
            .steps(),
        ""
    );
    assert_eq!(connection.bytes(), [0, 0, 0, GET.len() as u64 + 8]);

    let mut connection = Connection::new();
    connection
        .client("CONNECT h:443 HTTP/1.1\r\nHost: h\r\n\r\n")
        .steps();
    let tunnel = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n\x16\x03";
    assert_eq!(connection.server(tunnel).steps(), "[ 200 ] upgraded");
    assert_eq!(connection.bytes()[3], 2);
}

#[test]
fn rule_10_refused_upgrades_go_on_as_http() {
    let mut connection = Connection::new();
    connection
        .client("GET /ws HTTP/1.1\r\nUpgrade: h2c\r\n\r\n")
        .server(OK)
        .steps();
    assert_eq!(
        connection.client(GET).server(OK).steps(),
        "( GET,/a,h,1.1 ) [ 200 ]"
    );
    connection
        .client("CONNECT h:443 HTTP/1.1\r\n\r\n")
        .server("HTTP/1.1 407 No\r\nContent-Length: 1\r\n\r\nx")
        .steps();
    assert_eq!(
        connection.client(GET).server(OK).steps(),
        "( GET,/a,h,1.1 ) [ 200 ]"
    );
}

#[test]
fn read_until_close() {
    let mut connection = Connection::new();
    connection.client(GET).steps();
    assert_eq!(
        connection
            .server("HTTP/1.0 200 OK\r\n\r\nab")
            .server("HTTP/1.1 200")
            .steps(),
        "[ 200"
    );
    assert_eq!(connection.close().steps(), "]before");
    assert_eq!(connection.bytes()[1], 14);

    let mut connection = Connection::new();
    connection
        .client(GET)
        .server("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nab")
        .steps();
    assert_eq!(
        connection.client(GET).steps(),
        format!("]before {TOLD_GET}")
    );
    assert_eq!(connection.server(OK).steps(), TOLD_OK);
    let truncated = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab";
    assert_eq!(
        connection.client(GET).server(truncated).close().steps(),
        format!("{TOLD_GET} [ 200")
    );
}
