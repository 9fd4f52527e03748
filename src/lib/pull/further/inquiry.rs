//! Which socket is to be asked which further questions in a pull, and what is said of those that are not answered.
//!
//! A socket is asked from its second pull on: its first one tells which HAProxy it leads to, and whether another socket leads to
//! the same process. That one is asked in its place; but for what it is refused, since the others may have the level.

use super::{Asked, Told, Wanted};
use crate::haproxy::address::Address;
use crate::haproxy::family::Family;
use crate::haproxy::further::Refusal;
use crate::haproxy::questions::socket_line;
use crate::haproxy::release::Release;
use crate::snapshot::Epoch;
use std::collections::{HashMap, HashSet};

/// What is refused is asked again after so many seconds, if not later.
const REFUSED_AGAIN: u64 = 60;

/// See the module.
#[derive(Debug, Default)]
pub(in crate::pull) struct Inquiry {
    wanted: Vec<Wanted>,
    sockets: HashMap<Address, Socket>,
    /// Families that a HAProxy is too old for, by socket; told once each.
    too_old: HashSet<(Address, Family)>,
    /// The last pull in which workers that are leaving were asked, by suffix.
    workers: HashMap<&'static str, u64>,
}

#[derive(Debug, Default)]
struct Socket {
    release: Option<Release>,
    states: HashMap<&'static str, State>,
}

/// What is known of a question to a socket, by its suffix.
#[derive(Debug, Default)]
struct State {
    /// When it was last answered, or refused.
    last: Option<u64>,
    /// Whether each command was refused.
    refused: bool,
    /// Commands that were refused, which was told.
    said: HashSet<String>,
    failing: bool,
}

/// How many questions were answered, refused, and neither.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::pull) struct Count {
    pub(in crate::pull) answered: u64,
    pub(in crate::pull) refused: u64,
    pub(in crate::pull) failed: u64,
}

impl Count {
    pub(in crate::pull) fn add(&mut self, told: &Told) {
        match told {
            Told::Stored(_) | Told::Kept(_) => self.answered += 1,
            Told::Refused(_) => self.refused += 1,
            Told::Failed(_) => self.failed += 1,
        }
    }
}

impl std::ops::AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        self.answered += other.answered;
        self.refused += other.refused;
        self.failed += other.failed;
    }
}

impl State {
    /// Takes note of what came of the commands of a question.
    fn learn(&mut self, server: &Address, name: &str, told: &[(Asked, Told)], epoch: Epoch) {
        let failed = told.iter().find_map(|(asked, told)| match told {
            Told::Failed(reason) => Some((asked.command(), reason)),
            _ => None,
        });
        match &failed {
            Some((command, reason)) => {
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::warn!(socket = %name, command, reason,
                        "a command for families was not answered; it is sent again in the next pull");
                }
            }
            None => {
                if std::mem::take(&mut self.failing) {
                    tracing::info!(socket = %name, "the command for families is answered again");
                }
                self.last = Some(epoch.0);
            }
        }
        self.refused = failed.is_none() && told.iter().all(|(_, told)| matches!(told, Told::Refused(_)));
        for (asked, told) in told {
            let command = asked.command();
            match told {
                Told::Refused(refusal) if !self.said.contains(&command) => {
                    say(server, name, asked, refusal);
                    self.said.insert(command);
                }
                Told::Stored(_) if self.said.remove(&command) => {
                    tracing::info!(socket = %name, command, "the command for families is now accepted");
                }
                _ => {}
            }
        }
    }
}

impl Inquiry {
    pub(in crate::pull) fn new(wanted: Vec<Wanted>) -> Self {
        Self { wanted, ..Self::default() }
    }

    /// What a socket is asked in the pull of this second; `first`: the one that is asked in its place.
    pub(in crate::pull) fn plan(&mut self, server: &Address, first: Option<&Address>, epoch: Epoch) -> Vec<Asked> {
        let Some(release) = self.sockets.get(server).and_then(|socket| socket.release) else { return Vec::new() };
        let mut asked = Vec::new();
        for wanted in &self.wanted {
            let Wanted { question, every, .. } = wanted;
            let state =
                |server| self.sockets.get(server).and_then(|socket: &Socket| socket.states.get(question.suffix));
            let refused = |server| state(server).is_some_and(|state| state.refused);
            if !question.is_for(release) || first.is_some_and(|first| !refused(first)) {
                continue;
            }
            let every = if refused(server) { (*every).max(REFUSED_AGAIN) } else { *every };
            if is_due(state(server).and_then(|state| state.last), every, epoch) {
                asked.extend(wanted.commands());
            }
        }
        asked
    }

