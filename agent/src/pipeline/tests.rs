//! Records in, series out.
