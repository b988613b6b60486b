//! Records in, series out: the joints between the stages.

mod datagrams;
mod gaps;
mod hands;
mod listeners;
mod losses;
mod order;
mod pending;
mod steering;
mod unix;

use super::*;
use crate::{
    export::prometheus::{Format, write},
    records::{Adopted, Closed, ConnectFailed, Facts, Opened, Table, Transport, facts::Source},
};
use std::{
    borrow::Cow,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

const REMOTE: Address = Address::Inet(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9));
const GET: &[u8] = b"GET / HTTP/1.1\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A pipeline that knows processes 1 and 2, whose series have only `process_pid`.
struct Bench {
    pipeline: Pipeline,
    told: Vec<String>,
    now_ns: u64,
    positions: [u64; 2],
    turns: u32,
    /// Of the last call.
    direction: Option<Direction>,
    /// Of the records that are pushed next.
    overtakes: bool,
    after_end: bool,
}

impl Bench {
    fn new() -> Self {
        Self::with_labels(vec!["process_pid"])
    }

    fn with_labels(labels: Vec<&'static str>) -> Self {
        let settings = Settings {
            labels: Some(labels),
            ..Settings::default()
        };
        let mut bench = Self {
            pipeline: Pipeline::new(settings),
            told: Vec::new(),
            now_ns: 1_000,
            positions: [0; 2],
            turns: 0,
            direction: None,
            overtakes: false,
            after_end: false,
        };
        for pid in [1, 2] {
            bench.push(Record::Process(facts(pid)));
        }
        bench
    }

    fn push(&mut self, record: Record<'_>) {
        self.now_ns += 1_000;
        self.pipeline.push(record, &mut self.told);
    }

    fn opened(&mut self, role: Role, adopted: bool) {
        self.push(Record::Opened(Opened {
            connection: ConnectionId(7),
            slot: 3,
            role,
            adopted,
            time_ns: self.now_ns,
            connect_ns: 500_000,
            pid: 1,
            local: REMOTE,
            remote: REMOTE,
        }));
    }

    fn adopted(&mut self, role: Role) {
        self.push(Record::Adopted(Adopted {
            connection: ConnectionId(7),
            slot: None,
            role,
            pid: 1,
            time_ns: self.now_ns,
            local: REMOTE,
            remote: REMOTE,
        }));
    }

    /// A segment of process `pid` behind the one before.
    fn segment(&mut self, pid: u32, direction: Direction, content: &[u8], length_bytes: u32) {
        let [receive, transmit] = &mut self.positions;
        let (moved, other) = match direction {
            Direction::Receive => (receive, transmit),
            Direction::Transmit => (transmit, receive),
        };
        let (position, other_position) = (*moved, *other);
        if self.direction.replace(direction) != Some(direction) {
            self.turns += 1;
        }
        *moved += u64::from(length_bytes);
        self.push(Record::Segment(Segment {
            connection: ConnectionId(7),
            direction,
            position,
            other_position,
            length_bytes,
            begin_ns: self.now_ns,
            time_ns: self.now_ns,
            turn: self.turns,
            pid,
            transport: Transport::Tcp,
            overtakes: self.overtakes,
            after_end: self.after_end,
            content: Cow::Borrowed(content),
        }));
    }

    fn receive(&mut self, content: &[u8]) {
        self.segment(1, Direction::Receive, content, content.len() as u32);
    }

    fn transmit(&mut self, content: &[u8]) {
        self.segment(1, Direction::Transmit, content, content.len() as u32);
    }

    fn closed(&mut self) {
        self.push(Record::Closed(Closed {
            connection: ConnectionId(7),
            errno: 0,
            retransmits: 0,
            time_ns: self.now_ns,
            bytes: self.positions,
            pid: 1,
            role: Role::Server,
            transport: Transport::Tcp,
            adopted: false,
            turns: self.turns,
            overtakes: self.overtakes,
        }));
    }

    fn table(&mut self, open: bool, bytes: [u64; 2], retransmits: u32) {
        self.push(Record::Table(Table {
            connection: ConnectionId(7),
            slot: 3,
            open,
            role: Role::Server,
            adopted: false,
            pid: 1,
            time_ns: self.now_ns,
            bytes,
            retransmits,
            turns: self.turns,
            local: REMOTE,
            remote: REMOTE,
        }));
    }

