//! The address of a stats socket: a path, an abstract name, or a host and a port.

use std::fmt;
use std::path::PathBuf;

/// Where a stats socket is; an element of `[pull] servers`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// `unix:///run/haproxy.sock`
    Unix(PathBuf),
    /// `abns@name`, `abnsz@name`: a name of Linux' own that is in no file system.
    Abstract {
        /// The name.
        name: String,
        /// Whether the address ends with the name (`abnsz@`), or is filled up with zeros to its full length (`abns@`).
        /// They are two addresses.
        ends: bool,
    },
    /// `tcp://host:port`; the host is a name, an IPv4 or an IPv6 address without brackets.
    Tcp {
        /// Name or address.
        host: String,
        /// 1 to 65535.
        port: u16,
    },
}

/// A socket as logs name it: the path, or host and port.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => path.display().fmt(f),
            Self::Abstract { name, ends } => write!(f, "{}@{name}", if *ends { "abnsz" } else { "abns" }),
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
        }
    }
}
