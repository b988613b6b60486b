//! What a connection goes over, and what its ends are called there.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use std::{
    borrow::Cow,
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};

/// What a connection goes over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// TCP over IPv4 or IPv6.
    #[default]
    Tcp,
    /// A Unix stream socket.
    Unix,
}

impl Transport {
    /// The label value.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Unix => "unix",
        }
    }

    /// For recordings: what they need not say.
    pub(super) fn is_tcp(&self) -> bool {
        *self == Self::Tcp
    }
}

/// One end of a connection. In recordings `192.0.2.1:80`, `[2001:db8::1]:80`, `unix:/run/x.sock`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// Address and port.
    Inet(SocketAddr),
    /// The name of a Unix socket: a path, `@name` for an abstract one, empty for one without a name and where
    /// the name is not known.
    Unix(Arc<str>),
}

/// Before the name of a Unix socket in recordings. No internet address begins like this.
const UNIX_PREFIX: &str = "unix:";

impl Address {
    /// The end of a connection of which nothing else is known.
    pub fn unknown(transport: Transport) -> Self {
        match transport {
            Transport::Tcp => Self::Inet(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0)),
            Transport::Unix => Self::Unix(Arc::default()),
        }
    }

    /// A Unix socket by its name as the kernel has it: a path that may end in zeros, or an abstract name, which
    /// begins with one.
    pub fn unix(name: &[u8]) -> Self {
        let name: Vec<u8> = if name.first() == Some(&0) {
            // As `ss` and /proc/net/unix show it.
            name.iter()
                .map(|byte| if *byte == 0 { b'@' } else { *byte })
                .collect()
        } else {
            name.iter().copied().take_while(|byte| *byte != 0).collect()
        };
        Self::Unix(String::from_utf8_lossy(&name).into())
    }

    /// What the connection goes over.
    pub const fn transport(&self) -> Transport {
        match self {
            Self::Inet(_) => Transport::Tcp,
            Self::Unix(_) => Transport::Unix,
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::Inet(address)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inet(address) => address.fmt(out),
            Self::Unix(name) => write!(out, "{UNIX_PREFIX}{name}"),
        }
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        match text.strip_prefix(UNIX_PREFIX) {
            Some(name) => Ok(Self::Unix(name.into())),
            None => text.parse().map(Self::Inet).map_err(D::Error::custom),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_shown_as_the_kernel_shows_them() {
        for (name, shown) in [
            (&b"/run/x.sock\0"[..], "/run/x.sock"),
            (b"/run/x.sock", "/run/x.sock"),
            (b"\0name\0more", "@name@more"),
            (b"/run/\xff", "/run/\u{fffd}"),
            (b"", ""),
        ] {
            assert_eq!(Address::unix(name), Address::Unix(shown.into()));
        }
        // The longest path that the kernel takes, which then has no zero at its end.
        let longest = [b'x'; 108];
        assert_eq!(
            Address::unix(&longest),
            Address::Unix("x".repeat(108).into())
        );
    }

    #[test]
    fn addresses_are_written_as_one_word() {
        for text in [
            "\"192.0.2.1:80\"",
            "\"[2001:db8::1]:80\"",
            "\"unix:/run/x.sock\"",
            "\"unix:@a\\\"b\"",
            "\"unix:\"",
        ] {
            let address: Address = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&address).unwrap(), text);
            let transport = if text.contains("unix") {
                Transport::Unix
            } else {
                Transport::Tcp
            };
            assert_eq!(address.transport(), transport);
        }
        assert!(serde_json::from_str::<Address>("\"/run/x.sock\"").is_err());
    }
}
