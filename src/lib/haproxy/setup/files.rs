//! What HAProxy is configured with: its files, as `-f` names them, and what of them matters here.

use super::words::{Environment, address, words};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A `stats socket` line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct StatsSocket {
    pub(super) address: String,
    pub(super) mode: Option<String>,
    pub(super) group: Option<String>,
    pub(super) level: Option<String>,
    /// `process`, of versions before 2.5.
    pub(super) process: Option<String>,
    pub(super) place: String,
    /// The whole line.
    pub(super) line: String,
}

impl StatsSocket {
    /// What follows `-S`: an address and options, separated by commas.
    fn of_master(text: &str) -> Self {
        let words: Vec<&str> = text.split(',').collect();
        let mut socket = Self { place: format!("-S {text}"), ..Self::default() };
        if let [address, options @ ..] = &words[..] {
            (*address).clone_into(&mut socket.address);
            socket.options(options);
        }
        socket
    }

    /// Takes what follows the address.
    fn options(&mut self, words: &[&str]) {
        for pair in words.windows(2) {
            let [name, value] = pair else { continue };
            let value = Some((*value).to_owned());
            match *name {
                "mode" => self.mode = value,
                "group" | "gid" => self.group = value,
                "level" => self.level = value,
                "process" => self.process = value,
                _ => {}
            }
        }
    }
}

/// What the section `global` says.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) sockets: Vec<StatsSocket>,
    pub(super) nbproc: Option<u32>,
    pub(super) group: Option<String>,
    pub(super) master_worker: bool,
    /// `-S` of the command line.
    pub(super) master: Option<StatsSocket>,
    /// Whether there is a frontend, backend or listen.
    pub(super) proxies: bool,
    /// Lines that are there on conditions (`.if`).
    pub(super) conditions: bool,
    pub(super) environment: Environment,
    pub(super) read: Vec<PathBuf>,
    /// The files of further HAProxy that run here.
    pub(super) others: Vec<Vec<PathBuf>>,
}

/// The files that a name of `-f` stands for: itself, or the `.cfg` files of a directory in the order of their names.
fn files(path: &Path) -> io::Result<Vec<PathBuf>> {
    if !fs::metadata(path)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let entries: io::Result<Vec<PathBuf>> = fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect();
    let mut files: Vec<PathBuf> = entries?;
    let hidden = |path: &PathBuf| path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    files.retain(|path| path.extension().is_some_and(|end| end == "cfg") && !hidden(path));
    files.sort();
    Ok(files)
}

impl Found {
    /// Reads a file or a directory.
    ///
    /// # Errors
    /// It cannot be read, with its name.
    pub(super) fn read(&mut self, path: &Path) -> Result<(), (PathBuf, io::Error)> {
        for file in files(path).map_err(|error| (path.to_owned(), error))? {
            let text = fs::read(&file).map_err(|error| (file.clone(), error))?;
            self.text(&file.display().to_string(), &String::from_utf8_lossy(&text));
            self.read.push(file);
        }
        Ok(())
    }

    fn text(&mut self, name: &str, text: &str) {
        let mut section = String::new();
        let mut lines = text.lines().enumerate();
        while let Some((number, line)) = lines.next() {
            let mut line = line.to_owned();
            while line.ends_with('\\') && !line.ends_with("\\\\") {
                line.pop();
                let Some((_, next)) = lines.next() else { break };
                line.push_str(next);
            }
            let words = words(&line, &mut self.environment);
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            match words.as_slice() {
                [condition, ..] if condition.starts_with('.') => {
                    self.conditions |= matches!(*condition, ".if" | ".elif" | ".else");
                }
                [word, ..] if is_section(word) => {
                    self.proxies |= matches!(*word, "frontend" | "backend" | "listen");
                    section = (*word).to_owned();
                }
                words if section == "global" => self.global(words, &format!("{name}:{}", number + 1)),
                _ => {}
            }
        }
    }

