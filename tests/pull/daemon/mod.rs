//! haproxystats-pull from outside: the real program against real HAProxy processes, and against sockets that do what
//! no HAProxy should.

mod ended;
mod further;
mod logs;
mod reload;
mod restart;
mod sockets;

use crate::harness::haproxy::{Fake, INFO, ManySockets, STAT, Script, ask};
use crate::harness::site::Site;
use crate::harness::{self, Daemon, SOON, debian, names, poll, pull, wait_for, wait_until, with_config, write};
use nix::sys::signal::Signal;
use nix::sys::socket::{setsockopt, sockopt};
use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tempfile::TempDir;

/// Directories for one haproxystats-pull.
struct Place {
    root: TempDir,
    /// Further sections of the configuration.
    more: String,
}

impl Place {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("s")).unwrap();
        Self { root, more: String::new() }
    }

    /// With these further sections in the configuration.
    fn with(more: impl Into<String>) -> Self {
        Self { more: more.into(), ..Self::new() }
    }

    /// A directory for sockets; `socket-dir` unless a test says otherwise.
    fn sockets(&self) -> PathBuf {
        self.root.path().join("s")
    }

    fn incoming(&self) -> PathBuf {
        self.root.path().join("incoming")
    }

    fn staging(&self) -> PathBuf {
        self.root.path().join("incoming.tmp")
    }

    /// A scripted socket in `socket-dir`.
    fn fake(&self, name: &str, script: Script) -> Fake {
        Fake::start(&self.sockets(), name, script)
    }

    /// The command, for a configuration with these options over some that suit a loaded machine.
    fn command(&self, options: &[(&str, &str)]) -> Command {
        let defaults = [
            ("loglevel", "debug".to_owned()),
            ("socket-dir", self.sockets().display().to_string()),
            ("dst-dir", self.incoming().display().to_string()),
            ("tmp-dst-dir", self.staging().display().to_string()),
            ("pull-interval", "1".to_owned()),
            ("pull-timeout", "20".to_owned()),
            ("timeout", "5".to_owned()),
            ("retries", "0".to_owned()),
            ("interval", "0.05".to_owned()),
        ];
        let mut merged: BTreeMap<_, _> = defaults.into_iter().collect();
        merged.extend(options.iter().map(|(name, value)| (*name, (*value).to_owned())));
        let lines: String = merged
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| format!("{name} = {value}\n"))
            .collect();
        with_config(pull(), &write(self.root.path(), "haproxystats.conf", format!("[pull]\n{lines}{}", self.more)))
    }

    fn start(&self, options: &[(&str, &str)]) -> Daemon {
        Daemon::spawn(self.command(options))
    }

    /// Names in `dst-dir` that are epochs.
    fn published(&self) -> Vec<String> {
        epochs(&self.incoming())
    }

    /// Waits for the next snapshot beyond those that `seen` are there.
    #[track_caller]
    fn next(&self, pull: &Daemon, seen: usize) -> PathBuf {
        let snapshot = poll(SOON, || self.published().into_iter().nth(seen));
        let Some(name) = snapshot else { panic!("no snapshot was published:\n{}", pull.output()) };
        self.incoming().join(name)
    }

    #[track_caller]
    fn assert_nothing_is_left(&self) {
        assert_eq!(names(&self.staging()), [""; 0], "in tmp-dst-dir");
        assert_eq!(names(&self.incoming().join(".staging")), [""; 0], "in the hidden directory");
    }
}

fn epochs(directory: &Path) -> Vec<String> {
    let is_epoch = |name: &String| !name.starts_with('0') && name.bytes().all(|byte| byte.is_ascii_digit());
    names(directory).into_iter().filter(is_epoch).collect()
}

/// Waits until `count` pulls have ended, published or not.
#[track_caller]
fn wait_for_pulls(pull: &mut Daemon, count: usize) {
    let done = poll(SOON * 2, || (pull.output().matches(" pulled ").count() >= count).then_some(()));
    assert!(done.is_some(), "{count} pulls did not end:\n{}", pull.output());
}

