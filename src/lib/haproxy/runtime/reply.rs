//! HAProxy's replies to commands, and which reply belongs to which command of a line.
//!
//! A command that did what it should is answered with an empty line; anything else is a text and an empty line, which
//! some releases forget after some texts. The number of commands is known, so the empty lines can be counted; where that
//! leaves a doubt, the reply is [`Reply::Unmatched`] and what was read back decides.

use super::command::Command;
use std::fmt;

/// Texts that HAProxy up to 2.9 ends without the empty line (tried with 2.4 to 3.4).
const FORGETFUL: [&str; 6] = [
    "Trailing garbage in weight string",
    "health checks are not enabled on this server",
    "Only servers in maintenance mode can be deleted.",
    "This server cannot be removed at runtime",
    "Server deleted.",
    "' option is not accepted for dynamic server",
];

/// The reply to one command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// Done, or nothing to do; what was said about it, which mostly is nothing.
    Done(String),
    /// Not done.
    Refused(Refusal, String),
    /// The replies of this line do not tell which command they belong to.
    Unmatched,
}

/// Why HAProxy did not do it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The server is not there.
    NoSuchServer,
    /// The backend is not there.
    NoSuchBackend,
    /// The socket has no `level admin`.
    PermissionDenied,
    /// The balance algorithm takes no weights but 0 and the configured one.
    StaticWeights,
    /// The balance algorithm takes no servers at run time.
    StaticBalance,
    /// The server is a UNIX socket.
    AddressFamily,
    /// The address is none.
    InvalidAddress,
    /// The port is none.
    InvalidPort,
    /// The weight is none.
    InvalidWeight,
    /// The server has no health check, or follows another one.
    NoHealthCheck,
    /// The server has no agent check.
    NoAgentCheck,
    /// A server of this name, or with this id, is there.
    Exists,
    /// Only a server in maintenance can be deleted.
    NotInMaintenance,
    /// Something still refers to the server: a session, or the configuration.
    InUse,
    /// The release wants `experimental-mode on` for it.
    Experimental,
    /// The release does not know an option of the server.
    UnknownOption,
    /// The release does not know the command.
    UnknownCommand,
    /// The line was too long for the release.
    LineTooLong,
    /// Another reason.
    Other,
}

/// Beginnings (or, with `…` in front, parts) of texts and what they mean.
#[rustfmt::skip]
const TEXTS: [(&str, Refusal); 36] = [
    ("No such server.", Refusal::NoSuchServer),
    ("No such backend.", Refusal::NoSuchBackend),
    ("Can't find backend.", Refusal::NoSuchBackend),
    ("Require 'backend/server'", Refusal::NoSuchServer),
    ("Permission denied", Refusal::PermissionDenied),
    ("Backend is using a static LB algorithm", Refusal::StaticWeights),
    ("Backend must use a dynamic load balancing", Refusal::StaticBalance),
    ("Backend must use consistent hashing", Refusal::StaticBalance),
    ("Update for the current server address family", Refusal::AddressFamily),
    ("Invalid addr", Refusal::InvalidAddress),
    ("invalid addr", Refusal::InvalidAddress),
    ("…invalid address", Refusal::InvalidAddress),
    ("…requires an address", Refusal::InvalidAddress),
    ("…problem converting port", Refusal::InvalidPort),
    ("Absolute weight can only be", Refusal::InvalidWeight),
    ("Trailing garbage in weight string", Refusal::InvalidWeight),
    ("Require <weight>", Refusal::InvalidWeight),
    ("Relative weight", Refusal::InvalidWeight),
    ("Empty weight string", Refusal::InvalidWeight),
    ("health checks are not enabled", Refusal::NoHealthCheck),
    ("Health check was not configured", Refusal::NoHealthCheck),
    ("Health checks are not enabled", Refusal::NoHealthCheck),
    ("cannot change health on a tracking server", Refusal::NoHealthCheck),
    ("agent checks are not enabled", Refusal::NoAgentCheck),
    ("Agent was not configured", Refusal::NoAgentCheck),
    ("Already exists a server", Refusal::Exists),
    ("…already used at", Refusal::Exists),
    ("Only servers in maintenance", Refusal::NotInMaintenance),
    ("This server cannot be removed", Refusal::InUse),
    ("Server still has connections", Refusal::InUse),
    ("This command is restricted to experimental mode", Refusal::Experimental),
    ("…option is not accepted for dynamic server", Refusal::UnknownOption),
    ("…keyword is not supported for dynamic servers", Refusal::UnknownOption),
    ("unknown keyword", Refusal::UnknownOption),
    ("Unknown command", Refusal::UnknownCommand),
    ("The command line is too big", Refusal::LineTooLong),
];

