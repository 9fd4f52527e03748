use super::*;
use crate::config::{Program, load};
use crate::haproxy::address::Address;
use crate::haproxy::identity::Reading;
use crate::pull::masters::Round;
use crate::pull::sockets::Target;
use crate::snapshot::stage::{Snapshot, Staging};
use crate::snapshot::{INFO_SUFFIX, STAT_SUFFIX};

const FORGET: Duration = Duration::from_secs(3600);

fn hosts(text: &str) -> Hosts {
    load::from_text(Program::Pull, &format!("[hosts]\n{text}"), "test").unwrap().config.hosts
}

/// Writes the replies of a process with one server, which has had this many sessions.
fn write_replies(directory: &Path, name: &str, pid: u32, sessions: u32) {
    let info =
        format!("Name: HAProxy\nVersion: 3.4.1\nPid: {pid}\nnode: lb\nStart_time_sec: 5\nCumConns: {sessions}\n\n");
    let stat = format!("# pxname,svname,stot,type,\nweb,z,7,2,\nweb,s1,{sessions},2,\n\n");
    fs::write(directory.join(format!("{name}{INFO_SUFFIX}")), info).unwrap();
    fs::write(directory.join(format!("{name}{STAT_SUFFIX}")), stat).unwrap();
}

/// Writes carried counters for each process separately, as earlier versions did.
fn write_carried(directory: &Path, socket: &str, sessions: u32) {
    let stat = format!("# pxname,svname,type,stot,seen,\nweb,s1,2,{sessions},90,\n\n");
    fs::write(directory.join(format!("{socket}{CARRIED_STAT_SUFFIX}")), stat).unwrap();
    fs::write(directory.join(format!("{socket}{CARRIED_INFO_SUFFIX}")), format!("CumConns: {sessions}\n\n")).unwrap();
}

/// The files, with their contents, after a tick in which nothing answers.
fn tick(continuity: &mut Continuity, root: &Path, epoch: u64) -> BTreeMap<String, String> {
    let staging = Staging::open(&root.join("tmp"), &root.join("dst"), false).unwrap();
    let snapshot = staging.begin(Epoch(epoch)).unwrap();
    continuity.tick(Epoch(epoch), &snapshot.folder(), &[], &Round::default()).unwrap();
    let files = fs::read_dir(snapshot.folder().path("")).unwrap().map(|entry| entry.unwrap());
    files.map(|file| (file.file_name().into_string().unwrap(), fs::read_to_string(file.path()).unwrap())).collect()
}

/// The sessions of `s1` in such a file.
fn sessions(stat: &str) -> &str {
    let position = stat.lines().next().unwrap().trim_start_matches("# ").split(',').position(|name| name == "stot");
    let row = stat.lines().find(|line| line.starts_with("web,s1,2,")).unwrap();
    row.split(',').nth(position.unwrap()).unwrap()
}

#[test]
fn a_host_has_one_file_whatever_was_carried_for_each_process() {
    let root = tempfile::tempdir().unwrap();
    let kept = root.path().join("dst/.continuity/100");
    fs::create_dir_all(&kept).unwrap();
    for (socket, pid, sessions, carried) in [("a.sock", 1, 10, 1), ("b.sock", 2, 20, 2), ("c.sock", 3, 5, 3)] {
        write_replies(&kept, socket, pid, sessions);
        write_carried(&kept, socket, carried);
    }
    let hosts = hosts("a.sock = lb-1\nb.sock = lb-1\nc.sock = lb-2\n");
    for round in 0..2 {
        let (mut continuity, damaged) = Continuity::open(&root.path().join("dst"), hosts.clone(), FORGET);
        assert!(!damaged);
        let files = tick(&mut continuity, root.path(), 200 + round);
        let names: Vec<&str> = files.keys().map(String::as_str).collect();
        assert_eq!(
            names,
            ["a.sock_carriedinfo", "a.sock_carriedstat", "c.sock_carriedinfo", "c.sock_carriedstat"],
            "round {round}"
        );
        let since_first = |sessions: u64| format!("Start_time_sec: 5\nCumConns: {sessions}");
        assert_eq!([files[names[0]].trim(), files[names[2]].trim()], [since_first(33), since_first(8)]);
        assert_eq!([sessions(&files[names[1]]), sessions(&files[names[3]])], ["33", "8"]);
        let rows: Vec<&str> = files[names[1]].lines().skip(1).map(|row| row.split(",2,").next().unwrap()).collect();
        assert_eq!(rows, ["web,z", "web,s1", ""], "in the order of the replies");
    }
}

