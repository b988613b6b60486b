//! Both formats to the byte, and the rules of OpenMetrics.

use super::*;
use crate::connections::{Direction, Role};
use crate::records::{Clock, Transport};
use crate::series::{Sample, Series, Settings};

fn text(snapshot: &Snapshot, format: Format) -> String {
    let mut out = Vec::new();
    write(snapshot, format, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// Two processes, the second with a name that needs escaping; buckets at 0.5 s and 1 s.
fn series() -> Series {
    let settings = Settings {
        duration_buckets_seconds: vec![0.5, 1.0],
        series_max_per_metric: 2,
        ..Settings::default()
    };
    let mut series = Series::new(settings);
    series.set_clock(Clock {
        time_ns: 1_000_000_000,
        unix_ns: 1_700_000_000_250_000_000,
    });
    let labels = [
        ("process_pid", "7".to_owned()),
        ("service_name", "shop".to_owned()),
    ];
    let shop = series.add_process(&labels, 3_000_000_000);
    let labels = [("service_name", "a\"b\\c\nd".to_owned())];
    let odd = series.add_process(&labels, 4_750_000_000);
    series.connect_duration(shop, "tcp", 500_000_000);
    series.connect_duration(shop, "tcp", 1_000_000_001);
    series.connection_active(shop, Role::Unknown, Transport::Tcp, -2);
    series.socket_bytes(odd, Role::Server, "tcp", Direction::Receive, u64::MAX);
    series.socket_bytes(odd, Role::Client, "tcp", Direction::Transmit, 5);
    series.socket_bytes(odd, Role::Client, "tcp", Direction::Receive, 6);
    series
}

fn lines_of<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    text.lines()
        .filter(|line| line.contains(name) && !line.contains("metric="))
        .collect()
}

#[test]
fn text_is_as_specified() {
    let text = text(&series().snapshot(0), Format::Text004);
    assert_eq!(
        lines_of(&text, "sockmeter_connect_duration_seconds"),
        [
            "# HELP sockmeter_connect_duration_seconds Time that a client took to make a connection.",
            "# TYPE sockmeter_connect_duration_seconds histogram",
            r#"sockmeter_connect_duration_seconds_bucket{service_name="shop",process_pid="7",transport="tcp",le="0.5"} 1"#,
            r#"sockmeter_connect_duration_seconds_bucket{service_name="shop",process_pid="7",transport="tcp",le="1.0"} 1"#,
            r#"sockmeter_connect_duration_seconds_bucket{service_name="shop",process_pid="7",transport="tcp",le="+Inf"} 2"#,
            r#"sockmeter_connect_duration_seconds_sum{service_name="shop",process_pid="7",transport="tcp"} 1.500000001"#,
            r#"sockmeter_connect_duration_seconds_count{service_name="shop",process_pid="7",transport="tcp"} 2"#,
        ]
    );
    assert_eq!(
        lines_of(&text, "sockmeter_connections_active"),
        [
            "# HELP sockmeter_connections_active Open connections.",
            "# TYPE sockmeter_connections_active gauge",
            r#"sockmeter_connections_active{service_name="shop",process_pid="7",role="unknown",transport="tcp"} -2"#,
        ]
    );
    assert_eq!(
        lines_of(&text, "sockmeter_socket_bytes_total"),
        [
            "# HELP sockmeter_socket_bytes_total Bytes that the process read from and wrote to its sockets.",
            "# TYPE sockmeter_socket_bytes_total counter",
            r#"sockmeter_socket_bytes_total{service_name="a\"b\\c\nd",direction="receive",role="server",transport="tcp"} 18446744073709551615"#,
            r#"sockmeter_socket_bytes_total{service_name="a\"b\\c\nd",direction="transmit",role="client",transport="tcp"} 5"#,
            r#"sockmeter_socket_bytes_total{overflow="true"} 6"#,
        ]
    );
    assert!(text.contains("\nsockmeter_series{metric=\"sockmeter_socket_bytes_total\"} 2\n"));
    assert!(text.contains(
        "\nsockmeter_series_overflow_total{metric=\"sockmeter_socket_bytes_total\"} 1\n"
    ));
    assert!(!text.contains("http_server_request_duration_seconds_count"));
    assert!(
        !text.contains("# TYPE http_server_request_duration_seconds "),
        "a metric without series is not shown"
    );
}

#[test]
fn open_metrics_differs_in_metadata_and_beginnings() {
    let snapshot = series().snapshot(0);
    let (text, open_metrics) = (
        text(&snapshot, Format::Text004),
        text(&snapshot, Format::OpenMetrics100),
    );
    let samples = |text: &str| {
        text.lines()
            .filter(|line| !line.starts_with('#') && !line.contains("_created"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(samples(&text), samples(&open_metrics));
    assert!(!text.contains("_created"));
    assert!(open_metrics.contains(
        "# HELP sockmeter_socket_bytes Bytes that the process read from and wrote to its sockets.\n\
         # TYPE sockmeter_socket_bytes counter\n\
         # UNIT sockmeter_socket_bytes bytes\n"
    ));
    assert!(open_metrics.ends_with("\n# EOF\n"));
}

#[test]
fn open_metrics_says_since_when_counters_and_histograms_count() {
    let mut snapshot = series().snapshot(0);
    for (metric, sample) in [
        ("process_cpu_seconds_total", Sample::Number(1.25)),
        ("sockmeter_untracked_bytes_total", Sample::Count(0)),
        ("process_open_fds", Sample::Count(9)),
    ] {
        snapshot.push(metric, &[], sample).unwrap();
    }
    let text = text(&snapshot, Format::OpenMetrics100);
    // A process and another one; what found no room; the agent; never a gauge.
    let of = |name| lines_of(&text, name);
    assert_eq!(
        of("sockmeter_connect_duration_seconds_c"),
        [
            r#"sockmeter_connect_duration_seconds_count{service_name="shop",process_pid="7",transport="tcp"} 2"#,
            r#"sockmeter_connect_duration_seconds_created{service_name="shop",process_pid="7",transport="tcp"} 1700000002.25"#,
        ]
    );
    assert_eq!(
        of("sockmeter_socket_bytes_"),
        [
            r#"sockmeter_socket_bytes_total{service_name="a\"b\\c\nd",direction="receive",role="server",transport="tcp"} 18446744073709551615"#,
            r#"sockmeter_socket_bytes_created{service_name="a\"b\\c\nd",direction="receive",role="server",transport="tcp"} 1700000004"#,
            r#"sockmeter_socket_bytes_total{service_name="a\"b\\c\nd",direction="transmit",role="client",transport="tcp"} 5"#,
            r#"sockmeter_socket_bytes_created{service_name="a\"b\\c\nd",direction="transmit",role="client",transport="tcp"} 1700000004"#,
            r#"sockmeter_socket_bytes_total{overflow="true"} 6"#,
            r#"sockmeter_socket_bytes_created{overflow="true"} 1700000000.250000001"#,
        ]
    );
    assert_eq!(
        of("process_cpu_seconds_"),
        [
            "process_cpu_seconds_total 1.25",
            "process_cpu_seconds_created 1700000000.25"
        ]
    );
    let untracked = of("sockmeter_untracked_bytes_created");
    assert_eq!(
        untracked,
        ["sockmeter_untracked_bytes_created 1700000000.25"]
    );
    for gauge in ["process_open_fds", "sockmeter_connections_active"] {
        assert!(of(gauge).iter().all(|line| !line.contains("_created")));
    }
}

#[test]
fn agent_wide_samples_are_pushed() {
    let mut snapshot = Series::new(Settings::default()).snapshot(0);
    snapshot
        .push("process_cpu_seconds_total", &[], Sample::Number(1.25))
        .unwrap();
    snapshot
        .push("process_open_fds", &[], Sample::Count(9))
        .unwrap();
    snapshot
        .push("process_start_time_seconds", &[], Sample::Number(f64::NAN))
        .unwrap();
    snapshot
        .push(
            "sockmeter_build_info",
            &[("version", "0.1\n"), ("revision", "")],
            Sample::Count(1),
        )
        .unwrap();
    assert!(
        snapshot
            .push("no_such_metric", &[], Sample::Count(1))
            .is_err()
    );
    assert!(
        snapshot
            .push("sockmeter_connect_duration_seconds", &[], Sample::Count(1))
            .is_err()
    );
    let text = text(&snapshot, Format::Text004);
    for line in [
        "process_cpu_seconds_total 1.25",
        "process_open_fds 9",
        "process_start_time_seconds NaN",
        r#"sockmeter_build_info{version="0.1\n"} 1"#,
    ] {
        assert!(text.lines().any(|found| found == line), "{line}");
    }
}

#[test]
fn seconds_are_exact() {
    for (duration_ns, expected) in [
        (0, "0"),
        (1, "0.000000001"),
        (500_000, "0.0005"),
        (1_000_000_000, "1"),
        (12_000_000_010, "12.00000001"),
        (u128::from(u64::MAX) * 1000, "18446744073709.551615"),
    ] {
        let mut out = Vec::new();
        push_seconds(&mut out, duration_ns);
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}

#[test]
fn chunks_are_bounded() {
    struct Chunks(Vec<usize>);
    impl Write for Chunks {
        fn write(&mut self, chunk: &[u8]) -> io::Result<usize> {
            self.0.push(chunk.len());
            Ok(chunk.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut series = Series::new(Settings::default());
    for pid in 0..2000 {
        let process = series.add_process(&[("process_pid", pid.to_string())], 0);
        series.connect_duration(process, "tcp", pid);
    }
    let mut chunks = Chunks(Vec::new());
    write(&series.snapshot(0), Format::Text004, &mut chunks).unwrap();
    assert!(chunks.0.len() > 10);
    assert!(
        chunks
            .0
            .iter()
            .all(|bytes| *bytes < CHUNK_BYTES + CHUNK_BYTES / 4),
        "the buffer never grows"
    );
}

/// What OpenMetrics asks for beyond well-formed lines: metadata first and once, one block per metric, no
/// series twice, `# EOF` last.
#[test]
fn open_metrics_keeps_its_rules() {
    let text = text(&series().snapshot(0), Format::OpenMetrics100);
    let mut families = std::collections::HashSet::new();
    let mut seen = std::collections::HashSet::new();
    let (mut family, mut kind) = ("", "");
    let body = text.strip_suffix("# EOF\n").unwrap();
    for line in body.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            family = help.split(' ').next().unwrap();
            assert!(families.insert(family), "{family} has two blocks");
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, word) = rest.split_once(' ').unwrap();
            assert_eq!(name, family);
            kind = word;
        } else if let Some(rest) = line.strip_prefix("# UNIT ") {
            let (name, unit) = rest.split_once(' ').unwrap();
            assert!(
                name == family && name.ends_with(&format!("_{unit}")),
                "{line}"
            );
        } else {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let name = series.split('{').next().unwrap();
            let suffixes: &[&str] = match kind {
                "counter" => &["_total", "_created"],
                "histogram" => &["_bucket", "_sum", "_count", "_created"],
                _ => &[""],
            };
            assert!(
                suffixes.contains(&name.strip_prefix(family).unwrap()),
                "{line}"
            );
            assert!(seen.insert(series), "{series} is there twice");
            assert!(value.parse::<f64>().is_ok(), "{line}");
        }
    }
    assert!(families.len() >= 5);
}

#[test]
fn pieces_are_the_whole_whatever_is_hidden_and_wherever_they_end() {
    let settings = Settings {
        series_max_per_metric: 2000,
        ..Settings::default()
    };
    let mut series = Series::new(settings);
    for pid in 0..1500 {
        let labels = [("process_pid", (pid % 1400).to_string())];
        let process = series.add_process(&labels, 0);
        series.connect_duration(process, "tcp", pid);
        series.connection_opened(process, Role::Client, "tcp");
        if pid < 100 {
            // The pid is given again below: the later process is hidden in the first snapshot.
            series.end_process(process, 0);
        }
    }
    for _ in 0..2 {
        let snapshot = series.snapshot(0);
        for format in [Format::Text004, Format::OpenMetrics100] {
            let pieces: Vec<Vec<u8>> = Chunks::new(&snapshot, format).collect();
            assert!(pieces.len() > 10, "{} pieces", pieces.len());
            let (last, full) = pieces.split_last().unwrap();
            let lengths = full.iter().map(Vec::len);
            assert!(lengths.clone().min() >= Some(CHUNK_BYTES));
            assert!(lengths.max() <= Some(BUFFER_BYTES));
            assert!(!last.is_empty());
            let whole = String::from_utf8(pieces.concat()).unwrap();
            assert_eq!(whole, text(&snapshot, format));
            let metric = "sockmeter_connect_duration_seconds";
            assert_eq!(whole.matches(&format!("# TYPE {metric} ")).count(), 1);
            let counts = whole.matches(&format!("{metric}_count{{")).count();
            assert_eq!(counts, 1400);
        }
    }
}
