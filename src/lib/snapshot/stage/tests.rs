use super::lock::LOCK_FILE;
use super::*;
use std::io::Write;
use tempfile::TempDir;

const EPOCH: Epoch = Epoch(1_700_000_000);

struct Place {
    root: TempDir,
}

impl Place {
    fn new() -> Self {
        Self { root: tempfile::tempdir().unwrap() }
    }
    fn tmp(&self) -> PathBuf {
        self.root.path().join("incoming.tmp")
    }
    fn dst(&self) -> PathBuf {
        self.root.path().join("incoming")
    }
    fn open(&self) -> Staging {
        Staging::open(&self.tmp(), &self.dst(), false).unwrap()
    }
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(directory)
        .map(|entries| entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect())
        .unwrap_or_default();
    names.retain(|name| name != LOCK_FILE);
    names.sort();
    names
}

fn fill(snapshot: &Snapshot) {
    let folder = snapshot.folder();
    folder.file("a.sock_info").unwrap().write_all(b"info").unwrap();
    folder.file("a.sock_stat").unwrap().write_all(b"stat").unwrap();
    folder.file("b.sock_info").unwrap();
    folder.remove("b.sock_info").unwrap();
    folder.remove("b.sock_info").unwrap();
}

fn crosses(from: &Path, to: &Path) -> io::Result<()> {
    // As a kernel where the two directories are on different file systems.
    if from.parent() == to.parent() || from.parent().and_then(Path::parent) == to.parent() {
        return disk::rename_new(from, to);
    }
    Err(ErrorKind::CrossesDevices.into())
}

#[test]
fn a_published_snapshot_is_complete_and_leaves_nothing_behind() {
    for fsync in [false, true] {
        let place = Place::new();
        let staging = Staging::open(&place.tmp(), &place.dst(), fsync).unwrap();
        let snapshot = staging.begin(EPOCH).unwrap();
        fill(&snapshot);
        assert_eq!(names(&place.dst()), [""; 0]);
        assert_eq!(snapshot.publish().unwrap(), Published::Renamed);
        assert_eq!(names(&place.dst()), ["1700000000"]);
        assert_eq!(names(&place.dst().join("1700000000")), ["a.sock_info", "a.sock_stat"]);
        assert_eq!(names(&place.tmp()), [""; 0]);
        assert_eq!(staging.waiting().unwrap(), 1);
    }
}

#[test]
fn an_abandoned_snapshot_vanishes() {
    let place = Place::new();
    let staging = place.open();
    fill(&staging.begin(EPOCH).unwrap());
    assert_eq!(names(&place.tmp()), [""; 0]);
    assert_eq!(names(&place.dst()), [""; 0]);
}

#[test]
fn what_a_crash_left_is_removed_and_nothing_else() {
    let place = Place::new();
    for base in [place.tmp(), place.dst().join(STAGING_DIR)] {
        fs::create_dir_all(base.join("1700000000")).unwrap();
        fs::write(base.join("1700000000/a.sock_info"), "half").unwrap();
        fs::create_dir_all(base.join("lost+found")).unwrap();
        fs::write(base.join("1700000001"), "a file").unwrap();
        fs::create_dir_all(place.dst().join("1600000000")).unwrap();
        std::os::unix::fs::symlink(place.dst().join("1600000000"), base.join("1700000002")).unwrap();
    }
    place.open();
    let kept = ["1700000001", "1700000002", "lost+found"];
    assert_eq!(names(&place.tmp()), kept);
    assert_eq!(names(&place.dst().join(STAGING_DIR)), kept);
    assert_eq!(names(&place.dst()), [STAGING_DIR, "1600000000"]);
}

#[test]
fn across_file_systems_the_snapshot_is_copied_once_and_staged_inside_from_then_on() {
    for fsync in [false, true] {
        let place = Place::new();
        let mut staging = Staging::open(&place.tmp(), &place.dst(), fsync).unwrap();
        staging.rename = crosses;
        let snapshot = staging.begin(EPOCH).unwrap();
        fill(&snapshot);
        assert_eq!(snapshot.publish().unwrap(), Published::Copied);
        assert_eq!(fs::read(place.dst().join("1700000000/a.sock_stat")).unwrap(), b"stat");
        staging.move_inside();
        let snapshot = staging.begin(Epoch(1_700_000_010)).unwrap();
        fill(&snapshot);
        assert_eq!(names(&place.tmp()), [""; 0]);
        assert_eq!(snapshot.publish().unwrap(), Published::Renamed);
        assert_eq!(names(&place.dst()), [STAGING_DIR, "1700000000", "1700000010"]);
        assert_eq!(names(&place.dst().join(STAGING_DIR)), [""; 0]);
        assert_eq!(staging.waiting().unwrap(), 2);
    }
}

#[test]
fn a_failed_rename_leaves_nothing_behind() {
    let place = Place::new();
    let mut staging = place.open();
    staging.rename = |_, _| Err(ErrorKind::StorageFull.into());
    let snapshot = staging.begin(EPOCH).unwrap();
    fill(&snapshot);
    assert!(matches!(snapshot.publish(), Err(StageError::Publish { .. })));
    assert_eq!(names(&place.tmp()), [""; 0]);
    assert_eq!(names(&place.dst()), [""; 0]);
}

