//! The kernel's maps: the ring of records, the table of connections, the loss counters.
//!
//! With `shared.rs` the only unsafe code of the agent but one call in `memory.rs`: views of shared memory.

#![allow(
    unsafe_code,
    reason = "the connection table is memory that the kernel writes"
)]

use super::{datagrams::DatagramTable, level::CaptureLevel, shared::Shared};
use aya::{
    Ebpf,
    maps::{Array, HashMap, Map, MapData, RingBuf, Stack},
};
use sockmeter_abi::{
    ARMED, ARMED_WITH_UNIX, LEVEL_SHIFT,
    field::{LOSS_COUNTERS, LOSS_COUNTERS_USED},
    listener::Listener,
    slot::{PHASE_FREE, Slot},
};
use std::{
    mem::offset_of,
    ptr::NonNull,
    sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering},
};
use zerocopy::{FromBytes, IntoBytes};

/// A [`Listener`] as aya takes it.
type ListenerWords = [u64; size_of::<Listener>() / 8];

/// A map of the kernel object cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MapError {
    /// The object and the agent do not match.
    #[error("the kernel object has no map {0} of the expected type")]
    Missing(&'static str),
    /// The kernel refused.
    #[error("cannot use the kernel map {map}: {why}")]
    Refused {
        /// Which.
        map: &'static str,
        /// Why.
        why: String,
    },
}

const EXCLUDED: &str = "EXCLUDED";
const LISTENERS: &str = "LISTENERS";
const LISTENERS_LOST: &str = "LISTENERS_LOST";

/// All that the agent reads from, and writes to, the kernel side.
pub struct KernelMaps {
    /// The ring of records.
    pub ring: Ring,
    /// The table of connections.
    pub slots: Slots,
    /// The table of datagrams.
    pub datagrams: DatagramTable,
    losses: Losses,
    armed: Array<MapData, u32>,
    /// What was written there last, without the level.
    armed_as: u32,
    /// Processes whose connections are not followed.
    excluded: HashMap<MapData, u32, u32>,
    /// Slots that nobody uses.
    free_slots: Stack<MapData, u32>,
    /// Listening sockets, by cookie.
    listeners: HashMap<MapData, u64, ListenerWords>,
    listeners_lost: Array<MapData, u64>,
}

pub(super) fn take(ebpf: &mut Ebpf, map: &'static str) -> Result<Map, MapError> {
    ebpf.take_map(map).ok_or(MapError::Missing(map))
}

fn array(ebpf: &mut Ebpf, map: &'static str) -> Result<MapData, MapError> {
    match take(ebpf, map)? {
        Map::Array(array) => Ok(array),
        _ => Err(MapError::Missing(map)),
    }
}

pub(super) fn refused(map: &'static str) -> impl Fn(aya::maps::MapError) -> MapError {
    move |error| MapError::Refused {
        map,
        why: error.to_string(),
    }
}

impl KernelMaps {
    /// Takes the maps out of a loaded object and hands all slots to the kernel side.
    ///
    /// # Errors
    /// The object is another one, or memory cannot be mapped.
    pub fn take(ebpf: &mut Ebpf, connections_max: u32) -> Result<Self, MapError> {
        let mut free =
            Stack::<_, u32>::try_from(take(ebpf, "FREE_SLOTS")?).map_err(refused("FREE_SLOTS"))?;
        // Pushed from the end, so that the first slots are used first.
        for index in (0..connections_max).rev() {
            free.push(index, 0).map_err(refused("FREE_SLOTS"))?;
        }
        Ok(Self {
            ring: Ring(RingBuf::try_from(take(ebpf, "RING")?).map_err(refused("RING"))?),
            armed: Array::try_from(take(ebpf, "ARMED")?).map_err(refused("ARMED"))?,
            armed_as: 0,
            losses: Losses::map(array(ebpf, "LOSSES")?)?,
            slots: Slots::map(array(ebpf, "SLOTS")?, connections_max)?,
            datagrams: DatagramTable::take(ebpf)?,
            excluded: HashMap::try_from(take(ebpf, EXCLUDED)?).map_err(refused(EXCLUDED))?,
            free_slots: free,
            listeners: HashMap::try_from(take(ebpf, LISTENERS)?).map_err(refused(LISTENERS))?,
            listeners_lost: Array::try_from(take(ebpf, LISTENERS_LOST)?)
                .map_err(refused(LISTENERS_LOST))?,
        })
    }

