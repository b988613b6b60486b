//! The text of `docs/kernels.md`: two tables, which are read back to keep the rows of other kernels.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};

use super::{Found, Key, Page, Row};

const BEFORE: &str = "\
# Kernels

What `sockmeter check` finds as root on Debian's kernels for clouds, in guests, and which tests pass there. A row is a
kernel and how the agent was told to attach (`--probes`); *auto* is what it does when it is told nothing.

- **ready**, **features off**, **cannot run** are the exit codes 0, 2 and 1 of `sockmeter check`. **not available**:
  Debian did not have the kernel, so nothing was tested on it.
- A family of programs is **ok** if nothing is left out that this kernel could have, **degraded** if a feature is
  missing, **failed** if the agent cannot do without what is missing; behind it is how its programs are attached.
- **Tests** names the scenarios of `tests/guest` of which every test passes on that kernel.

Made by `cargo xtask test --kernels all`, which fails when it finds something else; `UPDATE_GOLDEN=1` before it writes
what it finds.

";
const BETWEEN: &str = "
What is left out, and why:

";
/// Around the families.
const TITLES_BEFORE: [&str; 3] = ["Kernel", "Probes", "Verdict"];
const TITLES_AFTER: [&str; 1] = ["Tests"];
const TITLES_MISSING: [&str; 5] = ["Kernel", "Probes", "What", "Verdict", "Why"];

/// Writes the page: the kernels from old to new.
pub(super) fn write(page: &Page) -> String {
    let Page { families, rows } = page;
    let mut rows: Vec<(&Key, &Row)> = rows.iter().collect();
    rows.sort_by_key(|(key, _)| (age(&key.kernel), &key.probes));
    let mut text = BEFORE.to_owned();
    let families: Vec<&str> = families.iter().map(String::as_str).collect();
    head(
        &mut text,
        &[&TITLES_BEFORE, &families[..], &TITLES_AFTER].concat(),
    );
    for (key, row) in &rows {
        let Row { found, tests } = row;
        let Found {
            series: _,
            verdict,
            families: of,
            missing: _,
        } = found;
        let of = families
            .iter()
            .map(|family| of.get(*family).map_or("", String::as_str));
        let title = title(&key.kernel, &found.series);
        let first = [title.as_str(), &key.probes, verdict];
        line(
            &mut text,
            first.into_iter().chain(of).chain([tests.as_str()]),
        );
    }
    text.push_str(BETWEEN);
    head(&mut text, &TITLES_MISSING);
    for (key, row) in &rows {
        let title = title(&key.kernel, &row.found.series);
        for missing in &row.found.missing {
            let first = [title.as_str(), &key.probes];
            line(
                &mut text,
                first.into_iter().chain(missing.iter().map(String::as_str)),
            );
        }
    }
    text
}

/// Reads it back.
pub(super) fn parse(text: &str) -> Result<Page> {
    let mut lines = text
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"))
        .map(|line| line.split(" | ").map(str::trim).collect::<Vec<_>>())
        .filter(|cells| cells.iter().any(|cell| *cell != "---"));
    let titles = lines.next().context("docs/kernels.md has no table")?;
    let [_, _, _, families @ .., _] = &titles[..] else {
        bail!("docs/kernels.md has a table without families");
    };
    let families: Vec<String> = families.iter().map(|family| (*family).to_owned()).collect();
    let mut rows = BTreeMap::new();
    for cells in lines
        .by_ref()
        .take_while(|cells| cells[..] != TITLES_MISSING)
    {
        let [kernel, probes, verdict, of @ .., tests] = &cells[..] else {
            bail!("docs/kernels.md has a row with too few cells: {cells:?}");
        };
        let (key, series) = untitled(kernel, probes);
        let of = families.iter().zip(of).filter(|(_, cell)| !cell.is_empty());
        let found = Found {
            series,
            verdict: (*verdict).to_owned(),
            families: of
                .map(|(family, cell)| (family.clone(), (*cell).to_owned()))
                .collect(),
            missing: Vec::new(),
        };
        let tests = (*tests).to_owned();
        rows.insert(key, Row { found, tests });
    }
    for cells in lines {
        let [kernel, probes, what, verdict, why] = cells[..] else {
            bail!("docs/kernels.md has a row with other cells than expected: {cells:?}");
        };
        let (key, _) = untitled(kernel, probes);
        let row: &mut Row = rows
            .get_mut(&key)
            .with_context(|| format!("docs/kernels.md has no row for {kernel}, {probes}"))?;
        let missing = [what, verdict, why].map(str::to_owned);
        row.found.missing.push(missing);
    }
    Ok(Page { families, rows })
}

