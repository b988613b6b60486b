//! What the agent takes of the host's memory. The script is `tests/guest/memory.sh`.
//!
//! The connection table and the ring are in the kernel and mapped into the agent, the ring's data twice in a row. A
//! page that is mapped several times counts once here: the agent's anonymous pages and its files' (Pss but for what the
//! maps take in it), and all maps.

use crate::checks::Checks;
use crate::scenario::Scenario;

const MIB: f64 = 1024.0 * 1024.0;
/// `kernel.ring_bytes`; the kernel says zero of a ring.
const RING_BYTES: f64 = 4.0 * MIB;

/// What was weighed at one moment, in bytes.
struct Weight {
    /// Resident, with each page counted as often as it is mapped.
    resident: f64,
    /// The most that was resident so far.
    peak: f64,
    /// Resident and nobody else's, or the agent's share.
    share: f64,
    /// The maps, without the ring.
    maps: f64,
    /// The connection table, which is a part of `maps` and of `share`.
    table: f64,
}

impl Weight {
    fn of(scenario: &Scenario, name: &str) -> Self {
        let process = scenario.text(&format!("{name}.process"));
        let field = |key: &str| {
            let mut lines = process.lines().filter_map(|line| line.strip_prefix(key));
            let words = lines.next().unwrap().split_whitespace().next();
            words.unwrap().parse::<f64>().unwrap() * 1024.0
        };
        let maps = scenario.json(&format!("{name}.maps"));
        let maps = maps.as_array().unwrap();
        let bytes = |map: &serde_json::Value| map["bytes_memlock"].as_f64().unwrap_or(0.0);
        let table = maps.iter().find(|map| map["name"] == "SLOTS").unwrap();
        Self {
            resident: field("VmRSS:"),
            peak: field("VmHWM:"),
            share: field("Pss:"),
            maps: maps.iter().map(bytes).sum(),
            table: bytes(table),
        }
    }

    /// Each page once.
    fn once(&self) -> f64 {
        let Self {
            resident: _,
            peak: _,
            share,
            maps,
            table,
        } = self;
        // The ring's pages are mapped twice by the agent and so have their whole weight in its share.
        share - table + maps
    }
}

/// What the agent and its maps take, in MiB.
fn total_mib(scenario: &Scenario, name: &str) -> f64 {
    let weight = Weight::of(scenario, name);
    let naive = weight.resident + weight.maps + RING_BYTES;
    let once = weight.once();
    assert!(
        once > RING_BYTES + weight.maps,
        "{name}: the ring is not in the agent's share"
    );
    eprintln!(
        "{name}: {:.1} MiB; resident {:.1}, maps {:.1}, added up {:.1}, peak {:.1}",
        once / MIB,
        weight.resident / MIB,
        weight.maps / MIB,
        naive / MIB,
        weight.peak / MIB
    );
    once / MIB
}

/// Series that a scrape shows.
fn series(scenario: &Scenario, name: &str) -> f64 {
    let text = scenario.text(&format!("{name}.prom"));
    text.lines().filter(|line| !line.starts_with('#')).count() as f64
}

#[test]
fn idle_it_takes_24_mib_and_at_start_no_more_than_twice_as_much() {
    let scenario = Scenario::of("memory");
    let mut checks = Checks::default();
    checks.between("MiB", total_mib(&scenario, "idle"), 5.0, 24.0);
    let weight = Weight::of(&scenario, "idle");
    let peak = weight.peak / weight.resident;
    checks.between("peak", peak, 1.0, 2.0);
}

#[test]
fn with_10_000_series_it_takes_40_mib() {
    let scenario = Scenario::of("memory");
    let mut checks = Checks::default();
    checks.between("series", series(&scenario, "some"), 10_000.0, 12_000.0);
    for name in ["some-before", "some"] {
        checks.between(name, total_mib(&scenario, name), 5.0, 40.0);
    }
}

#[test]
fn with_100_000_series_and_50_000_connections_it_takes_112_mib() {
    let scenario = Scenario::of("memory");
    let mut checks = Checks::default();
    checks.between("series", series(&scenario, "many"), 100_000.0, 110_000.0);
    let ends = [
        ("process_pid", scenario.pid("many-ends")),
        ("transport", "tcp"),
    ];
    let active = scenario
        .scrape("many")
        .sum("sockmeter_connections_active", &ends);
    checks.equal("connections", active, 50_000.0);
    for name in ["many-before", "many"] {
        checks.between(name, total_mib(&scenario, name), 5.0, 112.0);
    }
}