    /// Lets the programs watch, all at one moment; `with_unix` if those for Unix sockets are attached.
    ///
    /// # Errors
    /// The kernel's.
    pub fn arm(&mut self, with_unix: bool) -> Result<(), MapError> {
        self.armed_as = if with_unix { ARMED_WITH_UNIX } else { ARMED };
        self.set_level(CaptureLevel::Full)
    }

    /// How much the programs capture from now on. Calls that are under way may still go by what was said before.
    ///
    /// # Errors
    /// The kernel's.
    pub fn set_level(&mut self, level: CaptureLevel) -> Result<(), MapError> {
        let word = self.armed_as | level.word() << LEVEL_SHIFT;
        self.armed.set(0, word, 0).map_err(refused("ARMED"))
    }

    /// Connections that the process opens from now on need not be followed, or have to be. The kernel side itself forgets
    /// a process that ends or executes another file.
    pub fn set_excluded(&mut self, pid: u32, is_excluded: bool) {
        // Without room its connections are followed, and not looked at; and it may be gone already.
        let _ = if is_excluded {
            self.excluded.insert(pid, 1, 0)
        } else {
            self.excluded.remove(&pid)
        };
    }

    /// Gives an abandoned slot back, once its final counts were taken.
    ///
    /// # Errors
    /// The kernel's.
    pub fn reclaim(&mut self, index: u32) -> Result<(), MapError> {
        self.slots.free(index);
        self.free_slots
            .push(index, 0)
            .map_err(refused("FREE_SLOTS"))
    }

    /// The cookies of the listening sockets.
    ///
    /// # Errors
    /// The kernel's.
    pub fn listeners(&self) -> Result<Vec<u64>, MapError> {
        let keys = self.listeners.keys();
        keys.collect::<Result<_, _>>().map_err(refused(LISTENERS))
    }

    /// A listening socket as it was read last; `None` if it is not in the table.
    pub fn listener(&self, cookie: u64) -> Option<Listener> {
        let words = self.listeners.get(&cookie, 0).ok()?;
        Listener::read_from_bytes(words.as_bytes()).ok()
    }

    /// Forgets a listening socket.
    pub fn forget_listener(&mut self, cookie: u64) {
        // The kernel side may have done so already.
        let _ = self.listeners.remove(&cookie);
    }

    /// How often a listening socket found no room in the table: at its beginning, and whenever a walk comes by it.
    ///
    /// # Errors
    /// The kernel's.
    pub fn listeners_lost(&self) -> Result<u64, MapError> {
        self.listeners_lost
            .get(&0, 0)
            .map_err(refused(LISTENERS_LOST))
    }

    /// What was lost since the programs were loaded, summed over all CPUs; see `abi::field`.
    pub fn losses(&self) -> [u64; LOSS_COUNTERS_USED] {
        self.losses.sums()
    }
}

/// The loss counters, an entry for each CPU.
struct Losses(Shared);

impl Losses {
    fn map(map: MapData) -> Result<Self, MapError> {
        let cpus = map.info().map_err(refused("LOSSES"))?.max_entries() as usize;
        Shared::map(map, "LOSSES", cpus * size_of::<[u64; LOSS_COUNTERS]>()).map(Self)
    }

    fn sums(&self) -> [u64; LOSS_COUNTERS_USED] {
        let mut sums = [0; LOSS_COUNTERS_USED];
        for cpu in 0.. {
            let from = cpu * size_of::<[u64; LOSS_COUNTERS]>();
            for (counter, sum) in sums.iter_mut().enumerate() {
                let Some(word) = self.0.at(from + counter * size_of::<u64>()) else {
                    return sums;
                };
                // SAFETY: an aligned word inside the live mapping.
                let word = unsafe { word.cast::<AtomicU64>().as_ref() };
                *sum += word.load(Ordering::Relaxed);
            }
        }
        sums
    }
}

/// The ring of records.
pub struct Ring(RingBuf<MapData>);

impl Ring {
    /// Hands the oldest record to `each`, if there is one.
    pub fn next<T>(&mut self, each: impl FnOnce(&[u8]) -> T) -> Option<T> {
        self.0.next().map(|item| each(&item))
    }
}

/// The table of connections, mapped into the agent's memory. The kernel writes it at any time, so all
/// accesses are atomic words; a slot may be half-way through a change when it is read.
pub struct Slots {
    memory: Shared,
    count: u32,
}

