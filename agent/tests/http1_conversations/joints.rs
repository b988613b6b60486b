//! The whole pipeline, records in and series out, for either end of a conversation.

use crate::cases;
use crate::dialogue::{CLIENT, Dialogue, SERVER};
use crate::end::{Capture, End};
use crate::plan::{Body, Ending, conversation};
use crate::schedule::{by_chance, in_turn};
use proptest::prelude::*;
use sockmeter::connections::Role;

fn choices() -> impl Strategy<Value = Vec<u16>> {
    proptest::collection::vec(any::<u16>(), 1..40)
}

fn role() -> impl Strategy<Value = Role> {
    prop_oneof![Just(Role::Server), Just(Role::Client)]
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn rule_21_every_exchange_and_every_byte_is_counted(
        conversation in conversation(),
        choices in choices(),
        role in role(),
        is_unseen in any::<bool>(),
    ) {
        let dialogue = Dialogue::new(&conversation);
        let calls = by_chance(&dialogue, &choices, is_unseen);
        let counted = End::new(role, false).play(&dialogue, &calls, Capture::Full);
        counted.check(role, &dialogue.truth);
        let steered = End::new(role, false).play(&dialogue, &calls, Capture::Steered);
        assert_eq!(steered.text(), counted.text());
    }

    #[test]
    fn rule_07_every_single_cut_at_both_ends(mut conversation in conversation()) {
        /// More would take too long.
        const BYTES_MAX: usize = 150;
        conversation.plans.truncate(1);
        let dialogue = Dialogue::new(&conversation);
        let [client, server] = [CLIENT, SERVER].map(|side| dialogue.length(side).min(BYTES_MAX));
        for cut in 0..=client.max(server) {
            let calls = in_turn(&dialogue, [cut.min(client), cut.min(server)]);
            for role in [Role::Server, Role::Client] {
                let counted = End::new(role, false).play(&dialogue, &calls, Capture::Full);
                counted.check(role, &dialogue.truth);
            }
        }
    }

    /// Joined anywhere, a client that waits for its answers has each of them given to its own request: the statuses
    /// name the requests.
    #[test]
    fn rule_19_joined_anywhere_the_pairs_are_right(
        mut conversation in conversation(),
        choices in choices(),
        role in role(),
        joined in any::<u16>(),
    ) {
        for (plan, status) in conversation.plans.iter_mut().zip(600..) {
            plan.waits = true;
            plan.status = status;
            plan.method = "GET";
            // What looks like a request at the beginning of a call is taken for one.
            let letters = plan.asked.contents_mut();
            letters.for_each(|letter| letter.make_ascii_lowercase());
        }
        conversation.ending = Ending::Plain;
        let dialogue = Dialogue::new(&conversation);
        let calls = by_chance(&dialogue, &choices, false);
        let calls = &calls[usize::from(joined) % calls.len()..];
        let counted = End::new(role, true).play_joined(&dialogue, calls);
        let wanted: Vec<_> = dialogue.truth.exchanges;
        for line in counted.exchanges() {
            let is_true = wanted.iter().any(|wanted| {
                let words = wanted.split(' ').filter(|word| role == Role::Server || !word.starts_with('/'));
                words.collect::<Vec<_>>().join(" ") == line
            });
            assert!(is_true, "{line}: {wanted:?}");
        }
    }
}

proptest! {
    // Rarely is a place lost within what need not be captured.
    #![proptest_config(cases(600))]

    /// Calls whose records are lost, and bytes that are not what they should be.
    #[test]
    fn rule_08_steering_changes_nothing_even_when_the_place_is_lost(
        mut conversation in conversation(),
        choices in choices(),
        role in role(),
        lost in proptest::collection::vec(0_u8..8, 1..20),
        spoilt in proptest::collection::vec((0_usize..2, any::<u16>(), any::<u8>()), 0..8),
    ) {
        for plan in &mut conversation.plans {
            // So long that they need not be captured.
            plan.asked = Body::Length(vec![b'x'; 9_000]);
            plan.answered = plan.asked.clone();
        }
        let mut dialogue = Dialogue::new(&conversation);
        for (side, at, byte) in spoilt {
            spoil(&mut dialogue, side, usize::from(at), byte);
        }
        let calls = by_chance(&dialogue, &choices, true);
        let outcomes = [Capture::Full, Capture::Steered].map(|capture| {
            let mut end = End::new(role, false);
            let bytes = [CLIENT, SERVER].map(|side| dialogue.bytes(side));
            for (call, lost) in calls.iter().zip(lost.iter().cycle()) {
                let moved = &bytes[call.side][call.from..call.to];
                if *lost == 0 {
                    end.lost_call(call.side, moved);
                } else {
                    end.call(call.side, moved, call.captured - call.from, capture);
                }
            }
            end.finish().text()
        });
        assert_eq!(outcomes[0], outcomes[1]);
    }
}

/// Puts a byte in the place of another one of the framing.
fn spoil(dialogue: &mut Dialogue, side: usize, at: usize, byte: u8) {
    let parts = dialogue.sides[side].iter_mut();
    let framing = parts.filter(|part| !part.is_body);
    let mut bytes: Vec<_> = framing.flat_map(|part| part.bytes.iter_mut()).collect();
    let length = bytes.len().max(1);
    if let Some(spoilt) = bytes.get_mut(at % length) {
        **spoilt = byte;
    }
}
