//! Makes the records that the kernel side would write for a case, exchange by exchange.

mod text;

use crate::{
    batch::Batch,
    case::{Case, Ends},
};
use sockmeter::records::{
    Facts, Record,
    facts::{Source, TICK_NS},
};
use sockmeter_abi::{
    CAPTURE_BYTES_MAX, CAPTURE_TAIL_BYTES, CAPTURE_WINDOW_BYTES, RECEIVE, TRANSMIT,
    record::{
        CLOSED, Closed, Endpoints, OPENED, ORIGIN_SEEN, Opened, PLACE_IN_ORDER, ROLE_CLIENT,
        ROLE_SERVER, SEGMENT, Segment, TRANSPORT_TCP,
    },
};
use text::Text;

/// From one exchange's beginning to the next one's.
const STEP_NS: u64 = 1_000_000;
/// The longest time from request to response; together with the calls it is shorter than a step.
const SERVICE_NS_MAX: u64 = 900_000;
/// What a call takes, and the way from one end to the other.
const CALL_NS: u64 = 10_000;
/// Bytes of a body that a server hands over with one call.
const CALL_BYTES: u64 = 64 * 1024;
/// The first server's and the first client's pid.
const SERVER_PID: u32 = 10_000;
const CLIENT_PID: u32 = 20_000;

/// One end of a connection, as its slot counts it.
#[derive(Clone, Debug)]
struct Socket {
    id: u64,
    slot: u32,
    pid: u32,
    role: u8,
    bytes: [u64; 2],
    turns: u32,
    turn_position: u64,
    direction: Option<usize>,
}

/// A connection: the ends that are seen, the client's first.
#[derive(Clone, Debug)]
struct Link {
    client: Option<Socket>,
    server: Option<Socket>,
}

/// The traffic of a case, which goes on for as long as it is asked.
pub struct Traffic {
    case: Case,
    text: Text,
    links: Vec<Link>,
    /// Whose turn it is.
    next: usize,
    ids_given: u64,
    exchanges: u64,
    now_ns: u64,
    /// State of the generator of times: the same in each run.
    seed: u64,
}

impl Traffic {
    /// Before the first connection.
    pub fn new(case: &Case) -> Self {
        Self {
            text: Text::new(case),
            links: Vec::new(),
            next: 0,
            ids_given: 0,
            exchanges: 0,
            now_ns: 1_000_000_000_000,
            seed: 1,
            case: case.clone(),
        }
    }

    /// What `/proc` would tell of the case's processes.
    pub fn processes(&self) -> impl Iterator<Item = Record<'static>> {
        let of = |first: u32, name: &'static str| {
            (0..self.case.processes).map(move |at| Record::Process(facts(first + at, name)))
        };
        of(SERVER_PID, "nginx").chain(of(CLIENT_PID, "ab"))
    }

    /// Now, on the clock of the records.
    pub fn now_ns(&self) -> u64 {
        self.now_ns
    }

    /// Opens more connections.
    pub fn open(&mut self, count: u32, batch: &mut Batch) {
        for _ in 0..count {
            let link = self.open_one(self.links.len() as u32, batch);
            self.links.push(link);
        }
    }

    /// Closes all connections.
    pub fn close(&mut self, batch: &mut Batch) {
        for Link { client, server } in self.links.drain(..) {
            for socket in [client, server].into_iter().flatten() {
                batch.push(&socket.closed(self.now_ns));
            }
        }
        self.next = 0;
    }

    /// Bytes of the heap that its own connections take.
    pub fn held_bytes(&self) -> i64 {
        (self.links.capacity() * size_of::<Link>()) as i64
    }

    /// How many exchanges there were.
    pub fn made(&self) -> u64 {
        self.exchanges
    }

    fn open_one(&mut self, at: u32, batch: &mut Batch) -> Link {
        let process = at % self.case.processes.max(1);
        let mut end = |role, pid, slot| {
            self.ids_given += 1;
            let socket = Socket {
                id: self.ids_given,
                slot,
                pid,
                role,
                bytes: [0; 2],
                turns: 0,
                turn_position: 0,
                direction: None,
            };
            batch.push(&socket.opened(self.now_ns));
            socket
        };
        let Case { ends, .. } = self.case;
        Link {
            client: (ends != Ends::Server).then(|| end(ROLE_CLIENT, CLIENT_PID + process, 2 * at)),
            server: (ends != Ends::Client)
                .then(|| end(ROLE_SERVER, SERVER_PID + process, 2 * at + 1)),
        }
    }

    /// Adds the records of some exchanges.
    pub fn exchanges(&mut self, count: u64, batch: &mut Batch) {
        for _ in 0..count {
            let at = self.next;
            self.next = (at + 1) % self.links.len().max(1);
            if self.case.new_connections {
                let fresh = self.open_one(at as u32, batch);
                if let Some(link) = self.links.get_mut(at) {
                    *link = fresh;
                }
            }
            self.exchange(at, batch);
        }
    }

    fn exchange(&mut self, at: usize, batch: &mut Batch) {
        let Some(Link { client, server }) = self.links.get_mut(at) else {
            return;
        };
        self.seed = self
            .seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        // Most are fast and some are slow, as services are: squares of evenly spread numbers.
        let part = self.seed >> 44;
        let service_ns = (((part * part) >> 20) * SERVICE_NS_MAX) >> 20;
        let asked_ns = self.now_ns;
        let answered_ns = asked_ns + 2 * CALL_NS + service_ns;
        self.now_ns += STEP_NS;
        let request = self.text.request(self.exchanges);
        self.exchanges += 1;
        let request_bytes: usize = request.iter().map(|part| part.len()).sum();
        if let Some(client) = client {
            client.call(TRANSMIT, request_bytes as u64, asked_ns, &request, batch);
        }
        if let Some(server) = server {
            let time_ns = asked_ns + CALL_NS;
            server.call(RECEIVE, request_bytes as u64, time_ns, &request, batch);
        }
        let (response, head_bytes) = self.text.response();
        let mut left = head_bytes as u64 + self.case.body_bytes;
        let mut content: &[&[u8]] = &[response];
        let mut time_ns = answered_ns;
        while left > 0 {
            let length = left.min(CALL_BYTES);
            if let Some(server) = server {
                server.call(TRANSMIT, length, time_ns, content, batch);
            }
            if let Some(client) = client {
                client.call(RECEIVE, length, time_ns + CALL_NS, content, batch);
            }
            time_ns += 1;
            left -= length;
            content = &[];
        }
        if self.case.new_connections {
            for socket in [client, server].into_iter().flatten() {
                batch.push(&socket.closed(time_ns + 2 * CALL_NS));
            }
        }
    }
}

