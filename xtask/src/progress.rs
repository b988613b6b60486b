//! Tells the person who waits what is going on, on standard error.

use std::io::{IsTerminal, Write, stderr};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::Result;

/// A step that is done sooner than this is not worth a line.
const PATIENCE: Duration = Duration::from_secs(2);

/// Runs a step that prints nothing itself. After two seconds its name appears: with running seconds
/// on a terminal, else with one line now and one at the end.
pub(crate) fn step<T>(name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let started = Instant::now();
    let (finished, signal) = channel::<()>();
    let (result, shown) = std::thread::scope(|scope| {
        let ticker = scope.spawn(move || tick(name, started, &signal));
        let result = work();
        drop(finished);
        (result, ticker.join().unwrap_or(false))
    });
    if shown {
        let verdict = if result.is_ok() { "done" } else { "failed" };
        say(&format!(
            "{name}: {verdict} after {:.1} s",
            started.elapsed().as_secs_f64()
        ));
    }
    result
}

/// Runs a step that shows its own progress (cargo, the test runner); only the frame is ours.
pub(crate) fn phase<T>(name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let started = Instant::now();
    say(&format!("{name} ..."));
    let result = work();
    let verdict = if result.is_ok() { "done" } else { "failed" };
    say(&format!(
        "{name}: {verdict} after {:.1} s",
        started.elapsed().as_secs_f64()
    ));
    result
}

/// One line to the person who waits.
pub(crate) fn say(line: &str) {
    // A closed standard error must not end the work.
    let _ = writeln!(stderr(), "xtask: {line}");
}

/// Shows the step from the third second on; returns whether it was shown.
fn tick(name: &str, started: Instant, finished: &Receiver<()>) -> bool {
    let done = |wait| !matches!(finished.recv_timeout(wait), Err(RecvTimeoutError::Timeout));
    if done(PATIENCE) {
        return false;
    }
    if !stderr().is_terminal() {
        say(&format!("{name} ..."));
        let _ = finished.recv();
        return true;
    }
    loop {
        let _ = write!(
            stderr(),
            "\rxtask: {name} {} s ",
            started.elapsed().as_secs()
        );
        let _ = stderr().flush();
        if done(Duration::from_secs(1)) {
            let _ = write!(stderr(), "\r\x1b[K");
            return true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_returns_what_its_work_returns() {
        assert_eq!(step("count", || Ok(3)).unwrap(), 3);
        assert!(step("fail", || Err::<(), _>(anyhow::anyhow!("no"))).is_err());
    }
}