    /// What workers that are leaving are asked in the pull of this second.
    pub(in crate::pull) fn plan_workers(&mut self, epoch: Epoch) -> Vec<Asked> {
        let mut asked = Vec::new();
        for wanted in self.wanted.iter().filter(|wanted| wanted.question.leaving) {
            let suffix = wanted.question.suffix;
            if is_due(self.workers.get(suffix).copied(), wanted.every, epoch) {
                self.workers.insert(suffix, epoch.0);
                asked.extend(wanted.commands());
            }
        }
        asked
    }

    /// Takes note of the HAProxy that a socket leads to.
    pub(in crate::pull) fn meet(&mut self, server: &Address, name: &str, version: Option<&str>) {
        if self.wanted.is_empty() {
            return;
        }
        let Some(release) = version.and_then(Release::of) else { return };
        let socket = self.sockets.entry(server.clone()).or_default();
        if socket.release.replace(release) == Some(release) {
            return;
        }
        for family in self.wanted.iter().map(|wanted| wanted.question.family).collect::<HashSet<_>>() {
            let of = |wanted: &&Wanted| wanted.question.family == family;
            let fits = self.wanted.iter().filter(of).any(|wanted| wanted.question.is_for(release));
            let since = self.wanted.iter().filter(of).map(|wanted| wanted.question.since).min();
            if let Some(since) = since.filter(|_| !fits && self.too_old.insert((server.clone(), family))) {
                tracing::warn!(socket = %name, family = family.word(), version = %release, %since,
                    "this HAProxy does not support the family");
            }
        }
    }

    /// Takes note of what came of the questions to a socket, says what is new, and counts.
    pub(in crate::pull) fn learn(
        &mut self,
        server: &Address,
        name: &str,
        told: &[(Asked, Told)],
        epoch: Epoch,
    ) -> Count {
        let mut count = Count::default();
        told.iter().for_each(|(_, told)| count.add(told));
        let mut rest = told;
        // Commands of a question follow each other.
        while let Some((asked, _)) = rest.first() {
            let question = asked.question;
            let end = rest.partition_point(|(asked, _)| asked.question.suffix == question.suffix);
            let (these, later) = rest.split_at(end);
            rest = later;
            if question.is_kept() {
                continue;
            }
            let socket = self.sockets.entry(server.clone()).or_default();
            socket.states.entry(question.suffix).or_default().learn(server, name, these, epoch);
        }
        count
    }

    /// Forgets sockets that are gone.
    pub(in crate::pull) fn keep<'a>(&mut self, present: impl Iterator<Item = &'a Address>) {
        if self.wanted.is_empty() {
            return;
        }
        let present: HashSet<&Address> = present.collect();
        self.sockets.retain(|server, _| present.contains(server));
        self.too_old.retain(|(server, _)| present.contains(server));
    }
}

/// Whether something is due that was done then. Ticks of an interval are those at which its grid begins a new part, so that all
/// sockets are asked at once, and at the same moments whenever the program was started.
fn is_due(last: Option<u64>, every: u64, epoch: Epoch) -> bool {
    last.is_none_or(|last| every == 0 || last / every != epoch.0 / every)
}

