//! Each refusal with its exact text, and the example file against the defaults.

use super::*;

const EXAMPLE: &str = include_str!("../../../deploy/sockmeter.toml");

fn refusal(text: &str) -> String {
    match Config::parse(Path::new("s.toml"), text) {
        Ok(config) => panic!("accepted: {config:?}"),
        Err(error) => error.to_string(),
    }
}

fn parsed(text: &str) -> Config {
    Config::parse(Path::new("s.toml"), text).unwrap()
}

#[test]
fn an_empty_file_is_the_defaults() {
    assert_eq!(parsed(""), Config::default());
    let defaults = Config::default();
    assert_eq!(defaults.listen.to_string(), "[::]:9435");
    assert_eq!(defaults.kernel.ring_bytes, 4_194_304);
    assert_eq!(defaults.kernel.connections_max, 32_768);
    assert_eq!(defaults.series.duration_buckets_seconds.len(), 14);
}

#[test]
fn the_example_is_the_defaults() {
    assert_eq!(parsed(EXAMPLE), Config::default());
}

#[test]
fn the_example_mentions_every_key() {
    // Full destructuring: a new setting does not build until it is listed here.
    let Config {
        listen: _,
        cpu_limit_cores: _,
        exclude: _,
        log,
        kernel,
        series,
    } = Config::default();
    let Log {
        format: _,
        level: _,
    } = log;
    let Kernel {
        ring_bytes: _,
        connections_max: _,
        datagram_processes_max: _,
        capture_bytes_max: _,
        drain_interval_milliseconds: _,
        btf: _,
        probes: _,
    } = kernel;
    let Series {
        max_per_metric: _,
        routes_max_per_process: _,
        duration_buckets_seconds: _,
        process_labels: _,
    } = series;
    let tables: [(Option<&str>, &[&str]); 4] = [
        (None, &["listen", "cpu_limit_cores", "exclude"]),
        (Some("log"), &["format", "level"]),
        (
            Some("kernel"),
            &[
                "ring_bytes",
                "connections_max",
                "datagram_processes_max",
                "capture_bytes_max",
                "drain_interval_milliseconds",
                "probes",
            ],
        ),
        (
            Some("series"),
            &[
                "max_per_metric",
                "routes_max_per_process",
                "duration_buckets_seconds",
                "process_labels",
            ],
        ),
    ];
    let example: toml::Table = EXAMPLE.parse().unwrap();
    for (table, keys) in tables {
        let values = table.map_or(&example, |name| example[name].as_table().unwrap());
        let mut found: Vec<&str> = values
            .iter()
            .filter(|(_, value)| !value.is_table())
            .map(|(key, _)| key.as_str())
            .collect();
        let mut wanted = keys.to_vec();
        found.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(found, wanted, "table {table:?}");
    }
}

#[test]
fn every_setting_is_read() {
    let config = parsed(
        r#"
        listen = "127.0.0.1:9000"
        cpu_limit_cores = 2
        exclude = ["node", "/usr/sbin/nginx"]
        log = { format = "json", level = "trace" }
        [kernel]
        ring_bytes = 8192
        connections_max = 1
        datagram_processes_max = 2
        capture_bytes_max = 0
        drain_interval_milliseconds = 1000
        btf = "/var/lib/types"
        probes = "kprobe"
        [series]
        max_per_metric = 5
        routes_max_per_process = 6
        duration_buckets_seconds = [1, 2.5]
        process_labels = ["container_id", "service_name"]
        "#,
    );
    assert_eq!(
        config,
        Config {
            listen: "127.0.0.1:9000".parse().unwrap(),
            cpu_limit_cores: 2.0,
            exclude: vec!["node".to_owned(), "/usr/sbin/nginx".to_owned()],
            log: Log {
                format: Format::Json,
                level: Level::Trace
            },
            kernel: Kernel {
                ring_bytes: 8192,
                connections_max: 1,
                datagram_processes_max: 2,
                capture_bytes_max: 0,
                drain_interval_milliseconds: 1000,
                btf: Some("/var/lib/types".into()),
                probes: Wanted::Kprobe,
            },
            series: Series {
                max_per_metric: 5,
                routes_max_per_process: 6,
                duration_buckets_seconds: vec![1.0, 2.5],
                process_labels: vec![ProcessLabel::ContainerId, ProcessLabel::ServiceName],
            },
        }
    );
}

