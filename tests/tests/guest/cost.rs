//! What requests cost, in instructions, against what `docs/cost/request.json` says. The guest's half is
//! `tests/guest/cost.sh`.

use std::path::PathBuf;

use xtask::bench::request;

#[test]
fn a_request_costs_no_more_than_the_committed_figures_say() {
    let Ok(agent) = std::env::var("SOCKMETER_AGENT") else {
        panic!(
            "SOCKMETER_AGENT does not name the agent; `cargo xtask test` builds it and says which"
        );
    };
    let regressions = request::regressions(&PathBuf::from(agent)).unwrap();
    assert!(
        regressions.is_empty(),
        "over 10 % above docs/cost/request.json; if that has a reason, `cargo xtask bench request` writes it anew:\n{}",
        regressions.join("\n")
    );
}
