//! The measured processes: their labels, their routes, and when they are forgotten.

use super::LINGER_NS;
use super::asked::Calls;
use super::catalogue::PROCESS_LABELS;
use super::counted::Counted;
use super::http::Parts;
use super::labels::push_label;
use super::plain::Gauges;
use super::route::Routes;
use crate::hash::FastMap;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A measured process, as the caller names it. It stays valid until the process is forgotten; after
/// that it names nothing, also when its place is used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProcessKey {
    slot: u32,
    generation: u32,
}

impl ProcessKey {
    /// Of all processes that are not measured: what is told of them is not counted. (No place has this number, as the
    /// table cannot grow to it.)
    pub const EXCLUDED: Self = Self {
        slot: u32::MAX,
        generation: u32::MAX,
    };
}

/// What series belong to: one set of process labels, which is one process or, where the config leaves
/// labels out, several.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Owner {
    /// In the order of creation, never used twice.
    pub(super) number: u64,
    /// The rendered process labels.
    pub(super) labels: Box<str>,
    /// When the first of its processes was added, since 1970.
    pub(super) created_unix_ns: u64,
}

/// A process that has been added and not yet forgotten.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) owner: Arc<Owner>,
    pub(super) routes: Routes,
    pub(super) gauges: Gauges,
    pub(super) counted: Counted,
    pub(super) calls: Calls,
    /// Where the parts of its exchanges are counted.
    pub(super) parts: Vec<Parts>,
    ended_ns: Option<u64>,
}

/// The label that tells one process from all others that live.
const PID_LABEL: &str = "process_pid";

/// An owner's processes.
#[derive(Debug)]
struct Group {
    owner: Arc<Owner>,
    processes: usize,
    /// Those of them that have not ended.
    living: usize,
    /// The numbers of route templates, equal for all processes of the group.
    route_numbers: FastMap<Arc<str>, u16>,
}

#[derive(Debug, Default)]
struct Slot {
    generation: u32,
    process: Option<Process>,
}

/// What a call of [`Processes::forget`] has removed.
#[derive(Debug, Default)]
pub(super) struct Forgotten {
    /// Numbers of the owners that have no process any more, ascending.
    pub(super) owners: Vec<u64>,
    /// What the forgotten processes had in gauges.
    pub(super) gauges: Vec<Gauges>,
}

/// The table of processes.
#[derive(Debug)]
pub(super) struct Processes {
    /// Labels that are exposed, in this order; `None`: all.
    exposed: Option<Vec<&'static str>>,
    slots: Vec<Slot>,
    free: Vec<u32>,
    groups: FastMap<Box<str>, Group>,
    /// By number, the owners whose processes have all ended and whose labels another one has now, because a
    /// pid was given again.
    former: BTreeMap<u64, Group>,
    owners: u64,
    /// Processes that have ended and are not yet forgotten, in the order in which they ended.
    ended: Vec<ProcessKey>,
}

impl Processes {
    pub(super) fn new(exposed: Option<Vec<&'static str>>) -> Self {
        Self {
            exposed,
            slots: Vec::new(),
            free: Vec::new(),
            groups: FastMap::default(),
            former: BTreeMap::new(),
            owners: 0,
            ended: Vec::new(),
        }
    }

    /// Adds a process, which began at that time as far as is known.
    pub(super) fn add(
        &mut self,
        labels: &[(&'static str, String)],
        mut created_unix_ns: u64,
    ) -> ProcessKey {
        let text = self.render(labels);
        if self.is_one_process(labels)
            && let Some(former) = self.groups.get(text.as_str())
            && former.living == 0
            && let Some(former) = self.groups.remove(text.as_str())
        {
            // Also where the clock stood still, or was set back.
            created_unix_ns = created_unix_ns.max(former.owner.created_unix_ns.saturating_add(1));
            self.former.insert(former.owner.number, former);
        }
        let group = self.groups.entry(text.into()).or_insert_with_key(|text| {
            self.owners += 1;
            let owner = Arc::new(Owner {
                number: self.owners,
                labels: text.clone(),
                created_unix_ns,
            });
            Group {
                owner,
                processes: 0,
                living: 0,
                route_numbers: FastMap::default(),
            }
        });
        group.processes += 1;
        group.living += 1;
        let process = Process {
            owner: Arc::clone(&group.owner),
            routes: Routes::default(),
            gauges: Gauges::default(),
            counted: Counted::default(),
            calls: Calls::default(),
            parts: Vec::new(),
            ended_ns: None,
        };
        let number = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        });
        let generation = match self.slots.get_mut(number as usize) {
            Some(slot) => {
                slot.process = Some(process);
                slot.generation
            }
            None => 0,
        };
        ProcessKey {
            slot: number,
            generation,
        }
    }

