//! HTTP/1.1 over every I/O path: what the agent measured is what both ends say. The script is
//! `tests/guest/io.sh`, the cases are those of the program `io`; `docs/io-paths.md` is made here.

mod ends;
mod table;

use std::collections::BTreeMap;
use std::path::Path;

use crate::checks::REQUESTS_A_MISSED_RUN;
use crate::scenario::{Scenario, probes};
use ends::{Said, judge};

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/io-paths.md");

fn scenario() -> Scenario {
    Scenario::of("io")
}

/// What the table says of a case, server and client; the differences behind it, for people.
struct Found {
    cells: [String; 2],
    differences: String,
    /// Runs of programs that the kernel left out meanwhile: what they would have told of is missing.
    missed: f64,
    /// Nothing else is: no end lacks more requests than that explains, and all that it has is accounted for.
    is_explained: bool,
}

fn found(scenario: &Scenario, number: usize) -> Found {
    let scrape = scenario.scrape(&number.to_string());
    let missed = scenario.missed_until(&number.to_string());
    let before = number - 1;
    let missed = if before == 0 {
        missed
    } else {
        missed - scenario.missed_until(&before.to_string())
    };
    let said = |role| Said::parse(role, &scenario.text(&format!("{number}.{role}")));
    let not_supported = || Found {
        cells: [table::NOT_SUPPORTED; 2].map(str::to_owned),
        differences: String::new(),
        missed,
        is_explained: true,
    };
    let server = said("server");
    if server.unsupported.is_some() {
        return not_supported();
    }
    let client = said("client");
    if client.unsupported.is_some() {
        return not_supported();
    }
    for end in [&server, &client] {
        assert!(end.fault.is_none(), "an end failed: {:?}", end.fault);
    }
    let verdicts = [&server, &client].map(|end| judge(end, [&server, &client], &scrape));
    let is_explained = verdicts
        .iter()
        .all(|verdict| verdict.account && verdict.lacking <= missed * REQUESTS_A_MISSED_RUN);
    let [server, client] = verdicts
        .each_ref()
        .map(|verdict| verdict.differences.join("\n  "));
    Found {
        cells: verdicts.each_ref().map(table::cell),
        differences: format!("server:\n  {server}\nclient:\n  {client}"),
        missed,
        is_explained,
    }
}

/// The case's place in the program's list, from one on.
fn number(scenario: &Scenario, case: &str) -> usize {
    let cases = scenario.text("cases");
    let at = cases.lines().position(|line| line == case);
    1 + at.unwrap_or_else(|| panic!("the program `io` has no case {case:?}"))
}

#[track_caller]
fn holds(case: &str, want: [&str; 2]) {
    let scenario = scenario();
    let Found {
        cells,
        differences,
        missed,
        is_explained,
    } = found(&scenario, number(&scenario, case));
    if missed > 0.0 && cells != want && is_explained {
        return eprintln!("{case}: the kernel left {missed} runs of programs out: {differences}");
    }
    // Only some kernels know some paths, and some ways see less than fentry; which, the table tells.
    if cells[0] != table::NOT_SUPPORTED && probes() == "auto" {
        assert_eq!(cells, want, "{case}: {differences}");
    }
}

/// One test for each case: it is exact at both ends, or the table says of them what stands here.
macro_rules! paths {
    ($($test:ident: $case:literal $(, $server:literal, $client:literal)?;)*) => {
        $(
            #[test]
            fn $test() {
                holds($case, paths!(@want $($server, $client)?));
            }
        )*
        const TESTED: &[&str] = &[$($case),*];
    };
    (@want) => { ["exact", "exact"] };
    (@want $server:literal, $client:literal) => { [$server, $client] };
}

