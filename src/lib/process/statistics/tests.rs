use super::*;
use crate::batch::Batch;
use crate::batch::messages::Messages;

fn piece(epoch: u64, piece: usize, more: bool, families: &[(&str, &str)]) -> Batch {
    let mut messages = Messages::default();
    for (head, lines) in families {
        messages.push(head.as_bytes(), Epoch(epoch), [lines.as_bytes()]);
    }
    Batch { epoch: Epoch(epoch), piece, more, messages, ..Batch::default() }
}

fn page(dir: &Path) -> Option<(u64, String)> {
    let statistics = Statistics::open(dir).unwrap()?;
    let epoch = statistics.epoch().0;
    let text: Vec<u8> = statistics.flat_map(Result::unwrap).collect();
    Some((epoch, String::from_utf8(text).unwrap()))
}

#[test]
fn the_lines_of_a_metric_stand_together() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::new(dir.path());
    assert_eq!(page(dir.path()), None);
    let long = "b 1\n".repeat(50_000);
    writer.piece(&piece(10, 0, true, &[("# a\n", "a 1\n"), ("# b\n", &long)]));
    assert_eq!(page(dir.path()), None, "it is not complete");
    writer.piece(&piece(10, 1, false, &[("# b\n", "b 2\n"), ("# a\n", "a 2\n"), ("# c\n", "c 1\n")]));
    assert_eq!(page(dir.path()), Some((10, format!("# a\na 1\na 2\n# b\n{long}b 2\n# c\nc 1\n"))));
}

#[test]
fn the_newest_snapshot_stays_whoever_is_late_or_fails() {
    let dir = tempfile::tempdir().unwrap();
    let (mut one, mut other) = (Writer::new(dir.path()), Writer::new(dir.path()));
    let whole = |epoch, lines: &str| piece(epoch, 0, false, &[("# a\n", lines)]);
    one.piece(&whole(20, "a 20\n"));
    other.piece(&whole(10, "a 10\n"));
    assert_eq!(page(dir.path()).unwrap().0, 20);
    one.piece(&piece(30, 0, true, &[("# a\n", "a 30\n")]));
    one.piece(&whole(40, "a 40\n"));
    let names = || files(dir.path()).unwrap().len();
    assert_eq!((page(dir.path()), names()), (Some((40, "# a\na 40\n".to_owned())), 1));
    std::fs::write(dir.path().join(".statistics-50.7"), "half").unwrap();
    tidy(dir.path(), true);
    assert_eq!((page(dir.path()).unwrap().0, names()), (40, 1));
    tidy(dir.path(), false);
    assert_eq!((page(dir.path()), names()), (None, 0));
}

#[test]
fn what_is_no_page_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    for text in [&b""[..], b"abc", b"0123456789abcdef", b"[]\x02\0\0\0\0\0\0\0x"] {
        std::fs::write(dir.path().join(".statistics-50"), text).unwrap();
        assert!(Statistics::open(dir.path()).is_err(), "{text:?}");
    }
}
