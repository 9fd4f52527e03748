//! What the agent answers, asked as HAProxy asks.

use crate::config::agent::{Agent, Service};
use crate::haproxy::answer::grammar::{self, Version};
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Time for one service, from the connection to the end of its answer; HAProxy gives an agent 2 seconds by default.
const LIMIT: Duration = Duration::from_secs(2);
/// An answer is a short line; a program that sends more is not an agent.
const LONGEST: usize = 4096;

/// A service and what came of asking it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answered {
    /// NAME of its section.
    pub service: String,
    /// Where it was asked.
    pub address: SocketAddr,
    pub outcome: Outcome,
}

/// What came of asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// HAProxy understands this line.
    Answer(String),
    /// HAProxy does not make anything, or not everything, of this line: why.
    Doubtful(String, String),
    /// No answer: why.
    None(String),
    /// `allow` does not let this host ask.
    NotAllowed,
}

/// Asks every service, one after the other.
pub(crate) fn ask_all(agent: &Agent) -> Vec<Answered> {
    agent.services.iter().map(ask).collect()
}

fn ask(service: &Service) -> Answered {
    let address = SocketAddr::new(reachable(service.bind), service.port);
    let allowed = service.allow.is_empty() || service.allow.iter().any(|network| network.contains(address.ip()));
    let outcome = if allowed {
        match talk(address, service.request.as_deref()) {
            Ok(bytes) => judge(&bytes),
            Err(error) => Outcome::None(error.to_string()),
        }
    } else {
        Outcome::NotAllowed
    };
    Answered { service: service.name.clone(), address, outcome }
}

/// An address at which something can be reached that listens there.
fn reachable(bind: IpAddr) -> IpAddr {
    match bind {
        IpAddr::V4(address) if address.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(address) if address.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        address => address,
    }
}

fn talk(address: SocketAddr, request: Option<&str>) -> io::Result<Vec<u8>> {
    let end = Instant::now() + LIMIT;
    // A time-out of zero would be none.
    let left = || match end.saturating_duration_since(Instant::now()) {
        Duration::ZERO => Err(io::Error::from(io::ErrorKind::TimedOut)),
        left => Ok(left),
    };
    let mut stream = TcpStream::connect_timeout(&address, LIMIT)?;
    stream.set_write_timeout(Some(left()?))?;
    if let Some(request) = request {
        stream.write_all(format!("{request}\n").as_bytes())?;
    }
    let mut answer = Vec::new();
    let mut chunk = [0; 512];
    while !answer.contains(&b'\n') && answer.len() < LONGEST {
        stream.set_read_timeout(Some(left()?))?;
        match stream.read(&mut chunk)? {
            0 => break,
            length => answer.extend_from_slice(chunk.get(..length).unwrap_or_default()),
        }
    }
    Ok(answer)
}

fn judge(bytes: &[u8]) -> Outcome {
    let line = String::from_utf8_lossy(bytes).trim_end().to_owned();
    match grammar::read(bytes, Version::Until30) {
        Err(ignored) if bytes.is_empty() => Outcome::None(ignored.to_string()),
        Err(ignored) => Outcome::Doubtful(line, ignored.to_string()),
        Ok(reading) if reading.unknown.is_empty() => Outcome::Answer(line),
        Ok(reading) => {
            let words = reading.unknown.join(" ");
            Outcome::Doubtful(line, format!("HAProxy does not know {words:?}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_as_haproxy_reads_them() {
        assert_eq!(judge(b"up 80%\n"), Outcome::Answer("up 80%".to_owned()));
        assert_eq!(judge(b"\n"), Outcome::Answer(String::new()));
        assert!(matches!(judge(b""), Outcome::None(_)));
        assert!(matches!(judge(b"up"), Outcome::Doubtful(_, why) if why.contains("line end")));
        assert!(matches!(judge(b"upp\n"), Outcome::Doubtful(_, why) if why.contains("upp")));
    }

    #[test]
    fn who_answers_a_byte_at_a_time_has_no_more_time_than_others() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            while stream.write_all(b"u").is_ok() {
                std::thread::sleep(LIMIT / 10);
            }
        });
        let begun = Instant::now();
        assert!(talk(address, None).is_err());
        assert!(begun.elapsed() < LIMIT * 3, "{:?}", begun.elapsed());
    }

    #[test]
    fn every_address_is_asked_at_home() {
        assert_eq!(reachable("0.0.0.0".parse().unwrap()), IpAddr::from(Ipv4Addr::LOCALHOST));
        assert_eq!(reachable("::".parse().unwrap()), IpAddr::from(Ipv6Addr::LOCALHOST));
        assert_eq!(reachable("192.0.2.1".parse().unwrap()).to_string(), "192.0.2.1");
    }
}
