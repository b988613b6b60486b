//! One case: what the traffic is that the agent has to count.

use clap::{Args, ValueEnum};

/// Whose sockets the kernel side sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Ends {
    /// Those of the server: its clients are elsewhere.
    Server,
    /// Those of the client: it calls others.
    Client,
    /// Both: client and server are on this host, so a request is counted twice.
    Both,
}

/// What a request looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Head {
    /// ApacheBench's, about 100 bytes.
    Ab,
    /// h2load's over HTTP/1.1, about 70 bytes.
    H2load,
    /// A browser's, about 450 bytes.
    Browser,
}

/// What is measured.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// Connections, used in turn.
    #[arg(long, default_value_t = 64)]
    pub connections: u32,
    /// Processes that serve them (and as many that call, if those are seen).
    #[arg(long, default_value_t = 1)]
    pub processes: u32,
    /// Different paths, requested in turn.
    #[arg(long, default_value_t = 10)]
    pub routes: u32,
    /// Bytes of a response's body.
    #[arg(long, default_value_t = 512)]
    pub body_bytes: u64,
    /// Whose sockets are seen.
    #[arg(long, value_enum, default_value_t = Ends::Server)]
    pub ends: Ends,
    /// What requests look like.
    #[arg(long, value_enum, default_value_t = Head::Ab)]
    pub head: Head,
    /// A new connection for each request.
    #[arg(long)]
    pub new_connections: bool,
}
