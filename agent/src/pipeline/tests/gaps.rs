//! Requests made are requests counted and requests counted as lost, whichever records are missing.

use super::*;

pub(super) const ANSWERED: &str = "sockmeter_request_first_byte_seconds_count";
pub(super) const UNANSWERED: &str = "sockmeter_requests_unanswered_total";
pub(super) const UNPAIRED: &str = "sockmeter_requests_unpaired_total";

/// Numbers that are the same in each run (xorshift).
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// What is said in one exchange, request first.
pub(super) const EXCHANGES: [(&[u8], &[u8]); 4] = [
    (GET, OK),
    (GET, b"HTTP/1.1 204 No Content\r\n\r\n"),
    (b"POST /a HTTP/1.1\r\nContent-Length: 8\r\n\r\n12345678", OK),
    (
        GET,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    ),
];

impl Bench {
    /// Moves bytes in calls of random lengths; the records of some are lost.
    fn say(&mut self, direction: Direction, mut bytes: &[u8], dice: &mut Dice, loss_percent: u64) {
        while !bytes.is_empty() {
            let length = match dice.below(3) {
                0 => 1 + dice.below(bytes.len() as u64) as usize,
                _ => bytes.len(),
            };
            let (call, rest) = bytes.split_at(length);
            bytes = rest;
            if dice.below(100) < loss_percent {
                self.unheard(direction, call.len() as u64);
            } else {
                self.segment(1, direction, call, call.len() as u32);
            }
            // The kernel's table may be read at any time.
            if dice.below(200) < loss_percent {
                let positions = self.positions;
                self.table(true, positions, 0);
            }
        }
    }

    /// A call whose record is lost.
    pub(super) fn unheard(&mut self, direction: Direction, length_bytes: u64) {
        if self.direction.replace(direction) != Some(direction) {
            self.turns += 1;
        }
        let [receive, transmit] = &mut self.positions;
        match direction {
            Direction::Receive => *receive += length_bytes,
            Direction::Transmit => *transmit += length_bytes,
        }
    }

    pub(super) fn total(&mut self, metric: &str) -> u64 {
        let count = |line: &String| line.rsplit(' ').next()?.parse::<u64>().ok();
        self.series(metric).iter().filter_map(count).sum()
    }
}

/// `exchanges` exchanges seen from one end, of which records are lost; tells what was counted of them:
/// answered, unanswered, unpaired.
fn converse(seed: u64, role: Role, exchanges: u64, loss_percent: u64) -> [u64; 3] {
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut bench = Bench::new();
    // The bench's table knows servers.
    if role == Role::Client || dice.below(100) >= loss_percent {
        bench.opened(role, false);
    } else {
        bench.table(true, [0, 0], 0);
    }
    let (asks, answers) = match role {
        Role::Client => (Direction::Transmit, Direction::Receive),
        _ => (Direction::Receive, Direction::Transmit),
    };
    for _ in 0..exchanges {
        let (request, response) = EXCHANGES[dice.below(EXCHANGES.len() as u64) as usize];
        bench.say(asks, request, &mut dice, loss_percent);
        bench.say(answers, response, &mut dice, loss_percent);
        if dice.below(100) < loss_percent {
            let positions = bench.positions;
            bench.table(true, positions, 0);
        }
    }
    let (positions, is_lost) = (bench.positions, dice.below(100) < loss_percent);
    if is_lost {
        bench.table(false, positions, 0);
    } else {
        bench.closed();
    }
    assert_eq!(
        bench.total("sockmeter_socket_bytes_total"),
        positions.iter().sum::<u64>()
    );
    assert_eq!(
        bench.total("sockmeter_payload_bytes_total"),
        positions.iter().sum::<u64>()
    );
    [ANSWERED, UNANSWERED, UNPAIRED].map(|metric| bench.total(metric))
}

#[test]
fn rule_21_requests_made_are_counted_or_counted_as_lost() {
    let (mut answered_in_all, mut lost) = (0, 0);
    for seed in 1..2000 {
        for (role, loss_percent) in [(Role::Server, 30), (Role::Server, 90), (Role::Client, 30)] {
            let exchanges = 1 + seed % 12;
            let [answered, unanswered, unpaired] = converse(seed, role, exchanges, loss_percent);
            assert_eq!(
                (answered + unanswered, unpaired),
                (exchanges, 0),
                "seed {seed}, {role:?}, {loss_percent} % lost: {answered} answered, {unanswered} not"
            );
            answered_in_all += answered;
            lost += unanswered;
        }
    }
    assert!(
        answered_in_all > 1000 && lost > 1000,
        "{answered_in_all} {lost}"
    );
}

#[test]
fn rule_21_the_end_of_an_answer_that_was_lost_has_no_duration() {
    let mut bench = Bench::new();
    bench.opened(Role::Server, false);
    bench.receive(GET);
    bench.transmit(&OK[..OK.len() - 1]);
    bench.unheard(Direction::Transmit, 1);
    bench.receive(GET);
    bench.transmit(OK);
    assert_eq!(bench.total(ANSWERED), 1);
    assert_eq!(
        bench.series(UNANSWERED),
        ["{process_pid=\"1\",protocol=\"http1\",role=\"server\",reason=\"gap\"} 1"]
    );
}

#[test]
fn rule_21_requests_that_could_not_be_captured_are_counted_too() {
    let mut bench = Bench::new();
    bench.opened(Role::Client, false);
    for _ in 0..2 {
        bench.segment(1, Direction::Transmit, b"", 18);
        bench.receive(OK);
    }
    bench.transmit(GET);
    bench.receive(OK);
    assert_eq!(
        bench.series(UNANSWERED),
        ["{process_pid=\"1\",protocol=\"http1\",role=\"client\",reason=\"unseen\"} 2"]
    );
    assert_eq!(bench.total(ANSWERED), 1);
}

#[test]
fn rule_21_requests_of_which_nothing_was_seen_are_counted_when_their_connection_ends() {
    let mut bench = Bench::new();
    bench.opened(Role::Server, false);
    for _ in 0..3 {
        bench.unheard(Direction::Receive, 18);
        bench.unheard(Direction::Transmit, 40);
    }
    bench.closed();
    assert_eq!(
        bench.series(UNANSWERED),
        ["{process_pid=\"1\",role=\"server\",reason=\"gap\"} 3"]
    );
}