/// What a text means that was the reply to a command.
#[must_use]
pub(crate) fn classify(text: &str) -> Reply {
    let first = text.lines().next().unwrap_or_default().trim_end();
    // `IP changed from 'a' to 'b', port changed from 'c' to 'd' by 'stats socket command'`, either half of which may be
    // `no need to change ...`; 3.x says `nothing changed`. An error may stand in the second half.
    let told = ["IP changed from ", "port changed from ", "no need to change ", "nothing changed"];
    let done = ["New server registered.", "Server deleted."];
    let refused = TEXTS.iter().find(|(pattern, _)| match pattern.strip_prefix('…') {
        Some(part) => first.contains(part),
        None => first.starts_with(pattern),
    });
    match refused {
        Some((_, refusal)) => Reply::Refused(*refusal, first.to_owned()),
        None if first.is_empty() || told.iter().chain(&done).any(|start| first.starts_with(start)) => {
            Reply::Done(first.to_owned())
        }
        None => Reply::Refused(Refusal::Other, first.to_owned()),
    }
}

/// The replies of a line that held these commands, one for each, in their order.
#[must_use]
pub fn split(replies: &str, commands: &[Command]) -> Vec<Reply> {
    split_count(replies, commands.len())
}

/// The same, knowing only how many commands there were.
#[must_use]
pub fn split_count(replies: &str, count: usize) -> Vec<Reply> {
    let units = units(replies);
    let texts = units.iter().filter(|unit| unit.is_some()).count();
    let blanks = units.len() - texts;
    // `None` after `Some` may be the end of the text, or the reply to the next command.
    let doubtful = |index: usize| units.get(index + 1) == Some(&None);
    let followed: Vec<usize> =
        (0..units.len()).filter(|&index| matches!(units.get(index), Some(Some(_))) && doubtful(index)).collect();
    let Some(ends) = (texts + blanks).checked_sub(count).filter(|ends| *ends <= followed.len()) else {
        return vec![Reply::Unmatched; count];
    };
    // As many texts as this are followed by a reply of its own, not by their end.
    let open = followed.len() - ends;
    let forgetful: Vec<usize> = followed
        .iter()
        .copied()
        .filter(|&index| units.get(index).is_some_and(|unit| unit.is_some_and(forgets)))
        .collect();
    let without_end = match open {
        0 => Vec::new(),
        _ if ends == 0 => followed,
        _ if forgetful.len() == open => forgetful,
        _ => return vec![Reply::Unmatched; count],
    };
    let mut replies = Vec::with_capacity(count);
    let mut index = 0;
    while let Some(unit) = units.get(index) {
        replies.push(unit.map_or_else(|| Reply::Done(String::new()), classify));
        index += if unit.is_some() && doubtful(index) && !without_end.contains(&index) { 2 } else { 1 };
    }
    replies
}

fn forgets(text: &str) -> bool {
    FORGETFUL.iter().any(|part| text.contains(part))
}

/// Texts and empty lines. Lines that begin with a space continue a text: the list of commands after an unknown one.
fn units(replies: &str) -> Vec<Option<&str>> {
    let mut units: Vec<Option<&str>> = Vec::new();
    for line in replies.split_inclusive('\n') {
        let line = line.trim_end_matches(['\n', '\r']);
        if line.is_empty() {
            units.push(None);
        } else if !(line.starts_with(' ') && matches!(units.last(), Some(Some(_)))) {
            units.push(Some(line));
        }
    }
    units
}

