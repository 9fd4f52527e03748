//! What would be sent, as text: to Graphite if anything is, otherwise to the local store or to Kafka.

use crate::batch::{Output, Piece};
use crate::config::{Config, Protocol};
use crate::encode::{formats, graphite, pickle};
use crate::process::pipeline::Pipeline;
use std::io::{self, Write};

/// What is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    /// Lines in plaintext.
    Lines,
    /// What so many servers get, one after the other.
    Graphite { servers: usize, protocol: Protocol },
    /// Messages, one in a line unless they are lines themselves.
    Messages,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Printer {
    what: What,
    /// Whether the destinations of the configuration get it.
    wanted: bool,
}

impl Printer {
    pub(super) fn new(config: &Config) -> Self {
        let graphite = &config.graphite;
        if graphite.enabled && !graphite::is_plaintext(graphite) {
            let (servers, protocol) = (graphite.servers.len(), graphite.protocol);
            return Self { what: What::Graphite { servers, protocol }, wanted: true };
        }
        let lines = formats::is_plaintext_wanted(config);
        let what = if config.kafka.is_some() && !lines { What::Messages } else { What::Lines };
        Self { what, wanted: lines || what == What::Messages }
    }

    /// The pipeline that makes it.
    pub(super) fn pipeline(&self, config: &Config, hostname: &str) -> Pipeline {
        if self.wanted { Pipeline::new(config, hostname) } else { Pipeline::plaintext(config, hostname) }
    }

    pub(super) fn print(&self, mut piece: Piece) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        match self.what {
            What::Lines => {
                let lines = piece.take(Output::Plaintext).map(|batch| batch.text).unwrap_or_default();
                stdout.write_all(&lines)?;
            }
            What::Graphite { servers, protocol } => {
                for bytes in (0..servers).filter_map(|server| piece.take(Output::Graphite(server))) {
                    match protocol {
                        Protocol::Plaintext => stdout.write_all(&bytes.text)?,
                        Protocol::Pickle => {
                            let lines = pickle::to_lines(&bytes.text);
                            stdout.write_all(&lines.ok_or_else(|| io::Error::other("frames that are none"))?)?;
                        }
                    }
                }
            }
            What::Messages => {
                let messages = piece.take(Output::Kafka).map(|batch| batch.messages).unwrap_or_default();
                for message in messages.iter() {
                    stdout.write_all(message.payload)?;
                    if !message.payload.ends_with(b"\n") {
                        stdout.write_all(b"\n")?;
                    }
                }
            }
        }
        stdout.flush()
    }
}
