//! Cells by commas, by each of the ways, and by the first of them.

use super::*;
use proptest::prelude::*;

proptest! {
    #[test]
    fn all_cells_count_and_the_first_are_found(
        row in proptest::collection::vec(prop_oneof![40 => Just(b','), 200 => any::<u8>(), 1 => Just(b'"')], 0..300),
        wanted in 0_usize..160,
    ) {
        let expected: Vec<&[u8]> = row.split(|byte| *byte == b',').collect();
        let (mut cells, mut narrow) = (Cells::default(), Cells::default());
        let count = cells.find(&row, wanted);
        prop_assert_eq!(count, (!row.contains(&b'"')).then_some(expected.len()));
        prop_assert_eq!(narrow.find_narrow(&row, wanted, |_| wanted), count);
        for (index, expected) in expected.iter().enumerate().take(wanted) {
            prop_assert_eq!(narrow.range(index), cells.range(index));
            let (from, to) = cells.range(index);
            prop_assert_eq!(&row[from..to], *expected);
        }
    }

    #[test]
    fn the_first_cells_say_how_many_are_found_and_the_rest_is_there(
        row in "([a-z0-9]{0,4},){0,150}[a-z]{0,4}",
        first in 1_usize..160,
        wanted in 0_usize..160,
    ) {
        let expected: Vec<&str> = row.split(',').collect();
        let mut cells = Cells::default();
        let count = cells.find_by_first(row.as_bytes(), first, |cells| {
            // Asked only once the first ones can be read.
            let (from, to) = cells.range(first - 1);
            assert_eq!(&row[from..to], expected[first - 1]);
            wanted
        });
        prop_assert_eq!(count, Some(expected.len()));
        for (cell, expected) in expected.iter().enumerate() {
            if cell < first.max(wanted) {
                let (from, to) = cells.range(cell);
                prop_assert_eq!(&row[from..to], *expected);
            }
            prop_assert_eq!(cells.far(row.as_bytes(), cell), expected.as_bytes());
        }
    }

    #[test]
    fn quoted_cells_are_those_of_the_reference(
        row in "(([a-z]{0,3}|\"([a-z,]|\"\"){0,5}\"),){0,6}[a-z,\"\r]{0,6}",
        wanted in 0_usize..8,
    ) {
        let (mut cells, mut reference) = (Cells::default(), super::super::quoted::Quoted::default());
        let expected = reference.split(row.as_bytes());
        if let Some(count) = cells.find_quoted(row.as_bytes(), wanted) {
            prop_assert!(expected.is_whole() || row.is_empty());
            prop_assert_eq!(count, expected.width().max(1));
            for cell in (0..count.min(wanted)).filter(|cell| !cells.any_quoted(&[*cell])) {
                let (from, to) = cells.range(cell);
                prop_assert_eq!(&row.as_bytes()[from..to], expected.cell(cell));
            }
        } else {
            prop_assert!(row.contains(['"', '\r']));
        }
    }

    #[test]
    fn all_ways_find_the_same(
        bytes in proptest::collection::vec(prop_oneof![Just(b','), Just(b'"'), any::<u8>()], BLOCK),
    ) {
        let block: [u8; BLOCK] = bytes.try_into().unwrap();
        prop_assert_eq!(look(&block), portable(&block));
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has it.
            prop_assert_eq!(unsafe { look_wide(&block) }, portable(&block));
        }
    }
}

#[test]
fn quoted_cells_need_no_other_reader() {
    let row = br#"a,"b,c","d""e","","""",f"#;
    let mut cells = Cells::default();
    assert_eq!(cells.find_quoted(row, 6), Some(6));
    let found: Vec<&[u8]> = (0..6).map(|cell| cells.range(cell)).map(|(from, to)| &row[from..to]).collect();
    let expected: [&[u8]; 6] = [b"a", br#""b,c""#, br#""d""e""#, br#""""#, br#""""""#, b"f"];
    assert_eq!(found, expected);
    assert!((0..6).all(|cell| cells.any_quoted(&[cell]) == (1..=4).contains(&cell)));
    for bad in [&br#"a"b",c"#[..], br#""a"b,c"#, br#""a,b"#, br#""a"","#, b"\"a\",b\r"] {
        assert_eq!(cells.find_quoted(bad, 2), None, "{}", String::from_utf8_lossy(bad));
    }
}
