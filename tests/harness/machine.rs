//! A machine of its own for units, packages and whatever else changes a system: systemd, booted by systemd-nspawn over
//! a copy-on-write view of this machine's root. Nothing that happens in it reaches the outside, and it has no network
//! but its loopback interface.

use super::{SOON, poll, programs, run, wait_for};
use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// Mounts are made in a mount namespace of this script, and vanish with it.
const BOOT: &str = r#"
set -e
mount -t tmpfs -o size=2g,mode=755 none "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
root=$1/root
cp -a "$2/." "$root/"
rm -f "$root/etc/machine-id" "$root/usr/sbin/policy-rc.d" "$root/usr/local/sbin/policy-rc.d"
: >"$root/etc/machine-id"
# Nothing else is started: neither what the packages of this machine would start, nor a console.
printf '[Unit]\nRequires=basic.target\nAfter=basic.target\nAllowIsolate=yes\n' >"$root/etc/systemd/system/bare.target"
exec systemd-nspawn --quiet --register=no --keep-unit --link-journal=no --machine=haproxystats-test \
    --directory="$root" --private-network --bind-ro="$3:$3" --console=read-only --boot systemd.unit=bare.target
"#;

/// HAProxy in the machine, with one socket for pull and one for discovery.
const HAPROXY: &str = "global\n\tstats socket /run/haproxy/admin.sock user haproxy group haproxy mode 660 level user\n\
    \tstats socket /run/lb/admin.sock user haproxy group haproxy mode 660 level admin\n\
    defaults\n\tmode http\n\ttimeout connect 1s\n\ttimeout client 1s\n\ttimeout server 1s\n\
    frontend www\n\tbind 127.0.0.1:8080\n\tdefault_backend web\n\
    backend web\n\tserver-template web 2 127.0.0.1:9 disabled\n";
const HAPROXY_UNIT: &str =
    "[Service]\nRuntimeDirectory=haproxy lb\nExecStart=/usr/sbin/haproxy -db -f /etc/haproxy-test.cfg\n";
const GRAPHITE_UNIT: &str = "[Service]\nExecStart=/usr/bin/socat -u TCP-LISTEN:3002,bind=127.0.0.1,fork,reuseaddr,backlog=64 \
    OPEN:/var/lib/graphite.lines,creat,append\n";

/// Where the stand-in for Graphite keeps what it is sent.
const LINES: &str = "/var/lib/graphite.lines";
const INCOMING: &str = "/var/lib/haproxystats/incoming";

/// Adds the units `lb`, a HAProxy with its sockets in /run/haproxy, and `graphite`, which keeps all lines that it is sent.
pub fn stand_ins(stage: &Path) {
    let units = stage.join("etc/systemd/system");
    std::fs::create_dir_all(&units).expect("a directory for units");
    super::write(&stage.join("etc"), "haproxy-test.cfg", HAPROXY);
    super::write(&units, "lb.service", HAPROXY_UNIT);
    super::write(&units, "graphite.service", GRAPHITE_UNIT);
}

/// The seconds of which Graphite has metrics.
pub fn delivered(machine: &Machine) -> BTreeSet<u64> {
    let second = |line: &str| line.rsplit(' ').next()?.parse().ok();
    machine.read(LINES).lines().filter(|line| line.contains(".daemon.CumReq ")).filter_map(second).collect()
}

/// Snapshots that wait for haproxystats-process, with the default directories.
pub fn waiting(machine: &Machine) -> usize {
    super::names(&machine.path(INCOMING)).iter().filter(|name| !name.starts_with('.')).count()
}

/// A booted machine; it is gone, with all that happened in it, when this value goes away.
pub struct Machine {
    nspawn: Child,
    leader: Pid,
    log: PathBuf,
    _directory: TempDir,
    _alone: Flock<File>,
}

