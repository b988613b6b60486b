//! The agent's own state: verdicts, losses, its own process. Plain data that others fill.

pub mod process;

use serde::ser::{Serialize, SerializeStruct, Serializer};
use std::collections::BTreeMap;

/// Each part of the agent and why it is as it is; serialised, it is the answer of `/health`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Every program of the kernel side.
    pub probes: Vec<ProbeHealth>,
    /// When the agent started, in seconds since 1970.
    pub started_unix_seconds: u64,
    /// What was lost since, by reason.
    pub losses: BTreeMap<&'static str, u64>,
    /// Connections followed now.
    pub connections_followed: u64,
}

/// One program of the kernel side.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ProbeHealth {
    /// Its name in the kernel object.
    pub program: &'static str,
    /// Its attach family: the file that holds it.
    pub family: &'static str,
    /// How it attaches: `fentry`, `kprobe`, ...
    pub kind: &'static str,
    /// Without it the agent measures nothing, because no other program does its work.
    pub essential: bool,
    /// What came of attaching it.
    #[serde(flatten)]
    pub verdict: Verdict,
}

/// What came of attaching a program.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// It runs.
    Attached,
    /// The running kernel cannot have it.
    Unsupported {
        /// What the kernel lacks.
        why: String,
    },
    /// It should run and does not.
    Failed {
        /// What the kernel answered.
        why: String,
    },
    /// It is not wanted: by the configuration, or because another program does its work.
    Off {
        /// By whose wish.
        why: String,
    },
}

/// The state of the whole, worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// All that is wanted runs.
    Ok,
    /// Some feature is missing.
    Degraded,
    /// Nothing can be measured.
    Failed,
}

impl Health {
    /// Whether every essential program is attached. Not before the first verdict.
    pub fn ready(&self) -> bool {
        let mut essential = self
            .probes
            .iter()
            .filter(|probe| probe.essential)
            .peekable();
        essential.peek().is_some() && essential.all(|probe| probe.verdict == Verdict::Attached)
    }

    /// The state of the whole. Losses do not change it: they are counts that never go back.
    pub fn status(&self) -> Status {
        let is_missing = |probe: &ProbeHealth| {
            matches!(
                probe.verdict,
                Verdict::Unsupported { .. } | Verdict::Failed { .. }
            )
        };
        if !self.ready() {
            Status::Failed
        } else if self.probes.iter().any(is_missing) {
            Status::Degraded
        } else {
            Status::Ok
        }
    }
}

impl Serialize for Health {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Whole, so that a new field cannot be forgotten here.
        let Self {
            probes,
            started_unix_seconds,
            losses,
            connections_followed,
        } = self;
        let mut json = serializer.serialize_struct("Health", 7)?;
        json.serialize_field("status", &self.status())?;
        json.serialize_field("ready", &self.ready())?;
        json.serialize_field("version", env!("CARGO_PKG_VERSION"))?;
        json.serialize_field("started_unix_seconds", started_unix_seconds)?;
        json.serialize_field("connections_followed", connections_followed)?;
        json.serialize_field("losses", losses)?;
        json.serialize_field("probes", probes)?;
        json.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probe(program: &'static str, essential: bool, verdict: Verdict) -> ProbeHealth {
        ProbeHealth {
            program,
            family: "socket_io",
            kind: "fentry",
            essential,
            verdict,
        }
    }

    fn health(probes: Vec<ProbeHealth>) -> Health {
        Health {
            probes,
            ..Health::default()
        }
    }

    #[test]
    fn ready_when_every_essential_program_is_attached() {
        let why = || "no BTF".to_owned();
        assert!(!health(vec![]).ready());
        assert!(!health(vec![probe("a", false, Verdict::Attached)]).ready());
        assert!(health(vec![probe("a", true, Verdict::Attached)]).ready());
        for verdict in [
            Verdict::Unsupported { why: why() },
            Verdict::Failed { why: why() },
            Verdict::Off { why: why() },
        ] {
            let attached = probe("a", true, Verdict::Attached);
            assert!(!health(vec![attached.clone(), probe("b", true, verdict.clone())]).ready());
            assert!(health(vec![attached, probe("b", false, verdict)]).ready());
        }
    }

    #[test]
    fn status_is_the_worst_of_what_is_wanted() {
        let why = || "asked so".to_owned();
        let with = |other| {
            health(vec![
                probe("a", true, Verdict::Attached),
                probe("b", false, other),
            ])
            .status()
        };
        assert_eq!(with(Verdict::Attached), Status::Ok);
        assert_eq!(with(Verdict::Off { why: why() }), Status::Ok);
        assert_eq!(with(Verdict::Unsupported { why: why() }), Status::Degraded);
        assert_eq!(with(Verdict::Failed { why: why() }), Status::Degraded);
        assert_eq!(
            health(vec![probe("a", true, Verdict::Failed { why: why() })]).status(),
            Status::Failed
        );
    }

    #[test]
    fn json_tells_each_part_and_why() {
        let health = Health {
            probes: vec![
                probe("send", true, Verdict::Attached),
                probe(
                    "queue",
                    false,
                    Verdict::Unsupported {
                        why: "needs 5.11".to_owned(),
                    },
                ),
            ],
            started_unix_seconds: 1_700_000_000,
            losses: BTreeMap::from([("ring_full", 3), ("overflow", 0)]),
            connections_followed: 12,
        };
        assert_eq!(
            serde_json::to_value(&health).unwrap(),
            serde_json::json!({
                "status": "degraded",
                "ready": true,
                "version": env!("CARGO_PKG_VERSION"),
                "started_unix_seconds": 1_700_000_000_u64,
                "connections_followed": 12,
                "losses": { "overflow": 0, "ring_full": 3 },
                "probes": [
                    {
                        "program": "send", "family": "socket_io", "kind": "fentry",
                        "essential": true, "verdict": "attached",
                    },
                    {
                        "program": "queue", "family": "socket_io", "kind": "fentry",
                        "essential": false, "verdict": "unsupported", "why": "needs 5.11",
                    },
                ],
            })
        );
    }
}
