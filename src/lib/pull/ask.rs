//! `--check --ask`: tries every family on every socket, and reports what each lacks.

use super::further::{Asked, Told};
use super::job::{BUFFER, Job, Manner};
use super::sockets::{self, Target};
use crate::config::{self, Retries};
use crate::haproxy::family::Family;
use crate::haproxy::further::Refusal;
use crate::haproxy::questions::{QUESTIONS, Question, socket_line};
use crate::haproxy::release::Release;
use crate::startup::aligned;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;
use tokio::task::{JoinSet, LocalSet};

/// Time for a socket and all of its questions.
const LIMIT: Duration = Duration::from_secs(10);
/// Names of the columns.
const HEAD: [&str; 5] = ["socket", "family", "command", "level", "answer"];

/// What is said above the lines of haproxy.cfg. A line without the group and mode that it had would lock haproxystats-pull out.
const ADVICE: &str = "\nFor the families with an insufficient level, if they are wanted: change the level of these lines in the global\n\
                      section of haproxy.cfg, and keep everything else that they have (user, group, mode):\n";

/// A line of the table.
type Row = [String; 5];

/// The table, and the lines of haproxy.cfg that are missing.
#[must_use]
pub fn table(pull: &config::Pull) -> String {
    let (found, _) =
        sockets::find(pull.socket_dir.as_deref(), &pull.exclude_sockets, &pull.servers, &pull.master_sockets);
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return String::new() };
    let manner = Manner {
        timeout: pull.timeout,
        retries: Retries::Times(0),
        interval: pull.interval,
        limit: pull.max_reply_size.get(),
        further_limit: LIMIT,
    };
    let mut answers = LocalSet::new().block_on(&runtime, async move {
        let buffer = Rc::new(RefCell::new(vec![0; BUFFER].into_boxed_slice()));
        let mut jobs = JoinSet::new();
        for (index, target) in found.targets.into_iter().enumerate() {
            let buffer = Rc::clone(&buffer);
            jobs.spawn_local(async move { (index, one(target, manner, buffer).await) });
        }
        jobs.join_all().await
    });
    runtime.shutdown_background();
    answers.sort_by_key(|(index, _)| *index);
    let mut lines = BTreeSet::new();
    let mut rows = vec![HEAD.map(str::to_owned)];
    for (_, (these, missing)) in answers {
        rows.extend(these);
        lines.extend(missing);
    }
    let mut text = aligned(&rows);
    if !lines.is_empty() {
        text.push_str(ADVICE);
        lines.iter().for_each(|line| text.push_str(&format!("    {line}\n")));
    }
    text
}

/// The rows of a socket, and the lines of haproxy.cfg that it lacks.
async fn one(target: Target, manner: Manner, buffer: Rc<RefCell<Box<[u8]>>>) -> (Vec<Row>, Vec<String>) {
    let name = target.name.clone();
    let alone =
        |answer: String| vec![[name.clone(), "-".to_owned(), "show info".to_owned(), "user".to_owned(), answer]];
    let (target, answer) = Job::new(target, manner, Rc::clone(&buffer), None).process(LIMIT).await;
    let release = match &answer {
        Ok(reading) => reading.version.as_deref().and_then(Release::of),
        Err(reason) => {
            return (alone(reason.clone().unwrap_or_else(|| "no answer".to_owned())), Vec::new());
        }
    };
    let Some(release) = release else { return (alone("does not report its version".to_owned()), Vec::new()) };
    let (known, others): (Vec<&'static Question>, Vec<_>) = QUESTIONS
        .iter()
        .filter(|question| question.family != Family::Latency)
        .partition(|question| question.is_for(release));
    let asked = known.iter().map(|question| Asked::of(question)).collect();
    let told = Job::new(target.clone(), manner, buffer, None).with(asked).questions(LIMIT).await;
    let mut rows = Vec::new();
    let mut lines = Vec::new();
    for (Asked { question, argument, .. }, answer) in &told {
        // One of many, where the question is asked of each of a list.
        if argument.is_some() {
            continue;
        }
        if let Told::Refused(Refusal::Level(_)) = answer {
            lines.push(socket_line(&target.server, question.level));
        }
        rows.push(row(&name, question, say(answer)));
    }
    for question in others.into_iter().filter(|question| release < question.since) {
        if !known.iter().any(|other| other.family == question.family) {
            rows.push(row(&name, question, format!("not available in HAProxy {release}; requires {}", question.since)));
        }
    }
    (rows, lines)
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