impl Machine {
    /// Boots a machine into which the files below `stage` were copied, with the owners and modes that they have there.
    /// `None`, with a word about it, where that cannot be done: for others than root, and without systemd-nspawn. Where
    /// `CI` or `HAPROXYSTATS_REQUIRE_PEERS` is set the test fails instead.
    #[track_caller]
    pub fn boot(stage: &Path) -> Option<Self> {
        let missing = if nix::unistd::geteuid().is_root() {
            let nspawn = ["/usr/bin/systemd-nspawn", "/bin/systemd-nspawn"].iter().any(|path| Path::new(path).exists());
            if nspawn { None } else { Some("systemd-nspawn is not installed (systemd-container)") }
        } else {
            Some("only root can boot a machine")
        };
        if let Some(reason) = missing {
            super::leave_out("what needs a machine of its own", reason);
            return None;
        }
        // Machines without a registration share a control group: one at a time.
        let file = File::create("/tmp/.haproxystats-machine.lock").expect("a file to lock");
        let alone = Flock::lock(file, FlockArg::LockExclusive).expect("a lock on a file of our own");
        let directory = tempfile::tempdir().expect("a directory for the machine");
        let base = directory.path().join("machine");
        std::fs::create_dir(&base).expect("a fresh directory");
        let log = directory.path().join("boot.log");
        let output = File::create(&log).expect("a log");
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c", BOOT, "boot"]).arg(&base).arg(stage);
        // Under the same name as outside, wherever that is mounted.
        command.arg(env!("CARGO_MANIFEST_DIR"));
        command.stdin(Stdio::null()).stdout(output.try_clone().expect("a second handle")).stderr(output);
        command.env_remove("NOTIFY_SOCKET");
        // SAFETY: between fork and exec only prctl is called, which is async-signal-safe.
        unsafe {
            command.pre_exec(|| nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).map_err(Into::into));
        }
        let nspawn = command.spawn().expect("unshare of util-linux");
        let parent = Pid::from_raw(i32::try_from(nspawn.id()).expect("process ids are small"));
        let mut machine = Self { nspawn, leader: parent, log, _directory: directory, _alone: alone };
        machine.leader = wait_for(SOON, "systemd runs in the machine", || {
            machine.check();
            // The child of nspawn that is the first process of the machine.
            super::children(parent).into_iter().find(|child| is_first_process(*child))
        });
        wait_for(SOON, "the machine is up", || {
            machine.check();
            machine.try_run(&["systemctl", "is-active", "bare.target"]).0.then_some(())
        });
        Some(machine)
    }

    #[track_caller]
    fn check(&mut self) {
        if let Ok(Some(status)) = self.nspawn.try_wait() {
            panic!("the machine is down ({status}):\n{}", std::fs::read_to_string(&self.log).unwrap_or_default());
        }
    }

    /// A file of the machine, as seen from outside.
    pub fn path(&self, inside: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{inside}", self.leader))
    }

    /// Content of a file; empty when there is none.
    pub fn read(&self, inside: &str) -> String {
        std::fs::read_to_string(self.path(inside)).unwrap_or_default()
    }

    /// Writes a file, and the directories that lead to it.
    #[track_caller]
    pub fn write(&self, inside: &str, content: &str) {
        let path = self.path(inside);
        std::fs::create_dir_all(path.parent().expect("a file")).expect("directories in the machine");
        std::fs::write(&path, content).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }

    /// Runs a program in the machine.
    pub fn output(&self, words: &[&str]) -> Output {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.leader.to_string(), "--all", "--root", "--wd", "--"]).args(words);
        command.stdin(Stdio::null()).env_clear().env("PATH", "/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin");
        command.env("LC_ALL", "C.UTF-8").env("HOME", "/root").env("DEBIAN_FRONTEND", "noninteractive");
        command.output().expect("nsenter of util-linux")
    }

    /// Whether it succeeded, and what it printed.
    pub fn try_run(&self, words: &[&str]) -> (bool, String) {
        let output = self.output(words);
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&text).into_owned())
    }

    /// What it printed; the test fails when it does not succeed.
    #[track_caller]
    pub fn run(&self, words: &[&str]) -> String {
        let (good, text) = self.try_run(words);
        assert!(good, "{words:?} failed:\n{text}");
        text
    }

    /// `run` of a line for the shell.
    #[track_caller]
    pub fn sh(&self, line: &str) -> String {
        self.run(&["sh", "-ec", line])
    }

    /// A property of a unit.
    #[track_caller]
    pub fn property(&self, unit: &str, name: &str) -> String {
        self.run(&["systemctl", "show", "--value", "--property", name, unit]).trim().to_owned()
    }

    /// What a unit has logged.
    pub fn journal(&self, unit: &str) -> String {
        self.try_run(&["journalctl", "--no-pager", "-o", "cat", "-u", unit]).1
    }

    /// Waits until a property of a unit has the value.
    #[track_caller]
    pub fn wait_for_property(&self, unit: &str, name: &str, value: &str) {
        let mut last = String::new();
        let found = poll(SOON, || {
            last = self.property(unit, name);
            (last == value).then_some(())
        });
        assert!(found.is_some(), "{name} of {unit} is {last:?}, not {value:?}:\n{}", self.journal(unit));
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let journal = self.try_run(&["journalctl", "--no-pager", "-n", "60", "-o", "short-monotonic"]).1;
            eprintln!("---- journal of the machine\n{journal}----");
        }
        // The end of its first process is the end of all; the mounts go with the namespace of the script.
        let _ = kill(self.leader, Signal::SIGKILL);
        let ended = poll(Duration::from_secs(10), || self.nspawn.try_wait().ok().flatten());
        if ended.is_none() {
            let _ = self.nspawn.kill();
            let _ = self.nspawn.wait();
        }
        for hierarchy in ["", "systemd/", "unified/"] {
            for name in ["payload", "supervisor"] {
                remove_groups(&PathBuf::from(format!("/sys/fs/cgroup/{hierarchy}{name}")));
            }
        }
    }
}

/// nspawn leaves its empty control groups behind.
fn remove_groups(group: &Path) {
    for entry in std::fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_groups(&entry.path());
        }
    }
    let _ = std::fs::remove_dir(group);
}

fn is_first_process(process: Pid) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap_or_default();
    ids.split_whitespace().count() > 1 && ids.split_whitespace().next_back() == Some("1")
}

/// Puts the programs of this build into a directory, without the symbols that make them large.
#[track_caller]
pub fn install_programs(directory: &Path) {
    std::fs::create_dir_all(directory).expect("a directory for the programs");
    for program in programs() {
        let target = directory.join(program.file_name().expect("a program has a name"));
        let status = Command::new("strip").arg("-o").arg(&target).arg(&program).status();
        assert!(status.is_ok_and(|status| status.success()), "strip of binutils: {}", program.display());
    }
}

/// For what works a while: packing, Puppet, Ansible, images of containers.
const LONG: Duration = Duration::from_secs(300);

/// What a program prints that has to succeed.
#[track_caller]
pub fn good(mut command: Command, directory: &Path) -> String {
    command.current_dir(directory);
    let words = format!("{command:?}");
    let (status, output) = run(command, LONG);
    assert!(status.success(), "{words}: {status}\n{output}");
    output
}
