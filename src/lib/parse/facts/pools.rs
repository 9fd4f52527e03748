//! `show pools`: a line for each memory pool, and one for all.
//!
//! ```text
//!   - Pool stream (1056 bytes/8) : 3 allocated (3168 bytes), 3 used (~1 by thread caches), needed_avg 0, 0 failures, 1 users, @0x7f
//! Total: 106 pools, 582688 bytes allocated, 582688 used (~351344 by thread caches).
//! ```

use super::{Facts, leading, number_after, number_before};
use crate::haproxy::facts::Thing;
use std::collections::BTreeMap;

/// So many pools are reported one by one, those with the most memory.
const LARGEST: usize = 20;

pub(super) fn read(text: &str, facts: &mut Facts) {
    // Several pools may have the same name.
    let mut pools: BTreeMap<&str, [i128; 3]> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with("Dumping pools usage")) {
        if let Some(pool) = line.trim_start().strip_prefix("- Pool ") {
            let Some((name, figures)) = pool.split_once(" (").and_then(|(name, rest)| Some((name, of_pool(rest)?)))
            else {
                facts.unknown(line);
                continue;
            };
            pools.entry(name).or_default().iter_mut().zip(figures).for_each(|(sum, figure)| *sum += figure);
        } else if let Some(total) = line.strip_prefix("Total: ") {
            let of_all = (Thing::Pools, "", "");
            let figures = [
                ("count", leading(total)),
                ("allocated_bytes", number_before(total, " bytes allocated")),
                ("used_bytes", number_before(total, " used")),
            ];
            for (name, value) in figures {
                match value {
                    Some(value) => facts.add(of_all, name, value),
                    None => facts.unknown(line),
                }
            }
        } else {
            facts.unknown(line);
        }
    }
    let mut pools: Vec<(&str, [i128; 3])> = pools.into_iter().filter(|(_, [allocated, ..])| *allocated > 0).collect();
    pools.sort_by_key(|(_, [allocated, ..])| std::cmp::Reverse(*allocated));
    for (name, [allocated, used, failures]) in pools.into_iter().take(LARGEST) {
        let pool = (Thing::Pool, name, "");
        facts.add(pool, "allocated_bytes", allocated);
        facts.add(pool, "used_bytes", used);
        facts.add(pool, "failures", failures);
    }
}

/// Bytes allocated, bytes in use, and failures.
fn of_pool(rest: &str) -> Option<[i128; 3]> {
    let size = leading(rest)?;
    Some([
        number_after(rest, " allocated (")?,
        number_before(rest, " used")?.checked_mul(size)?,
        number_before(rest, " failures")?,
    ])
}