/// `6.1` is older than `6.12`, and a name without numbers is newer than any.
fn age(kernel: &str) -> Vec<u32> {
    kernel
        .split('.')
        .map(|part| part.parse().unwrap_or(u32::MAX))
        .collect()
}

/// `Linux 6.1`, `Linux 7.2 (newest)`; the name alone of a kernel that was not there.
fn title(kernel: &str, series: &str) -> String {
    match series {
        "" => kernel.to_owned(),
        series if series == kernel => format!("Linux {series}"),
        series => format!("Linux {series} ({kernel})"),
    }
}

/// The row and the series of a title.
fn untitled(title: &str, probes: &str) -> (Key, String) {
    let (kernel, series) = match title.strip_prefix("Linux ") {
        None => (title, ""),
        Some(rest) => match rest
            .strip_suffix(')')
            .and_then(|rest| rest.split_once(" ("))
        {
            None => (rest, rest),
            Some((series, kernel)) => (kernel, series),
        },
    };
    let key = Key {
        kernel: kernel.to_owned(),
        probes: probes.to_owned(),
    };
    (key, series.to_owned())
}

fn head(text: &mut String, titles: &[&str]) {
    line(text, titles.iter().copied());
    line(text, titles.iter().map(|_| "---"));
}

/// A cell's text comes from the agent, and would end at a bar.
fn line<'a>(text: &mut String, cells: impl Iterator<Item = &'a str>) {
    let cells: Vec<String> = cells
        .map(|cell| cell.replace('|', "/").replace('\n', " "))
        .collect();
    text.push_str(&format!("| {} |\n", cells.join(" | ")));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(kernel: &str, probes: &str) -> Key {
        Key {
            kernel: kernel.to_owned(),
            probes: probes.to_owned(),
        }
    }

    fn page() -> Page {
        let families = ["socket_life", "socket_io"].map(str::to_owned);
        let cells = ["ok: tp_btf", "degraded: fexit"].map(str::to_owned);
        let ready = |series: &str| Row {
            found: Found {
                series: series.to_owned(),
                verdict: "ready".to_owned(),
                families: families.iter().cloned().zip(cells.clone()).collect(),
                missing: vec![["socket_io/a", "unsupported", "it has no a"].map(str::to_owned)],
            },
            tests: "io, requests".to_owned(),
        };
        let absent = Row {
            found: Found {
                verdict: "not available".to_owned(),
                ..Found::default()
            },
            tests: String::new(),
        };
        Page {
            families: families.to_vec(),
            rows: BTreeMap::from([
                (key("6.12", "auto"), ready("6.12")),
                (key("6.9", "kprobe"), ready("6.9")),
                (key("newest", "auto"), ready("7.2")),
                (key("6.18", "auto"), absent),
            ]),
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        assert_eq!(parse(&write(&page())).unwrap(), page());
    }

    #[test]
    fn kernels_come_from_old_to_new() {
        let text = write(&page());
        let titles: Vec<&str> = text
            .lines()
            .filter(|line| line.contains("auto") || line.contains("kprobe"))
            .filter_map(|line| line.strip_prefix("| ")?.split(" | ").next())
            .collect();
        let want = ["Linux 6.9", "Linux 6.12", "6.18", "Linux 7.2 (newest)"];
        assert_eq!(titles[..4], want, "{text}");
    }

    #[test]
    fn a_bar_in_a_reason_does_not_end_its_cell() {
        let mut page = page();
        let row = page.rows.get_mut(&key("6.12", "auto")).unwrap();
        row.found.missing[0][2] = "a | b".to_owned();
        let read = parse(&write(&page)).unwrap();
        assert_eq!(read.rows[&key("6.12", "auto")].found.missing[0][2], "a / b");
    }

    #[test]
    fn a_page_that_is_none_is_refused() {
        assert!(parse("# Kernels\n").is_err());
        assert!(parse("| Kernel | Probes |\n").is_err());
    }
}
