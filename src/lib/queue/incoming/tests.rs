use super::*;
use std::fs;

const A: Epoch = Epoch(1_500_000_000);

struct Place {
    base: tempfile::TempDir,
    dir: PathBuf,
}

impl Place {
    fn new() -> Self {
        let base = tempfile::tempdir().unwrap();
        let dir = base.path().join("incoming");
        fs::create_dir(&dir).unwrap();
        Self { base, dir }
    }

    fn open(&self) -> Incoming {
        Incoming::open(&self.dir, Instant::now()).unwrap()
    }

    fn move_in(&self, epoch: Epoch) {
        let staged = self.base.path().join("staged");
        fs::create_dir(&staged).unwrap();
        fs::rename(staged, self.dir.join(epoch.to_string())).unwrap();
    }
}

fn nothing_known(_: Epoch) -> bool {
    false
}

/// Looks as the daemon does, on hints and in time, until something arrives.
async fn arrival(incoming: &mut Incoming) -> Vec<Epoch> {
    let limit = Instant::now() + Duration::from_secs(15);
    loop {
        let look = incoming.look(Instant::now(), nothing_known);
        if !look.arrived.is_empty() {
            return look.arrived;
        }
        assert!(Instant::now() < limit, "nothing arrived");
        let next = tokio::time::Instant::from_std(incoming.next_look());
        tokio::select! {
            () = incoming.hinted() => {}
            () = tokio::time::sleep_until(next) => {}
        }
    }
}

#[tokio::test]
async fn what_is_moved_in_arrives_at_once() {
    let place = Place::new();
    let mut incoming = place.open();
    incoming.look(Instant::now(), nothing_known);
    let start = Instant::now();
    place.move_in(A);
    assert_eq!(arrival(&mut incoming).await, vec![A]);
    assert!(start.elapsed() < Duration::from_secs(1), "a hint was due, not a timer");
}

#[tokio::test]
async fn what_is_made_in_place_arrives_when_it_is_left_alone() {
    let place = Place::new();
    let mut incoming = place.open();
    incoming.look(Instant::now(), nothing_known);
    let path = place.dir.join(A.to_string());
    fs::create_dir(&path).unwrap();
    // A slow writer: another file every second, for longer than the time to settle.
    let start = Instant::now();
    let writer = tokio::spawn(async move {
        for file in 0..5 {
            fs::write(path.join(format!("sock{file}_info")), "Name: HAProxy\n").unwrap();
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    assert_eq!(arrival(&mut incoming).await, vec![A]);
    assert!(start.elapsed() >= Duration::from_secs(4) + SETTLE - Duration::from_millis(100), "{:?}", start.elapsed());
    writer.await.unwrap();
}

#[tokio::test]
async fn another_directory_of_the_name_is_found_and_watched() {
    let place = Place::new();
    let mut incoming = place.open();
    incoming.look(Instant::now(), nothing_known);
    fs::rename(&place.dir, place.base.path().join("old")).unwrap();
    let look = incoming.look(Instant::now() + LOOK_EVERY, nothing_known);
    assert_eq!(look.present, Some(BTreeSet::new()));
    fs::create_dir(&place.dir).unwrap();
    let look = incoming.look(Instant::now() + LOOK_EVERY * 2, nothing_known);
    assert!(look.rescued);
    place.move_in(A);
    assert_eq!(arrival(&mut incoming).await, vec![A]);
}

#[tokio::test]
async fn a_replacement_within_one_moment_is_found_too() {
    let place = Place::new();
    let mut incoming = place.open();
    incoming.look(Instant::now(), nothing_known);
    fs::create_dir(place.base.path().join("new")).unwrap();
    fs::rename(&place.dir, place.base.path().join("old")).unwrap();
    fs::rename(place.base.path().join("new"), &place.dir).unwrap();
    place.move_in(A);
    assert_eq!(arrival(&mut incoming).await, vec![A]);
}

#[tokio::test]
async fn the_directory_may_be_reached_by_a_link() {
    let place = Place::new();
    let link = place.base.path().join("link");
    std::os::unix::fs::symlink(&place.dir, &link).unwrap();
    let mut incoming = Incoming::open(&link, Instant::now()).unwrap();
    incoming.look(Instant::now(), nothing_known);
    place.move_in(A);
    assert_eq!(arrival(&mut incoming).await, vec![A]);
}

#[tokio::test]
async fn a_missing_directory_is_waited_for() {
    let place = Place::new();
    fs::remove_dir(&place.dir).unwrap();
    let mut incoming = place.open();
    assert_eq!(incoming.look(Instant::now(), nothing_known).arrived, vec![]);
    fs::create_dir(&place.dir).unwrap();
    place.move_in(A);
    assert_eq!(arrival(&mut incoming).await, vec![A]);
}

#[tokio::test]
async fn one_daemon_at_a_time() {
    let place = Place::new();
    let first = place.open();
    assert!(matches!(Incoming::open(&place.dir, Instant::now()), Err(IncomingError::Locked { .. })));
    drop(first);
    place.open();
}

#[test]
fn what_is_known_does_not_arrive_again() {
    let place = Place::new();
    let mut incoming = place.open();
    place.move_in(A);
    let later = Instant::now() + LOOK_EVERY;
    assert_eq!(incoming.look(later, |_| true).arrived, vec![]);
}

#[test]
fn removals_to_finish_are_reported() {
    let place = Place::new();
    fs::create_dir(place.dir.join(".done-1500000000")).unwrap();
    let mut incoming = place.open();
    assert_eq!(incoming.look(Instant::now(), nothing_known).leftovers, vec![A]);
}

#[test]
fn it_looks_seldom_while_all_is_well_and_often_while_something_has_to_settle() {
    let place = Place::new();
    let mut incoming = place.open();
    let mut now = Instant::now();
    for (made, pause) in [(false, LOOK_EVERY), (true, LOOK_OFTEN), (false, LOOK_EVERY)] {
        let path = place.dir.join(A.to_string());
        if made {
            fs::create_dir(path).unwrap()
        } else {
            drop(fs::remove_dir(path))
        }
        now = now.max(incoming.next_look());
        assert_eq!(incoming.look(now, nothing_known).arrived, vec![]);
        assert_eq!(incoming.next_look(), now + pause);
    }
}

#[test]
fn a_watch_that_cannot_be_had_is_tried_again_now_and_then_and_the_lock_is_kept() {
    let place = Place::new();
    let mut incoming = place.open();
    let again = incoming.rewatch_at;
    incoming.opened.as_mut().unwrap().watch = Err("no watches are left".to_owned());
    for early in [2, 1] {
        let now = again - early * LOOK_OFTEN;
        incoming.look(now, nothing_known);
        assert!(incoming.watch().is_none(), "not with every look");
        assert_eq!(incoming.next_look(), now + LOOK_OFTEN);
    }
    assert!(!incoming.look(again, nothing_known).rescued, "it is the same directory");
    assert!(incoming.watch().is_some());
    assert_eq!(incoming.next_look(), again + LOOK_EVERY);
    assert!(matches!(Incoming::open(&place.dir, again), Err(IncomingError::Locked { .. })));
}
