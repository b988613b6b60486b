//! `sockmeter check` and `sockmeter metrics`: what this host supports and why not, and what is measured.

use crate::{
    cli::{EXIT_CANNOT_RUN, EXIT_FEATURES_OFF},
    config::{Config, Format},
    health::{ProbeHealth, Verdict, is_ready},
    host::{self, Requirement},
    probes::{ALL, Probes},
    series::catalogue,
};
use serde::Serialize;
use std::fmt::Write;

/// What was found.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The host.
    pub requirements: Vec<Requirement>,
    /// Each program, attached for a moment and detached again.
    pub probes: Vec<ProbeHealth>,
    /// Why the programs could not even be loaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// Looks at the host; where nothing is in the way, attaches every program for a moment.
pub fn report(config: &Config) -> Report {
    let requirements = host::requirements();
    let mut report = Report {
        requirements,
        probes: Vec::new(),
        failure: None,
    };
    if report
        .requirements
        .iter()
        .any(|found| found.missing.is_some())
    {
        return report;
    }
    match Probes::start(config) {
        Ok((probes, _maps)) => report.probes = probes.verdicts().to_vec(),
        Err(error) => report.failure = Some(error.to_string()),
    }
    report
}

/// The programs that are not attached, though something is not measured without them.
pub fn faults(probes: &[ProbeHealth]) -> impl Iterator<Item = (&ProbeHealth, &str)> {
    probes.iter().filter_map(|probe| match &probe.verdict {
        Verdict::Failed { why } => Some((probe, why.as_str())),
        Verdict::Unsupported { why } if probe.essential => Some((probe, why.as_str())),
        _ => None,
    })
}

impl Report {
    /// 0 ready, 1 cannot run, 2 runs with features off.
    pub fn exit_code(&self) -> u8 {
        if !is_ready(&self.probes) {
            EXIT_CANNOT_RUN
        } else if faults(&self.probes).next().is_some() {
            EXIT_FEATURES_OFF
        } else {
            0
        }
    }

    /// For people or for programs.
    pub fn render(&self, format: Format) -> String {
        match format {
            Format::Json => to_json(self),
            Format::Text => self.text(),
        }
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for Requirement {
            name,
            found,
            missing,
        } in &self.requirements
        {
            let (mark, why) = match missing {
                None => ("ok", String::new()),
                Some(why) => ("MISSING", format!(": {why}")),
            };
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{mark:<12} {name}: {found}{why}");
        }
        for ProbeHealth {
            program,
            family,
            kind,
            verdict,
            ..
        } in &self.probes
        {
            let (mark, why) = match verdict {
                Verdict::Attached => ("ok", String::new()),
                Verdict::Unsupported { why } => ("unsupported", format!(": {why}")),
                Verdict::Failed { why } => ("FAILED", format!(": {why}")),
                Verdict::Off { why } => ("off", format!(": {why}")),
            };
            let gives = gives(program);
            let _ = writeln!(
                text,
                "{mark:<12} {family}/{program} ({kind}), gives {gives}{why}"
            );
        }
        if let Some(why) = &self.failure {
            let _ = writeln!(text, "{:<12} {why}", "FAILED");
        }
        let verdict = match self.exit_code() {
            0 => "ready: everything works here",
            EXIT_FEATURES_OFF => "runs here with features off",
            _ => "cannot run here",
        };
        let _ = writeln!(text, "{verdict}");
        text
    }
}

fn gives(program: &str) -> &'static str {
    let mut programs = ALL.iter().flat_map(|family| family.all_programs());
    programs
        .find(|known| known.name == program)
        .map_or("", |known| known.gives)
}

fn to_json(value: &impl Serialize) -> String {
    // Plain data with string keys always serialises.
    let mut text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.push('\n');
    text
}

#[derive(Serialize)]
struct Listed<'a> {
    name: &'a str,
    r#type: &'a str,
    unit: Option<&'a str>,
    labels: Vec<&'a str>,
    help: &'a str,
}

/// Every metric with its type, labels and help.
pub fn metrics(format: Format) -> String {
    let listed = catalogue::ALL.iter().map(|metric| {
        let shared: &[&str] = match metric.group {
            catalogue::Group::Process => catalogue::PROCESS_LABELS,
            catalogue::Group::Agent => &[],
        };
        Listed {
            name: metric.name,
            r#type: metric.kind.label(),
            unit: metric.unit,
            labels: shared.iter().chain(metric.labels).copied().collect(),
            help: metric.help,
        }
    });
    match format {
        Format::Json => to_json(&listed.collect::<Vec<_>>()),
        Format::Text => listed.fold(String::new(), |mut text, metric| {
            let Listed {
                name,
                r#type,
                unit: _,
                labels,
                help,
            } = metric;
            let _ = writeln!(text, "{name} ({type})\n    {help}");
            if !labels.is_empty() {
                let _ = writeln!(text, "    labels: {}", labels.join(", "));
            }
            text
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(verdicts: Vec<(bool, Verdict)>) -> Report {
        let probe = |(essential, verdict)| ProbeHealth {
            program: "socket_send",
            family: "socket_io",
            kind: "fexit",
            essential,
            verdict,
        };
        Report {
            requirements: Vec::new(),
            probes: verdicts.into_iter().map(probe).collect(),
            failure: None,
        }
    }

    #[test]
    fn exit_codes_tell_ready_from_degraded_from_unable() {
        let failed = || Verdict::Failed {
            why: "refused".to_owned(),
        };
        let unsupported = || Verdict::Unsupported {
            why: "no such function".to_owned(),
        };
        assert_eq!(report(vec![]).exit_code(), 1);
        assert_eq!(report(vec![(true, Verdict::Attached)]).exit_code(), 0);
        assert_eq!(
            report(vec![(true, Verdict::Attached), (false, unsupported())]).exit_code(),
            0
        );
        assert_eq!(
            report(vec![(true, Verdict::Attached), (false, failed())]).exit_code(),
            2
        );
        assert_eq!(report(vec![(true, failed())]).exit_code(), 1);
    }

    #[test]
    fn the_text_names_program_use_and_reason() {
        let text = report(vec![(
            true,
            Verdict::Failed {
                why: "refused".to_owned(),
            },
        )])
        .text();
        assert_eq!(
            text,
            "FAILED       socket_io/socket_send (fexit), gives bytes sent: refused\ncannot run here\n"
        );
    }

    #[test]
    fn every_metric_is_listed_with_type_labels_and_help() {
        let text = metrics(Format::Text);
        for metric in catalogue::ALL {
            assert!(text.contains(&format!("{} ({})", metric.name, metric.kind.label())));
            assert!(text.contains(metric.help));
        }
        let json: serde_json::Value = serde_json::from_str(&metrics(Format::Json)).unwrap();
        assert_eq!(json.as_array().unwrap().len(), catalogue::ALL.len());
    }
}
