//! Reconciling: what the kernel counted against what its records told.

use super::{Live, LiveError, PROC, datagrams::stale, now_ns};
use crate::identity::{is_same_start, process::Stat};
use crate::records::{
    Address, ConnectionId, Record, Table, Transport, datagrams::Run, endpoints, role,
};
use sockmeter_abi::{
    field::{LOSS_NO_RUN, LOSS_NO_RUN_BYTES, LOSS_NO_SLOT, LOSS_NO_SLOT_BYTES},
    record::{ORIGIN_ADOPTED, PROCESS_ENDED},
    slot::{PHASE_ABANDONED, PHASE_CLOSED, PHASE_OPEN, Slot},
};
use std::{collections::HashSet, path::Path, time::Duration};

/// Far longer than a program runs from its count to its record.
const IN_BETWEEN: Duration = Duration::from_millis(2);

impl Live {
    /// Takes in all that happened before now: the table's counts first, then the ring, so that a count
    /// which no record explains is a loss.
    pub(super) fn settle(&mut self) -> Result<(), LiveError> {
        let runs: Vec<Run> = self.maps.datagrams.runs().collect();
        for table in self.behind_table() {
            self.push(Record::Table(table));
        }
        for run in runs {
            if let Some(more) = self.datagrams.more(&self.maps.datagrams, run) {
                self.push(Record::Datagrams(more));
            }
        }
        self.reconcile_losses()
    }

    /// Looks whether something was lost since the last time, and if so finds out what.
    pub(super) fn reconcile_losses(&mut self) -> Result<(), LiveError> {
        let losses = self.maps.losses();
        if losses == self.losses {
            return Ok(());
        }
        let before = std::mem::replace(&mut self.losses, losses);
        if is_told_by_tables(&losses, &before) {
            self.compare()?;
        }
        if lost_ends(&losses) != lost_ends(&before) {
            self.end_lost_processes();
        }
        self.push(Record::Losses(losses));
        Ok(())
    }

    /// Compares the kernel's tables with what was told.
    fn compare(&mut self) -> Result<(), LiveError> {
        let (time_ns, table) = (now_ns(), self.table());
        // A call is counted before its record is written: let those that are in between finish.
        std::thread::sleep(IN_BETWEEN);
        self.drain();
        let listed: HashSet<ConnectionId> = table
            .iter()
            .map(|(_, slot)| ConnectionId(slot.connection))
            .collect();
        let gone = self.gone(&listed);
        let told = table
            .iter()
            .map(|(index, slot)| self.tell(*index, slot, time_ns));
        let told: Vec<Table> = told.chain(gone).collect();
        for table in told {
            self.push(Record::Table(table));
        }
        for (index, slot) in table {
            self.settle_slot(index, &slot)?;
        }
        self.finish_lost_runs();
        Ok(())
    }

    /// The end of a connection was told from its slot: the slot is free, or will be when its socket goes.
    fn settle_slot(&mut self, index: u32, told: &Slot) -> Result<(), LiveError> {
        if told.phase == PHASE_CLOSED {
            self.maps.slots.set_reported(index);
        }
        let now = self.maps.slots.read(index);
        let is_ours = now
            .is_some_and(|now| now.phase == PHASE_ABANDONED && now.connection == told.connection);
        if is_ours {
            self.maps.reclaim(index)?;
        }
        Ok(())
    }

    fn push(&mut self, record: Record<'_>) {
        self.intake
            .push(record, &mut self.pipeline, &self.maps.slots);
    }

    /// Reads the table for what no record tells, and then drains the ring. The result is told after that.
    pub(super) fn behind_table(&mut self) -> Vec<Table> {
        let is_unrecorded = self.limit.is_unrecorded();
        let tables = self.beyond_records(is_unrecorded);
        if is_unrecorded {
            std::thread::sleep(IN_BETWEEN);
        }
        self.drain();
        tables
    }

    /// The open connections on which segments were sent again and, if calls may have made no record, those that
    /// moved more than was told. The bytes of others are left to their records.
    fn beyond_records(&self, is_unrecorded: bool) -> Vec<Table> {
        let time_ns = now_ns();
        self.pipeline
            .positions()
            .filter_map(|(id, index, told)| {
                let slot = self.maps.slots.read(index)?;
                if slot.connection != id.0 || slot.phase != PHASE_OPEN {
                    return None;
                }
                let table = self.tell(index, &slot, time_ns);
                if is_unrecorded && slot.bytes != told {
                    Some(table)
                } else {
                    (slot.retransmits > 0).then_some(Table {
                        bytes: [0; 2],
                        turns: 0,
                        ..table
                    })
                }
            })
            .collect()
    }