impl Slots {
    fn map(map: MapData, count: u32) -> Result<Self, MapError> {
        let length_bytes = count as usize * size_of::<Slot>();
        Ok(Self {
            memory: Shared::map(map, "SLOTS", length_bytes)?,
            count,
        })
    }

    /// How many slots there are.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Where a field of a slot is; all callers use offsets of its fields.
    fn word(&self, index: u32, offset: usize) -> Option<NonNull<u8>> {
        self.memory.at(index as usize * size_of::<Slot>() + offset)
    }

    /// A copy of a slot; `None` if there is no such slot.
    pub fn read(&self, index: u32) -> Option<Slot> {
        let base = self.word(index, 0)?;
        let mut bytes = [0u8; size_of::<Slot>()];
        for (number, chunk) in bytes.chunks_exact_mut(8).enumerate() {
            // SAFETY: slots are 8-byte aligned multiples of 8 bytes inside the live mapping.
            let word = unsafe { base.cast::<AtomicU64>().add(number).as_ref() };
            chunk.copy_from_slice(&word.load(Ordering::Relaxed).to_ne_bytes());
        }
        Slot::read_from_bytes(&bytes).ok()
    }

    /// The end of the slot's connection was told, though not by a record.
    pub fn set_reported(&self, index: u32) {
        if let Some(byte) = self.word(index, offset_of!(Slot, is_unreported)) {
            // SAFETY: a byte inside the live mapping.
            unsafe { byte.cast::<AtomicU8>().as_ref() }.store(0, Ordering::Relaxed);
        }
    }

    /// Marks a slot as used by nobody.
    fn free(&self, index: u32) {
        self.store(index, offset_of!(Slot, connection), 0);
        if let Some(word) = self.word(index, offset_of!(Slot, phase)) {
            // SAFETY: an aligned 32-bit field inside the live mapping.
            unsafe { word.cast::<AtomicU32>().as_ref() }.store(PHASE_FREE, Ordering::Relaxed);
        }
    }

    /// How many bytes per call the kernel side captures on a connection from now on; `direction` is
    /// `abi::RECEIVE` or `abi::TRANSMIT`.
    pub fn set_capture_bytes(&self, index: u32, connection: u64, direction: usize, bytes: u32) {
        let offset = offset_of!(Slot, capture_bytes) + 4 * (direction & 1);
        if let Some(word) = self.word(index, offset) {
            self.begin_steering(index, connection);
            // SAFETY: an aligned 32-bit field inside the live mapping.
            unsafe { word.cast::<AtomicU32>().as_ref() }.store(bytes, Ordering::Relaxed);
            self.store(index, offset_of!(Slot, steered), connection);
        }
    }

    /// Nothing before `position` need be captured; otherwise as above.
    pub fn set_skip_until(&self, index: u32, connection: u64, direction: usize, position: u64) {
        self.begin_steering(index, connection);
        let offset = offset_of!(Slot, skip_until) + 8 * (direction & 1);
        self.store(index, offset, position);
        self.store(index, offset_of!(Slot, steered), connection);
    }

    /// Clears what was meant for the slot's last user; until it is over, the kernel side captures as if
    /// nothing had been said.
    fn begin_steering(&self, index: u32, connection: u64) {
        let Some(word) = self.word(index, offset_of!(Slot, steered)) else {
            return;
        };
        // SAFETY: an aligned 64-bit field inside the live mapping.
        let steered = unsafe { word.cast::<AtomicU64>().as_ref() };
        if steered.load(Ordering::Relaxed) == connection {
            return;
        }
        steered.store(0, Ordering::Relaxed);
        for direction in [0, 8] {
            self.store(index, offset_of!(Slot, skip_until) + direction, 0);
        }
        // Both directions' 32-bit words at once: "the default".
        self.store(index, offset_of!(Slot, capture_bytes), u64::MAX);
    }

    fn store(&self, index: u32, offset: usize, value: u64) {
        if let Some(word) = self.word(index, offset) {
            // SAFETY: an aligned 64-bit field inside the live mapping. Release, so that `steered` is
            // seen after what it is about.
            unsafe { word.cast::<AtomicU64>().as_ref() }.store(value, Ordering::Release);
        }
    }
}

const _: () = assert!(offset_of!(Slot, capture_bytes) % 8 == 0);
