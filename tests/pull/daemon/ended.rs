//! `mark-ended`: what was in the snapshot before and is no more.

use super::*;

const HEADER: &str = "# pxname,svname,scur,last_chk,type,\n";
const FRONTEND: &str = "web,FRONTEND,3,,0,\n";
/// With quotes, an empty line and a comma in a field.
const SERVER: &str = "web,s1,1,\"no \"\"pong\"\",\n\nbut this\",2,\n";
const BACKEND: &str = "web,BACKEND,2,,1,\n";

fn rows(rows: &[&str]) -> Script {
    Script::Answer { info: INFO.into(), stat: format!("{HEADER}{}\n", rows.concat()).into() }
}

/// What snapshots say has ended, each file with its text, from the first of those that say so.
#[track_caller]
fn marked(place: &Place, pull: &Daemon, seen: usize) -> (usize, BTreeMap<String, String>) {
    wait_for(SOON, "a snapshot that says what has ended", || {
        for (number, name) in place.published().into_iter().enumerate().skip(seen) {
            let snapshot = place.incoming().join(name);
            let files: Vec<String> = names(&snapshot).into_iter().filter(|name| name.contains("_ended")).collect();
            if !files.is_empty() {
                let read = |name: String| (name.clone(), fs::read_to_string(snapshot.join(name)).unwrap());
                return Some((number, files.into_iter().map(read).collect()));
            }
        }
        let _ = pull;
        None
    })
}

#[test]
fn the_last_rows_of_what_is_no_more_are_told_once() {
    let place = Place::new();
    let a = place.fake("a.sock", rows(&[FRONTEND, SERVER, BACKEND]));
    let b = place.fake("b.sock", rows(&[SERVER]));
    let mut pull = place.start(&[("mark-ended", "true")]);
    place.next(&pull, 1);
    // The other socket of the host still has it.
    a.set(rows(&[FRONTEND, BACKEND]));
    let seen = place.published().len();
    place.next(&pull, seen + 1);
    b.set(rows(&[FRONTEND]));
    let (number, files) = marked(&place, &pull, 0);
    assert!(number > seen, "{files:?}");
    assert_eq!(files, BTreeMap::from([("b.sock_endedstat".to_owned(), format!("{HEADER}{SERVER}\n"))]));
    // Nothing is told twice, and a restart forgets nothing.
    place.next(&pull, number + 2);
    pull.stop(SOON);
    let seen = place.published().len();
    a.set(rows(&[FRONTEND]));
    let pull = place.start(&[("mark-ended", "true")]);
    let (number, files) = marked(&place, &pull, number + 1);
    assert_eq!((number, files.len()), (seen, 1));
    assert_eq!(files["a.sock_endedstat"], format!("{HEADER}{BACKEND}\n"));
}

#[test]
fn a_host_that_is_no_more_says_its_last_words() {
    let place = Place::with("[hosts]\na.sock = lb-a\nb.sock = lb-b\n");
    let _a = place.fake("a.sock", rows(&[FRONTEND]));
    let b = place.fake("b.sock", rows(&[FRONTEND]));
    let pull = place.start(&[("mark-ended", "true"), ("on-socket-failure", "keep-rest")]);
    place.next(&pull, 1);
    b.set(Script::Close);
    let (_, files) = marked(&place, &pull, 0);
    assert_eq!(files["b.sock_endedstat"], format!("{HEADER}{FRONTEND}\n"));
    assert_eq!(files["b.sock_endedinfo"].trim_end(), INFO.trim_end());
}

#[test]
fn unasked_nothing_is_said_and_nothing_kept() {
    let place = Place::new();
    let a = place.fake("a.sock", rows(&[FRONTEND, SERVER]));
    let pull = place.start(&[]);
    place.next(&pull, 0);
    a.set(rows(&[FRONTEND]));
    let seen = place.published().len();
    place.next(&pull, seen + 1);
    let files: Vec<String> = place.published().iter().flat_map(|name| names(&place.incoming().join(name))).collect();
    assert!(!files.iter().any(|name| name.contains("_ended")), "{files:?}");
    assert!(!place.incoming().join(".last-pull").exists());
}
