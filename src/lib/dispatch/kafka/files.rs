//! The messages of `format = snapshot`: the files of a snapshot, each host's by themselves, read aside and piece by piece.
//!
//! A snapshot whose files cannot be read is read again from the beginning; what was sent of it comes twice then.

use crate::backoff::{Backoff, jitter};
use crate::batch::messages::Messages;
use crate::config::{self, Config, HostName, Hosts, KeyTemplate};
use crate::dispatch::{Batch, aside};
use crate::parcel::{self, Label};
use crate::snapshot::origin::Origin;
use crate::snapshot::{Epoch, PULL_COUNTERS};
use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::future::pending;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot::Receiver;
use tokio::time::{Instant, sleep_until};

/// Bytes that are read before others get their turn, unless a single message is larger.
const PIECE: usize = 1 << 20;

/// Pauses between attempts to read.
const PAUSES: (Duration, f64, Duration) = (Duration::from_secs(1), 2.0, Duration::from_secs(30));

/// Why the files of a snapshot cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("the thread that reads files failed")]
    Failed,
}

/// Where snapshots are, and what is said of their files.
#[derive(Debug)]
pub(super) struct Files {
    src_dir: PathBuf,
    /// This host, for files of no other.
    name: HostName,
    hosts: Hosts,
    fqdn: bool,
    interval: u64,
    key: KeyTemplate,
    most: usize,
}

/// A file that is being sent.
#[derive(Debug)]
struct Sending {
    path: PathBuf,
    label: Label,
    key: String,
}

/// A snapshot that is being read.
#[derive(Debug)]
struct Open {
    epoch: Epoch,
    files: VecDeque<Sending>,
    pieces: usize,
}

impl Files {
    pub(super) fn new(kafka: &config::Kafka, config: &Config, hostname: &str) -> Self {
        let fqdn = config.graphite.fqdn;
        Self {
            src_dir: config.process.src_dir.clone(),
            name: HostName { name: short(hostname, fqdn).to_owned(), cluster: kafka.cluster.clone() },
            hosts: config.hosts.clone(),
            fqdn,
            interval: config.pull.pull_interval.as_secs().max(1),
            key: kafka.key.clone(),
            most: kafka.max_message_size.get(),
        }
    }

    /// Which files there are. A snapshot that is gone has none.
    fn open(&self, epoch: Epoch) -> Result<Open, ReadError> {
        let dir = self.src_dir.join(epoch.to_string());
        let mut files = match self.list(&dir, epoch) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && !dir.exists() => Vec::new(),
            files => files.map_err(|source| ReadError::Read { path: dir, source })?,
        };
        let mut counts: HashMap<(String, Option<String>), usize> = HashMap::new();
        for Sending { label, .. } in &files {
            *counts.entry((label.host.clone(), label.cluster.clone())).or_default() += 1;
        }
        for Sending { label, .. } in &mut files {
            label.files = counts.get(&(label.host.clone(), label.cluster.clone())).copied().unwrap_or(1);
        }
        Ok(Open { epoch, files: files.into(), pieces: 0 })
    }

    fn list(&self, dir: &Path, epoch: Epoch) -> io::Result<Vec<Sending>> {
        let here = match Origin::read(dir)? {
            Some(origin) => HostName { name: short(&origin.host, self.fqdn).to_owned(), ..self.name.clone() },
            None => self.name.clone(),
        };
        let mut files = Vec::new();
        for entry in std::fs::read_dir(dir)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            if !entry.file_type()?.is_file() || !Label::can_carry(&name) {
                continue;
            }
            let host = if name == PULL_COUNTERS { None } else { self.hosts.of(socket(&name)) };
            let HostName { name: host, cluster } = host.unwrap_or(&here).clone();
            let key = self.key.fill(|property| match property {
                "host" => &host,
                "cluster" => cluster.as_deref().unwrap_or_default(),
                _ => "",
            });
            let key = if key.is_empty() { host.clone() } else { key };
            let size = entry.metadata()?.len();
            let interval = self.interval;
            let label = Label { host, cluster, time: epoch, interval, file: name, files: 0, offset: 0, size };
            files.push(Sending { path: entry.path(), label, key });
        }
        files.sort_unstable_by(|one, other| (&one.key, &one.label.file).cmp(&(&other.key, &other.label.file)));
        Ok(files)
    }
}

/// The source of a file: what stands before the kind of reply, which is a word behind the last underscore; of a worker that is
/// leaving, the name of its master.
fn socket(file: &str) -> &str {
    let (source, kind) = file.rsplit_once('_').unwrap_or((file, ""));
    if kind.starts_with("old") { source.rsplit_once('@').map_or(source, |(master, _)| master) } else { source }
}

