//! `show activity`: a line for each figure, of all threads and of each.
//!
//! ```text
//! loops: 210 [ 76 134 ]
//! ```
//!
//! With one thread there is only the first number.

use super::{Facts, leading};
use crate::haproxy::facts::{self, ACTIVITY_TEXTS, Thing};

pub(super) fn read(text: &str, facts: &mut Facts) {
    for line in text.lines().filter(|line| !line.is_empty()) {
        let Some((name, values)) = line.split_once(':') else {
            facts.unknown(line);
            continue;
        };
        if name == "thread_id" {
            let last = values.rsplit_once("..").and_then(|(_, last)| leading(last));
            facts.add((Thing::Threads, "", ""), "count", last.unwrap_or(1));
        }
        if ACTIVITY_TEXTS.contains(&name) {
            continue;
        }
        let (total, each) = values.split_once('[').unwrap_or((values, ""));
        let (true, Ok(total)) = (facts::find(Thing::Threads, name).is_some(), total.trim().parse::<i128>()) else {
            facts.unknown(name);
            continue;
        };
        facts.add((Thing::Threads, "", ""), name, total);
        let each: Vec<&str> = each.trim_end_matches(']').split_whitespace().collect();
        let alone = total.to_string();
        let each = if each.is_empty() { vec![alone.as_str()] } else { each };
        for (thread, value) in (1..).zip(each) {
            match value.parse() {
                Ok(value) => facts.add((Thing::Thread, &format!("{thread}"), ""), name, value),
                Err(_) => facts.unknown(name),
            }
        }
    }
}
