//! Records one behind the other, as they stand in the ring.

use sockmeter_abi::record::Segment;
use zerocopy::{Immutable, IntoBytes};

/// Between two records: the length of the next, in a word of its own as in the kernel's ring, whose records are
/// aligned to words.
const HEADER_BYTES: usize = 8;

/// The records of a number of exchanges.
#[derive(Debug)]
pub struct Batch {
    bytes: Vec<u8>,
    room_bytes: usize,
    records: usize,
    lost: u64,
}

impl Default for Batch {
    fn default() -> Self {
        Self {
            bytes: Vec::new(),
            room_bytes: usize::MAX,
            records: 0,
            lost: 0,
        }
    }
}

impl Batch {
    /// Forgets the records and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.records = 0;
        self.lost = 0;
    }

    /// From now on there is room for so many bytes; a record that finds none is counted as lost.
    pub fn limit(&mut self, room_bytes: usize) {
        self.room_bytes = room_bytes;
    }

    /// Records that found no room.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.records
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// Bytes of the ring that they would take.
    pub fn ring_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Adds a record of fixed size.
    pub fn push(&mut self, record: &(impl IntoBytes + Immutable)) {
        self.put(record.as_bytes(), &[], 0);
    }

    /// Adds a segment and what was captured of it: the first `captured_bytes` of the parts of `content`.
    pub fn push_segment(&mut self, segment: &Segment, content: &[&[u8]]) {
        self.put(segment.as_bytes(), content, segment.captured_bytes as usize);
    }

    fn put(&mut self, record: &[u8], content: &[&[u8]], captured_bytes: usize) {
        let length = record.len() + captured_bytes;
        let taken_bytes = HEADER_BYTES + length.next_multiple_of(HEADER_BYTES);
        if self.bytes.len() + taken_bytes > self.room_bytes {
            self.lost += 1;
            return;
        }
        self.bytes.extend_from_slice(&(length as u64).to_ne_bytes());
        let end = self.bytes.len() + length;
        self.bytes.extend_from_slice(record);
        for part in content {
            let left = end - self.bytes.len();
            self.bytes
                .extend_from_slice(part.get(..left).unwrap_or(part));
        }
        // What a case does not spell out is zeros.
        self.bytes.resize(end.next_multiple_of(HEADER_BYTES), 0);
        self.records += 1;
    }

    /// The records, oldest first.
    pub fn records(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.bytes.as_slice();
        std::iter::from_fn(move || {
            let (header, behind) = rest.split_first_chunk::<HEADER_BYTES>()?;
            let length = usize::try_from(u64::from_ne_bytes(*header)).ok()?;
            let (record, behind) =
                behind.split_at_checked(length.next_multiple_of(HEADER_BYTES))?;
            rest = behind;
            record.get(..length)
        })
    }
}