    /// The connections in the kernel's table that are open, or whose end found no room in the ring. An end
    /// that did was told by its record.
    fn table(&self) -> Vec<(u32, Slot)> {
        let slots = &self.maps.slots;
        (0..slots.count())
            .filter_map(|index| Some((index, slots.read(index)?)))
            .filter(|(_, slot)| {
                let is_told = slot.phase == PHASE_CLOSED && slot.is_unreported == 0;
                slot.connection != 0
                    && !is_told
                    && matches!(slot.phase, PHASE_OPEN | PHASE_CLOSED | PHASE_ABANDONED)
            })
            .collect()
    }

    /// The connections that are open here and not in the table: the records of their end were lost.
    fn gone(&self, listed: &HashSet<ConnectionId>) -> Vec<Table> {
        let time_ns = now_ns();
        self.pipeline
            .connections()
            .filter(|(id, _)| !listed.contains(id))
            .map(|(connection, slot)| Table {
                connection,
                slot: slot.unwrap_or(0),
                open: false,
                role: crate::records::Role::Unknown,
                adopted: false,
                pid: 0,
                time_ns,
                bytes: [0; 2],
                retransmits: 0,
                turns: 0,
                local: Address::unknown(Transport::Tcp),
                remote: Address::unknown(Transport::Tcp),
            })
            .collect()
    }

    fn tell(&self, index: u32, slot: &Slot, time_ns: u64) -> Table {
        let (local, remote) = endpoints(&slot.endpoints);
        let open = slot.phase == PHASE_OPEN;
        let [received, transmitted] = slot.bytes;
        // A record will tell what is withheld, if one still can.
        let withheld = if open { slot.withheld_bytes } else { 0 };
        Table {
            connection: ConnectionId(slot.connection),
            slot: index,
            open,
            role: role(slot.role),
            adopted: slot.origin == ORIGIN_ADOPTED,
            pid: slot.pid,
            time_ns,
            bytes: [received, transmitted.saturating_sub(withheld.into())],
            retransmits: slot.retransmits,
            turns: if open {
                self.turns_over(index, slot)
            } else {
                slot.turns
            },
            local,
            remote,
        }
    }

    /// The turns of an open connection that are over: all calls in them are counted in the slot, and their records are
    /// in the ring. The last turn may go on. None while a call is under way, or when the slot changes meanwhile.
    fn turns_over(&self, index: u32, slot: &Slot) -> u32 {
        let is_under_way = slot.send_began_ns != 0 || slot.is_receiving != 0;
        if is_under_way || self.maps.slots.read(index) != Some(*slot) {
            0
        } else {
            slot.turns.saturating_sub(1)
        }
    }

    /// Takes in the datagrams of the runs whose end was lost.
    fn finish_lost_runs(&mut self) {
        for run in stale(self.maps.datagrams.runs().collect()) {
            if let Some(last) = self.datagrams.finish(&mut self.maps.datagrams, run) {
                self.push(Record::Datagrams(last));
            }
        }
    }

    /// Ends the processes whose end was lost.
    fn end_lost_processes(&mut self) {
        let time_ns = now_ns();
        for (pid, start_boottime_ns) in self.pipeline.living() {
            if !lives(pid, start_boottime_ns) {
                self.push(Record::Ended { pid, time_ns });
            }
        }
    }
}

/// Whether a record was lost. What found no place in a table is lost for good: no comparison tells more of it.
fn is_told_by_tables(losses: &[u64], before: &[u64]) -> bool {
    const WITHOUT_PLACE: [usize; 4] = [
        LOSS_NO_SLOT,
        LOSS_NO_SLOT_BYTES,
        LOSS_NO_RUN,
        LOSS_NO_RUN_BYTES,
    ];
    let mut pairs = losses.iter().zip(before).enumerate();
    pairs.any(|(at, (now, before))| now != before && !WITHOUT_PLACE.contains(&at))
}

/// How many records of processes' ends were lost.
fn lost_ends(losses: &[u64]) -> Option<&u64> {
    losses.get(usize::from(PROCESS_ENDED))
}

/// Whether the process that started then is still there, and not another one with its pid.
fn lives(pid: u32, start_boottime_ns: u64) -> bool {
    Stat::read(&Path::new(PROC).join(pid.to_string()))
        .is_ok_and(|stat| is_same_start(stat.start_boottime_ns(), start_boottime_ns))
}
