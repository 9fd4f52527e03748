//! A process daemon's surroundings: its directories, its configuration, snapshots as pull publishes them, and what must
//! arrive for each of them.

use super::graphite::Recorder;
use super::{Daemon, SOON, config, lives, names, poll, process, wait_for, wait_until, with_config, write};
use haproxystats::process::pipeline::Pipeline;
use haproxystats::snapshot::Epoch;
use nix::unistd::Pid;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Seconds since the epoch of the first snapshot of a test; far from the present, which some figures carry.
pub const FIRST: u64 = 1_700_000_000;
/// Snapshots of tests lie in this many seconds from [`FIRST`].
const SPAN: u64 = 100_000;

/// Directories and a configuration file.
pub struct Incoming {
    base: TempDir,
    config: PathBuf,
    pipeline: RefCell<Pipeline>,
    /// For each snapshot the lines that it stands for, without those about haproxystats itself.
    expected: RefCell<BTreeMap<String, BTreeSet<String>>>,
}

impl Incoming {
    /// With these lines in `[process]`, and Graphite at this port.
    pub fn new(port: u16, options: &str) -> Self {
        let graphite = format!("server = 127.0.0.1\nport = {port}\ninterval = 0.1\ndelay = 0.5\nsettle = 0.5\n");
        Self::with(options, &graphite)
    }

    /// With these lines in `[process]` and sections after it, and no Graphite.
    pub fn without_graphite(options: &str) -> Self {
        Self::with(options, "enabled = false\n")
    }

    fn with(options: &str, graphite: &str) -> Self {
        let base = tempfile::tempdir().expect("a directory can be made");
        for name in ["incoming", "incoming.tmp"] {
            std::fs::create_dir(base.path().join(name)).expect("a directory can be made");
        }
        let text = format!(
            "[pull]\npull-interval = 10\ndst-dir = {base}/incoming\ntmp-dst-dir = {base}/incoming.tmp\n\
             [process]\nloglevel = debug\nsrc-dir = {base}/incoming\n{options}\n\
             [graphite]\nnamespace = lb\n{graphite}",
            base = base.path().display(),
        );
        let file = write(base.path(), "haproxystats.conf", &text);
        let hostname = nix::unistd::gethostname().expect("the host has a name");
        let pipeline = Pipeline::plaintext(&config(&text), &hostname.to_string_lossy());
        Self { base, config: file, pipeline: RefCell::new(pipeline), expected: RefCell::default() }
    }

