//! The way back after a loss: at which request it is safe to pair again.
//!
//! A reader that took the first request that it sees would pair it with a late answer to an older one.
//! So it goes back to work only where nothing is owed any more:
//!
//! - Owed are the requests that were open at the loss and had not begun to be answered, and each request
//!   that begins a piece since then. A piece that begins with a final response pays for one.
//! - Behind a client's piece that was read over, the server has to speak first: the piece may have held
//!   a request.
//! - Bytes of the server that nobody saw pay for everything, as nobody can count the answers in
//!   them; bytes of the client that were lost on the way owe nothing. Both rest on the habit of nearly
//!   every client, which is to wait for an answer before it asks again: such a loss is noticed when that
//!   side speaks next, and by then the answer is through.
//! - A connection that was seen to break this habit (a response began while two requests were open)
//!   stays lost to its end.
//!
//! A connection where requests and responses alternate is thereby read again from the next request on
//! that begins a piece. What is passed over is counted as lost bytes.

use super::head::EmptyLine;
use super::recognise::recognise;
use crate::protocol::{Loss, Piece, Recognition, Speaker};

/// What has to happen before a reader may read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Adrift {
    /// Requests whose answers are still to come.
    owed: usize,
    /// The server has to speak first.
    waits_for_server: bool,
    /// Requests are sent ahead of answers.
    pipelines: bool,
}

impl Adrift {
    /// After a loss in `speaker`'s bytes while `owed` requests had no answer.
    pub(super) fn new(speaker: Speaker, loss: Loss, owed: usize, pipelines: bool) -> Self {
        let (owed, waits_for_server) = match (speaker, loss) {
            (Speaker::Server, Loss::Gap | Loss::Unseen) => (0, false),
            (Speaker::Server, _) | (Speaker::Client, Loss::Gap) => (owed, false),
            // What is left of the piece may hold another request.
            (Speaker::Client, _) => (owed, true),
        };
        Self {
            owed,
            waits_for_server,
            pipelines,
        }
    }

    /// Is this piece a request at which reading may go on? If not, it is taken note of.
    pub(super) fn ends_with(&mut self, speaker: Speaker, piece: Piece<'_>) -> bool {
        match (speaker, piece) {
            (_, Piece::Bytes([]) | Piece::Unseen(0) | Piece::Lost(0)) => {}
            (Speaker::Client, Piece::Bytes(bytes)) => {
                let is_request = recognise(Speaker::Client, bytes) == Recognition::Yes;
                if is_request && self.owed == 0 && !self.waits_for_server && !self.pipelines {
                    return true;
                }
                self.owed = self.owed.saturating_add(usize::from(is_request));
                self.waits_for_server = true;
            }
            (Speaker::Client, Piece::Unseen(_)) => self.waits_for_server = true,
            (Speaker::Client, Piece::Lost(_)) => self.waits_for_server = false,
            (Speaker::Server, Piece::Bytes(bytes)) => {
                self.owed = self
                    .owed
                    .saturating_sub(usize::from(begins_final_response(bytes)));
                self.waits_for_server = false;
            }
            (Speaker::Server, Piece::Unseen(_) | Piece::Lost(_)) => {
                self.owed = 0;
                self.waits_for_server = false;
            }
        }
        false
    }
}

/// Does a piece begin with a final response, perhaps with interim ones before it?
fn begins_final_response(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while recognise(Speaker::Server, rest) == Recognition::Yes {
        // "HTTP/1.1 1": of 101 nothing follows that could be a request, so it need not be told apart.
        if rest.get(9) != Some(&b'1') {
            return true;
        }
        let mut empty_line = EmptyLine::at_line_start();
        let end = rest.iter().position(|&byte| empty_line.ends_with(byte));
        rest = end
            .and_then(|last| rest.get(last + 1..))
            .unwrap_or_default();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: (Speaker, Piece<'_>) =
        (Speaker::Client, Piece::Bytes(b"GET / HTTP/1.1\r\n\r\n"));
    const RESPONSE: (Speaker, Piece<'_>) =
        (Speaker::Server, Piece::Bytes(b"HTTP/1.1 204 No\r\n\r\n"));
    const CONTINUE: (Speaker, Piece<'_>) = (
        Speaker::Server,
        Piece::Bytes(b"HTTP/1.1 100 Continue\r\n\r\n"),
    );
    const TAIL: (Speaker, Piece<'_>) = (Speaker::Client, Piece::Bytes(b"of a body"));

    /// After which of the pieces reading goes on.
    fn ends(mut adrift: Adrift, pieces: &[(Speaker, Piece<'_>)]) -> Option<usize> {
        pieces
            .iter()
            .position(|&(speaker, piece)| adrift.ends_with(speaker, piece))
    }

    #[test]
    fn rule_22_alternation_recovers_at_the_next_request() {
        let malformed = Adrift::new(Speaker::Client, Loss::Malformed, 1, false);
        assert_eq!(ends(malformed, &[TAIL, RESPONSE, REQUEST]), Some(2));
        let answer_lost = Adrift::new(Speaker::Server, Loss::Gap, 2, false);
        assert_eq!(ends(answer_lost, &[RESPONSE, REQUEST]), Some(1));
        let request_lost = Adrift::new(Speaker::Client, Loss::Gap, 0, false);
        assert_eq!(ends(request_lost, &[REQUEST]), Some(0));
        let request_lost_answer_lost = Adrift::new(Speaker::Client, Loss::Gap, 1, false);
        let pieces = [
            REQUEST,
            (Speaker::Server, Piece::Lost(99)),
            RESPONSE,
            REQUEST,
        ];
        assert_eq!(ends(request_lost_answer_lost, &pieces), Some(3));
    }

    #[test]
    fn rule_22_an_owed_answer_is_waited_for() {
        let open = Adrift::new(Speaker::Client, Loss::Malformed, 1, false);
        assert_eq!(
            ends(open, &[REQUEST, RESPONSE, REQUEST, RESPONSE, REQUEST]),
            None
        );
        assert_eq!(ends(open, &[REQUEST, RESPONSE, RESPONSE, REQUEST]), Some(3));
        assert_eq!(ends(open, &[CONTINUE, REQUEST]), None);
        let both = [CONTINUE.1, RESPONSE.1]
            .map(|piece| {
                if let Piece::Bytes(bytes) = piece {
                    bytes
                } else {
                    b""
                }
            })
            .concat();
        assert_eq!(
            ends(open, &[(Speaker::Server, Piece::Bytes(&both)), REQUEST]),
            Some(1)
        );
        let none = Adrift::new(Speaker::Server, Loss::Malformed, 0, false);
        assert_eq!(ends(none, &[TAIL, REQUEST]), None);
        assert_eq!(
            ends(
                none,
                &[TAIL, (Speaker::Server, Piece::Bytes(b"x")), REQUEST]
            ),
            Some(2)
        );
    }

    #[test]
    fn rule_22_a_pipelining_connection_stays_lost() {
        let pipelining = Adrift::new(Speaker::Server, Loss::Gap, 3, true);
        assert_eq!(
            ends(pipelining, &[RESPONSE, REQUEST, RESPONSE, REQUEST]),
            None
        );
    }
}
