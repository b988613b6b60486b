//! One connection's conversation: first what protocol it is, then what that protocol reads.

mod account;

pub use account::Account;

use super::{ALL, Message, Piece, Protocol, RECOGNITION_BYTES_MAX, Recognition, Speaker, Step};
use crate::connections::{Direction, Role};
use account::{add, length, lost, opaque, unrecognised};

/// A connection that was open before the agent is given up when this many of its segments did not
/// begin a message.
const ADRIFT_SEGMENTS_MAX: u32 = 1000;

/// When a piece's call began and ended (see `records::Segment`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// Receive: when the bytes arrived, zero if unknown. Transmit: when the call began.
    pub begin_ns: u64,
    /// When the call ended.
    pub time_ns: u64,
    /// How often the direction had turned by then; zero if unknown.
    pub turn: u32,
}

/// A conversation on one connection.
pub struct Conversation {
    role: Role,
    state: State,
}

enum State {
    /// Too few bytes so far.
    Opening([Opening; 2]),
    /// Joined in its middle: waiting for a segment that begins a message.
    Adrift { segments: u32 },
    /// Read by a protocol.
    Known(Box<dyn Protocol>),
    /// TLS, or what came after an upgrade.
    Opaque,
    /// None of the protocols.
    Unrecognised,
}

/// The first bytes of one direction, kept until they suffice.
#[derive(Clone, Copy, Default)]
struct Opening {
    bytes: [u8; RECOGNITION_BYTES_MAX],
    length: usize,
    moment: Moment,
}

/// What the opening bytes say, over all protocols.
enum Verdict {
    Is(usize),
    Tls,
    Nothing,
    NeedMore,
}

/// A TLS handshake record of any version (RFC 8446, section 5.1).
fn is_tls(opening: &[u8]) -> bool {
    opening.starts_with(&[0x16, 0x03])
}

fn recognise(speaker: Speaker, opening: &[u8]) -> Verdict {
    if is_tls(opening) {
        return Verdict::Tls;
    }
    let mut verdict = if opening == [0x16] {
        Verdict::NeedMore
    } else {
        Verdict::Nothing
    };
    for (index, kind) in ALL.iter().enumerate() {
        match (kind.recognise)(speaker, opening) {
            Recognition::Yes => return Verdict::Is(index),
            Recognition::NeedMore => verdict = Verdict::NeedMore,
            Recognition::No => {}
        }
    }
    verdict
}

/// Who speaks, when a process of this role moves bytes that way.
fn speaker(role: Role, direction: Direction) -> Option<Speaker> {
    match (role, direction) {
        (Role::Server, Direction::Receive) | (Role::Client, Direction::Transmit) => {
            Some(Speaker::Client)
        }
        (Role::Server, Direction::Transmit) | (Role::Client, Direction::Receive) => {
            Some(Speaker::Server)
        }
        (Role::Unknown, _) => None,
    }
}

/// The role of a process for which `speaker` speaks that way.
fn role_of(speaker: Speaker, direction: Direction) -> Role {
    match (speaker, direction) {
        (Speaker::Client, Direction::Receive) | (Speaker::Server, Direction::Transmit) => {
            Role::Server
        }
        (Speaker::Client, Direction::Transmit) | (Speaker::Server, Direction::Receive) => {
            Role::Client
        }
    }
}

/// A message, and what the pairing needs to know with it.
#[derive(Clone, Copy, Debug)]
pub struct Heard<'a> {
    /// Who said it.
    pub speaker: Speaker,
    /// The process's end.
    pub role: Role,
    /// The protocol's name.
    pub protocol: &'static str,
    /// When its bytes were moved.
    pub moment: Moment,
    /// What was said.
    pub message: Message<'a>,
}

/// Where messages go.
pub type Emit<'a> = dyn FnMut(Heard<'_>) + 'a;

impl Conversation {
    /// A conversation that begins, or that is joined in its middle. One that begins may have an unknown role too:
    /// a pair of sockets has no server.
    pub fn new(role: Role, is_joined: bool) -> Self {
        let state = if is_joined {
            State::Adrift { segments: 0 }
        } else {
            State::Opening([Opening::default(); 2])
        };
        Self { role, state }
    }

    /// The process's end; what the bytes say fills in what was unknown.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Who speaks when bytes go that way, if the role is known.
    pub fn speaker(&self, direction: Direction) -> Option<Speaker> {
        speaker(self.role, direction)
    }

