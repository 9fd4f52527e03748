//! Sockets as people have them: several of one process, several processes of one socket, others' sockets beside them,
//! large replies. With every HAProxy that is there.

use super::{Place, figures, read};
use crate::harness::haproxy::{Fake, STAT, Script, ask};
use crate::harness::newer::{Haproxy, haproxies, newer_haproxy, own_haproxy};
use crate::harness::reload::reload_haproxy;
use crate::harness::{Daemon, SOON, debian, free_port, leave_out, names, poll, wait_for, wait_until, write};
use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::process::Command;
use std::time::Duration;

const DEFAULTS: &str = "defaults\n\tmode http\n\ttimeout connect 1s\n\ttimeout client 5s\n\ttimeout server 5s\n\
     frontend www\n\tbind unix@{}/www.http\n\tdefault_backend web\nbackend web\n\tserver s1 127.0.0.1:9 disabled\n";

/// A real HAProxy with these lines in its global section, the path of the directory in place of `{}`. It runs as soon as
/// `socket` answers.
fn start(haproxy: &Haproxy, place: &Place, words: &[&str], global: &str, socket: &str) -> Daemon {
    let at = place.root.path().display().to_string();
    let text = format!("global\n{global}{DEFAULTS}").replace("{}", &at);
    let mut command = haproxy.command();
    command.args(words.iter().map(|word| word.replace("{}", &at)));
    command.arg("-f").arg(write(place.root.path(), "haproxy.cfg", text));
    let mut daemon = Daemon::spawn(command);
    wait_until(SOON, "HAProxy answers", || {
        assert!(daemon.is_running(), "HAProxy ended:\n{}", daemon.output());
        ask(&place.root.path().join(socket), "show info").is_some()
    });
    daemon
}

/// A reply to `show info` of one process.
fn info(pid: u32, more: &str) -> Vec<u8> {
    format!("Name: HAProxy\nVersion: 2.6.12\nPid: {pid}\nUptime_sec: 5000\nnode: lb\nStart_time_sec: 7\n{more}\n")
        .into()
}

fn process(pid: u32, more: &str) -> Script {
    Script::Answer { info: info(pid, more), stat: STAT.into() }
}

const ONE: &str = "these sockets belong to the same HAProxy process";

#[test]
fn a_process_with_several_sockets_is_asked_through_one() {
    for haproxy in haproxies() {
        let place = Place::new();
        let port = free_port();
        let global = format!(
            "\tstats socket {{}}/s/admin.sock mode 600 level admin\n\tstats socket {{}}/s/stats_ro.sock mode 600 level user\n\
             \tstats socket ipv4@127.0.0.1:{port} level user\n"
        );
        let daemon = start(&haproxy, &place, &["-W"], &global, "s/admin.sock");
        let servers = format!("tcp://127.0.0.1:{port},tcp://localhost:{port}");
        let mut pull = place.start(&[("servers", &servers)]);
        let files = [".pull", "admin.sock_info", "admin.sock_stat"];
        assert_eq!(names(&place.next(&pull, 0)), files, "{:?}", haproxy.version);
        // A reload makes another process of it, to which all sockets lead.
        let pid = |text: &str| text.lines().find_map(|line| line.strip_prefix("Pid: ").map(str::to_owned));
        let socket = place.sockets().join("admin.sock");
        let old = ask(&socket, "show info").and_then(|text| pid(&text));
        let new = || ask(&socket, "show info").and_then(|text| pid(&text));
        reload_haproxy(&daemon, || new().is_some_and(|new| Some(new) != old));
        let seen = place.published().len();
        let last = place.next(&pull, seen + 1);
        assert_eq!(figures(&last)["PullDuplicateSockets"], 3.0, "{}", pull.output());
        for name in place.published() {
            assert_eq!(names(&place.incoming().join(name)), files, "{:?}", haproxy.version);
        }
        pull.stop(SOON);
        let sockets = format!("sockets=\"admin.sock, stats_ro.sock, 127.0.0.1:{port}, localhost:{port}\"");
        assert_eq!(pull.output().matches(&sockets).count(), 1, "{sockets}\n{}", pull.output());
        assert_eq!(pull.output().matches(ONE).count(), 1, "{}", pull.output());
    }
}

