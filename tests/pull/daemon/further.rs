//! Further questions: families that are asked for beside `show info` and `show stat`.

use super::*;
use crate::harness::certificate::certificate;
use crate::harness::newer::{Haproxy, haproxies};

const FAMILIES: &str = "tables resolvers certificates activity pools peers";

/// What every reply begins with, by suffix.
const BEGINNINGS: [(&str, &str); 7] = [
    ("_tables", "# table: "),
    ("_resolvers", "# id,"),
    ("_sni", "# Frontend/Bind\t"),
    ("_certificates", "Filename: "),
    ("_activity", "thread_id: "),
    ("_pools", "Dumping pools usage"),
    ("_peers", "0x"),
];

/// A HAProxy with something of every family, and a socket of each of these levels, called like it.
fn everything(haproxy: &Haproxy, directory: &Path, sockets: &Path, levels: &[&str]) -> Daemon {
    let pem = directory.join("both.pem");
    let (certificate, key) = certificate(&debian("openssl"), directory, "site", "/CN=localhost", "DNS:localhost");
    let both = format!("{}{}", read(certificate), read(key));
    fs::write(&pem, both).unwrap();
    let lines: String = levels
        .iter()
        .map(|level| format!("\tstats socket {} mode 600 level {level}\n", sockets.join(level).display()))
        .collect();
    let [tls, peer, other, dns] = [(); 4].map(|()| harness::free_port());
    let text = format!(
        "global\n{lines}\tlocalpeer here\n\
         defaults\n\tmode http\n\ttimeout connect 2s\n\ttimeout client 2s\n\ttimeout server 2s\n\
         peers mesh\n\tpeer here 127.0.0.1:{peer}\n\tpeer there 127.0.0.1:{other}\n\
         resolvers dns\n\tnameserver ns1 127.0.0.1:{dns}\n\
         frontend tls\n\tbind 127.0.0.1:{tls} ssl crt {}\n\tdefault_backend web\n\
         backend web\n\tstick-table type ip size 1k store gpc0 peers mesh\n\tserver s1 127.0.0.1:9 disabled\n",
        pem.display()
    );
    let mut command = haproxy.command();
    command.arg("-db").arg("-f").arg(write(directory, "haproxy.cfg", text));
    let mut daemon = Daemon::spawn(command);
    wait_until(SOON, "HAProxy answers", || {
        assert!(daemon.is_running(), "HAProxy ended:\n{}", daemon.output());
        levels.iter().all(|level| ask(&sockets.join(level), "show info").is_some())
    });
    daemon
}

/// The suffixes of the files of a socket in a snapshot, beside those of `show info` and `show stat`.
fn further(snapshot: &Path, socket: &str) -> Vec<String> {
    let suffix = |name: String| Some(name.strip_prefix(socket)?.to_owned()).filter(|suffix| suffix.starts_with('_'));
    let all = names(snapshot).into_iter().filter_map(suffix);
    all.filter(|suffix| !["_info", "_stat"].contains(&&**suffix)).collect()
}

/// The first snapshot that has further files of this socket.
#[track_caller]
fn first_with(place: &Place, pull: &Daemon, socket: &str) -> PathBuf {
    let found = poll(SOON, || {
        let snapshots = place.published().into_iter().map(|name| place.incoming().join(name));
        snapshots.into_iter().find(|snapshot| !further(snapshot, socket).is_empty())
    });
    found.unwrap_or_else(|| panic!("no further reply was stored:\n{}", pull.output()))
}

#[test]
fn every_release_is_asked_for_every_family() {
    for haproxy in haproxies() {
        let place = Place::new();
        let _haproxy = everything(&haproxy, place.root.path(), &place.sockets(), &["operator"]);
        let mut pull = place.start(&[("families", FAMILIES)]);
        let snapshot = first_with(&place, &pull, "operator");
        let certificates = if haproxy.version >= (3, 2) { "_sni" } else { "_certificates" };
        let mut expected = vec!["_activity", "_peers", "_pools", "_resolvers", "_tables", certificates];
        expected.sort_unstable();
        assert_eq!(further(&snapshot, "operator"), expected, "{:?}\n{}", haproxy.version, pull.output());
        for suffix in expected {
            let text = read(snapshot.join(format!("operator{suffix}")));
            let begin = BEGINNINGS.iter().find(|(of, _)| *of == suffix).unwrap().1;
            assert!(text.starts_with(begin) && text.ends_with("\n\n"), "{:?} {suffix}: {text}", haproxy.version);
        }
        // The two replies are those of any other pull.
        assert!(read(snapshot.join("operator_info")).ends_with("\n\n"));
        assert_eq!(objects(&read(snapshot.join("operator_stat"))).last().unwrap(), "web/BACKEND");
        let figures = figures(&snapshot);
        let replies = 6.0 + f64::from(u8::from(haproxy.version < (3, 2)));
        assert_eq!(
            (figures["PullFurtherReplies"], figures["PullRefusedQuestions"], figures["PullFailedQuestions"]),
            (replies, 0.0, 0.0),
            "{:?}",
            haproxy.version
        );
        pull.stop(SOON);
        place.assert_nothing_is_left();
    }
}

