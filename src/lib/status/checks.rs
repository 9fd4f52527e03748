//! Is what was seen good? Pure: a [`Status`] and thresholds in, a [`Verdict`] out.

use super::look::Status;
use super::processes::{Instance, Scan};
use super::queue::{Content, Queue};
use super::report::{bytes, span};
use super::services::Outcome;
use super::verdict::{Figure, Limits, State, Verdict, figure};
use crate::config::Program;
use std::time::Duration;

/// Thresholds of [`queue_size`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct QueueLimits {
    /// Number of snapshots that wait.
    pub size: Limits,
    /// Age of the oldest, seconds.
    pub age: Limits,
    /// Number of snapshots in quarantine.
    pub quarantined: Limits,
}

fn readable(status: &Status) -> Result<(&Queue, &Content), Verdict> {
    let Some(queue) = &status.queue else {
        return Err(Verdict::new(State::Unknown, format!("{} has no queue", status.program.name())));
    };
    match &queue.content {
        Ok(content) => Ok((queue, content)),
        Err(error) => {
            Err(Verdict::new(State::Unknown, format!("can't check {} due to {error}", queue.directory.display())))
        }
    }
}

/// Size and age of the queue, and the quarantine.
pub(crate) fn queue_size(status: &Status, limits: &QueueLimits) -> Verdict {
    let (queue, content) = match readable(status) {
        Ok(readable) => readable,
        Err(verdict) => return verdict,
    };
    let (size, quarantined) = (content.snapshots as u64, content.quarantined as u64);
    let age = content.oldest.map_or(0, |age| age.as_secs());
    let stop = status.config.pull.queue_size.get();
    let mut state = limits.size.judge(size).max(limits.age.judge(age)).max(limits.quarantined.judge(quarantined));
    let mut text = format!("queue size {size}");
    if content.oldest.is_some() {
        text.push_str(&format!(", the oldest {}", span(Duration::from_secs(age))));
    }
    if content.quarantined > 0 {
        text.push_str(&format!(", {quarantined} in quarantine"));
    }
    if content.snapshots >= stop {
        state = state.max(State::Critical);
        text.push_str(&format!(", pulling is suspended at {stop}"));
    }
    text.push_str(&format!(
        ": Queue location={}, Thresholds OK={} WARNING={} and anything beyond is critical",
        queue.directory.display(),
        limits.size.ok,
        limits.size.warning
    ));
    let mut figures = vec![
        figure("queue", size, "", Some(limits.size)),
        figure("oldest_age", age, "s", Some(limits.age)),
        figure("quarantined", quarantined, "", Some(limits.quarantined)),
    ];
    if let Some(queue) = figures.first_mut() {
        queue.max = Some(stop as u64);
    }
    let mut verdict = Verdict { state, text, details: Vec::new(), figures };
    if content.foreign > 0 {
        verdict.details.push(format!("{} entries of the directory are not snapshots and stay there", content.foreign));
    }
    verdict
}

/// The instance that runs, or why there is nothing to look at.
fn only_instance(status: &Status) -> Result<(&Instance, State), Verdict> {
    let name = status.program.name();
    let scan: &Scan = match &status.scan {
        Ok(scan) => scan,
        Err(error) => return Err(Verdict::new(State::Unknown, format!("/proc cannot be read: {error}"))),
    };
    match scan.instances.as_slice() {
        [] if scan.hidden => {
            let advice =
                "/proc hides the processes of other users (hidepid): give this user its gid=, or run the check as root";
            Err(Verdict::new(State::Unknown, advice))
        }
        [] => {
            let others: Vec<String> = scan.others.iter().map(|file| file.display().to_string()).collect();
            let others = match others.as_slice() {
                [] => String::new(),
                files => format!(" ({} running with {})", name, files.join(", ")),
            };
            let text = format!("{name} is not running with {}{others}", status.file.display());
            Err(Verdict::new(State::Critical, text))
        }
        instances if instances.iter().any(|instance| instance.process.stopped) => {
            let stopped = instances.iter().filter(|instance| instance.process.stopped);
            let pids: Vec<String> = stopped.map(|instance| instance.process.pid.to_string()).collect();
            Err(Verdict::new(State::Critical, format!("{name} is stopped (SIGSTOP), pid {}", pids.join(", "))))
        }
        [instance] => Ok((instance, State::Ok)),
        // Its server and its client may be two processes.
        [oldest, _] if status.program == Program::Discovery => Ok((oldest, State::Ok)),
        [oldest, ..] => Ok((oldest, State::Warning)),
    }
}

/// Whether the program runs.
pub(crate) fn running(status: &Status) -> Verdict {
    let (instance, state) = match only_instance(status) {
        Ok(found) => found,
        Err(verdict) => return verdict,
    };
    let age = instance.process.age;
    let mut text = format!("{} is running, pid {}, for {}", status.program.name(), instance.process.pid, span(age));
    if state != State::Ok {
        text.push_str(", as are others with the same configuration");
    }
    text.push_str(&format!(", {} of memory", bytes(instance.resident())));
    let figures = vec![figure("uptime", age.as_secs(), "s", None), figure("resident", instance.resident(), "B", None)];
    Verdict { state, text, details: Vec::new(), figures }
}

