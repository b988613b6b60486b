//! What the pairing of an ended connection leaves to the next one: memory, and nothing else.

use super::{Pairing, turns::Turns};

impl Pairing {
    /// Another connection begins: as new, but for memory that it has.
    pub fn renew(&mut self) {
        let Self {
            open,
            is_unpaired,
            server_ns,
            turns,
        } = self;
        open.clear();
        (*is_unpaired, *server_ns, *turns) = (false, None, Turns::default());
    }

    /// The connection has ended: gives back memory that is more than the next one will want.
    pub fn trim(&mut self) {
        self.open.trim();
    }
}
