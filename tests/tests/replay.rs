//! Every recording makes the scrape that is kept for it, byte for byte. `UPDATE_GOLDEN=1` writes what
//! is made now; look at what it changes.

#![allow(clippy::unwrap_used, clippy::expect_used)] // Also in what the tests share.

use sockmeter::{
    export::prometheus::{Format, write},
    pipeline::{Pipeline, Unsteered},
    records::{Record, recording},
    series::Settings,
};
use sockmeter_tests::{resets::Resets, scrape::Scrape};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The names of all recordings, in order.
fn recordings() -> BTreeSet<String> {
    let file_names = fs::read_dir(folder("recordings")).unwrap();
    let name = |path: PathBuf| {
        Some(
            path.file_name()?
                .to_str()?
                .strip_suffix(".jsonl")?
                .to_owned(),
        )
    };
    file_names
        .map(|entry| name(entry.unwrap().path()).expect("only recordings are there"))
        .collect()
}

/// Plays a recording; `change` may do something to each record first.
fn replay_changed(name: &str, mut change: impl FnMut(Record<'_>) -> Vec<Record<'_>>) -> Pipeline {
    let text = fs::read(folder("recordings").join(format!("{name}.jsonl"))).unwrap();
    let mut pipeline = Pipeline::new(Settings::default());
    recording::read(text.as_slice(), |record| {
        for record in change(record) {
            pipeline.push(record, &mut Unsteered);
        }
    })
    .unwrap();
    pipeline
}

fn replay(name: &str) -> Pipeline {
    replay_changed(name, |record| vec![record])
}

fn scrape(pipeline: &mut Pipeline, format: Format) -> String {
    let mut text = Vec::new();
    write(&pipeline.snapshot(), format, &mut text).unwrap();
    String::from_utf8(text).unwrap()
}

fn scrape_of(name: &str) -> String {
    scrape(&mut replay(name), Format::Text004)
}

/// The sum over the lines of a scrape that begin with `metric` and hold all `labels`.
fn sum(scrape: &str, metric: &str, labels: &[&str]) -> f64 {
    scrape
        .lines()
        .filter(|line| line.split(['{', ' ']).next() == Some(metric))
        .filter(|line| labels.iter().all(|label| line.contains(label)))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum()
}

fn check_golden(file: &str, made: &str) {
    let path = folder("golden").join(file);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::create_dir_all(folder("golden")).unwrap();
        fs::write(&path, made).unwrap();
        return;
    }
    let kept = fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{file}: {error}; UPDATE_GOLDEN=1 makes it"));
    check_same(file, &kept, made);
}

/// Panics with the first line that differs.
fn check_same(name: &str, expected: &str, made: &str) {
    let (mut expected, mut made) = (expected.split('\n'), made.split('\n'));
    for number in 1.. {
        let lines = (expected.next(), made.next());
        assert_eq!(lines.0, lines.1, "{name}, line {number}");
        if lines == (None, None) {
            return;
        }
    }
}

#[test]
fn recordings_make_their_golden_scrapes() {
    for name in recordings() {
        check_golden(&format!("{name}.txt"), &scrape_of(&name));
    }
    for name in ["keep_alive", "clock"] {
        check_golden(
            &format!("{name}.openmetrics.txt"),
            &scrape(&mut replay(name), Format::OpenMetrics100),
        );
    }
}

#[test]
fn golden_scrapes_have_recordings() {
    let mut names = recordings();
    assert!(names.len() >= 18, "{names:?}");
    // The list of all metrics, which has a test of its own.
    names.insert("metrics".to_owned());
    for entry in fs::read_dir(folder("golden")).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_name().unwrap().to_str().unwrap();
        let name = file.split('.').next().unwrap();
        assert!(names.contains(name), "{file}");
    }
}

#[test]
fn recordings_are_small_and_say_what_they_are() {
    for name in recordings() {
        let text = fs::read_to_string(folder("recordings").join(format!("{name}.jsonl"))).unwrap();
        assert!(
            text.starts_with("# ") && text.lines().count() <= 200,
            "{name}"
        );
    }
}

#[test]
fn the_same_recording_makes_the_same_bytes() {
    for name in recordings() {
        check_same(&name, &scrape_of(&name), &scrape_of(&name));
    }
}

/// Loads whose size is known (rule 21), each seen from both ends (rule 17).
#[test]
fn rule_21_requests_made_are_requests_counted() {
    for (name, client, server, requests) in [
        ("recorded_nginx", "", "nginx", 20.0 + 4.0 + 1.0),
        ("recorded_python", "", "python3.11", 4.0),
        ("recorded_proxy", "\"nginx\"", "python3.11", 2.0 + 6.0),
        ("recorded_proxy", "", "nginx", 3.0 + 6.0),
    ] {
        let scrape = scrape_of(name);
        let executable = format!("process_executable_name=\"{server}\"");
        let served = "http_server_request_duration_seconds_count";
        assert_eq!(sum(&scrape, served, &[&executable]), requests, "{name}");
        let port = if server == "nginx" { "8080" } else { "8000" };
        let port = format!("server_port=\"{port}\"");
        let asked = "http_client_request_duration_seconds_count";
        assert_eq!(sum(&scrape, asked, &[client, &port]), requests, "{name}");
        assert_eq!(
            sum(&scrape, "sockmeter_requests_unanswered_total", &[]),
            0.0
        );
        assert_eq!(
            sum(&scrape, "sockmeter_payload_bytes_total", &["\"lost\""]),
            0.0
        );
    }
}