    /// The protocol's name for labels, empty while it is not known.
    pub fn protocol(&self) -> &'static str {
        match &self.state {
            State::Known(protocol) => protocol.name(),
            _ => "",
        }
    }

    /// Nothing of what comes need be captured any more.
    pub fn is_settled(&self) -> bool {
        matches!(self.state, State::Opaque | State::Unrecognised)
    }

    /// How many of the bytes that go that way next need not be captured.
    pub fn needless_bytes(&self, direction: Direction) -> u64 {
        match (&self.state, speaker(self.role, direction)) {
            (State::Known(protocol), Some(speaker)) => protocol.needless_bytes(speaker),
            _ => 0,
        }
    }

    /// Reads the next piece of one direction. Bytes that are kept for recognition are accounted for
    /// when that ends.
    pub fn read(
        &mut self,
        direction: Direction,
        piece: Piece<'_>,
        moment: Moment,
        emit: &mut Emit<'_>,
    ) -> Account {
        match &mut self.state {
            State::Known(_) => self.read_known(direction, piece, moment, emit),
            State::Opaque => opaque(length(piece)),
            State::Unrecognised => unrecognised(piece),
            State::Opening(_) => self.open(direction, piece, moment, emit),
            State::Adrift { .. } => self.look(direction, piece, moment, emit),
        }
    }

    fn read_known(
        &mut self,
        direction: Direction,
        piece: Piece<'_>,
        moment: Moment,
        emit: &mut Emit<'_>,
    ) -> Account {
        let (State::Known(reader), Some(speaker)) =
            (&mut self.state, speaker(self.role, direction))
        else {
            return unrecognised(piece);
        };
        let (role, protocol) = (self.role, reader.name());
        let mut is_over = false;
        let consumed = reader.read(speaker, piece, &mut |message| {
            is_over |= message.step == Step::Upgraded;
            emit(Heard {
                speaker,
                role,
                protocol,
                moment,
                message,
            });
        });
        if is_over {
            self.state = State::Opaque;
        }
        Account {
            consumed,
            ..Account::default()
        }
    }

    /// Collects opening bytes until they tell a protocol.
    fn open(
        &mut self,
        direction: Direction,
        piece: Piece<'_>,
        moment: Moment,
        emit: &mut Emit<'_>,
    ) -> Account {
        let State::Opening([receive, transmit]) = &mut self.state else {
            return unrecognised(piece);
        };
        // Who asks first is the client.
        let speaker = speaker(self.role, direction).unwrap_or(Speaker::Client);
        let opening = if direction == Direction::Receive {
            receive
        } else {
            transmit
        };
        let kept_bytes = opening.length as u64;
        let Piece::Bytes(bytes) = piece else {
            // The beginning was missed: from here it is as if joined in the middle.
            let mut account = lost(length(piece));
            account.consumed.lost_bytes += kept_bytes;
            account.other_unrecognised_bytes = self.kept_bytes() - kept_bytes;
            self.state = State::Adrift { segments: 0 };
            return account;
        };
        if opening.length == 0 {
            opening.moment = moment;
        }
        let room = opening.bytes.get_mut(opening.length..).unwrap_or_default();
        let taken = room.len().min(bytes.len());
        for (to, from) in room.iter_mut().zip(bytes) {
            *to = *from;
        }
        let seen = opening.length + taken;
        let kept = *opening;
        let known = kept.bytes.get(..seen).unwrap_or_default();
        match recognise(speaker, known) {
            Verdict::NeedMore if seen < RECOGNITION_BYTES_MAX => {
                opening.length = seen;
                Account::default()
            }
            Verdict::Is(index) => {
                let other_bytes = self.kept_bytes() - kept_bytes;
                self.role = role_of(speaker, direction);
                self.begin(index);
                let before = kept.bytes.get(..kept.length).unwrap_or_default();
                let mut account = Account::default();
                if !before.is_empty() {
                    account = self.read(direction, Piece::Bytes(before), kept.moment, emit);
                }
                add(&mut account, self.read(direction, piece, moment, emit));
                account.other_unrecognised_bytes += other_bytes;
                account
            }
            Verdict::Tls => {
                let mut account = opaque(kept_bytes + bytes.len() as u64);
                account.other_unrecognised_bytes = self.kept_bytes() - kept_bytes;
                self.state = State::Opaque;
                account
            }
            Verdict::Nothing | Verdict::NeedMore => {
                let mut account = unrecognised(piece);
                account.unrecognised_bytes += kept_bytes;
                account.other_unrecognised_bytes = self.kept_bytes() - kept_bytes;
                self.state = State::Unrecognised;
                account
            }
        }
    }

    /// Looks for a segment that begins a message.
    fn look(
        &mut self,
        direction: Direction,
        piece: Piece<'_>,
        moment: Moment,
        emit: &mut Emit<'_>,
    ) -> Account {
        let State::Adrift { segments } = &mut self.state else {
            return unrecognised(piece);
        };
        let Piece::Bytes(bytes) = piece else {
            return lost(length(piece));
        };
        *segments += 1;
        let is_given_up = *segments > ADRIFT_SEGMENTS_MAX;
        let opening = bytes.get(..RECOGNITION_BYTES_MAX).unwrap_or(bytes);
        // A response tells as much as a request does, but pairs with nothing: wait for a request.
        let found = match speaker(self.role, direction) {
            Some(Speaker::Server) => None,
            Some(Speaker::Client) | None => match recognise(Speaker::Client, opening) {
                Verdict::Is(index) => Some(index),
                _ => None,
            },
        };
        if let Some(index) = found {
            self.role = role_of(Speaker::Client, direction);
            self.begin(index);
            return self.read(direction, piece, moment, emit);
        }
        if is_given_up {
            self.state = State::Unrecognised;
            return unrecognised(piece);
        }
        lost(length(piece))
    }

    fn begin(&mut self, index: usize) {
        self.state = match ALL.get(index) {
            Some(kind) => State::Known((kind.reader)()),
            None => State::Unrecognised,
        };
    }

    fn kept_bytes(&self) -> u64 {
        match &self.state {
            State::Opening(openings) => openings.iter().map(|opening| opening.length as u64).sum(),
            _ => 0,
        }
    }

    /// The connection ended. What was kept for recognition stays unrecognised; it is told per direction,
    /// received first.
    pub fn close(&mut self, moment: Moment, emit: &mut Emit<'_>) -> [u64; 2] {
        match &mut self.state {
            State::Known(reader) => {
                let (speaker, role, protocol) = (Speaker::Server, self.role, reader.name());
                reader.close(&mut |message| {
                    emit(Heard {
                        speaker,
                        role,
                        protocol,
                        moment,
                        message,
                    });
                });
                [0; 2]
            }
            State::Opening([receive, transmit]) => [receive.length as u64, transmit.length as u64],
            _ => [0; 2],
        }
    }
}
