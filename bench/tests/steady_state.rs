//! In the steady state an exchange allocates nothing, from the record's bytes to its count; and all are counted.

#![allow(clippy::unwrap_used, clippy::expect_used)] // Also in what the tests share.

use sockmeter::{pipeline::Pipeline, series::Settings};
use sockmeter_bench::{
    batch::Batch,
    case::{Case, Ends, Head},
    counted,
    counting::{Counting, heap},
    intake::{Told, drain},
    traffic::Traffic,
};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const EXCHANGES: u64 = 2000;

const SERVER: Case = Case {
    connections: 16,
    processes: 3,
    routes: 10,
    body_bytes: 512,
    ends: Ends::Server,
    head: Head::Ab,
    new_connections: false,
};

/// Allocations and bytes of the second half of the exchanges of a case, all of which have to be counted.
fn allocated(case: &Case) -> (u64, u64) {
    let mut pipeline = Pipeline::new(Settings::default());
    let mut told = Told::default();
    let mut traffic = Traffic::new(case);
    for record in traffic.processes() {
        pipeline.push(record, &mut told);
    }
    let (mut first, mut second) = (Batch::default(), Batch::default());
    traffic.open(case.connections, &mut first);
    traffic.exchanges(EXCHANGES, &mut first);
    traffic.exchanges(EXCHANGES, &mut second);
    assert_eq!(drain(&first, &mut pipeline, &mut told), 0);
    let before = heap();
    assert_eq!(drain(&second, &mut pipeline, &mut told), 0);
    let after = heap();
    let seen = if case.ends == Ends::Both { 2 } else { 1 };
    assert_eq!(counted::exchanges(&mut pipeline), seen * 2 * EXCHANGES);
    (
        after.allocations - before.allocations,
        after.allocated_bytes - before.allocated_bytes,
    )
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
fn a_new_connection_is_seen_by_the_counting_allocator() {
    let case = Case {
        new_connections: true,
        ..SERVER
    };
    let (allocations, bytes) = allocated(&case);
    assert!(allocations >= EXCHANGES && bytes > 0, "{allocations}");
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
