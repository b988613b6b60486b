//! Rights: does what the agent will do to the kernel side as long as it runs, to see what it may.

use super::Live;
use crate::records::CaptureLevel;

impl Live {
    /// What of it fails. Nothing of it changes anything.
    pub(super) fn failures(&mut self) -> Vec<String> {
        let maps = &mut self.maps;
        let failures = [
            maps.listeners_lost().err().map(|error| error.to_string()),
            maps.listeners().err().map(|error| error.to_string()),
            // As it was set when the programs were armed.
            maps.set_level(CaptureLevel::Full)
                .err()
                .map(|error| error.to_string()),
            // There is no such socket.
            self.probes
                .read_listener(0)
                .err()
                .map(|error| format!("cannot read accept queues: {error}")),
            self.probes
                .begin_walk()
                .err()
                .map(|error| format!("cannot walk over the open files: {error}")),
        ];
        failures.into_iter().flatten().collect()
    }
}
