//! Each scenario comes to its end. What it saved, and whether that is right, the other tests say: these are here so that
//! `.config/nextest.toml` can have all of them run first, side by side.

use std::collections::BTreeSet;

use crate::scenario::Scenario;
use xtask::paths;

/// What is sourced, what needs another architecture, and what measures by itself.
const OTHERS: [&str; 3] = ["lib", "aarch64", "cost"];

macro_rules! scenarios {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                Scenario::of(stringify!($name));
            }
        )*
        const ALL: &[&str] = &[$(stringify!($name)),*];
    };
}

scenarios! {
    accept adoption datagrams exclude host io kernels lies limit memory overload package privileges programs queue requests
    restart runtimes shapes start_stop torn unix wakeups who
}

#[test]
fn every_script_is_among_them() {
    let folder = paths::checkout().join("tests/guest");
    let files = std::fs::read_dir(folder).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let scripts: BTreeSet<String> = names
        .filter_map(|name| Some(name.strip_suffix(".sh")?.to_owned()))
        .collect();
    let known = ALL.iter().chain(&OTHERS).map(|name| (*name).to_owned());
    assert_eq!(scripts, known.collect());
}
