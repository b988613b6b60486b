//! In the steady state reading HTTP/1 allocates nothing, nor does all that is behind it, and what a reader keeps is
//! bounded.

#![allow(clippy::unwrap_used)]

use sockmeter::{
    pipeline::{Pipeline, Unsteered},
    protocol::{Piece, Protocol, Speaker, Start, http1},
    records::{
        Address, ConnectionId, Direction, Facts, Opened, Record, Role, Segment, Transport,
        facts::Source,
    },
    series::Settings,
};
use std::alloc::{GlobalAlloc, Layout, System};
use std::borrow::Cow;
use std::cell::Cell;

/// The system's allocator, counting per thread.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    static HELD_BYTES: Cell<i64> = const { Cell::new(0) };
}

// SAFETY: every call goes to `System` unchanged; the counters are plain cells that never allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        HELD_BYTES.set(HELD_BYTES.get() + layout.size() as i64);
        // SAFETY: the caller's promises are `System`'s.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        HELD_BYTES.set(HELD_BYTES.get() - layout.size() as i64);
        // SAFETY: the caller's promises are `System`'s.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn read(reader: &mut dyn Protocol, speaker: Speaker, bytes: &[u8]) {
    reader.read(speaker, Piece::Bytes(bytes), &mut |_| {});
}

fn exchange(reader: &mut dyn Protocol) {
    let request =
        b"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n";
    let response = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    read(reader, Speaker::Client, request);
    read(reader, Speaker::Server, &response[..20]);
    read(reader, Speaker::Server, &response[20..]);
}

#[test]
fn the_steady_state_allocates_nothing() {
    let mut reader = (http1::KIND.reader)(Start::Beginning);
    exchange(&mut *reader);
    let before = ALLOCATIONS.get();
    for _ in 0..1000 {
        exchange(&mut *reader);
    }
    assert_eq!(ALLOCATIONS.get() - before, 0);
}

/// A server's kept connection.
struct Kept {
    pipeline: Pipeline,
    /// Bytes received and sent.
    positions: [u64; 2],
    turn: u32,
    now_ns: u64,
}

impl Kept {
    const PID: u32 = 7;

    fn new() -> Self {
        let mut pipeline = Pipeline::new(Settings::default());
        let facts = Facts {
            pid: Self::PID,
            parent_pid: 1,
            start_boottime_ns: 1,
            cgroup: 0,
            source: Source::Proc,
            executable: "/usr/bin/web".to_owned(),
            service_name: None,
            unit: None,
            container_id: None,
        };
        pipeline.push(Record::Process(facts), &mut Unsteered);
        let opened = Opened {
            connection: ConnectionId(1),
            slot: 1,
            role: Role::Server,
            adopted: false,
            time_ns: 1,
            connect_ns: 0,
            pid: Self::PID,
            local: Address::Inet("192.0.2.1:80".parse().unwrap()),
            remote: Address::Inet("192.0.2.9:50001".parse().unwrap()),
        };
        pipeline.push(Record::Opened(opened), &mut Unsteered);
        Self {
            pipeline,
            positions: [0; 2],
            turn: 0,
            now_ns: 1_000,
        }
    }

    fn segment(&mut self, direction: Direction, content: &[u8]) {
        let [received, sent] = self.positions;
        let (position, other_position) = match direction {
            Direction::Receive => (received, sent),
            Direction::Transmit => (sent, received),
        };
        self.positions[direction as usize] += content.len() as u64;
        self.turn += 1;
        self.now_ns += 1_000;
        let segment = Segment {
            connection: ConnectionId(1),
            direction,
            position,
            other_position,
            length_bytes: u32::try_from(content.len()).unwrap(),
            begin_ns: self.now_ns - 500,
            time_ns: self.now_ns,
            turn: self.turn,
            pid: Self::PID,
            transport: Transport::Tcp,
            overtakes: false,
            after_end: false,
            content: Cow::Borrowed(content),
        };
        self.pipeline.push(Record::Segment(segment), &mut Unsteered);
    }

    /// Exchanges of several kinds, and a second goes by.
    fn second(&mut self) {
        for target in [
            "/",
            "/users/1/orders",
            "/users/2/orders",
            "/static/main.4f3a2b1c.js",
        ] {
            let mut request = [0; 128];
            let length = {
                use std::io::Write;
                let mut rest = &mut request[..];
                write!(rest, "GET {target} HTTP/1.1\r\nHost: web\r\n\r\n").unwrap();
                128 - rest.len()
            };
            self.segment(Direction::Receive, &request[..length]);
            self.segment(
                Direction::Transmit,
                b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
            );
        }
        self.now_ns += 1_000_000_000;
        let time_ns = self.now_ns;
        self.pipeline.push(Record::Tick { time_ns }, &mut Unsteered);
    }
}

#[test]
fn a_kept_connection_costs_the_pipeline_no_allocation() {
    let mut kept = Kept::new();
    kept.second();
    kept.second();
    let before = ALLOCATIONS.get();
    for _ in 0..1000 {
        kept.second();
    }
    assert_eq!(ALLOCATIONS.get() - before, 0);
    let mut scrape = Vec::new();
    let snapshot = kept.pipeline.snapshot();
    let format = sockmeter::export::prometheus::Format::Text004;
    sockmeter::export::prometheus::write(&snapshot, format, &mut scrape).unwrap();
    let scrape = String::from_utf8(scrape).unwrap();
    let line = "http_route=\"/users/{id}/orders\",network_protocol_version=\"1.1\"} 2004";
    assert!(scrape.contains(line), "{scrape}");
}

#[test]
fn what_is_kept_is_bounded() {
    let before = HELD_BYTES.get();
    let mut reader = (http1::KIND.reader)(Start::Beginning);
    let mut held_bytes_max = 0;
    for round in 0..200_000_u32 {
        // Heads without end on both sides, then what a loss leaves.
        let text: &[u8] = if round == 0 { b"GET /" } else { b"a" };
        read(&mut *reader, Speaker::Client, text);
        read(
            &mut *reader,
            Speaker::Server,
            if round == 0 { b"HTTP/1.1 200 " } else { b"a" },
        );
        held_bytes_max = held_bytes_max.max(HELD_BYTES.get() - before);
    }
    assert!(
        (1..=2 * 128 * 1024 + 4096).contains(&held_bytes_max),
        "{held_bytes_max}"
    );
    assert!(HELD_BYTES.get() - before < 4096);
}
