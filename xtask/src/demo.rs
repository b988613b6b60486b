//! Shows the agent at work: a guest with two servers, a gentle load, and the agent that watches them.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Result, bail};

use crate::arch::Arch;
use crate::guest::{self, Guest, Running};
use crate::paths;
use crate::progress::{say, step};
use crate::setup::Install;

const PORT: u16 = 9435;
/// A demo that somebody forgot ends by itself.
const LIMIT: Duration = Duration::from_secs(3600);
const PATIENCE: Duration = Duration::from_secs(90);

/// Builds everything, runs the demo until Ctrl-C.
///
/// # Errors
/// When something is missing, a build fails, or the agent does not answer.
pub fn demo(install: Install) -> Result<()> {
    guest::prepare(Arch::X86_64, guest::DEFAULT_KERNEL, &[], install)?;
    crate::build::agent(install)?;
    let guest = Guest {
        forwards: vec![(PORT, PORT)],
        limit: LIMIT,
        ..Guest::new(script())
    };
    let mut running = guest.start()?;
    step("starting the guest, its servers and the agent", || {
        wait_for_agent(&mut running)
    })?;
    say(&format!(
        "http://127.0.0.1:{PORT}/metrics shows nginx and a Python server under load; Ctrl-C ends it"
    ));
    let outcome = running.wait()?;
    bail!(
        "the demo ended by itself with exit code {}:\n{}",
        outcome.exit_code,
        outcome.console.trim_end()
    );
}

/// Both loads are bounded: a few requests per second, so that the guest stays answering.
fn script() -> String {
    let agent = paths::agent();
    format!(
        "nginx\n\
         python3 -m http.server 8000 &> /dev/null &\n\
         {} --listen 0.0.0.0:{PORT} &\n\
         agent=$!\n\
         sleep 5\n\
         curl -s -o /dev/null --rate 5/s 'http://127.0.0.1/?[1-1000000]' &\n\
         curl -s -o /dev/null --rate 2/s 'http://127.0.0.1:8000/{{README.md,no-such-file}}?[1-1000000]' &\n\
         wait $agent\n",
        agent.display()
    )
}

fn wait_for_agent(running: &mut Running) -> Result<()> {
    while !answers() {
        if running.seconds() > PATIENCE.as_secs_f64() || running.has_ended()? {
            bail!(
                "the agent does not answer; the guest said:\n{}",
                running.console().trim_end()
            );
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    Ok(())
}

/// QEMU accepts connections before the guest does, so only an answer counts.
fn answers() -> bool {
    let wait = Duration::from_secs(2);
    let ask = || -> std::io::Result<bool> {
        let mut stream =
            TcpStream::connect_timeout(&SocketAddr::from(([127, 0, 0, 1], PORT)), wait)?;
        stream.set_read_timeout(Some(wait))?;
        stream
            .write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut start = [0; 12];
        stream.read_exact(&mut start)?;
        Ok(start.ends_with(b" 200"))
    };
    ask().unwrap_or(false)
}
