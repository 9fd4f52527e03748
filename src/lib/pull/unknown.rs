//! Fields that the catalogue does not know: told once, counted, and with `unknown-fields = send` asked about, once for each process,
//! so that haproxystats-process can send them.

use super::further::{Asked, Told};
use crate::config::UnknownFields;
use crate::haproxy::address::Address;
use crate::haproxy::identity::ProcessKey;
use crate::haproxy::learnt::{self, Learnt, Place};
use crate::haproxy::questions::TYPED;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::rc::Rc;

/// Names that were told, until all are told again.
const MOST_TOLD: usize = 1000;

/// What a socket has said in a pull.
#[derive(Debug, Clone, Default)]
pub(super) struct Said {
    /// The reply to `show info`.
    pub(super) info: Vec<u8>,
    /// The header line of `show stat`.
    pub(super) header: Vec<u8>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Unknown {
    send: bool,
    sockets: HashMap<Address, Fields>,
    /// Version and name.
    told: HashSet<(String, String)>,
}

#[derive(Debug, Default)]
struct Fields {
    /// Whose they are: the process, and the header line of its rows.
    of: Option<(Option<ProcessKey>, Vec<u8>)>,
    stat: BTreeSet<String>,
    info: BTreeSet<String>,
    learnt: Learnt,
    /// Places that this process was asked about.
    asked: HashSet<Place>,
}

impl Fields {
    fn of(&self, place: Place) -> &BTreeSet<String> {
        match place {
            Place::Stat => &self.stat,
            Place::Info => &self.info,
        }
    }
}

impl Unknown {
    pub(super) fn new(wanted: UnknownFields) -> Self {
        Self { send: wanted == UnknownFields::Send, sockets: HashMap::new(), told: HashSet::new() }
    }

    /// What a socket is asked about its fields in this pull.
    pub(super) fn plan(&self, server: &Address) -> Vec<Asked> {
        let Some(fields) = self.sockets.get(server).filter(|_| self.send) else { return Vec::new() };
        let open = |place: &Place| !fields.of(*place).is_empty() && !fields.asked.contains(place);
        let typed = TYPED.iter().filter(|(place, _)| open(place));
        typed.map(|(_, question)| Asked { question, argument: None, lists: false }).collect()
    }

    /// Looks which fields a socket has that are not known.
    pub(super) fn see(
        &mut self,
        server: &Address,
        name: &str,
        process: Option<&ProcessKey>,
        version: &str,
        said: &Said,
    ) {
        let fields = self.sockets.entry(server.clone()).or_default();
        let is_same = |(key, header): &(Option<ProcessKey>, Vec<u8>)| key.as_ref() == process && *header == said.header;
        if fields.of.as_ref().is_some_and(is_same) {
            return;
        }
        fields.of = Some((process.cloned(), said.header.clone()));
        // What is known of them stays: another process of this release has the same.
        fields.asked.clear();
        fields.stat = learnt::unknown_columns(&String::from_utf8_lossy(&said.header));
        fields.info = learnt::unknown_lines(&String::from_utf8_lossy(&said.info));
        if self.told.len() > MOST_TOLD {
            self.told.clear();
        }
        let all = fields.stat.iter().chain(&fields.info);
        let new = all.filter(|field| self.told.insert((version.to_owned(), (*field).clone())));
        let new: Vec<&str> = new.map(String::as_str).collect();
        if !new.is_empty() {
            tracing::warn!(socket = %name, version, fields = new.join(", "), sent = self.send,
                "HAProxy has fields that this version of haproxystats does not know; unknown-fields = send sends them");
        }
    }