/// pull's own figures in a snapshot.
fn figures(snapshot: &Path) -> BTreeMap<String, f64> {
    let text = fs::read_to_string(snapshot.join(".pull")).unwrap();
    let pair = |line: &str| line.split_once(' ').map(|(name, value)| (name.to_owned(), value.parse().unwrap()));
    text.lines().map(|line| pair(line).unwrap_or_else(|| panic!("{line}"))).collect()
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// pxname and svname of every row.
fn objects(stat: &str) -> Vec<String> {
    let mut reader = csv::Reader::from_reader(stat.as_bytes());
    let rows = reader.records().map(|row| row.expect("a row"));
    rows.map(|row| format!("{}/{}", &row[0], &row[1])).collect()
}

#[track_caller]
fn read(path: PathBuf) -> String {
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

// Real HAProxy.

#[test]
fn what_haproxy_says_is_published_complete_and_under_the_names_of_the_sockets() {
    let (site, place) = (Site::start(2, 1), Place::new());
    let socket_dir = site.socket_dir().display().to_string();
    let mut pull = place.start(&[("socket-dir", &socket_dir), ("servers", &site.servers())]);
    let snapshot = place.next(&pull, 1);
    let mut expected = vec![".pull".to_owned()];
    for number in 0..3 {
        let name = site.file_name(number);
        let stat = read(snapshot.join(format!("{name}_stat")));
        assert!(stat.starts_with("# pxname,svname,") && stat.ends_with("\n\n"), "{stat}");
        assert_eq!(objects(&stat), objects(&site.ask(number, "show stat")));
        let info = read(snapshot.join(format!("{name}_info")));
        assert!(info.starts_with("Name: HAProxy\n") && info.ends_with("\n\n"), "{info}");
        assert!(info.contains(&format!("\nPid: {}\n", site.info(number, "Pid"))), "{info}");
        expected.extend([format!("{name}_info"), format!("{name}_stat")]);
    }
    expected.sort();
    assert_eq!(names(&snapshot), expected);
    let figures = figures(&snapshot);
    assert_eq!((figures["PullSockets"], figures["PullFailedSockets"], figures["PullFailedTicks"]), (3.0, 0.0, 0.0));
    assert!(figures["PullPublished"] >= 2.0 && figures["PullBytes"] > 10_000.0 && figures["PullDuration"] < 20.0);
    pull.stop(SOON);
    place.assert_nothing_is_left();
}

#[test]
fn a_reload_of_haproxy_costs_nothing() {
    let (site, place) = (Site::start(1, 0), Place::new());
    let socket_dir = site.socket_dir().display().to_string();
    let mut pull = place.start(&[("socket-dir", &socket_dir), ("retries", "20")]);
    let mut pids = Vec::new();
    for _ in 0..3 {
        let seen = place.published().len();
        place.next(&pull, seen);
        site.reload(0);
        pids.push(site.info(0, "Pid"));
    }
    let seen = place.published().len();
    let last = place.next(&pull, seen);
    assert!(read(last.join("lb0.sock_info")).contains(&format!("\nPid: {}\n", pids[2])));
    for name in place.published() {
        let snapshot = place.incoming().join(name);
        assert_eq!(names(&snapshot), [".pull", "lb0.sock_info", "lb0.sock_stat"]);
        assert!(read(snapshot.join("lb0.sock_stat")).ends_with("\n\n"));
    }
    let figures = figures(&last);
    assert_eq!((figures["PullFailedSockets"], figures["PullFailedTicks"]), (0.0, 0.0), "{}", pull.output());
    pull.stop(SOON);
}

#[test]
fn a_stopped_haproxy_stops_the_snapshots_and_a_started_one_brings_them_back() {
    let (mut site, place) = (Site::start(2, 0), Place::new());
    let socket_dir = site.socket_dir().display().to_string();
    let mut pull = place.start(&[("socket-dir", &socket_dir), ("retries", "1")]);
    place.next(&pull, 0);
    site.stop(1);
    pull.wait_for_output("nothing is published: sockets failed", SOON);
    let seen = place.published().len();
    let pulls = pull.output().matches("published=false").count();
    wait_until(SOON * 2, "three pulls fail", || pull.output().matches("published=false").count() >= pulls + 3);
    assert_eq!(place.published().len(), seen, "{}", pull.output());
    // Once, or twice when the end came in the middle of a reply.
    assert!(pull.output().matches("socket failed").count() <= 2, "said too often:\n{}", pull.output());
    site.launch(1);
    let snapshot = place.next(&pull, seen);
    assert!(pull.output().contains("Connection refused"), "{}", pull.output());
    pull.wait_for_output("socket answers again", SOON);
    let figures = figures(&snapshot);
    assert!(figures["PullFailedTicks"] >= 3.0 && figures["PullFailedSocketsConnect"] >= 3.0);
    assert!(figures["PullRetries"] >= 3.0, "{figures:?}");
    pull.stop(SOON);
}

#[test]
fn an_empty_line_within_quotes_does_not_end_a_reply() {
    // HAProxy repeats in last_chk what a server said to a check, line breaks and all.
    let place = Place::new();
    let socket = place.sockets().join("ha.sock");
    let port = harness::free_port();
    let text = format!(
        "global\n\tstats socket {} mode 600\n\
         defaults\n\tmode http\n\ttimeout connect 2s\n\ttimeout client 2s\n\ttimeout server 2s\n\
         frontend app\n\tbind 127.0.0.1:{port}\n\thttp-request return status 500 content-type text/plain string nay\n\
         backend first\n\toption httpchk\n\
         \thttp-check expect status 200 on-error \"%[res.body] \\n\\n, \\\"quoted\\\"\\n\\n\"\n\
         \tserver s1 127.0.0.1:{port} check inter 200ms\n\
         backend last\n\tserver s1 127.0.0.1:{port}\n",
        socket.display()
    );
    let mut haproxy = Command::new(debian("haproxy"));
    haproxy.arg("-db").arg("-f").arg(write(place.root.path(), "haproxy.cfg", text));
    let _haproxy = Daemon::spawn(haproxy);
    wait_until(SOON, "HAProxy shows the failed check with its line breaks", || {
        ask(&socket, "show stat").is_some_and(|stat| stat.contains("\n\n, \"\"quoted\"\""))
    });
    let mut pull = place.start(&[]);
    let stat = read(place.next(&pull, 0).join("ha.sock_stat"));
    assert!(stat.contains("\n\n, \"\"quoted\"\""), "{stat}");
    assert_eq!(objects(&stat), ["app/FRONTEND", "first/s1", "first/BACKEND", "last/s1", "last/BACKEND"]);
    pull.stop(SOON);
}

#[test]
fn two_hundred_sockets_need_little_memory() {
    // Replies of 300 kB each, 60 MB in all: nothing of that may be held.
    let haproxy = ManySockets::start(200, 1000);
    let place = Place::with(haproxy.hosts());
    let socket_dir = haproxy.socket_dir().display().to_string();
    let options = [("socket-dir", socket_dir.as_str()), ("pull-interval", "5"), ("pull-timeout", "60")];
    let mut pull = place.start(&options);
    let snapshot =
        wait_for(SOON * 6, "a snapshot", || place.published().first().map(|name| place.incoming().join(name)));
    let files = names(&snapshot);
    assert_eq!(files.len(), 401, "{files:?}");
    for file in files.iter().filter(|file| file.ends_with("_stat")) {
        assert_eq!(read(snapshot.join(file)).lines().count(), 1 + 1001 + 1, "{file}");
    }
    let status = read(PathBuf::from(format!("/proc/{}/status", pull.pid())));
    let kib = |figure: &str| -> u64 {
        let value = status.lines().find_map(|line| line.strip_prefix(figure)).expect(figure);
        value.trim().trim_end_matches(" kB").parse().expect("a number of kB")
    };
    // Without the pages of the program, which a debug build has many of, and the kernel can drop.
    let peak = kib("VmHWM:") - kib("RssFile:");
    println!("peak memory with 200 sockets: {peak} KiB");
    assert!(peak <= 8 * 1024, "{peak} KiB");
    assert!(haproxy.daemon().rss_kib().is_some(), "HAProxy ended");
    pull.stop(SOON);
}

// Replies that are none.

const UNKNOWN: &str = "Unknown command. Please enter one of the following commands only :\n  help\n\n";

/// What a socket may do wrong, what the log says of it, and the figure that counts it.
fn misbehaviour() -> Vec<(&'static str, Script, &'static str, &'static str)> {
    let (info, both) = (INFO.len(), INFO.len() + STAT.len());
    let twice = Script::Answer { info: INFO.into(), stat: STAT.repeat(2).into() };
    let large = "the answer to \"show stat\" is longer than max-reply-size = 100000 bytes";
    vec![
        ("close", Script::Close, "closed without an answer", "Empty"),
        ("cut-info", Script::Cut(20), "the answer to \"show info\" ends after 20 bytes", "Truncated"),
        // Might be a peer that accepts one command per connection; asked so, it cuts the other reply.
        ("no-stat", Script::Cut(info), "the answer to \"show stat\" ends after", "Truncated"),
        ("cut-stat", Script::Cut(info + 50), "the answer to \"show stat\" ends after 50 bytes", "Truncated"),
        ("cut-end", Script::Cut(both - 1), "without the terminating empty line", "Truncated"),
        ("denied", Script::Text("Permission denied\n\n"), "is \"Permission denied\"", "Refused"),
        ("unknown", Script::Text(UNKNOWN), "is \"Unknown command. Please enter one", "Refused"),
        ("http", Script::Text("HTTP/1.0 400 Bad request\r\n\r\n"), "is \"HTTP/1.0 400 Bad request\"", "Refused"),
        ("hang", Script::Hang, "pull-timeout = 2 s expired before the first byte of the answer", "Timeout"),
        ("trickle", Script::Trickle(Duration::from_millis(100)), "pull-timeout = 2 s expired after", "Timeout"),
        ("endless", Script::Endless, large, "TooLarge"),
        ("corrupt", twice, "unexpected data after the end of the answer", "Corrupt"),
    ]
}

#[test]
fn a_reply_that_is_none_keeps_the_whole_tick_back_and_says_why() {
    std::thread::scope(|scope| {
        for (name, script, reason, counter) in misbehaviour() {
            scope.spawn(move || keeps_the_whole_tick_back(name, script, reason, counter));
        }
    });
}

#[track_caller]
fn keeps_the_whole_tick_back(name: &str, script: Script, reason: &str, counter: &str) {
    let place = Place::new();
    let _good = place.fake("good.sock", Script::good());
    // It has shown to be a stats socket, and stays one whatever it says.
    let bad = place.fake("bad.sock", Script::good());
    let mut pull = place.start(&[("pull-timeout", "2"), ("max-reply-size", "100000")]);
    place.next(&pull, 0);
    bad.set(script);
    pull.wait_for_output("socket failed", SOON);
    let seen = place.published().len();
    let failed = |pull: &Daemon| pull.output().matches("published=false").count();
    wait_until(SOON * 2, "two pulls fail", || failed(&pull) >= 2);
    let output = pull.output();
    assert_eq!(place.published().len(), seen, "{name}:\n{output}");
    assert!(output.contains(reason), "{name}: {reason}\n{output}");
    assert_eq!(output.matches("socket failed socket=\"bad.sock\"").count(), 1, "{name}:\n{output}");
    assert!(!output.contains("socket=\"good.sock\""), "{name}:\n{output}");
    // It mends itself as soon as the socket does.
    bad.set(Script::good());
    let snapshot = place.next(&pull, seen);
    assert_eq!(names(&snapshot), [".pull", "bad.sock_info", "bad.sock_stat", "good.sock_info", "good.sock_stat"]);
    assert_eq!(read(snapshot.join("bad.sock_stat")), STAT, "{name}");
    let figures = figures(&snapshot);
    assert!(figures[&format!("PullFailedSockets{counter}")] >= 2.0, "{name}: {figures:?}");
    assert!(figures["PullFailedTicks"] >= 2.0, "{name}: {figures:?}");
    pull.stop(SOON);
    place.assert_nothing_is_left();
}

#[test]
fn keep_rest_publishes_the_healthy_sockets_and_nothing_of_the_others() {
    let place = Place::new();
    let _good = place.fake("good.sock", Script::good());
    let scripts = misbehaviour();
    let bad: Vec<_> = scripts.iter().map(|(name, ..)| place.fake(name, Script::good())).collect();
    let options = [("on-socket-failure", "keep-rest"), ("pull-timeout", "2"), ("max-reply-size", "100000")];
    let mut pull = place.start(&options);
    place.next(&pull, 0);
    for (bad, (_, script, ..)) in bad.iter().zip(&scripts) {
        bad.set(script.clone());
    }
    let rest = |name: &String| names(&place.incoming().join(name)).len() == 3;
    let first = wait_for(SOON, "a snapshot of the rest", || place.published().iter().position(rest));
    let (one, next) = (place.next(&pull, first), place.next(&pull, first + 1));
    assert_eq!(names(&next), [".pull", "good.sock_info", "good.sock_stat"]);
    let (before, figures) = (figures(&one), figures(&next));
    let failed = u32::try_from(scripts.len()).unwrap();
    assert_eq!(figures["PullSockets"], f64::from(failed + 1));
    assert_eq!(figures["PullFailedSockets"] - before["PullFailedSockets"], f64::from(failed), "{}", pull.output());
    assert_eq!(figures["PullFailedTicks"], 0.0);
    pull.stop(SOON);
}

#[test]
fn keep_rest_without_any_rest_publishes_nothing() {
    let place = Place::new();
    let _bad = place.fake("bad.sock", Script::Close);
    let mut pull = place.start(&[("on-socket-failure", "keep-rest")]);
    wait_for_pulls(&mut pull, 2);
    assert_eq!(place.published(), [""; 0], "{}", pull.output());
    pull.stop(SOON);
}

#[test]
fn replies_of_every_haproxy_pass_unchanged() {
    let samples = crate::harness::root().join("tests/data/samples");
    let place = Place::new();
    let versions: Vec<_> = names(&samples).into_iter().filter(|name| samples.join(name).is_dir()).collect();
    assert!(versions.len() >= 11, "{versions:?}");
    let reply = |version: &str, command: &str| fs::read(samples.join(version).join(command)).unwrap();
    let answer =
        |version: &str| Script::Answer { info: reply(version, "show_info"), stat: reply(version, "show_stat") };
    let _fakes: Vec<_> = versions.iter().map(|version| place.fake(version, answer(version))).collect();
    let mut pull = place.start(&[]);
    let snapshot = place.next(&pull, 0);
    for version in &versions {
        assert_eq!(
            fs::read(snapshot.join(format!("{version}_info"))).unwrap(),
            reply(version, "show_info"),
            "{version}"
        );
        assert_eq!(
            fs::read(snapshot.join(format!("{version}_stat"))).unwrap(),
            reply(version, "show_stat"),
            "{version}"
        );
    }
    pull.stop(SOON);
}

#[test]
fn a_peer_with_one_command_per_connection_is_asked_twice() {
    let place = Place::new();
    let fake = place.fake("one.sock", Script::FirstCommandOnly);
    let mut pull = place.start(&[]);
    let snapshot = place.next(&pull, 1);
    assert_eq!(read(snapshot.join("one.sock_info")), INFO);
    assert_eq!(read(snapshot.join("one.sock_stat")), STAT);
    assert_eq!(pull.output().matches("accepts only one command per connection").count(), 1, "{}", pull.output());
    pull.stop(SOON);
    // Three connections to find out, two for each pull from then on.
    assert_eq!(fake.connections() % 2, 1, "{}", fake.connections());
}

#[test]
fn a_connection_that_stays_open_after_the_reply_is_no_failure() {
    let place = Place::new();
    let fake = place.fake("open.sock", Script::KeepOpen);
    let mut pull = place.start(&[]);
    let snapshot = place.next(&pull, 0);
    assert_eq!(read(snapshot.join("open.sock_stat")), STAT);
    pull.stop(SOON);
    assert!(fake.connections() >= 1);
}

#[test]
fn a_socket_that_holds_little_is_read_without_pauses() {
    let place = Place::new();
    let rows = "web,a.server.with.a.name,\n".repeat(40_000);
    let reply = format!("{INFO}# pxname,svname,\n{rows}\n");
    let listener = UnixListener::bind(place.sockets().join("small.sock")).unwrap();
    let peer = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        // The least that the kernel allows, some thousand bytes.
        setsockopt(&stream, sockopt::SndBuf, &1).unwrap();
        stream.read_exact(&mut [0; b"show info;show stat\n".len()]).unwrap();
        let start = Instant::now();
        stream.write_all(reply.as_bytes()).unwrap();
        (start.elapsed(), reply.len())
    });
    let mut pull = place.start(&[]);
    let snapshot = place.next(&pull, 0);
    let (time, length) = peer.join().unwrap();
    assert_eq!(read(snapshot.join("small.sock_stat")).len() + INFO.len(), length);
    // Pieces of this size, a tenth of a second apart, would take a minute.
    assert!(time < SOON / 2, "{time:?}");
    pull.stop(SOON);
}

