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

mod rows;

use super::interface::{Lease, Revision, Store, StoreError, Stored, lease_end};
use super::text;
use crate::config;
use crate::config::discovery::Ramp;
use crate::discovery::aws::{Aws, AwsError, Service};
use crate::discovery::clock::utc_seconds;
use crate::discovery::document::Document;
use async_trait::async_trait;
use rows::{ROWS, Row, adopted, revision_of};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

const DOCUMENT: i64 = 0;
const LEASE: i64 = -1;

pub(super) struct DynamoDb {
    service: Service,
    table: String,
    timeout: Duration,
    ramp: Ramp,
    mirror: bool,
    /// HSDO's rows as they are in the table; `None`: not known.
    rows: RefCell<Option<BTreeMap<u32, Row>>>,
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

#[async_trait(?Send)]
impl Store for DynamoDb {
    async fn load(&self) -> Result<Stored, StoreError> {
        let item = self.item(DOCUMENT).await?;
        let text = |name: &str| item.as_ref()?.get(name)?.get("S")?.as_str();
        if let (Some(document), Some(revision)) = (text("Document"), text("Revision")) {
            let document = text::read(document.as_bytes())?;
            return Ok(Stored { document: Some(document), revision: Revision(revision.to_owned()) });
        }
        let rows = self.scan().await?;
        let document = (!rows.is_empty()).then(|| adopted(&rows, self.ramp, utc_seconds()));
        Ok(Stored { document, revision: revision_of(&rows) })
    }

    async fn compare_and_set(&self, document: &Document, expected: &Revision) -> Result<Revision, StoreError> {
        let revision = format!("{} {}", document.version, document.by);
        let mut item = Row::free().item(DOCUMENT, 0);
        if let Some(item) = item.as_object_mut() {
            let text = String::from_utf8(text::write(document)?).unwrap_or_default();
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
            tracing::warn!(error = %crate::logging::Chain(&error), "cannot update the rows for HSDO clients");
        }
        Ok(Revision(revision))
    }

    async fn watch(&self, _: &Revision, time: Duration) -> Result<(), StoreError> {
        tokio::time::sleep(time).await;
        Ok(())
    }

    async fn lease(&self, holder: &str, time: Duration) -> Result<Lease, StoreError> {
        let now = utc_seconds();
        let mut item = Row::free().item(LEASE, 0);
        if let Some(item) = item.as_object_mut() {
            item.insert("Holder".to_owned(), json!({"S": holder}));
            let until = lease_end(now, time);
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
    }

    async fn release(&self, holder: &str) -> Result<(), StoreError> {
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
    }
}
