//! The requests of one connection that are under way, oldest first.

use super::open::Open;
use std::collections::VecDeque;

/// Room for requests behind the oldest that an ended connection leaves to the next one, and for the text of a request.
const BEHIND_KEPT: usize = 4;
const TEXT_BYTES_KEPT: usize = 1024;

/// Open requests. Most connections never have two, so the oldest has a place of its own, which is written anew for the
/// next one.
#[derive(Debug, Default)]
pub(super) struct Queue {
    oldest: Open,
    /// Is there one?
    is_open: bool,
    /// Only behind an oldest one.
    behind: VecDeque<Open>,
    /// The memory of one that has ended, for the next one behind.
    spare: Vec<u8>,
}

impl Queue {
    /// How many are open.
    pub(super) fn len(&self) -> usize {
        usize::from(self.is_open) + self.behind.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Open> {
        let oldest = self.is_open.then_some(&self.oldest);
        oldest.into_iter().chain(&self.behind)
    }

    /// The oldest.
    pub(super) fn front(&self) -> Option<&Open> {
        self.is_open.then_some(&self.oldest)
    }

    /// The oldest request of a stream.
    #[inline]
    pub(super) fn oldest_mut(&mut self, stream: u32) -> Option<&mut Open> {
        if self.is_open && self.oldest.stream == stream {
            return Some(&mut self.oldest);
        }
        self.behind.iter_mut().find(|open| open.stream == stream)
    }

    /// The newest request of a stream.
    #[inline]
    pub(super) fn newest_mut(&mut self, stream: u32) -> Option<&mut Open> {
        if !self.behind.is_empty() {
            let mut newest_first = self.behind.iter_mut().rev();
            let newest = newest_first.find(|open| open.stream == stream);
            if newest.is_some() {
                return newest;
            }
        }
        let is_it = self.is_open && self.oldest.stream == stream;
        is_it.then_some(&mut self.oldest)
    }

    /// A request began.
    #[inline]
    pub(super) fn push(&mut self, stream: u32, arrived_ns: Option<u64>, started_ns: u64) {
        if self.is_open {
            return self.push_behind(stream, arrived_ns, started_ns);
        }
        self.is_open = true;
        self.oldest.begin(stream, arrived_ns, started_ns);
    }

    #[cold]
    fn push_behind(&mut self, stream: u32, arrived_ns: Option<u64>, started_ns: u64) {
        let mut open = Open {
            target: std::mem::take(&mut self.spare),
            ..Open::default()
        };
        open.begin(stream, arrived_ns, started_ns);
        self.behind.push_back(open);
    }

    /// The oldest request of a stream has ended.
    #[inline]
    pub(super) fn remove(&mut self, stream: u32) {
        let is_oldest = self.oldest.stream == stream;
        if is_oldest && self.behind.is_empty() {
            self.is_open = false;
        } else {
            self.remove_of_many(stream, is_oldest);
        }
    }

    #[cold]
    fn remove_of_many(&mut self, stream: u32, is_oldest: bool) {
        let ended = if is_oldest {
            let next = self.behind.pop_front();
            next.map(|next| std::mem::replace(&mut self.oldest, next))
        } else {
            let at = self.behind.iter().position(|open| open.stream == stream);
            at.and_then(|at| self.behind.remove(at))
        };
        if let Some(ended) = ended {
            self.spare = ended.target;
        }
    }

    /// All have ended.
    pub(super) fn clear(&mut self) {
        self.is_open = false;
        self.behind.clear();
    }

    /// Gives back memory that is more than the next connection will want. To be called when all have ended.
    pub(super) fn trim(&mut self) {
        if self.behind.capacity() > BEHIND_KEPT {
            self.behind = VecDeque::new();
        }
        for text in [&mut self.oldest.target, &mut self.spare] {
            if text.capacity() > TEXT_BYTES_KEPT {
                *text = Vec::new();
            }
        }
    }
}