#[test]
fn limits_are_inclusive() {
    for (key, min, max) in [
        ("ring_bytes", 4096, 1_073_741_824),
        ("connections_max", 1, 1_048_576),
        ("datagram_processes_max", 1, 65_536),
        ("capture_bytes_max", 0, 8192),
        ("drain_interval_milliseconds", 1, 1000),
    ] {
        for value in [min, max] {
            parsed(&format!("[kernel]\n{key} = {value}\n"));
        }
        for value in [min - 1, max + 1] {
            assert_eq!(
                refusal(&format!("[kernel]\n{key} = {value}\n")),
                format!(
                    "s.toml:2:{}: kernel.{key}: {value} is out of range; use {min} to {max}",
                    key.len() + 4
                )
            );
        }
    }
    for (key, max) in [
        ("max_per_metric", 1_000_000),
        ("routes_max_per_process", 10_000),
    ] {
        parsed(&format!("[series]\n{key} = {max}\n"));
        for value in [0, max + 1] {
            assert_eq!(
                refusal(&format!("[series]\n{key} = {value}\n")),
                format!(
                    "s.toml:2:{}: series.{key}: {value} is out of range; use 1 to {max}",
                    key.len() + 4
                )
            );
        }
    }
}

#[test]
fn unknown_keys_are_named_with_their_line() {
    assert_eq!(
        refusal("listen = \":1\"\n\n[kernel]\nring_byte = 4096\n"),
        "s.toml:4:1: kernel.ring_byte: unknown key, expected one of `ring_bytes`, `connections_max`, \
         `datagram_processes_max`, `capture_bytes_max`, `drain_interval_milliseconds`, `btf`, `probes`"
    );
    assert_eq!(
        refusal("[kernal]\nring_bytes = 4096\n"),
        "s.toml:1:2: kernal: unknown key, expected one of `listen`, `cpu_limit_cores`, `exclude`, `log`, `kernel`, `series`"
    );
    assert_eq!(
        refusal("log.levle = 'info'"),
        "s.toml:1:5: log.levle: unknown key, expected `format` or `level`"
    );
}

#[test]
fn wrong_types_are_named_in_plain_words() {
    assert_eq!(
        refusal("[kernel]\nring_bytes = \"4 MiB\"\n"),
        "s.toml:2:14: kernel.ring_bytes: invalid type: string \"4 MiB\", expected a whole number"
    );
    assert_eq!(
        refusal("kernel = 3\n"),
        "s.toml:1:10: kernel: invalid type: `3`, expected a table"
    );
    assert_eq!(
        refusal("[series]\nduration_buckets_seconds = 1\n"),
        "s.toml:2:28: series.duration_buckets_seconds: invalid type: `1`, expected a list"
    );
    assert_eq!(
        refusal("[log]\nlevel = 'verbose'\n"),
        "s.toml:2:9: log.level: unknown value `verbose`, expected one of `error`, `warn`, `info`, `debug`, `trace`"
    );
}

