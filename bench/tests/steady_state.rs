//! In the steady state an exchange allocates nothing, from the record's bytes to its count; and all are counted.

#![allow(clippy::unwrap_used, clippy::expect_used)] // Also in what the tests share.

use sockmeter::{pipeline::Pipeline, series::Settings};
use sockmeter_bench::{
    batch::Batch,
    case::{Case, Ends, Head},
    counted,
    counting::{Counting, heap},
    intake::{Told, drain, tick},
    traffic::Traffic,
};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const EXCHANGES: u64 = 2000;
const WARM_UP: u64 = 12_000;

const SERVER: Case = Case {
    connections: 16,
    processes: 3,
    routes: 10,
    body_bytes: 512,
    ends: Ends::Server,
    head: Head::Ab,
    new_connections: false,
};

/// Exchanges between two ticks, so that connections which have ended are forgotten as fast as others do.
const TICK_EXCHANGES: u64 = 500;

/// Allocations and bytes of the last [`EXCHANGES`] of a case, all of which have to be counted. Before them as many
/// happen as it takes until the tables of what has ended are as large as they will be.
fn allocated(case: &Case) -> (u64, u64) {
    let mut pipeline = Pipeline::new(Settings::default());
    let mut told = Told::default();
    let mut traffic = Traffic::new(case);
    for record in traffic.processes() {
        pipeline.push(record, &mut told);
    }
    let mut batch = Batch::default();
    traffic.open(case.connections, &mut batch);
    let mut measured = (0, 0);
    while traffic.made() < WARM_UP + EXCHANGES {
        traffic.exchanges(TICK_EXCHANGES, &mut batch);
        let before = heap();
        assert_eq!(drain(&batch, &mut pipeline, &mut told), 0);
        tick(traffic.now_ns(), &mut pipeline, &mut told);
        let after = heap();
        if traffic.made() > WARM_UP {
            measured.0 += after.allocations - before.allocations;
            measured.1 += after.allocated_bytes - before.allocated_bytes;
        }
        batch.clear();
    }
    let seen = if case.ends == Ends::Both { 2 } else { 1 };
    assert_eq!(counted::exchanges(&mut pipeline), seen * traffic.made());
    measured
}

#[test]
fn an_exchange_over_a_kept_connection_allocates_nothing() {
    for ends in [Ends::Server, Ends::Client, Ends::Both] {
        for head in [Head::Ab, Head::H2load, Head::Browser] {
            for body_bytes in [0, 512, 300_000] {
                let case = Case {
                    ends,
                    head,
                    body_bytes,
                    ..SERVER
                };
                assert_eq!(allocated(&case), (0, 0), "{case:?}");
            }
        }
    }
}

#[test]
fn paths_without_end_allocate_nothing_once_the_routes_are_taken() {
    let case = Case {
        routes: 1_000_000,
        ..SERVER
    };
    assert_eq!(allocated(&case), (0, 0));
}

#[test]
fn an_exchange_over_a_new_connection_allocates_nothing() {
    for ends in [Ends::Server, Ends::Client, Ends::Both] {
        let case = Case {
            ends,
            new_connections: true,
            ..SERVER
        };
        assert_eq!(allocated(&case), (0, 0), "{case:?}");
    }
}

#[test]
fn a_connection_that_stays_open_is_seen_by_the_counting_allocator() {
    let mut pipeline = Pipeline::new(Settings::default());
    let mut told = Told::default();
    let mut batch = Batch::default();
    Traffic::new(&SERVER).open(SERVER.connections, &mut batch);
    let before = heap();
    drain(&batch, &mut pipeline, &mut told);
    let allocations = heap().allocations - before.allocations;
    assert!(allocations >= SERVER.connections.into(), "{allocations}");
}

#[test]
fn a_record_without_room_is_lost_and_counted_as_such() {
    let mut pipeline = Pipeline::new(Settings::default());
    let mut told = Told::default();
    let mut traffic = Traffic::new(&SERVER);
    for record in traffic.processes() {
        pipeline.push(record, &mut told);
    }
    let mut batch = Batch::default();
    traffic.open(SERVER.connections, &mut batch);
    drain(&batch, &mut pipeline, &mut told);
    batch.clear();
    batch.limit(100_000);
    traffic.exchanges(EXCHANGES, &mut batch);
    assert_eq!(batch.len() as u64 + batch.lost(), 2 * EXCHANGES);
    assert!(batch.ring_bytes() <= 100_000);
    drain(&batch, &mut pipeline, &mut told);
    let mut rest = Batch::default();
    traffic.exchanges(16, &mut rest);
    traffic.close(&mut rest);
    drain(&rest, &mut pipeline, &mut told);
    let counted = counted::exchanges(&mut pipeline);
    assert!((17..EXCHANGES).contains(&counted), "{counted}");
    assert_eq!(counted + counted::unanswered(&mut pipeline), EXCHANGES + 16);
}
