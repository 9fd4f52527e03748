//! All sockets of one tick at once, each with its own outcome.
//!
//! Everything runs on one thread: HAProxy needs some ten times longer to write a reply than we to read it and to
//! write it to a file, so there is nothing to share out. Files are written in line; handing the writes to threads
//! costs more than they do. The sockets share one read buffer, because nothing waits between a read and its write:
//! memory does not grow with the number of sockets or the size of the replies.

use super::answer::{Answer, Done, Failure};
use super::failure::Progress;
use super::further::inquiry::{Count, Inquiry};
use super::further::{self, Asked, Told};
use super::job::{BUFFER, Job, Manner};
use super::masters::Masters;
use super::outcome::{Outcome, Standing};
use super::pace::Pace;
use super::sockets::Target;
use super::strangers::Strangers;
use super::twins::{Firsts, Twins};
use super::unknown::Unknown;
use crate::config::{self, Hosts, Retries};
use crate::haproxy::address::Address;
use crate::snapshot::stage::{Folder, StageError};
use crate::snapshot::{Epoch, INFO_SUFFIX, LEARNT_SUFFIX, STAT_SUFFIX};
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::rc::Rc;
use std::time::Duration;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, timeout_at};

/// Least pause before a socket is asked again, for `interval = 0`.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(10);
/// Without `pull-timeout`, so long a pull takes before it is said which sockets it waits for; then twice as long.
const SLOW: Duration = Duration::from_secs(20);

/// Time for further questions on one connection, where there is no `pull-timeout`.
const FURTHER_LIMIT: Duration = Duration::from_secs(5);

/// A socket that a pull without `pull-timeout` still waits for.
#[derive(Debug)]
pub struct Slow {
    /// Its name.
    pub name: String,
    /// How far its pull has come.
    pub progress: String,
}

/// Asks sockets. Remembers what they are.
#[derive(Debug)]
pub(crate) struct Poller {
    manner: Manner,
    pull_timeout: Option<Duration>,
    jitter: Duration,
    one_command_only: HashSet<Address>,
    buffer: Rc<RefCell<Box<[u8]>>>,
    pace: Pace,
    strangers: Strangers,
    twins: Twins,
    inquiry: Inquiry,
    unknown: Unknown,
}

/// When a socket has its turn in a pull: always at the same moment, so that its figures keep their distance.
fn phase(name: &str, jitter: Duration) -> Duration {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    #[expect(clippy::cast_precision_loss, reason = "a moment within seconds")]
    jitter.mul_f64(hasher.finish() as f64 / u64::MAX as f64)
}

/// The pulls that are under way.
struct Round {
    running: JoinSet<(usize, Done)>,
    firsts: Firsts,
    /// By position: name and progress.
    waiting: HashMap<usize, (String, Rc<RefCell<Progress>>)>,
}

impl Poller {
    /// For the time-outs and limits of `[pull]`; `pace` is that of the event loop.
    #[must_use]
    pub(crate) fn new(config: &config::Pull, hosts: Hosts, pace: Pace) -> Self {
        let manner = Manner {
            timeout: config.timeout,
            retries: config.retries,
            interval: config.interval.max(SHORTEST_INTERVAL),
            limit: config.max_reply_size.get(),
            further_limit: config.pull_timeout.unwrap_or(FURTHER_LIMIT),
        };
        Self {
            manner,
            pull_timeout: config.pull_timeout,
            jitter: config.jitter,
            one_command_only: HashSet::new(),
            buffer: Rc::new(RefCell::new(vec![0; BUFFER].into_boxed_slice())),
            pace,
            strangers: Strangers::default(),
            twins: Twins::new(hosts),
            inquiry: Inquiry::new(further::wanted(config)),
            unknown: Unknown::new(config.unknown_fields),
        }
    }

    /// Those who know of workers that are leaving; they share the read buffer.
    pub(super) fn masters(&self, servers: &[Address]) -> Masters {
        let manner = Manner { retries: Retries::Times(0), ..self.manner };
        Masters::new(servers, manner, self.pull_timeout, Rc::clone(&self.buffer))
    }