    /// Takes in what came of questions about fields.
    pub(super) fn learn(&mut self, server: &Address, told: &[(Asked, Told)]) {
        let Some(fields) = self.sockets.get_mut(server) else { return };
        for (asked, told) in told {
            let Some((place, _)) = TYPED.iter().find(|(_, question)| std::ptr::eq(question, asked.question)) else {
                continue;
            };
            match told {
                Told::Kept(text) => {
                    let unknown = fields.of(*place).clone();
                    fields.learnt.learn(*place, &unknown, &String::from_utf8_lossy(text));
                    fields.asked.insert(*place);
                }
                // It would say the same again.
                Told::Refused(_) => drop(fields.asked.insert(*place)),
                Told::Stored(_) | Told::Failed(_) => {}
            }
        }
    }

    /// What goes into the snapshot beside the files of this socket.
    pub(super) fn learnt(&self, server: &Address) -> Option<String> {
        let learnt = &self.sockets.get(server).filter(|_| self.send)?.learnt;
        (!learnt.is_empty()).then(|| learnt.render())
    }

    /// How many fields are not known.
    pub(super) fn count(&self) -> u64 {
        let all = self.sockets.values().flat_map(|fields| fields.stat.iter().chain(&fields.info));
        all.collect::<BTreeSet<_>>().len() as u64
    }

    /// Forgets sockets that are gone.
    pub(super) fn keep<'a>(&mut self, present: impl Iterator<Item = &'a Address>) {
        let present: HashSet<&Address> = present.collect();
        self.sockets.retain(|server, _| present.contains(server));
    }
}

/// What a socket has said, where both replies were complete.
pub(super) fn said(info: Vec<u8>, header: Vec<u8>) -> Option<Rc<Said>> {
    (header.ends_with(b"\n") && !info.is_empty()).then(|| Rc::new(Said { info, header }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::haproxy::identity::Reading;

    fn said_of(columns: &str) -> Said {
        let info = "Version: 3.9.1\nPid: 7\nnode: lb\nStart_time_sec: 9\nNew_info: 1\n\n".into();
        Said { info, header: format!("# pxname,svname,scur,{columns}\n").into_bytes() }
    }

    #[test]
    fn each_process_is_asked_once_about_what_is_not_known() {
        let mut unknown = Unknown::new(UnknownFields::Send);
        let server = Address::Unix("/a".into());
        let said = said_of("new_one,");
        let key = Reading::of(&said.info).key;
        unknown.see(&server, "a", key.as_ref(), "3.9.1", &said);
        assert_eq!((unknown.count(), unknown.learnt(&server)), (2, None));
        let asked = unknown.plan(&server);
        let commands: Vec<String> = asked.iter().map(Asked::command).collect();
        assert_eq!(commands, ["show info typed", "show stat typed"]);
        let reply: [&[u8]; 2] = [b"5.New_info.1:MCP:u64:1\n", b"F.2.0.4.new_one.1:MGP:u32:0\n"];
        let told: Vec<_> =
            asked.into_iter().zip(reply).map(|(asked, text)| (asked, Told::Kept(text.to_vec()))).collect();
        unknown.learn(&server, &told);
        unknown.see(&server, "a", key.as_ref(), "3.9.1", &said);
        assert!(unknown.plan(&server).is_empty());
        assert_eq!(unknown.learnt(&server).as_deref(), Some("stat new_one\tgauge\ninfo New_info\tcounter\n"));
        // Another process is asked again, and meanwhile what is known counts.
        let other = Reading::of(b"Version: 3.9.1\nPid: 8\nnode: lb\nStart_time_sec: 9\n").key;
        unknown.see(&server, "a", other.as_ref(), "3.9.1", &said);
        assert!(unknown.plan(&server).len() == 2 && unknown.learnt(&server).is_some());
        unknown.keep([].into_iter());
        assert_eq!(unknown.count(), 0);
    }

    #[test]
    fn without_send_nothing_is_asked() {
        let mut unknown = Unknown::new(UnknownFields::Report);
        let server = Address::Unix("/a".into());
        unknown.see(&server, "a", None, "3.9.1", &said_of("new_one,"));
        assert!(unknown.plan(&server).is_empty() && unknown.count() == 2);
        unknown.see(&server, "a", None, "3.9.1", &said_of(""));
        assert_eq!(unknown.count(), 1);
    }
}