impl Reply {
    /// Whether HAProxy said that it did not do it.
    #[must_use]
    pub fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::Refused(refusal, _) => Some(*refusal),
            Self::Done(_) | Self::Unmatched => None,
        }
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done(text) if text.is_empty() => f.write_str("done"),
            Self::Done(text) | Self::Refused(_, text) => f.write_str(text),
            Self::Unmatched => f.write_str("a reply that cannot be distinguished from that to another command"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn refused(text: &str) -> Option<Refusal> {
        classify(text).refusal()
    }

    #[test]
    fn replies_of_haproxy_2_4_to_3_4_are_known() {
        for (text, refusal) in [
            ("", None),
            ("IP changed from '127.0.0.2' to '127.0.0.1', no need to change the port by 'stats socket command'", None),
            ("no need to change the addr, no need to change the port by 'stats socket command'", None),
            ("no need to change the addr, port changed from '80' to '81' by 'stats socket command'", None),
            ("port changed from '80' to '81' by 'stats socket command'", None),
            ("nothing changed", None),
            ("New server registered.", None),
            ("Server deleted.", None),
            ("Invalid addr 'localhost' by 'stats socket command'", Some(Refusal::InvalidAddress)),
            ("invalid addr '1.2.3.4:5'", Some(Refusal::InvalidAddress)),
            ("no need to change the addr, problem converting port 'abc' to an int", Some(Refusal::InvalidPort)),
            ("set server <b>/<s> addr requires an address and optionally a port.", Some(Refusal::InvalidAddress)),
            ("Absolute weight can only be between 0 and 256 inclusive.", Some(Refusal::InvalidWeight)),
            ("Trailing garbage in weight string", Some(Refusal::InvalidWeight)),
            (
                "Backend is using a static LB algorithm and only accepts weights '0%' and '100%'.",
                Some(Refusal::StaticWeights),
            ),
            ("Backend must use a dynamic load balancing to support dynamic servers.", Some(Refusal::StaticBalance)),
            ("No such server.", Some(Refusal::NoSuchServer)),
            ("No such backend.", Some(Refusal::NoSuchBackend)),
            ("Require 'backend/server'.", Some(Refusal::NoSuchServer)),
            ("Permission denied", Some(Refusal::PermissionDenied)),
            (
                "Update for the current server address family is only supported through configuration file by 'stats'",
                Some(Refusal::AddressFamily),
            ),
            ("health checks are not enabled on this server", Some(Refusal::NoHealthCheck)),
            ("Health check was not configured on this server, cannot enable.", Some(Refusal::NoHealthCheck)),
            ("agent checks are not enabled on this server.", Some(Refusal::NoAgentCheck)),
            ("Already exists a server with the same name in backend.", Some(Refusal::Exists)),
            ("'id' : custom id 7 already used at h.cfg:12 ('server a').", Some(Refusal::Exists)),
            ("Only servers in maintenance mode can be deleted.", Some(Refusal::NotInMaintenance)),
            (
                "This server cannot be removed at runtime due to other configuration elements pointing to it.",
                Some(Refusal::InUse),
            ),
            ("This command is restricted to experimental mode only.", Some(Refusal::Experimental)),
            ("'check' option is not accepted for dynamic server", Some(Refusal::UnknownOption)),
            ("unknown keyword 'bogus'.", Some(Refusal::UnknownOption)),
            ("Unknown command: 'x', but maybe one of the following", Some(Refusal::UnknownCommand)),
            ("The command line is too big for the buffer size", Some(Refusal::LineTooLong)),
            ("something new", Some(Refusal::Other)),
        ] {
            assert_eq!(refused(text), refusal, "{text}");
        }
    }

    #[test]
    fn a_text_with_its_empty_line_is_one_reply() {
        let replies = split_count("IP changed from 'a' to 'b' by\n\n\n\nNo such server.\n\n", 4);
        let refused: Vec<_> = replies.iter().map(Reply::refusal).collect();
        assert_eq!(refused, [None, None, None, Some(Refusal::NoSuchServer)]);
    }

    #[test]
    fn a_text_whose_empty_line_was_forgotten_is_told_from_the_others() {
        // 2.6: `weight 5.5; state ready`, and beside a text that has its end.
        let replies = split_count("Trailing garbage in weight string\n\n", 2);
        assert_eq!(replies.iter().map(Reply::refusal).collect::<Vec<_>>(), [Some(Refusal::InvalidWeight), None]);
        let replies = split_count("No such server.\n\nTrailing garbage in weight string\n\n", 3);
        let refused: Vec<_> = replies.iter().map(Reply::refusal).collect();
        assert_eq!(refused, [Some(Refusal::NoSuchServer), Some(Refusal::InvalidWeight), None]);
        // Whatever it says, when there are no ends at all.
        assert_eq!(
            split_count("something new\n\n", 2),
            [Reply::Refused(Refusal::Other, "something new".to_owned()), Reply::Done(String::new())]
        );
        // 2.6: `disable server; del server`.
        assert_eq!(split_count("\nServer deleted.\n", 2).len(), 2);
    }

    #[test]
    fn the_list_after_an_unknown_command_is_part_of_its_reply() {
        let text = "7 (initial 10)\n\nUnknown command, but maybe one of:\n  show fd [num]\n  help\n\n\n";
        let replies = split_count(text, 3);
        assert_eq!(replies[1].refusal(), Some(Refusal::UnknownCommand));
        assert_eq!(replies[2], Reply::Done(String::new()));
    }

    #[test]
    fn a_reply_reads_as_what_haproxy_said() {
        let shown = |text| classify(text).to_string();
        assert_eq!(
            ["", "Server deleted.", "No such server."].map(shown),
            ["done", "Server deleted.", "No such server."]
        );
        assert_eq!(Reply::Unmatched.to_string(), "a reply that cannot be distinguished from that to another command");
    }

    #[test]
    fn what_does_not_fit_is_left_to_the_read_back() {
        assert_eq!(split_count("", 2), [Reply::Unmatched, Reply::Unmatched]);
        assert_eq!(split_count("\n\n\n", 2), [Reply::Unmatched, Reply::Unmatched]);
        assert_eq!(split_count("something\n\nother\n\n\n", 4), vec![Reply::Unmatched; 4]);
    }

    proptest! {
        #[test]
        fn every_command_has_a_reply(text in "[a-zN \n]{0,80}", count in 0_usize..20) {
            prop_assert_eq!(split_count(&text, count).len(), count);
        }

        #[test]
        fn replies_with_their_ends_are_matched(outcomes in prop::collection::vec(any::<bool>(), 1..50)) {
            let text: String = outcomes.iter().map(|done| if *done { "\n" } else { "No such server.\n\n" }).collect();
            let replies = split_count(&text, outcomes.len());
            let done: Vec<bool> = replies.iter().map(|reply| reply.refusal().is_none()).collect();
            prop_assert_eq!(done, outcomes);
        }
    }
}