    fn global(&mut self, words: &[&str], place: &str) {
        match words {
            ["stats", "socket", named, rest @ ..] => {
                let mut socket = StatsSocket {
                    address: address(named, &mut self.environment),
                    place: place.to_owned(),
                    line: words.join(" "),
                    ..StatsSocket::default()
                };
                socket.options(rest);
                self.sockets.push(socket);
            }
            ["nbproc", number, ..] => self.nbproc = number.parse().ok(),
            ["group" | "gid", group, ..] => self.group = Some((*group).to_owned()),
            ["master-worker", ..] => self.master_worker = true,
            ["setenv", name, value, ..] => {
                self.environment.values.insert((*name).to_owned(), (*value).to_owned());
            }
            ["presetenv", name, value, ..] => {
                self.environment.values.entry((*name).to_owned()).or_insert_with(|| (*value).to_owned());
            }
            ["unsetenv", names @ ..] => names.iter().for_each(|name| drop(self.environment.values.remove(*name))),
            _ => {}
        }
    }

    /// Takes what a command line of HAProxy says; returns the names behind its `-f`.
    pub(super) fn command_line(&mut self, words: &[&str]) -> Vec<PathBuf> {
        let mut files = Vec::new();
        let mut words = words.iter().copied();
        while let Some(word) = words.next() {
            match word {
                "-f" => files.extend(words.next().map(PathBuf::from)),
                "-S" => self.master = words.next().map(StatsSocket::of_master),
                "-W" | "-Ws" => self.master_worker = true,
                // Everything behind is a file, too.
                "--" => {
                    files.extend(words.by_ref().map(PathBuf::from));
                }
                _ => {}
            }
        }
        files
    }
}

fn is_section(word: &str) -> bool {
    const SECTIONS: [&str; 24] = [
        "global",
        "defaults",
        "frontend",
        "backend",
        "listen",
        "peers",
        "program",
        "resolvers",
        "userlist",
        "mailers",
        "cache",
        "http-errors",
        "ring",
        "fcgi-app",
        "log-forward",
        "log-profile",
        "crt-store",
        "traces",
        "acme",
        "certificate",
        "dynamic-update",
        "spoe-agent",
        "spoe-message",
        "healthcheck",
    ];
    SECTIONS.contains(&word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_matters_is_found_wherever_it_stands() {
        let mut found = Found::default();
        let text = "global\n\tsetenv DIR /run/x\n\tstats socket $DIR/a.sock mode 660 \\\n level admin\n\
            \tstats socket ipv4@127.0.0.1:9999 level user process 2\n\tnbproc 2\n\tgroup lb\n\
            .if defined(X)\n\tstats timeout 30s\n.endif\nlisten x\n\tstats socket /not/one\n";
        found.text("a.cfg", text);
        let first = found.sockets.first().unwrap();
        assert_eq!((first.address.as_str(), first.mode.as_deref()), ("/run/x/a.sock", Some("660")));
        assert_eq!((first.level.as_deref(), first.place.as_str()), (Some("admin"), "a.cfg:3"));
        assert_eq!(found.sockets.get(1).and_then(|socket| socket.process.as_deref()), Some("2"));
        assert_eq!((found.sockets.len(), found.nbproc, found.group.as_deref()), (2, Some(2), Some("lb")));
        assert!(found.proxies && found.conditions);
    }

    #[test]
    fn a_command_line_names_files_and_the_master() {
        let mut found = Found::default();
        let files =
            found.command_line(&["haproxy", "-Ws", "-f", "a.cfg", "-S", "/run/m.sock,mode,600", "--", "b", "c"]);
        assert_eq!(files, ["a.cfg", "b", "c"].map(PathBuf::from));
        let master = found.master.unwrap();
        assert_eq!((master.address.as_str(), master.mode.as_deref()), ("/run/m.sock", Some("600")));
        assert!(found.master_worker);
    }
}
