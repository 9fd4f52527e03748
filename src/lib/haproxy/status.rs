//! States as numbers: the codes of `status-metrics`.

/// A state, its code, and whether an object in it takes traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct State {
    /// HAProxy's word, without counters (`1/3`) and reasons (`(via ...)`).
    pub word: &'static str,
    /// The number that is sent. Codes never change their meaning.
    pub code: i64,
    /// Rank among the states of one object in several processes: the highest is sent.
    pub severity: i64,
    /// One line of explanation.
    pub about: &'static str,
}

const fn state(word: &'static str, code: i64, severity: i64, about: &'static str) -> State {
    State { word, code, severity, about }
}

/// `status` of servers and backends. Severity: what is down comes before what is held back by an operator, which comes
/// before what is on its way, which comes before what is up.
pub static STATUS: [State; 11] = [
    state("DOWN", 0, 8, "does not answer its checks"),
    state("UP", 1, 1, "answers its checks"),
    state("UP n/m", 2, 3, "up, but the last check failed"),
    state("DOWN n/m", 3, 7, "down, but the last check succeeded"),
    state("NOLB", 4, 5, "answers its checks with 404: no new sessions"),
    state("DRAIN", 5, 4, "set to drain: no new sessions"),
    state("MAINT", 6, 6, "set to maintenance"),
    state("no check", 7, 2, "not checked; takes traffic"),
    state("unknown", 8, 10, "a word that is not in this table"),
    state("OPEN", 9, 0, "a frontend that takes connections"),
    state(
        "UP unpub",
        10,
        9,
        "backend whose servers are up, but that is not published: rules do not choose it (HAProxy 3.4)",
    ),
];

/// `status` of frontends and listeners.
pub static OPEN_STATUS: [State; 6] = [
    state("STOP", 0, 5, "stopped: the frontend is disabled, or its process is leaving"),
    state("OPEN", 1, 1, "takes connections"),
    state("FULL", 2, 2, "its limit of connections is reached"),
    state("WAITING", 3, 3, "waits for a limit that others share"),
    state("PAUSED", 4, 4, "paused"),
    state("unknown", 8, 6, "a word that is not in this table"),
];

/// `check_status` of servers (management guide 9.1, field 36).
pub static CHECK_STATUS: [State; 18] = [
    state("UNK", 0, 2, "unknown"),
    state("INI", 1, 1, "initializing"),
    state("SOCKERR", 2, 16, "socket error"),
    state("L4OK", 3, 3, "layer 4: connected, no higher check configured"),
    state("L4TOUT", 4, 14, "layer 4: time-out"),
    state("L4CON", 5, 15, "layer 4: connection refused or unreachable"),
    state("L6OK", 6, 4, "layer 6: succeeded"),
    state("L6TOUT", 7, 12, "layer 6: time-out"),
    state("L6RSP", 8, 13, "layer 6: invalid response"),
    state("L7OK", 9, 5, "layer 7: succeeded"),
    state("L7OKC", 10, 7, "layer 7: succeeded conditionally"),
    state("L7TOUT", 11, 9, "layer 7: time-out"),
    state("L7RSP", 12, 10, "layer 7: invalid response"),
    state("L7STS", 13, 11, "layer 7: response with an error, such as HTTP 5xx"),
    state("PROCERR", 14, 17, "external check failed"),
    state("PROCTOUT", 15, 18, "external check: time-out"),
    state("PROCOK", 16, 6, "external check succeeded"),
    state("HANA", 17, 8, "traffic shows errors (observe)"),
];

/// The state that the `status` cell of a server or backend spells.
#[must_use]
pub fn status(cell: &[u8]) -> &'static State {
    let [down, up, up_going, down_going, nolb, drain, maint, no_check, unknown, open, up_unpublished] = &STATUS;
    let counted = cell.contains(&b'/') && !cell.contains(&b'(');
    if cell.starts_with(b"UP (UNPUB") {
        up_unpublished
    } else if cell.starts_with(b"UP") {
        if counted { up_going } else { up }
    } else if cell.starts_with(b"DOWN") {
        if counted { down_going } else { down }
    } else if cell.starts_with(b"NOLB") {
        nolb
    } else if cell.starts_with(b"DRAIN") {
        drain
    } else if cell.starts_with(b"MAINT") {
        maint
    } else if cell == b"no check" {
        no_check
    } else if matches!(cell, b"OPEN" | b"FULL") {
        open
    } else {
        unknown
    }
}

