//! What changed about the sockets since the pull before: a socket that stays broken is reported once, not every ten
//! seconds.

use super::failure::PullFailure;
use std::collections::BTreeMap;

/// Something worth a log line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A socket was not there at the last pull. Not said of the sockets of the first pull.
    Appeared,
    /// A socket was there at the last pull.
    Gone,
    /// A socket fails, or fails for another reason than before.
    Failed,
    /// A socket answers again after this many failed pulls.
    Recovered(u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State {
    failure: Option<PullFailure>,
    failed_pulls: u64,
}

/// The sockets of the last pull.
#[derive(Debug, Default)]
pub struct Health {
    sockets: BTreeMap<String, State>,
    seen_any: bool,
}

impl Health {
    /// Says nothing of a socket any more: it is left out, which is said elsewhere.
    pub fn forget(&mut self, name: &str) {
        self.sockets.remove(name);
    }

    /// Takes the outcome of a pull, and returns what changed, by name.
    pub(crate) fn update<'a>(
        &mut self,
        outcomes: impl IntoIterator<Item = (&'a str, Option<PullFailure>)>,
    ) -> Vec<(String, Change)> {
        let mut before = std::mem::take(&mut self.sockets);
        let mut changes = Vec::new();
        for (name, failure) in outcomes {
            let old = before.remove(name);
            if old.is_none() && self.seen_any {
                changes.push((name.to_owned(), Change::Appeared));
            }
            let old = old.unwrap_or(State { failure: None, failed_pulls: 0 });
            match failure {
                Some(_) if failure != old.failure => changes.push((name.to_owned(), Change::Failed)),
                None if old.failure.is_some() => changes.push((name.to_owned(), Change::Recovered(old.failed_pulls))),
                _ => {}
            }
            let failed_pulls = if failure.is_some() { old.failed_pulls.saturating_add(1) } else { 0 };
            self.sockets.insert(name.to_owned(), State { failure, failed_pulls });
        }
        self.seen_any = true;
        changes.extend(before.into_keys().map(|name| (name, Change::Gone)));
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use PullFailure::{Connect, Timeout};

    fn update(health: &mut Health, outcomes: &[(&str, Option<PullFailure>)]) -> Vec<(String, Change)> {
        health.update(outcomes.iter().copied())
    }

    #[test]
    fn a_failure_is_said_once_and_so_is_its_end() {
        let mut health = Health::default();
        assert_eq!(update(&mut health, &[("a", None), ("b", Some(Connect))]), [("b".to_owned(), Change::Failed)]);
        assert_eq!(update(&mut health, &[("a", None), ("b", Some(Connect))]), []);
        assert_eq!(update(&mut health, &[("a", None), ("b", Some(Timeout))]), [("b".to_owned(), Change::Failed)]);
        assert_eq!(update(&mut health, &[("a", None), ("b", None)]), [("b".to_owned(), Change::Recovered(3))]);
        assert_eq!(update(&mut health, &[("a", None), ("b", None)]), []);
    }

    #[test]
    fn sockets_that_come_and_go_are_said_once() {
        let mut health = Health::default();
        assert_eq!(update(&mut health, &[("a", None)]), []);
        let changes = update(&mut health, &[("b", Some(Connect))]);
        let b = "b".to_owned();
        assert_eq!(changes, [(b.clone(), Change::Appeared), (b, Change::Failed), ("a".to_owned(), Change::Gone)]);
        health.forget("a");
        assert_eq!(update(&mut health, &[]), [("b".to_owned(), Change::Gone)]);
        assert_eq!(update(&mut health, &[]), []);
    }
}
