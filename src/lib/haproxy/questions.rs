//! The commands that HAProxy gets in addition to `show info` and `show stat`: one table.
//!
//! haproxystats-pull asks in the tick, and stores each reply behind those two as a file of its own, which ends with the
//! suffix of the question; several replies to one question, with different arguments, stand in it one after the other.
//! Every reply ends with an empty line. haproxystats-process finds the files by their suffix; one that does not know a suffix
//! takes no notice of its file.
//!
//! Tried with 2.6, 2.8, 3.0, 3.2 and 3.4: which level each command needs, how its reply begins, and that a command which is
//! refused does not keep HAProxy from answering those behind it on the same line.

use super::address::Address;
use super::family::Family;
use super::learnt::Place;
use super::release::Release;
use std::borrow::Cow;

/// The level that a stats socket needs (`stats socket ... level ...`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// `level user`.
    User,
    /// `level operator`, which is what a socket has where its line says nothing.
    Operator,
}

impl Level {
    /// HAProxy's word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Operator => "operator",
        }
    }
}

/// How often something is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rhythm {
    /// In every pull.
    Tick,
    /// At `families-interval`.
    Slow,
}

/// A question.
#[derive(Debug)]
pub struct Question {
    /// What it is for.
    pub family: Family,
    /// The command. Arguments follow it, one in each command.
    pub command: &'static str,
    /// Where it is asked with each name of a list.
    pub list: Option<List>,
    /// How a reply begins, unless it is empty; anything else is a refusal.
    pub begins: &'static str,
    /// What the socket needs.
    pub level: Level,
    /// First release that has the command.
    pub since: Release,
    /// First release that is asked otherwise.
    pub before: Option<Release>,
    /// How often.
    pub rhythm: Rhythm,
    /// Whether workers that are leaving after a reload are asked as well, through their master.
    pub leaving: bool,
    /// End of the name of the file.
    pub suffix: &'static str,
}

/// How names are found with each of which a question is asked.
#[derive(Debug, Clone, Copy)]
pub struct List {
    /// The command that lists them.
    pub command: &'static str,
    /// Reads them in its reply.
    pub read: fn(&[u8]) -> Vec<String>,
}

/// What a suffix begins with where the reply is that of a worker that is leaving.
const OLD: &str = "_old";

impl Question {
    /// Whether its replies are kept in memory, and not stored.
    #[must_use]
    pub(crate) fn is_kept(&self) -> bool {
        self.suffix.is_empty()
    }

    /// Whether this release understands it.
    #[must_use]
    pub(crate) fn is_for(&self, release: Release) -> bool {
        release >= self.since && self.before.is_none_or(|before| release < before)
    }

    /// The end of the name of the file; `leaving`: of a worker that is leaving.
    #[must_use]
    pub fn suffix(&self, leaving: bool) -> Cow<'static, str> {
        match self.suffix.strip_prefix('_').filter(|_| leaving) {
            Some(rest) => format!("{OLD}{rest}").into(),
            None => self.suffix.into(),
        }
    }
}

/// The question whose reply is in the file of this name, whether that of a worker that is leaving, and the name of the socket.
#[must_use]
pub(crate) fn of_file(name: &str) -> Option<(&'static Question, bool, &str)> {
    QUESTIONS.iter().find_map(|question| {
        let before = name.strip_suffix(question.suffix.strip_prefix('_')?)?;
        match before.strip_suffix(OLD) {
            Some(socket) => Some((question, true, socket)),
            None => before.strip_suffix('_').map(|socket| (question, false, socket)),
        }
    })
}

const fn slow(
    family: Family,
    command: &'static str,
    begins: &'static str,
    level: Level,
    since: Release,
    suffix: &'static str,
) -> Question {
    Question {
        family,
        command,
        list: None,
        begins,
        level,
        since,
        before: None,
        rhythm: Rhythm::Slow,
        leaving: false,
        suffix,
    }
}

/// What HAProxy says of the natures of its fields: asked once for each process, where it has fields that the catalogue does not
/// know. The replies are kept in memory; texts in them may hold empty lines, so that nothing is asked behind them.
pub(crate) static TYPED: [(Place, Question); 2] = [
    (Place::Info, slow(Family::States, "show info typed", "0.", Level::User, Release(1, 7), "")),
    (Place::Stat, slow(Family::States, "show stat typed", "", Level::User, Release(1, 7), "")),
];

