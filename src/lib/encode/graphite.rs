//! Metrics for Graphite in any form other than the same plaintext lines for all servers: with tags, in pickles, or distributed by
//! a hash.

use super::encoder::Encoder;
use super::object::{Host, Object};
use super::pickle::Frames;
use super::prefix::Prefix;
use super::ring::Ring;
use crate::batch::{Batch, Output};
use crate::config::{self, Mode, Protocol};
use crate::snapshot::Epoch;

/// Whether all servers get the same plaintext lines.
#[must_use]
pub fn is_plaintext(config: &config::Graphite) -> bool {
    config.protocol == Protocol::Plaintext && !config.tagged && config.mode != Mode::Hash
}

/// The output for the server at this index in `servers`.
#[must_use]
pub fn output(config: &config::Graphite, server: usize) -> Output {
    match config.mode {
        _ if is_plaintext(config) => Output::Plaintext,
        Mode::Hash => Output::Graphite(server),
        Mode::Failover | Mode::Duplicate => Output::Graphite(0),
    }
}

/// The output for one server, or for all of them.
#[derive(Debug)]
struct Share {
    bytes: Bytes,
    lines: usize,
}

#[derive(Debug)]
enum Bytes {
    Lines(Vec<u8>),
    Frames(Frames),
}

/// The encoder.
#[derive(Debug)]
pub struct Graphite {
    protocol: Protocol,
    ring: Option<Ring>,
    shares: Vec<Share>,
    stamp: Epoch,
    /// ` <timestamp>\n`
    end: Vec<u8>,
    /// The current name; kept to reuse its memory.
    name: Vec<u8>,
}

impl Graphite {
    /// An encoder for these servers, their mode and their protocol.
    #[must_use]
    pub fn new(config: &config::Graphite) -> Self {
        let ring = (config.mode == Mode::Hash).then(|| Ring::new(&config.servers));
        let count = if ring.is_some() { config.servers.len() } else { 1 };
        let shares = (0..count).map(|_| Share::new(config.protocol)).collect();
        let (stamp, protocol) = (Epoch::default(), config.protocol);
        Self { protocol, ring, shares, stamp, end: Vec::new(), name: Vec::new() }
    }
}

impl Share {
    fn new(protocol: Protocol) -> Self {
        let bytes = match protocol {
            Protocol::Plaintext => Bytes::Lines(Vec::new()),
            Protocol::Pickle => Bytes::Frames(Frames::default()),
        };
        Self { bytes, lines: 0 }
    }
}

impl Encoder for Graphite {
    fn begin(&mut self) {
        let protocol = self.protocol;
        self.shares.iter_mut().for_each(|share| *share = Share::new(protocol));
    }

    fn object(&mut self, _: &Object<'_>, _: &Host, stamp: Epoch) {
        if self.stamp != stamp || self.end.is_empty() {
            self.stamp = stamp;
            self.end = format!(" {stamp}\n").into_bytes();
        }
    }

    fn line(&mut self, prefix: Prefix<'_>, metric: &[u8], text: &[u8], value: f64) {
        self.name.clear();
        let (before, behind) = match prefix.tagged {
            Some(tagged) => (&*tagged.name, &*tagged.tags),
            None => (prefix.plain, &b""[..]),
        };
        [before, metric, behind].into_iter().for_each(|part| self.name.extend_from_slice(part));
        let server = self.ring.as_ref().map_or(0, |ring| ring.server(&self.name));
        let Some(share) = self.shares.get_mut(server) else { return };
        share.lines += 1;
        match &mut share.bytes {
            Bytes::Lines(lines) => {
                [&self.name, &b" "[..], text, &self.end].into_iter().for_each(|part| lines.extend_from_slice(part));
            }
            Bytes::Frames(frames) => frames.push(&self.name, self.stamp.0, value),
        }
    }

    fn takes_clusters(&self) -> bool {
        true
    }

    fn takes_lines(&self) -> bool {
        true
    }

    fn size(&self) -> usize {
        let size = |share: &Share| match &share.bytes {
            Bytes::Lines(lines) => lines.len(),
            Bytes::Frames(frames) => frames.len(),
        };
        self.shares.iter().map(size).sum()
    }

    fn take(&mut self, batch: &Batch) -> Vec<(Output, Batch)> {
        let protocol = self.protocol;
        let take = |(server, share): (usize, &mut Share)| {
            let Share { bytes, lines } = std::mem::replace(share, Share::new(protocol));
            let mut text = match bytes {
                Bytes::Lines(lines) => lines,
                Bytes::Frames(frames) => frames.end(),
            };
            text.shrink_to_fit();
            (Output::Graphite(server), Batch { text, lines, ..batch.clone() })
        };
        self.shares.iter_mut().enumerate().map(take).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Endpoint;
    use crate::encode::object::ObjectKind;
    use crate::encode::prefix::Tagged;

    fn told(config: &config::Graphite, names: &[&str]) -> Vec<(Output, Batch)> {
        let mut encoder = Graphite::new(config);
        let host = Host { name: "a".to_owned(), cluster: None };
        encoder.begin();
        encoder.object(&Object::unnamed(ObjectKind::Daemon), &host, Epoch(7));
        let tagged = Tagged::new("daemon", &[("host", "~a")]);
        for name in names {
            let prefix = Prefix { plain: b"lb.a.", tagged: Some(&tagged).filter(|_| config.tagged) };
            encoder.line(prefix, name.as_bytes(), b"0.50", 0.5);
        }
        encoder.take(&Batch::default())
    }

    fn config() -> config::Graphite {
        crate::testing::config().graphite
    }

    #[test]
    fn names_carry_tags_and_the_hash_is_of_the_whole_name() {
        let tagged = config::Graphite { tagged: true, ..config() };
        let batches = told(&tagged, &["scur"]);
        assert_eq!(batches.len(), 1);
        assert_eq!(batches[0].1.text, b"haproxy.daemon.scur;host=_~a 0.50 7\n");
        let server = |port| Endpoint { host: "h".to_owned(), port, instance: Some(port.to_string()) };
        let servers = vec![server(1), server(2), server(3)];
        let hash = config::Graphite { mode: Mode::Hash, servers: servers.clone(), ..tagged };
        let names: Vec<String> = (0..200).map(|number| format!("m{number}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let batches = told(&hash, &names);
        assert_eq!(batches.iter().map(|(_, batch)| batch.lines).sum::<usize>(), 200);
        let ring = Ring::new(&servers);
        for (place, (output, batch)) in batches.iter().enumerate() {
            assert_eq!(*output, Output::Graphite(place));
            let lines: Vec<&str> = std::str::from_utf8(&batch.text).unwrap().lines().collect();
            assert_eq!(lines.len(), batch.lines);
            assert!(lines.iter().all(|line| ring.server(line.split(' ').next().unwrap().as_bytes()) == place));
        }
    }

    #[test]
    fn who_gets_what_follows_from_mode_and_protocol() {
        let modes = [Mode::Failover, Mode::Duplicate, Mode::Hash];
        let outputs =
            |config: &config::Graphite| modes.map(|mode| output(&config::Graphite { mode, ..config.clone() }, 1));
        use Output::{Graphite, Plaintext};
        assert_eq!(outputs(&config()), [Plaintext, Plaintext, Graphite(1)]);
        assert_eq!(outputs(&config::Graphite { tagged: true, ..config() }), [Graphite(0), Graphite(0), Graphite(1)]);
    }
}