fn short(hostname: &str, fqdn: bool) -> &str {
    if fqdn { hostname } else { hostname.split('.').next().unwrap_or(hostname) }
}

impl Open {
    /// The next piece.
    fn next(&mut self, most: usize) -> Result<Batch, ReadError> {
        let mut messages = Messages::with_capacity(PIECE);
        while let Some(sending) = self.files.front_mut() {
            if messages.bytes() >= PIECE {
                break;
            }
            let done = sending.read(most, &mut messages);
            if done.map_err(|source| ReadError::Read { path: sending.path.clone(), source })? {
                self.files.pop_front();
            }
        }
        let piece = self.pieces;
        self.pieces += 1;
        messages.shrink();
        let more = !self.files.is_empty();
        Ok(Batch { epoch: self.epoch, piece, more, on_disk: true, messages, ..Batch::default() })
    }
}

impl Sending {
    /// Reads on; true at the end of the file.
    fn read(&mut self, most: usize, messages: &mut Messages) -> io::Result<bool> {
        let left = self.label.size - self.label.offset;
        let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(PIECE.max(most + 1));
        let mut bytes = vec![0; wanted];
        File::open(&self.path)?.read_exact_at(&mut bytes, self.label.offset)?;
        let last = wanted as u64 == left;
        let mut parts = parcel::cuts(&bytes, most);
        if !last && parts.len() > 1 {
            // Where that one ends is seen when more of the file is there.
            parts.pop();
        }
        for part in parts {
            let payload = bytes.get(part).unwrap_or_default();
            let headers = parcel::encode(&self.label.headers());
            messages.push_labelled(self.key.as_bytes(), self.label.time, &headers, payload);
            self.label.offset += payload.len() as u64;
        }
        Ok(self.label.offset >= self.label.size)
    }
}

/// What comes of reading a piece: how to go on, and the piece.
type Read = (Option<Open>, Result<Batch, ReadError>);

/// Reads aside: a disk that hangs must not hold up other destinations.
#[derive(Debug)]
pub(super) struct Reading {
    files: Arc<Files>,
    open: Option<Open>,
    under_way: Option<Receiver<Read>>,
    backoff: Backoff,
    failures: u32,
    retry_at: Option<Instant>,
}

impl Reading {
    pub(super) fn new(files: Files) -> Self {
        let backoff = Backoff::new(PAUSES.0, PAUSES.1, PAUSES.2);
        Self { files: Arc::new(files), open: None, under_way: None, backoff, failures: 0, retry_at: None }
    }

    /// Begins to read the next piece of this snapshot, unless one is being read.
    pub(super) fn begin(&mut self, epoch: Epoch) {
        if self.under_way.is_some() || self.retry_at.is_some_and(|at| at > Instant::now()) {
            return;
        }
        self.retry_at = None;
        let (files, open) = (Arc::clone(&self.files), self.open.take().filter(|open| open.epoch == epoch));
        let work = move || -> Read {
            let opened = open.map_or_else(|| files.open(epoch), Ok);
            match opened {
                Ok(mut open) => match open.next(files.most) {
                    Ok(batch) => (Some(open).filter(|_| batch.more), Ok(batch)),
                    // Gone meanwhile: nobody else is waited for.
                    Err(_) if !files.src_dir.join(epoch.to_string()).exists() => (None, Ok(nothing(epoch))),
                    Err(error) => (None, Err(error)),
                },
                Err(error) => (None, Err(error)),
            }
        };
        match aside::run("kafka-files", work) {
            Ok(receiver) => self.under_way = Some(receiver),
            Err(error) => {
                tracing::debug!(%error, "cannot start a thread to read files");
                self.later();
            }
        }
    }

    /// Waits for what was begun; `None` when it can be begun again. Cancelling it loses nothing.
    pub(super) async fn done(&mut self) -> Option<Result<Batch, ReadError>> {
        let read = match (&mut self.under_way, self.retry_at) {
            (Some(receiver), _) => receiver.await.unwrap_or((None, Err(ReadError::Failed))),
            (None, Some(at)) => {
                sleep_until(at).await;
                self.retry_at = None;
                return None;
            }
            (None, None) => pending().await,
        };
        self.under_way = None;
        let (open, batch) = read;
        self.open = open;
        match &batch {
            Ok(_) => self.failures = 0,
            Err(_) => self.later(),
        }
        Some(batch)
    }

    fn later(&mut self) {
        self.failures = self.failures.saturating_add(1);
        self.retry_at = Some(Instant::now() + jitter(self.backoff.after(self.failures), fastrand::f64()));
    }
}

/// All of a snapshot that is not there any more.
fn nothing(epoch: Epoch) -> Batch {
    Batch { epoch, on_disk: true, ..Batch::default() }
}