#[test]
fn only_the_first_socket_of_a_process_is_asked_and_the_other_takes_over() {
    let place = Place::new();
    let first = place.fake("a.sock", process(11, ""));
    let second = place.fake("b.sock", process(11, ""));
    let mut pull = place.start(&[("pull-timeout", "2")]);
    place.next(&pull, 0);
    let asked = (first.connections(), second.connections());
    place.next(&pull, 3);
    assert!(first.connections() >= asked.0 + 3, "the first is asked at each pull");
    assert_eq!(second.connections(), asked.1, "the second is not");
    // In the same pull or the next, and nothing is held back.
    for script in [Script::Close, Script::Hang, Script::Text("Permission denied\n\n")] {
        let seen = place.published().len();
        first.set(script.clone());
        let snapshot = place.next(&pull, seen + 1);
        assert_eq!(names(&snapshot), [".pull", "b.sock_info", "b.sock_stat"], "{script:?}:\n{}", pull.output());
        first.set(process(11, ""));
        let seen = place.published().len();
        let snapshot = place.next(&pull, seen + 2);
        assert_eq!(names(&snapshot), [".pull", "a.sock_info", "a.sock_stat"], "{script:?}:\n{}", pull.output());
    }
    // Another process at the second socket is another one at once, since the first says that its own is gone.
    second.set(process(12, ""));
    first.set(process(13, ""));
    let seen = place.published().len();
    assert_eq!(names(&place.next(&pull, seen + 1)).len(), 5, "{}", pull.output());
    pull.stop(SOON);
    assert_eq!(pull.output().matches(ONE).count(), 1, "{}", pull.output());
}

#[test]
fn processes_that_only_look_like_one_all_count() {
    // Containers of one name and second, told apart by [hosts]; by their counters; not at all by an old version.
    let hosts = "[hosts]\na.sock = one\nb.sock = two\n";
    let old = |up: &str| format!("Name: HAProxy\nVersion: 2.2.0\nPid: 1\nUptime_sec: {up}\nnode: lb\n\n").into_bytes();
    let cases = [
        (hosts, info(1, "CumReq: 5\n"), info(1, "CumReq: 5\n"), ""),
        ("", info(1, "CumReq: 5\n"), info(1, "CumReq: 90000000\n"), "their counters differ too much"),
        ("", old("50"), old("51"), "does not report when it was started"),
    ];
    for (more, one, other, words) in cases {
        let place = Place::with(more);
        let _a = place.fake("a.sock", Script::Answer { info: one, stat: STAT.into() });
        let _b = place.fake("b.sock", Script::Answer { info: other, stat: STAT.into() });
        let mut pull = place.start(&[]);
        assert_eq!(names(&place.next(&pull, 2)).len(), 5, "{words}:\n{}", pull.output());
        pull.stop(SOON);
        assert_eq!(pull.output().matches(ONE).count(), 0, "{}", pull.output());
        assert_eq!(pull.output().matches("but that is not certain").count(), usize::from(!words.is_empty()));
        assert!(pull.output().contains(words), "{words}:\n{}", pull.output());
    }
}

/// A master's CLI, frontends' sockets and whatever else may lie beside the stats sockets of a real HAProxy.
#[test]
fn what_is_no_stats_socket_is_left_out_and_costs_nothing() {
    for haproxy in haproxies() {
        let place = Place::new();
        let sockets = place.sockets();
        let more = "\tstats socket {}/s/stats.sock mode 600 level user\n\
                    frontend plain\n\tmode http\n\ttimeout client 5s\n\tbind unix@{}/s/plain.fe\n\thttp-request return status 200\n\
                    frontend proxied\n\tmode http\n\ttimeout client 5s\n\tbind unix@{}/s/proxied.fe accept-proxy\n\thttp-request return status 200\n\
                    frontend closing\n\tmode tcp\n\ttimeout client 5s\n\tbind unix@{}/s/closing.fe\n\ttcp-request connection reject\n";
        let haproxy_runs = start(&haproxy, &place, &["-W", "-S", "{}/s/a-master.sock"], more, "s/stats.sock");
        let _datagrams = UnixDatagram::bind(sockets.join("dgram")).unwrap();
        std::os::unix::fs::symlink("nowhere", sockets.join("dangling")).unwrap();
        fs::write(sockets.join("file"), "").unwrap();
        let mut pull = place.start(&[("pull-timeout", "5"), ("retries", "1")]);
        let snapshot = place.next(&pull, 0);
        assert_eq!(names(&snapshot), [".pull", "stats.sock_info", "stats.sock_stat"], "{:?}", haproxy.version);
        let last = figures(&place.next(&pull, 2));
        assert_eq!(last["PullFailedTicks"], 0.0, "{:?}:\n{}", haproxy.version, pull.output());
        assert_eq!((last["PullSockets"], last["PullLeftOutSockets"]), (1.0, 5.0), "{}", pull.output());
        pull.stop(SOON);
        let output = pull.output();
        for name in [
            "socket=\"a-master.sock\"",
            "socket=\"plain.fe\"",
            "socket=\"proxied.fe\"",
            "socket=\"closing.fe\"",
            "socket=\"dgram\"",
            "file=dangling",
            "file=file",
        ] {
            let bare = name.replace('"', "");
            let lines = output
                .lines()
                .filter(|line| line.contains("skipped: ") && (line.contains(name) || line.contains(&bare)));
            assert_eq!(lines.count(), 1, "{name}, {:?}:\n{output}", haproxy.version);
        }
        assert!(output.contains("master process"), "{output}");
        drop(haproxy_runs);
    }
}

