//! Container ids out of cgroup paths.