/// Tells of a refusal.
fn say(server: &Address, name: &str, asked: &Asked, refusal: &Refusal) {
    let (command, said, family) = (asked.command(), refusal.said(), asked.question.family.word());
    match refusal {
        Refusal::Level(_) => {
            let line = socket_line(server, asked.question.level);
            tracing::warn!(socket = %name, family, command, said, line,
                "HAProxy refuses the command: the socket's level is too low; change the level of this line in the global \
                 section of haproxy.cfg, and keep its user, group and mode");
        }
        Refusal::Unknown(_) => {
            tracing::warn!(socket = %name, family, command, said, "this HAProxy does not know the command");
        }
        Refusal::Other(_) => tracing::warn!(socket = %name, family, command, said, "HAProxy refuses the command"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::haproxy::questions::QUESTIONS;

    fn wanted(every: u64) -> Vec<Wanted> {
        QUESTIONS.iter().map(|question| Wanted { question, arguments: Vec::new(), every }).collect()
    }

    fn unix(path: &str) -> Address {
        Address::Unix(path.into())
    }

    fn suffixes(asked: &[Asked]) -> Vec<&str> {
        asked.iter().map(|asked| asked.question.suffix).collect()
    }

    fn answer(asked: Vec<Asked>, refused: &[&str]) -> Vec<(Asked, Told)> {
        let told = |asked: &Asked| match refused.contains(&asked.question.suffix) {
            true => Told::Refused(Refusal::Level("Permission denied".to_owned())),
            false => Told::Stored(9),
        };
        asked.into_iter().map(|asked| (asked.clone(), told(&asked))).collect()
    }

    #[test]
    fn a_socket_is_asked_what_its_release_has_once_in_an_interval() {
        let mut inquiry = Inquiry::new(wanted(60));
        let server = unix("/a");
        assert!(inquiry.plan(&server, None, Epoch(100)).is_empty());
        inquiry.meet(&server, "a", Some("2.8.1"));
        let asked = inquiry.plan(&server, None, Epoch(110));
        assert_eq!(suffixes(&asked), ["_tables", "_resolvers", "_certificates", "_activity", "_pools", "_peers"]);
        inquiry.learn(&server, "a", &answer(asked, &[]), Epoch(110));
        assert!(inquiry.plan(&server, None, Epoch(119)).is_empty());
        assert_eq!(inquiry.plan(&server, None, Epoch(120)).len(), 6, "a part of the grid begins");
        inquiry.meet(&server, "a", Some("3.2.0"));
        assert!(suffixes(&inquiry.plan(&server, None, Epoch(120))).contains(&"_sni"));
        inquiry.keep([].into_iter());
        assert!(inquiry.plan(&server, None, Epoch(180)).is_empty());
    }

    #[test]
    fn what_failed_is_asked_in_the_next_pull_and_what_was_refused_later() {
        let mut inquiry = Inquiry::new(wanted(0));
        let server = unix("/a");
        inquiry.meet(&server, "a", Some("2.8.1"));
        let asked = inquiry.plan(&server, None, Epoch(120));
        let mut told = answer(asked, &["_activity"]);
        told[0].1 = Told::Failed("closed".to_owned());
        let count = inquiry.learn(&server, "a", &told, Epoch(120));
        assert_eq!(count, Count { answered: 4, refused: 1, failed: 1 });
        let again = inquiry.plan(&server, None, Epoch(130));
        assert!(suffixes(&again).contains(&"_tables") && !suffixes(&again).contains(&"_activity"));
        assert!(suffixes(&inquiry.plan(&server, None, Epoch(180))).contains(&"_activity"));
    }

    #[test]
    fn another_socket_of_the_process_is_asked_what_the_first_is_refused() {
        let mut inquiry = Inquiry::new(wanted(60));
        let (first, second) = (unix("/a"), unix("/b"));
        for server in [&first, &second] {
            inquiry.meet(server, "", Some("2.8.1"));
        }
        let asked = inquiry.plan(&first, None, Epoch(120));
        assert!(inquiry.plan(&second, Some(&first), Epoch(120)).is_empty());
        inquiry.learn(&first, "a", &answer(asked, &["_activity"]), Epoch(120));
        let asked = inquiry.plan(&second, Some(&first), Epoch(130));
        assert_eq!(suffixes(&asked), ["_activity"]);
    }

    #[test]
    fn the_line_to_write_names_the_socket() {
        let line = |server| socket_line(&server, QUESTIONS[0].level);
        assert_eq!(line(unix("/run/a.sock")), "stats socket /run/a.sock level operator");
        let tcp = Address::Tcp { host: "::1".to_owned(), port: 99 };
        assert_eq!(line(tcp), "stats socket [::1]:99 level operator");
    }

    #[test]
    fn one_argument_that_is_refused_does_not_slow_the_others_down() {
        let question = &QUESTIONS[0];
        let arguments = ["a", "b"].map(str::to_owned).to_vec();
        let mut inquiry = Inquiry::new(vec![Wanted { question, arguments, every: 0 }]);
        let server = unix("/a");
        inquiry.meet(&server, "a", Some("2.8.1"));
        let asked = inquiry.plan(&server, None, Epoch(120));
        assert_eq!(asked.iter().map(Asked::command).collect::<Vec<_>>(), ["show table a", "show table b"]);
        let mut told = answer(asked, &[]);
        told[0].1 = Told::Refused(Refusal::Other("No such table".to_owned()));
        inquiry.learn(&server, "a", &told, Epoch(120));
        assert_eq!(inquiry.plan(&server, None, Epoch(121)).len(), 2);
    }
}