impl Socket {
    /// A call that moves `length` bytes and ends at `time_ns`.
    fn call(
        &mut self,
        direction: usize,
        length: u64,
        time_ns: u64,
        content: &[&[u8]],
        batch: &mut Batch,
    ) {
        let position = self.bytes[direction];
        if self.direction != Some(direction) {
            self.turns += 1;
            self.direction = Some(direction);
            self.turn_position = position;
        }
        let is_in_window = position - self.turn_position < CAPTURE_WINDOW_BYTES;
        let limit = if is_in_window {
            CAPTURE_BYTES_MAX
        } else {
            CAPTURE_TAIL_BYTES
        };
        let segment = Segment {
            kind: SEGMENT,
            direction: direction as u8,
            place: PLACE_IN_ORDER,
            length_bytes: length as u32,
            connection: self.id,
            position,
            other_position: self.bytes[direction ^ 1],
            begin_ns: time_ns - CALL_NS / 2,
            time_ns,
            turn: self.turns,
            pid: self.pid,
            captured_bytes: (length as u32).min(limit),
            transport: TRANSPORT_TCP,
            reserved: 0,
            reserved2: 0,
        };
        self.bytes[direction] += length;
        batch.push_segment(&segment, content);
    }

    fn opened(&self, time_ns: u64) -> Opened {
        let is_client = self.role == ROLE_CLIENT;
        let (service, ephemeral) = (8080, 32_768 + (self.slot / 2 % 28_000) as u16);
        let mut address = [0; 16];
        address[..4].copy_from_slice(&[127, 0, 0, 1]);
        Opened {
            kind: OPENED,
            role: self.role,
            origin: ORIGIN_SEEN,
            slot: self.slot,
            connection: self.id,
            time_ns,
            connect_ns: if is_client { CALL_NS } else { 0 },
            pid: self.pid,
            name_bytes: 0,
            endpoints: Endpoints {
                family: 2,
                local_port: if is_client { ephemeral } else { service },
                remote_port: if is_client { service } else { ephemeral },
                reserved: 0,
                local_address: address,
                remote_address: address,
            },
        }
    }

    fn closed(&self, time_ns: u64) -> Closed {
        Closed {
            kind: CLOSED,
            errno: 0,
            retransmits: 0,
            connection: self.id,
            time_ns,
            bytes: self.bytes,
            pid: self.pid,
            role: self.role,
            origin: ORIGIN_SEEN,
            overtakes: 0,
            transport: TRANSPORT_TCP,
            turns: self.turns,
            reserved: 0,
        }
    }
}

fn facts(pid: u32, name: &str) -> Facts {
    Facts {
        pid,
        parent_pid: 1,
        start_boottime_ns: u64::from(pid) * TICK_NS,
        cgroup: 1,
        source: Source::Proc,
        executable: format!("/usr/sbin/{name}"),
        service_name: None,
        unit: Some(format!("{name}-{pid}")),
        container_id: None,
    }
}
