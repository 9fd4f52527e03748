//! Open sessions per server, from `show stat`: `used_cur` of `show servers conn` is 0 while TCP sessions are open.

use std::collections::HashMap;

/// Open sessions of the servers in replies to `show stat`, by backend and server.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OpenSessions(HashMap<(String, String), u64>);

impl OpenSessions {
    /// Adds what a reply to `show stat` says: sessions that are open, and requests that wait in the server's queue.
    /// Whether it was one.
    pub fn add(&mut self, reply: &str) -> bool {
        let Some(rows) = reply.strip_prefix("# ") else { return false };
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(rows.as_bytes());
        let Ok(header) = reader.headers().cloned() else { return false };
        let at = |name: &str| header.iter().position(|have| have == name);
        let (Some(backend), Some(server), Some(sessions)) = (at("pxname"), at("svname"), at("scur")) else {
            return false;
        };
        let queued = at("qcur");
        for row in reader.records().flatten() {
            let number = |at: usize| row.get(at).and_then(|cell| cell.parse::<u64>().ok());
            if let (Some(backend), Some(server), Some(open)) = (row.get(backend), row.get(server), number(sessions)) {
                let waiting = queued.and_then(number).unwrap_or(0);
                self.0.insert((backend.to_owned(), server.to_owned()), open.saturating_add(waiting));
            }
        }
        true
    }

    /// Says how many a server has.
    pub fn insert(&mut self, backend: &str, server: &str, open: u64) {
        self.0.insert((backend.to_owned(), server.to_owned()), open);
    }

    /// How many a server has; `None` when it was not asked for.
    #[must_use]
    pub fn of(&self, backend: &str, server: &str) -> Option<u64> {
        self.0.get(&(backend.to_owned(), server.to_owned())).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_and_the_queue_are_counted() {
        let mut sessions = OpenSessions::default();
        assert!(sessions.add(
            "# pxname,svname,qcur,qmax,scur,last_chk,\nweb,s1,2,5,3,\"no, \"\"pong\"\"\n\nat all\",\nweb,s2,,,0,,\n\n"
        ));
        assert_eq!(sessions.of("web", "s1"), Some(5));
        assert_eq!(sessions.of("web", "s2"), Some(0));
        assert_eq!(sessions.of("web", "s3"), None);
        assert!(!sessions.add("Permission denied\n\n"));
        assert!(!sessions.add("# other,columns\n"));
    }
}