    /// Whether no two processes have these labels at the same time.
    fn is_one_process(&self, labels: &[(&'static str, String)]) -> bool {
        labels.iter().any(|(name, _)| *name == PID_LABEL)
            && self
                .exposed
                .as_ref()
                .is_none_or(|exposed| exposed.contains(&PID_LABEL))
    }

    /// The numbers of the owners that are not shown yet, because an earlier one with the same labels is
    /// shown a last time.
    pub(super) fn hidden(&self) -> Vec<u64> {
        let successors = self.former.values().filter_map(|former| {
            let labels = &former.owner.labels;
            let earlier = self.former.values();
            let mut earlier = earlier.filter(|other| other.owner.labels == *labels);
            let first = earlier.next().map(|first| first.owner.number);
            let own = former.owner.number;
            let last = self.groups.get(labels).map(|group| group.owner.number);
            if first == Some(own) { last } else { Some(own) }
        });
        let mut hidden: Vec<u64> = successors.collect();
        hidden.sort_unstable();
        hidden
    }

    /// The exposed labels in one order, whatever order the caller has.
    fn render(&self, labels: &[(&'static str, String)]) -> String {
        let order = self.exposed.as_deref().unwrap_or(PROCESS_LABELS);
        let rank = |name: &str| order.iter().position(|known| *known == name);
        let mut ranked: Vec<_> = labels
            .iter()
            .filter_map(|(name, value)| match rank(name) {
                None if self.exposed.is_some() => None,
                rank => Some((rank.unwrap_or(usize::MAX), *name, value.as_str())),
            })
            .collect();
        ranked.sort_by_key(|(rank, name, _)| (*rank, *name));
        ranked.dedup_by_key(|(_, name, _)| *name);
        let mut text = String::new();
        for (_, name, value) in ranked {
            push_label(&mut text, name, value);
        }
        text
    }

    pub(super) fn get_mut(&mut self, key: ProcessKey) -> Option<&mut Process> {
        let slot = self.slots.get_mut(key.slot as usize)?;
        if slot.generation == key.generation {
            slot.process.as_mut()
        } else {
            None
        }
    }

    /// The number of a route template of `key`'s process that it does not know yet.
    pub(super) fn learn_route(&mut self, key: ProcessKey, template: &str) -> Option<u16> {
        let owner = Arc::clone(&self.get_mut(key)?.owner);
        let group = group_mut(&mut self.former, &mut self.groups, &owner)?;
        let numbers = &mut group.route_numbers;
        let (text, number) = match numbers.get_key_value(template) {
            Some((text, number)) => (Arc::clone(text), *number),
            None => {
                // 0 is the catch-all. A full table (65,535 templates of one service) fails here.
                let number = u16::try_from(numbers.len() + 1).ok()?;
                let text: Arc<str> = template.into();
                numbers.insert(Arc::clone(&text), number);
                (text, number)
            }
        };
        self.get_mut(key)?.routes.insert(text, number);
        Some(number)
    }

    pub(super) fn end(&mut self, key: ProcessKey, now_ns: u64) {
        if let Some(process) = self.get_mut(key)
            && process.ended_ns.is_none()
        {
            process.ended_ns = Some(now_ns);
            let owner = Arc::clone(&process.owner);
            if let Some(group) = group_mut(&mut self.former, &mut self.groups, &owner) {
                group.living -= 1;
            }
            self.ended.push(key);
        }
    }

    /// Forgets the processes that ended [`LINGER_NS`] ago, or all that have ended if they were `shown`, which
    /// those of `hidden` owners were not.
    pub(super) fn forget(&mut self, now_ns: u64, shown: bool) -> Forgotten {
        let mut forgotten = Forgotten::default();
        if self.ended.is_empty() {
            return forgotten;
        }
        let hidden = self.hidden();
        let due = |process: &Process| {
            let is_shown = shown && hidden.binary_search(&process.owner.number).is_err();
            process
                .ended_ns
                .is_some_and(|ended_ns| is_shown || now_ns.saturating_sub(ended_ns) >= LINGER_NS)
        };
        let Self {
            slots,
            free,
            groups,
            former,
            ended,
            ..
        } = self;
        ended.retain(|key| {
            let Some(slot) = slots.get_mut(key.slot as usize) else {
                return false;
            };
            let Some(process) = slot.process.take_if(|process| due(process)) else {
                return true;
            };
            slot.generation = slot.generation.wrapping_add(1);
            free.push(key.slot);
            let Owner {
                number,
                labels,
                created_unix_ns: _,
            } = &*process.owner;
            if let Some(group) = group_mut(former, groups, &process.owner) {
                group.processes -= 1;
                if group.processes == 0 {
                    forgotten.owners.push(*number);
                    if former.remove(number).is_none() {
                        groups.remove(labels);
                    }
                }
            }
            forgotten.gauges.push(process.gauges);
            false
        });
        forgotten.owners.sort_unstable();
        forgotten
    }
}

/// The processes of an owner.
fn group_mut<'a>(
    former: &'a mut BTreeMap<u64, Group>,
    groups: &'a mut FastMap<Box<str>, Group>,
    owner: &Owner,
) -> Option<&'a mut Group> {
    former
        .get_mut(&owner.number)
        .or_else(|| groups.get_mut(&owner.labels))
}
