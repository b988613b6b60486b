//! Every kept input of the fuzz targets holds its target's rules.

use sockmeter::protocol::http1;
use sockmeter_tests::any_bytes;
use std::io;
use std::path::{Path, PathBuf};

/// What a folder holds, in order of names.
fn entries(folder: &str) -> io::Result<Vec<PathBuf>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(folder);
    let mut paths = std::fs::read_dir(folder)?
        .map(|entry| Ok(entry?.path()))
        .collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

#[test]
fn every_folder_is_run() {
    let folders = entries("").unwrap();
    let names: Vec<_> = folders.iter().filter_map(|path| path.file_name()).collect();
    assert_eq!(names, ["http1_any_bytes", "pipeline_any_records"]);
}

#[test]
fn http1_any_bytes() {
    let seeds = entries("http1_any_bytes").unwrap();
    assert!(seeds.len() >= 20);
    for seed in seeds {
        // Shown only if the test fails: the last name is the input that broke a rule.
        eprintln!("{}", seed.display());
        any_bytes::check(&http1::KIND, &std::fs::read(&seed).unwrap());
    }
}

/// The seeds with bytes changed, cut out and doubled: what a fuzzer does first, in every test run.
#[test]
fn http1_any_bytes_mutated() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for seed in entries("http1_any_bytes").unwrap() {
        let seed = std::fs::read(&seed).unwrap();
        for _ in 0..300 {
            let mut script = seed.clone();
            for _ in 0..=random.below(4) {
                mutate(&mut script, &mut random);
            }
            any_bytes::check(&http1::KIND, &script);
        }
    }
}

fn mutate(script: &mut Vec<u8>, random: &mut Random) {
    let at = random.below(script.len());
    match random.below(3) {
        0 => {
            if let Some(byte) = script.get_mut(at) {
                *byte ^= 1 << random.below(8);
            }
        }
        1 => drop(script.drain(at..(at + random.below(8)).min(script.len()))),
        _ => script.extend_from_within(at..),
    }
}

/// xorshift64: the same numbers in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 as usize) % limit.max(1)
    }
}
