//! Replay tests, guest tests, captures, fuzz targets; see `tests/`.
