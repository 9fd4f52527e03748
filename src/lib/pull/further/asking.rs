//! The further questions to one socket in one pull, and the files that the replies go to.

use super::super::sockets::Target;
use super::{Asked, Told};
use crate::haproxy::further::{Event, Replies};
use crate::haproxy::questions::{List, Question};
use crate::snapshot::stage::{Folder, StageError};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write};

/// Most bytes of a line of commands: half of what HAProxy reads of one by default (`tune.bufsize`).
const LONGEST_LINE: usize = 8 << 10;
/// Most bytes of a list of arguments that are kept.
const LONGEST_LIST: usize = 4 << 20;

/// See the module.
#[derive(Debug)]
pub(in crate::pull) struct Asking {
    /// What is still to be asked; the first `sent` are on the way.
    left: VecDeque<Asked>,
    sent: usize,
    replies: Replies,
    /// What the names of files begin with.
    name: String,
    leaving: bool,
    folder: Option<Folder>,
    store: Option<Store>,
    list: Vec<u8>,
    told: Vec<(Asked, Told)>,
}

/// The file of a question.
#[derive(Debug)]
struct Store {
    name: String,
    file: File,
    /// Bytes of complete replies.
    good: u64,
    bytes: u64,
}

impl Asking {
    /// `limit`: most bytes of a reply.
    pub(in crate::pull) fn new(asked: Vec<Asked>, target: &Target, folder: Option<Folder>, limit: u64) -> Self {
        Self {
            left: asked.into(),
            sent: 0,
            replies: Replies::new(limit),
            name: target.name.clone(),
            leaving: target.worker.is_some(),
            folder,
            store: None,
            list: Vec::new(),
            told: Vec::new(),
        }
    }

    /// Whether nothing is left to be asked.
    pub(in crate::pull) fn is_done(&self) -> bool {
        self.left.is_empty()
    }

    /// Whether every question that was sent is answered.
    pub(in crate::pull) fn is_answered(&self) -> bool {
        self.sent == 0
    }

    /// The next line of commands, without its end; `None` when nothing is left. `one`: a single command.
    pub(in crate::pull) fn line(&mut self, one: bool) -> Option<String> {
        self.sent = 0;
        let mut line = String::new();
        for asked in self.left.iter().take(if one { 1 } else { usize::MAX }) {
            let command = asked.command();
            if !line.is_empty() {
                // Nothing is to be misled by what stands in these replies.
                if asked.question.is_kept() || line.len() + command.len() >= LONGEST_LINE {
                    break;
                }
                line.push(';');
            }
            line.push_str(&command);
            self.sent += 1;
            if asked.question.is_kept() {
                break;
            }
        }
        (self.sent > 0).then_some(line)
    }

    /// What was sent did not count: it is to be asked again.
    pub(in crate::pull) fn take_back(&mut self) {
        self.sent = 0;
    }

