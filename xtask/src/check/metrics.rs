//! House rule: a metric that a dashboard, a rule or a document names is one that a golden scrape shows.

use std::collections::HashSet;

use super::source::{Finding, Source};

/// Where metrics are named for people and dashboards.
const READERS: [&str; 4] = ["dashboards/", "rules/", "docs/", "README.md"];
/// How names of metrics begin; names of labels begin so as well, but do not end in what follows.
const FIRST_PARTS: [&str; 8] = [
    "db",
    "dns",
    "http",
    "messaging",
    "process",
    "rpc",
    "sockmeter",
    "target",
];
const LAST_PARTS: [&str; 14] = [
    "active", "attached", "bucket", "bytes", "count", "info", "length", "limit", "requests",
    "seconds", "series", "sum", "total", "ratio",
];

/// Finds names that no golden scrape has and no recording rule makes.
pub(crate) fn exist(sources: &[Source]) -> Vec<Finding> {
    let is_golden =
        |source: &&Source| source.path.contains("/golden/") && source.path.ends_with(".txt");
    let golden = sources
        .iter()
        .filter(is_golden)
        .flat_map(|source| scraped_names(&source.text));
    let rules = sources
        .iter()
        .filter(|source| source.path.starts_with("rules/"));
    let known: HashSet<&str> = golden
        .chain(rules.flat_map(|source| recorded_names(&source.text)))
        .collect();
    let mut found = Vec::new();
    for source in sources
        .iter()
        .filter(|source| READERS.iter().any(|place| source.path.starts_with(place)))
    {
        for (number, line) in (1..).zip(source.text.lines()) {
            for name in named(line).filter(|name| !known.contains(name)) {
                found.push(Finding::new(
                    source,
                    number,
                    format!("no golden scrape has the metric `{name}`"),
                ));
            }
        }
    }
    found
}

/// The series of a scrape, and the histograms that they are parts of.
fn scraped_names(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| {
        let line = line.strip_prefix("# TYPE ").unwrap_or(line);
        line.split([' ', '{'])
            .next()
            .filter(|name| !name.is_empty() && !name.starts_with('#'))
    })
}

/// What `record:` lines of a rule file make.
fn recorded_names(text: &str) -> impl Iterator<Item = &str> {
    let line = |line| -> Option<&str> {
        str::trim(line)
            .trim_start_matches("- ")
            .strip_prefix("record:")
    };
    text.lines()
        .filter_map(line)
        .map(|name| name.trim().trim_matches(['"', '\'']))
}

/// The words of a line that are names of metrics.
fn named(line: &str) -> impl Iterator<Item = &str> {
    line.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_' && letter != ':')
        .filter(|word| {
            let first = word.split_once('_').map(|(first, _)| first);
            let last = word.rsplit_once('_').map(|(_, last)| last);
            first.is_some_and(|part| FIRST_PARTS.contains(&part))
                && last.is_some_and(|part| LAST_PARTS.contains(&part))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing(reader: &str, text: &str) -> Vec<String> {
        let golden = "# TYPE http_server_request_duration_seconds histogram\n\
                      http_server_request_duration_seconds_bucket{le=\"1\"} 2\nsockmeter_series 3\n";
        let rules =
            "groups:\n- rules:\n  - record: http_requests_total\n    expr: sum(sockmeter_series)\n";
        let sources = [
            ("tests/golden/scrape.txt", golden),
            ("rules/classic.yml", rules),
            (reader, text),
        ]
        .map(|(path, text)| Source::sample(path, text));
        exist(&sources)
            .into_iter()
            .map(|finding| finding.what)
            .collect()
    }

    #[test]
    fn a_metric_that_nothing_makes_is_found() {
        let found = missing(
            "dashboards/a.json",
            "{\"expr\": \"rate(http_server_requests_total[5m])\"}",
        );
        assert!(
            found
                .first()
                .is_some_and(|what| what.contains("`http_server_requests_total`")),
            "{found:?}"
        );
    }

    #[test]
    fn scraped_and_recorded_metrics_and_labels_are_known() {
        let text = "`http_server_request_duration_seconds` by `http_request_method`, \
                    sum(http_requests_total) and http_server_request_duration_seconds_bucket{process_pid=\"1\"}";
        assert_eq!(missing("README.md", text), [""; 0]);
    }

    #[test]
    fn other_files_may_speak_of_anything() {
        assert_eq!(missing("agent/src/a.rs", "http_nonsense_total"), [""; 0]);
    }
}
