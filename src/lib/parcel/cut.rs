//! Where a file is divided: between two proxies; between two rows if a proxy is too long; anywhere if a row is too long.

use super::{Label, encode, pairs};
use std::ops::Range;

/// The parts of `bytes`, each of at most `most` bytes; a single empty one if there are no bytes.
#[must_use]
pub fn cuts(bytes: &[u8], most: usize) -> Vec<Range<usize>> {
    let (mut parts, mut start) = (Vec::new(), 0);
    while bytes.len() - start > most {
        let end = start + first_part(bytes.get(start..).unwrap_or_default(), most.max(1));
        parts.push(start..end);
        start = end;
    }
    if start < bytes.len() || parts.is_empty() {
        parts.push(start..bytes.len());
    }
    parts
}

/// Length of the first part of `bytes` that are longer than `most`.
fn first_part(bytes: &[u8], most: usize) -> usize {
    let within = bytes.get(..most).unwrap_or(bytes);
    let Some(newline) = memchr::memrchr(b'\n', within) else { return most };
    let rows = newline + 1;
    // From the last row that fits, go back to the last one of a proxy.
    let mut after = proxy(bytes.get(rows..).unwrap_or_default());
    let mut border = rows;
    loop {
        let before = bytes.get(..border - 1).unwrap_or_default();
        let row = memchr::memrchr(b'\n', before).map_or(0, |newline| newline + 1);
        let name = proxy(bytes.get(row..border).unwrap_or_default());
        if name != after {
            return border;
        }
        if row == 0 {
            return rows;
        }
        (after, border) = (name, row);
    }
}

/// The first field of a row.
fn proxy(row: &[u8]) -> &[u8] {
    let end = memchr::memchr2(b',', b'\n', row).unwrap_or(row.len());
    row.get(..end).unwrap_or_default()
}

/// Divides a message into two that together mean the same, each as headers and payload; `None` if it cannot be divided.
#[must_use]
pub fn halves(headers: &[u8], payload: &[u8]) -> Option<[(Vec<u8>, Vec<u8>); 2]> {
    if payload.len() < 2 {
        return None;
    }
    let label = Label::parse(pairs(headers), payload.len()).ok()?;
    let middle = first_part(payload, payload.len() / 2);
    let (one, other) = payload.split_at_checked(middle)?;
    let second = Label { offset: label.offset + one.len() as u64, ..label };
    Some([(headers.to_vec(), one.to_vec()), (encode(&second.headers()), other.to_vec())])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Epoch;
    use proptest::prelude::*;

    const ROWS: &str = "# pxname,svname\nwww,FRONTEND\napp,s1\napp,s2\napp,BACKEND\ndb,s1\ndb,BACKEND\n\n";

    fn parts(text: &str, most: usize) -> Vec<&str> {
        cuts(text.as_bytes(), most).into_iter().map(|part| &text[part]).collect()
    }

    #[test]
    fn proxies_stay_together_where_they_fit() {
        assert_eq!(parts(ROWS, 1000), [ROWS]);
        assert_eq!(
            parts(ROWS, 40),
            ["# pxname,svname\nwww,FRONTEND\n", "app,s1\napp,s2\napp,BACKEND\n", "db,s1\ndb,BACKEND\n\n"]
        );
        assert_eq!(parts("app,s1\napp,s2\n", 8), ["app,s1\n", "app,s2\n"], "rows, where a proxy does not");
        assert_eq!(parts("abcdef", 4), ["abcd", "ef"]);
        assert_eq!(parts("", 4), [""]);
    }

    #[test]
    fn halves_know_where_they_belong() {
        let label = Label {
            host: "lb".to_owned(),
            cluster: None,
            time: Epoch(10),
            interval: 1,
            file: "a_stat".to_owned(),
            files: 1,
            offset: 100,
            size: 1000,
        };
        let [(one, first), (other, second)] = halves(&encode(&label.headers()), ROWS.as_bytes()).unwrap();
        assert_eq!([first.clone(), second.clone()].concat(), ROWS.as_bytes());
        let offset = |headers: &[u8], payload: &[u8]| Label::parse(pairs(headers), payload.len()).unwrap().offset;
        assert_eq!((offset(&one, &first), offset(&other, &second)), (100, 100 + first.len() as u64));
        assert_eq!(halves(&encode(&label.headers()), b"x"), None);
        assert_eq!(halves(b"", b"xyz"), None);
    }

    proptest! {
        #[test]
        fn parts_are_the_whole_and_none_is_too_large(text in "([ab]{0,3},[x]{0,9}\n?){0,20}", most in 1_usize..60) {
            let cut = cuts(text.as_bytes(), most);
            let mut next = 0;
            for part in &cut {
                prop_assert_eq!(part.start, next);
                prop_assert!(part.len() <= most && (!part.is_empty() || text.is_empty()));
                next = part.end;
            }
            prop_assert_eq!(next, text.len());
        }
    }
}