#[test]
fn values_out_of_their_rules_are_refused_with_the_remedy() {
    assert_eq!(
        refusal("[kernel]\nring_bytes = 5000\n"),
        "s.toml:2:14: kernel.ring_bytes: 5000 is not a power of two; use 4096 or 8192"
    );
    assert_eq!(
        refusal("listen = 'localhost:9435'"),
        "s.toml:1:10: listen: \"localhost:9435\" is not an address and port; \
         write 127.0.0.1:9435, [::1]:9435 or :9435 for all addresses"
    );
    assert_eq!(
        refusal("exclude = ['nginx', '']"),
        "s.toml:1:11: exclude: the name is empty; write the name of a service or executable, or its path"
    );
    let names = vec!["'a'"; 257].join(", ");
    assert_eq!(
        refusal(&format!("exclude = [{names}]")),
        "s.toml:1:11: exclude: 257 names; use up to 256"
    );
    for (cores, said) in [
        ("0.001", "0.001"),
        ("-1", "-1"),
        ("1025", "1025"),
        ("nan", "NaN"),
    ] {
        assert_eq!(
            refusal(&format!("cpu_limit_cores = {cores}")),
            format!("s.toml:1:19: cpu_limit_cores: {said} is out of range; use 0.01 to 1024")
        );
    }
    for (buckets, why) in [
        ("[]", "0 bounds; use 1 to 64"),
        (
            "[0.1, 0.5, 0.5]",
            "0.5 after 0.5; each bound must be above the one before",
        ),
        (
            "[1, 0.5]",
            "0.5 after 1; each bound must be above the one before",
        ),
        ("[0]", "0 is not a number above zero; +Inf is always added"),
        (
            "[-1.5]",
            "-1.5 is not a number above zero; +Inf is always added",
        ),
        (
            "[1, inf]",
            "inf is not a number above zero; +Inf is always added",
        ),
        (
            "[nan]",
            "NaN is not a number above zero; +Inf is always added",
        ),
    ] {
        assert_eq!(
            refusal(&format!("[series]\nduration_buckets_seconds = {buckets}\n")),
            format!("s.toml:2:28: series.duration_buckets_seconds: {why}")
        );
    }
    let bounds = |count: usize| {
        (1..=count)
            .map(|bound| bound.to_string())
            .collect::<Vec<_>>()
            .join(", ")
    };
    parsed(&format!(
        "[series]\nduration_buckets_seconds = [{}]\n",
        bounds(64)
    ));
    assert_eq!(
        refusal(&format!(
            "[series]\nduration_buckets_seconds = [{}]\n",
            bounds(65)
        )),
        "s.toml:2:28: series.duration_buckets_seconds: 65 bounds; use 1 to 64"
    );
    assert_eq!(
        refusal("[series]\nprocess_labels = ['process_pid', 'process_pid']\n"),
        "s.toml:2:18: series.process_labels: process_pid is listed twice"
    );
    assert_eq!(
        refusal("[series]\nprocess_labels = [\n  'pod',\n]\n"),
        "s.toml:3:3: series.process_labels: unknown value `pod`, expected one of `service_name`, \
         `process_executable_name`, `process_pid`, `container_name`, `container_id`"
    );
    assert_eq!(
        parsed("series.process_labels = []").series.process_labels,
        []
    );
}

#[test]
fn what_is_not_toml_has_a_place() {
    assert_eq!(
        refusal("[kernel]\nring_bytes 4096\n"),
        "s.toml:2:12: key with no value, expected `=`"
    );
    assert_eq!(
        refusal("# größer\nlisten = \n"),
        "s.toml:2:10: string values must be quoted, expected literal string"
    );
    assert_eq!(
        refusal("[kernel]\nring_bytes = 4096\nring_bytes = 8192\n"),
        "s.toml:3:1: duplicate key"
    );
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let error = |path: &Path| Config::load(path).unwrap_err().to_string();
    assert_eq!(
        error(Path::new("/nowhere/s.toml")),
        "/nowhere/s.toml: cannot read: no such file"
    );
    assert_eq!(
        error(folder.path()),
        format!("{}: cannot read: is a directory", folder.path().display())
    );
    assert_eq!(
        error(Path::new("/dev/zero")),
        "/dev/zero: cannot read: larger than 1048576 bytes"
    );
    let latin = folder.path().join("latin.toml");
    std::fs::write(&latin, b"# gr\xf6\xdfer\n").unwrap();
    assert_eq!(
        error(&latin),
        format!("{}: cannot read: not UTF-8 text", latin.display())
    );
    let good = folder.path().join("good.toml");
    std::fs::write(&good, "log.level = 'warn'\n").unwrap();
    assert_eq!(Config::load(&good).unwrap().log.level, Level::Warn);
}

#[test]
fn listen_takes_an_address_or_only_a_port() {
    for (text, address) in [
        (":9000", "[::]:9000"),
        ("[::]:9000", "[::]:9000"),
        ("0.0.0.0:9000", "0.0.0.0:9000"),
        ("127.0.0.1:0", "127.0.0.1:0"),
        ("[::1]:1", "[::1]:1"),
    ] {
        assert_eq!(parse_listen(text).unwrap().to_string(), address);
    }
    for text in [
        "",
        ":",
        "9435",
        "127.0.0.1",
        ":65536",
        "localhost:1",
        ":+80",
        "::1",
    ] {
        assert!(parse_listen(text).is_err(), "{text:?}");
    }
}

#[test]
fn labels_are_spelled_alike_in_the_file_and_on_the_series() {
    for label in ProcessLabel::ALL {
        let text = format!("series.process_labels = ['{}']", label.as_str());
        assert_eq!(parsed(&text).series.process_labels, [label]);
    }
}