// Sockets.

#[test]
fn sockets_are_looked_for_at_every_pull() {
    let place = Place::new();
    let mut pull = place.start(&[]);
    pull.wait_for_output("there are no sockets to pull from", SOON);
    assert_eq!(place.published(), [""; 0]);
    let first = place.fake("a.sock", Script::good());
    assert_eq!(names(&place.next(&pull, 0)), [".pull", "a.sock_info", "a.sock_stat"]);
    let _second = place.fake("b.sock", Script::good());
    pull.wait_for_output("socket appeared socket=\"b.sock\"", SOON);
    fs::remove_file(first.path()).unwrap();
    pull.wait_for_output("socket is gone socket=\"a.sock\"", SOON);
    let seen = place.published().len();
    assert_eq!(names(&place.next(&pull, seen)), [".pull", "b.sock_info", "b.sock_stat"]);
    pull.stop(SOON);
}

#[test]
fn what_is_no_socket_does_no_harm() {
    let place = Place::new();
    let _good = place.fake("good.sock", Script::good());
    std::os::unix::fs::symlink("nowhere", place.sockets().join("dangling")).unwrap();
    std::os::unix::fs::symlink("good.sock", place.sockets().join("another-name-for-good")).unwrap();
    fs::write(place.sockets().join("file"), "").unwrap();
    fs::create_dir(place.sockets().join("directory")).unwrap();
    let mut pull = place.start(&[]);
    assert_eq!(names(&place.next(&pull, 1)), [".pull", "good.sock_info", "good.sock_stat"]);
    pull.stop(SOON);
    for (file, reason) in [("dangling", "a dangling symbolic link"), ("file", "not a socket")] {
        let line = format!("file={file} reason=\"{reason}\"");
        assert_eq!(pull.output().matches(&line).count(), 1, "{line}\n{}", pull.output());
    }
}

