//! The lines above the tables.

use super::model::{Known, Model};
use super::text::{count, percent, plural};

/// The scope of the model, and the sums.
pub(super) fn summary(model: &Model) -> String {
    let place = match (&model.scope, model.hosts.as_slice()) {
        (Some(host), _) => host.clone(),
        (None, [host]) => host.name.to_string(),
        (None, hosts) => plural(hosts.len(), "host", "hosts"),
    };
    let processes = plural(model.processes.len() - model.leaving().0, "process", "processes");
    format!("{place}, {processes}: {}", sums(model))
}

/// The sums over all processes.
pub(super) fn sums(model: &Model) -> String {
    let totals = &model.totals;
    let mark = if totals.known == Known::Part { "~" } else { "" };
    let rate = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{mark}{}", count(value)));
    let mut parts = vec![
        format!("req/s {}", rate(totals.requests)),
        format!("err/s {}", rate(totals.errors)),
        format!("conn {}", count(totals.sessions)),
        format!("queue {}", count(totals.queued)),
    ];
    parts.extend(totals.idle.map(|idle| format!("idle {}", percent(idle / 100.0))));
    parts.extend([format!("in/s {}", rate(totals.bytes_in)), format!("out/s {}", rate(totals.bytes_out))]);
    parts.join("  ")
}

/// Servers by their states.
pub(super) fn servers(model: &Model) -> String {
    let counts = &model.counts;
    let all = [
        (counts.up, "up"),
        (counts.down, "down"),
        (counts.drain, "drain"),
        (counts.maint, "maint"),
        (counts.nolb, "nolb"),
    ];
    let said = all.iter().filter(|(number, word)| *number > 0 || matches!(*word, "up" | "down"));
    let mut text = said.map(|(number, word)| format!("{number} {word}")).collect::<Vec<_>>().join(", ");
    if counts.unchecked > 0 {
        text.push_str(&format!(" ({} without check)", counts.unchecked));
    }
    text
}
