//! What the tests from outside share: waiting with a limit, free ports, programs whose output is kept and which do
//! not outlive their test.
//!
//! Each program of tests compiles it once: `#[path = "../harness/mod.rs"] mod harness;` in its `main.rs`.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "each program compiles the whole harness and uses a part of it; a broken machine may fail the test"
)]

pub mod agent;
pub mod carbon;
pub mod certificate;
pub mod clients;
pub mod collector;
pub mod discovery;
#[cfg(feature = "kafka")]
pub mod fleet;
#[cfg(feature = "kafka")]
pub mod gate;
pub mod graphite;
pub mod graphite_web;
pub mod haproxy;
#[cfg(feature = "process")]
pub mod incoming;
#[cfg(feature = "kafka")]
pub mod kafka;
pub mod lasting;
pub mod machine;
pub mod made;
pub mod newer;
#[cfg(feature = "kafka")]
pub mod notes;
pub mod patroni;
pub mod prometheus;
#[cfg(feature = "process")]
pub mod receiver;
pub mod relay;
pub mod reload;
pub mod site;
#[cfg(feature = "process")]
pub mod stores;
pub mod systemd;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// For what a healthy machine does in milliseconds and a heavily loaded one in many seconds.
pub const SOON: Duration = Duration::from_secs(60);

