//! Files that are made from tables of the source, and are part of the project: a test holds them against those tables.

use super::root;

/// Whether files are to be rewritten rather than compared with what they should be.
pub fn accepting() -> bool {
    std::env::var_os("HAPROXYSTATS_ACCEPT").is_some()
}

/// Holds a file of the project against what it should be.
#[track_caller]
pub fn is_made(path: &str, wanted: &str) {
    let file = root().join(path);
    if accepting() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, wanted).unwrap();
        return;
    }
    let found = std::fs::read_to_string(file).unwrap_or_default();
    let missing: Vec<&str> = wanted.lines().filter(|line| !found.lines().any(|own| own == *line)).collect();
    assert!(found == wanted, "{path}: run this test with HAPROXYSTATS_ACCEPT=1 to accept; new: {missing:#?}");
}

/// Holds what a file of the project has between two marks against what it should be.
#[track_caller]
pub fn is_made_between(path: &str, [begin, end]: [&str; 2], wanted: &str) {
    let file = root().join(path);
    let text = std::fs::read_to_string(&file).unwrap();
    let (before, rest) = text.split_once(begin).expect("the mark of the beginning");
    let (found, after) = rest.split_once(end).expect("the mark of the end");
    if accepting() {
        std::fs::write(file, format!("{before}{begin}{wanted}{end}{after}")).unwrap();
    } else {
        assert_eq!(found, wanted, "{path}: run this test with HAPROXYSTATS_ACCEPT=1 to accept");
    }
}
