//! What the pairing of an ended connection leaves to the next one: memory, and nothing else.

use super::{Pairing, turns::Turns};
use std::collections::VecDeque;

/// Room for requests under way that an ended connection leaves to the next one, and for the text of each of its
/// [spare ones](super::SPARE_MAX).
const OPEN_KEPT: usize = 4;
const TEXT_BYTES_KEPT: usize = 1024;

impl Pairing {
    /// Another connection begins: as new, but for memory that it has.
    pub fn renew(&mut self) {
        let Self {
            open,
            spare: _,
            is_unpaired,
            server_ns,
            turns,
        } = self;
        open.clear();
        (*is_unpaired, *server_ns, *turns) = (false, None, Turns::default());
    }

    /// The connection has ended: gives back memory that is more than the next one will want.
    pub fn trim(&mut self) {
        if self.open.capacity() > OPEN_KEPT {
            self.open = VecDeque::new();
        }
        self.spare.retain(|text| text.capacity() <= TEXT_BYTES_KEPT);
    }
}
