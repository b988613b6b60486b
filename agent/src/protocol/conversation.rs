//! One connection's conversation: first what protocol it is, then what that protocol reads.

mod account;
mod opening;
mod reuse;

pub use account::{Account, Reading};

use super::{Loss, Message, Piece, Protocol, RECOGNITION_BYTES_MAX, Speaker, Start, Step};
use crate::connections::{Direction, Role};
use account::{lost, opaque, unrecognised, unrecognised_bytes};
use opening::{Opening, Verdict, recognise};

/// A connection that was open before the agent is given up when its direction turned this often, as far as it was
/// looked at, and no message began.
const ADRIFT_TURNS_MAX: u32 = 1000;

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
    Opening {
        openings: [Opening; 2],
        /// That of the connection which had this memory before.
        spare: Option<Box<dyn Protocol>>,
    },
    /// Joined in its middle: waiting for a segment that begins a message.
    Adrift {
        turns: u32,
        /// Which way bytes that were passed over went last.
        passed: Option<Direction>,
    },
    /// Read by a protocol.
    Known {
        protocol: &'static str,
        reader: Box<dyn Protocol>,
    },
    /// TLS, or what came after an upgrade.
    Opaque,
    /// None of the protocols.
    Unrecognised,
}

impl State {
    fn opening(spare: Option<Box<dyn Protocol>>) -> Self {
        Self::Opening {
            openings: [Opening::default(); 2],
            spare,
        }
    }

    const fn joined() -> Self {
        Self::Adrift {
            turns: 0,
            passed: None,
        }
    }
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
    /// What was said; by reference, as it is passed on from stage to stage.
    pub message: &'a Message<'a>,
}

impl Conversation {
    /// A conversation that begins, or that is joined in its middle. One that begins may have an unknown role too:
    /// a pair of sockets has no server.
    pub fn new(role: Role, is_joined: bool) -> Self {
        let state = if is_joined {
            State::joined()
        } else {
            State::opening(None)
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
            State::Known { protocol, .. } => protocol,
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
            (State::Known { reader, .. }, Some(speaker)) => reader.needless_bytes(speaker),
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
        emit: &mut impl FnMut(&Heard<'_>),
    ) -> Reading {
        match &mut self.state {
            State::Known { .. } => Reading::of(self.read_known(direction, piece, moment, emit)),
            State::Opaque => Reading::of(opaque(piece.length_bytes())),
            State::Unrecognised => Reading::of(unrecognised(piece)),
            State::Opening { .. } => self.open(direction, piece, moment, emit),
            State::Adrift { .. } => Reading::of(self.look(direction, piece, moment, emit)),
        }
    }

    /// The same, if the [protocol](Self::protocol) is known.
    pub fn read_known(
        &mut self,
        direction: Direction,
        piece: Piece<'_>,
        moment: Moment,
        emit: &mut impl FnMut(&Heard<'_>),
    ) -> Account {
        let role = self.role;
        let (State::Known { protocol, reader }, Some(speaker)) =
            (&mut self.state, speaker(role, direction))
        else {
            return unrecognised(piece);
        };
        let protocol = *protocol;
        let mut is_over = false;
        let consumed = reader.read(speaker, piece, &mut |message| {
            is_over |= matches!(message.step, Step::Upgraded);
            emit(&Heard {
                speaker,
                role,
                protocol,
                moment,
                message: &message,
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

    /// Looks for a segment that begins a message.
    fn look(
        &mut self,
        direction: Direction,
        piece: Piece<'_>,
        moment: Moment,
        emit: &mut impl FnMut(&Heard<'_>),
    ) -> Account {
        let State::Adrift { turns, passed } = &mut self.state else {
            return unrecognised(piece);
        };
        let passed_before = *passed;
        let bytes = match piece {
            Piece::Bytes(bytes) => bytes,
            Piece::Unseen(bytes) => {
                *passed = Some(direction);
                return lost(bytes);
            }
            // By the time that a loss is noticed, what was asked in it is answered; see `http1::adrift`.
            Piece::Lost(bytes) => {
                *passed = None;
                return lost(bytes);
            }
        };
        *passed = Some(direction);
        // However long a body is, it is one.
        *turns += u32::from(passed_before != Some(direction));
        let is_given_up = *turns > ADRIFT_TURNS_MAX;
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
            if passed_before == Some(direction) {
                self.begin(index, Start::JoinedBehindClient);
                self.pass_over(moment, emit);
            } else {
                self.begin(index, Start::Joined);
            }
            return self.read_known(direction, piece, moment, emit);
        }
        if is_given_up {
            self.state = State::Unrecognised;
            return unrecognised(piece);
        }
        lost(piece.length_bytes())
    }

    /// A request is there, but which answer is its own cannot be told.
    fn pass_over(&self, moment: Moment, emit: &mut impl FnMut(&Heard<'_>)) {
        for step in [Step::RequestStarted, Step::Lost(Loss::Unseen)] {
            emit(&Heard {
                speaker: Speaker::Client,
                role: self.role,
                protocol: self.protocol(),
                moment,
                message: &Message { stream: 0, step },
            });
        }
    }

    /// How many bytes are kept for recognition, received ones first; [`read`](Self::read) and
    /// [`close`](Self::close) tell later what they are.
    pub fn kept_bytes(&self) -> [u64; 2] {
        match &self.state {
            State::Opening { openings, spare: _ } => openings.map(|opening| opening.length as u64),
            _ => [0; 2],
        }
    }

    /// The connection ended. What was kept for recognition stays unrecognised; the result tells it.
    pub fn close(
        &mut self,
        moment: Moment,
        emit: &mut impl FnMut(&Heard<'_>),
    ) -> Option<[Account; 2]> {
        match &mut self.state {
            State::Known { protocol, reader } => {
                let (speaker, role, protocol) = (Speaker::Server, self.role, *protocol);
                reader.close(&mut |message| {
                    emit(&Heard {
                        speaker,
                        role,
                        protocol,
                        moment,
                        message: &message,
                    });
                });
                None
            }
            State::Opening { .. } => Some(self.kept_bytes().map(unrecognised_bytes)),
            _ => None,
        }
    }
}
