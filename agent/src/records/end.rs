//! One end of a connection: which connection, whose role, which way.

/// A socket's cookie, with how often the socket was connected anew in the top 16 bits: unique since boot.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(transparent)]
pub struct ConnectionId(pub u64);

/// The end of the connection that a process holds.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// It accepted the connection.
    Server,
    /// It made the connection.
    Client,
    /// Not known: the connection was open before the agent, and nothing told its role since.
    #[default]
    Unknown,
}

impl Role {
    /// The label value.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Client => "client",
            Self::Unknown => "unknown",
        }
    }
}

/// Which way bytes go, as seen by the process.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// To the process.
    Receive,
    /// From the process.
    Transmit,
}

impl Direction {
    /// In the order in which counts of both are kept.
    pub const BOTH: [Self; 2] = [Self::Receive, Self::Transmit];

    /// The label value.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Receive => "receive",
            Self::Transmit => "transmit",
        }
    }

    /// The other one.
    pub const fn opposite(self) -> Self {
        match self {
            Self::Receive => Self::Transmit,
            Self::Transmit => Self::Receive,
        }
    }
}
