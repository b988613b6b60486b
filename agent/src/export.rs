//! Exporters: one file each, one line here.

pub mod prometheus;