#[test]
fn a_socket_that_never_says_anything_costs_some_ticks_and_then_nothing() {
    let place = Place::new();
    let _good = place.fake("good.sock", Script::good());
    let silent = place.fake("silent.sock", Script::Hang);
    let mut pull = place.start(&[("pull-timeout", "1"), ("pull-interval", "2")]);
    let first = place.next(&pull, 0);
    assert_eq!(figures(&first)["PullFailedTicks"], 2.0, "{}", pull.output());
    let second = figures(&place.next(&pull, 1));
    // No time is spent on it any more.
    assert!(second["PullDuration"] < 0.9, "{second:?}");
    assert_eq!(second["PullFailedTicks"], 2.0);
    // It is looked at beside the ticks, and may turn out to be a HAProxy that hung.
    silent.set(Script::good());
    pull.wait_for_output("is a stats socket now", SOON * 2);
    let seen = place.published().len();
    assert_eq!(names(&place.next(&pull, seen)).len(), 5);
    // From now on it is one, and its silence is a failure.
    silent.set(Script::Hang);
    let failed = |pull: &Daemon| pull.output().matches("published=false").count();
    let before = failed(&pull);
    wait_until(SOON * 2, "pulls fail", || failed(&pull) >= before + 4);
    pull.stop(SOON);
}

#[test]
fn a_socket_that_becomes_a_stats_socket_is_pulled() {
    let place = Place::new();
    let _good = place.fake("good.sock", Script::good());
    let other = place.fake("other.sock", Script::Text("HTTP/1.1 400 Bad request\r\n\r\n"));
    let replaced = place.sockets().join("replaced.sock");
    let listener = Fake::start(&place.sockets(), "replaced.sock", Script::Text("+OK\r\n"));
    let mut pull = place.start(&[]);
    assert_eq!(names(&place.next(&pull, 0)), [".pull", "good.sock_info", "good.sock_stat"]);
    // A new socket of the same name is tried at once, the same one after a while.
    drop(listener);
    fs::remove_file(&replaced).unwrap();
    let _replacement = Fake::start(&place.sockets(), "replaced.sock", Script::good());
    other.set(Script::good());
    wait_until(SOON, "all three are pulled", || {
        place.published().last().is_some_and(|name| names(&place.incoming().join(name)).len() == 7)
    });
    pull.stop(SOON);
    assert_eq!(pull.output().matches("skipped: not a stats socket").count(), 2, "{}", pull.output());
}

#[test]
fn excluded_sockets_are_neither_asked_nor_spoken_of() {
    let place = Place::new();
    let _good = place.fake("good.sock", Script::good());
    let excluded = [place.fake("www.fe", Script::Hang), place.fake("master.sock", Script::good())];
    let mut pull = place.start(&[("exclude-sockets", "*.fe master.*")]);
    assert_eq!(names(&place.next(&pull, 1)), [".pull", "good.sock_info", "good.sock_stat"]);
    pull.stop(SOON);
    assert_eq!(excluded.map(|fake| fake.connections()), [0, 0]);
    assert!(!pull.output().contains("not a stats socket"), "{}", pull.output());
}

#[test]
fn a_socket_that_is_named_fails_where_one_that_was_found_is_left_out() {
    let place = Place::new();
    let _good = place.fake("good.sock", Script::good());
    let master = "Unknown command: 'show', but maybe one of the following ones is a better match:\n  show proc : x\n\n";
    let named = place.fake("named.sock", Script::Text(master));
    let servers = format!("unix://{}", named.path().display());
    let mut pull = place.start(&[("servers", &servers)]);
    pull.wait_for_output("nothing is published: sockets failed", SOON);
    assert!(pull.output().contains("the answer to \"show info\" is \"Unknown command: "), "{}", pull.output());
    pull.stop(SOON);
    assert_eq!(place.published(), [""; 0]);
}

