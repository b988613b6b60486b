//! The figures as tables, for a page and for a terminal.

use std::collections::BTreeMap;

use super::figures::{Cost, Figures};
use super::measured::ProgramUse;
use crate::bench::report::{grouped, table};

/// Loads and what they are called, table by table.
const REQUESTS: [(&str, &str); 6] = [
    ("kept_0", "kept connections, empty answer"),
    ("kept_512", "kept connections, 512 bytes"),
    ("kept_64k", "kept connections, 64 KiB"),
    ("connections_64", "64 kept connections, 512 bytes"),
    ("fresh_512", "a connection each, 512 bytes"),
    ("redis_get", "Redis GET of 3 bytes (not a known protocol)"),
];
const CONNECTIONS: [(&str, &str); 4] = [
    ("connections_1", "1"),
    ("kept_512", "4"),
    ("connections_64", "64"),
    ("connections_1000", "1000"),
];
const BYTES: [(&str, &str); 6] = [
    ("kept_0", "0"),
    ("kept_512", "512"),
    ("kept_4k", "4 KiB"),
    ("kept_64k", "64 KiB"),
    ("kept_1024k", "1 MiB"),
    ("kept_16384k", "16 MiB"),
];
const NO_NETWORK: [(&str, &str); 2] = [
    ("no_network_read", "read() of 4 KiB from a file"),
    (
        "no_network_start",
        "fork, exec and end of a program that does nothing",
    ),
];
const BESIDE: [(&str, &str); 3] = [
    ("excluded", "sockmeter, both programs excluded"),
    ("floor", "floor: the same hooks, the least body"),
    ("bpftrace", "bpftrace, two counting kprobes"),
];

/// The whole part of `docs/cost.md`.
pub(super) fn page(figures: &Figures) -> String {
    let sections = [
        requests(figures),
        beside(figures),
        programs(figures),
        growth(figures),
        no_network(figures),
        agent_alone(figures),
    ];
    sections.concat()
}

fn requests(figures: &Figures) -> String {
    let rows = rows(&REQUESTS, &figures.loads, |cost| {
        vec![
            grouped(cost.without.server),
            grouped(cost.without.client),
            signed(cost.with.server - cost.without.server),
            signed(cost.with.client - cost.without.client),
            signed(cost.with.kernel_threads - cost.without.kernel_threads),
            signed(cost.observer),
            signed(cost.added_observed + cost.observer),
            percent(cost.added_percent),
            percent(cost.observer_percent),
        ]
    });
    let head = [
        "instructions per request",
        "server",
        "client",
        "server +",
        "client +",
        "kernel threads +",
        "agent",
        "in all",
        "of server and client",
        "the agent's part",
    ];
    format!(
        "Instructions of one request on nginx (one worker) or Redis, four connections where nothing else is said; both \
         ends are on this host and watched. The clients are `ab` and `redis-benchmark`. Without, with and without the \
         agent in one boot; the runs without it lie at most {} apart.\n\n{}\n",
        percent(largest_spread(figures)),
        table(&head, &rows)
    )
}

fn largest_spread(figures: &Figures) -> f64 {
    let loads = REQUESTS
        .iter()
        .filter_map(|(load, _)| figures.loads.get(*load));
    loads.map(|cost| cost.spread_percent).fold(0.0, f64::max)
}

fn beside(figures: &Figures) -> String {
    let loads = [("kept_512", "kept"), ("fresh_512", "a connection each")];
    let mut lines = Vec::new();
    let mut line = |what: &str, costs: &BTreeMap<String, Cost>| {
        let mut cells = vec![what.to_owned()];
        for cost in loads.iter().filter_map(|(load, _)| costs.get(*load)) {
            let added = cost.added_observed + cost.observer;
            cells.extend([
                signed(cost.added_observed),
                signed(cost.observer),
                percent(100.0 * added / cost.without.observed()),
            ]);
        }
        lines.push(cells);
    };
    line("sockmeter", &figures.loads);
    for (phase, what) in BESIDE {
        if let Some(costs) = figures.beside.get(phase) {
            line(what, costs);
        }
    }
    let head = [
        "added per request, 512 bytes",
        "kept: in server and client",
        "in its own process",
        "in all",
        "a connection each: in server and client",
        "in its own process",
        "in all",
    ];
    format!(
        "Beside other programs. The floor has the agent's hooks on TCP's data path and only those, and does in each \
         what none could leave out: two reads, one clock, one addition. bpftrace counts calls of `tcp_sendmsg` and \
         `tcp_recvmsg` by process.\n\n{}\n",
        table(&head, &lines)
    )
}

fn programs(figures: &Figures) -> String {
    let mut text = "What the kernel's programs run, with `kernel.bpf_stats_enabled`, in a run of their own. The \
                    statistics themselves are about 200 instructions of each run (two clocks), so the sums are \
                    larger than what is added without them; being called is not in them."
        .to_owned();
    for (load, title) in REQUESTS {
        let Some(programs) = figures.programs.get(load) else {
            continue;
        };
        let mut sorted: Vec<(&String, &ProgramUse)> = programs.iter().collect();
        sorted.sort_by(|(_, one), (_, other)| other.instructions.total_cmp(&one.instructions));
        let row = |name: &str, used: &ProgramUse| {
            let ProgramUse { runs, instructions } = *used;
            vec![
                name.to_owned(),
                format!("{runs:.2}"),
                grouped(instructions / runs),
                grouped(instructions),
            ]
        };
        // What runs once in a hundred requests is of the batch, not of a request.
        let often = sorted.iter().filter(|(_, used)| used.runs >= 0.01);
        let mut rows: Vec<Vec<String>> = often.map(|(name, used)| row(name, used)).collect();
        let sum = |of: fn(&ProgramUse) -> f64| programs.values().map(of).sum();
        rows.push(row(
            "all",
            &ProgramUse {
                runs: sum(|used| used.runs),
                instructions: sum(|used| used.instructions),
            },
        ));
        let head = [
            title,
            "runs per request",
            "instructions per run",
            "per request",
        ];
        text.push_str(&format!("\n\n{}", table(&head, &rows)));
    }
    text.push('\n');
    text
}