    fn ended(&mut self, pid: u32) {
        self.push(Record::Ended {
            pid,
            time_ns: self.now_ns,
        });
    }

    fn tick(&mut self, later_ns: u64) {
        self.now_ns += later_ns;
        self.push(Record::Tick {
            time_ns: self.now_ns,
        });
    }

    /// The series of a metric, without its name.
    fn series(&mut self, metric: &str) -> Vec<String> {
        let mut text = Vec::new();
        write(&self.pipeline.snapshot(), Format::Text004, &mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        let series = text.lines().filter_map(|line| line.strip_prefix(metric));
        series
            .filter(|rest| rest.starts_with(['{', ' ']))
            .map(|rest| rest.replace(",transport=\"tcp\"", ""))
            .collect()
    }

    fn connections_active(&mut self) -> Vec<String> {
        self.series("sockmeter_connections_active")
    }
}

fn facts(pid: u32) -> Facts {
    Facts {
        pid,
        parent_pid: 0,
        start_boottime_ns: 1,
        cgroup: 0,
        source: Source::Proc,
        executable: format!("/usr/bin/program{pid}"),
        service_name: None,
        unit: None,
        container_id: None,
    }
}

impl Steer for Vec<String> {
    fn capture_nothing(&mut self, slot: u32, id: ConnectionId) {
        self.push(format!("{slot} {}: nothing", id.0));
    }

