//! The reader alone: the same steps however the conversation comes.

use crate::cases;
use crate::dialogue::{CLIENT, Dialogue, SERVER};
use crate::plan::{Conversation, Ending, conversation};
use crate::schedule::{Call, by_chance, in_turn};
use proptest::{prelude::*, strategy::ValueTree};
use sockmeter::protocol::{
    Consumed, Message, Piece, Protocol, Request, Response, Speaker, Start, Step, http1,
};

/// A reader and what it told.
pub(crate) struct Reading {
    pub(crate) reader: Box<dyn Protocol>,
    /// In their order, and those of requests and of responses apart.
    pub(crate) steps: Vec<String>,
    by_side: [Vec<String>; 2],
    pub(crate) consumed: Consumed,
}

impl Reading {
    pub(crate) fn new() -> Self {
        let reader = (http1::KIND.reader)(Start::Beginning);
        Self {
            reader,
            steps: Vec::new(),
            by_side: Default::default(),
            consumed: Consumed::default(),
        }
    }

    pub(crate) fn read(&mut self, speaker: Speaker, piece: Piece<'_>) {
        let (steps, by_side) = (&mut self.steps, &mut self.by_side);
        let consumed = self.reader.read(speaker, piece, &mut |message| {
            for part in message.parts() {
                steps.push(text(part));
                by_side[side(part)].push(text(part));
            }
        });
        let Consumed {
            parsed_bytes,
            skipped_bytes,
            lost_bytes,
            opaque_bytes,
        } = consumed;
        assert_eq!(
            parsed_bytes + skipped_bytes + lost_bytes + opaque_bytes,
            piece.length_bytes()
        );
        self.consumed.parsed_bytes += parsed_bytes;
        self.consumed.skipped_bytes += skipped_bytes;
        self.consumed.lost_bytes += lost_bytes;
        self.consumed.opaque_bytes += opaque_bytes;
    }

    fn of(dialogue: &Dialogue, calls: &[Call]) -> Self {
        let mut reading = Self::new();
        let bytes = [CLIENT, SERVER].map(|side| dialogue.bytes(side));
        for call in calls {
            let speaker = [Speaker::Client, Speaker::Server][call.side];
            let seen = &bytes[call.side][call.from..call.captured];
            reading.read(speaker, Piece::Bytes(seen));
            let unseen_bytes = (call.to - call.captured) as u64;
            reading.read(speaker, Piece::Unseen(unseen_bytes));
        }
        let by_side = &mut reading.by_side;
        reading
            .reader
            .close(&mut |message| by_side[side(message)].push(text(message)));
        reading
    }

    /// Compares with what there is to be told.
    fn check(self, dialogue: &Dialogue, calls: &[Call]) {
        assert_eq!(self.by_side, dialogue.truth.steps, "{calls:?}");
        let bodies: usize = [CLIENT, SERVER]
            .map(|side| dialogue.body_length(side))
            .iter()
            .sum();
        let all: usize = [CLIENT, SERVER]
            .map(|side| dialogue.length(side))
            .iter()
            .sum();
        let opaque_bytes = dialogue.truth.tunnel.iter().sum();
        assert_eq!(
            self.consumed,
            Consumed {
                parsed_bytes: (all - bodies) as u64,
                skipped_bytes: bodies as u64 - opaque_bytes,
                lost_bytes: 0,
                opaque_bytes,
            },
            "{calls:?}"
        );
    }
}

/// Whose message it is about.
fn side(message: Message<'_>) -> usize {
    match message.step {
        Step::RequestStarted | Step::Request(_) | Step::RequestEnded => CLIENT,
        _ => SERVER,
    }
}

fn text(message: Message<'_>) -> String {
    match message.step {
        Step::RequestStarted => "(".to_owned(),
        Step::Request(Request::Http {
            kind: _,
            method,
            target,
            host,
            version,
        }) => {
            let [method, target, host] = [method, target, host].map(String::from_utf8_lossy);
            format!("{method} {target} {host} {version}")
        }
        Step::RequestEnded => ")".to_owned(),
        Step::ResponseStarted => "[".to_owned(),
        Step::Response(Response::Http { status }) => status.to_string(),
        Step::ResponseEnded => "]".to_owned(),
        other => format!("{other:?}"),
    }
}

proptest! {
    #![proptest_config(cases(500))]

    #[test]
    fn rule_07_cuts_merges_and_any_order_change_nothing(
        conversation in conversation(),
        choices in proptest::collection::vec(any::<u16>(), 1..40),
    ) {
        let dialogue = Dialogue::new(&conversation);
        let calls = by_chance(&dialogue, &choices, false);
        Reading::of(&dialogue, &calls).check(&dialogue, &calls);
    }

    #[test]
    fn rule_08_what_is_not_captured_changes_nothing(
        conversation in conversation(),
        choices in proptest::collection::vec(any::<u16>(), 1..40),
    ) {
        let dialogue = Dialogue::new(&conversation);
        let calls = by_chance(&dialogue, &choices, true);
        Reading::of(&dialogue, &calls).check(&dialogue, &calls);
    }

    #[test]
    fn rule_07_every_single_cut(mut conversation in conversation()) {
        /// More would take too long.
        const BYTES_MAX: usize = 400;
        conversation.plans.truncate(2);
        let dialogue = Dialogue::new(&conversation);
        let [client, server] = [CLIENT, SERVER].map(|side| dialogue.length(side).min(BYTES_MAX));
        for cut in 0..=client.max(server) {
            let calls = in_turn(&dialogue, [cut.min(client), cut.min(server)]);
            Reading::of(&dialogue, &calls).check(&dialogue, &calls);
        }
    }
}

#[test]
fn rule_07_every_pair_of_cuts() {
    let mut runner = proptest::test_runner::TestRunner::new(cases(1));
    let mut small = 0;
    for _ in 0..20 {
        let plans = conversation()
            .new_tree(&mut runner)
            .unwrap()
            .current()
            .plans;
        let conversation = Conversation {
            plans: plans.into_iter().take(1).collect(),
            ending: Ending::Plain,
        };
        let dialogue = Dialogue::new(&conversation);
        let [client, server] = [CLIENT, SERVER].map(|side| dialogue.length(side));
        if client * server > 60_000 {
            continue;
        }
        small += 1;
        for cuts in (0..client).flat_map(|cut| (0..server).map(move |other| [cut, other])) {
            let calls = in_turn(&dialogue, cuts);
            Reading::of(&dialogue, &calls).check(&dialogue, &calls);
        }
    }
    assert!(small >= 10, "{small} conversations");
}
