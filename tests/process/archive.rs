//! The archive, and what a replay makes of it.

use crate::harness::carbon::Carbon;
use crate::harness::graphite::Recorder;
use crate::harness::incoming::{FIRST, Incoming};
use crate::harness::site::Site;
use crate::harness::{self, Daemon, SOON, debian, names, poll, process, pull, wait_until, with_config, write};
use nix::sys::signal::Signal;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

/// A daemon's surroundings with an archive.
fn with_archive(port: u16, options: &str) -> Incoming {
    let incoming = Incoming::new(port, "workers = 1");
    let archive = incoming.beside("archive");
    let text = std::fs::read_to_string(incoming.config()).unwrap();
    std::fs::write(incoming.config(), format!("{text}[archive]\ndir = {}\n{options}\n", archive.display())).unwrap();
    incoming
}

/// Archives in a directory, in order.
fn archives(directory: &Path) -> Vec<PathBuf> {
    let days = names(directory).into_iter().map(|day| directory.join(day));
    days.flat_map(|day| names(&day).into_iter().map(move |name| day.join(name)).collect::<Vec<_>>()).collect()
}

fn names_of(archives: &[PathBuf]) -> Vec<String> {
    let name = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().trim_end_matches(".tar.zst").to_owned();
    archives.iter().map(name).collect()
}

/// Publishes these snapshots and has them delivered and archived.
fn archived(incoming: &Incoming, seconds: impl IntoIterator<Item = u64>) -> Vec<String> {
    let published = incoming.publish(seconds);
    let mut daemon = incoming.daemon();
    incoming.wait_until_empty();
    daemon.stop(SOON);
    published
}

fn replay(incoming: &Incoming, place: &Path, more: &[&str]) -> Command {
    let mut command = with_config(process(), incoming.config());
    command.arg("--replay").arg(place).args(more);
    command
}

fn to(graphite: &Recorder) -> String {
    format!("127.0.0.1:{}", graphite.port())
}

fn run(command: Command) -> (ExitStatus, String) {
    harness::run(command, 4 * SOON)
}

/// Packs a directory as somebody would by hand.
fn packed_by_hand(directory: &Path, into: &Path) {
    let mut command = Command::new(debian("tar"));
    command.arg("--zstd").arg("-cf").arg(into).arg("-C").arg(directory.parent().unwrap());
    let (status, output) = harness::run(
        {
            command.arg(directory.file_name().unwrap());
            command
        },
        SOON,
    );
    assert!(status.success(), "{output}");
}

#[test]
fn what_is_delivered_is_archived_and_a_replay_sends_the_same() {
    let (first, second) = (Recorder::start(), Recorder::start());
    let incoming = with_archive(first.port(), "");
    let published = archived(&incoming, (0..5).map(|n| n * 10));
    let archive = incoming.beside("archive");
    assert_eq!(names_of(&archives(&archive)), published);
    assert_eq!(names(&archive), ["2023-11-14"]);
    assert_eq!(names(&archive.join("2023-11-14")).len(), 5, "nothing else is left there");

    let (status, output) = run(replay(&incoming, &archive, &["--to-graphite", &to(&second)]));
    assert!(status.success(), "{output}");
    assert!(output.contains("replayed 5 of 5 snapshots"), "{output}");
    incoming.assert_arrived(&second, &published);
    assert_eq!(first.record().lines.keys().filter(|line| !line.contains(".haproxystats.")).count(), {
        second.record().lines.keys().filter(|line| !line.contains(".haproxystats.")).count()
    });
    let own: BTreeSet<String> = second.record().lines.keys().filter_map(|line| own_name(line)).collect();
    let counts = ["MetricsBackend", "MetricsFrontend", "MetricsHAProxy", "MetricsServer"].map(str::to_owned);
    assert_eq!(own, counts.into(), "how long a replay takes says nothing about that time");
    assert_eq!(second.record().timestamps.len(), 5, "they came in order: {:?}", second.record().timestamps);
    assert!(second.record().timestamps.is_sorted());
    assert_eq!(names_of(&archives(&archive)), published, "a replay changes nothing");
}

/// The name of a metric about haproxystats.
fn own_name(line: &str) -> Option<String> {
    let (_, name) = line.split_once(".haproxystats.")?;
    name.split(' ').next().map(str::to_owned)
}