#[test]
fn processes_that_share_a_socket_are_told_with_the_lines_that_part_them() {
    let of =
        |number: u32| (info(4000 + number, &format!("Nbproc: 2\nProcess_num: {number}\n")), STAT.as_bytes().to_vec());
    let place = Place::new();
    let _shared = place.fake("one.sock", Script::Turns(vec![of(1), of(2)]));
    let mut pull = place.start(&[]);
    place.next(&pull, 3);
    pull.stop(SOON);
    let lines = "stats socket /run/haproxy/1.sock process 1; stats socket /run/haproxy/2.sock process 2";
    assert_eq!(pull.output().matches(lines).count(), 1, "{}", pull.output());
    // With a socket each there is nothing to say.
    let place = Place::new();
    let _each = [1, 2].map(|number| {
        let (info, stat) = of(number);
        place.fake(&format!("{number}.sock"), Script::Answer { info, stat })
    });
    let mut pull = place.start(&[]);
    assert_eq!(names(&place.next(&pull, 3)).len(), 5);
    pull.stop(SOON);
    assert!(!pull.output().contains("nbproc"), "{}", pull.output());
}

#[test]
fn abstract_sockets_are_pulled() {
    for haproxy in haproxies() {
        let place = Place::new();
        let name = format!("haproxystats-test/{}-{}", std::process::id(), haproxy.version.1);
        let global = format!("\tstats socket abns@{name} level user\n\tstats socket {{}}/ready.sock mode 600\n");
        let _haproxy = start(&haproxy, &place, &["-db"], &global, "ready.sock");
        let servers = format!("abns@{name}");
        let mut pull = place.start(&[("servers", &servers), ("socket-dir", "")]);
        let file = format!("{}_stat", servers.replace('/', "_"));
        assert!(read(place.next(&pull, 0).join(file)).starts_with("# pxname"), "{}", pull.output());
        pull.stop(SOON);
    }
}

#[test]
fn twenty_thousand_servers_of_haproxy_3_pass_with_the_default_limits() {
    let Some(haproxy) = newer_haproxy("3.4") else { return };
    let place = Place::new();
    let mut text = String::from("\tstats socket {}/s/stats.sock mode 600 level user\n\tnbthread 1\n");
    text.push_str("defaults\n\tmode http\n\ttimeout connect 1s\n\ttimeout client 1s\n\ttimeout server 1s\n");
    for backend in 0..500 {
        text.push_str(&format!("backend backend_{backend:03}.example.com\n"));
        for server in 0..40 {
            text.push_str(&format!("\tserver server-{server:02}.dc1.example.com 127.0.0.1:9\n"));
        }
    }
    let _haproxy = start(&haproxy, &place, &["-db"], &text, "s/stats.sock");
    // The limit of earlier versions is in every file that was made from the example.
    let mut pull = place.start(&[("buffer-limit", "6291456"), ("pull-timeout", "20"), ("pull-interval", "5")]);
    let stat = place.next(&pull, 0).join("stats.sock_stat");
    let length = fs::metadata(&stat).unwrap().len();
    assert!(length > 6_291_456, "{length}");
    assert!(read(stat).lines().count() > 20_500);
    pull.stop(SOON);
    drop(pull);
    // A small one, which says what to set; an old option with another value, which says that it has no effect.
    let mut pull = place.start(&[("buffer-limit", "1000"), ("max-reply-size", "1000000"), ("pull-timeout", "20")]);
    pull.wait_for_output("is longer than max-reply-size = 1000000 bytes; raise it in [pull]", SOON);
    assert!(pull.output().contains("has no effect"), "{}", pull.output());
    pull.stop(SOON);
}

#[test]
fn a_socket_that_does_not_accept_stays_a_failed_one() {
    let place = Place::new();
    let _good = place.fake("good.sock", Script::good());
    let full = UnixListener::bind(place.sockets().join("full.sock")).unwrap();
    nix::sys::socket::listen(&full, nix::sys::socket::Backlog::new(0).unwrap()).unwrap();
    let _waiting = UnixStream::connect(place.sockets().join("full.sock")).unwrap();
    let mut pull = place.start(&[("on-socket-failure", "keep-rest"), ("timeout", "0.2")]);
    // A HAProxy that hangs looks the same, so it stays a failure.
    assert_eq!(names(&place.next(&pull, 3)), [".pull", "good.sock_info", "good.sock_stat"]);
    assert!(pull.output().contains("did not accept the connection"), "{}", pull.output());
    pull.stop(SOON);
}

