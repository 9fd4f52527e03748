use super::*;
use proptest::prelude::*;

/// A reader that hands out a few bytes at a time.
struct Trickle<'a>(&'a [u8], usize);

impl Read for Trickle<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.1.min(self.0.len()).min(into.len());
        into[..count].copy_from_slice(&self.0[..count]);
        self.0 = &self.0[count..];
        Ok(count)
    }
}

fn lines(text: &[u8], step: usize) -> Vec<(u64, Vec<u8>)> {
    let mut rows = Rows::new(Trickle(text, step), &mut Buffer::default());
    let mut found = Vec::new();
    loop {
        match rows.advance().unwrap() {
            Row::End => return found,
            Row::TooLong => found.push((rows.number(), b"too long".to_vec())),
            Row::Line => {
                if rows.quotes() == Quotes::Open {
                    rows.extend().unwrap();
                }
                found.push((rows.number(), rows.line().to_vec()));
            }
        }
    }
}

#[test]
fn blank_lines_and_line_ends_do_not_matter() {
    let text = b"a,b\r\n\n\r\nc\n\nlast";
    assert_eq!(lines(text, 3), [(1, b"a,b".to_vec()), (4, b"c".to_vec()), (6, b"last".to_vec())]);
}

#[test]
fn a_quoted_line_end_belongs_to_the_row() {
    let text = b"a,\"x\ny\",b\nc\n";
    assert_eq!(lines(text, 1), [(2, b"a,\"x\ny\",b".to_vec()), (3, b"c".to_vec())]);
}

#[test]
fn a_stray_quote_stays_in_its_line() {
    assert_eq!(lines(b"a\"\nb\nc", 2), [(1, b"a\"".to_vec()), (2, b"b".to_vec()), (3, b"c".to_vec())]);
}

#[test]
fn a_row_can_be_cut_back() {
    let mut rows = Rows::new(b"a\"\nb\nc\"\nd\n".as_slice(), &mut Buffer::default());
    assert_eq!(rows.advance().unwrap(), Row::Line);
    assert!(rows.extend().unwrap());
    assert_eq!((rows.line(), rows.number()), (b"a\"\nb\nc\"".as_slice(), 3));
    rows.shorten();
    assert_eq!((rows.line(), rows.number()), (b"a\"".as_slice(), 1));
    assert_eq!(rows.advance().unwrap(), Row::Line);
    assert_eq!((rows.line(), rows.number()), (b"b".as_slice(), 2));
}

#[test]
fn a_quote_that_is_closed_too_late_takes_nothing_with_it() {
    let late = format!("a\"\n{}\"\nc\n", format!("{}\n", "b".repeat(99)).repeat(MAX_ROW / 100 + 1));
    let mut rows = Rows::new(late.as_bytes(), &mut Buffer::default());
    assert_eq!(rows.advance().unwrap(), Row::Line);
    assert!(!rows.extend().unwrap());
    assert_eq!((rows.line(), rows.number(), rows.offset()), (b"a\"".as_slice(), 1, 3));
    assert_eq!(rows.advance().unwrap(), Row::Line);
    assert_eq!((rows.line().len(), rows.number()), (99, 2));
}

#[test]
fn how_long_a_line_may_be_does_not_depend_on_where_it_stands() {
    for (length, before) in [(MAX_ROW, 0), (MAX_ROW, 100_000), (MAX_ROW + 1, 0), (MAX_ROW + 1, 100_000)] {
        let text = [vec![b'\n'; before], vec![b'x'; length], b"\nb\n".to_vec()].concat();
        let found = lines(&text, usize::MAX);
        assert_eq!((found.len(), found[0].1 == b"too long"), (2, length > MAX_ROW), "{length} behind {before}");
    }
}

#[test]
fn offsets_are_those_of_the_file() {
    let text = format!("{}\n\nb\r\n", "x".repeat(100)).repeat(5000);
    let mut rows = Rows::new(Trickle(text.as_bytes(), 70_000), &mut Buffer::default());
    for number in 0..10_000_u64 {
        assert_eq!(rows.advance().unwrap(), Row::Line);
        let expected = number / 2 * 105 + if number % 2 == 0 { 101 } else { 105 };
        assert_eq!(rows.offset(), expected);
    }
    assert_eq!((rows.advance().unwrap(), rows.offset()), (Row::End, text.len() as u64));
}

#[test]
fn an_endless_line_is_skipped_in_bounded_memory() {
    let mut text = vec![b'x'; 3 * MAX_ROW];
    text.extend_from_slice(b"\nb\n");
    assert_eq!(lines(&text, 10_000), [(1, b"too long".to_vec()), (2, b"b".to_vec())]);
}

proptest! {
    #[test]
    fn chunks_do_not_matter(text in "[ab,\"\n\r]{0,200}", step in 1_usize..40) {
        prop_assert_eq!(lines(text.as_bytes(), step), lines(text.as_bytes(), 10_000));
    }

    #[test]
    fn both_ways_to_advance_are_one(text in "[ab,\"\n\r]{0,200}", step in 1_usize..40) {
        let mut rows = Rows::new(Trickle(text.as_bytes(), step), &mut Buffer::default());
        let mut others = Rows::new(text.as_bytes(), &mut Buffer::default());
        loop {
            let row = rows.advance().unwrap();
            let (other, quotes) = others.advance_to_quotes().unwrap();
            prop_assert_eq!(&row, &other);
            if row == Row::End {
                break;
            }
            prop_assert_eq!((rows.line(), rows.number()), (others.line(), others.number()));
            prop_assert_eq!((rows.quotes(), rows.offset()), (quotes, others.offset()));
        }
    }

    #[test]
    fn without_quotes_rows_are_lines(text in "[ab,\n]{0,200}") {
        let expected: Vec<_> = text.split('\n').filter(|line| !line.is_empty()).map(|l| l.as_bytes().to_vec()).collect();
        let found: Vec<_> = lines(text.as_bytes(), 7).into_iter().map(|(_, line)| line).collect();
        prop_assert_eq!(found, expected);
    }
}