#[test]
fn a_replay_on_another_machine_keeps_the_name_of_the_host() {
    let (first, second) = (Recorder::start(), Recorder::start());
    let incoming = with_archive(first.port(), "");
    let place = incoming.beside("from elsewhere");
    std::fs::create_dir(&place).unwrap();
    for (seconds, host) in [(0, Some("lb-07.example.com")), (10, Some("lb-08.example.com")), (20, None)] {
        let epoch = FIRST + seconds;
        let snapshot = incoming.stage(epoch);
        if let Some(host) = host {
            write(&snapshot, ".origin", format!("host {host}\n"));
        }
        write(&snapshot, ".pull", "PullTicks 17\n");
        packed_by_hand(&snapshot, &place.join(format!("{epoch}.tar.zst")));
    }
    let wanted = ["--to-graphite", &to(&second), "--hostname", "lb-09"];
    let (status, output) = run(replay(&incoming, &place, &wanted));
    assert!(status.success(), "{output}");
    for (host, number) in [("lb-07_example_com", 0), ("lb-08_example_com", 10), ("lb-09", 20)] {
        let time = FIRST + number;
        let lines = second.record().lines;
        let line = format!("lb.{host}.haproxy.frontend.www.stot {number} {time}");
        assert!(lines.contains_key(&line), "{line}: {lines:#?}");
        assert!(lines.contains_key(&format!("lb.{host}.haproxy.haproxystats.PullTicks 17 {time}")), "{lines:#?}");
    }
    let hosts: BTreeSet<String> =
        second.record().lines.keys().map(|line| line.split('.').nth(1).unwrap().to_owned()).collect();
    assert_eq!(hosts.len(), 3, "{hosts:?}");
}

#[test]
fn a_span_is_replayed_and_nothing_else() {
    let graphite = Recorder::start();
    let incoming = with_archive(graphite.port(), "");
    // As haproxystats-pull leaves them, and in quarantine.
    let place = incoming.beside("snapshots");
    std::fs::create_dir(&place).unwrap();
    let published: Vec<String> = (0..6).map(|n| incoming.publish_in(&place, FIRST + n * 10)).collect();
    let from = "2023-11-14T22:13:30Z";
    let end = (FIRST + 40).to_string();
    let (status, output) = run(replay(&incoming, &place, &["--from", from, "--to", &end]));
    assert!(status.success(), "{output}");
    incoming.assert_arrived(&graphite, &published[1..4]);
    assert_eq!(names(&place), published, "they stay");

    for (from, code) in [("2030-01-01", 66), ("tomorrow", 1)] {
        let (status, output) = run(replay(&incoming, &place, &["--from", from]));
        assert_eq!(status.code(), Some(code), "{output}");
    }
    let (status, output) = run(replay(&incoming, Path::new("/nowhere/at/all"), &[]));
    assert_eq!(status.code(), Some(66), "{output}");
    assert!(output.contains("cannot read /nowhere/at/all: No such file"), "{output}");
}

#[test]
fn a_replay_that_is_killed_goes_on_where_it_was() {
    let (first, second) = (Recorder::start(), Recorder::start());
    let incoming = with_archive(first.port(), "");
    let published = archived(&incoming, (0..60).map(|n| n * 10));
    let archive = incoming.beside("archive");
    let state = incoming.beside("state");
    let wanted = ["--to-graphite", &to(&second), "--resume", state.to_str().unwrap()];
    let slow = [&wanted[..], &["--rate", "300"]].concat();
    let mut running = Daemon::spawn(replay(&incoming, &archive, &slow));
    let next = || {
        let text = std::fs::read_to_string(&state).unwrap_or_default();
        text.lines().find_map(|line| line.strip_prefix("next ")?.parse::<u64>().ok()).unwrap_or_default()
    };
    wait_until(SOON, "some snapshots are done", || next() >= FIRST + 30);
    running.signal(Signal::SIGKILL);
    running.wait(SOON);
    let before = second.record();
    let next = next();
    assert!(next < FIRST + 590, "it was killed in the middle");
    let (status, output) = run(replay(&incoming, &archive, &wanted));
    assert!(status.success(), "{output}");
    incoming.assert_arrived(&second, &published);
    let again = |epoch: u64| {
        let end = format!(" {epoch}");
        let times = |record: &BTreeMap<String, u32>| {
            record.iter().filter(|(line, _)| line.ends_with(&end)).map(|(_, times)| *times).sum::<u32>()
        };
        let (before, after) = (before.lines.clone().into_iter().collect(), second.record().lines.into_iter().collect());
        times(&after) > times(&before)
    };
    assert!(!again(FIRST) && !again(next - 10), "what was done is not sent again");
    // Another time there is nothing left; what is archived later is.
    let (status, output) = run(replay(&incoming, &archive, &wanted));
    assert!(status.success() && output.contains("nothing to replay"), "{output}");
    let later = archived(&incoming, [600]);
    let (status, output) = run(replay(&incoming, &archive, &wanted));
    assert!(status.success() && output.contains("replayed 1 of 1"), "{output}");
    incoming.assert_arrived(&second, &[published, later].concat());
    // The state is of this replay alone.
    let (status, output) = run(replay(&incoming, &archive, &["--resume", state.to_str().unwrap()]));
    assert_eq!(status.code(), Some(1), "{output}");
    assert!(output.contains("name another file"), "{output}");
}

