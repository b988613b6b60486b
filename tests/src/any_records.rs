//! Any records through the pipeline: what must hold whatever a host does and whatever is lost.

mod datagrams;
mod fragments;
mod host;
mod socket;

use crate::{conservation, resets::Resets, scrape::Scrape};
use datagrams::Moved;
use host::{Event, Host};
use sockmeter::{
    connections::{Connection, ConnectionId, Direction, Role},
    export::prometheus::{Format, write},
    pipeline::{Pipeline, Steer},
    protocol::{
        Piece, Step,
        conversation::{Conversation, Moment},
    },
    records::{Record, Segment},
    series::{Settings, Snapshot, Value},
};
use std::collections::{HashMap, HashSet};

/// How the edge behaves around the same script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Edge {
    /// Captures everything; nobody scrapes before the end.
    Plain,
    /// Captures only what the pipeline asks for.
    Obedient,
    /// Scrapes when the script says so; segments may overtake each other, and time has no limit.
    Scraped,
}

/// Takes `script` for what happens on a host (see `any_records/host.rs`), pushes its records, and panics where a
/// rule is broken: bytes and requests are all accounted for, no gauge is left standing or negative, no connection is
/// held longer than it lives, what is not captured does not matter, and the same script makes the
/// same scrape. Tells how many requests were answered.
pub fn check(script: &[u8]) -> u64 {
    parse(script);
    let plain = run(script, Edge::Plain);
    plain.check_balance();
    assert_eq!(plain.text, run(script, Edge::Plain).text);
    let obedient = run(script, Edge::Obedient);
    assert_eq!(
        plain.text, obedient.text,
        "what is captured does not matter"
    );
    obedient.check_balance();
    run(script, Edge::Scraped).check_gauges();
    plain.answered()
}

/// Reading a record does not panic, whatever the kernel side wrote.
fn parse(bytes: &[u8]) {
    let _ = Record::parse(bytes);
    for kind in 0..=u8::try_from(sockmeter::records::LOSS_REASONS.len()).unwrap_or(8) {
        let mut record = bytes.to_vec();
        record.splice(..record.len().min(2), [kind, 0]);
        if let Ok(Record::Segment(segment)) = Record::parse(&record) {
            assert!(segment.content.len() <= bytes.len());
        }
    }
}

/// The end of a run.
struct Outcome {
    text: String,
    snapshot: Snapshot,
    /// Bytes received and transmitted, as the kernel side counts.
    moved: [u64; 2],
    datagrams: Moved,
    /// Requests that began, as the readers tell.
    requests: u64,
}

fn run(script: &[u8], edge: Edge) -> Outcome {
    // Of two processes that have one pid after each other the second is shown at a later scrape, and the
    // balance is looked at once: there, processes are told apart by their executable.
    let labels = (edge != Edge::Scraped).then(|| vec!["process_executable_name"]);
    let mut pipeline = Pipeline::new(Settings {
        labels,
        ..Settings::default()
    });
    let mut steering = Steering::default();
    let mut readers = Readers::default();
    let mut host = Host::new(script, edge);
    let mut resets = Resets::default();
    while let Some(event) = host.next() {
        let record = match event {
            Event::Record(record) => record,
            Event::Scrape => {
                let shown = text(&pipeline.snapshot(), Format::OpenMetrics100);
                check_conservation(&shown);
                check_resets(&mut resets, &shown);
                continue;
            }
        };
        let mut cut = record.clone();
        if let Record::Segment(segment) = &mut cut {
            steering.cut(segment);
        }
        readers.take(&cut, host.begins());
        let pushed = if edge == Edge::Obedient { cut } else { record };
        pipeline.push(pushed, &mut steering);
        // Those whose end waits for a send are open a while longer.
        if edge != Edge::Scraped {
            assert_eq!(pipeline.connections_open(), host.open());
        }
    }
    pipeline.push(host.tick(0), &mut steering);
    assert_eq!(pipeline.connections_open(), 0);
    let snapshot = pipeline.snapshot();
    check_resets(&mut resets, &text(&snapshot, Format::OpenMetrics100));
    Outcome {
        text: text(&snapshot, Format::Text004),
        snapshot,
        moved: host.moved(),
        datagrams: host.datagrams(),
        requests: readers.requests,
    }
}

impl Outcome {
    /// Every byte and every request went somewhere (rule 21), and nothing goes on.
    fn check_balance(&self) {
        let Moved { datagrams, bytes } = self.datagrams;
        for (at, direction) in [Direction::Receive, Direction::Transmit]
            .into_iter()
            .enumerate()
        {
            let label = format!("direction=\"{}\"", direction.label());
            let udp = format!("{label},transport=\"udp\"");
            for (metric, label, moved) in [
                ("sockmeter_socket_datagrams_total", &udp, datagrams),
                ("sockmeter_socket_bytes_total", &udp, bytes),
                ("sockmeter_payload_bytes_total", &label, self.moved),
            ] {
                assert_eq!(self.sum(metric, label), moved[at], "{metric} {label}");
            }
            let all = self.sum("sockmeter_socket_bytes_total", &label);
            assert_eq!(all, self.moved[at] + bytes[at], "{label}");
        }
        let finished = self.answered();
        let unanswered = self.sum("sockmeter_requests_unanswered_total", "");
        assert_eq!(self.requests, finished + unanswered);
        let first_bytes = self.sum("sockmeter_request_first_byte_seconds", "");
        assert_eq!(first_bytes, finished);
        self.check_gauges();
    }

    fn answered(&self) -> u64 {
        self.sum("http_server_request_duration_seconds", "")
            + self.sum("http_client_request_duration_seconds", "")
    }

