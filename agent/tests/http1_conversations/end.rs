//! One end of a conversation: a pipeline that gets its records, and what that counted.

use crate::dialogue::{CLIENT, Dialogue, SERVER};
use crate::schedule::Call;
use crate::truth::{Truth, Words, exchange};
use sockmeter::{
    connections::{ConnectionId, Direction, Role},
    export::prometheus::{Format, write},
    identity::{Facts, Source},
    pipeline::{Pipeline, Steer},
    records::{Address, Closed, Opened, Record, Segment, Transport},
    series::{Settings, Snapshot, Value},
};
use std::{
    borrow::Cow,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

const PID: u32 = 1;
const REMOTE: Address = Address::Inet(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9));

/// How much of what is captured gets to the pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Capture {
    /// All.
    Full,
    /// What it did not call needless.
    Steered,
}

/// One connection, as its kernel counts.
#[derive(Default)]
struct Line {
    is_open: bool,
    moved: [u64; 2],
    turns: u32,
    last: Option<Direction>,
    /// What the pipeline called needless.
    is_nothing_needed: bool,
    needless_until: [u64; 2],
}

/// Two connections of one process; their ids are their places.
#[derive(Default)]
struct Lines([Line; 2]);

impl Lines {
    fn of(&mut self, id: ConnectionId) -> &mut Line {
        &mut self.0[usize::try_from(id.0).unwrap()]
    }
}

impl Steer for Lines {
    fn capture_nothing(&mut self, _: u32, id: ConnectionId) {
        self.of(id).is_nothing_needed = true;
    }

    fn skip_until(&mut self, _: u32, id: ConnectionId, direction: Direction, position: u64) {
        self.of(id).needless_until[way(direction)] = position;
    }
}

fn way(direction: Direction) -> usize {
    usize::from(direction == Direction::Transmit)
}

/// Which way a side's bytes go at an end.
fn direction(role: Role, side: usize) -> Direction {
    match (role, side) {
        (Role::Client, SERVER) | (Role::Server | Role::Unknown, CLIENT) => Direction::Receive,
        _ => Direction::Transmit,
    }
}

/// One end of a conversation, and perhaps of another one.
pub(crate) struct End {
    pipeline: Pipeline,
    role: Role,
    lines: Lines,
    /// Which of the connections is talked on.
    at: ConnectionId,
    now_ns: u64,
}

impl End {
    pub(crate) fn new(role: Role, adopted: bool) -> Self {
        let mut end = Self {
            pipeline: Pipeline::new(Settings {
                labels: Some(vec![]),
                ..Settings::default()
            }),
            role,
            lines: Lines::default(),
            at: ConnectionId(0),
            now_ns: 1_000,
        };
        end.push(Record::Process(Facts {
            pid: PID,
            parent_pid: 0,
            start_boottime_ns: 1,
            cgroup: 0,
            source: Source::Proc,
            executable: "/usr/bin/program".to_owned(),
            service_name: None,
            unit: None,
            container_id: None,
        }));
        end.open(adopted);
        end
    }

    fn open(&mut self, adopted: bool) {
        self.lines.of(self.at).is_open = true;
        self.push(Record::Opened(Opened {
            connection: self.at,
            slot: 3,
            role: self.role,
            adopted,
            time_ns: self.now_ns,
            connect_ns: 5,
            pid: PID,
            local: REMOTE,
            remote: REMOTE,
        }));
    }

    /// Goes on with the other connection.
    pub(crate) fn switch(&mut self) {
        self.at = ConnectionId(1 - self.at.0);
        if !self.lines.of(self.at).is_open {
            self.open(false);
        }
    }

    fn push(&mut self, record: Record<'_>) {
        self.now_ns += 1_000;
        self.pipeline.push(record, &mut self.lines);
    }

    /// The kernel counts; tells where both directions stood.
    fn move_bytes(&mut self, direction: Direction, bytes: usize) -> (u64, u64) {
        let line = self.lines.of(self.at);
        line.turns += u32::from(line.last.replace(direction) != Some(direction));
        let way = way(direction);
        let before = (line.moved[way], line.moved[1 - way]);
        line.moved[way] += bytes as u64;
        before
    }

