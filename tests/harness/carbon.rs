//! A real carbon-cache (Debian: graphite-carbon) in a directory of its own, and a reader of its Whisper files.

use super::{Daemon, SOON, debian, free_port, listens, wait_until, write};
use nix::sys::signal::Signal;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// One point a second for this many seconds back from now: older points are lost, as in any Graphite.
pub const RETENTION: Duration = Duration::from_secs(30 * 60);

/// carbon-cache with its files. It ends when this value goes away.
pub struct Carbon {
    directory: TempDir,
    port: u16,
    pickle_port: u16,
    query_port: u16,
    daemon: Option<Daemon>,
}

impl Carbon {
    /// Starts carbon-cache and waits until it listens.
    #[track_caller]
    pub fn start() -> Self {
        let mut carbon = Self::stopped();
        carbon.launch();
        carbon
    }

    /// Everything but the program: [`launch`](Self::launch) starts it.
    #[track_caller]
    pub fn stopped() -> Self {
        let directory = tempfile::tempdir().expect("a directory for carbon");
        let (port, pickle_port, query_port) = (free_port(), free_port(), free_port());
        write_settings(directory.path(), [port, pickle_port, query_port]);
        Self { directory, port, pickle_port, query_port, daemon: None }
    }

    /// Starts the program on the same port and files as before.
    #[track_caller]
    pub fn launch(&mut self) {
        let mut command = Command::new(debian("carbon-cache"));
        command.arg(format!("--config={}", self.directory.path().join("conf/carbon.conf").display()));
        command.arg(format!("--logdir={}", self.directory.path().join("log").display()));
        command.args(["--nodaemon", "start"]);
        let mut daemon = Daemon::spawn(command);
        let ports = [self.port, self.pickle_port];
        wait_until(SOON * 2, "carbon-cache listens", || {
            assert!(daemon.is_running(), "carbon-cache ended:\n{}", daemon.output());
            ports.into_iter().all(listens)
        });
        self.daemon = Some(daemon);
    }

    /// Ends it as its administrator would: what it holds in memory goes to its files.
    #[track_caller]
    pub fn stop(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            daemon.signal(Signal::SIGTERM);
            daemon.wait(SOON);
        }
    }

    /// Ends it at once (SIGKILL): what it holds in memory is lost.
    pub fn kill(&mut self) {
        self.daemon = None;
    }

    /// The running program, for signals.
    #[track_caller]
    pub fn daemon(&self) -> &Daemon {
        self.daemon.as_ref().expect("carbon-cache runs")
    }

    /// Port of the plaintext protocol, on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Port of the pickle protocol, on 127.0.0.1.
    pub fn pickle_port(&self) -> u16 {
        self.pickle_port
    }

    /// Port at which graphite-web asks for what is not in a file yet, on 127.0.0.1.
    pub fn query_port(&self) -> u16 {
        self.query_port
    }

    /// Names of all series that have a file.
    pub fn series(&self) -> BTreeSet<String> {
        let root = self.root();
        let mut folders = vec![root.clone()];
        let mut series = BTreeSet::new();
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.is_dir() {
                    folders.push(path);
                } else if let Some(name) = path.strip_prefix(&root).ok().and_then(|path| path.to_str()) {
                    series.extend(name.strip_suffix(".wsp").map(|name| name.replace('/', ".")));
                }
            }
        }
        series
    }

    /// Points of one series in its file, by timestamp; empty when there is no such file yet. carbon writes its files
    /// about once a second, so what was sent shows up here a little later.
    pub fn points(&self, series: &str) -> BTreeMap<u64, f64> {
        let file = self.root().join(format!("{}.wsp", series.replace('.', "/")));
        std::fs::read(file).ok().and_then(|bytes| whisper_points(&bytes)).unwrap_or_default()
    }

    /// The directory of its Whisper files.
    pub fn root(&self) -> PathBuf {
        self.directory.path().join("whisper")
    }
}

fn write_settings(directory: &Path, [port, pickle_port, query_port]: [u16; 3]) {
    for folder in ["conf", "log", "run", "whisper"] {
        std::fs::create_dir(directory.join(folder)).expect("a folder for carbon");
    }
    let conf = directory.join("conf");
    let root = directory.display();
    // Without the limits on creations and updates, which protect slow disks, every series appears at once.
    // carbon's figures about itself would stand between ours.
    write(
        &conf,
        "carbon.conf",
        format!(
            "[cache]\nSTORAGE_DIR = {root}\nLOCAL_DATA_DIR = {root}/whisper\nCONF_DIR = {root}/conf\n\
             LOG_DIR = {root}/log\nPID_DIR = {root}/run\nUSER =\nMAX_UPDATES_PER_SECOND = inf\n\
             MAX_CREATES_PER_MINUTE = inf\nLINE_RECEIVER_INTERFACE = 127.0.0.1\nLINE_RECEIVER_PORT = {port}\n\
             PICKLE_RECEIVER_INTERFACE = 127.0.0.1\nPICKLE_RECEIVER_PORT = {pickle_port}\nCACHE_QUERY_INTERFACE = 127.0.0.1\nCACHE_QUERY_PORT = {query_port}\n\
             WHISPER_AUTOFLUSH = False\nCARBON_METRIC_INTERVAL = 0\nENABLE_TAGS = False\n"
        ),
    );
    let seconds = RETENTION.as_secs();
    write(&conf, "storage-schemas.conf", format!("[all]\npattern = .*\nretentions = 1s:{seconds}s\n"));
    write(&conf, "storage-aggregation.conf", "[all]\npattern = .*\nxFilesFactor = 0\naggregationMethod = last\n");
}

/// The points of the finest archive of a Whisper file. All numbers are big-endian. Header: aggregation, longest
/// retention, xFilesFactor, number of archives (4 bytes each); per archive: offset, seconds per point, points
/// (4 bytes each); points: timestamp (4 bytes), value (8 bytes); a slot that was never written has timestamp 0.
fn whisper_points(file: &[u8]) -> Option<BTreeMap<u64, f64>> {
    let number = |at: usize| file.get(at..at + 4).and_then(|b| b.try_into().ok()).map(u32::from_be_bytes);
    let (offset, points) = (number(16)? as usize, number(24)? as usize);
    let slots = file.get(offset..offset + points * 12)?.chunks_exact(12);
    Some(
        slots
            .filter_map(|slot| {
                let time = u32::from_be_bytes(slot[..4].try_into().ok()?);
                let value = f64::from_be_bytes(slot[4..].try_into().ok()?);
                (time != 0).then_some((u64::from(time), value))
            })
            .collect(),
    )
}
