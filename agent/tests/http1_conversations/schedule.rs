//! How a dialogue's bytes move: in which calls, in which order, and what of them is captured.

use crate::dialogue::{Dialogue, Part};

/// One call that moves bytes of one side.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    /// Who says them.
    pub(crate) side: usize,
    pub(crate) from: usize,
    pub(crate) to: usize,
    /// The content behind this was not captured.
    pub(crate) captured: usize,
}

/// Calls as chance would have it: any causally possible order, cut and merged anywhere. `choices` come around again.
pub(crate) fn by_chance(dialogue: &Dialogue, choices: &[u16], is_unseen: bool) -> Vec<Call> {
    let mut choices = choices.iter().map(|choice| usize::from(*choice)).cycle();
    let mut choice = || choices.next().unwrap_or_default();
    let mut walk = Walk::new(dialogue);
    while let Some(limits) = walk.limits() {
        let chosen = choice();
        let preferred = chosen & 1;
        let side = if limits[preferred] > walk.at[preferred] {
            preferred
        } else {
            1 - preferred
        };
        let room = limits[side] - walk.at[side];
        let most = match (chosen >> 1) & 3 {
            0 => 1,
            1 => 16,
            2 => room,
            // As much as can be, no less.
            _ => 0,
        };
        let length = if most == 0 {
            room
        } else {
            1 + (chosen >> 3) % most.min(room)
        };
        let hidden = if is_unseen { choice() } else { 0 };
        walk.step(side, length, hidden);
    }
    walk.calls
}

/// Each side says as much as it can in one call, but for one cut in each.
pub(crate) fn in_turn(dialogue: &Dialogue, cuts: [usize; 2]) -> Vec<Call> {
    let mut walk = Walk::new(dialogue);
    while walk.limits().is_some() {
        for (side, cut) in cuts.into_iter().enumerate() {
            while let Some(limits) = walk.limits() {
                let at = walk.at[side];
                let end = if at < cut {
                    limits[side].min(cut)
                } else {
                    limits[side]
                };
                if end == at {
                    break;
                }
                walk.step(side, end - at, 0);
            }
        }
    }
    walk.calls
}

/// How far both sides are.
struct Walk<'d> {
    dialogue: &'d Dialogue,
    at: [usize; 2],
    calls: Vec<Call>,
}

impl<'d> Walk<'d> {
    fn new(dialogue: &'d Dialogue) -> Self {
        Self {
            dialogue,
            at: [0; 2],
            calls: Vec::new(),
        }
    }

    /// How far each side may go now; `None` at the end.
    fn limits(&self) -> Option<[usize; 2]> {
        let limits = [0, 1].map(|side| {
            let mut end = 0;
            for part in &self.dialogue.sides[side] {
                if end >= self.at[side] && part.after > self.at[1 - side] {
                    break;
                }
                end += part.bytes.len();
            }
            end.max(self.at[side])
        });
        if limits == self.at {
            let all = [0, 1].map(|side| self.dialogue.length(side));
            assert_eq!(limits, all, "each waits for the other");
            return None;
        }
        Some(limits)
    }

    /// A call of `side`. Of its end as much is hidden as `hidden` says, if it is body.
    fn step(&mut self, side: usize, length: usize, hidden: usize) {
        let from = self.at[side];
        let to = from + length;
        let body_begin = self.body_begin(side, to).max(from);
        // One in two is captured in full.
        let hidden = if hidden & 1 == 0 { 0 } else { hidden >> 1 };
        let captured = to - hidden % (to - body_begin + 1);
        self.calls.push(Call {
            side,
            from,
            to,
            captured,
        });
        self.at[side] = to;
    }

    /// Where the body begins that `to` is in or at the end of; `to` itself if it is none.
    fn body_begin(&self, side: usize, to: usize) -> usize {
        let mut end = 0;
        for Part { bytes, is_body, .. } in &self.dialogue.sides[side] {
            let begin = end;
            end += bytes.len();
            if begin < to && to <= end {
                return if *is_body { begin } else { to };
            }
        }
        to
    }
}