#[test]
fn sockets_of_one_name_do_not_overwrite_each_other() {
    let place = Place::new();
    let (a, b) = (place.root.path().join("a"), place.root.path().join("b"));
    fs::create_dir(&a).unwrap();
    fs::create_dir(&b).unwrap();
    let answer = |node: &str| Script::Answer { info: INFO.replace("lb-01", node).into(), stat: STAT.into() };
    let first = Fake::start(&a, "ha.sock", answer("first"));
    let second = Fake::start(&b, "ha.sock", answer("second"));
    let _third = place.fake("other.sock", Script::good());
    let servers = format!("unix://{},unix://{}", first.path().display(), second.path().display());
    let mut pull = place.start(&[("servers", &servers)]);
    let snapshot = place.next(&pull, 0);
    assert_eq!(
        names(&snapshot),
        [
            ".pull",
            "a_ha.sock_info",
            "a_ha.sock_stat",
            "b_ha.sock_info",
            "b_ha.sock_stat",
            "other.sock_info",
            "other.sock_stat"
        ]
    );
    assert!(read(snapshot.join("a_ha.sock_info")).contains("node: first"));
    assert!(read(snapshot.join("b_ha.sock_info")).contains("node: second"));
    pull.stop(SOON);
}

#[test]
fn tcp_servers_may_be_names_and_ipv6_addresses() {
    let (site, place) = (Site::start(0, 1), Place::new());
    let port = site.file_name(0).rsplit_once(':').unwrap().1.to_owned();
    // HAProxy listens on 127.0.0.1; this takes the same connections on ::1, if there is such an address.
    let relay = std::net::TcpListener::bind("[::1]:0").ok();
    let mut servers = vec![format!("tcp://localhost:{port}"), format!("tcp://127.0.0.1:{port}")];
    if let Some(relay) = relay {
        let address = relay.local_addr().unwrap();
        servers.push(format!("tcp://{address}"));
        std::thread::spawn(move || {
            for mut stream in relay.incoming().flatten() {
                use std::io::{Read, Write};
                let mut line = [0; 100];
                let _ = stream.read(&mut line).and_then(|_| stream.write_all(format!("{INFO}{STAT}").as_bytes()));
            }
        });
    } else {
        // Docker takes ::1 away from containers in a network without IPv6, where CI often runs; nothing that can be
        // installed brings it back, so this is no peer that must not be missing.
        let addresses = std::fs::read_to_string("/proc/net/if_inet6").unwrap_or_default();
        assert!(!addresses.contains(&format!("{:032x} ", 1)), "::1 is there and cannot be used:\n{addresses}");
        println!("the part about IPv6 is left out: this machine has no ::1");
    }
    let mut pull = place.start(&[("servers", &servers.join(",")), ("socket-dir", ""), ("timeout", "15")]);
    let snapshot = place.next(&pull, 0);
    let mut expected = vec![".pull".to_owned()];
    // The first two lead to one process, which is asked through the first.
    for server in servers.iter().filter(|server| !server.contains("127.0.0.1")) {
        let name = server.trim_start_matches("tcp://").replace(['[', ']'], "");
        expected.extend([format!("{name}_info"), format!("{name}_stat")]);
    }
    expected.sort();
    assert_eq!(names(&snapshot), expected);
    pull.stop(SOON);
    let line = format!("sockets=\"localhost:{port}, 127.0.0.1:{port}\"");
    assert_eq!(pull.output().matches(&line).count(), 1, "{}", pull.output());
}

