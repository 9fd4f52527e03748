//! The guard: which servers may be removed. A failing source must not take a service down.
//!
//! It is asked for the whole list, for each group and for each backend that the configuration has; each of them has to
//! agree. A scope lets no more servers go than `ratio` of those that it had, within `hold`; those that have come in the
//! meantime make up for as many. Beyond that all are held: it is rather the source that is wrong.
//! What is held for `hold` is believed. `floor` servers stay in any case.
//!
//! Whose slot goes to another server that serves the same backends is no loss, and is not held.

use super::planning::Planning;
use crate::config::discovery::{Plan as Settings, Serves};
use crate::discovery::document::{Cause, Held, State, What};
use crate::discovery::source::{Instance, Listing};
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::fmt;

/// A server that would have to leave.
struct Candidate {
    cause: Cause,
    slot: u32,
    group: String,
    instance: String,
    /// Held for so long that the source is believed.
    overdue: bool,
    /// Missing for so long that it may leave without a successor.
    obsolete: bool,
    /// When the source first said so, UTC seconds.
    since: u64,
}

impl Candidate {
    /// Whether it counts as a loss: an explicit statement of the source is not a failure of it.
    fn counts(&self) -> bool {
        self.cause != Cause::Leaving && !self.overdue
    }
}

/// What the guard counts of a group.
#[derive(Default)]
struct Tally {
    /// Servers that are active.
    active: usize,
    /// Of these, the ones that came since the first candidate left the listing.
    gained: usize,
    /// Candidates that count.
    losing: usize,
    /// Candidates that do not: they leave in any case.
    certain: usize,
    /// Lost lately.
    lost: usize,
}

/// A part of the list for which the guard is asked.
enum Scope<'s> {
    List,
    Group(&'s str),
    Backend(&'s str, &'s Serves),
}

impl fmt::Display for Scope<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::List => f.write_str("the list"),
            Self::Group(name) => write!(f, "the group {name}"),
            Self::Backend(name, _) => write!(f, "the backend {name}"),
        }
    }
}

/// The groups, by name.
struct Tallies<'s> {
    settings: &'s Settings,
    names_are_sure: bool,
    of: BTreeMap<String, Tally>,
}

impl<'s> Tallies<'s> {
    fn group(&mut self, name: &str) -> &mut Tally {
        self.of.entry(name.to_owned()).or_default()
    }

    /// Those that a group belongs to: the list, its own (unless the source is not asked for it any more), its backends.
    fn scopes<'g>(&self, group: &'g str) -> Vec<Scope<'g>>
    where
        's: 'g,
    {
        let asked = self.settings.groups.as_ref().is_none_or(|groups| groups.iter().any(|name| name == group));
        let own = ((asked || !self.names_are_sure) && !group.is_empty()).then_some(Scope::Group(group));
        // A backend that takes all is the list.
        let backends =
            self.settings.backends.iter().filter(|(_, serves)| *serves != Serves::All && serves.takes(group));
        let backends = backends.map(|(name, serves)| Scope::Backend(name, serves));
        std::iter::once(Scope::List).chain(own).chain(backends).collect()
    }

    /// The groups of a scope, and whether their servers are its own or only stand in for them.
    fn members<'t>(&'t self, scope: &'t Scope<'_>) -> impl Iterator<Item = (&'t Tally, bool)> {
        self.of.iter().filter_map(move |(name, tally)| match scope {
            Scope::List => Some((tally, true)),
            Scope::Group(group) => {
                let own = name == group;
                (own || replaces(self.settings, name, group)).then_some((tally, own))
            }
            Scope::Backend(_, serves) => serves.takes(name).then_some((tally, true)),
        })
    }

    /// How many are lost of how many, where that is more than may be.
    fn beyond(&self, scope: &Scope<'_>) -> Option<(usize, usize)> {
        let (mut serving, mut before, mut losing, mut lost, mut gained) = (0, 0, 0, 0, 0);
        for (tally, own) in self.members(scope) {
            gained += tally.gained;
            if own {
                serving += tally.active;
                before += tally.active.saturating_sub(tally.gained + tally.certain);
                losing += tally.losing;
                lost += tally.lost;
            }
        }
        (losing.saturating_sub(gained) > allowance(before, lost, self.settings.ratio)).then_some((losing, serving))
    }

    /// Whether no further server of a scope may leave.
    fn is_at_floor(&self, scope: &Scope<'_>) -> bool {
        let serving: usize = self.members(scope).map(|(tally, _)| tally.active).sum();
        serving <= self.settings.floor
    }
}

/// Whether servers of one group serve for those of the other.
fn replaces(settings: &Settings, group: &str, other: &str) -> bool {
    let backends = &settings.backends;
    group == other
        || (!backends.is_empty() && backends.iter().all(|(_, serves)| serves.takes(group) == serves.takes(other)))
}

