//! House rule: between `records` and `export` time comes from the records, so that a recording replays
//! to the same scrape.

use super::source::{Finding, Source};

/// Files, and folders with all that is in them. The parts of `identity/` read the running system.
const CLOCKLESS: [&str; 9] = [
    "agent/src/connections.rs",
    "agent/src/connections/",
    "agent/src/protocol.rs",
    "agent/src/protocol/",
    "agent/src/exchanges.rs",
    "agent/src/identity.rs",
    "agent/src/series.rs",
    "agent/src/series/",
    "agent/src/pipeline.rs",
];

const CLOCKS: [&str; 2] = ["Instant::now", "SystemTime::now"];

/// Finds readings of the clock.
pub(crate) fn none_in_the_middle(sources: &[Source]) -> Vec<Finding> {
    let clockless = |source: &&Source| CLOCKLESS.iter().any(|place| source.path.starts_with(place));
    let mut found = Vec::new();
    for source in sources.iter().filter(clockless) {
        for (number, line) in source.code_lines() {
            if let Some(clock) = CLOCKS.iter().find(|clock| line.contains(*clock)) {
                found.push(Finding::new(
                    source,
                    number,
                    format!("no `{clock}` here: time comes from the records"),
                ));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_in_the_middle_is_found() {
        let text = "//! No Instant::now() here.\nlet now = std::time::Instant::now();\n";
        let found = none_in_the_middle(&[Source::sample("agent/src/protocol/dns.rs", text)]);
        assert_eq!(
            found.iter().map(|finding| finding.line).collect::<Vec<_>>(),
            [2]
        );
    }

    #[test]
    fn the_edges_may_know_the_time() {
        assert!(
            none_in_the_middle(&[Source::sample("agent/src/main.rs", "Instant::now()")]).is_empty()
        );
    }
}