/// Calls `probe` until it returns a value. `None` after `limit`.
pub fn poll<T>(limit: Duration, mut probe: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + limit;
    loop {
        if let Some(value) = probe() {
            return Some(value);
        }
        if Instant::now() >= end {
            return None;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Calls `probe` until it returns a value; the test fails after `limit`, naming `what` was waited for.
#[track_caller]
pub fn wait_for<T>(limit: Duration, what: &str, probe: impl FnMut() -> Option<T>) -> T {
    match poll(limit, probe) {
        Some(value) => value,
        None => panic!("waited {limit:?} in vain for: {what}"),
    }
}

/// Calls `condition` until it holds; the test fails after `limit`, naming `what` was waited for.
#[track_caller]
pub fn wait_until(limit: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    wait_for(limit, what, || condition().then_some(()));
}

/// A TCP port of the loopback interface that nobody listens on, never the same twice, neither in this test program nor in
/// another that runs at the same time. For programs that cannot be told to take port 0 and say what they got. The ports
/// lie below those that the kernel gives to outgoing connections, so that no client can take one away.
pub fn free_port() -> u16 {
    const FIRST: u32 = 20_000;
    const COUNT: u32 = 8_000;
    static NEXT: LazyLock<AtomicU32> = LazyLock::new(|| AtomicU32::new(std::process::id().wrapping_mul(37)));
    (0..COUNT)
        .filter_map(|_| u16::try_from(FIRST + NEXT.fetch_add(1, Ordering::Relaxed) % COUNT).ok())
        .find(|port| reserve(*port) && TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("all ports are in use")
}

/// Keeps a port from other test programs as long as this one runs: by a lock on one byte of a file that all have open.
fn reserve(port: u16) -> bool {
    use nix::fcntl::{FcntlArg, fcntl};
    static PORTS: LazyLock<File> = LazyLock::new(|| {
        let name = format!("haproxystats-test-ports-{}", nix::unistd::getuid());
        let file = OpenOptions::new().create(true).append(true).open(std::env::temp_dir().join(name));
        file.expect("the ports of tests are shared by a file")
    });
    let lock = libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: port.into(),
        l_len: 1,
        l_pid: 0,
    };
    fcntl(&*PORTS, FcntlArg::F_OFD_SETLK(&lock)).is_ok()
}

/// Whether something accepts connections on this port of the loopback interface.
pub fn listens(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

/// Where the project lies.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The name of a test as the command line of its own program takes it: `module_path!()` of its file without the program.
pub fn test_name(module: &str, test: &str) -> String {
    let (_, module) = module.split_once("::").expect("each file of tests is a module of its program");
    format!("{module}::{test}")
}

/// The pull program that this build made.
pub fn pull() -> Command {
    program("haproxystats-pull", Some(env!("CARGO_BIN_EXE_haproxystats-pull")))
}

/// The process program that this build made.
pub fn process() -> Command {
    program("haproxystats-process", option_env!("CARGO_BIN_EXE_haproxystats-process"))
}

/// The agent program that this build made.
pub fn agent() -> Command {
    program("haproxystats-agent", option_env!("CARGO_BIN_EXE_haproxystats-agent"))
}

/// All programs that this build made.
pub fn programs() -> Vec<PathBuf> {
    [pull(), process(), agent(), discovery(), both(), top()]
        .iter()
        .map(|command| PathBuf::from(command.get_program()))
        .collect()
}

/// The discovery program that this build made.
pub fn discovery() -> Command {
    program("haproxystats-discovery", option_env!("CARGO_BIN_EXE_haproxystats-discovery"))
}

/// pull and process under one supervisor.
pub fn both() -> Command {
    program("haproxystats-run", option_env!("CARGO_BIN_EXE_haproxystats-run"))
}

/// The live view that this build made.
pub fn top() -> Command {
    program("haproxystats-top", option_env!("CARGO_BIN_EXE_haproxystats-top"))
}

/// What `HAPROXYSTATS_PROGRAMS` holds is tested instead, when it is set: a release build, an installed package.
#[track_caller]
fn program(name: &str, built: Option<&str>) -> Command {
    match std::env::var_os("HAPROXYSTATS_PROGRAMS") {
        Some(directory) => Command::new(Path::new(&directory).join(name)),
        None => {
            Command::new(built.unwrap_or_else(|| panic!("{name} is not part of this build; see its cargo feature")))
        }
    }
}

/// The configuration that this text makes, for tests of the library.
#[track_caller]
pub fn config(text: &str) -> haproxystats::config::Config {
    use haproxystats::config::{Program, load};
    match load::from_text(Program::Process, text, "test.conf") {
        Ok(loaded) => loaded.config,
        Err(refused) => panic!("{refused:?}"),
    }
}

/// `pull()` or `process()` with `-f file`.
pub fn with_config(mut program: Command, file: &Path) -> Command {
    program.arg("-f").arg(file);
    program
}

/// Writes a file and returns its path.
pub fn write(directory: &Path, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = directory.join(name);
    std::fs::write(&path, content).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    path
}

/// Names in a directory, sorted; empty when there is no such directory.
pub fn names(directory: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let mut names: Vec<_> = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort_unstable();
    names
}

/// Whether everything has to be tried: continuous integration has to be a machine that can.
pub fn nothing_may_be_left_out() -> bool {
    std::env::var_os("CI").is_some() || std::env::var_os("HAPROXYSTATS_REQUIRE_PEERS").is_some_and(|value| value == "1")
}

/// Says why a test, or a part of one, is left out on this machine; where nothing may be left out, the test fails.
#[track_caller]
pub fn leave_out(what: &str, why: impl std::fmt::Display) {
    assert!(!nothing_may_be_left_out(), "{what} must not be left out here: {why}");
    eprintln!("left out: {what}: {why}");
}

/// Where a program of Debian lies; the sbin directories are not in every PATH.
#[track_caller]
pub fn debian(program: &str) -> PathBuf {
    ["/usr/sbin", "/usr/bin", "/sbin", "/bin"]
        .iter()
        .map(|directory| Path::new(directory).join(program))
        .find(|path| path.exists())
        .unwrap_or_else(|| panic!("{program} is not installed; the test command in README.md installs it"))
}

/// A program that a test can do without on a developer's machine: `None`, with a word about it, where it is not
/// installed. Where nothing may be left out the test fails instead.
#[track_caller]
pub fn peer(program: &str) -> Option<PathBuf> {
    // Debian's own come first: they fit each other, whatever else PATH has.
    let own = ["/usr/bin", "/usr/sbin", "/bin", "/sbin"].map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut directories = own.into_iter().chain(std::env::split_paths(&path));
    let found = directories.find_map(|directory| Some(directory.join(program)).filter(|file| file.exists()));
    if found.is_none() {
        missing(program);
    }
    found
}

/// Says that something is not installed; where nothing may be left out the test fails.
#[track_caller]
pub fn missing(what: impl std::fmt::Display) {
    leave_out("what needs it", format!("{what} is not installed; `./test packages` installs it"));
}

/// A program that `scripts/python-tools` installs, or that `variable` names; as [`peer`] where it is not there.
#[track_caller]
pub fn python_tool(program: &str, variable: &str) -> Option<PathBuf> {
    if let Some(path) = std::env::var_os(variable) {
        return Some(path.into());
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    let path = root().join(target).join("python-tools/bin").join(program);
    if !path.exists() {
        missing(format!("{program} ({variable} names another one)"));
        return None;
    }
    Some(path)
}

/// Taken for writing where a descriptor is closed that nobody may have meanwhile: between fork and exec a child has copies of
/// all of them, also of those that are closed on exec.
pub static FORKS: RwLock<()> = RwLock::new(());

/// Starts a program; see [`FORKS`].
pub fn spawn(command: &mut Command) -> std::io::Result<Child> {
    let _forking = FORKS.read().unwrap_or_else(PoisonError::into_inner);
    command.spawn()
}

/// Runs a program to its end; see [`FORKS`].
pub fn output(command: &mut Command) -> std::io::Result<Output> {
    spawn(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()))?.wait_with_output()
}

/// A running program. Its output is kept; it is killed with its children when this value goes away, and its output
/// is printed when that happens in a failing test.
pub struct Daemon {
    child: Child,
    name: String,
    output: Arc<Mutex<Vec<u8>>>,
    readers: Vec<JoinHandle<()>>,
}

impl Daemon {
    /// Starts the program in a process group of its own. It is also killed when the thread that calls this ends.
    #[track_caller]
    pub fn spawn(mut command: Command) -> Self {
        let name = Path::new(command.get_program()).file_name().map(|n| n.to_string_lossy().into_owned());
        let name = name.unwrap_or_default();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        if !command.get_envs().any(|(key, _)| key == OsStr::new("NOTIFY_SOCKET")) {
            command.env_remove("NOTIFY_SOCKET");
        }
        // SAFETY: between fork and exec only prctl is called, which is async-signal-safe.
        unsafe {
            command.pre_exec(|| nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).map_err(Into::into));
        }
        let mut child = spawn(&mut command).unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        let output = Arc::new(Mutex::new(Vec::new()));
        let readers = vec![
            keep(child.stdout.take().expect("stdout is a pipe"), &output),
            keep(child.stderr.take().expect("stderr is a pipe"), &output),
        ];
        Self { child, name, output, readers }
    }

    /// Process id.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).expect("process ids are small"))
    }

    /// Everything it has printed so far on standard output and standard error.
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&lock(&self.output)).into_owned()
    }

    /// Waits until the output holds `text`.
    #[track_caller]
    pub fn wait_for_output(&mut self, text: &str, limit: Duration) {
        let found = poll(limit, || {
            let gone = !self.is_running();
            // Looked at after the exit, so that the last words of a program count.
            (self.output().contains(text) || gone).then(|| self.output().contains(text))
        });
        assert!(found == Some(true), "{} did not print {text:?} within {limit:?}:\n{}", self.name, self.output());
    }

    /// Sends a signal to the program alone, not to its children. Returns when all of its threads have stopped, if that is
    /// what was asked for: on a busy machine some go on for a while.
    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap_or_else(|error| panic!("{signal} to {}: {error}", self.name));
        if signal == Signal::SIGSTOP {
            wait_until(SOON, "all threads have stopped", || has_stopped(self.pid()));
        }
    }

    /// Whether it has not ended yet.
    pub fn is_running(&mut self) -> bool {
        let running = matches!(self.child.try_wait(), Ok(None));
        if !running {
            self.drain();
        }
        running
    }

    /// Waits until it has ended; the test fails after `limit`.
    #[track_caller]
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        let Some(status) = poll(limit, || self.child.try_wait().expect("a child can be waited for")) else {
            panic!("{} has not ended within {limit:?}:\n{}", self.name, self.output())
        };
        self.drain();
        status
    }

    /// Sends SIGTERM, waits for the end, and checks that it was a clean one.
    #[track_caller]
    pub fn stop(&mut self, limit: Duration) {
        self.signal(Signal::SIGTERM);
        let status = self.wait(limit);
        assert!(status.success(), "{} ended with {status} after SIGTERM:\n{}", self.name, self.output());
    }

    /// Ids of its children that live now.
    pub fn children(&self) -> Vec<Pid> {
        children(self.pid())
    }

    /// Resident memory in KiB; `None` when it has ended.
    pub fn rss_kib(&self) -> Option<u64> {
        rss_kib(self.pid())
    }

    /// Waits a moment for what is still in the pipes. Children may keep them open, so the wait has a limit.
    fn drain(&self) {
        poll(Duration::from_secs(1), || self.readers.iter().all(JoinHandle::is_finished).then_some(()));
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // The group holds the children too; it may be gone already.
        let _ = killpg(self.pid(), Signal::SIGKILL);
        let status = self.child.wait();
        if std::thread::panicking() {
            self.drain();
            let how = status.map_or_else(
                |error| error.to_string(),
                |status| match status.signal() {
                    Some(9) => "running".to_owned(),
                    _ => status.to_string(),
                },
            );
            eprintln!("---- output of {} ({how})\n{}----", self.name, self.output());
        }
    }
}

