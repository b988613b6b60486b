//! Every setting: default, unit, limit; one strict TOML file and flags; the one place that rejects bad ones.
