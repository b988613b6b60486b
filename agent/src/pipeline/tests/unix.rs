//! Connections over Unix sockets: counted apart from TCP's, known by their names.

use super::*;

const ID: ConnectionId = ConnectionId(8);

fn name(name: &[u8]) -> Address {
    Address::unix(name)
}

impl Bench {
    fn unix_opened(&mut self, role: Role, adopted: bool, remote: Address) {
        self.push(Record::Opened(Opened {
            connection: ID,
            slot: 4,
            role,
            adopted,
            time_ns: self.now_ns,
            connect_ns: 20_000,
            pid: 1,
            local: name(b""),
            remote,
        }));
    }

    fn unix_segment(&mut self, direction: Direction, content: &[u8], after_end: bool) {
        let [receive, transmit] = &mut self.positions;
        let moved = match direction {
            Direction::Receive => receive,
            Direction::Transmit => transmit,
        };
        let position = *moved;
        *moved += content.len() as u64;
        self.push(Record::Segment(Segment {
            connection: ID,
            direction,
            position,
            other_position: 0,
            length_bytes: content.len() as u32,
            begin_ns: 0,
            time_ns: self.now_ns,
            turn: 0,
            pid: 1,
            transport: Transport::Unix,
            overtakes: false,
            after_end,
            content: Cow::Borrowed(content),
        }));
    }

    fn unix_closed(&mut self, role: Role) {
        self.push(Record::Closed(Closed {
            connection: ID,
            errno: 0,
            retransmits: 0,
            time_ns: self.now_ns,
            bytes: self.positions,
            pid: 1,
            role,
            transport: Transport::Unix,
            adopted: false,
            turns: 0,
            overtakes: false,
        }));
    }

    /// The series of a metric, all labels shown.
    fn shown(&mut self, metric: &str) -> Vec<String> {
        let mut text = Vec::new();
        write(&self.pipeline.snapshot(), Format::Text004, &mut text).unwrap();
        String::from_utf8(text)
            .unwrap()
            .lines()
            .filter_map(|line| {
                line.strip_prefix(metric)?
                    .strip_prefix("{process_pid=\"1\",")
            })
            .map(str::to_owned)
            .collect()
    }
}

#[test]
fn rule_20_a_client_series_has_the_path_and_no_port() {
    let mut bench = Bench::new();
    bench.unix_opened(Role::Client, false, name(b"/run/x.sock\0"));
    bench.unix_segment(Direction::Transmit, GET, false);
    bench.unix_segment(Direction::Receive, OK, false);
    assert_eq!(
        bench.shown("sockmeter_connections_active"),
        ["role=\"client\",transport=\"unix\"} 1"]
    );
    bench.unix_closed(Role::Client);
    assert_eq!(
        bench.shown("http_client_request_duration_seconds_count"),
        [
            "http_request_method=\"GET\",http_response_status_code=\"200\",server_address=\"/run/x.sock\",network_protocol_version=\"1.1\"} 1"
        ]
    );
    assert_eq!(
        bench.shown("sockmeter_connections_active"),
        ["role=\"client\",transport=\"unix\"} 0"]
    );
    assert_eq!(
        bench.shown("sockmeter_connections_opened_total"),
        ["role=\"client\",transport=\"unix\"} 1"]
    );
    assert_eq!(
        bench.shown("sockmeter_connect_duration_seconds_sum"),
        ["transport=\"unix\"} 0.00002"]
    );
    assert_eq!(
        bench.shown("sockmeter_socket_bytes_total"),
        [
            "direction=\"receive\",role=\"client\",transport=\"unix\"} 40",
            "direction=\"transmit\",role=\"client\",transport=\"unix\"} 18"
        ]
    );
}

#[test]
fn rule_01_no_queue_time_is_invented_where_no_arrival_is_known() {
    let mut bench = Bench::new();
    bench.unix_opened(Role::Server, false, name(b""));
    bench.unix_segment(Direction::Receive, GET, false);
    bench.unix_segment(Direction::Transmit, OK, false);
    assert_eq!(
        bench
            .shown("http_server_request_duration_seconds_count")
            .len(),
        1
    );
    assert_eq!(
        bench.shown("sockmeter_request_queue_seconds_count"),
        [""; 0]
    );
}

