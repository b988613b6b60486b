//! Connections taken up in the middle, and the way back after a loss.

use super::*;

#[test]
fn rule_13_a_response_without_a_request() {
    let mut connection = Connection::new();
    assert_eq!(connection.server("tail of a response").steps(), "");
    assert_eq!(connection.bytes(), [0, 0, 18, 0]);
    let to_head = "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n";
    assert_eq!(connection.server(to_head).steps(), "[ 200");
    assert_eq!(connection.reader.needless_bytes(Server), 0);
    assert_eq!(
        connection.client(GET).steps(),
        format!("]before {TOLD_GET}")
    );
    assert_eq!(connection.server(OK).steps(), TOLD_OK);
    assert_eq!(connection.server(OK).steps(), TOLD_OK);
}
#[test]
fn rule_19_taken_up_in_the_middle() {
    let mut connection = Connection::new();
    assert_eq!(
        connection.client("tail of a body").steps(),
        "( lost:malformed"
    );
    assert_eq!(connection.bytes(), [0, 0, 14, 0]);
    assert_eq!(connection.server(OK).steps(), "");
    assert_eq!(
        connection.client(GET).server(OK).steps(),
        format!("{TOLD_GET} {TOLD_OK}")
    );
}

/// A connection that was open before the reader.
fn joined(start: Start) -> Connection {
    Connection {
        reader: (KIND.reader)(start),
        told: Told::default(),
    }
}

#[test]
fn rule_19_a_client_that_asks_ahead_has_perhaps_asked_before() {
    let again = format!("{TOLD_GET} {TOLD_OK}");
    let mut connection = joined(Start::Joined);
    assert_eq!(connection.client(GET).server(OK).steps(), again);
    assert_eq!(connection.client(GET).server(OK).steps(), again);
    assert_eq!(
        connection.client(GET).client(GET).server(OK).steps(),
        format!("{TOLD_GET} {TOLD_GET} lost:unseen")
    );
    // Nothing tells which answer is whose any more.
    connection.server(OK).server(OK);
    assert_eq!(connection.client(GET).server(OK).steps(), "");
    // Also if the answer has begun.
    let mut connection = joined(Start::Joined);
    connection.client(GET).server("HTTP/1.1 200 OK\r\n").steps();
    assert_eq!(connection.client(GET).steps(), "( lost:unseen");
    assert_eq!(connection.server(OK).client(GET).server(OK).steps(), "");
}

#[test]
fn rule_19_a_client_that_was_not_seen_to_be_answered_does_not_ask_ahead() {
    let again = format!("{TOLD_GET} {TOLD_OK}");
    let mut connection = joined(Start::Joined);
    assert_eq!(connection.client(GET).server(OK).steps(), again);
    connection.client(GET).client(GET).steps();
    assert_eq!(
        connection.read(Server, Piece::Lost(40)).server(OK).steps(),
        "lost:gap"
    );
    assert_eq!(connection.client(GET).server(OK).steps(), again);
}

#[test]
fn rule_19_what_was_asked_just_before_is_answered_first() {
    let mut connection = joined(Start::JoinedBehindClient);
    assert_eq!(connection.client(GET).server(OK).steps(), "");
    assert_eq!(
        connection.server(OK).client(GET).server(OK).steps(),
        format!("{TOLD_GET} {TOLD_OK}")
    );
}

#[test]
fn rule_22_holes_where_framing_is_needed() {
    let lost = |speaker, piece| {
        let mut connection = Connection::new();
        connection.client(POST_CHUNKED).client("5\r\nab").steps();
        connection.read(speaker, piece).steps()
    };
    assert_eq!(lost(Client, Piece::Unseen(3)), "");
    assert_eq!(lost(Client, Piece::Unseen(4)), "lost:unseen");
    assert_eq!(lost(Client, Piece::Lost(4)), "lost:gap");
    assert_eq!(lost(Server, Piece::Unseen(1)), "lost:unseen");
    assert_eq!(lost(Server, Piece::Lost(1)), "lost:gap");
}

#[test]
fn rule_22_an_alternating_connection_recovers() {
    let again = format!("{TOLD_GET} {TOLD_OK}");
    let mut connection = Connection::new();
    connection.client(GET).server(OK).steps();
    // A request without a readable head, then its answer.
    assert_eq!(
        connection
            .read(Client, Piece::Unseen(80))
            .server(OK)
            .steps(),
        "( lost:unseen"
    );
    assert_eq!(connection.client(GET).server(OK).steps(), again);
    // A lost answer is noticed only after the next request.
    connection.client(GET).client(GET).steps();
    assert_eq!(
        connection.read(Server, Piece::Lost(40)).server(OK).steps(),
        "lost:gap"
    );
    assert_eq!(connection.client(GET).server(OK).steps(), again);
    // So is a lost request, when its answer has come.
    assert_eq!(connection.server(OK).steps(), TOLD_OK);
    assert_eq!(connection.read(Client, Piece::Lost(28)).steps(), "lost:gap");
    assert_eq!(connection.client(GET).server(OK).steps(), again);
}

#[test]
fn rule_22_a_late_answer_is_not_given_to_a_new_request() {
    let mut connection = Connection::new();
    connection.client(POST_CHUNKED).steps();
    assert_eq!(
        connection.read(Client, Piece::Unseen(99)).steps(),
        "lost:unseen"
    );
    assert_eq!(
        connection
            .client(GET)
            .server(OK)
            .client(GET)
            .server(OK)
            .steps(),
        ""
    );
    assert_eq!(
        connection.server(OK).client(GET).server(OK).steps(),
        format!("{TOLD_GET} {TOLD_OK}")
    );
}

#[test]
fn chunks_out_of_sight_end_with_the_next_request() {
    let mut connection = Connection::new();
    connection.client(GET).server(OK_CHUNKED).steps();
    connection.bytes();
    assert_eq!(
        connection
            .read(Server, Piece::Unseen(500))
            .server("\r\n0\r\n\r\n")
            .steps(),
        ""
    );
    assert_eq!(
        connection.read(Server, Piece::Lost(3)).bytes(),
        [0, 507, 3, 0]
    );
    assert_eq!(
        connection.client(GET).server(OK_CHUNKED).steps(),
        format!("]before {TOLD_GET} [ 200")
    );
    assert_eq!(
        connection.read(Server, Piece::Lost(500)).close().steps(),
        "]before"
    );

    let mut connection = Connection::new();
    connection
        .client(GET)
        .client(GET)
        .server(OK_CHUNKED)
        .steps();
    assert_eq!(
        connection.read(Server, Piece::Unseen(500)).steps(),
        "lost:unseen"
    );
    let mut connection = Connection::new();
    connection
        .client(GET)
        .server(OK_CHUNKED)
        .client("GET /part")
        .steps();
    assert_eq!(
        connection.read(Server, Piece::Unseen(500)).steps(),
        "lost:unseen"
    );
}