    fn skip_until(&mut self, slot: u32, id: ConnectionId, direction: Direction, position: u64) {
        self.push(format!(
            "{slot} {}: {} until {position}",
            id.0,
            direction.label()
        ));
    }
}

#[test]
fn a_connection_that_changes_hands_takes_its_gauges_along() {
    let mut bench = Bench::new();
    bench.opened(Role::Server, false);
    bench.receive(GET);
    assert_eq!(
        bench.connections_active(),
        ["{process_pid=\"1\",role=\"server\"} 1"]
    );
    bench.segment(2, Direction::Transmit, &OK[..20], 20);
    assert_eq!(
        bench.connections_active(),
        [
            "{process_pid=\"1\",role=\"server\"} 0",
            "{process_pid=\"2\",role=\"server\"} 1"
        ]
    );
    assert_eq!(
        bench.series("http_server_active_requests"),
        [
            "{process_pid=\"1\",http_request_method=\"GET\"} 0",
            "{process_pid=\"2\",http_request_method=\"GET\"} 1"
        ]
    );
    bench.segment(2, Direction::Transmit, &OK[20..], OK.len() as u32 - 20);
    bench.closed();
    assert_eq!(
        bench.series("sockmeter_request_first_byte_seconds_count"),
        ["{process_pid=\"2\",protocol=\"http1\",role=\"server\"} 1"]
    );
    for gauge in [
        "http_server_active_requests",
        "sockmeter_connections_active",
    ] {
        let standing = bench.series(gauge);
        assert!(
            standing.iter().all(|series| series.ends_with(" 0")),
            "{standing:?}"
        );
    }
}

#[test]
fn a_listed_connection_counts_once() {
    let mut bench = Bench::new();
    bench.adopted(Role::Server);
    bench.adopted(Role::Server);
    bench.opened(Role::Server, true);
    assert_eq!(
        bench.connections_active(),
        ["{process_pid=\"1\",role=\"server\"} 1"]
    );
    assert_eq!(
        bench.series("sockmeter_connections_adopted_total"),
        ["{process_pid=\"1\",role=\"server\"} 1"]
    );
    assert_eq!(bench.series("sockmeter_connections_opened_total"), [""; 0]);
    // Its place in the table is known from now on.
    let known: Vec<_> = bench.pipeline.connections().collect();
    assert_eq!(known, [(ConnectionId(7), Some(3))]);
}

#[test]
fn what_comes_late_opens_no_connection_again() {
    let mut bench = Bench::new();
    bench.opened(Role::Client, false);
    bench.closed();
    bench.opened(Role::Client, false);
    // Read from the table before the record of the end came.
    bench.table(true, [40, 50], 0);
    bench.table(false, [40, 50], 0);
    bench.closed();
    assert_eq!(bench.pipeline.connections_open(), 0);
    assert_eq!(
        bench.connections_active(),
        ["{process_pid=\"1\",role=\"client\"} 0"]
    );
    assert_eq!(
        bench.series("sockmeter_connections_opened_total"),
        ["{process_pid=\"1\",role=\"client\"} 1"]
    );
    assert_eq!(
        bench.series("sockmeter_connect_duration_seconds_sum"),
        ["{process_pid=\"1\"} 0.0005"]
    );
    assert_eq!(bench.series("sockmeter_socket_bytes_total"), [""; 0]);
}

#[test]
fn bytes_after_the_end_are_lost() {
    let mut bench = Bench::new();
    bench.opened(Role::Server, false);
    bench.closed();
    bench.segment(2, Direction::Receive, GET, 18);
    assert_eq!(
        bench.series("sockmeter_socket_bytes_total"),
        ["{process_pid=\"2\",direction=\"receive\",role=\"server\"} 18"]
    );
    assert_eq!(
        bench.series("sockmeter_payload_bytes_total"),
        ["{process_pid=\"2\",outcome=\"lost\",direction=\"receive\"} 18"]
    );
    assert_eq!(bench.pipeline.connections_open(), 0);
}

#[test]
fn a_role_that_is_learnt_moves_the_gauge() {
    let mut bench = Bench::new();
    bench.adopted(Role::Unknown);
    bench.receive(OK);
    assert_eq!(
        bench.connections_active(),
        ["{process_pid=\"1\",role=\"unknown\"} 1"]
    );
    bench.transmit(GET);
    assert_eq!(
        bench.connections_active(),
        [
            "{process_pid=\"1\",role=\"client\"} 1",
            "{process_pid=\"1\",role=\"unknown\"} 0"
        ]
    );
    bench.closed();
    assert_eq!(
        bench.connections_active(),
        [
            "{process_pid=\"1\",role=\"client\"} 0",
            "{process_pid=\"1\",role=\"unknown\"} 0"
        ]
    );
}

#[test]
fn bytes_are_of_the_protocol_that_they_were_read_as() {
    let mut bench = Bench::new();
    bench.opened(Role::Server, false);
    // One ambiguous byte of the server, then HTTP, then something else in the segment of the 101.
    bench.transmit(b"H");
    bench.receive(GET);
    bench.transmit(b"TTP/1.1 200 OK\r\n\r\n");
    bench.closed();
    assert_eq!(
        bench.series("sockmeter_payload_bytes_total"),
        [
            "{process_pid=\"1\",outcome=\"lost\",protocol=\"http1\",direction=\"transmit\"} 18",
            "{process_pid=\"1\",outcome=\"parsed\",protocol=\"http1\",direction=\"receive\"} 18",
            "{process_pid=\"1\",outcome=\"unrecognised\",direction=\"transmit\"} 1",
        ]
    );
    let mut bench = Bench::new();
    bench.opened(Role::Server, false);
    bench.receive(GET);
    bench.transmit(b"HTTP/1.1 101 Up\r\n\r\nframe");
    assert_eq!(
        bench.series("sockmeter_payload_bytes_total"),
        [
            "{process_pid=\"1\",outcome=\"opaque\",direction=\"transmit\"} 5",
            "{process_pid=\"1\",outcome=\"parsed\",protocol=\"http1\",direction=\"receive\"} 18",
            "{process_pid=\"1\",outcome=\"parsed\",protocol=\"http1\",direction=\"transmit\"} 19",
        ]
    );
}

#[test]
fn series_end_with_their_process() {
    let mut bench = Bench::new();
    bench.opened(Role::Server, false);
    bench.closed();
    bench.ended(1);
    assert_eq!(bench.connections_active().len(), 1);
    bench.tick(crate::identity::GRACE_NS);
    assert_eq!(bench.connections_active().len(), 1, "shown once more");
    assert_eq!(bench.connections_active(), [""; 0]);
}

#[test]
fn rule_19_a_connection_that_is_joined_in_a_long_body_is_read_from_its_next_request() {
    let mut bench = Bench::new();
    bench.opened(Role::Server, true);
    for _ in 0..2_000 {
        bench.transmit(b"a piece of a download");
    }
    bench.receive(GET);
    bench.transmit(OK);
    assert_eq!(
        bench.series("sockmeter_request_first_byte_seconds_count"),
        ["{process_pid=\"1\",protocol=\"http1\",role=\"server\"} 1"]
    );
}