/// Whether haproxystats-pull runs, and publishes: seconds since it last did.
pub(crate) fn pull(status: &Status, limits: Limits) -> Verdict {
    let mut verdict = running(status);
    let Ok((instance, _)) = only_instance(status) else { return verdict };
    let content = match readable(status) {
        Ok((_, content)) => content,
        Err(unreadable) => return unreadable,
    };
    // One that has just been started has had no time to.
    let idle = content.idle.min(instance.process.age).as_secs();
    let stop = status.config.pull.queue_size.get();
    if content.snapshots >= stop {
        verdict.state = State::Critical;
        verdict.text.push_str(&format!(", suspended: {} snapshots wait, the limit is {stop}", content.snapshots));
    } else {
        let judged = limits.judge(idle);
        verdict.state = verdict.state.max(judged);
        if judged == State::Ok {
            verdict.text.push_str(&format!(", last snapshot {} ago", span(Duration::from_secs(idle))));
        } else {
            verdict.text.push_str(&format!(", but no snapshot for {}", span(Duration::from_secs(idle))));
        }
    }
    verdict.figures.push(figure("last_snapshot", idle, "s", Some(limits)));
    verdict
}

/// Whether haproxystats-process has all its workers.
pub(crate) fn workers(status: &Status) -> Verdict {
    let (instance, state) = match only_instance(status) {
        Ok(found) => found,
        Err(verdict) => return verdict,
    };
    let wanted = status.config.process.workers.get();
    let stopped = instance.workers.iter().filter(|worker| worker.stopped).count();
    let alive = instance.workers.len() - stopped;
    let mut text = format!("{} processes: the parent and {alive} of {wanted} workers", alive + 1);
    if stopped > 0 {
        text.push_str(&format!(", {stopped} stopped (SIGSTOP)"));
    }
    let state = if alive < wanted {
        State::Critical
    } else if alive > wanted {
        text.push_str("; the configuration has been changed, but not reloaded");
        state.max(State::Warning)
    } else {
        state
    };
    text.push_str(&format!(". Number of processes must be {}", wanted + 1));
    let mut details = vec![format!("parent: pid {}", instance.process.pid)];
    details.extend(instance.workers.iter().map(|worker| {
        let (age, memory) = (span(worker.age), bytes(worker.resident));
        format!("worker: pid {}, for {age}, {memory} of memory", worker.pid)
    }));
    let figures = vec![Figure {
        label: "procs",
        value: (alive + 1) as u64,
        unit: "",
        warning: None,
        critical: None,
        max: Some((wanted + 1) as u64),
    }];
    Verdict { state, text, details, figures }
}

/// Whether haproxystats-agent runs, and answers for every service.
pub(crate) fn agent(status: &Status) -> Verdict {
    let mut verdict = running(status);
    if only_instance(status).is_err() {
        return verdict;
    }
    let (mut silent, mut doubtful) = (Vec::new(), Vec::new());
    for asked in &status.services {
        let line = match &asked.outcome {
            Outcome::Answer(line) if line.is_empty() => "an empty line: no change".to_owned(),
            Outcome::Answer(line) => line.clone(),
            Outcome::NotAllowed => "not asked: allow does not include this host".to_owned(),
            Outcome::Doubtful(line, why) => {
                doubtful.push(asked.service.as_str());
                format!("{line:?}: {why}")
            }
            Outcome::None(why) => {
                silent.push(asked.service.as_str());
                format!("no answer: {why}")
            }
        };
        verdict.details.push(format!("{} ({}): {line}", asked.service, asked.address));
    }
    for (names, state, words) in [
        (&doubtful, State::Warning, "answers that HAProxy does not understand"),
        (&silent, State::Critical, "no answer"),
    ] {
        if !names.is_empty() {
            verdict.state = verdict.state.max(state);
            verdict.text.push_str(&format!(", {words}: {}", names.join(", ")));
        }
    }
    let (all, good) = (status.services.len(), status.services.len() - silent.len() - doubtful.len());
    if good == all {
        verdict.text.push_str(&format!(", {all} service{} answered", if all == 1 { "" } else { "s" }));
    }
    let mut services = figure("services", good as u64, "", None);
    services.max = Some(all as u64);
    verdict.figures.push(services);
    verdict
}

#[cfg(test)]
mod tests {
    use super::super::processes::Process;
    use super::super::services::Answered;
    use super::*;
    use crate::config::load;
    use std::path::PathBuf;

    fn process(pid: u32, age: u64, stopped: bool) -> Process {
        Process { pid, age: Duration::from_secs(age), resident: 1 << 20, stopped }
    }

    fn status(program: Program, instances: Vec<Instance>, content: Content) -> Status {
        let config =
            load::from_text(program, "[process]\nworkers = 2\n[pull]\nqueue-size = 100\n", "x").unwrap().config;
        Status {
            program,
            file: PathBuf::from("/etc/haproxystats.conf"),
            scan: Ok(Scan { instances, others: Vec::new(), hidden: false }),
            queue: Some(Queue { directory: PathBuf::from("/q"), content: Ok(content) }),
            group: None,
            sockets: Vec::new(),
            services: Vec::new(),
            reach: Vec::new(),
            config,
        }
    }