#[test]
fn rule_21_every_byte_went_somewhere() {
    for name in recordings() {
        let scrape = scrape_of(&name);
        for direction in ["direction=\"receive\"", "direction=\"transmit\""] {
            let bytes = "sockmeter_socket_bytes_total";
            // Datagrams are on no connection, and nobody reads them.
            let datagrams = sum(&scrape, bytes, &[direction, "transport=\"udp\""]);
            let moved = sum(&scrape, bytes, &[direction]) - datagrams;
            let told = sum(&scrape, "sockmeter_payload_bytes_total", &[direction]);
            assert_eq!(moved, told, "{name} {direction}");
        }
    }
}

/// What is not captured behind the heads changes nothing.
#[test]
fn rule_08_bodies_need_not_be_captured() {
    for name in recordings()
        .iter()
        .filter(|name| name.starts_with("recorded_"))
    {
        let mut bytes_cut = 0;
        let mut headless = replay_changed(name, |mut record| {
            if let Record::Segment(segment) = &mut record {
                // A segment without the end of a head is all body in these recordings.
                let mut fours = segment.content.windows(4);
                let head_bytes = fours
                    .position(|four| four == b"\r\n\r\n")
                    .map_or(0, |at| at + 4);
                bytes_cut += segment.content.len() - head_bytes;
                segment.content.to_mut().truncate(head_bytes);
            }
            vec![record]
        });
        assert!(bytes_cut > 1000, "{name}: {bytes_cut}");
        check_same(
            name,
            &scrape_of(name),
            &scrape(&mut headless, Format::Text004),
        );
    }
}

/// Calls that move less, at the same times.
#[test]
fn rule_07_split_anywhere() {
    // A reader that looks for its place does so at the beginnings of calls, and what overtook a call
    // waits for one record.
    let by_call = ["adopted", "gap_in_head", "overtaken", "table"];
    for name in recordings() {
        for part in [1, 3, 17, 40] {
            if !by_call.contains(&name.as_str()) {
                let mut split = replay_changed(&name, |record| halves(record, part));
                let made = scrape(&mut split, Format::Text004);
                check_same(&name, &settled(&scrape_of(&name)), &settled(&made));
            }
        }
    }
}

/// A scrape without the bytes that wait for more to be recognised: there were none if nothing was split.
fn settled(scrape: &str) -> String {
    let lines = scrape.split_inclusive('\n');
    lines
        .filter(|line| !line.contains("sockmeter_payload_pending_bytes"))
        .collect()
}

fn halves(record: Record<'_>, part: usize) -> Vec<Record<'_>> {
    let Record::Segment(segment) = &record else {
        return vec![record];
    };
    if segment.content.len() <= part {
        return vec![record];
    }
    let (mut one, mut other) = (segment.clone(), segment.clone());
    one.content.to_mut().truncate(part);
    one.length_bytes = part as u32;
    other.content.to_mut().drain(..part);
    other.position += part as u64;
    other.length_bytes -= part as u32;
    vec![Record::Segment(one), Record::Segment(other)]
}

#[test]
fn what_begins_anew_has_a_newer_beginning() {
    let mut pipeline = replay("clock");
    let mut resets = Resets::default();
    let client = ["process_pid=\"20\""];
    // The second client was added when its connection was opened, by the clock that was set forward by an hour.
    for (began, status) in [(1_700_000_001.0, "200"), (1_700_003_602.7, "404")] {
        let scrape = scrape(&mut pipeline, Format::OpenMetrics100);
        let shown = resets.differences(&Scrape::parse(&scrape));
        assert_eq!(shown, Vec::<String>::new());
        let metric = "http_client_request_duration_seconds";
        assert_eq!(sum(&scrape, &format!("{metric}_created"), &client), began);
        let status = format!("http_response_status_code=\"{status}\"");
        let counted = [client[0], &status];
        assert_eq!(sum(&scrape, &format!("{metric}_count"), &counted), 1.0);
    }
}

#[test]
fn ended_processes_are_shown_once_more() {
    let mut pipeline = replay("process_ends");
    let ended = "process_executable_name=\"curl\"";
    let first = scrape(&mut pipeline, Format::Text004);
    assert_eq!(
        sum(
            &first,
            "http_client_request_duration_seconds_count",
            &[ended]
        ),
        1.0
    );
    let second = scrape(&mut pipeline, Format::Text004);
    assert!(!second.contains(ended));
    assert_eq!(
        sum(
            &second,
            "http_server_request_duration_seconds_count",
            &["process_executable_name=\"web\""]
        ),
        1.0
    );
}
