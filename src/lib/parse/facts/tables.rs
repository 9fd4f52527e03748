//! `show table`: a line for each stick table.
//!
//! ```text
//! # table: sessions, type: ip, size:1024, used:7
//! ```

use super::{Facts, leading};
use crate::haproxy::facts::Thing;

/// Words of a line that are no figures.
const TEXTS: [&str; 2] = ["type", "len"];

pub(super) fn read(text: &str, facts: &mut Facts) {
    for line in text.lines().filter(|line| !line.is_empty()) {
        let Some((name, rest)) = line.strip_prefix("# table: ").and_then(|line| line.split_once(',')) else {
            facts.unknown(line);
            continue;
        };
        let (mut size, mut used) = (None, None);
        for pair in rest.split(',') {
            let Some((word, value)) = pair.split_once(':') else { continue };
            let word = word.trim();
            match leading(value.trim()) {
                _ if TEXTS.contains(&word) => {}
                Some(value) => {
                    match word {
                        "size" => size = Some(value),
                        "used" => used = Some(value),
                        _ => {}
                    }
                    facts.add((Thing::Table, name, ""), word, value);
                }
                None => facts.unknown(word),
            }
        }
        if let (Some(size), Some(used)) = (size.filter(|size| *size > 0), used) {
            facts.add((Thing::Table, name, ""), "fill_pct", used * 100 / size);
        }
    }
}