#[test]
fn a_replay_that_is_stopped_says_where_to_go_on() {
    let (first, second) = (Recorder::start(), Recorder::start());
    let incoming = with_archive(first.port(), "");
    archived(&incoming, (0..30).map(|n| n * 10));
    let wanted = ["--to-graphite", &to(&second), "--rate", "200"];
    let mut running = Daemon::spawn(replay(&incoming, &incoming.beside("archive"), &wanted));
    wait_until(SOON, "some snapshots have arrived", || second.record().timestamps.len() > 3);
    running.signal(Signal::SIGTERM);
    let status = running.wait(SOON);
    assert_eq!(status.code(), Some(1), "{}", running.output());
    assert!(running.output().contains("continue with --from 17000"), "{}", running.output());
}

#[test]
fn bad_archives_are_named_and_the_rest_is_replayed() {
    let (first, second) = (Recorder::start(), Recorder::start());
    let incoming = with_archive(first.port(), "");
    let published = archived(&incoming, (0..6).map(|n| n * 10));
    let archive = incoming.beside("archive");
    let all = archives(&archive);
    let whole = std::fs::read(&all[1]).unwrap();
    std::fs::write(&all[1], &whole[..whole.len() / 2]).unwrap();
    std::fs::write(&all[3], "this is no archive").unwrap();
    write(&archive, "notes.txt", "mine");
    // A few kilobytes that become gigabytes.
    let mut bomb = Command::new(debian("sh"));
    let zeros = incoming.beside("a_stat");
    std::fs::File::create(&zeros).unwrap().set_len(3_000_000_000).unwrap();
    bomb.args(["-c", "tar --zstd -cf \"$0\" -C \"$1\" a_stat"]).arg(&all[4]).arg(zeros.parent().unwrap());
    assert!(harness::run(bomb, 4 * SOON).0.success());
    assert!(std::fs::metadata(&all[4]).unwrap().len() < 1_000_000);
    let wanted = ["--to-graphite", &to(&second)];
    let (status, output) = run(replay(&incoming, &archive, &wanted));
    assert_eq!(status.code(), Some(1), "{output}");
    for (path, what) in
        [(&all[1], "is damaged"), (&all[3], "is damaged"), (&all[4], "unpacks to more than 268435456 bytes")]
    {
        assert!(output.contains(&format!("skipped: {} {what}", path.display())), "{output}");
    }
    assert!(output.contains("3 snapshots could not be read, the first of them 1700000010"), "{output}");
    assert!(output.contains("notes.txt") && output.contains("replayed 3 of 6 snapshots"), "{output}");
    let good = [0, 2, 5].map(|n: usize| published[n].clone());
    incoming.assert_arrived(&second, &good);
}

#[test]
fn what_is_not_to_be_kept_is_removed() {
    let graphite = Recorder::start();
    let incoming = with_archive(graphite.port(), "keep = 16K\n[local-store]\ndir = ${paths:here}/store\nkeep = 8K");
    let text = std::fs::read_to_string(incoming.config()).unwrap();
    let here = incoming.beside("").display().to_string();
    std::fs::write(incoming.config(), format!("[paths]\nhere = {}\n{text}", here.trim_end_matches('/'))).unwrap();
    let first = archived(&incoming, (0..6).map(|n| n * 10));
    // A store is looked through when the first snapshot has been written, and each minute.
    let mut daemon = incoming.daemon();
    let all = [first, incoming.publish([60])].concat();
    let archive = || names_of(&archives(&incoming.beside("archive")));
    wait_until(SOON, "the archive is tidied up", || archive() == all[all.len() - 4..]);
    wait_until(SOON, "the store is tidied up", || names(&incoming.beside("store")) == all[all.len() - 1..]);
    daemon.stop(SOON);

    let by_age = with_archive(graphite.port(), "keep = 1w");
    archived(&by_age, (0..3).map(|n| n * 10));
    let mut daemon = by_age.daemon();
    by_age.publish([60]);
    // The newest stays, however old it is.
    wait_until(SOON, "what is too old is gone", || names_of(&archives(&by_age.beside("archive"))) == ["1700000060"]);
    daemon.stop(SOON);
}

