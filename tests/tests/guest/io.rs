//! HTTP/1.1 over every I/O path: what the agent measured is what both ends say. The script is
//! `tests/guest/io.sh`, the cases are those of the program `io`; `docs/io-paths.md` is made here.

mod ends;

use crate::scenario::Scenario;
use ends::{Said, Verdict, judge};

fn verdicts(scenario: &Scenario, number: usize) -> Vec<(Said, Verdict)> {
    let scrape = scenario.scrape(&number.to_string());
    ["server", "client"]
        .into_iter()
        .map(|role| {
            let said = Said::parse(role, &scenario.text(&format!("{number}.{role}")));
            let verdict = judge(&said, &scrape);
            (said, verdict)
        })
        .collect()
}

#[test]
fn show() {
    let scenario = Scenario::of("io");
    for (at, case) in scenario.text("cases").lines().enumerate() {
        for (said, verdict) in verdicts(&scenario, at + 1) {
            eprintln!(
                "{case}: {:?} {} {:?} {:?}",
                said.fault,
                verdict.is_exact(),
                verdict.says,
                verdict.differences
            );
        }
    }
}