/// The state that the `check_status` cell of a server spells; `None` when there is no check. While a check runs HAProxy
/// puts `* ` before the last result.
#[must_use]
pub fn check_status(cell: &[u8]) -> Option<&'static State> {
    let word = cell.strip_prefix(b"* ").unwrap_or(cell);
    if word.is_empty() {
        return None;
    }
    let [unknown, ..] = &CHECK_STATUS;
    Some(CHECK_STATUS.iter().find(|state| state.word.as_bytes() == word).unwrap_or(unknown))
}

/// The states of a server that HAProxy's exporter tells apart.
pub(crate) const OF_SERVERS: [&str; 5] = ["DOWN", "UP", "MAINT", "DRAIN", "NOLB"];

/// The same of a listener.
pub(crate) const OF_LISTENERS: [&str; 3] = ["WAITING", "OPEN", "FULL"];

/// The same of a frontend or a backend.
pub(crate) const OF_PROXIES: [&str; 2] = ["DOWN", "UP"];

/// The results of checks that it tells apart: all but those that say that there is none yet.
pub(crate) fn of_checks() -> impl Iterator<Item = &'static str> {
    CHECK_STATUS.iter().map(|state| state.word).filter(|word| !matches!(*word, "UNK" | "INI"))
}

/// Which of [`OF_SERVERS`] a state is.
#[must_use]
pub fn of_server(state: &State) -> &'static str {
    match state.word {
        "UP" | "UP n/m" | "UP unpub" | "no check" | "OPEN" => "UP",
        "MAINT" => "MAINT",
        "DRAIN" => "DRAIN",
        "NOLB" => "NOLB",
        _ => "DOWN",
    }
}

/// The state that the `status` cell of a frontend or a listener spells.
#[must_use]
pub(crate) fn open_status(cell: &[u8]) -> &'static State {
    let [.., unknown] = &OPEN_STATUS;
    OPEN_STATUS.iter().find(|state| state.word.as_bytes() == cell).unwrap_or(unknown)
}

/// Whether a frontend or a listener takes connections, now or as soon as others have ended.
#[must_use]
pub fn is_open(state: &State) -> bool {
    matches!(state.word, "OPEN" | "FULL" | "WAITING")
}

/// Whether an object with this `status` counts as up: it answers, whether or not it takes new sessions.
#[must_use]
pub fn is_up(state: &State) -> bool {
    matches!(state.word, "UP" | "UP n/m" | "no check" | "DRAIN")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn cells_of_real_haproxy_are_known() {
        for (cell, word) in [
            ("UP", "UP"),
            ("UP 1/3", "UP n/m"),
            ("DOWN", "DOWN"),
            ("DOWN 1/2", "DOWN n/m"),
            ("DOWN (agent)", "DOWN"),
            ("NOLB 1/2", "NOLB"),
            ("MAINT", "MAINT"),
            ("MAINT (via b/s)", "MAINT"),
            ("MAINT (resolution)", "MAINT"),
            ("DRAIN", "DRAIN"),
            ("DRAIN (agent)", "DRAIN"),
            ("no check", "no check"),
            ("OPEN", "OPEN"),
            ("UP (UNPUB)", "UP unpub"),
            ("", "unknown"),
        ] {
            assert_eq!(status(cell.as_bytes()).word, word, "{cell}");
        }
        assert!(!is_up(status(b"UP (UNPUB)")) && is_open(open_status(b"FULL")) && !is_open(open_status(b"PAUSED")));
        assert_eq!(open_status(b"new").word, "unknown");
        assert_eq!(check_status(b"* L4TOUT").map(|s| s.code), Some(4));
        assert_eq!(check_status(b""), None);
        assert_eq!(check_status(b"L9NEW").map(|s| s.word), Some("UNK"));
    }

    #[test]
    fn codes_and_severities_are_unique() {
        for table in [STATUS.as_slice(), CHECK_STATUS.as_slice(), OPEN_STATUS.as_slice()] {
            let codes: HashSet<_> = table.iter().map(|s| s.code).collect();
            let ranks: HashSet<_> = table.iter().map(|s| s.severity).collect();
            assert_eq!((codes.len(), ranks.len()), (table.len(), table.len()));
        }
    }
}
