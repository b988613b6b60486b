//! The page's part on the agent.

use anyhow::{Context, Result};

use super::cases::{CASES, MEMORY, OVERLOADS, SCRAPES};
use super::figures::Figures;
use crate::bench::report::{grouped, table};

/// What each growing number does, and what it is called in the cases' names.
const GROWTH: [(&str, &str); 4] = [
    ("connections", "Connections, used in turn"),
    ("processes", "Processes, with 2,000 connections"),
    (
        "routes",
        "Paths, requested in turn; a process keeps 100 route templates",
    ),
    (
        "body",
        "Bytes of a response's body, in calls of 64 KiB of which the kernel side copies 8 KiB or 256 bytes",
    ),
];

const EXCHANGE: [&str; 6] = [
    "",
    "instructions",
    "ns on this machine",
    "million/s",
    "bytes allocated",
    "bytes of heap",
];

/// All tables.
pub(super) fn page(figures: &Figures) -> Result<String> {
    let mut page = String::from(
        "Made by `cargo xtask bench agent`. Instructions are counted in the guest; times are of one thread on the machine \
         that made this page, the best of three runs. Records are those of the kernel side in its layout, with 512 bytes of \
         body behind nginx's head, over 64 kept connections of one process, unless said otherwise. Programs: `bench/`. \
         It is a plain loop and not criterion or divan, because what is measured has state (each exchange \
         stands behind the one before), its clock has to be CPU time, and the same loop has to run in the guest.\n\n\
         ### From a record to a counted exchange\n\n",
    );
    let kinds = CASES.iter().filter(|case| growth(case.name).is_none());
    page += &exchanges(figures, kinds.map(|case| case.name))?;
    page += "\n### How it grows\n";
    for (name, title) in GROWTH {
        let cases = CASES.iter().filter(|case| growth(case.name) == Some(name));
        page += &format!("\n{title}:\n\n");
        page += &exchanges(figures, cases.map(|case| case.name))?;
    }
    page += "\n### A scrape\n\nThe same label sets in three libraries, in turn in one process. Memory is what the \
             library holds for a line with a value; the peak is what it allocates besides while it writes.\n\n";
    page += &scrapes(figures)?;
    page += "\n### Memory\n\n";
    page += &memory(figures)?;
    page += "\n### Load\n\n";
    page += &load(figures)?;
    Ok(page)
}

fn growth(case: &str) -> Option<&'static str> {
    let names = GROWTH.iter().map(|(name, _)| *name);
    names.into_iter().find(|name| {
        case.strip_prefix(name)
            .is_some_and(|rest| rest.starts_with(' '))
    })
}

fn need(figures: &Figures, case: &str, figure: &str) -> Result<f64> {
    figures
        .get(case, figure)
        .with_context(|| format!("nothing was measured for: {case}, {figure}"))
}

fn exchanges<'a>(figures: &Figures, cases: impl Iterator<Item = &'a str>) -> Result<String> {
    let row = |case: &str| -> Result<Vec<String>> {
        let ns = need(figures, case, "nanoseconds")?;
        Ok(vec![
            case.to_owned(),
            grouped(need(figures, case, "instructions")?),
            grouped(ns),
            format!("{:.2}", 1e3 / ns),
            grouped(need(figures, case, "allocated_bytes_per_exchange")?),
            grouped(need(figures, case, "heap_bytes")?),
        ])
    };
    let rows = cases.map(row).collect::<Result<Vec<_>>>()?;
    Ok(table(&EXCHANGE, &rows))
}

fn scrapes(figures: &Figures) -> Result<String> {
    let mut rows = Vec::new();
    for case in &SCRAPES {
        for library in ["sockmeter", "prometheus", "prometheus-client"] {
            let name = format!("{}, {library}", case.name);
            rows.push(vec![
                name.clone(),
                // The largest is counted for one library alone.
                figures
                    .get(&name, "instructions")
                    .map_or_else(|| "-".to_owned(), grouped),
                format!("{:.2}", need(figures, &name, "nanoseconds")? / 1e6),
                grouped(need(figures, &name, "text_bytes")?),
                format!("{:.1}", need(figures, &name, "bytes_per_series")?),
                grouped(need(figures, &name, "peak_bytes")?),
            ]);
        }
    }
    let head = [
        "",
        "instructions",
        "ms on this machine",
        "bytes of text",
        "bytes per line",
        "peak bytes",
    ];
    Ok(table(&head, &rows))
}

fn memory(figures: &Figures) -> Result<String> {
    let of = |figure| need(figures, MEMORY, figure);
    Ok(format!(
        "{} lines of a scrape by {} processes and {} open connections are {} bytes of heap: {:.0} for a \
         line (with what its process needs) and {:.0} for a connection.\n",
        grouped(of("series")?),
        grouped(of("processes")?),
        grouped(of("connections")?),
        grouped(of("heap_bytes")?),
        of("bytes_per_series")?,
        of("bytes_per_connection")?,
    ))
}

fn load(figures: &Figures) -> Result<String> {
    let mut text = "A ring of 4 MiB that is looked at as often as the agent would, in a time that only its own work makes go by. \
                    In the first half of it the rate rises evenly from nothing; busy is the mean of both. Whatever is lost is known as that: what is counted and what is counted as unanswered are all that were \
                    made, or the run fails.\n\n"
        .to_owned();
    let cases = ["highest rate without a loss"].into_iter();
    let cases = cases.chain(OVERLOADS.iter().map(|case| case.name));
    let row = |case: &str| -> Result<Vec<String>> {
        let of = |figure| need(figures, case, figure);
        Ok(vec![
            case.to_owned(),
            grouped(of("rate")?),
            format!("{:.0} %", of("busy_percent")?),
            grouped(of("made")?),
            grouped(of("counted")?),
            grouped(of("unanswered")?),
            grouped(of("lost_records")?),
        ])
    };
    let head = [
        "",
        "exchanges/s",
        "busy",
        "made",
        "counted",
        "unanswered",
        "records lost",
    ];
    text += &table(&head, &cases.map(row).collect::<Result<Vec<_>>>()?);
    Ok(text)
}