/// Runs a program to its end; the test fails when that takes longer than `limit`.
#[track_caller]
pub fn run(command: Command, limit: Duration) -> (ExitStatus, String) {
    let mut daemon = Daemon::spawn(command);
    let status = daemon.wait(limit);
    (status, daemon.output())
}

/// Ids of the children of a process that live now.
pub fn children(parent: Pid) -> Vec<Pid> {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{parent}/task")) else { return Vec::new() };
    tasks
        .flatten()
        .filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok())
        .flat_map(|ids| ids.split_whitespace().filter_map(|id| id.parse().ok()).map(Pid::from_raw).collect::<Vec<_>>())
        .collect()
}

/// Names of the threads of a process.
pub fn threads(process: Pid) -> Vec<String> {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task")).expect("the process lives");
    let names = tasks.flatten().filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
    names.map(|name| name.trim().to_owned()).collect()
}

/// Resident memory of a process in KiB; `None` when there is no such process.
pub fn rss_kib(process: Pid) -> Option<u64> {
    status_kib(process, "VmRSS:")
}

/// Memory of a process that is its own, in KiB, without the pages of its program and of other files, which the kernel can drop;
/// `None` when there is no such process.
pub fn own_memory_kib(process: Pid) -> Option<u64> {
    status_kib(process, "RssAnon:")
}

