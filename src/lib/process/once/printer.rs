//! What would be sent, as text: to Graphite if anything is, otherwise to the local store, Kafka, remote write or OTLP; otherwise
//! what would be on the page for those who scrape.

use crate::batch::messages::Messages;
use crate::batch::{Batch, Output, Piece};
use crate::config::{Config, Protocol};
use crate::encode::{self, graphite, pickle};
use crate::process::pipeline::Pipeline;
use crate::prometheus::compression::Compression;
use crate::prometheus::request;
use std::cell::RefCell;
use std::io::{self, StdoutLock, Write};

/// What is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    /// Lines in plaintext.
    Lines,
    /// What so many servers get, one after the other.
    Graphite { servers: usize, protocol: Protocol },
    /// Messages, one in a line unless they are lines themselves.
    Messages,
    /// Requests in words: a line for each sample, and one for each request that says how large it is.
    Requests { protocol: request::Protocol, compression: Compression },
    /// The page.
    Page,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Printer {
    what: What,
    /// Whether the destinations of the configuration get it.
    wanted: bool,
    /// The page so far: what is said of each metric, and its lines.
    page: RefCell<Vec<(Vec<u8>, Vec<u8>)>>,
}

impl Printer {
    pub(super) fn new(config: &Config) -> Self {
        let (graphite, requests) = (&config.graphite, |protocol, compress| What::Requests {
            protocol,
            compression: Compression::of(protocol, compress),
        });
        let what = if graphite.enabled && !graphite::is_plaintext(graphite) {
            Some(What::Graphite { servers: graphite.servers.len(), protocol: graphite.protocol })
        } else if encode::is_plaintext_wanted(config) {
            Some(What::Lines)
        } else if config.kafka.is_some() {
            Some(What::Messages)
        } else if let Some(remote) = &config.remote_write {
            Some(requests(request::Protocol::RemoteWrite, remote.compress))
        } else if let Some(remote) = &config.otlp {
            Some(requests(request::Protocol::Otlp, remote.compress))
        } else {
            config.exporter.statistics.then_some(What::Page)
        };
        Self { what: what.unwrap_or(What::Lines), wanted: what.is_some(), page: RefCell::default() }
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
            What::Requests { protocol, compression } => {
                let output = match protocol {
                    request::Protocol::Otlp => Output::Otlp,
                    request::Protocol::RemoteWrite => Output::RemoteWrite,
                };
                let messages = piece.take(output).map(|batch| batch.messages).unwrap_or_default();
                requests(&messages, protocol, compression, &mut stdout)?;
            }
            What::Page => self.page(piece.take(Output::Page).unwrap_or_default(), &mut stdout)?,
        }
        stdout.flush()
    }

    /// All lines of a metric stand together, from whatever piece they are: so nothing is printed before the last one.
    fn page(&self, batch: Batch, stdout: &mut StdoutLock<'_>) -> io::Result<()> {
        let mut page = self.page.borrow_mut();
        for message in batch.messages.iter() {
            match page.iter_mut().find(|(head, _)| head == message.key) {
                Some((_, lines)) => lines.extend_from_slice(message.payload),
                None => page.push((message.key.to_vec(), message.payload.to_vec())),
            }
        }
        if !batch.more {
            for (head, lines) in page.drain(..) {
                stdout.write_all(&head)?;
                stdout.write_all(&lines)?;
            }
        }
        Ok(())
    }
}

fn requests(
    messages: &Messages,
    protocol: request::Protocol,
    compression: Compression,
    stdout: &mut StdoutLock<'_>,
) -> io::Result<()> {
    for message in messages.iter() {
        let body = compression.decompress(message.payload).ok_or_else(|| io::Error::other("a request that is none"))?;
        let (samples, sent, bytes) = (message.samples, message.payload.len(), body.len());
        let word = compression.word().unwrap_or("not compressed");
        writeln!(stdout, "# request: {samples} samples, {bytes} bytes, {sent} as they are sent ({word})")?;
        stdout.write_all(request::text(protocol, &body).as_bytes())?;
    }
    Ok(())
}
