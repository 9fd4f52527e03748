//! The document in a table of DynamoDB: the table of HSDO, whose key is the number `BackendServerID`.
//!
//! | BackendServerID | |
//! |---|---|
//! | 1 and more | the rows of HSDO: `IPAddress ServerName ASG Weight BackendServerStatus LastWeightUpdate` |
//! | 0 | the document: `Revision` and `Document`, besides HSDO's columns of a free slot |
//! | -1 | the lease: `Holder` and `Until`, likewise |
//!
//! The document alone counts. The rows follow it, so that clients of HSDO go on while they are replaced one by one;
//! they take 0 and -1 for servers that HAProxy does not know, which has no effect. Where there is no document yet, it
//! is read from the rows: whichever side is replaced first, the list stays.

use super::{Lease, Revision, Store, StoreError, Stored};
use crate::config;
use crate::config::discovery::Ramp;
use crate::discovery::aws::{Aws, AwsError, Service};
use crate::discovery::document::{Document, Server, Slot, State};
use crate::discovery::hint::Hint;
use crate::discovery::{LocalFuture, utc_seconds};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

const DOCUMENT: i64 = 0;
const LEASE: i64 = -1;

/// What a revision begins with as long as there is no document; those of documents begin with a number.
const ROWS: &str = "rows";

/// What HSDO writes where nothing is.
const NONE: &str = "none";

/// The store.
pub(super) struct DynamoDb {
    service: Service,
    table: String,
    timeout: Duration,
    ramp: Ramp,
    mirror: bool,
    /// HSDO's rows as they are in the table; `None`: not known.
    rows: RefCell<Option<BTreeMap<u32, Row>>>,
}

/// A row of HSDO.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Row {
    address: String,
    name: String,
    group: String,
    weight: u16,
    enabled: bool,
}

impl Row {
    fn free() -> Self {
        Self { address: NONE.to_owned(), name: NONE.to_owned(), group: NONE.to_owned(), weight: 0, enabled: false }
    }

