//! `--check --ask`: tries statistics and every family on every socket, and reports what each lacks.

use super::answer::{Done, Failure};
use super::further::{Asked, Told};
use super::job::{BUFFER, Job, Manner};
use super::masters;
use super::sockets::{self, Target};
use crate::config::{self, Retries};
use crate::haproxy::family::{Families, Family};
use crate::haproxy::further::Refusal;
use crate::haproxy::questions::{QUESTIONS, Question, socket_line};
use crate::haproxy::release::Release;
use crate::logging::Chain;
use crate::startup::aligned;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::Instant;

/// Time for a socket and all of its questions.
const LIMIT: Duration = Duration::from_secs(10);
/// Names of the columns.
const HEAD: [&str; 5] = ["socket", "family", "command", "level", "answer"];

/// The text above the lines for haproxy.cfg. A line without its previous group and mode would lock haproxystats-pull out.
const ADVICE: &str = "\nFor the families with an insufficient level, if they are wanted: change the level of these lines in the global\n\
                      section of haproxy.cfg, and keep everything else that they have (user, group, mode):\n";

/// A line of the table.
type Row = [String; 5];

/// What came of one socket.
#[derive(Debug, Default)]
struct Answers {
    rows: Vec<Row>,
    /// The lines of haproxy.cfg that it lacks.
    lines: Vec<String>,
    /// Whether it does not give what the configuration wants of it.
    fails: bool,
}

/// The table with the lines of haproxy.cfg that are missing, and whether every socket gives what the configuration wants.
#[must_use]
pub fn table(pull: &config::Pull) -> (String, bool) {
    let (found, _) =
        sockets::find(pull.socket_dir.as_deref(), &pull.exclude_sockets, &pull.servers, &pull.master_sockets);
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return (String::new(), false);
    };
    let manner = Manner {
        timeout: pull.timeout,
        retries: Retries::Times(0),
        interval: pull.interval,
        limit: pull.max_reply_size.get(),
        further_limit: LIMIT,
    };
    let wanted = pull.families;
    let masters = sockets::masters(&pull.master_sockets);
    let mut answers = LocalSet::new().block_on(&runtime, async move {
        let buffer = Rc::new(RefCell::new(vec![0; BUFFER].into_boxed_slice()));
        let mut jobs = JoinSet::new();
        let sockets = found.targets.len();
        for (index, target) in found.targets.into_iter().enumerate() {
            let buffer = Rc::clone(&buffer);
            jobs.spawn_local(async move { (index, one(target, manner, buffer, wanted).await) });
        }
        for (index, target) in masters.into_iter().enumerate() {
            jobs.spawn_local(async move { (sockets + index, master(target, manner).await) });
        }
        jobs.join_all().await
    });
    runtime.shutdown_background();
    answers.sort_by_key(|(index, _)| *index);
    let works = answers.iter().all(|(_, answers)| !answers.fails);
    let mut lines = BTreeSet::new();
    let mut rows = vec![HEAD.map(str::to_owned)];
    for (_, answers) in answers {
        rows.extend(answers.rows);
        lines.extend(answers.lines);
    }
    let mut text = aligned(&rows);
    if !lines.is_empty() {
        text.push_str(ADVICE);
        lines.iter().for_each(|line| text.push_str(&format!("    {line}\n")));
    }
    (text, works)
}

/// The row of a master.
async fn master(target: Target, manner: Manner) -> Answers {
    let (answer, fails) = match masters::leaving(&target, manner, LIMIT).await {
        Ok(leaving) => (format!("answered: {leaving} leaving"), false),
        Err(reason) => (format!("failed: {reason}"), true),
    };
    let row = [target.name, "old workers".to_owned(), "show proc".to_owned(), "-".to_owned(), answer];
    Answers { rows: vec![row], lines: Vec::new(), fails }
}

/// What a socket answers for statistics.
async fn statistics(target: Target, manner: Manner, buffer: Rc<RefCell<Box<[u8]>>>) -> (Answers, Option<Release>) {
    let is_named = target.found.is_none();
    let Done { target, result, reading, .. } =
        Job::new(target, manner, buffer, None).run(Instant::now(), Some(LIMIT), None).await;
    let version = reading.and_then(|reading| reading.version);
    let release = version.as_deref().and_then(Release::of);
    let (answer, fails) = match (result, version) {
        (Ok(_), Some(version)) => (format!("answered: HAProxy {version}"), false),
        (Ok(_), None) => ("answered, without a version".to_owned(), false),
        (Err(Failure::Disk(error)), _) => (format!("failed: {}", Chain(&error)), true),
        (Err(Failure::Socket(error)), _) => match error.proof().filter(|_| !is_named) {
            Some(reason) => (format!("skipped: {reason}"), false),
            None => (format!("failed: {}", Chain(&error)), true),
        },
    };
    let row = [target.name, "statistics".to_owned(), "show info; show stat".to_owned(), "user".to_owned(), answer];
    (Answers { rows: vec![row], lines: Vec::new(), fails }, release)
}

/// The rows of a socket.
async fn one(target: Target, manner: Manner, buffer: Rc<RefCell<Box<[u8]>>>, wanted: Families) -> Answers {
    let name = target.name.clone();
    let (mut answers, release) = statistics(target.clone(), manner, Rc::clone(&buffer)).await;
    let Some(release) = release else { return answers };
    let (known, others): (Vec<&'static Question>, Vec<_>) = QUESTIONS
        .iter()
        .filter(|question| question.family != Family::Latency)
        .partition(|question| question.is_for(release));
    let asked = known.iter().map(|question| Asked::of(question)).collect();
    let told = Job::new(target.clone(), manner, buffer, None).with(asked).questions(LIMIT).await;
    for (Asked { question, argument, .. }, answer) in &told {
        // One of many, where the question is asked of each of a list.
        if argument.is_some() {
            continue;
        }
        if let Told::Refused(Refusal::Level(_)) = answer {
            answers.lines.push(socket_line(&target.server, question.level));
        }
        answers.fails |= matches!(answer, Told::Refused(_) | Told::Failed(_)) && wanted.has(question.family);
        answers.rows.push(row(&name, question, say(answer)));
    }
    for question in others.into_iter().filter(|question| release < question.since) {
        if !known.iter().any(|other| other.family == question.family) {
            let answer = format!("not available in HAProxy {release}; requires {}", question.since);
            answers.rows.push(row(&name, question, answer));
        }
    }
    answers
}

fn row(name: &str, question: &Question, answer: String) -> Row {
    let level = question.level.word().to_owned();
    [name.to_owned(), question.family.word().to_owned(), Asked::of_list(question), level, answer]
}

fn say(told: &Told) -> String {
    match told {
        Told::Stored(_) | Told::Kept(_) => "answered".to_owned(),
        Told::Refused(Refusal::Level(said)) => format!("insufficient level: {said}"),
        Told::Refused(refusal) => format!("refused: {}", refusal.said()),
        Told::Failed(reason) => format!("failed: {reason}"),
    }
}
