//! A bounded memory of what texts mean, for texts of which most come again and again.
//!
//! What is kept is what a function of the text told, so nothing that is counted depends on what is remembered.

/// A text is in one of so many cells, from the one that its hash tells: where a single cell would do for it, half of
/// those that would find room together would drive each other out.
const WINDOW: usize = 8;

/// Texts and what they mean, `CELLS` of them at most, which is a power of two.
#[derive(Debug)]
pub(crate) struct Recent<V, const CELLS: usize> {
    /// What tells a cell's text from most others at first sight; zero if it is empty.
    tags: Vec<u32>,
    cells: Vec<(Vec<u8>, V)>,
}

impl<V, const CELLS: usize> Default for Recent<V, CELLS> {
    fn default() -> Self {
        Self::new()
    }
}

/// Never zero.
const fn tag(hash: u64) -> u32 {
    hash as u32 | 1
}

impl<V, const CELLS: usize> Recent<V, CELLS> {
    /// Without a text, and without memory.
    pub(crate) const fn new() -> Self {
        const { assert!(CELLS.is_power_of_two()) }
        Self {
            tags: Vec::new(),
            cells: Vec::new(),
        }
    }

    /// The cell of the text with this hash that `is` says to be the one.
    #[inline]
    pub(crate) fn find(&self, hash: u64, is: impl Fn(&[u8]) -> bool) -> Option<usize> {
        let start = hash as usize % CELLS;
        let tags = self.tags.get(start..start + WINDOW)?;
        let cells = self.cells.get(start..start + WINDOW)?;
        let mut pairs = tags.iter().zip(cells);
        let found = pairs.position(|(known, (text, _))| *known == tag(hash) && is(text))?;
        Some(start + found)
    }

    /// The text in a cell, and what it means.
    #[inline]
    pub(crate) fn get_mut(&mut self, cell: usize) -> Option<(&[u8], &mut V)> {
        let (text, means) = self.cells.get_mut(cell)?;
        Some((text, means))
    }

    /// Keeps a text that was not found, perhaps in place of another one; tells its cell, in which what the other one
    /// meant is to be overwritten: so its memory can be used.
    #[inline(never)]
    pub(crate) fn keep(&mut self, hash: u64, text: &[u8]) -> Option<usize>
    where
        V: Default,
    {
        if self.tags.is_empty() {
            let cells = CELLS + WINDOW;
            self.tags = vec![0; cells];
            self.cells.resize_with(cells, Default::default);
        }
        let start = hash as usize % CELLS;
        let window = self.tags.get(start..start + WINDOW)?;
        let with = |tag| window.iter().position(|known| *known == tag);
        // One with this tag is nearly always the same text of a moment ago, with another time in it.
        let by_chance = (hash >> 40) as usize % WINDOW;
        let at = start + with(tag(hash)).or_else(|| with(0)).unwrap_or(by_chance);
        *self.tags.get_mut(at)? = tag(hash);
        let (kept, _) = self.cells.get_mut(at)?;
        kept.clear();
        kept.extend_from_slice(text);
        Some(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(text: &str) -> u64 {
        crate::hash::of(text.as_bytes())
    }

    fn keep(recent: &mut Recent<usize, 64>, hash: u64, text: &str, means: usize) {
        let cell = recent.keep(hash, text.as_bytes()).unwrap();
        *recent.get_mut(cell).unwrap().1 = means;
    }

    fn find(recent: &mut Recent<usize, 64>, text: &str) -> Option<usize> {
        let cell = recent.find(hash(text), |known| known == text.as_bytes())?;
        let (found, means) = recent.get_mut(cell)?;
        assert_eq!(found, text.as_bytes());
        Some(*means)
    }

    #[test]
    fn what_is_found_is_what_was_kept() {
        let mut recent = Recent::new();
        assert_eq!(find(&mut recent, "a"), None);
        for number in 0..1000 {
            let text = number.to_string();
            keep(&mut recent, hash(&text), &text, number);
            assert_eq!(find(&mut recent, &text), Some(number));
        }
        let found =
            (0..1000).filter_map(|number| Some((number, find(&mut recent, &number.to_string())?)));
        let found: Vec<_> = found.collect();
        assert!(found.iter().all(|(number, means)| number == means));
        assert!((32..=64 + WINDOW).contains(&found.len()), "{}", found.len());
    }

    #[test]
    fn nearly_all_of_half_as_many_as_there_are_cells_stay() {
        let mut recent = Recent::<usize, 64>::new();
        for number in 0..32 {
            let text = format!("/shop/{number}");
            keep(&mut recent, hash(&text), &text, number);
        }
        let stayed =
            (0..32).filter(|number| find(&mut recent, &format!("/shop/{number}")).is_some());
        assert!(stayed.count() >= 30);
    }

    #[test]
    fn a_text_with_the_hash_of_another_takes_its_place() {
        let mut recent = Recent::<usize, 64>::new();
        keep(&mut recent, 7, "09:16:25", 1);
        keep(&mut recent, 7, "09:16:26", 2);
        assert!(recent.find(7, |known| known == b"09:16:25").is_none());
        let cell = recent.find(7, |known| known == b"09:16:26");
        let found = cell.and_then(|cell| recent.get_mut(cell));
        assert_eq!(found.map(|(_, means)| *means), Some(2));
    }
}
