//! What was measured, divided and compared: this is what `docs/cost/request.json` holds.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::Serialize;

use super::measured::{Idle, Measured, ProgramUse, Use};
use crate::guest::DEFAULT_KERNEL;

const NANOSECONDS_PER_SECOND: f64 = 1e9;

/// All figures. Instructions per request unless the name says something else.
#[derive(Serialize)]
pub(super) struct Figures {
    kernel: &'static str,
    /// With the agent, by load.
    pub(super) loads: BTreeMap<String, Cost>,
    /// With something else in its place, by what and load.
    pub(super) beside: BTreeMap<&'static str, BTreeMap<String, Cost>>,
    /// Runs per request and instructions per request, by load and program.
    pub(super) programs: BTreeMap<String, BTreeMap<String, ProgramUse>>,
    /// Who ran when a thread of the agent was woken, and how often, by load.
    pub(super) wakers: BTreeMap<String, BTreeMap<String, f64>>,
    pub(super) start_instructions: f64,
    pub(super) idle_instructions_per_second: f64,
    pub(super) idle_wakeups_per_second: f64,
}

/// What a request takes, without and with somebody who watches.
#[derive(Clone, Copy, Serialize)]
pub(super) struct Cost {
    pub(super) without: Use,
    pub(super) with: Use,
    /// What server, client and the kernel's threads take more.
    pub(super) added_observed: f64,
    /// What the observer's own process takes.
    pub(super) observer: f64,
    /// Both, as a part of what the request takes without.
    pub(super) added_percent: f64,
    pub(super) observer_percent: f64,
    /// How far the runs without lie apart.
    pub(super) spread_percent: f64,
    pub(super) observer_wakeups_per_second: f64,
}

impl Figures {
    pub(super) fn of(measured: &Measured) -> Result<Self> {
        measured.check()?;
        let mut beside = BTreeMap::new();
        for phase in ["excluded", "floor", "bpftrace"] {
            let costs = costs(measured, phase)?;
            if !costs.is_empty() {
                beside.insert(phase, costs);
            }
        }
        let facts = &measured.facts;
        let Idle {
            instructions,
            naps,
            clock,
        } = facts.agent.idle;
        let seconds = clock / NANOSECONDS_PER_SECOND;
        Ok(Self {
            kernel: DEFAULT_KERNEL,
            loads: costs(measured, "with")?,
            beside,
            programs: facts.programs.clone(),
            wakers: facts.wakers.clone(),
            start_instructions: facts.agent.start,
            idle_instructions_per_second: instructions / seconds,
            idle_wakeups_per_second: naps / seconds,
        })
    }
}

/// The cost of every load that a phase ran.
fn costs(measured: &Measured, phase: &str) -> Result<BTreeMap<String, Cost>> {
    let mut costs = BTreeMap::new();
    for load in measured.loads() {
        let without = measured.per_request("without", load)?;
        let with = measured.per_request(phase, load)?;
        if let (Some(without), Some(with)) = (without, with) {
            let spread = measured.spread("without", load)?;
            costs.insert(load.to_owned(), Cost::of(without, with, spread));
        }
    }
    Ok(costs)
}

impl Cost {
    fn of(without: Use, with: Use, spread: f64) -> Self {
        let added_observed = with.observed() - without.observed();
        let percent = |part: f64| 100.0 * part / without.observed();
        Self {
            without,
            with,
            added_observed,
            observer: with.observer,
            added_percent: percent(added_observed + with.observer),
            observer_percent: percent(with.observer),
            spread_percent: percent(spread),
            observer_wakeups_per_second: with.naps / (with.clock / NANOSECONDS_PER_SECOND),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::request::measured::tests::sample;

    #[test]
    fn what_is_added_is_told_apart_from_what_the_agent_takes() {
        let figures = Figures::of(&sample(600)).unwrap();
        let cost = figures.loads["kept_512"];
        assert_eq!(cost.added_observed, 4.5);
        assert_eq!(cost.observer, 8.0);
        assert_eq!(cost.added_percent, 100.0 * 12.5 / 50.5);
        assert_eq!(cost.observer_percent, 100.0 * 8.0 / 50.5);
        assert_eq!(cost.spread_percent, 100.0 * 1.0 / 50.5);
        assert_eq!(cost.observer_wakeups_per_second.round(), 100_000.0);
        assert_eq!(figures.idle_wakeups_per_second, 5.0);
        assert!(figures.beside.is_empty());
    }
}