#[test]
fn a_process_that_belongs_to_another_host_now_counts_once() {
    let root = tempfile::tempdir().unwrap();
    let (dst, kept) = (root.path().join("dst"), root.path().join("dst/.continuity/100"));
    fs::create_dir_all(&kept).unwrap();
    write_replies(&kept, "a.sock", 1, 10);
    write_carried(&kept, "a.sock", 1);
    let (continuity, _) = Continuity::open(&dst, hosts("a.sock = lb-1\n"), FORGET);
    let (mut continuity, damaged) = continuity.go_on(&dst, hosts("a.sock = lb-9\n"), FORGET);
    assert!(!damaged);
    let staging = Staging::open(&root.path().join("tmp"), &dst, false).unwrap();
    let snapshot = staging.begin(Epoch(200)).unwrap();
    let folder = snapshot.folder();
    write_replies(&folder.path(""), "a.sock", 1, 12);
    let source = Source::in_snapshot(&folder.path(""), "a.sock_info").unwrap();
    continuity.read(Epoch(200), &folder.path(""), vec![source]).unwrap();
    continuity.write(&folder).unwrap();
    assert_eq!(sessions(&fs::read_to_string(folder.path("a.sock_carriedstat")).unwrap()), "1");
}

#[test]
fn a_process_that_is_missing_is_kept_while_it_may_come_back() {
    let root = tempfile::tempdir().unwrap();
    write_replies(root.path(), "a.sock", 1, 1);
    let source = Source::in_snapshot(root.path(), "a.sock_info").unwrap();
    let identity = Identity { host: None, key: None, source: Some("a.sock".to_owned()) };
    for kept in [9, 3] {
        let mut places = Places::of(root.path().to_owned());
        places.note(identity.clone(), source.clone(), 100);
        for missed in 1..10 {
            let may_return = |_: &Identity, missed| missed <= kept;
            let (next, links) = places.next(HashMap::new(), (100 + u64::from(missed), 90), may_return);
            let names: Vec<&str> = links.iter().map(|(_, name)| name.as_str()).collect();
            let expected: &[&str] = &["a.sock@100.absentinfo", "a.sock@100.absentstat"];
            assert_eq!(names, if missed <= kept { expected } else { &[] }, "{kept}, {missed}");
            places = next;
        }
        assert!(places.next(HashMap::new(), (200, 101), |_, _| true).1.is_empty());
    }
}

/// Begins the snapshot of a tick, with the replies of one process at `a.sock`, or without any.
fn begin(root: &Path, epoch: u64, sessions: Option<u32>) -> (Snapshot, Vec<Outcome>) {
    let staging = Staging::open(&root.join("tmp"), &root.join("dst"), false).unwrap();
    let snapshot = staging.begin(Epoch(epoch)).unwrap();
    let outcome = sessions.map(|sessions| {
        write_replies(&snapshot.folder().path(""), "a.sock", 1, sessions);
        let info = fs::read(snapshot.folder().path("a.sock_info")).unwrap();
        Outcome {
            target: Target { server: Address::Unix("/a".into()), name: "a.sock".into(), worker: None, found: None },
            result: Ok(1),
            retries: 0,
            reading: Some(Reading::of(&info).into()),
            said: None,
            standing: Standing::Counts,
        }
    });
    (snapshot, outcome.into_iter().collect())
}

/// State after a process had ten sessions in second 100, with one more carried.
fn kept(root: &Path) -> Continuity {
    let kept = root.join("dst/.continuity/100");
    fs::create_dir_all(&kept).unwrap();
    write_replies(&kept, "a.sock", 1, 10);
    write_carried(&kept, "a.sock", 1);
    Continuity::open(&root.join("dst"), hosts(""), FORGET).0
}

