//! Capture is reduced to counts and restored: nothing is guessed, and each number is exact at each reading.

use super::{
    gaps::{ANSWERED, Dice, EXCHANGES, UNANSWERED, UNPAIRED},
    *,
};

/// A call that is counted and makes no record, or one that makes its record.
fn call(bench: &mut Bench, direction: Direction, bytes: &[u8], is_counted_only: bool) {
    if is_counted_only {
        bench.unheard(direction, bytes.len() as u64);
    } else {
        bench.segment(1, direction, bytes, bytes.len() as u32);
    }
}

/// The agent reads the table.
fn read_table(bench: &mut Bench) {
    let positions = bench.positions;
    bench.table(true, positions, 0);
}

#[test]
fn rule_21_in_counts_each_request_is_told_at_the_next_reading() {
    for role in [Role::Server, Role::Client] {
        let (asks, answers) = match role {
            Role::Client => (Direction::Transmit, Direction::Receive),
            _ => (Direction::Receive, Direction::Transmit),
        };
        let mut bench = Bench::new();
        bench.opened(role, false);
        call(&mut bench, asks, GET, false);
        call(&mut bench, answers, OK, false);
        for counted in 1..=5 {
            call(&mut bench, asks, GET, true);
            call(&mut bench, answers, OK, true);
            read_table(&mut bench);
            // Reading it again changes nothing.
            read_table(&mut bench);
            assert_eq!(bench.total(UNANSWERED), counted, "{role:?}");
            let bytes = (GET.len() + OK.len()) as u64 * (counted + 1);
            assert_eq!(bench.total("sockmeter_socket_bytes_total"), bytes);
            assert_eq!(bench.total("sockmeter_payload_bytes_total"), bytes);
        }
        call(&mut bench, asks, GET, false);
        call(&mut bench, answers, OK, false);
        bench.closed();
        assert_eq!(
            (
                bench.total(ANSWERED),
                bench.total(UNANSWERED),
                bench.total(UNPAIRED)
            ),
            (2, 5, 0)
        );
    }
}

#[test]
fn rule_21_a_request_that_is_under_way_at_a_reading_is_told_once() {
    let mut bench = Bench::new();
    bench.opened(Role::Server, false);
    call(&mut bench, Direction::Receive, GET, false);
    // From here on there are no records.
    call(&mut bench, Direction::Transmit, OK, true);
    call(&mut bench, Direction::Receive, GET, true);
    read_table(&mut bench);
    assert_eq!(bench.total(UNANSWERED), 1, "the one that was seen");
    assert_eq!(bench.total("http_server_active_requests"), 0);
    call(&mut bench, Direction::Transmit, OK, true);
    read_table(&mut bench);
    assert_eq!(bench.total(UNANSWERED), 2);
    // And from here on there are.
    call(&mut bench, Direction::Receive, GET, false);
    call(&mut bench, Direction::Transmit, OK, false);
    bench.closed();
    assert_eq!((bench.total(ANSWERED), bench.total(UNANSWERED)), (1, 2));
}

#[test]
fn what_is_not_known_to_be_http_is_not_told_as_requests_before_its_end() {
    let mut bench = Bench::new();
    bench.opened(Role::Server, false);
    for _ in 0..4 {
        call(&mut bench, Direction::Receive, GET, true);
        call(&mut bench, Direction::Transmit, OK, true);
        read_table(&mut bench);
    }
    assert_eq!(bench.total(UNANSWERED), 0);
    bench.closed();
    assert_eq!(
        bench.series(UNANSWERED),
        ["{process_pid=\"1\",role=\"server\",reason=\"gap\"} 4"]
    );
}

/// Exchanges in calls of random lengths while capture is reduced and restored at random moments, and the table is read
/// at others; tells what was counted of them: answered, unanswered, unpaired.
fn converse(dice: &mut Dice, role: Role, exchanges: u64) -> [u64; 3] {
    let mut bench = Bench::new();
    bench.opened(role, false);
    let (asks, answers) = match role {
        Role::Client => (Direction::Transmit, Direction::Receive),
        _ => (Direction::Receive, Direction::Transmit),
    };
    let mut is_counting = false;
    for _ in 0..exchanges {
        let (request, response) = EXCHANGES[dice.below(EXCHANGES.len() as u64) as usize];
        for (direction, mut bytes) in [(asks, request), (answers, response)] {
            while !bytes.is_empty() {
                let length = match dice.below(3) {
                    0 => 1 + dice.below(bytes.len() as u64) as usize,
                    _ => bytes.len(),
                };
                let (now, rest) = bytes.split_at(length);
                bytes = rest;
                call(&mut bench, direction, now, is_counting);
                if is_counting && dice.below(3) == 0 {
                    read_table(&mut bench);
                }
                if dice.below(8) == 0 {
                    is_counting = !is_counting;
                }
            }
        }
    }
    bench.closed();
    let bytes = bench.positions.iter().sum::<u64>();
    assert_eq!(bench.total("sockmeter_socket_bytes_total"), bytes);
    assert_eq!(bench.total("sockmeter_payload_bytes_total"), bytes);
    assert_eq!(bench.total("http_server_active_requests"), 0);
    [ANSWERED, UNANSWERED, UNPAIRED].map(|metric| bench.total(metric))
}

#[test]
fn rule_21_requests_are_counted_or_counted_as_lost_whenever_capture_changes() {
    let mut sums = [0; 2];
    for seed in 1..1000_u64 {
        let role = [Role::Server, Role::Client][seed as usize % 2];
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let exchanges = 1 + seed % 20;
        let [answered, unanswered, unpaired] = converse(&mut dice, role, exchanges);
        assert_eq!(
            (answered + unanswered, unpaired),
            (exchanges, 0),
            "seed {seed}, {role:?}: {answered} answered, {unanswered} not"
        );
        sums[0] += answered;
        sums[1] += unanswered;
    }
    assert!(sums.iter().all(|sum| *sum > 1500), "{sums:?}");
}