/// The line of haproxy.cfg with which this socket has a level.
#[must_use]
pub(crate) fn socket_line(server: &Address, level: Level) -> String {
    // A socket of the user's level is one that was limited on purpose, and more than one family needs more.
    format!("stats socket {server} level {}", level.max(Level::Operator).word())
}

/// The command that lists the files of certificates.
const SHOW_CERTIFICATES: &str = "show ssl cert";

/// Every question, in the order in which they are asked.
#[rustfmt::skip]
pub static QUESTIONS: &[Question] = &[
    slow(Family::Tables, "show table", "# table: ", Level::User, Release(1, 5), "_tables"),
    slow(Family::Resolvers, "show stat domain resolvers", "# id,", Level::User, Release(2, 6), "_resolvers"),
    slow(Family::Certificates, "show ssl sni", "# Frontend/Bind", Level::User, Release(3, 2), "_sni"),
    Question {
        list: Some(List { command: SHOW_CERTIFICATES, read: certificate_files }),
        before: Some(Release(3, 2)),
        ..slow(Family::Certificates, SHOW_CERTIFICATES, "Filename: ", Level::Operator, Release(2, 2), "_certificates")
    },
    slow(Family::Activity, "show activity", "thread_id: ", Level::Operator, Release(2, 4), "_activity"),
    slow(Family::Pools, "show pools", "Dumping pools usage", Level::User, Release(2, 0), "_pools"),
    slow(Family::Peers, "show peers", "0x", Level::User, Release(2, 1), "_peers"),
    Question {
        rhythm: Rhythm::Tick,
        leaving: true,
        ..slow(Family::Latency, "show table", "# table: ", Level::Operator, Release(2, 9), "_latency")
    },
];

/// The files that `show ssl cert` lists, without those of a change that is not committed (`*FILE`).
fn certificate_files(reply: &[u8]) -> Vec<String> {
    let lines = reply.split(|byte| *byte == b'\n').map(String::from_utf8_lossy);
    let file = |line: &Cow<'_, str>| !line.is_empty() && !line.starts_with(['#', '*']);
    lines.filter(file).map(|line| line.trim_end().to_owned()).collect()
}

/// An argument as HAProxy's command line reads it back: blanks, semicolons and backslashes are escaped.
#[must_use]
pub fn argument(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for c in name.chars() {
        if matches!(c, ' ' | ';' | '\\' | '#' | '\t') {
            text.push('\\');
        }
        text.push(c);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_file_has_one_question() {
        let mut ends = HashSet::new();
        for question in QUESTIONS {
            for leaving in [false, true] {
                let suffix = question.suffix(leaving);
                assert!(ends.insert(suffix.clone()), "{suffix}");
                let name = format!("a_b.sock{suffix}");
                let (found, old, socket) = of_file(&name).unwrap();
                assert_eq!((found.suffix, old, socket), (question.suffix, leaving, "a_b.sock"));
            }
        }
        assert!(of_file("a_info").is_none() && of_file("a_stat").is_none() && of_file("_other").is_none());
    }

    #[test]
    fn each_release_is_asked_for_certificates_in_one_way() {
        let asked = |release: Release| {
            let of = |question: &&Question| question.family == Family::Certificates && question.is_for(release);
            QUESTIONS.iter().filter(of).map(|question| question.suffix).collect::<Vec<_>>()
        };
        assert_eq!(asked(Release(3, 0)), ["_certificates"]);
        assert_eq!(asked(Release(3, 2)), ["_sni"]);
        assert!(asked(Release(2, 0)).is_empty());
    }

    #[test]
    fn files_of_certificates_are_listed() {
        let reply = b"# transaction\n*/etc/a.pem\n# filename\n/etc/a.pem\n/etc/b c.pem\n\n";
        assert_eq!(certificate_files(reply), ["/etc/a.pem", "/etc/b c.pem"]);
        assert_eq!(argument(r"/etc/b c;.pem"), r"/etc/b\ c\;.pem");
    }
}