fn growth(figures: &Figures) -> String {
    let of = |loads: &[(&str, &str)], first: &str| {
        let rows = rows(loads, &figures.loads, |cost| {
            vec![
                grouped(cost.without.observed()),
                signed(cost.added_observed),
                signed(cost.observer),
                percent(cost.added_percent),
            ]
        });
        let head = [
            first,
            "server and client",
            "added to them",
            "agent",
            "in all",
        ];
        table(&head, &rows)
    };
    format!(
        "How it grows, in instructions per request:\n\n{}\n{}\n",
        of(&CONNECTIONS, "kept connections, 512 bytes"),
        of(&BYTES, "bytes per answer, 4 kept connections")
    )
}

fn no_network(figures: &Figures) -> String {
    let rows = rows(&NO_NETWORK, &figures.loads, |cost| {
        vec![
            grouped(cost.without.client),
            format!("{:+.1}", cost.with.client - cost.without.client),
            percent(100.0 * (cost.with.client / cost.without.client - 1.0)),
            format!("±{}", percent(cost.spread_percent)),
        ]
    });
    let head = [
        "programs without network",
        "instructions each",
        "added",
        "",
        "runs without differ by",
    ];
    format!("{}\n", table(&head, &rows))
}

fn agent_alone(figures: &Figures) -> String {
    let mut rows = vec![
        vec![
            "from its start until it is ready, in all".to_owned(),
            grouped(figures.start_instructions),
            String::new(),
        ],
        vec![
            "idle, in a second".to_owned(),
            grouped(figures.idle_instructions_per_second),
            format!("{:.1}", figures.idle_wakeups_per_second),
        ],
    ];
    for (load, title) in REQUESTS {
        if let Some(cost) = figures.loads.get(load) {
            rows.push(vec![
                format!("{title}, in a second"),
                grouped(cost.observer / cost.with.clock * 1e9),
                format!("{:.0}", cost.observer_wakeups_per_second),
            ]);
        }
    }
    let head = ["the agent's process", "instructions", "wake-ups"];
    let mut wakers: BTreeMap<&str, f64> = BTreeMap::new();
    for (name, count) in figures.wakers.values().flatten() {
        *wakers.entry(name).or_default() += count;
    }
    let wakers: Vec<String> = wakers
        .iter()
        .map(|(name, count)| format!("{name} ({})", grouped(*count)))
        .collect();
    let mut text = format!(
        "A second is one of the guest's clock: 1,000,000,000 instructions of everybody.\n\n{}\n",
        table(&head, &rows)
    );
    if !wakers.is_empty() {
        text.push_str(&format!(
            "Who woke the agent's threads under these loads, by the kernel's tracepoint `sched_wakeup` and its call \
             chain: {}.\n",
            wakers.join(", ")
        ));
    }
    text
}

fn rows(
    loads: &[(&str, &str)],
    costs: &BTreeMap<String, Cost>,
    cells: impl Fn(&Cost) -> Vec<String>,
) -> Vec<Vec<String>> {
    let found = loads
        .iter()
        .filter_map(|(load, title)| Some((*title, costs.get(*load)?)));
    found
        .map(|(title, cost)| {
            let mut row = vec![title.to_owned()];
            row.extend(cells(cost));
            row
        })
        .collect()
}

fn signed(number: f64) -> String {
    let text = grouped(number);
    if text == "0" || text.starts_with('-') {
        return text;
    }
    format!("+{text}")
}

fn percent(number: f64) -> String {
    let digits = if number.abs() < 10.0 { 2 } else { 1 };
    format!("{number:.digits$} %")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::request::measured::tests::sample;

    #[test]
    fn a_page_has_what_was_measured_and_nothing_else() {
        let page = page(&Figures::of(&sample(600)).unwrap());
        let row = page
            .lines()
            .find(|line| line.starts_with("| kept connections, 512 bytes |"));
        let cells: Vec<&str> = row.unwrap().split('|').map(str::trim).collect();
        let want = [
            "",
            "kept connections, 512 bytes",
            "20",
            "30",
            "+4",
            "0",
            "0",
            "+8",
            "+12",
            "24.8 %",
            "15.8 %",
            "",
        ];
        assert_eq!(cells, want);
        assert!(!page.contains("bpftrace, two"), "{page}");
        assert!(!page.contains("sched_wakeup"), "{page}");
    }

    #[test]
    fn numbers_say_whether_they_are_more_or_less() {
        assert_eq!(signed(1234.0), "+1,234");
        assert_eq!(signed(-3.0), "-3");
        assert_eq!(signed(0.2), "0");
        assert_eq!(percent(8.123), "8.12 %");
        assert_eq!(percent(61.23), "61.2 %");
    }
}