// Time.

#[test]
fn ticks_stay_on_the_grid_and_late_ones_are_skipped_and_counted() {
    let place = Place::new();
    let _slow = place.fake("slow.sock", Script::Slow(Duration::from_millis(2500)));
    let mut pull = place.start(&[("pull-interval", "2")]);
    let third = place.next(&pull, 2);
    let epochs: Vec<u64> = place.published().iter().map(|name| name.parse().unwrap()).collect();
    assert!(epochs.iter().all(|epoch| epoch % 2 == 0), "{epochs:?}");
    // A pull takes longer than an interval, so at least every second tick is skipped, and there is no burst.
    assert!(epochs.windows(2).all(|pair| pair[1] - pair[0] >= 4), "{epochs:?}");
    let skipped = figures(&third)["PullSkippedTicks"];
    let expected = (epochs[2] - epochs[0]) / 2 - 2;
    assert!(skipped >= 2.0 && skipped.round() as u64 >= expected, "{skipped} of {expected}: {epochs:?}");
    assert_eq!(pull.output().matches("ticks were skipped").count(), 1, "said once:\n{}", pull.output());
    pull.stop(SOON);
}

#[test]
fn a_pull_timeout_below_a_second_means_what_it_says() {
    let place = Place::new();
    let _hang = place.fake("hang.sock", Script::Hang);
    let mut pull = place.start(&[("pull-timeout", "0.3")]);
    pull.wait_for_output("pull-timeout = 0.3 s expired", SOON);
    pull.stop(SOON);
}

