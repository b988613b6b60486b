//! The agent's own process metrics.
