//! The pipeline's rules hold for every kept script, and for many that chance makes.

use sockmeter_tests::any_records;
use std::{fs, path::Path};

#[test]
fn pipeline_any_records() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/pipeline_any_records");
    let mut seeds: Vec<_> = fs::read_dir(corpus)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    seeds.sort();
    assert!(seeds.len() >= 15);
    for seed in seeds {
        // Shown only if the test fails: the last name is the script that broke a rule.
        eprintln!("{}", seed.display());
        any_records::check(&fs::read(&seed).unwrap());
    }
}

#[test]
fn pipeline_any_records_by_chance() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut requests = 0;
    for number in 0..500 {
        let turns = 10 + random.below(100);
        let script: Vec<u8> = (0..turns).flat_map(|_| steps(&mut random)).collect();
        // Shown only if the test fails.
        eprintln!("script {number}");
        requests += any_records::check(&script);
    }
    // Scripts in which nothing happens would prove nothing.
    assert!(requests > 5_000, "{requests} were answered");
}

/// Exchanges that are whole, in fragments of `any_records/host.rs`; the server's have [`SERVER`] added.
const EXCHANGES: [&[u8]; 7] = [
    &[0, 1 | SERVER],
    &[2, BODY, 12 | SERVER, 10 | SERVER],
    &[
        4,
        7,
        8,
        5 | SERVER,
        6 | SERVER,
        BODY | SERVER,
        20 | SERVER,
        8 | SERVER,
    ],
    &[9, 11 | SERVER],
    &[16, 17 | SERVER],
    &[18, 19, 20, 21 | SERVER, 22 | SERVER],
    &[0, 3 | SERVER, BODY | SERVER],
];
const SERVER: u8 = 128;
/// No fragment, but as much as a body or a chunk is long, not captured.
const BODY: u8 = 127;

/// Steps of one socket that make sense more often than not. The sockets' roles alternate.
fn steps(random: &mut Random) -> Vec<u8> {
    let socket = random.below(4) as u8;
    let at = socket << 4;
    match random.below(20) {
        0..4 => vec![at, socket & 1],
        4 | 5 => vec![2 | at, random.byte()],
        6 => vec![random.byte(), random.byte(), random.byte()],
        7 => vec![12, random.byte()],
        8 => {
            let no_http = 23 + (random.byte() & (SERVER | 3));
            segment(random, socket, no_http)
        }
        number => {
            let exchange = EXCHANGES.get(number % EXCHANGES.len()).copied();
            let parts = exchange.unwrap_or_default().iter();
            parts
                .flat_map(|what| segment(random, socket, *what))
                .collect()
        }
    }
}

fn segment(random: &mut Random, socket: u8, what: u8) -> Vec<u8> {
    /// In the details: bytes were lost before, bytes were not captured behind.
    const GAP: u8 = 8;
    const UNSEEN: u8 = 16;
    let at = socket << 4;
    let is_client_speaking = what & SERVER == 0;
    let direction = u8::from(is_client_speaking) ^ (socket & 1) ^ 1;
    // Mostly the same process.
    let pid = if random.below(30) == 0 { 2 } else { 0 };
    let detail = direction | pid;
    match (what & !SERVER, random.below(60)) {
        (_, 0) => vec![],
        (BODY, _) => vec![8 | at, detail | UNSEEN, 128],
        (fragment, 1) => vec![5 | at, detail | GAP, random.byte(), fragment],
        (fragment, 2) => vec![5 | at, detail | UNSEEN, random.byte(), fragment],
        (fragment, _) => vec![5 | at, detail, fragment],
    }
}

/// xorshift64: the same numbers in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % limit
    }

    fn byte(&mut self) -> u8 {
        self.below(256) as u8
    }
}