#[test]
fn retries_for_ever_are_bounded_by_the_pull_timeout() {
    let place = Place::new();
    let nobody = place.root.path().join("nobody.sock");
    let servers = format!("unix://{}", nobody.display());
    let options = [("servers", servers.as_str()), ("socket-dir", ""), ("retries", "-1"), ("pull-timeout", "1")];
    let mut pull = place.start(&options);
    pull.wait_for_output("pull-timeout = 1 s expired while retrying after: cannot connect to", SOON);
    // A socket that appears while attempts go on is taken at once.
    let _late = Fake::start(place.root.path(), "nobody.sock", Script::good());
    let snapshot = place.next(&pull, 0);
    assert!(figures(&snapshot)["PullRetries"] >= 3.0);
    pull.stop(SOON);
}

#[test]
fn a_snapshot_of_the_same_second_is_never_overwritten() {
    let place = Place::new();
    let _good = place.fake("good.sock", Script::good());
    let ours: Vec<_> = (now()..now() + 30).map(|epoch| place.incoming().join(epoch.to_string())).collect();
    for path in &ours {
        fs::create_dir_all(path).unwrap();
        fs::write(path.join("precious"), "").unwrap();
    }
    let mut pull = place.start(&[]);
    pull.wait_for_output("there is already a snapshot for this second", SOON);
    pull.stop(SOON);
    assert!(ours.iter().all(|path| names(path) == ["precious"]));
    place.assert_nothing_is_left();
}

// The end.

/// As [`ends_at_once`], in the middle of a pull, which may end after the first signal; the second ends all.
#[track_caller]
fn ends_at_the_second(place: &Place, pull: &mut Daemon, signal: Signal) {
    pull.signal(signal);
    pull.wait_for_output("is stopping after this pull", SOON);
    let start = Instant::now();
    ends_at_once(place, pull, signal);
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    assert!(pull.output().contains("the pull is aborted: second signal"), "{}", pull.output());
}

/// Signals the program in a state that it was brought to, and checks that it ends at once and cleanly.
#[track_caller]
fn ends_at_once(place: &Place, pull: &mut Daemon, signal: Signal) {
    pull.signal(signal);
    let status = pull.wait(SOON);
    assert!(status.success(), "{status} after {signal}:\n{}", pull.output());
    place.assert_nothing_is_left();
}

const SIGNALS: [Signal; 2] = [Signal::SIGTERM, Signal::SIGINT];

#[test]
fn signals_end_it_while_it_sleeps() {
    for signal in SIGNALS {
        let place = Place::new();
        let _good = place.fake("good.sock", Script::good());
        let mut pull = place.start(&[("pull-interval", "86400")]);
        pull.wait_for_output("is running", SOON);
        ends_at_once(&place, &mut pull, signal);
    }
}

#[test]
fn signals_end_it_while_it_is_suspended() {
    for signal in SIGNALS {
        let place = Place::new();
        let _good = place.fake("good.sock", Script::good());
        fs::create_dir_all(place.incoming().join("1500000000")).unwrap();
        let mut pull = place.start(&[("queue-size", "1")]);
        pull.wait_for_output("pulling is suspended", SOON);
        ends_at_once(&place, &mut pull, signal);
        assert_eq!(place.published(), ["1500000000"]);
    }
}

#[test]
fn signals_end_it_in_the_middle_of_a_pull() {
    for signal in SIGNALS {
        let place = Place::new();
        let _good = place.fake("good.sock", Script::good());
        let _slow = place.fake("slow.sock", Script::Trickle(Duration::from_millis(50)));
        let mut pull = place.start(&[("pull-timeout", "0")]);
        wait_until(SOON, "a file is half written", || {
            epochs(&place.staging()).first().is_some_and(|epoch| {
                fs::metadata(place.staging().join(epoch).join("slow.sock_info")).is_ok_and(|meta| meta.size() > 0)
            })
        });
        ends_at_the_second(&place, &mut pull, signal);
        assert_eq!(place.published(), [""; 0]);
    }
}

#[test]
fn signals_end_it_while_it_waits_for_sockets_that_hang_or_refuse() {
    for signal in SIGNALS {
        let place = Place::new();
        let hang = place.fake("hang.sock", Script::Hang);
        let refusing = place.fake("refuse.sock", Script::Close);
        let mut pull = place.start(&[("pull-timeout", "0"), ("retries", "-1")]);
        wait_until(SOON, "both sockets were asked", || hang.connections() > 0 && refusing.connections() > 1);
        ends_at_the_second(&place, &mut pull, signal);
    }
}

// The disk.

#[test]
fn queue_size_suspends_until_there_is_room() {
    let place = Place::new();
    let _good = place.fake("good.sock", Script::good());
    // What is not a snapshot does not count.
    for name in ["failed", ".hidden", "0123"] {
        fs::create_dir_all(place.incoming().join(name)).unwrap();
    }
    let mut pull = place.start(&[("queue-size", "2")]);
    let first = place.next(&pull, 0);
    pull.wait_for_output("pulling is suspended", SOON);
    assert_eq!(place.published().len(), 2);
    fs::remove_dir_all(first).unwrap();
    let third = place.next(&pull, 1);
    assert!(figures(&third)["PullSuspendedTicks"] >= 1.0);
    pull.wait_for_output("snapshots are published again", SOON);
    pull.stop(SOON);
}

