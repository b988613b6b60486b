//! A host as a script has it: a few processes and sockets, and the records that tell of them.

mod connections;

use super::{
    Edge,
    datagrams::Moved,
    socket::{Phase, Socket},
};
pub(super) use connections::slot;
use sockmeter::{
    connections::{ConnectionId, MEMORY_NS},
    identity::{Facts, Source},
    records::{Address, ConnectFailed, LOSS_REASONS, Record, Started},
};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

const SOCKETS: usize = 4;
const FIRST_PID: u32 = 10;
const PIDS: u32 = 4;
/// Between two records.
const STEP_NS: u64 = 1_000;
/// A tick's unit: the script's byte says how many.
const TICK_NS: u64 = 50_000_000;
/// Without scrapes, series of ended processes are kept this long at least (`series::LINGER_NS`).
const END_NS: u64 = 250_000_000_000;
pub(super) const REMOTE: Address =
    Address::Inet(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7));

/// What a step of the script comes to.
pub(super) enum Event<'s> {
    Record(Record<'s>),
    Scrape,
}

/// A step is a byte that says what happens (low four bits) and to which socket (the next two), a byte
/// of details, and more where a segment needs it.
pub(super) struct Host<'s> {
    rest: &'s [u8],
    edge: Edge,
    now_ns: u64,
    ticked_ns: u64,
    sockets: [Socket; SOCKETS],
    /// Bytes received and transmitted that the pipeline can know of.
    moved: [u64; 2],
    datagrams: Moved,
    losses: [u64; LOSS_REASONS.len()],
    /// Processes that are known from the beginning.
    known: u32,
    /// The last record was the first one of a connection.
    begins: bool,
}

impl<'s> Host<'s> {
    pub(super) fn new(script: &'s [u8], edge: Edge) -> Self {
        Self {
            rest: script,
            edge,
            now_ns: STEP_NS,
            ticked_ns: 0,
            sockets: Default::default(),
            moved: [0; 2],
            datagrams: Moved::default(),
            losses: [0; LOSS_REASONS.len()],
            known: 0,
            begins: false,
        }
    }

    /// How many connections are open.
    pub(super) fn open(&self) -> usize {
        let phases = self.sockets.iter().map(|socket| socket.phase);
        phases.filter(|phase| *phase == Phase::Open).count()
    }

    /// Bytes received and transmitted that the pipeline can know of.
    pub(super) fn moved(&self) -> [u64; 2] {
        self.moved
    }

    /// What moved in datagrams.
    pub(super) fn datagrams(&self) -> Moved {
        self.datagrams
    }

    /// Whether the last record was the first one of a connection.
    pub(super) fn begins(&self) -> bool {
        self.begins
    }

