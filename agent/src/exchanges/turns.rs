//! Turns: how many requests were made where nobody read them.
//!
//! A client that waits for its answer before it asks again turns the connection's direction twice for each
//! request. The kernel side counts these turns also when it finds no room to tell what was said. So when a reader
//! has lost its place, the turns up to where it finds it again are the requests that it missed.
//!
//! That is exact for such clients. Of requests that were sent ahead of answers it tells the least number.

use crate::protocol::Speaker;

/// Where a reader lost its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Gap {
    /// The last turn whose requests were told.
    after: u32,
    /// The next turn of the client's goes on with a request that was told.
    goes_on: bool,
    reason: &'static str,
}

/// The turns of one connection.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Turns {
    /// The last turn that was read, and who spoke.
    read: u32,
    speaker: Option<Speaker>,
    /// The client speaks in the turns with even numbers.
    client_is_even: bool,
    /// A request began and has not ended.
    is_requesting: bool,
    gap: Option<Gap>,
}

impl Turns {
    /// A speaker was heard in a turn, zero if that is not known.
    pub(super) fn hear(&mut self, speaker: Speaker, turn: u32) {
        if turn > 0 {
            (self.read, self.speaker) = (turn, Some(speaker));
            self.client_is_even = turn.is_multiple_of(2) == (speaker == Speaker::Client);
        }
    }

    /// A request's end was heard.
    pub(super) fn request_ended(&mut self) {
        self.is_requesting = false;
    }

    /// The reader lost its place after the last turn that was heard.
    pub(super) fn lose(&mut self, reason: &'static str) {
        self.gap.get_or_insert(Gap {
            after: self.read,
            goes_on: self.is_requesting && self.speaker == Some(Speaker::Server),
            reason,
        });
        self.is_requesting = false;
    }

    /// A request began in the turn that was heard last: tells what was missed before it.
    pub(super) fn request_started(&mut self) -> Option<(&'static str, u64)> {
        self.is_requesting = true;
        self.missed(self.read.saturating_sub(1))
    }

    /// The connection ended after so many turns: tells what was missed.
    pub(super) fn close(&mut self, turns: u32) -> Option<(&'static str, u64)> {
        self.missed(turns)
    }

    /// So many turns are over while the reader has no place: tells what was missed in them, once.
    pub(super) fn catch_up(&mut self, turns: u32) -> Option<(&'static str, u64)> {
        let Gap {
            after,
            goes_on,
            reason,
        } = self.gap?;
        let more = self.of_client(turns).saturating_sub(self.of_client(after));
        if more == 0 {
            return None;
        }
        self.gap = Some(Gap {
            after: turns,
            goes_on: false,
            reason,
        });
        let count = more - u64::from(goes_on);
        (count > 0).then_some((reason, count))
    }

    fn missed(&mut self, until: u32) -> Option<(&'static str, u64)> {
        let Gap {
            after,
            goes_on,
            reason,
        } = self.gap.take()?;
        let count = self
            .of_client(until)
            .saturating_sub(self.of_client(after))
            .saturating_sub(u64::from(goes_on));
        (count > 0).then_some((reason, count))
    }

    /// How many of the first `turns` are the client's.
    fn of_client(&self, turns: u32) -> u64 {
        let turns = u64::from(turns);
        if self.client_is_even {
            turns / 2
        } else {
            turns.div_ceil(2)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Speaker::{Client, Server};

    #[test]
    fn rule_22_turns_between_two_requests_are_the_requests_that_were_missed() {
        let mut turns = Turns::default();
        turns.hear(Client, 1);
        assert_eq!(turns.request_started(), None);
        turns.request_ended();
        turns.lose("gap");
        turns.hear(Client, 9);
        assert_eq!(turns.request_started(), Some(("gap", 3)));
        turns.hear(Client, 15);
        assert_eq!(turns.request_started(), None, "no gap");
    }

    #[test]
    fn rule_22_turns_that_are_over_are_told_once() {
        let mut turns = Turns::default();
        turns.hear(Client, 1);
        assert_eq!(turns.catch_up(9), None, "no gap");
        turns.lose("gap");
        assert_eq!(turns.catch_up(4), Some(("gap", 1)));
        assert_eq!(turns.catch_up(4), None);
        assert_eq!(turns.catch_up(2), None, "told out of order");
        assert_eq!(turns.catch_up(8), Some(("gap", 2)));
        turns.hear(Client, 13);
        assert_eq!(turns.request_started(), Some(("gap", 2)));
        turns.hear(Server, 14);
        turns.lose("gap");
        assert_eq!(turns.catch_up(14), None, "the body of a request goes on");
        assert_eq!(turns.catch_up(15), None);
        assert_eq!(turns.close(17), Some(("gap", 1)));
    }

    #[test]
    fn rule_22_the_first_loss_counts() {
        let mut turns = Turns::default();
        turns.lose("gap");
        turns.hear(Server, 4);
        turns.lose("malformed");
        turns.hear(Client, 5);
        assert_eq!(turns.request_started(), Some(("gap", 2)));
    }

    #[test]
    fn rule_22_a_body_behind_an_interim_answer_is_no_request() {
        let mut turns = Turns::default();
        turns.hear(Client, 1);
        assert_eq!(turns.request_started(), None);
        turns.hear(Server, 2);
        turns.lose("gap");
        turns.hear(Client, 5);
        assert_eq!(turns.request_started(), None);
    }

    #[test]
    fn rule_22_what_was_never_read_is_told_at_the_end() {
        let mut turns = Turns::default();
        turns.lose("gap");
        assert_eq!(turns.close(7), Some(("gap", 4)), "the client speaks first");
        let mut turns = Turns::default();
        turns.hear(Server, 1);
        turns.lose("unseen");
        assert_eq!(
            turns.close(7),
            Some(("unseen", 3)),
            "the server spoke first"
        );
        assert_eq!(turns.close(9), None, "told once");
    }
}
