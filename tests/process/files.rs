//! Files that HAProxy could have written, and some that it could not.

use haproxystats::haproxy::columns::COLUMNS;
use proptest::prelude::*;
use proptest::sample::subsequence;

fn cell() -> impl Strategy<Value = String> {
    prop_oneof![
        20 => (0_u64..10).prop_map(|value| value.to_string()),
        10 => Just(String::new()),
        10 => any::<u64>().prop_flat_map(|value| (0_u32..64).prop_map(move |shift| (value >> shift).to_string())),
        3 => (-1000_i64..0).prop_map(|value| value.to_string()),
        3 => "\"[0-9]{0,3}\"".prop_map(|text| text),
        1 => "[0-9]{17,24}|[+-][0-9]{0,20}|[a-z ]{1,9}",
        1 => Just("\"L7OK, \"\"fine\"\"\n\nand more\"".to_owned()),
        1 => "[\"a,\n]{1,4}",
    ]
}

/// A file with a header and some rows, good and bad.
pub fn file() -> impl Strategy<Value = String> {
    let names: Vec<&'static str> = COLUMNS.iter().map(|column| column.name).collect();
    let header = (subsequence(names, 0..90), 0..4_usize).prop_map(|(mut names, extra)| {
        // Some files have neither type nor lbtot, or lack what selections want.
        names.extend(["pxname", "svname", "type", "status"].iter().take(4 - extra.saturating_sub(1)));
        let named = names.len().min(4);
        names.rotate_right(named);
        names
    });
    let row = |width: usize| {
        let names = ("a|b\\.c|b_c|\"q\"|", "FRONTEND|BACKEND|s1|s\\.2|\"s,3\"|", 0..5_usize);
        (names, proptest::collection::vec(cell(), width), 0..20_usize)
    };
    header.prop_flat_map(move |header| {
        let rows = proptest::collection::vec(row(header.len() + 1), 0..12);
        rows.prop_map(move |rows| {
            let mut text = format!("# {},\n", header.join(","));
            for ((proxy, server, kind), mut cells, odd) in rows {
                for (cell, name) in cells.iter_mut().zip(&header) {
                    match *name {
                        "pxname" => cell.clone_from(&proxy),
                        "svname" => cell.clone_from(&server),
                        "type" => *cell = kind.to_string(),
                        _ => {}
                    }
                }
                // The comma at the end of the header names a last, empty field.
                *cells.last_mut().unwrap() = String::new();
                if odd == 0 {
                    cells.pop();
                }
                text.push_str(&cells.join(","));
                text.push_str(if odd == 1 { "\r\n" } else { "\n" });
            }
            text
        })
    })
}