#[test]
fn what_a_socket_lacks_the_level_for_is_said_once_and_costs_nothing_else() {
    for haproxy in haproxies() {
        let place = Place::new();
        let _haproxy = everything(&haproxy, place.root.path(), &place.sockets(), &["user"]);
        let mut pull = place.start(&[("families", FAMILIES), ("families-interval", "1")]);
        let snapshot = first_with(&place, &pull, "user");
        let mut expected = vec!["_peers", "_pools", "_resolvers", "_tables"];
        let mut refused = vec!["show activity", "show ssl cert"];
        if haproxy.version >= (3, 2) {
            expected.push("_sni");
            refused.pop();
        }
        // Debian's 2.6 shows its activity to anybody.
        if haproxy.version < (2, 8) {
            expected.push("_activity");
            refused.remove(0);
        }
        expected.sort_unstable();
        assert_eq!(further(&snapshot, "user"), expected, "{:?}\n{}", haproxy.version, pull.output());
        assert!(read(snapshot.join("user_stat")).ends_with("\n\n"));
        wait_for_pulls(&mut pull, 4);
        let output = pull.output();
        let line = format!("stats socket {} level operator", place.sockets().join("user").display());
        for command in &refused {
            let told = output.lines().filter(|text| text.contains("level is too low") && text.contains(command));
            let told: Vec<&str> = told.collect();
            assert!(told.len() == 1 && told[0].contains(&line), "{:?} {command}:\n{output}", haproxy.version);
        }
        assert_eq!(output.matches("level is too low").count(), refused.len(), "{output}");
        assert!(!output.contains("socket failed"), "{output}");
        pull.stop(SOON);
    }
}

#[test]
fn a_socket_with_the_level_is_asked_where_the_first_one_of_its_process_is_refused() {
    let place = Place::new();
    let haproxy = haproxies().pop().unwrap();
    if haproxy.version < (2, 8) {
        return;
    }
    // By name the one without the level comes first.
    let _haproxy = everything(&haproxy, place.root.path(), &place.sockets(), &["user", "operator"]);
    fs::create_dir(place.root.path().join("t")).unwrap();
    for (from, to) in [("user", "1"), ("operator", "2")] {
        std::os::unix::fs::symlink(place.sockets().join(from), place.root.path().join("t").join(to)).unwrap();
    }
    let folder = place.root.path().join("t").display().to_string();
    let mut pull = place.start(&[("families", "activity tables"), ("socket-dir", &folder)]);
    let snapshot = first_with(&place, &pull, "2");
    assert_eq!(further(&snapshot, "2"), ["_activity"], "{}", pull.output());
    assert!(!snapshot.join("2_info").exists() && snapshot.join("1_info").exists());
    let first = first_with(&place, &pull, "1");
    assert_eq!(further(&first, "1"), ["_tables"]);
    pull.stop(SOON);
}

#[test]
fn a_question_without_an_answer_costs_its_own_reply_alone() {
    let place = Place::new();
    let table = vec![
        ("show table", "# table: a, type: ip, size:1, used:0\n\n"),
        ("show stat domain resolvers", "# id,pid,\n\n"),
        ("show pools", ""),
    ];
    let fake = place.fake("ha.sock", Script::Further(table));
    let mut pull = place.start(&[("families", "tables resolvers pools peers"), ("pull-timeout", "1")]);
    let snapshot = first_with(&place, &pull, "ha.sock");
    assert_eq!(names(&snapshot), [".pull", "ha.sock_info", "ha.sock_resolvers", "ha.sock_stat", "ha.sock_tables"]);
    assert_eq!((read(snapshot.join("ha.sock_info")), read(snapshot.join("ha.sock_stat"))), (INFO.into(), STAT.into()));
    pull.wait_for_output("a command for families was not answered", SOON);
    let figures = figures(&snapshot);
    assert_eq!((figures["PullFailedQuestions"], figures["PullFailedSockets"]), (2.0, 0.0));
    // They stay due, and nothing else is asked before its time.
    let seen = fake.lines().len();
    wait_until(SOON, "they are asked again", || {
        fake.lines().iter().skip(seen).any(|line| line == "show info;show stat;show pools;show peers")
    });
    fake.set(Script::Further(vec![("show pools", "Dumping pools usage.\n\n"), ("show peers", "\n")]));
    pull.wait_for_output("the command for families is answered again", SOON);
    pull.stop(SOON);
    assert!(!pull.output().contains("socket failed"), "{}", pull.output());
}

#[test]
fn unasked_the_commands_are_as_ever_and_what_takes_one_command_gets_one() {
    let place = Place::new();
    let fake = place.fake("ha.sock", Script::good());
    let mut pull = place.start(&[]);
    place.next(&pull, 2);
    pull.stop(SOON);
    assert!(fake.lines().iter().all(|line| line == "show info;show stat"), "{:?}", fake.lines());
    fake.set(Script::FirstCommandOnly);
    let mut pull = place.start(&[("families", "tables")]);
    wait_until(SOON, "the question is asked alone", || fake.lines().iter().any(|line| line == "show table"));
    let seen = place.published().len();
    let snapshot = place.next(&pull, seen);
    assert_eq!(read(snapshot.join("ha.sock_info")), INFO);
    pull.stop(SOON);
}
