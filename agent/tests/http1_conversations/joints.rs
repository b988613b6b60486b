//! The whole pipeline, records in and series out, for either end of a conversation.

use crate::cases;
use crate::dialogue::{CLIENT, Dialogue, SERVER};
use crate::plan::{Ending, conversation};
use crate::schedule::{Call, by_chance, in_turn};
use crate::truth::{Truth, Words, exchange};
use proptest::prelude::*;
use sockmeter::{
    connections::{ConnectionId, Direction, Role},
    export::prometheus::{Format, write},
    identity::{Facts, Source},
    pipeline::{Pipeline, Steer},
    records::{Closed, Opened, Record, Segment},
    series::{Settings, Snapshot, Value},
};
use std::{borrow::Cow, net::SocketAddr};

const ID: ConnectionId = ConnectionId(7);
const PID: u32 = 1;
const REMOTE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9);

/// How much of what is captured gets to the pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Capture {
    /// All.
    Full,
    /// What it did not call needless.
    Steered,
}

/// What the pipeline called needless.
#[derive(Default)]
struct Steering {
    nothing: bool,
    until: [u64; 2],
}

impl Steer for Steering {
    fn capture_nothing(&mut self, _: u32, _: ConnectionId) {
        self.nothing = true;
    }

    fn skip_until(&mut self, _: u32, _: ConnectionId, direction: Direction, position: u64) {
        self.until[way(direction)] = position;
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

/// One end of a conversation.
pub(crate) struct End {
    pipeline: Pipeline,
    role: Role,
    steering: Steering,
    now_ns: u64,
    moved: [u64; 2],
    turns: u32,
    last: Option<Direction>,
}

impl End {
    pub(crate) fn new(role: Role, adopted: bool) -> Self {
        let mut end = Self {
            pipeline: Pipeline::new(Settings {
                labels: Some(vec![]),
                ..Settings::default()
            }),
            role,
            steering: Steering::default(),
            now_ns: 1_000,
            moved: [0; 2],
            turns: 0,
            last: None,
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
        end.push(Record::Opened(Opened {
            connection: ID,
            slot: 3,
            role,
            adopted,
            time_ns: end.now_ns,
            connect_ns: 5,
            pid: PID,
            local: REMOTE,
            remote: REMOTE,
        }));
        end
    }

    fn push(&mut self, record: Record<'_>) {
        self.now_ns += 1_000;
        self.pipeline.push(record, &mut self.steering);
    }

    /// The kernel counts; tells where both directions stood.
    fn move_bytes(&mut self, direction: Direction, bytes: usize) -> (u64, u64) {
        self.turns += u32::from(self.last.replace(direction) != Some(direction));
        let way = way(direction);
        let before = (self.moved[way], self.moved[1 - way]);
        self.moved[way] += bytes as u64;
        before
    }

    /// A call moves `bytes` of a side, of which `captured` are seen.
    fn call(&mut self, side: usize, bytes: &[u8], captured: usize, capture: Capture) {
        let direction = direction(self.role, side);
        let way = way(direction);
        let (position, other_position) = self.move_bytes(direction, bytes.len());
        let is_needless = self.steering.nothing || self.moved[way] <= self.steering.until[way];
        let seen = match capture {
            Capture::Steered if is_needless => &[],
            _ => &bytes[..captured],
        };
        self.push(Record::Segment(Segment {
            connection: ID,
            direction,
            position,
            other_position,
            length_bytes: bytes.len() as u32,
            begin_ns: self.now_ns,
            time_ns: self.now_ns,
            turn: self.turns,
            pid: PID,
            overtakes: false,
            after_end: false,
            content: Cow::Borrowed(seen),
        }));
    }

    fn closed(&mut self) {
        self.push(Record::Closed(Closed {
            connection: ID,
            errno: 0,
            retransmits: 0,
            time_ns: self.now_ns,
            bytes: self.moved,
            pid: PID,
            role: self.role,
            adopted: false,
            turns: self.turns,
            overtakes: false,
        }));
    }

    /// Plays calls to the end.
    fn play(mut self, dialogue: &Dialogue, calls: &[Call], capture: Capture) -> Counted {
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
                Counted::of(self.pipeline.snapshot()).check_bytes(self.moved);
            }
        }
        self.closed();
        let counted = Counted::of(self.pipeline.snapshot());
        counted.check_bytes(self.moved);
        counted
    }
}

/// The series, as far as these tests look at them.
struct Counted {
    snapshot: Snapshot,
}

impl Counted {
    fn of(snapshot: Snapshot) -> Self {
        Self { snapshot }
    }

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