fn status_kib(process: Pid, figure: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(figure))?;
    line.split_whitespace().next()?.parse().ok()
}

/// For how long the first thread of a process was ready to run and got no processor, since it began; zero where the kernel does
/// not say.
pub fn starved(process: Pid) -> Duration {
    let text = std::fs::read_to_string(format!("/proc/{process}/schedstat")).unwrap_or_default();
    Duration::from_nanos(text.split_whitespace().nth(1).and_then(|delay| delay.parse().ok()).unwrap_or_default())
}

/// Whether a process lives (a zombie does not).
pub fn lives(process: Pid) -> bool {
    !matches!(state(&Path::new("/proc").join(process.to_string())), None | Some('Z' | 'X'))
}

/// Whether no thread of a process runs until it is told to go on, or ever.
fn has_stopped(process: Pid) -> bool {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{process}/task")) else { return true };
    tasks.flatten().all(|task| matches!(state(&task.path()), None | Some('T' | 't' | 'Z' | 'X')))
}

/// The letter that the kernel has for what a process or thread does.
fn state(directory: &Path) -> Option<char> {
    let status = std::fs::read_to_string(directory.join("stat")).ok()?;
    status.rsplit(')').next()?.trim_start().chars().next()
}

fn keep(mut pipe: impl Read + Send + 'static, output: &Arc<Mutex<Vec<u8>>>) -> JoinHandle<()> {
    let output = Arc::clone(output);
    std::thread::spawn(move || {
        let mut chunk = [0; 8192];
        loop {
            match pipe.read(&mut chunk) {
                Ok(0) => return,
                Ok(length) => lock(&output).extend_from_slice(&chunk[..length]),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    })
}

/// A test that panicked while it held the lock must not hide its own message behind a second panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
