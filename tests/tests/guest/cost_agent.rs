//! What the agent uses for an exchange, a series and a connection, in instructions and bytes, against what
//! `docs/cost/agent.json` says. The programs are in `bench/`.

use xtask::bench::agent;

#[test]
fn the_agent_uses_no_more_than_the_committed_figures_say() {
    let regressions = agent::regressions(&agent::build().unwrap()).unwrap();
    assert!(
        regressions.is_empty(),
        "over 10 % above docs/cost/agent.json; if that has a reason, `cargo xtask bench agent` writes it anew:\n{}",
        regressions.join("\n")
    );
}
