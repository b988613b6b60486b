//! Any records into the pipeline: `cargo +nightly fuzz run pipeline_any_records` in `tests/`.
#![no_main]

libfuzzer_sys::fuzz_target!(|script: &[u8]| {
    sockmeter_tests::any_records::check(script);
});
