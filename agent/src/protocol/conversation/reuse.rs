//! Readers: a new one, or that of an ended connection whose memory this one has.

use super::{Conversation, State};
use crate::{
    connections::Role,
    protocol::{ALL, Start},
};

impl Conversation {
    /// As [new](Self::new), with the memory of the reader that it has.
    pub fn renew(&mut self, role: Role, is_joined: bool) {
        self.role = role;
        let before = std::mem::replace(&mut self.state, State::joined());
        if is_joined {
            return;
        }
        self.state = State::opening(match before {
            State::Known {
                protocol: _,
                reader,
            } => Some(reader),
            State::Opening { openings: _, spare } => spare,
            State::Adrift { .. } | State::Opaque | State::Unrecognised => None,
        });
    }

    /// Gives back what a reader holds that is more than its next connection will want.
    pub fn trim(&mut self) {
        if let State::Known { reader, .. } = &mut self.state {
            reader.trim();
        }
    }

    /// It is known which protocol this is.
    pub(super) fn begin(&mut self, index: usize, start: Start) {
        let before = std::mem::replace(&mut self.state, State::Unrecognised);
        let Some(kind) = ALL.get(index) else { return };
        let reader = match before {
            State::Opening {
                openings: _,
                spare: Some(mut reader),
            } if reader.name() == kind.name => {
                reader.renew(start);
                reader
            }
            _ => (kind.reader)(start),
        };
        self.state = State::Known {
            protocol: kind.name,
            reader,
        };
    }
}