    /// The sockets of these that are asked now: all but those that have shown to be something else. `others` lie beside
    /// them and are not even sockets. Must run within a [`tokio::task::LocalSet`].
    pub(crate) fn admit(&mut self, targets: Vec<Target>, others: &[(String, &'static str)]) -> Vec<Target> {
        self.strangers.others(others);
        let manner = Manner { retries: Retries::Times(0), ..self.manner };
        let buffer = &self.buffer;
        self.strangers.admit(targets, |target| Job::new(target, manner, Rc::clone(buffer), None))
    }

    /// A line for each socket that is left out.
    pub(crate) fn left_out(&self) -> impl Iterator<Item = String> {
        self.strangers.left_out()
    }

    /// How many fields of HAProxy are not known.
    pub(super) fn unknown_fields(&self) -> u64 {
        self.unknown.count()
    }

    /// What workers that are leaving are asked in the pull of this second, beside their figures.
    pub(super) fn further_of_workers(&mut self, epoch: Epoch) -> Vec<Asked> {
        self.inquiry.plan_workers(epoch)
    }

    /// Asks all sockets at once and stores their answers in `folder`, in files of which those of sockets that failed or
    /// do not count are removed. Outcomes are in the order of the sockets. `slow` is told, now and then, what a pull
    /// without `pull-timeout` waits for. Must run within a [`tokio::task::LocalSet`]; ends all it has begun when it is
    /// dropped.
    ///
    /// # Errors
    /// A file could not be written; that ends the round, because the next socket would meet the same disk.
    pub(super) async fn round(
        &mut self,
        targets: Vec<Target>,
        epoch: Epoch,
        folder: &Folder,
        slow: &mut dyn FnMut(&[Slow]),
    ) -> Result<(Vec<Outcome>, Count), StageError> {
        let pace = self.pace.clone();
        let _flow = pace.flow();
        self.inquiry.keep(targets.iter().map(|target| &target.server));
        self.unknown.keep(targets.iter().map(|target| &target.server));
        let mut round = self.begin(targets, epoch, folder);
        let mut pause = SLOW;
        let mut next = Instant::now() + pause;
        let mut all: Vec<(usize, Outcome)> = Vec::with_capacity(round.waiting.len());
        let (mut spared, mut told) = (HashMap::new(), HashMap::new());
        loop {
            let joined = match timeout_at(next, round.running.join_next()).await {
                Ok(Some(joined)) => joined,
                Ok(None) => break,
                Err(_) => {
                    pause *= 2;
                    next = Instant::now() + pause;
                    if self.pull_timeout.is_none() {
                        slow(&round.slow());
                    }
                    continue;
                }
            };
            let (index, mut done) = finished(joined);
            round.waiting.remove(&index);
            if !done.further.is_empty() {
                told.insert(index, std::mem::take(&mut done.further));
            }
            let outcome = match self.outcome(done, &round.firsts, &mut spared) {
                Ok(outcome) => outcome,
                Err(error) => {
                    round.running.shutdown().await;
                    return Err(error);
                }
            };
            if outcome.result.is_err() {
                remove(folder, &outcome.target.name)?;
            }
            all.push((index, outcome));
        }
        all.sort_by_key(|(index, _)| *index);
        let mut outcomes: Vec<Outcome> = all.into_iter().map(|(_, outcome)| outcome).collect();
        self.strangers.judge(&mut outcomes);
        self.twins.settle(&mut outcomes, &spared);
        let count = self.learn(&outcomes, &told, &spared, epoch, folder)?;
        for outcome in outcomes.iter_mut().filter(|outcome| matches!(outcome.standing, Standing::Twin(_))) {
            remove(folder, &outcome.target.name)?;
            if let Ok(bytes) = &mut outcome.result {
                *bytes = 0;
            }
        }
        Ok((outcomes, count))
    }

    /// Takes in what came of further questions, by position. Those to a process that another socket has answered for count only
    /// where they were meant for this one.
    fn learn(
        &mut self,
        outcomes: &[Outcome],
        told: &HashMap<usize, Vec<(Asked, Told)>>,
        spared: &HashMap<Address, bool>,
        epoch: Epoch,
        folder: &Folder,
    ) -> Result<Count, StageError> {
        let mut count = Count::default();
        for (index, Outcome { target, result, standing, reading, said, .. }) in outcomes.iter().enumerate() {
            if result.is_err() {
                continue;
            }
            let version = reading.as_ref().and_then(|reading| reading.version.as_deref());
            self.inquiry.meet(&target.server, &target.name, version);
            if let Some(said) = said {
                let process = reading.as_ref().and_then(|reading| reading.key.as_ref());
                self.unknown.see(&target.server, &target.name, process, version.unwrap_or("-"), said);
            }
            let told = told.get(&index).map(Vec::as_slice).unwrap_or_default();
            self.unknown.learn(&target.server, told);
            if matches!(standing, Standing::Twin(_)) && !spared.contains_key(&target.server) {
                for (asked, _) in told {
                    folder.remove(&format!("{}{}", target.name, asked.question.suffix(false)))?;
                }
                continue;
            }
            if let Some(learnt) = self.unknown.learnt(&target.server).filter(|_| *standing == Standing::Counts) {
                let name = format!("{}{LEARNT_SUFFIX}", target.name);
                let written = folder.file(&name)?.write_all(learnt.as_bytes());
                written.map_err(|source| StageError::Write { path: folder.path(&name), source })?;
            }
            count += self.inquiry.learn(&target.server, &target.name, told, epoch);
        }
        Ok(count)
    }

    fn begin(&mut self, targets: Vec<Target>, epoch: Epoch, folder: &Folder) -> Round {
        let start = Instant::now();
        let (firsts, waits) = self.twins.plan(&targets, self.pull_timeout);
        let mut round = Round { running: JoinSet::new(), firsts, waiting: HashMap::new() };
        let servers: HashMap<String, Address> =
            targets.iter().map(|target| (target.name.clone(), target.server.clone())).collect();
        for (index, (target, first)) in targets.into_iter().zip(waits).enumerate() {
            // Those that wait for another one have its turn.
            let turn = first.as_ref().map_or(&target.name, |first| &first.name);
            let begin = start + phase(turn, self.jitter);
            let name = target.name.clone();
            let only_one = self.one_command_only.contains(&target.server);
            let other = first.as_ref().and_then(|first| servers.get(&first.name));
            let mut further = self.inquiry.plan(&target.server, other, epoch);
            further.extend(other.is_none().then(|| self.unknown.plan(&target.server)).into_iter().flatten());
            let job = Job::new(target, self.manner, Rc::clone(&self.buffer), Some(folder.clone())).with(further);
            job.one_command_only.set(only_one);
            round.waiting.insert(index, (name, Rc::clone(&job.progress)));
            let limit = self.pull_timeout;
            round.running.spawn_local(async move { (index, job.run(begin, limit, first).await) });
        }
        round
    }

    /// Takes in what came of one socket, and tells those who wait for it.
    fn outcome(
        &mut self,
        done: Done,
        firsts: &Firsts,
        spared: &mut HashMap<Address, bool>,
    ) -> Result<Outcome, StageError> {
        let result = match done.result {
            Ok(Answer::Stored(bytes)) => Ok(bytes),
            Ok(Answer::Spared { looked }) => {
                spared.insert(done.target.server.clone(), looked);
                Ok(0)
            }
            Err(Failure::Socket(error)) => Err(error),
            Err(Failure::Disk(error)) => return Err(error),
        };
        let reading = done.reading.map(Rc::new);
        firsts.tell(&done.target.server, reading.as_ref().filter(|_| result.is_ok()));
        if result.is_ok() && done.one_command_only && self.one_command_only.insert(done.target.server.clone()) {
            tracing::info!(socket = %done.target.name, "accepts only one command per connection; using two connections \
                                                        from now on");
        }
        let Done { target, retries, said, .. } = done;
        Ok(Outcome { target, result, retries, reading, said, standing: Standing::Counts })
    }
}

impl Round {
    /// What is still waited for, by name.
    fn slow(&self) -> Vec<Slow> {
        let waiting = self.waiting.values();
        let mut slow: Vec<Slow> = waiting
            .map(|(name, progress)| Slow { name: name.clone(), progress: progress.borrow().to_string() })
            .collect();
        slow.sort_by(|a, b| a.name.cmp(&b.name));
        slow
    }
}

fn finished(joined: Result<(usize, Done), JoinError>) -> (usize, Done) {
    match joined {
        Ok(done) => done,
        // Tasks are aborted only with the whole round, so this is a panic: a bug, which belongs in the open.
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// Removes the files of a socket.
fn remove(folder: &Folder, name: &str) -> Result<(), StageError> {
    [INFO_SUFFIX, STAT_SUFFIX].iter().try_for_each(|suffix| folder.remove(&format!("{name}{suffix}")))
}
