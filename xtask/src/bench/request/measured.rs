//! What the guest saved: batches of requests and what each process used for them.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

/// The loads of the short run.
pub(super) const SMOKE: [&str; 2] = ["kept_512", "fresh_512"];

/// Everything.
#[derive(Deserialize)]
pub(super) struct Measured {
    batches: Vec<Batch>,
    pub(super) facts: Facts,
}

/// One run of a client. Instructions unless something else is said.
#[derive(Clone, Deserialize)]
struct Batch {
    phase: String,
    load: String,
    requests: f64,
    server: f64,
    client: f64,
    /// The agent, or what was measured in its place.
    observer: f64,
    ksoftirqd: f64,
    kworker: f64,
    other: f64,
    /// How often a thread of the observer went to sleep.
    naps: f64,
    /// Nanoseconds on the guest's clock.
    clock: f64,
}

/// What is not a batch.
#[derive(Deserialize)]
pub(super) struct Facts {
    pub(super) agent: AgentFacts,
    pub(super) floor_bytes: Option<f64>,
    pub(super) bpftrace_calls: Option<f64>,
    /// By load and program.
    #[serde(default)]
    pub(super) programs: BTreeMap<String, BTreeMap<String, ProgramUse>>,
    /// By load: who was running when a thread of the agent was woken, or "a timer"; how often.
    #[serde(default)]
    pub(super) wakers: BTreeMap<String, BTreeMap<String, f64>>,
}

/// The agent beside the requests.
#[derive(Deserialize)]
pub(super) struct AgentFacts {
    /// Instructions until it was ready.
    pub(super) start: f64,
    counted: f64,
    made: f64,
    pub(super) idle: Idle,
}

/// The agent while nothing happens.
#[derive(Clone, Copy, Deserialize, Serialize)]
pub(super) struct Idle {
    pub(super) instructions: f64,
    pub(super) naps: f64,
    pub(super) clock: f64,
}

/// What a kernel program ran per request.
#[derive(Clone, Copy, Deserialize, Serialize)]
pub(super) struct ProgramUse {
    pub(super) runs: f64,
    pub(super) instructions: f64,
}

/// Instructions of one request, by who ran them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct Use {
    pub(super) server: f64,
    pub(super) client: f64,
    pub(super) kernel_threads: f64,
    #[serde(skip)]
    pub(super) observer: f64,
    #[serde(skip)]
    pub(super) naps: f64,
    #[serde(skip)]
    pub(super) clock: f64,
}

impl Use {
    /// What the request itself takes: all but the observer.
    pub(super) fn observed(&self) -> f64 {
        self.server + self.client + self.kernel_threads
    }
}

impl Measured {
    /// Whether what was measured is an agent that counts: one that sees nothing is cheap.
    pub(super) fn check(&self) -> Result<()> {
        let AgentFacts { counted, made, .. } = self.facts.agent;
        ensure!(
            counted == made,
            "the agent counted {counted} of nginx's requests, and {made} were made: this is not the cost of a working agent"
        );
        for (what, number) in [
            ("the floor read no bytes", self.facts.floor_bytes),
            ("bpftrace counted no calls", self.facts.bpftrace_calls),
        ] {
            ensure!(number.is_none_or(|number| number > 0.0), "{what}");
        }
        Ok(())
    }

    /// The loads that were run, in their order.
    pub(super) fn loads(&self) -> Vec<&str> {
        let mut loads: Vec<&str> = Vec::new();
        for batch in &self.batches {
            if !loads.contains(&batch.load.as_str()) {
                loads.push(&batch.load);
            }
        }
        loads
    }

    /// What a request of a load takes in a phase: the mean over the times that the phase was run.
    pub(super) fn per_request(&self, phase: &str, load: &str) -> Result<Option<Use>> {
        let all = self.each_time(phase, load)?;
        let mean = |of: fn(&Use) -> f64| all.iter().map(of).sum::<f64>() / all.len() as f64;
        Ok((!all.is_empty()).then(|| Use {
            server: mean(|one| one.server),
            client: mean(|one| one.client),
            kernel_threads: mean(|one| one.kernel_threads),
            observer: mean(|one| one.observer),
            naps: mean(|one| one.naps),
            clock: mean(|one| one.clock),
        }))
    }

