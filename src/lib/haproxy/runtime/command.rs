//! Commands, and the values in them. A value that HAProxy would refuse, or misread, cannot be built.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

/// Largest weight of a server (configuration manual, `weight`).
pub(crate) const LARGEST_WEIGHT: u16 = 256;

/// Why a value does not go into a command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidValue {
    /// HAProxy's names are made of letters, digits, and `-_.:`.
    #[error("{0:?} is not the name of a backend or server: only letters, digits and -_.: are allowed")]
    Name(String),
    /// Port 0; HAProxy would accept it.
    #[error("{0} has port 0, which cannot be connected to")]
    Port(IpAddr),
    /// HAProxy would take 0.0.0.0 for the address that the client asked for; the others are no servers.
    #[error("{0} is not the address of a single server")]
    Address(IpAddr),
    /// Beyond 256.
    #[error("weight {0} is above {LARGEST_WEIGHT}")]
    Weight(u64),
    /// A word of `add server` that would end the command, or begin another one.
    #[error("{0:?} is not allowed in the options of a server")]
    Options(String),
}

/// The name of a backend or of a server.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(String);

impl Name {
    /// As written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let valid = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':');
        if text.is_empty() || !text.bytes().all(valid) {
            return Err(InvalidValue::Name(text.to_owned()));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A server of a backend; displays as `backend/server`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServerName {
    /// The backend.
    pub backend: Name,
    /// The server in it.
    pub server: Name,
}

impl fmt::Display for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.backend, self.server)
    }
}

/// Address and port of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Endpoint(SocketAddr);

impl Endpoint {
    /// Checks what HAProxy does not check. An IPv4 address in IPv6 clothes becomes the IPv4 address.
    ///
    /// # Errors
    /// Port 0, and addresses that are not those of one host.
    pub fn new(address: IpAddr, port: u16) -> Result<Self, InvalidValue> {
        let address = address.to_canonical();
        let broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
        if address.is_unspecified() || address.is_multicast() || broadcast {
            return Err(InvalidValue::Address(address));
        }
        if port == 0 {
            return Err(InvalidValue::Port(address));
        }
        Ok(Self(SocketAddr::new(address, port)))
    }

    /// The address.
    #[must_use]
    pub fn ip(self) -> IpAddr {
        self.0.ip()
    }

    /// The port; never 0.
    #[must_use]
    pub fn port(self) -> u16 {
        self.0.port()
    }
}

/// `10.0.0.1:80`, `[::1]:80`
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Weight of a server, 0 to 256.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Weight(u16);

impl Weight {
    /// No new traffic, save what is bound to the server by a cookie.
    pub const ZERO: Self = Self(0);

    /// Checks the bounds.
    ///
    /// # Errors
    /// Beyond 256.
    pub fn new(weight: u64) -> Result<Self, InvalidValue> {
        match u16::try_from(weight) {
            Ok(small) if small <= LARGEST_WEIGHT => Ok(Self(small)),
            _ => Err(InvalidValue::Weight(weight)),
        }
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> u16 {
        self.0
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What follows the address in `add server`: `check inter 2s maxconn 100`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServerOptions(String);

impl ServerOptions {
    /// Whether the servers get a health check, which `add server` leaves switched off.
    #[must_use]
    pub(crate) fn has_check(&self) -> bool {
        self.0.split(' ').any(|word| word == "check")
    }

    /// Whether the servers get an agent check, which `add server` leaves switched off.
    #[must_use]
    pub(crate) fn has_agent(&self) -> bool {
        self.0.split(' ').any(|word| word == "agent-check")
    }
}

impl FromStr for ServerOptions {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        // `id` and the state are ours; a backslash, a quote or `<<` changes how HAProxy reads the rest of the line.
        let refused = |word: &&&str| {
            matches!(**word, "id" | "disabled" | "enabled")
                || word.contains([';', '\\', '"', '\'', '#'])
                || word.contains("<<")
                || !word.bytes().all(|byte| byte.is_ascii_graphic())
        };
        match words.iter().find(refused) {
            Some(word) => Err(InvalidValue::Options((*word).to_owned())),
            None => Ok(Self(words.join(" "))),
        }
    }
}

/// Administrative states of `set server ... state`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AdminState {
    /// Takes traffic when it is up.
    Ready,
    /// Takes no new traffic except what is bound to it; checks continue.
    Drain,
    /// Takes no traffic; checks stop.
    Maint,
}

impl AdminState {
    /// HAProxy's word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Drain => "drain",
            Self::Maint => "maint",
        }
    }

    /// The state of this word.
    #[must_use]
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        [Self::Ready, Self::Drain, Self::Maint].into_iter().find(|state| state.word() == word)
    }
}

impl fmt::Display for AdminState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A command that changes a server. Displays as HAProxy reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Where it is.
    Address(ServerName, Endpoint),
    /// Its weight; overrides that of the configuration and that of an agent, until the next who sets it.
    Weight(ServerName, Weight),
    /// Its administrative state.
    State(ServerName, AdminState),
    /// Down until the health check has passed as often as `rise` says.
    HealthDown(ServerName),
    /// Switches the health check of a server on that was added with `check`.
    EnableHealth(ServerName),
    /// Switches the agent check of a server on that was added with `agent-check`, or whose agent was switched off.
    EnableAgent(ServerName),
    /// Asks the agent of a server no longer. What it has said stays.
    DisableAgent(ServerName),
    /// Ends what is still open on it.
    ShutdownSessions(ServerName),
    /// A new server, in maintenance, with this number as `id`.
    Add(ServerName, Endpoint, u32, ServerOptions),
    /// Removes a server that is in maintenance.
    Delete(ServerName),
}