#[test]
fn rule_18_who_is_asked_on_a_pair_of_sockets_is_its_server() {
    let mut bench = Bench::new();
    bench.unix_opened(Role::Unknown, false, name(b""));
    assert_eq!(
        bench.shown("sockmeter_connections_active"),
        ["role=\"unknown\",transport=\"unix\"} 1"]
    );
    // In two parts, the first of which says too little.
    bench.unix_segment(Direction::Receive, &GET[..2], false);
    bench.unix_segment(Direction::Receive, &GET[2..], false);
    bench.unix_segment(Direction::Transmit, OK, false);
    assert_eq!(
        bench.shown("sockmeter_connections_active"),
        [
            "role=\"server\",transport=\"unix\"} 1",
            "role=\"unknown\",transport=\"unix\"} 0"
        ]
    );
    assert_eq!(
        bench.shown("http_server_request_duration_seconds_count"),
        [
            "http_request_method=\"GET\",http_response_status_code=\"200\",http_route=\"/\",network_protocol_version=\"1.1\"} 1"
        ]
    );
    // It was there from the beginning, so nothing is lost.
    assert_eq!(
        bench.shown("sockmeter_payload_bytes_total"),
        [
            "outcome=\"parsed\",protocol=\"http1\",direction=\"receive\"} 18",
            "outcome=\"parsed\",protocol=\"http1\",direction=\"transmit\"} 38",
            "outcome=\"skipped\",protocol=\"http1\",direction=\"transmit\"} 2"
        ]
    );
}

#[test]
fn what_is_no_protocol_on_a_pair_is_not_captured_further() {
    let mut bench = Bench::new();
    bench.unix_opened(Role::Unknown, false, name(b""));
    bench.unix_segment(Direction::Transmit, &[1, 2, 3, 4], false);
    assert_eq!(bench.told, ["4 8: nothing"]);
    assert_eq!(
        bench.shown("sockmeter_payload_bytes_total"),
        ["outcome=\"unrecognised\",direction=\"transmit\"} 4"]
    );
}

#[test]
fn rule_22_without_the_record_of_its_beginning_it_is_a_unix_connection_too() {
    let mut bench = Bench::new();
    bench.unix_segment(Direction::Transmit, GET, false);
    assert_eq!(
        bench.shown("sockmeter_connections_adopted_total"),
        ["role=\"unknown\",transport=\"unix\"} 1"]
    );
    bench.unix_segment(Direction::Receive, OK, false);
    // The name is not known, so none is shown.
    assert_eq!(
        bench.shown("http_client_request_duration_seconds_count"),
        [
            "http_request_method=\"GET\",http_response_status_code=\"200\",network_protocol_version=\"1.1\"} 1"
        ]
    );
    bench.unix_closed(Role::Client);
    bench.unix_segment(Direction::Receive, b"late", true);
    assert_eq!(
        bench.shown("sockmeter_socket_bytes_total"),
        [
            "direction=\"receive\",role=\"client\",transport=\"unix\"} 44",
            "direction=\"transmit\",role=\"unknown\",transport=\"unix\"} 18"
        ]
    );

    let mut bench = Bench::new();
    bench.positions = [70, 30];
    bench.unix_closed(Role::Server);
    assert_eq!(
        bench.shown("sockmeter_connections_opened_total"),
        ["role=\"server\",transport=\"unix\"} 1"]
    );
    assert_eq!(
        bench.shown("sockmeter_socket_bytes_total"),
        [
            "direction=\"receive\",role=\"server\",transport=\"unix\"} 70",
            "direction=\"transmit\",role=\"server\",transport=\"unix\"} 30"
        ]
    );
}

#[test]
fn a_connect_to_nobody_has_failed() {
    let mut bench = Bench::new();
    for errno in [libc::ECONNREFUSED, libc::ENOENT, libc::EAGAIN, libc::EACCES] {
        bench.push(Record::ConnectFailed(ConnectFailed {
            errno: errno as u16,
            pid: 1,
            time_ns: bench.now_ns,
            connect_ns: 10,
            remote: name(b""),
        }));
    }
    assert_eq!(
        bench.shown("sockmeter_connections_failed_total"),
        [
            "role=\"client\",transport=\"unix\",error_type=\"not_found\"} 1",
            "role=\"client\",transport=\"unix\",error_type=\"permission_denied\"} 1",
            "role=\"client\",transport=\"unix\",error_type=\"queue_full\"} 1",
            "role=\"client\",transport=\"unix\",error_type=\"refused\"} 1",
        ]
    );
}