    /// A path beside the source directory.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.base.path().join(name)
    }

    /// The source directory.
    pub fn path(&self) -> PathBuf {
        self.beside("incoming")
    }

    /// The quarantine.
    pub fn failed(&self) -> PathBuf {
        self.beside("failed")
    }

    /// Names in the source directory.
    pub fn waiting(&self) -> Vec<String> {
        names(&self.path())
    }

    /// Waits until everything is removed from the source directory.
    #[track_caller]
    pub fn wait_until_empty(&self) {
        wait_until(SOON, "an empty source directory", || self.waiting().is_empty());
    }

    /// Waits until no more than so many entries are left in the source directory.
    #[track_caller]
    pub fn wait_until_empty_but_for(&self, entries: usize) {
        wait_until(SOON, "a source directory that is nearly empty", || self.waiting().len() <= entries);
    }

    /// Publishes snapshots, named by seconds after [`FIRST`], by renaming; returns their names.
    pub fn publish(&self, seconds: impl IntoIterator<Item = u64>) -> Vec<String> {
        seconds.into_iter().map(|second| self.publish_in(&self.path(), FIRST + second)).collect()
    }

    /// Publishes a snapshot in another directory.
    pub fn publish_in(&self, directory: &Path, epoch: u64) -> String {
        let staged = self.stage(epoch);
        std::fs::rename(&staged, directory.join(epoch.to_string())).expect("a snapshot can be published");
        epoch.to_string()
    }

    /// Makes a snapshot that is not published yet.
    pub fn stage(&self, epoch: u64) -> PathBuf {
        let staged = self.beside("incoming.tmp").join(epoch.to_string());
        std::fs::create_dir(&staged).expect("a snapshot can be staged");
        self.fill(&staged, epoch);
        staged
    }

    /// Writes the files of a small HAProxy, with numbers that depend on the epoch.
    pub fn fill(&self, directory: &Path, epoch: u64) {
        let number = epoch % 1000;
        let info =
            format!("Name: HAProxy\nProcess_num: 1\nUptime_sec: {number}\nIdle_pct: 98\nCurrConns: {number}\n\n");
        write(directory, "sock1_info", info);
        let stat = format!(
            "# pxname,svname,qcur,scur,stot,bin,bout,lbtot,weight,act,bck,type,\n\
             www,FRONTEND,,3,{number},100,200,,,,,0,\n\
             app,s1,0,1,{number},50,60,{number},1,1,0,2,\n\
             app,BACKEND,0,1,{number},50,60,{number},1,1,0,1,\n\n"
        );
        write(directory, "sock1_stat", stat);
        let mut text = Vec::new();
        self.pipeline.borrow_mut().run(directory, Epoch(epoch), &mut text).expect("the snapshot is sound");
        let text = String::from_utf8(text).expect("lines are text");
        let lines = text.lines().filter(|line| is_of_haproxy(line)).map(ToOwned::to_owned).collect();
        self.expected.borrow_mut().insert(epoch.to_string(), lines);
    }

    /// Everything that these snapshots stand for has arrived in Graphite, nothing else, and nothing malformed. What a
    /// kernel has acknowledged may still be on its way through the recorder, hence the wait.
    #[track_caller]
    pub fn assert_arrived(&self, graphite: &Recorder, snapshots: &[String]) {
        let expected = self.expected.borrow();
        let expected: BTreeSet<&String> =
            snapshots.iter().flat_map(|name| expected.get(name).expect("the snapshot was published")).collect();
        assert!(expected.len() > 10 * snapshots.len(), "the snapshots say too little to prove anything");
        poll(SOON, || {
            let arrived = graphite.record().lines;
            expected.iter().all(|line| arrived.contains_key(*line)).then_some(())
        });
        let record = graphite.record();
        let arrived: BTreeSet<&String> = record.lines.keys().filter(|line| is_of_haproxy(line)).collect();
        assert_eq!(arrived, expected);
        assert_eq!(record.malformed, Vec::<String>::new());
    }

    /// The lines that these snapshots stand for, without those about haproxystats itself.
    pub fn expected(&self, snapshots: &[String]) -> BTreeSet<String> {
        let expected = self.expected.borrow();
        let of = |name| expected.get(name).expect("the snapshot was published").iter().cloned();
        snapshots.iter().flat_map(of).collect()
    }

    /// The configuration file.
    pub fn config(&self) -> &Path {
        &self.config
    }

    /// The daemon, on this configuration.
    pub fn daemon(&self) -> Daemon {
        Daemon::spawn(with_config(process(), &self.config))
    }

    /// The daemon, with one more variable in its environment.
    pub fn daemon_with(&self, variable: &str, value: &str) -> Daemon {
        let mut command = with_config(process(), &self.config);
        command.env(variable, value);
        Daemon::spawn(command)
    }
}

fn is_of_haproxy(line: &str) -> bool {
    !line.contains(".haproxystats.")
}

/// Names of the snapshots in a directory.
pub fn snapshots(directory: &Path) -> Vec<String> {
    names(directory).into_iter().filter(|name| !name.starts_with('.')).collect()
}

/// Snapshots in the order in which the first line of each arrived.
pub fn order(graphite: &Recorder) -> Vec<u64> {
    graphite.record().timestamps.into_iter().filter(|epoch| (FIRST..FIRST + SPAN).contains(epoch)).collect()
}

/// Names as numbers.
pub fn epochs(names: &[String]) -> Vec<u64> {
    names.iter().map(|name| name.parse().expect("snapshots are named by numbers")).collect()
}

/// Worker processes, once the parent has started this many and they live.
#[track_caller]
pub fn workers(daemon: &Daemon, count: usize) -> Vec<Pid> {
    wait_for(SOON, "all workers", || {
        // One that was killed stays in the list until the parent has taken note.
        let workers: Vec<Pid> = daemon.children().into_iter().filter(|worker| lives(*worker)).collect();
        (workers.len() == count).then_some(workers)
    })
}