    fn text(&self) -> String {
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
    fn exchanges(&self) -> Vec<String> {
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

    /// Compares with what there is to be counted at an end.
    fn check(&self, role: Role, truth: &Truth) {
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
        let unanswered = self.series("sockmeter_requests_unanswered_total");
        let told: Vec<_> = unanswered
            .iter()
            .map(|(labels, count)| (labels.rsplit('"').nth(1).unwrap(), *count))
            .collect();
        let wanted: Vec<_> = truth.unanswered.iter().map(|reason| (*reason, 1)).collect();
        assert_eq!(told, wanted);
        let unpaired = self.sum("sockmeter_requests_unpaired_total", "");
        assert_eq!(unpaired, truth.unpaired.cast_signed());
        for outcome in ["lost", "unrecognised"] {
            let label = format!("outcome=\"{outcome}\"");
            assert_eq!(
                self.sum("sockmeter_payload_bytes_total", &label),
                0,
                "{outcome}"
            );
        }
        let opaque = self.sum("sockmeter_payload_bytes_total", "outcome=\"opaque\"");
        assert_eq!(opaque, truth.tunnel.iter().sum::<u64>().cast_signed());
        self.check_gauges();
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
        Value::Histogram { counts, .. } => counts.iter().sum::<u64>().cast_signed(),
    }
}

fn choices() -> impl Strategy<Value = Vec<u16>> {
    proptest::collection::vec(any::<u16>(), 1..40)
}

fn role() -> impl Strategy<Value = Role> {
    prop_oneof![Just(Role::Server), Just(Role::Client)]
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn rule_21_every_exchange_and_every_byte_is_counted(
        conversation in conversation(),
        choices in choices(),
        role in role(),
        is_unseen in any::<bool>(),
    ) {
        let dialogue = Dialogue::new(&conversation);
        let calls = by_chance(&dialogue, &choices, is_unseen);
        let counted = End::new(role, false).play(&dialogue, &calls, Capture::Full);
        counted.check(role, &dialogue.truth);
        let steered = End::new(role, false).play(&dialogue, &calls, Capture::Steered);
        assert_eq!(steered.text(), counted.text());
    }

    #[test]
    fn rule_07_every_single_cut_at_both_ends(mut conversation in conversation()) {
        /// More would take too long.
        const BYTES_MAX: usize = 150;
        conversation.plans.truncate(1);
        let dialogue = Dialogue::new(&conversation);
        let [client, server] = [CLIENT, SERVER].map(|side| dialogue.length(side).min(BYTES_MAX));
        for cut in 0..=client.max(server) {
            let calls = in_turn(&dialogue, [cut.min(client), cut.min(server)]);
            for role in [Role::Server, Role::Client] {
                let counted = End::new(role, false).play(&dialogue, &calls, Capture::Full);
                counted.check(role, &dialogue.truth);
            }
        }
    }

    /// Calls whose records are lost, and bytes that are not what they should be.
    #[test]
    fn rule_08_steering_changes_nothing_even_when_the_place_is_lost(
        conversation in conversation(),
        choices in choices(),
        role in role(),
        lost in proptest::collection::vec(0_u8..8, 1..20),
        spoilt in proptest::collection::vec((0_usize..2, any::<u16>(), any::<u8>()), 0..4),
    ) {
        let mut dialogue = Dialogue::new(&conversation);
        for (side, at, byte) in spoilt {
            spoil(&mut dialogue, side, usize::from(at), byte);
        }
        let calls = by_chance(&dialogue, &choices, true);
        let outcomes = [Capture::Full, Capture::Steered].map(|capture| {
            let mut end = End::new(role, false);
            let bytes = [CLIENT, SERVER].map(|side| dialogue.bytes(side));
            for (call, lost) in calls.iter().zip(lost.iter().cycle()) {
                let moved = &bytes[call.side][call.from..call.to];
                if *lost == 0 {
                    end.move_bytes(direction(role, call.side), moved.len());
                } else {
                    end.call(call.side, moved, call.captured - call.from, capture);
                }
            }
            end.closed();
            let counted = Counted::of(end.pipeline.snapshot());
            counted.check_bytes(end.moved);
            counted.check_gauges();
            counted.text()
        });
        assert_eq!(outcomes[0], outcomes[1]);
    }

    /// Joined anywhere, a client that waits for its answers has each of them given to its own request: the statuses
    /// name the requests.
    #[test]
    fn rule_19_joined_anywhere_the_pairs_are_right(
        mut conversation in conversation(),
        choices in choices(),
        role in role(),
        joined in any::<u16>(),
    ) {
        for (plan, status) in conversation.plans.iter_mut().zip(600..) {
            plan.waits = true;
            plan.status = status;
            plan.method = "GET";
            // What looks like a request at the beginning of a call is taken for one.
            let letters = plan.asked.contents_mut();
            letters.for_each(|letter| letter.make_ascii_lowercase());
        }
        conversation.ending = Ending::Plain;
        let dialogue = Dialogue::new(&conversation);
        let calls = by_chance(&dialogue, &choices, false);
        let calls = &calls[usize::from(joined) % calls.len()..];
        let counted = End::new(role, true).play_joined(&dialogue, calls);
        let wanted: Vec<_> = dialogue.truth.exchanges;
        for line in counted.exchanges() {
            let is_true = wanted.iter().any(|wanted| {
                let words = wanted.split(' ').filter(|word| role == Role::Server || !word.starts_with('/'));
                words.collect::<Vec<_>>().join(" ") == line
            });
            assert!(is_true, "{line}: {wanted:?}");
        }
        counted.check_gauges();
    }
}

impl End {
    /// Plays the calls from the middle of a conversation on.
    fn play_joined(mut self, dialogue: &Dialogue, calls: &[Call]) -> Counted {
        let bytes = [CLIENT, SERVER].map(|side| dialogue.bytes(side));
        for call in calls {
            let moved = &bytes[call.side][call.from..call.to];
            self.call(call.side, moved, moved.len(), Capture::Full);
        }
        self.closed();
        let counted = Counted::of(self.pipeline.snapshot());
        counted.check_bytes(self.moved);
        counted
    }
}

/// Puts a byte in the place of another one.
fn spoil(dialogue: &mut Dialogue, side: usize, at: usize, byte: u8) {
    let length = dialogue.length(side);
    let parts = dialogue.sides[side].iter_mut();
    let mut bytes = parts.flat_map(|part| part.bytes.iter_mut());
    if length > 0
        && let Some(spoilt) = bytes.nth(at % length)
    {
        *spoilt = byte;
    }
}
