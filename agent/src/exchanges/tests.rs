//! Pairing and timing, step by step.

use super::*;
use crate::protocol::Loss;

static REMOTE: Address = Address::Inet(std::net::SocketAddr::new(
    std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
    9,
));
const SERVER: End<'static> = End {
    role: Role::Server,
    protocol: "http1",
    remote: &REMOTE,
};
const CLIENT: End<'static> = End {
    role: Role::Client,
    ..SERVER
};

/// Runs steps at times `(begin_ns, time_ns)` and tells the findings as text.
fn run(end: End, pairing: &mut Pairing, steps: &[(Speaker, (u64, u64), Step<'_>)]) -> Vec<String> {
    let mut found = Vec::new();
    for (speaker, (begin_ns, time_ns), step) in steps {
        let moment = Moment {
            begin_ns: *begin_ns,
            time_ns: *time_ns,
            turn: 0,
        };
        let heard = Heard {
            speaker: *speaker,
            role: end.role,
            protocol: end.protocol,
            moment,
            message: &Message {
                stream: 0,
                step: *step,
            },
        };
        pairing.step(&heard, end.remote, &mut |finding| found.push(tell(finding)));
        pairing.moved(*speaker, moment, false);
    }
    found
}

fn tell(finding: Finding<'_>) -> String {
    match finding {
        Finding::Active(method, delta) => {
            format!("{} {delta:+}", method.label())
        }
        Finding::Finished(exchange) => {
            let Operation::Http { method, target, .. } = exchange.operation;
            let Answer::Http { status } = exchange.answer;
            format!(
                "{} {} {status} arrived {:?} {}..{}..{}{}",
                method.label(),
                String::from_utf8_lossy(target),
                exchange.arrived_ns,
                exchange.started_ns,
                exchange.first_byte_ns,
                exchange.ended_ns,
                if exchange.truncated { " truncated" } else { "" }
            )
        }
        Finding::Unanswered(reason, 1) => format!("unanswered {reason}"),
        Finding::Unanswered(reason, count) => format!("unanswered {reason} x{count}"),
        Finding::Unpaired(reason) => format!("unpaired {reason}"),
    }
}

fn get(target: &'static str) -> Step<'static> {
    Step::Request(Request::Http {
        method: b"GET",
        kind: Method::Get,
        target: target.as_bytes(),
        host: b"",
        version: "1.1",
    })
}

const fn status(status: u16) -> Step<'static> {
    Step::Response(Response::Http { status })
}

use Speaker::{Client, Server};

#[test]
fn rule_01_02_a_server_measures_from_its_first_read_to_its_last_write() {
    let found = run(
        SERVER,
        &mut Pairing::default(),
        &[
            (Client, (90, 100), Step::RequestStarted),
            (Client, (90, 100), get("/a")),
            (Client, (95, 110), Step::RequestEnded),
            (Server, (200, 210), Step::ResponseStarted),
            (Server, (200, 210), status(200)),
            (Server, (300, 330), Step::ResponseEnded),
        ],
    );
    assert_eq!(
        found,
        [
            "GET +1",
            "GET -1",
            "GET /a 200 arrived Some(90) 100..200..330"
        ]
    );
}

#[test]
fn rule_03_a_client_measures_from_its_first_write_to_its_last_read() {
    let found = run(
        CLIENT,
        &mut Pairing::default(),
        &[
            (Client, (90, 100), Step::RequestStarted),
            (Client, (90, 100), get("/a")),
            (Server, (200, 210), Step::ResponseStarted),
            (Server, (200, 210), status(404)),
            (Server, (300, 330), Step::ResponseEnded),
        ],
    );
    assert_eq!(
        found,
        ["GET +1", "GET -1", "GET /a 404 arrived None 90..210..330"]
    );
}

#[test]
fn rule_09_responses_pair_in_the_order_of_requests() {
    let mut steps = Vec::new();
    for (index, target) in ["/1", "/2", "/3"].into_iter().enumerate() {
        steps.push((Client, (0, 10 + index as u64), Step::RequestStarted));
        steps.push((Client, (0, 10 + index as u64), get(target)));
    }
    for index in 0..3u64 {
        steps.push((Server, (0, 20 + index), Step::ResponseStarted));
        steps.push((Server, (0, 20 + index), status(200 + index as u16)));
        steps.push((Server, (0, 20 + index), Step::ResponseEnded));
    }
    let found = run(SERVER, &mut Pairing::default(), &steps);
    assert_eq!(
        found
            .iter()
            .filter(|text| text.contains("arrived"))
            .collect::<Vec<_>>(),
        [
            "GET /1 200 arrived None 10..20..20",
            "GET /2 201 arrived None 11..21..21",
            "GET /3 202 arrived None 12..22..22"
        ]
    );
}

#[test]
fn rule_15_no_answer_before_the_end_is_its_own_outcome() {
    let mut pairing = Pairing::default();
    let mut found = run(
        SERVER,
        &mut pairing,
        &[
            (Client, (0, 1), Step::RequestStarted),
            (Client, (0, 1), get("/a")),
            (Client, (0, 2), Step::RequestStarted),
        ],
    );
    pairing.close(SERVER, "closed", None, &mut |finding| {
        found.push(tell(finding))
    });
    assert_eq!(
        found,
        [
            "GET +1",
            "GET -1",
            "unanswered closed",
            "unanswered incomplete_request"
        ]
    );
}

#[test]
fn a_response_that_breaks_off_ends_with_its_last_byte() {
    let mut pairing = Pairing::default();
    run(
        SERVER,
        &mut pairing,
        &[
            (Client, (0, 1), Step::RequestStarted),
            (Client, (0, 1), get("/a")),
            (Server, (5, 6), Step::ResponseStarted),
            (Server, (5, 6), status(200)),
        ],
    );
    pairing.moved(
        Server,
        Moment {
            begin_ns: 7,
            time_ns: 8,
            turn: 0,
        },
        false,
    );
    let mut found = Vec::new();
    pairing.close(SERVER, "closed", None, &mut |finding| {
        found.push(tell(finding))
    });
    assert_eq!(
        found,
        ["GET -1", "GET /a 200 arrived None 1..5..8 truncated"]
    );
}

#[test]
fn a_response_without_a_request_pairs_with_nothing() {
    let found = run(
        SERVER,
        &mut Pairing::default(),
        &[
            (Server, (5, 6), Step::ResponseStarted),
            (Server, (5, 6), status(408)),
            (Client, (0, 7), Step::RequestStarted),
            (Client, (0, 7), get("/a")),
            (Server, (8, 9), Step::ResponseEnded),
            (Server, (8, 9), Step::ResponseStarted),
            (Server, (8, 9), status(200)),
            (Server, (8, 9), Step::ResponseEnded),
        ],
    );
    assert_eq!(
        found,
        [
            "GET +1",
            "unpaired no_request",
            "GET -1",
            "GET /a 200 arrived None 7..8..9"
        ]
    );
}

#[test]
fn a_parser_that_lost_its_place_leaves_no_request_open() {
    let found = run(
        SERVER,
        &mut Pairing::default(),
        &[
            (Client, (0, 1), Step::RequestStarted),
            (Client, (0, 1), get("/a")),
            (Client, (0, 1), Step::Lost(Loss::Gap)),
            (Server, (0, 2), Step::ResponseEnded),
        ],
    );
    assert_eq!(found, ["GET +1", "GET -1", "unanswered gap"]);
}

#[test]
fn open_requests_are_bounded_and_the_rest_counted() {
    let mut pairing = Pairing::default();
    let steps = vec![(Client, (0, 1), Step::RequestStarted); OPEN_REQUESTS_MAX + 3];
    let found = run(SERVER, &mut pairing, &steps);
    assert_eq!(found, ["unanswered overflow"; 3]);
    assert_eq!(pairing.open.len(), OPEN_REQUESTS_MAX);
}