#[test]
fn check_and_status_say_which_socket_stands_for_which_process() {
    let place = Place::new();
    let _process = ["a.sock", "b.sock"].map(|name| place.fake(name, process(11, "")));
    let _master = place.fake("master.sock", Script::Text("Unknown command: 'show', but maybe one of these\n\n"));
    let port = free_port();
    let servers = format!("tcp://127.0.0.1:{port},tcp://localhost:{port}");
    let mut check = place.command(&[("servers", &servers)]);
    check.arg("--check");
    let (status, output) = crate::harness::run(check, SOON);
    assert!(status.success(), "{output}");
    for words in [
        "a.sock, b.sock belong to the same HAProxy process (node lb, Pid 11, Start_time_sec 7)",
        "master.sock in socket-dir is not a stats socket",
        "with master-sockets = unix://",
        &format!("127.0.0.1:{port} and localhost:{port} are the same address"),
    ] {
        assert_eq!(output.matches(words).count(), 1, "{words}\n{output}");
    }
    let mut pull = place.start(&[]);
    place.next(&pull, 1);
    let mut status = place.command(&[]);
    status.arg("--status");
    let (code, output) = crate::harness::run(status, SOON);
    assert!(code.success(), "{output}");
    assert!(
        output.contains("counted once: a.sock, b.sock belong to the same HAProxy process, pulled through a.sock"),
        "{output}"
    );
    assert!(output.contains("left out: master.sock is not a stats socket"), "{output}");
    let mut status = place.command(&[]);
    status.args(["--status", "--json"]);
    let (_, output) = crate::harness::run(status, SOON);
    assert!(output.contains("\"sockets\": [") && output.contains("pulled through a.sock"), "{output}");
    pull.stop(SOON);
}

/// HAProxies in PID namespaces of their own, as containers have them: each is the first process it knows.
#[test]
fn containers_that_share_everything_are_told_apart_by_hosts_and_by_traffic() {
    if !nix::unistd::geteuid().is_root() {
        return leave_out("containers", "a PID namespace needs root");
    }
    let haproxy = own_haproxy();
    let place = Place::new();
    let names_of = ["a", "b", "c"];
    let start = |name: &str| {
        let at = place.root.path().display();
        let text = format!(
            "global\n\tnode lb\n\tstats socket {at}/s/{name}.sock mode 600 level user\ndefaults\n\tmode http\n\ttimeout client 5s\n\
             frontend www\n\tbind unix@{at}/{name}.http\n\thttp-request return status 200\n"
        );
        let mut command = Command::new(debian("unshare"));
        command.args(["--pid", "--fork", "--kill-child"]).arg(&haproxy.program);
        command.arg("-db").arg("-f").arg(write(place.root.path(), &format!("{name}.cfg"), text));
        Daemon::spawn(command)
    };
    let field = |name: &str, field: &str| {
        let reply = ask(&place.sockets().join(format!("{name}.sock")), "show info")?;
        reply.lines().find_map(|line| line.strip_prefix(field).map(str::to_owned))
    };
    // Until all are of one second.
    let daemons = poll(SOON * 2, || {
        let daemons = names_of.map(start);
        let starts = names_of.map(|name| wait_for(SOON, "it answers", || field(name, "Start_time_sec: ")));
        starts.iter().all(|one| *one == starts[0]).then_some(daemons)
    });
    let daemons = daemons.expect("three HAProxies of one second");
    assert!(names_of.iter().all(|name| field(name, "Pid: ").as_deref() == Some("1")));
    // Idle, they look like one.
    let mut pull = place.start(&[]);
    assert_eq!(names(&place.next(&pull, 0)), [".pull", "a.sock_info", "a.sock_stat"]);
    pull.stop(SOON);
    // One of them has traffic.
    let mut client = UnixStream::connect(place.root.path().join("b.http")).unwrap();
    for _ in 0..300 {
        client.write_all(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
        let mut answer = [0; 4096];
        assert!(client.read(&mut answer).unwrap() > 0);
    }
    std::thread::sleep(Duration::from_secs(2));
    let seen = place.published().len();
    let mut pull = place.start(&[]);
    let snapshot = place.next(&pull, seen);
    assert_eq!(names(&snapshot), [".pull", "a.sock_info", "a.sock_stat", "b.sock_info", "b.sock_stat"]);
    pull.stop(SOON);
    assert!(pull.output().contains("but that is not certain"), "{}", pull.output());
    // With hosts there is no doubt.
    let mut place = place;
    place.more = "[hosts]\na.sock = one\nb.sock = two\nc.sock = three\n".to_owned();
    let seen = place.published().len();
    let mut pull = place.start(&[]);
    assert_eq!(names(&place.next(&pull, seen)).len(), 7);
    pull.stop(SOON);
    assert!(!pull.output().contains(ONE) && !pull.output().contains("not certain"), "{}", pull.output());
    drop(daemons);
}