    /// A call moves `bytes` of a side, of which `captured` are seen.
    pub(crate) fn call(&mut self, side: usize, bytes: &[u8], captured: usize, capture: Capture) {
        let direction = direction(self.role, side);
        let (position, other_position) = self.move_bytes(direction, bytes.len());
        let line = self.lines.of(self.at);
        let end = position + bytes.len() as u64;
        let is_needless = line.is_nothing_needed || end <= line.needless_until[way(direction)];
        let turn = line.turns;
        let seen = match capture {
            Capture::Steered if is_needless => &[],
            _ => &bytes[..captured],
        };
        self.push(Record::Segment(Segment {
            connection: self.at,
            direction,
            position,
            other_position,
            length_bytes: bytes.len() as u32,
            begin_ns: self.now_ns,
            time_ns: self.now_ns,
            turn,
            pid: PID,
            transport: Transport::Tcp,
            overtakes: false,
            after_end: false,
            content: Cow::Borrowed(seen),
        }));
    }

    /// A call moves bytes of a side, and its record is lost.
    pub(crate) fn lost_call(&mut self, side: usize, bytes: &[u8]) {
        self.move_bytes(direction(self.role, side), bytes.len());
    }

    fn close(&mut self) {
        let &mut Line {
            is_open,
            moved: bytes,
            turns,
            ..
        } = self.lines.of(self.at);
        if is_open {
            self.push(Record::Closed(Closed {
                connection: self.at,
                errno: 0,
                retransmits: 0,
                time_ns: self.now_ns,
                bytes,
                pid: PID,
                role: self.role,
                transport: Transport::Tcp,
                adopted: false,
                turns,
                overtakes: false,
            }));
        }
    }

    /// What is counted now.
    fn look(&mut self) -> Counted {
        let counted = Counted {
            snapshot: self.pipeline.snapshot(),
        };
        let [one, other] = &self.lines.0;
        counted.check_bytes([0, 1].map(|way| one.moved[way] + other.moved[way]));
        counted
    }

    /// The connections end.
    pub(crate) fn finish(mut self) -> Counted {
        for id in [0, 1] {
            self.at = ConnectionId(id);
            self.close();
        }
        let counted = self.look();
        counted.check_gauges();
        counted
    }

    /// Plays calls to the end.
    pub(crate) fn play(mut self, dialogue: &Dialogue, calls: &[Call], capture: Capture) -> Counted {
        let bytes = [CLIENT, SERVER].map(|side| dialogue.bytes(side));
        for (number, call) in calls.iter().enumerate() {
            let (from, captured) = (call.from, call.captured - call.from);
            self.call(
                call.side,
                &bytes[call.side][from..call.to],
                captured,
                capture,
            );
            if number % 7 == 0 {
                self.look();
            }
        }
        self.finish()
    }
}

/// The series, as far as these tests look at them.
pub(crate) struct Counted {
    snapshot: Snapshot,
}

impl Counted {
    /// Own labels and value of each series of a metric: of a histogram the number of observations.
    fn series(&self, metric: &str) -> Vec<(String, i64)> {
        let families = self.snapshot.families();
        families
            .filter(|family| family.metric().name == metric)
            .flat_map(|family| {
                let points = family.points();
                points.map(|point| (point.own_labels.to_owned(), number(point.value)))
            })
            .collect()
    }

    fn sum(&self, metric: &str, label: &str) -> i64 {
        let series = self.series(metric).into_iter();
        series
            .filter(|(labels, _)| labels.contains(label))
            .map(|(_, value)| value)
            .sum()
    }

    pub(crate) fn text(&self) -> String {
        let mut text = Vec::new();
        write(&self.snapshot, Format::Text004, &mut text).unwrap();
        String::from_utf8(text).unwrap()
    }

    /// Every byte is somewhere, at any time.
    fn check_bytes(&self, moved: [u64; 2]) {
        for direction in [Direction::Receive, Direction::Transmit] {
            let label = format!("direction=\"{}\"", direction.label());
            let moved = moved[way(direction)].cast_signed();
            assert_eq!(self.sum("sockmeter_socket_bytes_total", &label), moved);
            let told = self.sum("sockmeter_payload_bytes_total", &label);
            let pending = self.sum("sockmeter_payload_pending_bytes", &label);
            assert_eq!(told + pending, moved, "{label}");
        }
    }