    fn content(snapshots: usize, oldest: u64, quarantined: usize) -> Content {
        let oldest = (snapshots > 0).then(|| Duration::from_secs(oldest));
        Content { snapshots, oldest, idle: Duration::from_secs(3), quarantined, foreign: 0 }
    }

    fn limits(ok: &str, warning: &str) -> Limits {
        Limits { ok: ok.parse().unwrap(), warning: warning.parse().unwrap() }
    }

    fn queue(snapshots: usize, oldest: u64, quarantined: usize) -> Verdict {
        let limits =
            QueueLimits { size: limits("60", "80"), age: limits("600", "1200"), quarantined: limits("0", "~:") };
        queue_size(&status(Program::Process, Vec::new(), content(snapshots, oldest, quarantined)), &limits)
    }

    fn one(workers: Vec<Process>) -> Vec<Instance> {
        vec![Instance { process: process(10, 100, false), workers }]
    }

    #[test]
    fn the_queue() {
        for (snapshots, oldest, quarantined, state) in [
            (0, 0, 0, State::Ok),
            (60, 600, 0, State::Ok),
            (61, 600, 0, State::Warning),
            (80, 1, 0, State::Warning),
            (81, 1, 0, State::Critical),
            (1, 601, 0, State::Warning),
            (1, 1201, 0, State::Critical),
            (0, 0, 1, State::Warning),
            (100, 1, 0, State::Critical),
        ] {
            let verdict = queue(snapshots, oldest, quarantined);
            assert_eq!(verdict.state, state, "{verdict:?}");
            assert!(verdict.text.starts_with(&format!("queue size {snapshots}")), "{}", verdict.text);
        }
    }

    #[test]
    fn as_many_workers_as_are_wanted() {
        let workers = |list: Vec<Process>| super::workers(&status(Program::Process, one(list), content(0, 0, 0))).state;
        assert_eq!(workers(vec![process(11, 1, false), process(12, 1, false)]), State::Ok);
        assert_eq!(workers(vec![process(11, 1, false)]), State::Critical);
        assert_eq!(workers(vec![process(11, 1, false), process(12, 1, true)]), State::Critical);
        assert_eq!(workers((11..14).map(|pid| process(pid, 1, false)).collect()), State::Warning);
    }

    #[test]
    fn running_and_not() {
        let mut none = status(Program::Pull, Vec::new(), content(0, 0, 0));
        assert_eq!(running(&none).state, State::Critical);
        if let Ok(scan) = &mut none.scan {
            scan.hidden = true;
        }
        assert_eq!(running(&none).state, State::Unknown);
        let stopped = vec![Instance { process: process(10, 100, true), workers: Vec::new() }];
        assert_eq!(running(&status(Program::Pull, stopped, content(0, 0, 0))).state, State::Critical);
        let two = [one(Vec::new()), one(Vec::new())].concat();
        assert_eq!(running(&status(Program::Pull, two, content(0, 0, 0))).state, State::Warning);
        assert_eq!(running(&status(Program::Pull, one(Vec::new()), content(0, 0, 0))).state, State::Ok);
    }

    #[test]
    fn pull_has_to_publish_once_it_had_time_to() {
        let verdict = |idle: u64, snapshots: usize| {
            let content = Content { idle: Duration::from_secs(idle), ..content(snapshots, 1, 0) };
            pull(&status(Program::Pull, one(Vec::new()), content), limits("30", "60")).state
        };
        assert_eq!(verdict(30, 1), State::Ok);
        assert_eq!(verdict(31, 1), State::Warning);
        assert_eq!(verdict(61, 1), State::Critical);
        assert_eq!(verdict(1, 100), State::Critical, "suspended");
        let young = vec![Instance { process: process(10, 5, false), workers: Vec::new() }];
        let content = Content { idle: Duration::from_secs(900), ..content(0, 0, 0) };
        assert_eq!(pull(&status(Program::Pull, young, content), limits("30", "60")).state, State::Ok);
    }

    #[test]
    fn every_service_of_the_agent_has_to_answer() {
        let verdict = |outcomes: Vec<Outcome>| {
            let mut status = status(Program::Agent, one(Vec::new()), content(0, 0, 0));
            let address = "127.0.0.1:5555".parse().unwrap();
            let asked = |outcome| Answered { service: "web".to_owned(), address, outcome };
            status.services = outcomes.into_iter().map(asked).collect();
            agent(&status).state
        };
        let good = Outcome::Answer("up 100%".to_owned());
        assert_eq!(verdict(vec![good.clone(), Outcome::NotAllowed]), State::Ok);
        assert_eq!(verdict(vec![good.clone(), Outcome::Doubtful("x".to_owned(), "y".to_owned())]), State::Warning);
        assert_eq!(verdict(vec![good, Outcome::None("refused".to_owned())]), State::Critical);
    }
}
