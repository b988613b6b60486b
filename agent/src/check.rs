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
    let requirements = host::requirements(config.kernel.btf.as_deref());
    let mut report = Report {
        requirements,
        probes: Vec::new(),
        failure: None,
    };
    if report.requirements.iter().any(Requirement::bars) {
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
        } else if faults(&self.probes).next().is_some()
            || self
                .requirements
                .iter()
                .any(|found| found.missing.is_some())
        {
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
        for requirement in &self.requirements {
            let mark = match (&requirement.missing, requirement.essential) {
                (None, _) => "ok",
                (Some(_), true) => "MISSING",
                (Some(_), false) => "without",
            };
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "{mark:<12} {}: {}",
                requirement.name, requirement.found
            );
            if let Some(why) = &requirement.missing {
                let _ = writeln!(text, "{:<12}   {why}", "");
            }
            if let Some(remedy) = &requirement.remedy {
                let _ = writeln!(text, "{:<12}   to do: {remedy}", "");
            }
        }
        let mut families: Vec<&str> = self.probes.iter().map(|probe| probe.family).collect();
        families.dedup();
        for family in families {
            self.tell_family(family, &mut text);
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

impl Report {
    /// A line for the family, and one for each of its programs that is not attached.
    fn tell_family(&self, family: &str, text: &mut String) {
        let probes: Vec<&ProbeHealth> = self
            .probes
            .iter()
            .filter(|probe| probe.family == family)
            .collect();
        let attached = probes
            .iter()
            .filter(|probe| probe.verdict == Verdict::Attached);
        let mut kinds: Vec<&str> = attached.clone().map(|probe| probe.kind).collect();
        kinds.sort_unstable();
        kinds.dedup();
        let count = attached.count();
        let fault = |probe: &&ProbeHealth| faults(std::slice::from_ref(*probe)).next().is_some();
        let mark = if probes.iter().any(|probe| probe.essential && fault(probe)) {
            "FAILED"
        } else if count == 0 || probes.iter().any(fault) {
            "off"
        } else {
            "ok"
        };
        let kinds = kinds.join(", ");
        let of = probes.len();
        let _ = writeln!(
            text,
            "{mark:<12} {family}: {count} of {of} programs attached ({kinds})"
        );
        for ProbeHealth {
            program,
            family,
            kind,
            verdict,
            ..
        } in probes
        {
            let (mark, why) = match verdict {
                Verdict::Attached => continue,
                Verdict::Unsupported { why } => ("unsupported", why),
                Verdict::Failed { why } => ("FAILED", why),
                Verdict::Off { why } => ("off", why),
            };
            let gives = gives(program);
            let _ = writeln!(
                text,
                "{mark:<12}   {family}/{program} ({kind}), gives {gives}: {why}"
            );
        }
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
            "FAILED       socket_io: 0 of 1 programs attached ()\n\
             FAILED         socket_io/socket_send (fexit), gives bytes sent: refused\ncannot run here\n"
        );
    }

    #[test]
    fn what_the_host_lacks_is_told_with_what_to_do() {
        let mut lacking = report(vec![(true, Verdict::Attached)]);
        assert_eq!(lacking.exit_code(), 0);
        lacking.requirements.push(Requirement {
            name: "CAP_SYS_PTRACE",
            found: "not held".to_owned(),
            missing: Some("names are short".to_owned()),
            remedy: Some("run as root".to_owned()),
            essential: false,
        });
        assert_eq!(lacking.exit_code(), 2);
        let text = lacking.text();
        assert!(
            text.starts_with("without      CAP_SYS_PTRACE: not held\n               names are short\n               to do: run as root\nok           socket_io: 1 of 1 programs attached (fexit)\n"),
            "{text}"
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
