//! The rows of HSDO: a server in each.

use crate::config::discovery::Ramp;
use crate::discovery::document::{Document, Server, Slot, State};
use crate::discovery::hint::Hint;
use crate::discovery::store::interface::Revision;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

/// What HSDO writes where nothing is.
const NONE: &str = "none";

/// A row of HSDO.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Row {
    address: String,
    name: String,
    group: String,
    weight: u16,
    enabled: bool,
}

impl Row {
    pub(super) fn free() -> Self {
        Self { address: NONE.to_owned(), name: NONE.to_owned(), group: NONE.to_owned(), weight: 0, enabled: false }
    }

    pub(super) fn of(server: &Server) -> Self {
        match (server.state, server.address()) {
            (State::Active, Some(address)) => Self {
                address: address.to_string(),
                name: server.instance.clone(),
                group: if server.group.is_empty() { NONE.to_owned() } else { server.group.clone() },
                weight: server.weight,
                enabled: true,
            },
            _ => Self::free(),
        }
    }

    /// The columns, with the time (UTC) as Python writes it.
    pub(super) fn item(&self, id: i64, now: u64) -> Value {
        let updated = if self.enabled { python_time(now) } else { "0-0-0 00:00:00.000000".to_owned() };
        json!({
            "BackendServerID": {"N": id.to_string()},
            "IPAddress": {"S": self.address},
            "ServerName": {"S": self.name},
            "ASG": {"S": self.group},
            "Weight": {"N": self.weight.to_string()},
            "BackendServerStatus": {"S": if self.enabled { "enabled" } else { "disabled" }},
            "LastWeightUpdate": {"S": updated},
        })
    }

    /// A row that was read; columns that older versions of HSDO do not write may be missing.
    pub(super) fn read(item: &Value) -> Option<(i64, Self)> {
        let text = |name: &str| item.get(name).and_then(|value| value.get("S")).and_then(Value::as_str);
        let number = |name: &str| item.get(name)?.get("N")?.as_str()?.parse::<f64>().ok();
        #[allow(clippy::cast_possible_truncation, reason = "ids are small, and a number cannot overflow the cast")]
        let id = number("BackendServerID")? as i64;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
        let weight = number("Weight").unwrap_or(0.0).clamp(0.0, 256.0) as u16;
        let row = Self {
            address: text("IPAddress").unwrap_or(NONE).to_owned(),
            name: text("ServerName").unwrap_or(NONE).to_owned(),
            group: text("ASG").unwrap_or(NONE).to_owned(),
            weight,
            enabled: text("BackendServerStatus") == Some("enabled"),
        };
        Some((id, row))
    }
}

/// `2023-06-01 12:00:00`, UTC.
fn python_time(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // The civil calendar from days since the epoch, in years that begin in March (H. Hinnant, chrono-compatible dates).
    let shifted = days + 719_468;
    let (era, day) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day_of_month:02} {:02}:{:02}:{:02}", rest / 3600, rest / 60 % 60, rest % 60)
}

/// The list that HSDO's rows are. A ramp that has begun goes on from its weight: when it began is known only in the time
/// zone of the server that wrote it, which the row does not say.
pub(super) fn adopted(rows: &BTreeMap<u32, Row>, ramp: Ramp, now: u64) -> Document {
    let mut document = Document::empty(0, ramp);
    "HSDO".clone_into(&mut document.by);
    for (id, row) in rows {
        let address = row.address.parse().ok().filter(|_| row.enabled || row.address != NONE);
        let server = address.map(|address| {
            let steps = u64::from(row.weight.saturating_sub(ramp.min)).div_ceil(u64::from(ramp.step.max(1)));
            let ramped = ramp.interval.as_secs_f64() * f64::from(u32::try_from(steps).unwrap_or(u32::MAX));
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few hours")]
            let ramped = ramped.ceil() as u64;
            Server {
                instance: row.name.clone(),
                name: row.name.clone(),
                addresses: vec![address],
                port: None,
                group: if row.group == NONE { String::new() } else { row.group.clone() },
                zone: String::new(),
                hint: Hint::FULL,
                since: now.saturating_sub(ramped),
                state: State::Active,
                weight: row.weight.min(ramp.max),
                since_millis: 0,
                gained: 0,
                doubt: None,
            }
        });
        document.slots.push(Slot { id: *id, server });
    }
    document
}

/// The revision of a list that HSDO's rows are: another one with each change of a row.
pub(super) fn revision_of(rows: &BTreeMap<u32, Row>) -> Revision {
    let mut hasher = DefaultHasher::new();
    rows.hash(&mut hasher);
    Revision(format!("{ROWS} {:x}", hasher.finish()))
}

/// What a revision begins with as long as there is no document; those of documents begin with a number.
pub(super) const ROWS: &str = "rows";

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn times_as_python_writes_them() {
        for (seconds, wanted) in [
            (0, "1970-01-01 00:00:00"),
            (951_827_696, "2000-02-29 12:34:56"),
            (1_685_620_800, "2023-06-01 12:00:00"),
            (4_102_444_799, "2099-12-31 23:59:59"),
        ] {
            assert_eq!(python_time(seconds), wanted);
        }
    }

    #[test]
    fn rows_of_the_seed_become_the_list_and_their_ramps_go_on() {
        let ramp = Ramp { min: 1, max: 10, step: 2, interval: Duration::from_secs(30) };
        let row = |address: &str, weight: u16| Row {
            address: address.to_owned(),
            name: format!("i-{weight}"),
            group: "asg".to_owned(),
            weight,
            enabled: true,
        };
        let rows = BTreeMap::from([(1, row("10.0.0.1", 5)), (2, Row::free()), (4, row("10.0.0.4", 10))]);
        let document = adopted(&rows, ramp, 1_700_000_000);
        let slots: Vec<_> =
            document.slots.iter().map(|slot| (slot.id, slot.server.as_ref().map(|s| s.instance.as_str()))).collect();
        assert_eq!(slots, [(1, Some("i-5")), (2, None), (4, Some("i-10"))]);
        for (_, server) in document.servers() {
            assert_eq!(document.weight_at(server, 1_700_000_000_000), server.weight, "{}", server.instance);
        }
        let young = document.slots[0].server.as_ref().unwrap();
        assert_eq!(document.weight_at(young, 1_700_000_030_000), 7);
    }

    #[test]
    fn a_client_beside_the_server_of_the_seed_sees_each_change_of_a_row() {
        let one = BTreeMap::from([(1, Row::free()), (2, Row::free())]);
        let mut other = one.clone();
        other.insert(2, Row { weight: 1, ..Row::free() });
        assert_eq!(revision_of(&one), revision_of(&one.clone()));
        assert_ne!(revision_of(&one), revision_of(&other));
        assert!(revision_of(&one).0.starts_with(ROWS));
    }

    #[test]
    fn a_row_without_asg_is_read() {
        let item = json!({"BackendServerID": {"N": "3"}, "IPAddress": {"S": "10.0.0.3"}, "ServerName": {"S": "i-3"},
            "Weight": {"N": "2"}, "BackendServerStatus": {"S": "enabled"}, "LastWeightUpdate": {"S": "2023-06-01 12:00:00.1"}});
        let (id, row) = Row::read(&item).unwrap();
        assert_eq!((id, row.group.as_str(), row.weight, row.enabled), (3, NONE, 2, true));
    }
}
