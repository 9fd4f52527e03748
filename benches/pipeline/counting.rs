//! A HAProxy whose counters are all in use: a real one for what its answer costs, and a double for what pulling costs, whose
//! counters grow from one answer to the next, and which is reloaded.

use super::capture::{Numbers, digits};
use super::haproxy::HaProxies;
use super::os::Spread;
use super::pull;
use haproxystats::haproxy::columns::{COLUMNS, Column, Combine, Kind, Nature};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const BACKENDS: usize = 500;
const SERVERS: usize = 40;
/// The pid of the first process of a double; those that follow count up.
const PID: u64 = 20_000;

/// Prints what pulling costs, over what HAProxy takes to answer.
pub(crate) fn table(base: &Path) {
    let Some(haproxy) = real(&base.join("haproxy")) else {
        return println!("Skipped: no HAProxy is unpacked that can begin with counters (3.0 or later).");
    };
    let (mut cpu, mut bytes) = (Spread::default(), 0.0);
    for _ in 0..15 {
        let [_, milliseconds, length] = haproxy.discard();
        cpu.0.push(milliseconds);
        bytes = length;
    }
    let answer = Arc::new(Answer::of(&String::from_utf8(haproxy.ask("show info;show stat")).unwrap()));
    drop(haproxy);
    println!("An answer of HAProxy: {:.1} MB, {cpu} ms of CPU time.\n", bytes / 1e6);
    println!("| every counter of 20,000 servers in use | CPU ms | of HAProxy's | peak MiB |\n|---|---|---|---|");
    for (name, on, reloads) in
        [("options off", false, 0), ("options on", true, 0), ("a worker leaves, another one is gone", true, 2)]
    {
        let (mut times, mut most) = (Spread::default(), Spread::default());
        for _ in 0..3 {
            let double = Double::start(&base.join("double"), &answer);
            let master = format!("master-sockets = unix://{}\n", double.master().display());
            let options = if on { format!("{master}continuous-counters = true\n") } else { String::new() };
            let [time, peak] = pull::count(&base.join("pull"), &double, &options, reloads, 8);
            times.0.push(time);
            most.0.push(peak);
        }
        // A worker that leaves answers as well.
        let answers = if reloads > 0 { 2.0 } else { 1.0 };
        let share = times.median() / (cpu.median() * answers) * 100.0;
        println!("| {name} | {times} | {share:.1} % | {most} |");
    }
}

/// HAProxy 3.0 or later, which can begin with counters of a file (`stats-file`).
fn program() -> Option<PathBuf> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/newer-haproxy");
    ["3.4", "3.2", "3.0"].into_iter().find_map(|version| {
        let output = Command::new(script).args(["--find", version]).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        text.trim().split_once(' ').map(|(_, program)| program.into())
    })
}

/// A real HAProxy with 20,000 servers, of which no counter is 0 that it can begin with; `None` where none is unpacked.
fn real(base: &Path) -> Option<HaProxies> {
    let program = program()?;
    let _ = fs::remove_dir_all(base);
    fs::create_dir_all(base).unwrap();
    let (state, socket) = (base.join("counters"), base.join("s/lb.sock"));
    let mut text = format!(
        "global\n\tnbthread 1\n\tstats socket {} mode 600 level admin\n\tstats-file {}\n\
         defaults\n\tmode http\n\ttimeout connect 1s\n\ttimeout client 1s\n\ttimeout server 1s\n\
         frontend fe_www\n\tguid fe\n\tbind unix@{}\n",
        socket.display(),
        state.display(),
        base.join("http").display(),
    );
    for backend in 0..BACKENDS {
        text.push_str(&format!("backend be_app_{backend:04}.example.com\n\tguid be-{backend}\n"));
        for server in 0..SERVERS {
            text.push_str(&format!(
                "\tserver srv-{backend:04}-{server:03}.example.com 127.0.0.1:9 disabled guid srv-{backend}-{server}\n"
            ));
        }
    }
    fs::write(&state, "").unwrap();
    let dumped = String::from_utf8(HaProxies::of(&program, base, &text).ask("dump stats-file")).unwrap();
    let mut numbers = Numbers(1);
    let mut filled = |line: &str| {
        let (guid, cells) = line.split_once(',').unwrap_or((line, ""));
        if line.starts_with('#') || cells.is_empty() {
            return format!("{line}\n");
        }
        let cells = cells.trim_end_matches(',').split(',').map(|_| digits(numbers.next()) + 1);
        format!("{guid},{},\n", cells.map(|cell| cell.to_string()).collect::<Vec<_>>().join(","))
    };
    fs::write(&state, dumped.lines().map(&mut filled).collect::<String>()).unwrap();
    Some(HaProxies::of(&program, base, &text))
}

/// An answer whose counters can be counted on.
struct Answer {
    info: String,
    /// Pieces of `show stat`, and the counter behind each.
    pieces: Vec<(String, Option<u64>)>,
}

