//! `docs/io-paths.md`: what the agent makes of every path, by kernel. A run fills the column of its kernel
//! and leaves the others as they are.

use std::collections::{BTreeMap, BTreeSet};

use super::ends::Verdict;

const BEFORE: &str = "\
# I/O paths

By what path a process moves the bytes of its HTTP/1.1 connection, and what the agent makes of it. Each row is a
connection over loopback whose two ends are a process each, and both take the path: six requests (small, a download,
an upload, two pipelined, one that is answered with 404), each compared with what the two processes counted and timed
themselves. A cell speaks of both ends, or of server and client.

- **exact**: requests by status, durations and bytes are those of the process; every byte was parsed, or skipped as a
  part of a body.
- Otherwise it names what is exact all the same, and the series that tell what was not seen:
";

const BETWEEN: &str = "\
- **nothing**: the connection is counted (`sockmeter_connections_opened_total`), none of its requests; its bytes are in
  `sockmeter_untracked_bytes_total`. Where it says **unbalanced**, the connection is not counted either.
- **not supported**: the kernel refuses the path.

Durations are exact if they lie between what the two processes read from the kernel's clock before and after their
calls. Where it says *bodies*, heads are read and written. What sendfile, splice and fixed buffers move is not in the
memory of the call, so its content is not read: bodies are skipped by their length, heads are unseen. A head in more
than 64 vectors is unseen too. Bytes that are mapped (TCP_ZEROCOPY_RECEIVE) are found by TCP's own count at the next
read. An urgent byte is one of the stream where it is sent, and none where it is received without SO_OOBINLINE.

Made by `tests/tests/guest/io.rs`: `UPDATE_GOLDEN=1 cargo xtask test guest::io` writes the column of Linux 6.1, and
with `SOCKMETER_TEST_KERNEL=6.12` (or `newest`) that of another kernel. `SOCKMETER_TEST_PROBES=kprobe` (or `tracepoint`)
writes that of a way of attaching the programs other than the best one.

";

/// What may tell that something was not seen, in the order of their letters.
const SIGNS: [&str; 8] = [
    "sockmeter_requests_unanswered_total{reason=\"unseen\"}",
    "sockmeter_requests_unanswered_total{reason=\"incomplete_request\"}",
    "sockmeter_requests_unanswered_total{reason=\"gap\"}",
    "sockmeter_requests_unanswered_total{reason=\"closed\"}",
    "sockmeter_requests_unpaired_total{reason=\"no_request\"}",
    "sockmeter_payload_bytes_total{outcome=\"lost\"}",
    "sockmeter_payload_bytes_total{outcome=\"unrecognised\"}",
    "sockmeter_payload_bytes_total{outcome=\"opaque\"}",
];

const LETTERS: &str = "abcdefgh";

/// What a cell says of a path that the kernel refuses.
pub(crate) const NOT_SUPPORTED: &str = "not supported";

/// What a cell says of one end.
pub(crate) fn cell(verdict: &Verdict) -> String {
    let Verdict {
        requests,
        durations,
        bytes,
        account,
        lacking: _,
        says,
        differences: _,
    } = verdict;
    let parts = [
        (*requests, "requests"),
        (*durations, "durations"),
        (*bytes, "bytes"),
    ];
    let holds: Vec<&str> = parts
        .iter()
        .filter(|part| part.0)
        .map(|part| part.1)
        .collect();
    if holds.len() == parts.len() && *account && says.is_empty() {
        return "exact".to_owned();
    }
    let mut cell = if holds.is_empty() {
        "nothing".to_owned()
    } else {
        holds.join(", ")
    };
    if !account {
        cell.push_str(", unbalanced");
    }
    if !says.is_empty() {
        cell.push_str(&format!(" ({})", letters(says)));
    }
    cell
}

fn letters(says: &BTreeSet<String>) -> String {
    let letters: BTreeSet<char> = says
        .iter()
        .map(|series| {
            let at = SIGNS.iter().position(|sign| sign == series);
            let at = at.unwrap_or_else(|| panic!("{series} has no letter in the table"));
            LETTERS.chars().nth(at).unwrap()
        })
        .collect();
    letters.iter().collect()
}

/// The cells of a whole document, by kernel and path.
pub(crate) type Columns = BTreeMap<String, BTreeMap<String, String>>;

/// Reads the cells of a document.
pub(crate) fn parse(text: &str) -> Columns {
    let mut rows = text
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"))
        .map(|line| line.split(" | ").collect::<Vec<_>>());
    let Some(titles) = rows.next() else {
        return Columns::new();
    };
    let mut columns = Columns::new();
    for row in rows {
        for (title, cell) in titles.iter().zip(&row).skip(1) {
            let kernel = title.trim_start_matches("Linux ").to_owned();
            let column = columns.entry(kernel).or_default();
            column.insert(row[0].to_owned(), (*cell).to_owned());
        }
    }
    columns
}

/// Writes the document: the paths in the order of the program, the kernels from old to new.
pub(crate) fn write(paths: &[&str], columns: &Columns) -> String {
    let mut kernels: Vec<&String> = columns.keys().collect();
    kernels.sort_by_key(|title| -> (Vec<u32>, &str) {
        let (kernel, way) = title.split_once(", ").unwrap_or((title, ""));
        let numbers = kernel.split('.').filter_map(|part| part.parse().ok());
        (numbers.collect(), way)
    });
    let mut text = BEFORE.to_owned();
    let used = |letter: char| {
        let behind = |cell: &String| {
            let signs = cell
                .split('(')
                .skip(1)
                .filter_map(|part| part.split(')').next());
            signs.into_iter().any(|signs| signs.contains(letter))
        };
        columns.values().any(|column| column.values().any(behind))
    };
    for (letter, sign) in LETTERS
        .chars()
        .zip(SIGNS)
        .filter(|(letter, _)| used(*letter))
    {
        text.push_str(&format!("  - **{letter}** `{sign}`\n"));
    }
    text.push_str(BETWEEN);
    let mut row = |cells: Vec<&str>| text.push_str(&format!("| {} |\n", cells.join(" | ")));
    let titles: Vec<String> = kernels
        .iter()
        .map(|kernel| format!("Linux {kernel}"))
        .collect();
    row([vec!["Path"], titles.iter().map(String::as_str).collect()].concat());
    row(vec!["---"; kernels.len() + 1]);
    for path in paths {
        let cells = kernels
            .iter()
            .map(|kernel| columns[*kernel].get(*path).map_or("", String::as_str));
        row([vec![*path], cells.collect()].concat());
    }
    text
}