paths! {
    rule_06_read_and_write: "read, write";
    rule_06_readv: "readv";
    rule_07_a_read_for_each_byte: "read of one byte";
    rule_06_recv: "recv";
    rule_06_recvfrom: "recvfrom";
    rule_06_recvmsg: "recvmsg";
    rule_06_recvmmsg: "recvmmsg";
    rule_06_msg_waitall: "MSG_WAITALL";
    rule_05_peeked_bytes_count_when_they_are_read: "MSG_PEEK, read";
    rule_05_bytes_that_are_discarded_count: "MSG_TRUNC, bodies";
    rule_06_so_rcvlowat: "SO_RCVLOWAT";
    rule_06_writev: "writev";
    rule_07_a_head_in_many_vectors: "writev, few of one byte";
    rule_07_a_vector_for_each_byte: "writev, all of one byte", "bytes (af)", "bytes (af)";
    rule_07_a_write_for_each_byte: "write of one byte";
    rule_06_send: "send";
    rule_06_sendto: "sendto";
    rule_06_sendmsg: "sendmsg";
    rule_06_sendmmsg: "sendmmsg";
    rule_06_msg_more: "MSG_MORE";
    rule_06_tcp_cork: "TCP_CORK";
    rule_06_sendfile_of_bodies: "sendfile, bodies";
    rule_06_sendfile: "sendfile", "bytes (af)", "bytes (af)";
    rule_06_splice_of_bodies_from_the_socket: "splice from the socket, bodies";
    rule_06_splice_from_the_socket: "splice from the socket", "bytes (af)", "bytes (af)";
    rule_06_splice_of_bodies_to_the_socket: "splice to the socket, bodies";
    rule_06_splice_to_the_socket: "splice to the socket", "bytes (af)", "bytes (af)";
    rule_06_vmsplice_of_bodies: "vmsplice, splice, bodies";
    rule_06_tee_of_bodies: "tee, splice, bodies";
    rule_06_msg_zerocopy: "MSG_ZEROCOPY";
    rule_06_tcp_zerocopy_receive: "TCP_ZEROCOPY_RECEIVE, bodies", "requests, durations, bytes (f)", "requests, durations, bytes (f)";
    rule_06_ktls: "kTLS";
    rule_06_ktls_recvmsg_and_sendmsg: "kTLS, recvmsg, sendmsg";
    rule_06_ktls_sendfile_of_bodies: "kTLS, sendfile, bodies";
    rule_06_ktls_splice_of_bodies: "kTLS, splice from the socket, bodies";
    rule_06_io_uring_recv_and_send: "io_uring recv, send";
    rule_06_io_uring_recvmsg_and_sendmsg: "io_uring recvmsg, sendmsg";
    rule_06_io_uring_read_and_write: "io_uring read, write";
    rule_06_io_uring_readv_and_writev: "io_uring readv, writev";
    rule_06_io_uring_fixed_buffers: "io_uring read_fixed, write_fixed", "bytes (af)", "bytes (af)";
    rule_06_io_uring_fixed_buffers_for_bodies: "io_uring read_fixed, write_fixed, bodies";
    rule_06_io_uring_send_zc: "io_uring send_zc";
    rule_06_io_uring_send_zc_from_a_fixed_buffer: "io_uring send_zc from a fixed buffer", "bytes (af)", "bytes (af)";
    rule_06_io_uring_sendmsg_zc: "io_uring sendmsg_zc";
    rule_06_io_uring_sqpoll: "io_uring recv, send, SQPOLL";
    rule_06_io_uring_workers: "io_uring recv, send, io-wq";
    rule_06_io_uring_multishot_recv: "io_uring multishot recv, provided buffers";
    rule_05_eagain_and_short_writes: "O_NONBLOCK, short writes";
    rule_06_urgent_data: "MSG_OOB, bodies", "requests, durations, bytes (f)", "bytes (af)";
    rule_06_urgent_data_inline: "MSG_OOB with SO_OOBINLINE, bodies";
    rule_06_ipv6: "IPv6";
    rule_06_mptcp: "MPTCP", "nothing", "nothing";
    rule_06_mptcp_that_falls_back: "MPTCP, server only";
    rule_06_bytes_of_the_first_packet: "TCP_FASTOPEN";
    rule_06_half_close_by_the_client: "SHUT_WR by the client";
    rule_06_reset_after_a_response: "RST after a response";
    rule_06_reset_before_a_response_is_read: "RST before a response is read";
    rule_06_reset_while_a_response_is_read: "RST while a response is read";
    rule_15_reset_within_a_response: "RST within a response";
    rule_15_close_within_a_response: "close within a response";
}

#[test]
fn rule_21_bytes_over_mptcp_are_said_to_be_untracked() {
    let scenario = scenario();
    let at = number(&scenario, "MPTCP");
    // Only some kernels know it; which, the table tells.
    if found(&scenario, at).cells[0] == table::NOT_SUPPORTED {
        return;
    }
    let scrapes = [at - 1, at].map(|number| number.to_string());
    let scrapes = scrapes.each_ref().map(String::as_str);
    let got = scenario.rise(scrapes, "sockmeter_untracked_bytes_total", &[]);
    let moved = |role| {
        let Said { sent, received, .. } =
            Said::parse(role, &scenario.text(&format!("{at}.{role}")));
        sent + received
    };
    let want: f64 = ["server", "client"].into_iter().map(moved).sum();
    // The large download and the upload, at both ends.
    assert!(want > 300_000.0, "{want}");
    assert_eq!(got, want);
}

#[test]
fn every_path_of_the_program_has_a_test() {
    let cases = scenario().text("cases");
    assert_eq!(cases.lines().collect::<Vec<_>>(), TESTED);
}

#[test]
fn rule_06_the_table_of_paths_is_what_was_measured() {
    let scenario = scenario();
    let release = scenario.text("kernel");
    let kernel: Vec<&str> = release.split('.').take(2).collect();
    let title = match probes().as_str() {
        "auto" => kernel.join("."),
        way => format!("{}, {way}", kernel.join(".")),
    };
    let cases = scenario.text("cases");
    let cases: Vec<&str> = cases.lines().collect();
    let kept = std::fs::read_to_string(DOCUMENT).unwrap_or_default();
    let mut columns = table::parse(&kept);
    let known = columns.get(&title);
    let column: BTreeMap<String, String> = (1..)
        .zip(&cases)
        .map(|(number, case)| {
            let Found { cells, missed, .. } = found(&scenario, number);
            let [server, client] = cells;
            let cell = if server == client {
                server
            } else {
                format!("server: {server}; client: {client}")
            };
            // What was left out once is no property of the path.
            let known = known.and_then(|known| known.get(*case));
            let cell = known.filter(|_| missed > 0.0).unwrap_or(&cell);
            ((*case).to_owned(), cell.clone())
        })
        .collect();
    columns.insert(title, column);
    let made = table::write(&cases, &columns);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(Path::new(DOCUMENT), made).unwrap();
        return;
    }
    for (kept, made) in kept.lines().zip(made.lines()) {
        assert_eq!(kept, made, "docs/io-paths.md; UPDATE_GOLDEN=1 writes it");
    }
    assert_eq!(kept, made, "docs/io-paths.md; UPDATE_GOLDEN=1 writes it");
}