impl Answer {
    /// Of what HAProxy has answered to `show info;show stat`. A counter that is 0 counts as well from now on.
    fn of(text: &str) -> Self {
        let (info, stat) = text.split_once("\n\n").unwrap();
        let counters: Vec<&str> = {
            let adds = |column: &Column| Kind::ALL.into_iter().any(|kind| column.combine(kind) == Some(Combine::Sum));
            let is_counter = |column: &&Column| column.nature == Nature::Counter;
            COLUMNS.iter().filter(is_counter).filter(|column| adds(column)).map(|column| column.name).collect()
        };
        let mut lines = stat.trim_end().lines();
        let header = lines.next().unwrap();
        let counts: Vec<bool> = header[2..].split(',').map(|name| counters.contains(&name)).collect();
        let (mut pieces, mut piece) = (Vec::new(), format!("{header}\n"));
        let mut numbers = Numbers(2);
        for line in lines {
            for (cell, counts) in line.split(',').zip(&counts) {
                match cell.parse::<u64>() {
                    Ok(value) if *counts => {
                        let value = if value == 0 { digits(numbers.next()) + 1 } else { value };
                        pieces.push((std::mem::replace(&mut piece, ",".to_owned()), Some(value)));
                    }
                    _ => {
                        piece.push_str(cell);
                        piece.push(',');
                    }
                }
            }
            // The last cell is empty.
            piece.pop();
            piece.push('\n');
        }
        piece.push('\n');
        pieces.push((piece, None));
        Self { info: info.to_owned(), pieces }
    }

    fn info(&self, process: u64) -> String {
        let line = |line: &str| {
            if line.starts_with("Pid: ") { format!("Pid: {}\n", PID + process) } else { format!("{line}\n") }
        };
        self.info.lines().map(line).collect::<String>() + "\n"
    }

    /// Every counter after so many answers; those of a later process are below those of the one before.
    fn stat(&self, process: u64, answers: u64) -> String {
        let mut text = String::with_capacity(12 << 20);
        for (piece, counter) in &self.pieces {
            text.push_str(piece);
            if let Some(counter) = counter {
                let value = (counter >> process).max(1) + answers * (1 + counter % 5);
                text.push_str(itoa::Buffer::new().format(value));
            }
        }
        text
    }
}

/// A HAProxy with a master, which answers as a real one has.
pub(crate) struct Double {
    place: PathBuf,
    reloads: Arc<AtomicU64>,
}

impl Double {
    /// On `s/lb.sock` and `master.sock` below `place`, for as long as the program runs.
    fn start(place: &Path, answer: &Arc<Answer>) -> Self {
        let _ = fs::remove_dir_all(place);
        fs::create_dir_all(place.join("s")).unwrap();
        let reloads = Arc::new(AtomicU64::new(0));
        let answers: Arc<[AtomicU64; 3]> = Arc::default();
        for (name, master) in [("s/lb.sock", false), ("master.sock", true)] {
            let listener = UnixListener::bind(place.join(name)).unwrap();
            let (answer, reloads, answers) = (Arc::clone(answer), Arc::clone(&reloads), Arc::clone(&answers));
            std::thread::spawn(move || {
                for stream in listener.incoming() {
                    serve(stream.unwrap(), &answer, reloads.load(Ordering::SeqCst), &answers, master);
                }
            });
        }
        Self { place: place.to_owned(), reloads }
    }

    /// A new process takes the socket. The first one is gone with that, and the second one never returns.
    pub(crate) fn reload(&self) {
        self.reloads.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn directory(&self) -> PathBuf {
        self.place.join("s")
    }

    fn master(&self) -> PathBuf {
        self.place.join("master.sock")
    }
}

/// Answers one connection; a pull that has gone is no matter.
fn serve(mut stream: UnixStream, answer: &Answer, reloads: u64, answers: &[AtomicU64; 3], master: bool) {
    let mut line = String::new();
    let _ = BufReader::new(&stream).read_line(&mut line);
    let (process, commands) = match line.trim().strip_prefix("@!").and_then(|line| line.split_once(';')) {
        Some((pid, commands)) => (pid.parse::<u64>().unwrap() - PID, commands),
        None if master => {
            let leaving =
                if reloads == 2 { format!("{} worker 1 0d00h00m09s 3.4.7\n", PID + 1) } else { String::new() };
            let head = "#<PID> <type> <reloads> <uptime> <version>\n19999 master 2 0d00h00m09s 3.4.7\n# workers\n";
            let _ = stream.write_all(format!("{head}# old workers\n{leaving}\n").as_bytes());
            return;
        }
        None => (reloads, line.trim()),
    };
    for command in commands.split(';') {
        let text = if command.contains("stat") {
            answer.stat(process, answers[process as usize].fetch_add(1, Ordering::SeqCst))
        } else {
            answer.info(process)
        };
        let _ = stream.write_all(text.as_bytes());
    }
}