    fn of(server: &Server) -> Self {
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
    fn item(&self, id: i64, now: u64) -> Value {
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
    fn read(item: &Value) -> Option<(i64, Self)> {
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
fn adopted(rows: &BTreeMap<u32, Row>, ramp: Ramp, now: u64) -> Document {
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
fn revision_of(rows: &BTreeMap<u32, Row>) -> Revision {
    let mut hasher = DefaultHasher::new();
    rows.hash(&mut hasher);
    Revision(format!("{ROWS} {:x}", hasher.finish()))
}

impl DynamoDb {
    pub(super) async fn open(config: &config::Discovery) -> Result<Self, StoreError> {
        let aws = Aws::open(config.region.as_deref()).await?;
        Ok(Self {
            service: aws.service("dynamodb", "DYNAMODB")?,
            table: config.store.table.clone().unwrap_or_default(),
            timeout: config.store.timeout,
            ramp: config.server.plan.ramp,
            mirror: config.store.rows,
            rows: RefCell::new(None),
        })
    }

    async fn call(&self, request: &'static str, body: &Value) -> Result<Value, AwsError> {
        let target = format!("DynamoDB_20120810.{request}");
        let headers = [("content-type", "application/x-amz-json-1.0"), ("x-amz-target", target.as_str())];
        let reply = self.service.post(&headers, &body.to_string(), self.timeout).await?;
        let answer: Value = serde_json::from_slice(&reply.body).unwrap_or(Value::Null);
        if reply.status == 200 && answer.is_object() {
            return Ok(answer);
        }
        let code = answer.get("__type").and_then(Value::as_str).unwrap_or_default();
        let code = code.rsplit('#').next().unwrap_or_default().to_owned();
        let words = answer.get("message").or_else(|| answer.get("Message")).and_then(Value::as_str);
        let message = words.map_or_else(|| reply.excerpt(), str::to_owned);
        Err(AwsError::Refused { request, status: reply.status, code, message })
    }

    async fn item(&self, id: i64) -> Result<Option<Value>, AwsError> {
        let body = json!({
            "TableName": self.table,
            "Key": {"BackendServerID": {"N": id.to_string()}},
            "ConsistentRead": true,
        });
        Ok(self.call("GetItem", &body).await?.get_mut("Item").map(Value::take))
    }

    /// All rows of HSDO.
    async fn scan(&self) -> Result<BTreeMap<u32, Row>, AwsError> {
        let mut rows = BTreeMap::new();
        let mut body = json!({"TableName": self.table, "ConsistentRead": true});
        loop {
            let mut answer = self.call("Scan", &body).await?;
            let items = answer.get("Items").and_then(Value::as_array);
            for (id, row) in items.into_iter().flatten().filter_map(Row::read) {
                if let Some(id) = u32::try_from(id).ok().filter(|id| *id > 0) {
                    rows.insert(id, row);
                }
            }
            match answer.get_mut("LastEvaluatedKey").map(Value::take).filter(|key| !key.is_null()) {
                Some(key) => {
                    if let Some(body) = body.as_object_mut() {
                        body.insert("ExclusiveStartKey".to_owned(), key);
                    }
                }
                None => return Ok(rows),
            }
        }
    }

    /// Makes the rows of HSDO follow the document.
    async fn follow(&self, document: &Document) -> Result<(), AwsError> {
        let taken = self.rows.take();
        let mut rows = match taken {
            Some(rows) => rows,
            None => self.scan().await?,
        };
        let now = utc_seconds();
        let mut wanted: BTreeMap<u32, Row> = BTreeMap::new();
        for slot in &document.slots {
            wanted.insert(slot.id, slot.server.as_ref().map_or_else(Row::free, Row::of));
        }
        for (id, row) in &wanted {
            if rows.get(id) != Some(row) {
                let body = json!({"TableName": self.table, "Item": row.item(i64::from(*id), now)});
                self.call("PutItem", &body).await?;
                rows.insert(*id, row.clone());
            }
        }
        // A list that has become shorter: HSDO refuses a table that is longer than the list.
        let surplus: Vec<u32> = rows.keys().copied().filter(|id| !wanted.contains_key(id)).collect();
        for id in surplus {
            let body = json!({"TableName": self.table, "Key": {"BackendServerID": {"N": id.to_string()}}});
            self.call("DeleteItem", &body).await?;
            rows.remove(&id);
        }
        self.rows.replace(Some(rows));
        Ok(())
    }
}

impl Store for DynamoDb {
    fn load(&self) -> LocalFuture<'_, Result<Stored, StoreError>> {
        Box::pin(async {
            let item = self.item(DOCUMENT).await?;
            let text = |name: &str| item.as_ref()?.get(name)?.get("S")?.as_str();
            if let (Some(document), Some(revision)) = (text("Document"), text("Revision")) {
                let document = super::parse(document.as_bytes())?;
                return Ok(Stored { document: Some(document), revision: Revision(revision.to_owned()) });
            }
            let rows = self.scan().await?;
            let document = (!rows.is_empty()).then(|| adopted(&rows, self.ramp, utc_seconds()));
            Ok(Stored { document, revision: revision_of(&rows) })
        })
    }

    fn compare_and_set<'a>(
        &'a self,
        document: &'a Document,
        expected: &'a Revision,
    ) -> LocalFuture<'a, Result<Revision, StoreError>> {
        Box::pin(async move {
            let revision = format!("{} {}", document.version, document.by);
            let mut item = Row::free().item(DOCUMENT, 0);
            if let Some(item) = item.as_object_mut() {
                let text = String::from_utf8(super::text(document)?).unwrap_or_default();
                item.insert("Document".to_owned(), json!({"S": text}));
                item.insert("Revision".to_owned(), json!({"S": revision}));
            }
            let mut body =
                json!({"TableName": self.table, "Item": item, "ConditionExpression": "attribute_not_exists(Revision)"});
            if !expected.0.starts_with(ROWS)
                && let Some(body) = body.as_object_mut()
            {
                body.insert("ConditionExpression".to_owned(), json!("Revision = :expected"));
                body.insert("ExpressionAttributeValues".to_owned(), json!({":expected": {"S": expected.0}}));
            }
            match self.call("PutItem", &body).await {
                Ok(_) => {}
                Err(error) if error.is("ConditionalCheckFailedException") => {
                    self.rows.take();
                    return Err(StoreError::Conflict);
                }
                Err(error) => return Err(error.into()),
            }
            if self.mirror
                && let Err(error) = self.follow(document).await
            {
                // The document is what counts; the rows are put right with the next one.
                tracing::warn!(error = %crate::logging::Chain(&error), "the rows for clients of HSDO are not up to date");
            }
            Ok(Revision(revision))
        })
    }

    fn watch<'a>(&'a self, _: &'a Revision, time: Duration) -> LocalFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            tokio::time::sleep(time).await;
            Ok(())
        })
    }

    fn lease<'a>(&'a self, holder: &'a str, time: Duration) -> LocalFuture<'a, Result<Lease, StoreError>> {
        Box::pin(async move {
            let now = utc_seconds();
            let mut item = Row::free().item(LEASE, 0);
            if let Some(item) = item.as_object_mut() {
                item.insert("Holder".to_owned(), json!({"S": holder}));
                let until = super::lease_end(now, time);
                item.insert("Until".to_owned(), json!({"N": until.to_string()}));
            }
            // One that lasts longer than any is given for comes from a clock that was wrong.
            let body = json!({
                "TableName": self.table,
                "Item": item,
                "ConditionExpression": "attribute_not_exists(Holder) OR Holder = :me OR #until <= :now OR #until > :late",
                "ExpressionAttributeNames": {"#until": "Until"},
                "ExpressionAttributeValues": {
                    ":me": {"S": holder},
                    ":now": {"N": now.to_string()},
                    ":late": {"N": now.saturating_add(86_400).to_string()},
                },
            });
            match self.call("PutItem", &body).await {
                Ok(_) => Ok(Lease::Ours),
                Err(error) if error.is("ConditionalCheckFailedException") => {
                    let item = self.item(LEASE).await?;
                    let holder = item.as_ref().and_then(|item| item.get("Holder")?.get("S")?.as_str());
                    Ok(Lease::Theirs(holder.unwrap_or_default().to_owned()))
                }
                Err(error) => Err(error.into()),
            }
        })
    }

    fn release<'a>(&'a self, holder: &'a str) -> LocalFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let body = json!({
                "TableName": self.table,
                "Key": {"BackendServerID": {"N": LEASE.to_string()}},
                "ConditionExpression": "Holder = :me",
                "ExpressionAttributeValues": {":me": {"S": holder}},
            });
            match self.call("DeleteItem", &body).await {
                Err(error) if !error.is("ConditionalCheckFailedException") => Err(error.into()),
                _ => Ok(()),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