    /// The next thing that happens; after the script's end the sockets that are open close.
    pub(super) fn next(&mut self) -> Option<Event<'s>> {
        self.now_ns += STEP_NS;
        self.begins = false;
        if self.known < 2 {
            self.known += 1;
            return Some(Event::Record(self.facts(self.known - 1)));
        }
        let Some(&[what, detail]) = self.rest.first_chunk() else {
            let open = (0..SOCKETS).find(|at| self.socket(*at).phase == Phase::Open);
            return Some(Event::Record(self.closed(open?, 0)));
        };
        self.skip(2);
        let at = usize::from(what >> 4) % SOCKETS;
        Some(Event::Record(match what & 15 {
            0 => self.opened(at, detail),
            1 => self.adopted(at, detail),
            2 => self.closed(at, detail),
            3 => self.table(at, detail, true),
            4 => self.table(at, detail, false),
            5..=8 => self.segment(at, what & 15, detail),
            9 => self.started(detail),
            10 => Record::Ended {
                pid: pid(detail),
                time_ns: self.now_ns,
            },
            11 => self.facts(u32::from(detail)),
            12 => self.tick(detail),
            13 => self.lose(detail),
            14 if detail & 1 == 1 => self.datagrams.more(pid(detail >> 1), self.now_ns, detail),
            14 => Record::ConnectFailed(ConnectFailed {
                errno: u16::from(detail),
                pid: pid(detail),
                time_ns: self.now_ns,
                connect_ns: 5,
                remote: REMOTE,
            }),
            _ if self.edge == Edge::Scraped => return Some(Event::Scrape),
            _ => self.tick(0),
        }))
    }

    fn skip(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or_default();
    }

    fn byte(&mut self) -> u8 {
        let byte = self.rest.first().copied().unwrap_or_default();
        self.skip(1);
        byte
    }

    fn byte_if(&mut self, is_there: bool) -> u8 {
        if is_there { self.byte() } else { 0 }
    }

    fn socket(&self, at: usize) -> Socket {
        self.sockets.get(at).copied().unwrap_or_default()
    }

    fn id(&self, at: usize) -> ConnectionId {
        ConnectionId(u64::from(self.socket(at).generation) * SOCKETS as u64 + at as u64)
    }

    fn is_remembered(&self, time_ns: u64) -> bool {
        time_ns + MEMORY_NS > self.ticked_ns
    }

    /// A socket comes into use, unless what is told of it comes after its end. Late as the caller says, or
    /// so late that the end is forgotten, in which case it is of the socket's next life.
    fn begin(&mut self, at: usize, is_late: bool) {
        let is_forgotten = match self.socket(at).phase {
            Phase::Open => return,
            Phase::Unused => false,
            Phase::Ended { time_ns } if is_late && self.is_remembered(time_ns) => return,
            Phase::Ended { .. } => true,
        };
        if let Some(socket) = self.sockets.get_mut(at) {
            if is_forgotten {
                *socket = Socket {
                    generation: socket.generation + 1,
                    ..Socket::default()
                };
            }
            socket.phase = Phase::Open;
            self.begins = true;
        }
    }

    fn end(&mut self, at: usize) {
        let time_ns = self.now_ns;
        if let Some(socket) = self
            .sockets
            .get_mut(at)
            .filter(|socket| socket.phase == Phase::Open)
        {
            socket.phase = Phase::Ended { time_ns };
        }
    }

    /// Bytes move of which no record tells.
    fn lose_tail(&mut self, at: usize, detail: u8) {
        let bytes = [
            u64::from(detail & 3) * 1500,
            u64::from(detail >> 2 & 3) * 4500,
        ];
        let retransmits = u32::from(detail >> 4 & 1);
        if let Some(socket) = self.sockets.get_mut(at) {
            let is_open = socket.phase == Phase::Open;
            socket.retransmits += retransmits;
            for (way, bytes) in bytes.into_iter().enumerate() {
                socket.bytes[way] += bytes;
                if is_open {
                    self.moved[way] += socket.bytes[way] - socket.told[way];
                    socket.told[way] = socket.bytes[way];
                }
            }
        }
    }

    fn content(&mut self, length: usize) -> &'s [u8] {
        let (content, rest) = self.rest.split_at(length.min(self.rest.len()));
        self.rest = rest;
        content
    }

    fn started(&self, detail: u8) -> Record<'s> {
        Record::Started(Started {
            is_exec: detail & 4 != 0,
            pid: pid(detail),
            parent_pid: pid(detail >> 3),
            start_boottime_ns: self.now_ns,
            cgroup: 1,
            file: executable(u32::from(detail >> 5)),
        })
    }

    fn facts(&self, detail: u32) -> Record<'s> {
        Record::Process(Facts {
            pid: FIRST_PID + detail % PIDS,
            parent_pid: 1,
            start_boottime_ns: self.now_ns,
            cgroup: 0,
            source: Source::Proc,
            executable: executable(detail),
            service_name: None,
            unit: None,
            container_id: None,
        })
    }

    pub(super) fn tick(&mut self, detail: u8) -> Record<'s> {
        let later_ns = self.now_ns + u64::from(detail) * TICK_NS;
        if later_ns < END_NS || self.edge == Edge::Scraped {
            self.now_ns = later_ns;
        }
        self.ticked_ns = self.now_ns;
        Record::Tick {
            time_ns: self.now_ns,
        }
    }

    fn lose(&mut self, detail: u8) -> Record<'s> {
        let reason = usize::from(detail) % LOSS_REASONS.len();
        if let Some(total) = self.losses.get_mut(reason) {
            *total += u64::from(detail >> 3);
        }
        Record::Losses(self.losses)
    }
}

fn pid(detail: u8) -> u32 {
    FIRST_PID + u32::from(detail) % PIDS
}

fn executable(detail: u32) -> String {
    format!("/usr/bin/program{}", detail % 3)
}