impl Planning<'_> {
    /// Removes servers that are surely gone: first for those that wait, then as far as the guard allows.
    pub(super) fn let_go(&mut self, waiting: &mut VecDeque<&Instance>, listing: &Listing) {
        let settings = self.settings;
        let mut candidates = self.candidates(listing);
        candidates.retain(|candidate| {
            let heir = waiting.iter().position(|heir| replaces(settings, &heir.group, &candidate.group));
            let Some(heir) = heir.and_then(|at| waiting.remove(at)) else { return true };
            self.hand_over(candidate.slot, heir, Some(candidate.cause));
            false
        });
        let (mut tallies, mut newcomers) = self.tally(&candidates, settings);
        let groups: HashSet<&str> = candidates.iter().map(|candidate| candidate.group.as_str()).collect();
        let beyond: HashMap<String, String> = groups
            .into_iter()
            .filter_map(|group| {
                let scopes = tallies.scopes(group);
                let first = scopes.iter().find_map(|scope| Some((scope, tallies.beyond(scope)?)));
                let (scope, (losing, serving)) = first?;
                Some((group.to_owned(), format!("{losing} of {serving} of {scope}")))
            })
            .collect();
        let before: HashMap<u32, Held> =
            std::mem::take(&mut self.next.held).into_iter().map(|held| (held.slot, held)).collect();
        for candidate in candidates {
            let cause = candidate.cause;
            if let Some(many) = beyond.get(&candidate.group).filter(|_| candidate.counts()) {
                let why = format!("{cause}, as are {many}: more than removal-ratio allows at once");
                self.keep(candidate, why, &before);
                continue;
            }
            if !candidate.obsolete {
                continue;
            }
            let scopes = tallies.scopes(&candidate.group);
            // A group may end, when the source says so in so many words.
            let binds = |scope: &&Scope<'_>| cause != Cause::Leaving || !matches!(scope, Scope::Group(_));
            let floored = scopes.iter().filter(binds).find(|scope| tallies.is_at_floor(scope));
            if let Some(scope) = floored {
                let why = format!("{cause}, but removal-floor keeps {} of {scope}", settings.floor);
                self.keep(candidate, why, &before);
            } else {
                let tally = tallies.group(&candidate.group);
                tally.active = tally.active.saturating_sub(1);
                self.drain(&candidate, &mut newcomers);
            }
        }
    }

    /// Servers that the listings have confirmed as gone; the most certain ones come first.
    fn candidates(&self, listing: &Listing) -> Vec<Candidate> {
        let (settings, now) = (self.settings, self.now);
        let mut candidates: Vec<Candidate> = self
            .next
            .servers()
            .filter(|(_, server)| server.state == State::Active)
            .filter_map(|(slot, server)| {
                // What was in doubt before the source fell silent about it stays so.
                let doubt = server.doubt.filter(|_| !self.is_silent(listing, server))?;
                let sure = doubt.cause == Cause::Leaving || doubt.listings >= settings.confirmations;
                let for_so_long = |time: u64| doubt.since.saturating_add(time) <= now;
                let hold = settings.hold.as_secs();
                sure.then(|| Candidate {
                    cause: doubt.cause,
                    slot,
                    group: server.group.clone(),
                    instance: server.instance.clone(),
                    overdue: hold > 0 && for_so_long(hold),
                    obsolete: doubt.cause != Cause::Missing || for_so_long(settings.hold_obsolete.as_secs()),
                    since: doubt.since,
                })
            })
            .collect();
        candidates.sort_by_key(|c| (c.cause == Cause::Leaving, c.cause == Cause::Unhealthy, c.slot));
        candidates
    }

    /// What the guard counts, and the slots and groups of those who have come since the first candidate was missing.
    fn tally<'s>(&self, candidates: &[Candidate], settings: &'s Settings) -> (Tallies<'s>, Vec<(u32, String)>) {
        let first = candidates.iter().map(|candidate| candidate.since).min().unwrap_or(u64::MAX);
        let mut tallies = Tallies { settings, names_are_sure: self.names_are_sure, of: BTreeMap::new() };
        let mut newcomers = Vec::new();
        for (slot, server) in self.next.servers().filter(|(_, server)| server.state == State::Active) {
            let tally = tallies.group(&server.group);
            tally.active += 1;
            if server.doubt.is_none() && server.gained >= first {
                tally.gained += 1;
                newcomers.push((slot, server.group.clone()));
            }
        }
        for candidate in candidates {
            let tally = tallies.group(&candidate.group);
            let count = if candidate.counts() { &mut tally.losing } else { &mut tally.certain };
            *count += 1;
        }
        for group in &self.next.lost_groups {
            tallies.group(group).lost += 1;
        }
        (tallies, newcomers)
    }

    fn drain(&mut self, candidate: &Candidate, newcomers: &mut Vec<(u32, String)>) {
        let (now, hold, settings) = (self.now, self.settings.hold.as_secs(), self.settings);
        let Some(server) = self.server_in(candidate.slot) else { return };
        server.state = State::Draining { since: now };
        server.doubt = None;
        if candidate.counts() {
            // One that came in its place makes up for it, and for no other.
            let successor = newcomers.iter().position(|(_, group)| replaces(settings, group, &candidate.group));
            let successor = successor.map(|at| newcomers.swap_remove(at));
            match successor.and_then(|(slot, _)| self.server_in(slot)) {
                Some(server) => server.gained = 0,
                None => {
                    self.next.lost.push(now);
                    self.next.lost_groups.push(candidate.group.clone());
                }
            }
        }
        let cause = candidate.cause;
        let why = if candidate.overdue { format!("{cause}, for {hold} s") } else { cause.to_string() };
        self.reason(Some(candidate.slot), &candidate.instance, What::Draining, why);
    }

    fn keep(&mut self, candidate: Candidate, why: String, before: &HashMap<u32, Held>) {
        let held = Held { slot: candidate.slot, instance: candidate.instance, cause: candidate.cause };
        if before.get(&held.slot) != Some(&held) {
            let instance = held.instance.clone();
            self.reason(Some(held.slot), &instance, What::Held, why);
        }
        self.next.held.push(held);
    }
}

/// How many may be lost now, when so many serve and so many were lost lately. One always may, as far as `ratio` lets
/// anybody go: of two servers one is more than a small part.
pub(super) fn allowance(serving: usize, lost: usize, ratio: f64) -> usize {
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "far below 2^52"
    )]
    let part = ((serving + lost) as f64 * ratio).floor() as usize;
    let least = usize::from(ratio > 0.0);
    part.max(least).saturating_sub(lost)
}