#[test]
fn leftovers_of_a_crash_are_removed_at_the_start_and_foreign_files_are_not() {
    let place = Place::new();
    fs::create_dir_all(place.staging().join("1500000000")).unwrap();
    fs::write(place.staging().join("1500000000/a_info"), "half").unwrap();
    fs::create_dir_all(place.staging().join("keep-me")).unwrap();
    fs::create_dir_all(place.incoming().join(".staging/1500000010")).unwrap();
    fs::create_dir_all(place.incoming().join("1500000020")).unwrap();
    let mut pull = place.start(&[("pull-interval", "86400")]);
    pull.wait_for_output("is running", SOON);
    assert_eq!(names(&place.staging()), ["keep-me"]);
    assert_eq!(names(&place.incoming()), [".haproxystats-pull", ".staging", "1500000020"]);
    assert_eq!(names(&place.incoming().join(".staging")), [""; 0]);
    pull.stop(SOON);
}

#[test]
fn a_second_instance_keeps_its_hands_off() {
    let place = Place::new();
    let _slow = place.fake("slow.sock", Script::Trickle(Duration::from_millis(50)));
    let mut first = place.start(&[("pull-timeout", "0")]);
    wait_until(SOON, "a pull is under way", || !epochs(&place.staging()).is_empty());
    let (status, output) = harness::run(place.command(&[("pull-timeout", "0")]), SOON);
    assert_eq!(status.code(), Some(1), "{output}");
    assert!(output.contains("is in use by another haproxystats-pull"), "{output}");
    assert_eq!(epochs(&place.staging()).len(), 1);
    first.stop(SOON);
}

#[test]
fn killed_at_any_moment_it_leaves_no_half_snapshot() {
    let haproxy = ManySockets::start(20, 300);
    let place = Place::with(haproxy.hosts());
    let socket_dir = haproxy.socket_dir().display().to_string();
    let options = [("socket-dir", socket_dir.as_str()), ("queue-size", "1000")];
    let mut killed_within = 0;
    for round in 0..12_u64 {
        let mut pull = place.start(&options);
        wait_until(SOON, "a pull begins", || !epochs(&place.staging()).is_empty());
        // Somewhere in the pull, its publication, or the sleep after it.
        std::thread::sleep(Duration::from_millis(round * 5));
        pull.signal(Signal::SIGKILL);
        pull.wait(SOON);
        killed_within += usize::from(!epochs(&place.staging()).is_empty());
    }
    println!("{killed_within} of 12 were killed within a pull, {} snapshots published", place.published().len());
    assert!(killed_within > 0, "no kill hit a pull");
    let mut last = place.start(&[("socket-dir", &socket_dir), ("queue-size", "1000"), ("pull-interval", "86400")]);
    last.wait_for_output("is running", SOON);
    place.assert_nothing_is_left();
    last.stop(SOON);
    for name in place.published() {
        let files = names(&place.incoming().join(&name));
        assert_eq!(files.len(), 41, "{name}: {files:?}");
        for file in files.iter().filter(|file| *file != ".pull") {
            assert!(read(place.incoming().join(&name).join(file)).ends_with("\n\n"), "{name}/{file}");
        }
    }
}

#[test]
fn a_vanished_destination_is_made_again() {
    let place = Place::new();
    let _good = place.fake("good.sock", Script::good());
    let mut pull = place.start(&[]);
    place.next(&pull, 0);
    fs::remove_dir_all(place.incoming()).unwrap();
    place.next(&pull, 0);
    pull.wait_for_output("dst-dir has disappeared; creating it again", SOON);
    pull.stop(SOON);
}

#[test]
fn fsync_publishes_as_well() {
    let place = Place::new();
    let _good = place.fake("good.sock", Script::good());
    let mut pull = place.start(&[("fsync", "true")]);
    assert_eq!(read(place.next(&pull, 1).join("good.sock_stat")), STAT);
    pull.stop(SOON);
    place.assert_nothing_is_left();
}

#[test]
fn sockets_are_spread_over_the_jitter_and_each_has_its_whole_time() {
    let place = Place::new();
    let names: Vec<String> = (0..12).map(|number| format!("node{number}.sock")).collect();
    let _sockets: Vec<_> = names.iter().map(|name| place.fake(name, Script::good())).collect();
    let mut pull =
        place.start(&[("pull-interval", "2"), ("jitter", "0.8"), ("pull-timeout", "0.3"), ("timeout", "0.2")]);
    let snapshot = place.next(&pull, 1);
    let times = |name: &String| fs::metadata(snapshot.join(format!("{name}_stat"))).unwrap().modified().unwrap();
    let (first, last) = (names.iter().map(times).min().unwrap(), names.iter().map(times).max().unwrap());
    let spread = last.duration_since(first).unwrap();
    assert!(spread > Duration::from_millis(300) && spread < Duration::from_secs(2), "{spread:?}");
    pull.stop(SOON);
}

#[test]
fn two_file_systems_are_bridged_inside_the_destination() {
    let place = Place::new();
    let Ok(other) = tempfile::tempdir_in("/dev/shm") else {
        return harness::leave_out("two file systems", "/dev/shm is not there");
    };
    let device = |path: &Path| fs::metadata(path).unwrap().dev();
    if device(other.path()) == device(place.root.path()) {
        return harness::leave_out("two file systems", "/dev/shm is on that of the temporary directory");
    }
    let _good = place.fake("good.sock", Script::good());
    let staging = other.path().join("incoming.tmp");
    for fsync in ["false", "true"] {
        let seen = place.published().len();
        let mut pull = place.start(&[("tmp-dst-dir", &staging.display().to_string()), ("fsync", fsync)]);
        let snapshot = place.next(&pull, seen + 1);
        assert_eq!(names(&snapshot), [".pull", "good.sock_info", "good.sock_stat"]);
        assert_eq!(read(snapshot.join("good.sock_stat")), STAT);
        assert_eq!(pull.output().matches("are on different file systems").count(), 1, "{}", pull.output());
        pull.stop(SOON);
        assert_eq!(names(&staging), [""; 0]);
        place.assert_nothing_is_left();
    }
}

