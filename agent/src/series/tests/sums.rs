//! Whatever happens, nothing is counted twice or lost.

use super::*;
use proptest::prelude::*;

/// One step of a random history.
#[derive(Clone, Debug)]
enum Action {
    Exchange {
        process: usize,
        role: Role,
        path: u8,
        status: u16,
        duration_ns: u64,
    },
    Bytes {
        process: usize,
        direction: Direction,
        bytes: u32,
    },
    Active {
        process: usize,
        delta: i8,
    },
    Restart {
        process: usize,
    },
    Snapshot,
}

fn action() -> impl Strategy<Value = Action> {
    let process = 0..4_usize;
    let role = prop_oneof![Just(Role::Server), Just(Role::Client), Just(Role::Unknown)];
    let direction = prop_oneof![Just(Direction::Receive), Just(Direction::Transmit)];
    prop_oneof![
        4 => (process.clone(), role, any::<u8>(), 200..600_u16, any::<u64>()).prop_map(
            |(process, role, path, status, duration_ns)| Action::Exchange { process, role, path, status, duration_ns }
        ),
        2 => (process.clone(), direction, any::<u32>())
            .prop_map(|(process, direction, bytes)| Action::Bytes { process, direction, bytes }),
        2 => (process.clone(), any::<i8>()).prop_map(|(process, delta)| Action::Active { process, delta }),
        1 => process.prop_map(|process| Action::Restart { process }),
        1 => Just(Action::Snapshot),
    ]
}

/// Sums over all series of a metric; for histograms of the counts and of the sums.
fn total(snapshot: &Snapshot, name: &str) -> (i128, u128) {
    let mut total = (0, 0);
    let family = snapshot
        .families()
        .find(|family| family.metric().name == name);
    for point in family.into_iter().flat_map(Family::points) {
        match point.value {
            Value::Count(count) => total.0 += i128::from(count),
            Value::Gauge(value) => total.0 += i128::from(value),
            Value::Number(_) => {}
            Value::Histogram(observed) => {
                let counts = observed.counts().iter();
                total.0 += counts.map(|count| i128::from(*count)).sum::<i128>();
                total.1 += observed.sum_ns();
            }
        }
    }
    total
}

proptest! {
    /// With a limit or without: the sums over all series are those of what was observed. Without process
    /// labels all processes share series, so that none goes away while one of them lives.
    #[test]
    fn sums_are_exact(actions in proptest::collection::vec(action(), 0..200), limit in 0..20_usize, routes in 0..5_usize) {
        let mut series = Series::new(Settings {
            series_max_per_metric: limit,
            routes_max_per_process: routes,
            labels: Some(vec![]),
            ..Settings::default()
        });
        let mut keys: Vec<_> = (0..4).map(|pid| process(&mut series, pid)).collect();
        let mut active = [0_i128; 4];
        let (mut server, mut client, mut bytes_sum) = ((0_i128, 0_u128), (0_i128, 0_u128), 0_i128);
        for action in actions {
            match action {
                Action::Exchange { process, role, path, status, duration_ns } => {
                    let target = format!("/{}", char::from(b'a' + path % 26));
                    let exchange = Exchange {
                        started_ns: 0,
                        first_byte_ns: 0,
                        ended_ns: duration_ns,
                        ..http(role, target.as_bytes(), status)
                    };
                    series.exchange(keys[process], &exchange);
                    let sum = if role == Role::Client { &mut client } else { &mut server };
                    *sum = (sum.0 + 1, sum.1 + u128::from(duration_ns));
                }
                Action::Bytes { process, direction, bytes } => {
                    series.socket_bytes(keys[process], Role::Server, "tcp", direction, bytes.into());
                    bytes_sum += i128::from(bytes);
                }
                Action::Active { process, delta } => {
                    series.connection_active(keys[process], Role::Server, Transport::Tcp, delta.into());
                    active[process] += i128::from(delta);
                }
                Action::Restart { process: at } => {
                    series.end_process(keys[at], 0);
                    keys[at] = process(&mut series, 9);
                    series.snapshot(0);
                    active[at] = 0;
                }
                Action::Snapshot => drop(series.snapshot(0)),
            }
        }
        let snapshot = series.snapshot(0);
        prop_assert_eq!(total(&snapshot, "http_server_request_duration_seconds"), server);
        prop_assert_eq!(total(&snapshot, "http_client_request_duration_seconds"), client);
        prop_assert_eq!(total(&snapshot, "sockmeter_request_first_byte_seconds").0, server.0 + client.0);
        prop_assert_eq!(total(&snapshot, "sockmeter_socket_bytes_total").0, bytes_sum);
        prop_assert_eq!(total(&snapshot, "sockmeter_connections_active").0, active.iter().sum::<i128>());
        prop_assert_eq!(total(&snapshot, "sockmeter_records_lost_total").0, 0);
        scrape(&snapshot);
    }
}