    /// Nothing goes on in any process.
    fn check_gauges(&self) {
        check_conservation(&self.text);
        for (name, labels, value) in values(&self.snapshot) {
            if let Value::Gauge(value) = value {
                assert_eq!(value, 0, "{name} {labels}");
            }
        }
    }

    /// The sum over the series of a metric that have `label`; of a histogram the observations.
    fn sum(&self, metric: &str, label: &str) -> u64 {
        values(&self.snapshot)
            .filter(|(name, labels, _)| *name == metric && labels.contains(label))
            .map(|(_, _, value)| match value {
                Value::Count(count) => count,
                Value::Histogram(observed) => observed.counts().iter().sum(),
                Value::Gauge(_) | Value::Number(_) => 0,
            })
            .sum()
    }
}

fn text(snapshot: &Snapshot, format: Format) -> String {
    let mut text = Vec::new();
    let written = write(snapshot, format, &mut text);
    assert!(written.is_ok());
    String::from_utf8_lossy(&text).into_owned()
}

/// What holds in any scrape, process by process.
fn check_conservation(text: &str) {
    let differences = conservation::differences(&Scrape::parse(text));
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// What holds from one scrape to the next.
fn check_resets(resets: &mut Resets, text: &str) {
    let differences = resets.differences(&Scrape::parse(text));
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

fn values(snapshot: &Snapshot) -> impl Iterator<Item = (&'static str, &str, Value<'_>)> {
    snapshot.families().flat_map(|family| {
        let name = family.metric().name;
        let points = family.points();
        points.map(move |point| (name, point.own_labels, point.value))
    })
}

/// What the pipeline said need not be captured.
#[derive(Debug, Default)]
struct Steering {
    nothing: HashSet<ConnectionId>,
    skip_until: HashMap<(ConnectionId, Direction), u64>,
}

impl Steering {
    /// Takes away content as the kernel side does.
    fn cut(&self, segment: &mut Segment<'_>) {
        let (id, direction) = (segment.connection, segment.direction);
        let end = segment.position + u64::from(segment.length_bytes);
        let skip_until = self.skip_until.get(&(id, direction));
        if self.nothing.contains(&id) || skip_until.is_some_and(|position| end <= *position) {
            segment.content = Default::default();
        }
    }
}

impl Steer for Steering {
    fn capture_nothing(&mut self, slot: u32, id: ConnectionId) {
        assert_eq!(slot, host::slot(id));
        assert!(self.nothing.insert(id), "{id:?} was told before");
    }

    fn skip_until(&mut self, slot: u32, id: ConnectionId, direction: Direction, position: u64) {
        assert_eq!(slot, host::slot(id));
        self.skip_until.insert((id, direction), position);
    }
}

/// The protocol readers without the pipeline: they tell how many requests there were.
#[derive(Default)]
struct Readers {
    connections: HashMap<ConnectionId, Connection<Conversation>>,
    requests: u64,
}

impl Readers {
    fn take(&mut self, record: &Record<'_>, begins: bool) {
        if let (true, Some((id, role, is_joined))) = (begins, beginning(record)) {
            let conversation = Conversation::new(role, is_joined);
            let connection = Connection::new(None, host::REMOTE, 0, conversation);
            self.connections.insert(id, connection);
        }
        match record {
            Record::Segment(segment) => self.segment(segment),
            Record::Closed(closed) => self.end(closed.connection, closed.bytes),
            Record::Table(table) if table.open => self.catch_up(table.connection, table.bytes),
            Record::Table(table) => self.end(table.connection, table.bytes),
            _ => {}
        }
    }

    fn segment(&mut self, segment: &Segment<'_>) {
        if let Some(connection) = self.connections.get_mut(&segment.connection) {
            for piece in connection.add(segment).iter() {
                self.read(segment.connection, segment.direction, piece);
            }
        }
    }

    fn catch_up(&mut self, id: ConnectionId, bytes: [u64; 2]) {
        for (direction, position) in [Direction::Receive, Direction::Transmit]
            .into_iter()
            .zip(bytes)
        {
            let Some(connection) = self.connections.get_mut(&id) else {
                return;
            };
            let lost_bytes = connection.advance(direction, position);
            if lost_bytes > 0 {
                self.read(id, direction, Piece::Lost(lost_bytes));
            }
        }
    }

    fn end(&mut self, id: ConnectionId, bytes: [u64; 2]) {
        self.catch_up(id, bytes);
        self.connections.remove(&id);
    }

    fn read(&mut self, id: ConnectionId, direction: Direction, piece: Piece<'_>) {
        let Self {
            connections,
            requests,
        } = self;
        if let Some(connection) = connections.get_mut(&id) {
            let conversation = &mut connection.talk;
            conversation.read(direction, piece, Moment::default(), &mut |heard| {
                let mut parts = heard.message.parts();
                *requests += u64::from(parts.any(|part| part.step == Step::RequestStarted));
            });
        }
    }
}

/// The connection that a record takes up if it is the first one of it: its role, and whether it was in use before.
fn beginning(record: &Record<'_>) -> Option<(ConnectionId, Role, bool)> {
    match record {
        Record::Opened(opened) => Some((opened.connection, opened.role, opened.adopted)),
        Record::Adopted(adopted) => Some((adopted.connection, adopted.role, true)),
        Record::Table(table) => Some((table.connection, table.role, table.adopted)),
        Record::Closed(closed) => Some((closed.connection, closed.role, closed.adopted)),
        Record::Segment(segment) => Some((segment.connection, Role::Unknown, true)),
        _ => None,
    }
}
