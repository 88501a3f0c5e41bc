//! [`Bind`], an address to listen on.

use std::fmt;
use std::path::PathBuf;

use super::parse;

/// Address that a listener binds to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bind {
    /// `host:port` of a TCP listener. The host is a name or an address, IPv6 in brackets. Port 0
    /// lets the operating system choose.
    Tcp(String),
    /// Path of a Unix socket, written `unix:/run/sentinel.sock`.
    Unix(PathBuf),
}

/// Description of a valid listen address, for error messages.
pub(super) const EXPECTED: &str =
    "host:port such as \"127.0.0.1:5000\" or \"[::1]:5000\", or \"unix:/path\"";

impl Bind {
    /// Parses the written form of a listen address. Returns `None` if the text is invalid.
    pub fn parse(text: &str) -> Option<Self> {
        match text.strip_prefix("unix:") {
            Some(path) => (!path.is_empty()).then(|| Self::Unix(path.into())),
            None => parse::host_port(text).map(|_| Self::Tcp(text.to_owned())),
        }
    }

    /// Returns whether the system chooses the TCP port, which then differs at each start.
    pub(super) fn is_any_port(&self) -> bool {
        match self {
            Self::Tcp(address) => parse::host_port(address).is_some_and(|(_, port)| port == 0),
            Self::Unix(_) => false,
        }
    }

    /// Returns whether only this machine can reach the address. Of host names, only `localhost`
    /// counts as local.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => {
                parse::host_port(address).is_some_and(|(host, _)| parse::is_loopback(host))
            }
            Self::Unix(_) => true,
        }
    }
}

impl fmt::Display for Bind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => f.write_str(address),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}