impl Command {
    /// Whom it changes.
    #[must_use]
    pub fn server(&self) -> &ServerName {
        match self {
            Self::Address(server, _)
            | Self::Weight(server, _)
            | Self::State(server, _)
            | Self::HealthDown(server)
            | Self::EnableHealth(server)
            | Self::EnableAgent(server)
            | Self::DisableAgent(server)
            | Self::ShutdownSessions(server)
            | Self::Add(server, ..)
            | Self::Delete(server) => server,
        }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(server, at) => write!(f, "set server {server} addr {} port {}", at.ip(), at.port()),
            Self::Weight(server, weight) => write!(f, "set server {server} weight {weight}"),
            Self::State(server, state) => write!(f, "set server {server} state {state}"),
            Self::HealthDown(server) => write!(f, "set server {server} health down"),
            Self::EnableHealth(server) => write!(f, "enable health {server}"),
            Self::EnableAgent(server) => write!(f, "enable agent {server}"),
            Self::DisableAgent(server) => write!(f, "disable agent {server}"),
            Self::ShutdownSessions(server) => write!(f, "shutdown sessions server {server}"),
            Self::Add(server, at, id, options) => {
                write!(f, "add server {server} {at} id {id}")?;
                if options.0.is_empty() { Ok(()) } else { write!(f, " {}", options.0) }
            }
            Self::Delete(server) => write!(f, "del server {server}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server() -> ServerName {
        ServerName { backend: "web".parse().unwrap(), server: "web1".parse().unwrap() }
    }

    #[test]
    fn names_cannot_carry_another_command() {
        for text in ["", "a b", "a;b", "a\nb", "a/b", "web1 state maint", "wéb", "a\\", "a\""] {
            assert!(text.parse::<Name>().is_err(), "{text:?}");
        }
        for text in ["a", "web-1_2.3:4", "SRV"] {
            assert_eq!(text.parse::<Name>().unwrap().as_str(), text);
        }
    }

    #[test]
    fn endpoints_that_haproxy_would_misread_cannot_be_built() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        assert_eq!(Endpoint::new(ip("10.0.0.1"), 0), Err(InvalidValue::Port(ip("10.0.0.1"))));
        for text in ["0.0.0.0", "::", "255.255.255.255", "224.0.0.1", "ff02::1", "::ffff:0.0.0.0"] {
            assert!(matches!(Endpoint::new(ip(text), 80), Err(InvalidValue::Address(_))), "{text}");
        }
        assert_eq!(Endpoint::new(ip("::ffff:10.0.0.1"), 80).unwrap().to_string(), "10.0.0.1:80");
    }

    #[test]
    fn weights_end_at_256() {
        assert_eq!(Weight::new(256).unwrap().get(), 256);
        assert_eq!(Weight::new(257), Err(InvalidValue::Weight(257)));
        assert_eq!(Weight::new(u64::MAX), Err(InvalidValue::Weight(u64::MAX)));
    }

    #[test]
    fn options_cannot_carry_another_command_nor_what_is_ours() {
        for text in ["check;del server a/b", "check\\", "id 9", "check <<", "a\"b", "check #x", "disabled"] {
            assert!(text.parse::<ServerOptions>().is_err(), "{text:?}");
        }
        let options: ServerOptions = " check  inter 2s\tagent-check ".parse().unwrap();
        assert!(options.has_check() && options.has_agent());
        assert!(!"check-ssl".parse::<ServerOptions>().unwrap().has_check());
    }

    #[test]
    fn commands_are_spelled_as_haproxy_reads_them() {
        let six = Endpoint::new("::1".parse().unwrap(), 8080).unwrap();
        let weight = Weight::new(10).unwrap();
        for (command, text) in [
            (Command::Address(server(), six), "set server web/web1 addr ::1 port 8080"),
            (Command::Weight(server(), weight), "set server web/web1 weight 10"),
            (Command::State(server(), AdminState::Drain), "set server web/web1 state drain"),
            (Command::HealthDown(server()), "set server web/web1 health down"),
            (Command::EnableHealth(server()), "enable health web/web1"),
            (Command::EnableAgent(server()), "enable agent web/web1"),
            (Command::DisableAgent(server()), "disable agent web/web1"),
            (Command::ShutdownSessions(server()), "shutdown sessions server web/web1"),
            (Command::Delete(server()), "del server web/web1"),
            (
                Command::Add(server(), six, 1, "check weight 9".parse().unwrap()),
                "add server web/web1 [::1]:8080 id 1 check weight 9",
            ),
            (Command::Add(server(), six, 7, ServerOptions::default()), "add server web/web1 [::1]:8080 id 7"),
        ] {
            assert_eq!(command.to_string(), text);
            assert_eq!(command.server(), &server());
        }
    }
}