#[test]
fn what_is_archived_makes_room_on_a_file_system_that_is_full() {
    let graphite = Recorder::start();
    let incoming = with_archive(graphite.port(), "keep = all");
    let first = archived(&incoming, (0..4).map(|n| n * 10));
    let archive = || names_of(&archives(&incoming.beside("archive")));
    assert_eq!(archive(), first);
    // No file system is free as a whole, so that each is as full as this one must not be.
    let text = std::fs::read_to_string(incoming.config()).unwrap();
    std::fs::write(incoming.config(), text.replace("keep = all", "keep = all\nmin-free = 100")).unwrap();
    let mut daemon = incoming.daemon();
    let last = incoming.publish([60]);
    wait_until(SOON, "the oldest are gone, and the newest stays", || archive() == last);
    daemon.stop(SOON);
}

#[test]
fn an_archive_that_cannot_be_written_keeps_snapshots_and_holds_nobody_up() {
    let graphite = Recorder::start();
    let incoming = with_archive(graphite.port(), "");
    let archive = incoming.beside("archive");
    std::fs::create_dir(&archive).unwrap();
    let mut daemon = incoming.daemon();
    let day = write(&archive, "2023-11-14", "a file in the place of a directory");
    let published = incoming.publish((0..4).map(|n| n * 10));
    daemon.wait_for_output("cannot archive a snapshot; trying again", SOON);
    incoming.assert_arrived(&graphite, &published);
    assert_eq!(incoming.waiting(), published, "they wait for the archive");
    std::fs::remove_file(day).unwrap();
    incoming.wait_until_empty();
    daemon.stop(SOON);
    assert!(daemon.output().contains("snapshots can be archived again"), "{}", daemon.output());
    assert_eq!(names_of(&archives(&archive)), published);
}

#[test]
fn a_fresh_carbon_gets_the_points_of_the_first_from_the_archive() {
    let site = Site::start(2, 1);
    let (carbon, fresh) = (Carbon::start(), Carbon::start());
    let directory = tempfile::tempdir().unwrap();
    for folder in ["incoming", "incoming.tmp"] {
        std::fs::create_dir(directory.path().join(folder)).unwrap();
    }
    let text = format!(
        "[paths]\nbase-dir = {base}\n\
         [pull]\nsocket-dir = {sockets}\nservers = {servers}\npull-interval = 1\n\
         dst-dir = ${{paths:base-dir}}/incoming\ntmp-dst-dir = ${{paths:base-dir}}/incoming.tmp\n\
         [process]\nsrc-dir = ${{paths:base-dir}}/incoming\nworkers = 2\nstatus-metrics = true\n\
         [graphite]\nserver = 127.0.0.1\nport = {port}\nnamespace = lb\nsettle = 0.5\n\
         [archive]\ndir = ${{paths:base-dir}}/archive\n",
        base = directory.path().display(),
        sockets = site.socket_dir().display(),
        servers = site.servers(),
        port = carbon.port(),
    );
    let config = write(directory.path(), "haproxystats.conf", text);
    let archive = directory.path().join("archive");
    let mut processing = Daemon::spawn(with_config(process(), &config));
    let mut pulling = Daemon::spawn(with_config(pull(), &config));
    for round in 0..6 {
        (0..=round).for_each(|_| assert_eq!(site.request(0, "www", "/"), 200));
        wait_until(SOON, "a further snapshot", || archives(&archive).len() > round);
    }
    pulling.stop(SOON);
    wait_until(SOON, "all is delivered", || {
        harness::incoming::snapshots(&directory.path().join("incoming")).is_empty()
    });
    processing.stop(SOON);
    let points = |carbon: &Carbon| -> BTreeMap<String, BTreeMap<u64, f64>> {
        let series = carbon.series().into_iter().filter(|path| !path.contains(".haproxystats."));
        series.map(|path| (path.clone(), carbon.points(&path))).collect()
    };
    let all = archives(&archive).len();
    // carbon writes its files a little later.
    let mut last = BTreeMap::new();
    wait_until(SOON, "all is in the files of carbon", || {
        let now = points(&carbon);
        let settled = now.len() > 100 && now == last && now.values().any(|points| points.len() == all);
        last = now;
        std::thread::sleep(std::time::Duration::from_secs(1));
        settled
    });
    let wanted = points(&carbon);
    let mut command = with_config(process(), &config);
    command.arg("--replay").arg(&archive).args(["--to-graphite", &format!("127.0.0.1:{}", fresh.port())]);
    let (status, output) = run(command);
    assert!(status.success(), "{output}");
    poll(SOON, || (points(&fresh) == wanted).then_some(()));
    let arrived = points(&fresh);
    for (path, points) in &wanted {
        assert_eq!(arrived.get(path), Some(points), "{path}");
    }
    assert_eq!(arrived.len(), wanted.len());
}
