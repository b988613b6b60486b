//! The agent's own state: verdicts, losses, its own process. Plain data that others fill.

pub mod process;

use crate::{
    records::CaptureLevel,
    serve::{Health, Part, Status},
};
use std::time::Duration;

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

/// What the agent's CPU limit leaves to capture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Capture {
    /// How much is captured.
    pub level: CaptureLevel,
    /// Processes of which nothing is.
    pub excluded_processes: usize,
    /// Processors that the agent may use.
    pub limit_cores: f64,
    /// Processors that it used in the last second.
    pub used_cores: f64,
    /// Those that it used when capture was reduced.
    pub reduced_at_cores: f64,
    /// How long ago that was.
    pub reduced_for: Duration,
}

/// Whether every essential program is attached. Not before the first verdict.
pub fn is_ready(probes: &[ProbeHealth]) -> bool {
    let mut essential = probes.iter().filter(|probe| probe.essential).peekable();
    essential.peek().is_some() && essential.all(|probe| probe.verdict == Verdict::Attached)
}

/// The agent's state for `/health`: one part per attach family, then what was lost, how much is captured, and `more`:
/// what the agent may do, and what the host offers. Losses do not change the status: they are counts that never go back.
pub fn health(
    probes: &[ProbeHealth],
    losses: &[(&'static str, u64)],
    connections: usize,
    capture: &Capture,
    more: Vec<Part>,
) -> Health {
    let mut families: Vec<&'static str> = probes.iter().map(|probe| probe.family).collect();
    families.dedup();
    let mut parts: Vec<Part> = families
        .into_iter()
        .map(|family| part(family, probes.iter().filter(|probe| probe.family == family)))
        .collect();
    parts.push(records(losses, connections));
    parts.push(captured(capture));
    parts.extend(more);
    let is_degraded = parts.iter().any(|part| part.status != Status::Ok);
    let ready = is_ready(probes);
    Health {
        status: match (ready, is_degraded) {
            (false, _) => Status::Failed,
            (true, true) => Status::Degraded,
            (true, false) => Status::Ok,
        },
        not_ready: (!ready).then(|| "an essential kernel program is not attached".to_owned()),
        parts,
    }
}

fn part<'a>(family: &str, probes: impl Iterator<Item = &'a ProbeHealth>) -> Part {
    let (mut status, mut attached, mut missing) = (Status::Ok, 0, Vec::new());
    for ProbeHealth {
        program,
        essential,
        verdict,
        ..
    } in probes
    {
        let (what, why, is_fault) = match verdict {
            Verdict::Attached => {
                attached += 1;
                continue;
            }
            // What a kernel does not have, it does not need.
            Verdict::Unsupported { why } => ("unsupported", why, *essential),
            Verdict::Failed { why } => ("failed", why, true),
            Verdict::Off { why } => ("off", why, *essential),
        };
        missing.push(format!("{program} {what}: {why}"));
        if is_fault {
            status = if *essential {
                Status::Failed
            } else {
                Status::Degraded
            };
        }
    }
    let mut why = format!("{attached} programs attached");
    for text in missing {
        why.push_str("; ");
        why.push_str(&text);
    }
    Part {
        name: family.to_owned(),
        status,
        why,
    }
}

fn records(losses: &[(&'static str, u64)], connections: usize) -> Part {
    let mut why = format!("{connections} connections followed");
    let lost: Vec<String> = losses
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(reason, count)| format!("{count} {reason}"))
        .collect();
    why.push_str(if lost.is_empty() {
        "; nothing lost"
    } else {
        "; lost: "
    });
    why.push_str(&lost.join(", "));
    Part {
        name: "records".to_owned(),
        status: Status::Ok,
        why,
    }
}

fn captured(capture: &Capture) -> Part {
    let Capture {
        level,
        excluded_processes,
        limit_cores,
        used_cores,
        reduced_at_cores,
        reduced_for,
    } = *capture;
    let (name, meaning) = (level.label(), level.meaning());
    let mut why = format!("{name}: {meaning}; {used_cores:.2} of {limit_cores} processors used");
    if excluded_processes > 0 {
        why.push_str(&format!("; {excluded_processes} processes excluded"));
    }
    let status = if level == CaptureLevel::Full {
        Status::Ok
    } else {
        let seconds = reduced_for.as_secs();
        why.push_str(&format!(
            "; reduced {seconds} s ago, at {reduced_at_cores:.2} of cpu_limit_cores"
        ));
        Status::Degraded
    };
    Part {
        name: "capture".to_owned(),
        status,
        why,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::privileges::Privileges;

    const CAPTURE: Capture = Capture {
        level: CaptureLevel::Full,
        excluded_processes: 0,
        limit_cores: 0.5,
        used_cores: 0.0123,
        reduced_at_cores: 0.0,
        reduced_for: Duration::ZERO,
    };

    fn probe(program: &'static str, essential: bool, verdict: Verdict) -> ProbeHealth {
        ProbeHealth {
            program,
            family: "socket_io",
            kind: "fentry",
            essential,
            verdict,
        }
    }

    fn privileges() -> Part {
        Privileges::default().part()
    }

    fn failed() -> Verdict {
        Verdict::Failed {
            why: "the verifier refused it".to_owned(),
        }
    }

    fn unsupported() -> Verdict {
        Verdict::Unsupported {
            why: "this kernel has no tcp_sendpage".to_owned(),
        }
    }

    #[test]
    fn ready_when_every_essential_program_is_attached() {
        assert!(!is_ready(&[]));
        assert!(!is_ready(&[probe("a", false, Verdict::Attached)]));
        assert!(is_ready(&[
            probe("a", true, Verdict::Attached),
            probe("b", false, failed())
        ]));
        assert!(!is_ready(&[
            probe("a", true, Verdict::Attached),
            probe("b", true, unsupported())
        ]));
    }

    #[test]
    fn one_refused_program_costs_one_feature() {
        let status = |second| {
            let probes = [probe("a", true, Verdict::Attached), second];
            health(&probes, &[], 0, &CAPTURE, vec![privileges()]).status
        };
        assert_eq!(status(probe("b", false, failed())), Status::Degraded);
        assert_eq!(status(probe("b", false, unsupported())), Status::Ok);
        assert_eq!(status(probe("b", true, failed())), Status::Failed);
    }

    #[test]
    fn each_part_says_why() {
        let probes = [
            probe("send", true, Verdict::Attached),
            probe("page", false, unsupported()),
        ];
        let Health {
            status,
            not_ready,
            parts,
        } = health(
            &probes,
            &[("ring_full_segment", 3), ("ring_full_closed", 0)],
            12,
            &CAPTURE,
            vec![privileges()],
        );
        assert_eq!((status, not_ready), (Status::Ok, None));
        let said: Vec<_> = parts
            .iter()
            .map(|part| (part.name.as_str(), part.why.as_str()))
            .collect();
        assert_eq!(
            said,
            [
                (
                    "socket_io",
                    "1 programs attached; page unsupported: this kernel has no tcp_sendpage"
                ),
                (
                    "records",
                    "12 connections followed; lost: 3 ring_full_segment"
                ),
                (
                    "capture",
                    "full: everything is captured; 0.01 of 0.5 processors used"
                ),
                ("privileges", "no capability is kept"),
            ]
        );
    }

    #[test]
    fn reduced_capture_is_degraded_and_says_why() {
        let reduced = Capture {
            level: CaptureLevel::Head,
            excluded_processes: 3,
            reduced_at_cores: 0.497,
            reduced_for: Duration::from_millis(3900),
            ..CAPTURE
        };
        let probes = [probe("a", true, Verdict::Attached)];
        let Health {
            status,
            not_ready,
            parts,
        } = health(&probes, &[], 0, &reduced, vec![privileges()]);
        assert_eq!((status, not_ready), (Status::Degraded, None));
        let part = parts.iter().find(|part| part.name == "capture").unwrap();
        assert_eq!(
            (part.name.as_str(), part.why.as_str()),
            (
                "capture",
                "head: only the first bytes of heads are captured; 0.01 of 0.5 processors used; \
                 3 processes excluded; reduced 3 s ago, at 0.50 of cpu_limit_cores"
            )
        );
    }
}
