//! Replay tests, guest tests, captures, fuzz targets; see `tests/`.

pub mod any_bytes;
pub mod any_records;
pub mod conservation;
pub mod resets;
pub mod scrape;
