//! The document under a key of etcd, through the JSON gateway of its version 3 interface: neither gRPC nor protobuf.

use super::interface::{Lease, Revision, Store, StoreError, Stored};
use super::text;
use crate::config;
use crate::discovery::document::Document;
use crate::discovery::http::{Http, Refused};
use crate::http::SetupError;
use crate::secrets;
use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::Method;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::path::PathBuf;
use std::time::Duration;

/// How often a watch looks.
const LOOK: Duration = Duration::from_millis(500);

pub(super) struct Etcd {
    http: Http,
    key: String,
    lease_key: String,
    timeout: Duration,
    credentials_file: Option<PathBuf>,
    /// What authentication gave.
    token: RefCell<Option<String>>,
}

/// A key's value.
struct KeyValue {
    value: Vec<u8>,
    mod_revision: String,
    lease: String,
}

impl Etcd {
    pub(super) fn open(config: &config::discovery::Store) -> Result<Self, StoreError> {
        if let Some(path) = &config.credentials_file {
            secrets::credentials(path).map_err(SetupError::from)?;
        }
        Ok(Self {
            http: Http::open(&config.urls, &config.tls)?,
            key: STANDARD.encode(format!("{}/list", config.key)),
            lease_key: STANDARD.encode(format!("{}/lease", config.key)),
            timeout: config.timeout,
            credentials_file: config.credentials_file.clone(),
            token: RefCell::new(None),
        })
    }

    async fn call(&self, path: &str, body: &Value) -> Result<Value, StoreError> {
        if self.credentials_file.is_some() && self.token.borrow().is_none() {
            self.authenticate().await?;
        }
        match self.post(path, body).await {
            // A token lives for some minutes.
            Err(StoreError::Refused(Refused { status: 401, .. })) if self.credentials_file.is_some() => {
                self.authenticate().await?;
                self.post(path, body).await
            }
            other => other,
        }
    }

    async fn post(&self, path: &str, body: &Value) -> Result<Value, StoreError> {
        let token = self.token.borrow().clone();
        let mut headers = vec![("content-type", "application/json")];
        headers.extend(token.as_deref().map(|token| ("authorization", token)));
        let reply = self.http.send(Method::POST, path, &headers, body.to_string(), self.timeout).await?;
        if reply.status == 200
            && let Ok(value) = serde_json::from_slice::<Value>(&reply.body)
        {
            return Ok(value);
        }
        let text = reply.excerpt();
        let status = if text.contains("invalid auth token") { 401 } else { reply.status };
        Err(Refused { request: format!("POST {path}"), status, text }.into())
    }

    async fn authenticate(&self) -> Result<(), StoreError> {
        let Some(path) = &self.credentials_file else { return Ok(()) };
        let (name, password) = secrets::credentials(path).map_err(SetupError::from)?;
        self.token.take();
        let answer = self.post("/v3/auth/authenticate", &json!({"name": name, "password": password})).await?;
        self.token.replace(answer.get("token").and_then(Value::as_str).map(str::to_owned));
        Ok(())
    }

    async fn get(&self, key: &str) -> Result<Option<KeyValue>, StoreError> {
        let answer = self.call("/v3/kv/range", &json!({"key": key})).await?;
        Ok(answer.get("kvs").and_then(|kvs| kvs.get(0)).map(key_value))
    }
}

fn key_value(kv: &Value) -> KeyValue {
    let text = |name: &str| kv.get(name).and_then(Value::as_str).unwrap_or_default();
    KeyValue {
        value: STANDARD.decode(text("value")).unwrap_or_default(),
        mod_revision: text("mod_revision").to_owned(),
        lease: text("lease").to_owned(),
    }
}

fn succeeded(answer: &Value) -> bool {
    answer.get("succeeded").and_then(Value::as_bool).unwrap_or(false)
}

#[async_trait(?Send)]
impl Store for Etcd {
    async fn load(&self) -> Result<Stored, StoreError> {
        match self.get(&self.key).await? {
            None => Ok(Stored { document: None, revision: Revision("0".to_owned()) }),
            Some(found) => {
                Ok(Stored { document: Some(text::read(&found.value)?), revision: Revision(found.mod_revision) })
            }
        }
    }

    async fn compare_and_set(&self, document: &Document, expected: &Revision) -> Result<Revision, StoreError> {
        // A key that does not exist has the revision 0.
        let body = json!({
            "compare": [{"key": self.key, "target": "MOD", "result": "EQUAL", "mod_revision": expected.0}],
            "success": [{"request_put": {"key": self.key, "value": STANDARD.encode(text::write(document)?)}}],
        });
        let answer = self.call("/v3/kv/txn", &body).await?;
        if !succeeded(&answer) {
            return Err(StoreError::Conflict);
        }
        let revision = answer.get("header").and_then(|header| header.get("revision")).and_then(Value::as_str);
        Ok(Revision(revision.unwrap_or_default().to_owned()))
    }

    async fn watch(&self, seen: &Revision, time: Duration) -> Result<(), StoreError> {
        let started = tokio::time::Instant::now();
        loop {
            let left = time.saturating_sub(started.elapsed());
            tokio::time::sleep(LOOK.min(left)).await;
            if left <= LOOK {
                return Ok(());
            }
            let body = json!({"key": self.key, "keys_only": true});
            let answer = self.call("/v3/kv/range", &body).await?;
            let found = answer.get("kvs").and_then(|kvs| kvs.get(0)).map(key_value);
            if found.map_or_else(|| "0".to_owned(), |found| found.mod_revision) != seen.0 {
                return Ok(());
            }
        }
    }

    async fn lease(&self, holder: &str, time: Duration) -> Result<Lease, StoreError> {
        if let Some(found) = self.get(&self.lease_key).await? {
            let owner = String::from_utf8_lossy(&found.value).into_owned();
            if owner != holder {
                return Ok(Lease::Theirs(owner));
            }
            let answer = self.call("/v3/lease/keepalive", &json!({"ID": found.lease})).await?;
            let left = answer.get("result").and_then(|result| result.get("TTL")).and_then(Value::as_str);
            if left.is_some_and(|left| left != "0") {
                return Ok(Lease::Ours);
            }
        }
        let granted = self.call("/v3/lease/grant", &json!({"TTL": time.as_secs().max(1).to_string()})).await?;
        let lease = granted.get("ID").and_then(Value::as_str).unwrap_or_default();
        let value = STANDARD.encode(holder);
        let body = json!({
            "compare": [{"key": self.lease_key, "target": "CREATE", "result": "EQUAL", "create_revision": "0"}],
            "success": [{"request_put": {"key": self.lease_key, "value": value, "lease": lease}}],
            "failure": [{"request_range": {"key": self.lease_key}}],
        });
        let answer = self.call("/v3/kv/txn", &body).await?;
        if succeeded(&answer) {
            return Ok(Lease::Ours);
        }
        // The lease that nobody uses is given back.
        drop(self.call("/v3/lease/revoke", &json!({"ID": lease})).await);
        let found = answer.pointer("/responses/0/response_range/kvs/0").map(key_value);
        let owner = found.map(|found| String::from_utf8_lossy(&found.value).into_owned());
        Ok(Lease::Theirs(owner.unwrap_or_default()))
    }

    async fn release(&self, holder: &str) -> Result<(), StoreError> {
        match self.get(&self.lease_key).await? {
            Some(found) if found.value == holder.as_bytes() => {
                // The key goes with its lease.
                self.call("/v3/lease/revoke", &json!({"ID": found.lease})).await.map(drop)
            }
            _ => Ok(()),
        }
    }
}
