//! Missed: how often each program was left out.

use super::Probes;
use crate::health::ProbeHealth;
use aya::maps::PerCpuArray;
use sockmeter_abi::call::{CALL_COUNTERS, CALLS};
use std::{
    fs,
    os::fd::{AsFd, AsRawFd},
};

impl Probes {
    /// How often each program was left out: by the kernel because one was already running on that CPU
    /// (`recursion_misses`, since 5.12), or because the kernel had no room to note where a function returns to.
    pub fn missed(&self) -> Vec<(&ProbeHealth, u64)> {
        let calls = self.calls_missed();
        let missed = |probe: &ProbeHealth| {
            let left_out = self.recursion_misses(probe.program);
            let call = CALLS.iter().position(|call| *call == probe.program);
            let calls = call.and_then(|call| calls.get(call)).copied();
            match (left_out, calls) {
                (None, None) => None,
                (left_out, calls) => Some(left_out.unwrap_or(0) + calls.unwrap_or(0)),
            }
        };
        self.verdicts
            .iter()
            .filter_map(|probe| Some((probe, missed(probe)?)))
            .collect()
    }

    fn recursion_misses(&self, program: &str) -> Option<u64> {
        let fd = self.ebpf.program(program)?.fd().ok()?;
        let info = format!("/proc/self/fdinfo/{}", fd.as_fd().as_raw_fd());
        let text = fs::read_to_string(info).ok()?;
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("recursion_misses:"))?;
        line.trim().parse().ok()
    }

    /// Calls whose return was not seen, in the order of [`CALLS`]; nothing where the kernel tells returns itself.
    fn calls_missed(&self) -> Vec<u64> {
        let Some(map) = self.ebpf.map("CALLS_MISSED") else {
            return Vec::new();
        };
        let Ok(counters) = PerCpuArray::<_, [u64; CALL_COUNTERS]>::try_from(map) else {
            return Vec::new();
        };
        let Ok(per_cpu) = counters.get(&0, 0) else {
            return Vec::new();
        };
        (0..CALLS.len())
            .map(|call| per_cpu.iter().filter_map(|counts| counts.get(call)).sum())
            .collect()
    }
}