#[test]
fn what_is_carried_is_written_when_it_changes_and_else_linked() {
    use std::os::unix::fs::MetadataExt;
    let root = tempfile::tempdir().unwrap();
    let mut continuity = kept(root.path());
    let (mut inodes, mut texts) = (Vec::new(), Vec::new());
    // The process answers, does not answer for several snapshots, of which only the first is a change, and answers again.
    for (epoch, sessions) in (200..).zip([Some(12), Some(13), None, None, None, Some(14), Some(15)]) {
        let (snapshot, outcomes) = begin(root.path(), epoch, sessions);
        let folder = snapshot.folder();
        continuity.tick(Epoch(epoch), &folder, &outcomes, &Round::default()).unwrap();
        let file = folder.path("a.sock_carriedstat");
        texts.push(fs::read_to_string(&file).unwrap());
        inodes.push(fs::metadata(&file).unwrap().ino());
    }
    let carried: Vec<&str> = texts.iter().map(|text| sessions(text)).collect();
    assert_eq!(carried, ["1", "1", "14", "14", "14", "1", "1"]);
    let same: Vec<bool> = inodes.windows(2).map(|pair| pair[0] == pair[1]).collect();
    assert_eq!(same, [true, false, true, true, false, true]);
    assert!(texts[0].ends_with("web,s1,2,1,,\n\n"), "it is in the snapshot: {}", texts[0]);
    assert!(texts[4].ends_with("web,s1,2,14,201,\n\n"), "it was seen last in 201: {}", texts[4]);
    // The same after a restart.
    let (mut continuity, _) = Continuity::open(&root.path().join("dst"), hosts(""), FORGET);
    let (snapshot, outcomes) = begin(root.path(), 300, Some(20));
    continuity.tick(Epoch(300), &snapshot.folder(), &outcomes, &Round::default()).unwrap();
    let text = fs::read_to_string(snapshot.folder().path("a.sock_carriedstat")).unwrap();
    assert_eq!(text, texts[6]);
    // The kept file was truncated meanwhile, so it is written again.
    fs::write(root.path().join("dst/.continuity/300/a.sock_carriedstat"), "# px").unwrap();
    drop(snapshot);
    let (snapshot, outcomes) = begin(root.path(), 301, Some(21));
    continuity.tick(Epoch(301), &snapshot.folder(), &outcomes, &Round::default()).unwrap();
    assert_eq!(fs::read_to_string(snapshot.folder().path("a.sock_carriedstat")).unwrap(), text);
}

#[test]
fn after_a_pull_that_cannot_be_read_counters_go_on_from_what_was_kept() {
    let root = tempfile::tempdir().unwrap();
    let mut continuity = kept(root.path());
    for (epoch, readable) in [(200, true), (201, false), (202, false), (203, true)] {
        let (snapshot, outcomes) = begin(root.path(), epoch, Some(12));
        let folder = snapshot.folder();
        if !readable {
            fs::remove_file(folder.path("a.sock_stat")).unwrap();
        }
        let result = continuity.tick(Epoch(epoch), &folder, &outcomes, &Round::default());
        assert_eq!(result.is_ok(), readable, "{epoch}: {result:?}");
        if readable {
            assert_eq!(result.unwrap(), Continued::default(), "{epoch}");
            assert_eq!(sessions(&fs::read_to_string(folder.path("a.sock_carriedstat")).unwrap()), "1", "{epoch}");
        }
    }
}

#[test]
fn names_that_never_come_back_do_not_stay_in_memory() {
    let root = tempfile::tempdir().unwrap();
    let mut continuity = kept(root.path());
    continuity.forget_after = Duration::from_secs(5);
    let mut most = 0;
    for round in 0..60 {
        // The first process clears its counters from time to time, so that something is always carried.
        let (snapshot, outcomes) = begin(root.path(), 200 + round, Some(20 + u32::try_from(round).unwrap() % 7));
        let folder = snapshot.folder();
        let rows: String = (0..10).map(|server| format!("web,pod-{round}-{server},3,2,\n")).collect();
        let stat = fs::read_to_string(folder.path("a.sock_stat")).unwrap();
        fs::write(folder.path("a.sock_stat"), stat.trim_end().to_owned() + "\n" + &rows + "\n").unwrap();
        continuity.tick(Epoch(200 + round), &folder, &outcomes, &Round::default()).unwrap();
        most = most.max(continuity.ledger.names(0).0);
        let carried = fs::read_to_string(folder.path("a.sock_carriedstat")).unwrap();
        // One session that was carried from the start, and those before each time the counters were cleared.
        let expected = 1 + 26 * (u32::try_from(round).unwrap() / 7);
        assert_eq!(sessions(&carried), expected.to_string(), "in round {round}");
    }
    // There were 600 in all.
    assert!((100..250).contains(&most), "{most} names");
}
