//! The state of a member of a Kafka consumer group, as part of [`super::report`].

use super::report::span;
use crate::snapshot::group::Group;
use crate::snapshot::list::wall_clock;
use serde_json::{Value, json};
use std::time::Duration;

/// A member rewrites its state every second. If the state is this old, the member hangs or is not running.
const SILENT: Duration = Duration::from_secs(10);

fn oldest(group: &Group) -> Option<Duration> {
    group.oldest.map(|oldest| wall_clock().saturating_sub(Duration::from_secs(oldest.0)))
}

fn counted(count: u64, one: &str, more: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { more })
}

/// The lines of the report, as names and contents.
pub(super) fn lines(group: &Group, age: Duration) -> Vec<(&'static str, String)> {
    let mut state = format!("{} of topic {}", group.group, group.topic);
    if !group.up {
        state.push_str(", unavailable: see the log");
    }
    if age >= SILENT {
        state.push_str(&format!(", last updated {} ago", span(age)));
    }
    let numbers: Vec<String> = group.partitions.iter().map(i32::to_string).collect();
    let mut partitions = if numbers.is_empty() { "none".to_owned() } else { numbers.join(", ") };
    if group.paused > 0 {
        partitions.push_str(&format!("; {} paused", group.paused));
    }
    if group.held > 0 {
        partitions.push_str(&format!("; {} stopped at a message of a later version: upgrade", group.held));
    }
    let mut lag = counted(group.lag, "message", "messages");
    if let Some(oldest) = oldest(group) {
        lag.push_str(&format!(", oldest undelivered snapshot {}", span(oldest)));
    }
    let assembled = format!(
        "{}, {} incomplete, {} sent again for a late host",
        counted(group.assembled, "snapshot of a host", "snapshots of hosts"),
        group.incomplete,
        counted(group.late, "second", "seconds"),
    );
    let refused = counted(group.refused, "message", "messages");
    let rebalances = group.rebalances.to_string();
    [
        ("group", state),
        ("partitions", partitions),
        ("lag", lag),
        ("assembled", assembled),
        ("refused", refused),
        ("rebalances", rebalances),
    ]
    .into()
}

/// The same as JSON.
pub(super) fn json(group: &Group, age: Duration) -> Value {
    json!({
        "group": group.group,
        "topic": group.topic,
        "up": group.up,
        "partitions": group.partitions,
        "partitions_paused": group.paused,
        "partitions_held": group.held,
        "lag": group.lag,
        "oldest_age_seconds": oldest(group).map(|age| age.as_secs()),
        "assembled": group.assembled,
        "incomplete": group.incomplete,
        "late": group.late,
        "refused": group.refused,
        "rebalances": group.rebalances,
        "last_change_seconds": age.as_secs(),
    })
}
