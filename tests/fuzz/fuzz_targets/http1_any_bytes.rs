//! Any bytes into the HTTP/1 reader: `cargo +nightly fuzz run http1_any_bytes` in `tests/`.
#![no_main]

libfuzzer_sys::fuzz_target!(|script: &[u8]| {
    sockmeter_tests::any_bytes::check(&sockmeter::protocol::http1::KIND, script);
});
