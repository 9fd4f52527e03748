//! On a terminal: tmux is one whose every cell can be read.

use super::{configuration, replay};
use crate::harness::made::is_made;
use crate::harness::site::Site;
use crate::harness::{SOON, output, peer, top, wait_for, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// A terminal in which a shell runs.
struct Terminal {
    tmux: PathBuf,
    directory: TempDir,
}

impl Terminal {
    /// One of this size; `None` where there is no tmux.
    #[track_caller]
    fn open(width: u16, height: u16) -> Option<Self> {
        let terminal = Self { tmux: peer("tmux")?, directory: tempfile::tempdir().unwrap() };
        let size = [width.to_string(), height.to_string()];
        let shell = "env -u TMUX PS1='$ ' HISTFILE= bash --norc --noprofile -i";
        terminal.tmux(&["-f", "/dev/null", "new-session", "-d", "-x", &size[0], "-y", &size[1], shell]);
        terminal.wait("a prompt", |text| text.contains('$'));
        Some(terminal)
    }

    #[track_caller]
    fn tmux(&self, words: &[&str]) -> String {
        let mut command = Command::new(&self.tmux);
        command
            .arg("-S")
            .arg(self.directory.path().join("tmux"))
            .args(words)
            .env("TERM", "xterm-256color")
            .env("LC_ALL", "C.UTF-8");
        let output = output(&mut command).unwrap();
        assert!(output.status.success(), "tmux {words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// What it shows.
    #[track_caller]
    fn text(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    #[track_caller]
    fn wait(&self, what: &str, is_there: impl Fn(&str) -> bool) -> String {
        let mut text = String::new();
        let found = crate::harness::poll(SOON, || {
            text = self.text();
            is_there(&text).then_some(())
        });
        assert!(found.is_some(), "waited in vain for {what}:\n{text}");
        text
    }

    /// Presses keys, by their names.
    #[track_caller]
    fn press(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys"], keys].concat());
    }

    /// Types a command.
    #[track_caller]
    fn command(&self, line: &str) {
        self.tmux(&["send-keys", "-l", line]);
        self.press(&["Enter"]);
    }

    /// Whether a program has taken the screen over.
    #[track_caller]
    fn is_taken(&self) -> bool {
        self.tmux(&["display-message", "-p", "#{alternate_on}"]).trim() == "1"
    }

    /// Waits until the shell says that the program has ended like this, and the terminal is as it was.
    #[track_caller]
    fn given_back(&self, ended: &str) {
        self.wait(ended, |text| text.contains(ended));
        assert!(!self.is_taken(), "{}", self.text());
        self.command("stty -a");
        self.wait("the modes of a terminal that reads lines", |text| {
            text.contains(" icanon") && text.contains(" echo ")
        });
        assert_eq!(self.tmux(&["display-message", "-p", "#{cursor_flag}"]).trim(), "1");
    }

    /// The process that runs in it, below the shell.
    #[track_caller]
    fn program(&self) -> Pid {
        let shell: i32 = self.tmux(&["display-message", "-p", "#{pane_pid}"]).trim().parse().unwrap();
        wait_for(SOON, "the program", || crate::harness::children(Pid::from_raw(shell)).first().copied())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let mut command = Command::new(&self.tmux);
        let _ = output(command.arg("-S").arg(self.directory.path().join("tmux")).arg("kill-server"));
    }
}

/// The command line of the program with this file.
fn line(file: &Path, words: &str) -> String {
    let program = PathBuf::from(top().get_program());
    format!("{} -f {} {words}; echo ended $?", program.display(), file.display())
}

#[test]
fn a_live_view_is_drilled_into_and_left() {
    let Some(terminal) = Terminal::open(100, 30) else { return };
    let site = Site::start(2, 0);
    let directory = tempfile::tempdir().unwrap();
    let file = configuration(directory.path(), &format!("socket-dir = {}", site.socket_dir().display()));
    terminal.command(&line(&file, "-i 0.3"));
    terminal.wait("rates", |text| text.contains("PROXY") && text.contains("api.v1") && !text.contains("rates follow"));
    terminal.press(&["/"]);
    terminal.press(&["s", "h", "o", "Enter"]);
    terminal.wait("the backend alone", |text| text.contains(">shop") && !text.contains("api.v1"));
    terminal.press(&["Enter"]);
    let text = terminal.wait("its servers", |text| text.contains("s.1") && text.contains("OF WGT"));
    assert!(text.contains("25%") && text.contains("75%"), "{text}");
    terminal.press(&["Enter"]);
    terminal.wait("a server", |text| text.contains("last check  L7OK/200") && text.contains("lb1.sock"));
    terminal.press(&["p"]);
    terminal.wait("a pause", |text| text.contains("PAUSED"));
    terminal.press(&["?"]);
    terminal.wait("keys", |text| text.contains("show only what is in trouble"));
    terminal.tmux(&["resize-window", "-x", "50", "-y", "12"]);
    terminal.press(&["q"]);
    terminal.press(&["q"]);
    terminal.given_back("ended 0");
}

#[test]
fn the_terminal_is_given_back_whatever_ends_the_program() {
    let Some(terminal) = Terminal::open(80, 24) else { return };
    let directory = tempfile::tempdir().unwrap();
    let stored = directory.path().join("in");
    (1..4).for_each(|number| replay::snapshot(&stored, number, "UP"));
    let file = configuration(directory.path(), "socket-dir = /nowhere");
    let line = line(&file, &format!("--replay {}", stored.display()));
    let shown = |text: &str| text.contains("snapshot 2 of 3");
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        terminal.command(&format!("clear; {line}"));
        terminal.wait("the screen", shown);
        assert!(terminal.is_taken());
        kill(terminal.program(), signal).unwrap();
        terminal.given_back("ended 0");
    }
    terminal.command(&format!("clear; HAPROXYSTATS_TEST_TOP_PANIC=1 {line}"));
    terminal.wait("the end", |text| text.contains("panicked"));
    terminal.given_back("ended 101");
    // Ctrl-C is a key here.
    terminal.command(&format!("clear; {line}"));
    terminal.wait("the screen", shown);
    terminal.press(&["C-c"]);
    terminal.given_back("ended 0");
}

#[test]
fn it_stops_and_goes_on_as_the_shell_has_it() {
    let Some(terminal) = Terminal::open(80, 24) else { return };
    let directory = tempfile::tempdir().unwrap();
    let stored = directory.path().join("in");
    (1..4).for_each(|number| replay::snapshot(&stored, number, "UP"));
    let file = configuration(directory.path(), "socket-dir = /nowhere");
    let program = PathBuf::from(top().get_program());
    terminal.command(&format!("{} -f {} --replay {}", program.display(), file.display(), stored.display()));
    let shown = |text: &str| text.contains("snapshot 2 of 3");
    terminal.wait("the screen", shown);
    let pid = terminal.program();
    for by_key in [true, false] {
        if by_key {
            terminal.press(&["C-z"]);
        } else {
            kill(pid, Signal::SIGTSTP).unwrap();
        }
        terminal.given_back("Stopped");
        terminal.command("clear");
        terminal.command("fg");
        terminal.wait("the screen again", shown);
        assert!(terminal.is_taken());
        terminal.press(&["."]);
        terminal.wait("another snapshot", |text| text.contains("snapshot 3 of 3"));
        terminal.press(&[","]);
        terminal.wait("the one before", shown);
    }
    // One that stops by itself starts over as well.
    kill(pid, Signal::SIGSTOP).unwrap();
    terminal.wait("the shell", |text| text.contains("Stopped"));
    terminal.command("fg");
    terminal.wait("the screen again", shown);
    // Nothing is left behind when the terminal goes.
    terminal.tmux(&["kill-session"]);
    wait_until(SOON, "the program ends with its terminal", || !crate::harness::lives(pid));
}

#[test]
fn snapshots_are_stepped_through_sought_and_compared() {
    let Some(terminal) = Terminal::open(80, 24) else { return };
    let directory = tempfile::tempdir().unwrap();
    let stored = directory.path().join("in");
    (1..6).for_each(|number| replay::snapshot(&stored, number, if number < 3 { "UP" } else { "DOWN" }));
    let file = configuration(directory.path(), "socket-dir = /nowhere\n[hosts]\na.sock = lb-01");
    terminal.command(&line(&file, &format!("--replay {}", stored.display())));
    terminal.wait("the screen", |text| text.contains("snapshot 2 of 5"));
    terminal.press(&["."]);
    let text = terminal.wait("the next snapshot", |text| text.contains("snapshot 3 of 5"));
    is_made("tests/pull/top/golden/terminal-step.txt", &text);
    terminal.press(&["m"]);
    terminal.wait("a mark", |text| text.contains("compared with 2026-11-30T08:00:30Z"));
    terminal.press(&["g"]);
    terminal.tmux(&["send-keys", "-l", "2026-11-30T08:00:12Z"]);
    terminal.press(&["Enter"]);
    // The table shows the mark then; the first line where one is.
    terminal.wait("the snapshot of that time", |text| {
        text.contains("snapshot 1 of 5  2026-11-30T08:00:10Z")
            && text.contains("compared with the later 2026-11-30T08:00:30Z")
    });
    terminal.press(&["]"]);
    let text = terminal.wait("the last snapshot", |text| text.contains("snapshot 5 of 5"));
    is_made("tests/pull/top/golden/terminal-compare.txt", &text);
    terminal.press(&["q"]);
    terminal.given_back("ended 0");
}
