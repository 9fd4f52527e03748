//! `--latency-rules`: the part of HAProxy's configuration that counts.

use super::layout::{Layout, Timer};
use std::fmt::Write as _;

/// Bounds where none are asked for, in milliseconds.
pub const BOUNDS: &str = "1,2,5,10,25,50,100,250,500,1000,2500,10000";
/// Timers where none are asked for.
pub const TIMERS: &str = "response";
/// The name of the table.
pub const TABLE: &str = "latency";
/// The section from which that with the rules takes the rest.
pub const BASE: &str = "base";

/// Bytes of a key of the table: names of some sixty letters, and the bounds.
const KEY: usize = 160;

/// Names in the configuration of HAProxy.
#[derive(Debug, Clone, Copy)]
pub struct Names<'a> {
    /// The table; the section with the rules is called after it, since HAProxy 3.3 refuses two sections of one name.
    pub table: &'a str,
    /// The user's own `defaults` section.
    pub base: &'a str,
    /// Where a worker hands the table on to the next at a reload, if it does.
    pub peers: Option<&'a str>,
}

/// Whether HAProxy takes this as the name of a section.
#[must_use]
pub fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte))
}

/// The table and the rules.
///
/// Increments come from the smallest bound to the number of requests: so a reply never shows a request that has been counted in
/// none of its buckets.
#[must_use]
pub fn configuration(layout: &Layout, names: Names<'_>) -> String {
    let Names { table, base, peers } = names;
    let elements = layout.elements();
    let length = KEY + layout.to_string().len();
    let (section, shared) = match peers {
        // HAProxy's own name for the host it runs on.
        Some(address) => (
            format!("\npeers {table}-peers\n    bind {address}\n    server \"${{HAPROXY_LOCALPEER}}\"\n"),
            format!(" peers {table}-peers"),
        ),
        None => (String::new(), String::new()),
    };
    let mut text = format!(
        "# Latency histograms of servers, for haproxystats. Made by haproxystats-pull --latency-rules.\n\
         # HAProxy 2.9 or later, backends in HTTP mode. How to use it: docs/latency.md.\n\
         #\n\
         # It belongs behind the defaults section \"{base}\". Backends take the rules with \"backend NAME from {table}-rules\".\n\
         {section}\n\
         backend {table} from {base}\n    \
         stick-table type string len {length} size 100k expire 1d{shared} store gpc({elements})\n\
         \n\
         defaults {table}-rules from {base}\n    \
         mode http\n    \
         http-response set-var-fmt(txn.haproxystats_latency) \"%[be_name]/%[srv_name]/{layout}/%pid/\"\n    \
         http-response track-sc2 var(txn.haproxystats_latency) table {table}\n"
    );
    let mut element = 0;
    let mut next = || {
        element += 1;
        element - 1
    };
    for fetch in layout.timers().iter().copied().map(Timer::fetch) {
        for bound in layout.bounds().iter() {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "    http-response sc-inc-gpc({},2) if {{ {fetch} le {bound} }}", next());
        }
        let _ = writeln!(text, "    http-response sc-inc-gpc({},2)", next());
        let _ = writeln!(text, "    http-response sc-add-gpc({},2) {fetch}", next());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_of_two_timers() {
        let layout = Layout::parse("response,queue", "5,50").unwrap();
        let text = configuration(&layout, Names { table: "t", base: "b", peers: None });
        for line in [
            "backend t from b",
            "    stick-table type string len 179 size 100k expire 1d store gpc(8)",
            "defaults t-rules from b",
            "    http-response set-var-fmt(txn.haproxystats_latency) \"%[be_name]/%[srv_name]/response,queue/5,50/%pid/\"",
            "    http-response sc-inc-gpc(0,2) if { res.timer.hdr le 5 }",
            "    http-response sc-inc-gpc(2,2)",
            "    http-response sc-add-gpc(3,2) res.timer.hdr",
            "    http-response sc-inc-gpc(5,2) if { req.timer.queue le 50 }",
            "    http-response sc-add-gpc(7,2) req.timer.queue",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
        }
        assert_eq!(text.lines().filter(|line| line.contains("-gpc(")).count(), layout.elements());
        assert!(!text.contains("peers"));
        let text = configuration(&layout, Names { table: "t", base: "b", peers: Some("127.0.0.1:1") });
        assert!(
            text.contains("\npeers t-peers\n    bind 127.0.0.1:1\n    server \"${HAPROXY_LOCALPEER}\"\n\nbackend t ")
        );
        assert!(text.contains(" expire 1d peers t-peers store gpc(8)\n"));
    }

    #[test]
    fn defaults_are_a_layout() {
        assert_eq!(Layout::parse(TIMERS, BOUNDS).unwrap().elements(), 14);
        assert!(is_name(TABLE) && is_name("a_b-c.d:1") && !is_name("") && !is_name("a b") && !is_name("a/b"));
    }
}
