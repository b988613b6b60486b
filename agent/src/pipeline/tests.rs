//! Records in, series out: the joints between the stages.

mod datagrams;
mod exclusion;
mod gaps;
mod hands;
mod life;
mod limit;
mod listeners;
mod losses;
mod order;
mod pending;
mod reuse;
mod steering;
mod unix;

use super::*;
use crate::{
    connections::{Direction, Role},
    export::prometheus::{Format, write},
    records::{
        Address, Adopted, Closed, ConnectFailed, Facts, Opened, Segment, Table, Transport,
        facts::Source,
    },
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
    /// When the calls began whose records are pushed next; without it they take no time.
    began_ns: Option<u64>,
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
            began_ns: None,
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
            begin_ns: self.began_ns.unwrap_or(self.now_ns),
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
            // The last one may go on.
            turns: if open {
                self.turns.saturating_sub(1)
            } else {
                self.turns
            },
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
    fn exclude(&mut self, slot: u32, id: ConnectionId) {
        self.push(format!("{slot} {}: exclude", id.0));
    }

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