    /// By how much what a request takes differs at most between the times that a phase was run.
    pub(super) fn spread(&self, phase: &str, load: &str) -> Result<f64> {
        let all = self.each_time(phase, load)?;
        let totals = || all.iter().map(Use::observed);
        Ok(totals().fold(f64::MIN, f64::max) - totals().fold(f64::MAX, f64::min))
    }

    /// A small batch and a large one follow each other; a request takes its part of the difference.
    fn each_time(&self, phase: &str, load: &str) -> Result<Vec<Use>> {
        let batches = self.batches.iter();
        let batches: Vec<&Batch> = batches
            .filter(|batch| batch.phase == phase && batch.load == load)
            .collect();
        let pairs = batches.chunks(2).map(|pair| match pair {
            [small, large] => Ok(between(small, large)),
            _ => Err(anyhow::anyhow!("a batch stands alone")),
        });
        pairs
            .collect::<Result<_>>()
            .with_context(|| format!("{load}, {phase}"))
    }
}

fn between(small: &Batch, large: &Batch) -> Use {
    let requests = large.requests - small.requests;
    let of = |get: fn(&Batch) -> f64| (get(large) - get(small)) / requests;
    Use {
        server: of(|batch| batch.server),
        client: of(|batch| batch.client),
        kernel_threads: of(|batch| batch.ksoftirqd + batch.kworker + batch.other),
        observer: of(|batch| batch.observer),
        naps: of(|batch| batch.naps),
        clock: of(|batch| batch.clock),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use serde_json::json;

    fn batch(phase: &str, requests: u64, server: u64, observer: u64) -> serde_json::Value {
        json!({
            "phase": phase, "load": "kept_512", "requests": requests, "server": server,
            "client": 700 + 30 * requests, "observer": observer, "ksoftirqd": 0, "kworker": 5, "other": 0,
            "naps": requests / 10, "clock": 1000 * requests,
        })
    }

    /// A request takes 20 and 30 instructions, 5 more with the agent, which uses 8 itself.
    pub(in crate::bench::request) fn sample(counted: u64) -> Measured {
        let without = [
            batch("without", 100, 2500, 0),
            batch("without", 500, 10_500, 0),
        ];
        let with = [
            batch("with", 100, 3000, 900),
            batch("with", 500, 13_000, 4100),
        ];
        let again = [
            batch("without", 100, 2500, 0),
            batch("without", 500, 10_900, 0),
        ];
        let batches = [without, with, again].concat();
        serde_json::from_value(json!({
            "batches": batches,
            "facts": {"agent": {
                "start": 2e9, "counted": counted, "made": 600,
                "idle": {"instructions": 60, "naps": 300, "clock": 60e9},
            }},
        }))
        .unwrap()
    }

    #[test]
    fn what_a_client_needs_to_start_is_not_in_a_request() {
        let measured = sample(600);
        let with = measured.per_request("with", "kept_512").unwrap().unwrap();
        let want = Use {
            server: 25.0,
            client: 30.0,
            observer: 8.0,
            naps: 0.1,
            clock: 1000.0,
            ..Use::default()
        };
        assert_eq!(with, want);
        assert_eq!(measured.per_request("floor", "kept_512").unwrap(), None);
    }

    #[test]
    fn a_phase_that_ran_twice_counts_as_its_mean_and_tells_its_spread() {
        let measured = sample(600);
        let without = measured
            .per_request("without", "kept_512")
            .unwrap()
            .unwrap();
        assert_eq!(without.server, 20.5);
        assert_eq!(measured.spread("without", "kept_512").unwrap(), 1.0);
    }

    #[test]
    fn an_agent_that_does_not_count_is_not_measured() {
        assert!(sample(600).check().is_ok());
        assert!(sample(599).check().is_err());
    }
}
