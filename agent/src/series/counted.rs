//! Where a process's counters stand, and its times of connecting: what is counted again is not looked up by its words
//! again.

use super::family::RowPlace;
use super::labels::Words;
use super::plain::{Plain, PlainFamily, PlainLabels};
use super::process::Process;

/// What of a process is counted for each connection or its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counter {
    Unanswered,
    Unpaired,
    Opened,
    Failed,
    Adopted,
    SocketBytes,
    Datagrams,
    Retransmits,
    Payload,
    /// A histogram.
    Connect,
}

/// Label sets of one process that are remembered, at most: more than the programs that talk in every way have. What is
/// beyond is looked up.
const COUNTED_MAX: usize = 64;

/// Where the label sets of one process stand, in the order in which they were first used.
#[derive(Debug, Default)]
pub(super) struct Counted(Vec<Standing>);

#[derive(Debug)]
struct Standing {
    counter: Counter,
    labels: PlainLabels,
    row: RowPlace,
}

impl Standing {
    /// Where one text lies in two places it is only not found.
    fn is(&self, counter: Counter, labels: PlainLabels) -> bool {
        let mut pairs = self.labels.iter().zip(labels);
        self.counter == counter && pairs.all(|(a, b)| std::ptr::eq(*a, b))
    }
}

impl Counted {
    fn find(&mut self, counter: Counter, labels: PlainLabels) -> Option<&mut Standing> {
        self.0
            .iter_mut()
            .find(|standing| standing.is(counter, labels))
    }

    fn put(&mut self, counter: Counter, labels: PlainLabels, row: RowPlace) {
        if let Some(standing) = self.find(counter, labels) {
            standing.row = row;
        } else if self.0.len() < COUNTED_MAX {
            self.0.push(Standing {
                counter,
                labels,
                row,
            });
        }
    }
}

impl Plain {
    fn counter_mut(&mut self, counter: Counter) -> &mut PlainFamily {
        match counter {
            Counter::Unanswered => &mut self.unanswered,
            Counter::Unpaired => &mut self.unpaired,
            Counter::Opened => &mut self.opened,
            Counter::Failed => &mut self.failed,
            Counter::Adopted => &mut self.adopted,
            Counter::SocketBytes => &mut self.socket_bytes,
            Counter::Datagrams => &mut self.datagrams,
            Counter::Retransmits => &mut self.retransmits,
            Counter::Payload => &mut self.payload,
            Counter::Connect => &mut self.connect,
        }
    }

    /// Counts something of `process`, which `observe` puts into the row of these labels.
    pub(super) fn count(
        &mut self,
        words: &mut Words,
        process: &mut Process,
        counter: Counter,
        labels: PlainLabels,
        observe: impl FnOnce(&mut [u64]),
    ) {
        let Process { owner, counted, .. } = process;
        let family = self.counter_mut(counter);
        let known = counted.find(counter, labels);
        if let Some(row) = known.and_then(|standing| family.row_at(standing.row)) {
            return observe(row);
        }
        if let Some(row) = family.put(words, owner, labels, observe) {
            counted.put(counter, labels, row);
        }
    }
}

/// Adds to the row of a counter.
pub(super) fn add(row: &mut [u64], n: u64) {
    if let Some(count) = row.first_mut() {
        *count = count.wrapping_add(n);
    }
}