    /// Stores what was received.
    ///
    /// # Errors
    /// A file could not be written.
    pub(in crate::pull) fn take(&mut self, mut chunk: &[u8]) -> Result<(), StageError> {
        while self.sent > 0 {
            match self.replies.next(&mut chunk) {
                Ok(None) => return Ok(()),
                Ok(Some(Event::Bytes(bytes))) => self.store(bytes)?,
                Ok(Some(Event::End)) => self.end()?,
                Err(error) => {
                    self.fail(&error.to_string())?;
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// No more comes: what was not answered has failed, and is not asked again.
    ///
    /// # Errors
    /// A file could not be written.
    pub(in crate::pull) fn fail(&mut self, reason: &str) -> Result<(), StageError> {
        self.close(false)?;
        self.sent = 0;
        let left = self.left.drain(..);
        self.told.extend(left.map(|asked| (asked, Told::Failed(reason.to_owned()))));
        Ok(())
    }

    /// What came of it all. Files without a reply are removed.
    ///
    /// # Errors
    /// A file could not be removed.
    pub(in crate::pull) fn finish(&mut self) -> Result<Vec<(Asked, Told)>, StageError> {
        if let (Some(store), Some(folder)) = (self.store.take(), &self.folder)
            && store.good == 0
        {
            folder.remove(&store.name)?;
        }
        Ok(std::mem::take(&mut self.told))
    }

    fn store(&mut self, bytes: &[u8]) -> Result<(), StageError> {
        let Some(asked) = self.left.front() else { return Ok(()) };
        if asked.lists || asked.question.is_kept() {
            let room = LONGEST_LIST.saturating_sub(self.list.len());
            self.list.extend_from_slice(bytes.get(..bytes.len().min(room)).unwrap_or_default());
            return Ok(());
        }
        let question = asked.question;
        self.open(question)?;
        let (Some(store), Some(folder)) = (&mut self.store, &self.folder) else { return Ok(()) };
        store.bytes += bytes.len() as u64;
        store.file.write_all(bytes).map_err(|source| write_error(folder, &store.name, source))
    }

    /// Sees to it that the file of this question is the one that is open.
    fn open(&mut self, question: &'static Question) -> Result<(), StageError> {
        let name = format!("{}{}", self.name, question.suffix(self.leaving));
        if self.store.as_ref().is_some_and(|store| store.name == name) {
            return Ok(());
        }
        let Some(folder) = &self.folder else { return Ok(()) };
        if let Some(store) = self.store.take()
            && store.good == 0
        {
            folder.remove(&store.name)?;
        }
        let file = folder.file(&name)?;
        self.store = Some(Store { name, file, good: 0, bytes: 0 });
        Ok(())
    }

    /// The reply to the first question is complete.
    fn end(&mut self) -> Result<(), StageError> {
        let Some(asked) = self.left.pop_front() else { return Ok(()) };
        self.sent = self.sent.saturating_sub(1);
        let list = std::mem::take(&mut self.list);
        if let Some(refusal) = self.replies.refusal(asked.question, asked.lists) {
            self.close(false)?;
            self.told.push((asked, Told::Refused(refusal)));
            return Ok(());
        }
        if let (true, Some(List { read, .. })) = (asked.lists, asked.question.list) {
            let each = read(&list).into_iter();
            let each = each.map(|name| Asked { argument: Some(name), lists: false, ..asked.clone() });
            self.left.extend(each);
            self.told.push((asked, Told::Stored(list.len() as u64)));
            return Ok(());
        }
        if asked.question.is_kept() {
            self.told.push((asked, Told::Kept(list)));
            return Ok(());
        }
        let bytes = self.close(true)?;
        self.told.push((asked, Told::Stored(bytes)));
        Ok(())
    }

    /// Ends the current reply in its file, and returns its bytes; one that is not good is taken out of it.
    fn close(&mut self, good: bool) -> Result<u64, StageError> {
        let (Some(store), Some(folder)) = (&mut self.store, &self.folder) else { return Ok(0) };
        let bytes = store.bytes - store.good;
        if good {
            store.good = store.bytes;
        } else if bytes > 0 {
            let cut = store.file.set_len(store.good);
            let at_end = cut.and_then(|()| io::Seek::seek(&mut store.file, io::SeekFrom::Start(store.good)));
            at_end.map_err(|source| write_error(folder, &store.name, source))?;
            store.bytes = store.good;
        }
        Ok(bytes)
    }
}

fn write_error(folder: &Folder, name: &str, source: io::Error) -> StageError {
    StageError::Write { path: folder.path(name), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::haproxy::further::Refusal;
    use crate::haproxy::questions::QUESTIONS;
    use crate::snapshot::Epoch;
    use crate::snapshot::stage::{Snapshot, Staging};

    fn asked(suffix: &str) -> Asked {
        Asked::of(QUESTIONS.iter().find(|question| question.suffix == suffix).unwrap())
    }

    fn target(name: &str) -> Target {
        let server = crate::haproxy::address::Address::Unix(name.into());
        Target { server, name: name.to_owned(), worker: None, found: None }
    }

    fn place() -> (tempfile::TempDir, Snapshot) {
        let place = tempfile::tempdir().unwrap();
        let staging = Staging::open(&place.path().join("tmp"), &place.path().join("in"), false).unwrap();
        let snapshot = staging.begin(Epoch(1)).unwrap();
        (place, snapshot)
    }

    fn names(folder: &Folder) -> Vec<(String, String)> {
        let mut all: Vec<_> = std::fs::read_dir(folder.path(""))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| {
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                (name, std::fs::read_to_string(path).unwrap())
            })
            .collect();
        all.sort();
        all
    }

    #[test]
    fn what_is_refused_or_cut_off_leaves_nothing_behind() {
        let (_place, snapshot) = place();
        let folder = snapshot.folder();
        let asked = ["_tables", "_activity", "_pools", "_peers"].map(asked).to_vec();
        let mut asking = Asking::new(asked, &target("a.sock"), Some(folder.clone()), 1000);
        assert_eq!(asking.line(false).unwrap(), "show table;show activity;show pools;show peers");
        let text = "# table: a, type: ip, size:1, used:0\n\nPermission denied\n\nDumping pools usage.\n\n0x1: id";
        text.as_bytes().chunks(3).for_each(|chunk| asking.take(chunk).unwrap());
        asking.fail("closed").unwrap();
        let told: Vec<Told> = asking.finish().unwrap().into_iter().map(|(_, told)| told).collect();
        assert_eq!(
            told,
            [
                Told::Stored(38),
                Told::Refused(Refusal::Level("Permission denied".to_owned())),
                Told::Stored(22),
                Told::Failed("closed".to_owned())
            ]
        );
        assert_eq!(
            names(&folder),
            [
                ("a.sock_pools".to_owned(), "Dumping pools usage.\n\n".to_owned()),
                ("a.sock_tables".to_owned(), "# table: a, type: ip, size:1, used:0\n\n".to_owned()),
            ]
        );
    }

    #[test]
    fn a_list_is_followed_by_a_question_about_each() {
        let (_place, snapshot) = place();
        let folder = snapshot.folder();
        let mut asking = Asking::new(vec![asked("_certificates")], &target("a"), Some(folder.clone()), 1000);
        assert_eq!(asking.line(false).unwrap(), "show ssl cert");
        asking.take(b"# filename\n/a.pem\n/b c.pem\n/c.pem\n\n").unwrap();
        assert!(asking.is_answered() && !asking.is_done());
        assert_eq!(asking.line(true).unwrap(), "show ssl cert /a.pem");
        assert_eq!(asking.line(false).unwrap(), r"show ssl cert /a.pem;show ssl cert /b\ c.pem;show ssl cert /c.pem");
        asking.take(b"Filename: /a.pem\n\nNot found\n\nFilename: /c.pem\n\n").unwrap();
        assert!(asking.is_done());
        assert_eq!(asking.finish().unwrap().len(), 4);
        let text = "Filename: /a.pem\n\nFilename: /c.pem\n\n".to_owned();
        assert_eq!(names(&folder), [("a_certificates".to_owned(), text)]);
    }

    #[test]
    fn many_questions_are_several_lines() {
        let mut asking = Asking::new(vec![asked("_certificates")], &target("a"), None, 1 << 20);
        asking.line(false).unwrap();
        let list: String = (0..500).map(|n| format!("/etc/haproxy/certificates/{n}.pem\n")).collect();
        asking.take(format!("# filename\n{list}\n").as_bytes()).unwrap();
        let mut lines = 0;
        while let Some(line) = asking.line(false) {
            assert!(line.len() <= LONGEST_LINE);
            lines += 1;
            line.split(';').for_each(|_| asking.take(b"Filename: x\n\n").unwrap());
        }
        assert!(lines > 2 && asking.is_done(), "{lines}");
    }
}