    /// The exchanges, as [`exchange`] writes them, sorted.
    pub(crate) fn exchanges(&self) -> Vec<String> {
        let metrics = [
            "http_server_request_duration_seconds",
            "http_client_request_duration_seconds",
        ];
        let mut exchanges = Vec::new();
        for (labels, count) in metrics.iter().flat_map(|metric| self.series(metric)) {
            let label = |name: &str| {
                let (_, rest) = labels.split_once(&format!("{name}=\""))?;
                rest.split('"').next()
            };
            let words = Words {
                method: label("http_request_method").unwrap(),
                target: label("http_route").unwrap_or_default(),
                host: "",
                version: label("network_protocol_version").unwrap_or_default(),
            };
            let status = label("http_response_status_code").unwrap().parse().unwrap();
            let is_truncated = label("error_type") == Some("truncated");
            let line = exchange(words, status, is_truncated);
            exchanges.extend(vec![line; usize::try_from(count).unwrap()]);
        }
        exchanges.sort();
        exchanges
    }

    /// The reasons of requests that are unanswered, each as often as it is.
    pub(crate) fn unanswered(&self) -> Vec<String> {
        let series = self.series("sockmeter_requests_unanswered_total");
        let reasons = series.into_iter().flat_map(|(labels, count)| {
            let reason = labels.rsplit('"').nth(1).unwrap().to_owned();
            vec![reason; usize::try_from(count).unwrap()]
        });
        reasons.collect()
    }

    pub(crate) fn unpaired(&self) -> u64 {
        let unpaired = self.sum("sockmeter_requests_unpaired_total", "");
        unpaired.cast_unsigned()
    }

    /// Bytes with an outcome.
    pub(crate) fn bytes(&self, outcome: &str) -> u64 {
        let label = format!("outcome=\"{outcome}\"");
        let bytes = self.sum("sockmeter_payload_bytes_total", &label);
        bytes.cast_unsigned()
    }

    /// Compares with what there is to be counted at an end.
    pub(crate) fn check(&self, role: Role, truth: &Truth) {
        let mut exchanges = truth.exchanges.clone();
        if role == Role::Client {
            // A client has no routes.
            for line in &mut exchanges {
                let words = line.split(' ').filter(|word| !word.starts_with('/'));
                *line = words.collect::<Vec<_>>().join(" ");
            }
        }
        exchanges.sort();
        assert_eq!(self.exchanges(), exchanges);
        assert_eq!(self.unanswered(), truth.unanswered);
        assert_eq!(self.unpaired(), truth.unpaired);
        for outcome in ["lost", "unrecognised"] {
            assert_eq!(self.bytes(outcome), 0, "{outcome}");
        }
        assert_eq!(self.bytes("opaque"), truth.tunnel.iter().sum::<u64>());
    }

    /// Nothing goes on.
    fn check_gauges(&self) {
        for family in self.snapshot.families() {
            for point in family.points() {
                if let Value::Gauge(value) = point.value {
                    assert_eq!(value, 0, "{} {}", family.metric().name, point.own_labels);
                }
            }
        }
    }
}

fn number(value: Value<'_>) -> i64 {
    match value {
        Value::Count(count) => count.cast_signed(),
        Value::Gauge(value) => value,
        Value::Number(_) => 0,
        Value::Histogram(observed) => observed.counts().iter().sum::<u64>().cast_signed(),
    }
}

impl End {
    /// Plays the calls from the middle of a conversation on.
    pub(crate) fn play_joined(mut self, dialogue: &Dialogue, calls: &[Call]) -> Counted {
        let bytes = [CLIENT, SERVER].map(|side| dialogue.bytes(side));
        for call in calls {
            let moved = &bytes[call.side][call.from..call.to];
            self.call(call.side, moved, moved.len(), Capture::Full);
        }
        self.finish()
    }
}