/// A small file system of its own, for as long as this lives.
struct Small(PathBuf);

impl Small {
    /// `None`, with a word why, where that is not allowed.
    fn mount(path: PathBuf, options: &str) -> Option<Self> {
        fs::create_dir_all(&path).unwrap();
        let mut mount = Command::new(debian("mount"));
        mount.args(["-t", "tmpfs", "-o", options, "none"]).arg(&path);
        if nix::unistd::geteuid().is_root() && mount.status().is_ok_and(|status| status.success()) {
            return Some(Self(path));
        }
        harness::leave_out("a small disk", "mounting a file system needs root");
        None
    }

    fn remount(&self, options: &str) {
        let status = Command::new(debian("mount")).args(["-o", &format!("remount,{options}")]).arg(&self.0).status();
        assert!(status.unwrap().success());
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // Lazily: a test that panics may still have files open there.
        let _ = Command::new(debian("umount")).arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_costs_snapshots_and_nothing_else() {
    let haproxy = ManySockets::start(4, 1000);
    let socket_dir = haproxy.socket_dir().display().to_string();
    // A snapshot takes about 1.2 MB: files do not fit, then directories do not.
    for (limit, room) in [("size=300k", "size=20m"), ("size=20m,nr_inodes=5", "nr_inodes=1000")] {
        let place = Place::with(haproxy.hosts());
        let Some(small) = Small::mount(place.root.path().join("disk"), limit) else { return };
        let (dst, tmp) = (small.0.join("incoming"), small.0.join("incoming.tmp"));
        let (dst_dir, tmp_dst_dir) = (dst.display().to_string(), tmp.display().to_string());
        let options = [("socket-dir", socket_dir.as_str()), ("dst-dir", &dst_dir), ("tmp-dst-dir", &tmp_dst_dir)];
        let mut pull = place.start(&options);
        pull.wait_for_output("nothing is published", SOON);
        wait_until(SOON, "what was begun is removed", || names(&tmp).is_empty());
        assert_eq!(epochs(&dst), [""; 0]);
        assert!(pull.output().contains("No space left on device"), "{}", pull.output());
        small.remount(room);
        let name = wait_for(SOON, "a snapshot, once there is room", || epochs(&dst).first().cloned());
        assert_eq!(names(&dst.join(&name)).len(), 9);
        assert_eq!(pull.output().matches("No space left on device").count(), 1, "said once:\n{}", pull.output());
        assert!(figures(&dst.join(name))["PullFailedTicks"] >= 1.0);
        pull.stop(SOON);
        assert_eq!(names(&tmp), [""; 0]);
    }
}

#[test]
fn a_disk_that_turns_read_only_costs_snapshots_and_nothing_else() {
    let place = Place::new();
    let Some(small) = Small::mount(place.root.path().join("disk"), "size=20m") else { return };
    let _good = place.fake("good.sock", Script::good());
    let (dst, tmp) = (small.0.join("incoming"), small.0.join("incoming.tmp"));
    let mut pull = place.start(&[("dst-dir", &dst.display().to_string()), ("tmp-dst-dir", &tmp.display().to_string())]);
    wait_until(SOON, "a snapshot", || !epochs(&dst).is_empty());
    small.remount("ro");
    pull.wait_for_output("Read-only file system", SOON);
    let seen = epochs(&dst).len();
    small.remount("rw");
    wait_until(SOON, "snapshots go on", || epochs(&dst).len() > seen);
    pull.wait_for_output("snapshots are published again", SOON);
    pull.stop(SOON);
}

// The outside world.

#[test]
fn systemd_is_told_how_it_goes() {
    let place = Place::new();
    let _good = place.fake("good.sock", Script::good());
    let path = place.root.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(SOON)).unwrap();
    let mut command = place.command(&[]);
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "400000").env_remove("WATCHDOG_PID");
    let mut pull = Daemon::spawn(command);
    let mut received = Vec::new();
    let mut buffer = [0; 1000];
    let mut receive_until = |wanted: &str| {
        while !received.iter().any(|message: &String| message.contains(wanted)) {
            let length = socket.recv(&mut buffer).unwrap_or_else(|error| panic!("{wanted}: {error}: {received:?}"));
            received.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
        }
        std::mem::take(&mut received)
    };
    receive_until("READY=1");
    receive_until("WATCHDOG=1");
    receive_until("WATCHDOG=1");
    let status = receive_until("STATUS=last snapshot 1").join("");
    assert!(status.contains("1 sockets in 0."), "{status}");
    pull.signal(Signal::SIGHUP);
    let reload = receive_until("RELOADING=1").join("");
    assert!(reload.contains("MONOTONIC_USEC="), "{reload}");
    receive_until("READY=1");
    pull.signal(Signal::SIGTERM);
    receive_until("STOPPING=1");
    assert!(pull.wait(SOON).success());
}

#[test]
fn more_sockets_than_open_files_are_allowed_at_first() {
    let haproxy = ManySockets::start(60, 1);
    let place = Place::with(haproxy.hosts());
    let socket_dir = haproxy.socket_dir().display().to_string();
    let command = place.command(&[("socket-dir", &socket_dir)]);
    let mut limited = Command::new(debian("prlimit"));
    limited.arg("--nofile=40:4096").arg(command.get_program()).args(command.get_args());
    let mut pull = Daemon::spawn(limited);
    assert_eq!(names(&place.next(&pull, 0)).len(), 121);
    pull.stop(SOON);
}