#[test]
fn an_existing_snapshot_is_never_overwritten() {
    let place = Place::new();
    let staging = place.open();
    let late = staging.begin(EPOCH).unwrap();
    fs::create_dir(place.dst().join("1700000000")).unwrap();
    assert!(matches!(staging.begin(EPOCH), Err(StageError::Exists { .. })));
    fill(&late);
    assert!(matches!(late.publish(), Err(StageError::Exists { .. })));
    assert_eq!(names(&place.dst().join("1700000000")), [""; 0]);
    assert_eq!(names(&place.tmp()), [""; 0]);
}

#[test]
fn directories_that_vanish_are_made_again() {
    let place = Place::new();
    let staging = place.open();
    fs::remove_dir_all(place.dst()).unwrap();
    fs::remove_dir(place.tmp()).unwrap();
    assert_eq!(staging.waiting().unwrap(), 0);
    let snapshot = staging.begin(EPOCH).unwrap();
    fill(&snapshot);
    fs::remove_dir_all(place.dst()).unwrap();
    assert_eq!(snapshot.publish().unwrap(), Published::Renamed);
    assert_eq!(names(&place.dst()), ["1700000000"]);
}

#[test]
fn only_snapshots_count_as_waiting() {
    let place = Place::new();
    let staging = place.open();
    for name in ["1700000000", "1700000010", "failed", ".hidden", "01"] {
        fs::create_dir(place.dst().join(name)).unwrap();
    }
    fs::write(place.dst().join("1700000020"), "a file").unwrap();
    assert_eq!(staging.waiting().unwrap(), 2);
}

#[test]
fn two_programs_do_not_stage_in_one_directory() {
    let place = Place::new();
    let first = place.open();
    assert!(matches!(
        Staging::open(&place.tmp(), &place.root.path().join("other"), false),
        Err(StageError::InUse { .. })
    ));
    drop(first);
    place.open();
}

#[test]
fn two_programs_do_not_publish_into_one_directory() {
    let place = Place::new();
    let (other_tmp, other_dst) = (place.root.path().join("other.tmp"), place.root.path().join("other"));
    let mut first = place.open();
    let second = |tmp: &Path, dst: &Path| Staging::open(tmp, dst, false);
    assert!(matches!(second(&other_tmp, &place.dst()), Err(StageError::InUse { path }) if path == place.dst()));
    // Whatever is removed and made again is locked again before the next tick.
    for directory in [place.tmp(), place.dst()] {
        fs::remove_dir_all(&directory).unwrap();
        assert_eq!(first.waiting().unwrap(), 0);
        first.hold().unwrap();
        assert!(matches!(second(&place.tmp(), &other_dst), Err(StageError::InUse { .. })), "{directory:?}");
        assert!(matches!(second(&other_tmp, &place.dst()), Err(StageError::InUse { .. })), "{directory:?}");
    }
    fs::remove_file(place.dst().join(LOCK_FILE)).unwrap();
    let quicker = second(&other_tmp, &place.dst()).unwrap();
    assert!(matches!(first.hold(), Err(StageError::InUse { .. })), "the quicker one has it now");
    drop(quicker);
    first.hold().unwrap();
}

#[test]
fn the_last_second_is_known_after_a_restart() {
    let place = Place::new();
    assert_eq!(place.open().last(), None);
    for epoch in [1_700_000_000, 5, 1_700_000_010] {
        place.open().remember(Epoch(epoch), &["a note".to_owned(), epoch.to_string()]);
        assert_eq!(notes(&place.dst()), ["a note".to_owned(), epoch.to_string()]);
        let staging = place.open();
        assert_eq!((staging.last(), staging.last()), (Some(Epoch(epoch)), Some(Epoch(epoch))));
    }
    fs::write(place.dst().join(LOCK_FILE), "nonsense").unwrap();
    assert_eq!(place.open().last(), None);
}

#[test]
fn one_directory_for_both_purposes_keeps_the_queue_safe() {
    let place = Place::new();
    fs::create_dir_all(place.dst().join("1600000000")).unwrap();
    let staging = Staging::open(&place.dst(), &place.dst(), false).unwrap();
    let snapshot = staging.begin(EPOCH).unwrap();
    fill(&snapshot);
    assert_eq!(names(&place.dst()), [STAGING_DIR, "1600000000"]);
    snapshot.publish().unwrap();
    assert_eq!(names(&place.dst()), [STAGING_DIR, "1600000000", "1700000000"]);
}

#[test]
fn a_link_in_place_of_the_hidden_directory_is_not_followed() {
    let place = Place::new();
    fs::create_dir_all(place.dst().join("1600000000")).unwrap();
    std::os::unix::fs::symlink(".", place.dst().join(STAGING_DIR)).unwrap();
    assert!(matches!(Staging::open(&place.tmp(), &place.dst(), false), Err(StageError::Create { .. })));
    assert!(place.dst().join("1600000000").is_dir());
}

#[test]
fn errors_name_the_path() {
    let place = Place::new();
    fs::write(place.dst(), "in the way").unwrap();
    let error = Staging::open(&place.tmp(), &place.dst(), false).unwrap_err();
    assert_eq!(error.to_string(), format!("cannot create directory {}", place.dst().display()));
}
