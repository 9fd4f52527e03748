//! What was seen, for people and for programs.

use super::group;
use super::look::Status;
use super::reach::Reach;
use super::services::Outcome;
use crate::config::Program;
use serde_json::{Value, json};
use std::fmt::Write;
use std::time::Duration;

/// Lines for people.
pub(crate) fn text(status: &Status) -> String {
    let mut out = String::new();
    let name = status.program.name();
    match &status.scan {
        Err(error) => line(&mut out, name, &format!("/proc cannot be read: {error}")),
        Ok(scan) if scan.instances.is_empty() => {
            let hidden = if scan.hidden { " (as far as this user can see)" } else { "" };
            line(&mut out, name, &format!("not running with {}{hidden}", status.file.display()));
        }
        Ok(scan) => {
            for instance in &scan.instances {
                let process = &instance.process;
                let state = if process.stopped { "stopped (SIGSTOP)" } else { "running" };
                let mut words = format!("{state}, pid {}, for {}", process.pid, span(process.age));
                if status.program == Program::Process {
                    let wanted = status.config.process.workers;
                    let _ = write!(words, ", {} of {wanted} workers", instance.workers.len());
                }
                let _ = write!(words, ", {} of memory", bytes(instance.resident()));
                line(&mut out, name, &words);
            }
        }
    }
    for other in status.scan.iter().flat_map(|scan| &scan.others) {
        line(&mut out, name, &format!("another one is running with {}", other.display()));
    }
    if let Some(queue) = &status.queue {
        let directory = queue.directory.display();
        match &queue.content {
            Err(error) => line(&mut out, "queue", &format!("{directory} cannot be read: {error}")),
            Ok(content) => {
                let mut words = format!("{} of {} in {directory}", content.snapshots, status.config.pull.queue_size);
                if let Some(age) = content.oldest {
                    let _ = write!(words, ", the oldest {}", span(age));
                }
                let _ = write!(words, ", last change {} ago", span(content.idle));
                line(&mut out, "queue", &words);
                line(&mut out, "quarantine", &format!("{}", content.quarantined));
                if content.foreign > 0 {
                    line(&mut out, "foreign", &format!("{} entries that are not snapshots", content.foreign));
                }
            }
        }
    }
    for (name, words) in status.group.iter().flat_map(|(group, age)| group::lines(group, *age)) {
        line(&mut out, name, &words);
    }
    status.sockets.iter().for_each(|note| line(&mut out, "sockets", note));
    reach(&mut out, &status.reach);
    for asked in &status.services {
        let words = match &asked.outcome {
            Outcome::Answer(answer) => format!("{:?} at {}", answer, asked.address),
            Outcome::Doubtful(answer, why) => format!("{:?} at {}: {why}", answer, asked.address),
            Outcome::None(why) => format!("no answer at {}: {why}", asked.address),
            Outcome::NotAllowed => format!("not asked at {}: allow does not include this host", asked.address),
        };
        line(&mut out, &format!("service {}", asked.service), &words);
    }
    out
}

/// Destinations, each with a line, and sockets, of which there may be many.
fn reach(out: &mut String, all: &[Reach]) {
    let (sockets, destinations): (Vec<&Reach>, Vec<&Reach>) = all.iter().partition(|one| one.what == "socket");
    for Reach { what, address, error } in destinations {
        let words = match error {
            None => format!("{address} accepts connections"),
            Some(error) => format!("{address} is unavailable: {error}"),
        };
        line(out, what, &words);
    }
    if sockets.is_empty() {
        return;
    }
    let failing: Vec<&&Reach> = sockets.iter().filter(|one| one.error.is_some()).collect();
    let (good, all) = (sockets.len() - failing.len(), sockets.len());
    line(out, "sockets", &format!("{good} of {all} accept connections"));
    for Reach { address, error, .. } in failing {
        line(out, "socket", &format!("{address} is unavailable: {}", error.as_deref().unwrap_or_default()));
    }
}

fn line(out: &mut String, name: &str, words: &str) {
    let _ = writeln!(out, "{name:<22} {words}");
}

/// One JSON object for programs: seconds and bytes are whole numbers, what is not known is null.
pub(crate) fn json(status: &Status) -> String {
    let instances: Vec<Value> = status
        .scan
        .iter()
        .flat_map(|scan| &scan.instances)
        .map(|instance| {
            json!({
                "pid": instance.process.pid,
                "uptime_seconds": instance.process.age.as_secs(),
                "resident_bytes": instance.resident(),
                "stopped": instance.process.stopped,
                "workers": instance.workers.iter().map(|worker| worker.pid).collect::<Vec<_>>(),
            })
        })
        .collect();
    let mut object = json!({
        "program": status.program.name(),
        "version": crate::version::VERSION,
        "configuration": status.file.display().to_string(),
        "running": status.runs(),
        "instances": instances,
    });
    if status.program == Program::Process {
        set(&mut object, "workers_wanted", json!(status.config.process.workers.get()));
    }
    if let Some(queue) = &status.queue {
        let content = queue.content.as_ref();
        set(
            &mut object,
            "queue",
            json!({
                "directory": queue.directory.display().to_string(),
                "error": content.err().map(ToString::to_string),
                "snapshots": content.ok().map(|content| content.snapshots),
                "limit": status.config.pull.queue_size.get(),
                "oldest_age_seconds": content.ok().and_then(|content| content.oldest).map(|age| age.as_secs()),
                "last_change_seconds": content.ok().map(|content| content.idle.as_secs()),
                "quarantined": content.ok().map(|content| content.quarantined),
                "foreign": content.ok().map(|content| content.foreign),
            }),
        );
    }
    if let Some((group, age)) = &status.group {
        set(&mut object, "group", group::json(group, *age));
    }
    if status.program == Program::Pull {
        set(&mut object, "sockets", json!(status.sockets));
    }
    if matches!(status.program, Program::Pull | Program::Process) {
        let reach = status.reach.iter().map(
            |Reach { what, address, error }| json!({ "what": what, "address": address, "up": error.is_none(), "error": error }),
        );
        set(&mut object, "reach", json!(reach.collect::<Vec<Value>>()));
    }
    if status.program == Program::Agent {
        let services = status.services.iter().map(|asked| {
            let (answer, error) = match &asked.outcome {
                Outcome::Answer(answer) => (Some(answer.as_str()), None),
                Outcome::Doubtful(answer, why) => (Some(answer.as_str()), Some(why.as_str())),
                Outcome::None(why) => (None, Some(why.as_str())),
                Outcome::NotAllowed => (None, Some("allow does not include this host")),
            };
            json!({ "name": asked.service, "address": asked.address.to_string(), "answer": answer, "error": error })
        });
        let services: Vec<Value> = services.collect();
        set(&mut object, "services", json!(services));
    }
    format!("{object:#}\n")
}

fn set(object: &mut Value, name: &str, value: Value) {
    if let Value::Object(map) = object {
        map.insert(name.to_owned(), value);
    }
}

/// A length of time with two units at most.
pub(super) fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    match (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0, seconds) => format!("{seconds} s"),
        (0, 0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (0, hours, minutes, _) => format!("{hours} h {minutes} min"),
        (days, hours, ..) => format!("{days} d {hours} h"),
    }
}

/// An amount of memory.
pub(super) fn bytes(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans() {
        for (seconds, words) in [(0, "0 s"), (59, "59 s"), (61, "1 min 1 s"), (7_260, "2 h 1 min"), (90_000, "1 d 1 h")]
        {
            assert_eq!(span(Duration::from_secs(seconds)), words);
        }
        assert_eq!(bytes(1), "1 MiB");
    }
}
