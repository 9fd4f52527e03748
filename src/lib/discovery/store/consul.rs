//! The document in Consul's KV store: check-and-set for the document, a session for the lease.

use super::interface::{Lease, Revision, Store, StoreError, Stored};
use super::text;
use crate::config;
use crate::discovery::document::Document;
use crate::discovery::http::{Http, Refused};
use crate::http::{Reply, SetupError};
use crate::secrets;
use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::Method;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::path::PathBuf;
use std::time::Duration;

/// The least and the greatest time for which Consul gives a session.
const SESSION: (u64, u64) = (10, 86_400);

pub(super) struct ConsulKv {
    http: Http,
    /// A connection of its own for requests that wait.
    waiting: Http,
    list: String,
    lease: String,
    timeout: Duration,
    token_file: Option<PathBuf>,
    /// Our session; `None`: there is none so far.
    session: RefCell<Option<String>>,
}

impl ConsulKv {
    pub(super) fn open(config: &config::discovery::Store) -> Result<Self, StoreError> {
        if let Some(path) = &config.token_file {
            secrets::line(path, "token").map_err(SetupError::from)?;
        }
        Ok(Self {
            http: Http::open(&config.urls, &config.tls)?,
            waiting: Http::open(&config.urls, &config.tls)?,
            list: format!("/v1/kv/{}/list", config.key),
            lease: format!("/v1/kv/{}/lease", config.key),
            timeout: config.timeout,
            token_file: config.token_file.clone(),
            session: RefCell::new(None),
        })
    }

    async fn call(
        &self,
        http: &Http,
        method: Method,
        path: &str,
        body: Vec<u8>,
        time: Duration,
    ) -> Result<Reply, StoreError> {
        // Read each time: tokens are replaced.
        let token =
            self.token_file.as_ref().map(|path| secrets::line(path, "token")).transpose().map_err(SetupError::from)?;
        let headers: Vec<_> = token.as_deref().map(|token| ("x-consul-token", token)).into_iter().collect();
        let request = format!("{method} {}", path.split('?').next().unwrap_or(path));
        let reply = http.send(method, path, &headers, body, time).await?;
        match reply.status {
            200 | 404 | 409 => Ok(reply),
            _ => Err(Refused::by(&reply, request).into()),
        }
    }

    async fn put(&self, path: &str, body: Vec<u8>) -> Result<Reply, StoreError> {
        self.call(&self.http, Method::PUT, path, body, self.timeout).await
    }

    /// Value and modify index of a key.
    async fn get(&self, path: &str) -> Result<Option<(Vec<u8>, String)>, StoreError> {
        let path = format!("{path}?consistent");
        let reply = self.call(&self.http, Method::GET, &path, Vec::new(), self.timeout).await?;
        if reply.status == 404 {
            return Ok(None);
        }
        let answer: Value = serde_json::from_slice(&reply.body).map_err(StoreError::Decode)?;
        let index = answer.pointer("/0/ModifyIndex").map(ToString::to_string);
        let value = answer.pointer("/0/Value").and_then(Value::as_str).unwrap_or_default();
        Ok(index.map(|index| (STANDARD.decode(value).unwrap_or_default(), index)))
    }

    /// Renews our session, or makes one.
    async fn session(&self, holder: &str, time: Duration) -> Result<String, StoreError> {
        let kept = self.session.borrow().clone();
        if let Some(session) = kept
            && self.put(&format!("/v1/session/renew/{session}"), Vec::new()).await?.status == 200
        {
            return Ok(session);
        }
        let seconds = time.as_secs().clamp(SESSION.0, SESSION.1);
        let body = json!({
            "Name": format!("haproxystats-discovery {holder}"),
            "TTL": format!("{seconds}s"),
            "LockDelay": "0s",
            "Behavior": "release",
        });
        let request = "/v1/session/create";
        let reply = self.put(request, body.to_string().into_bytes()).await?;
        let answer: Value = serde_json::from_slice(&reply.body).map_err(StoreError::Decode)?;
        let session = answer.get("ID").and_then(Value::as_str).map(str::to_owned);
        let session = session.ok_or_else(|| Refused::by(&reply, format!("PUT {request}")))?;
        self.session.replace(Some(session.clone()));
        Ok(session)
    }
}

fn said_yes(reply: &Reply) -> bool {
    reply.status == 200 && reply.body.trim_ascii() == b"true"
}

#[async_trait(?Send)]
impl Store for ConsulKv {
    async fn load(&self) -> Result<Stored, StoreError> {
        Ok(match self.get(&self.list).await? {
            None => Stored { document: None, revision: Revision("0".to_owned()) },
            Some((value, index)) => Stored { document: Some(text::read(&value)?), revision: Revision(index) },
        })
    }

    async fn compare_and_set(&self, document: &Document, expected: &Revision) -> Result<Revision, StoreError> {
        // As a transaction, whose answer says the new index.
        let operation = json!([{"KV": {
            "Verb": "cas",
            "Key": self.list.trim_start_matches("/v1/kv/"),
            "Value": STANDARD.encode(text::write(document)?),
            "Index": expected.0.parse::<u64>().unwrap_or(0),
        }}]);
        let reply = self.put("/v1/txn", operation.to_string().into_bytes()).await?;
        match reply.status {
            409 => return Err(StoreError::Conflict),
            // Not Consul, or a proxy in front of it that lets only some paths through.
            404 => return Err(Refused::by(&reply, "PUT /v1/txn".to_owned()).into()),
            _ => {}
        }
        let answer: Value = serde_json::from_slice(&reply.body).map_err(StoreError::Decode)?;
        let index = answer.pointer("/Results/0/KV/ModifyIndex").map(ToString::to_string);
        index.map(Revision).ok_or_else(|| Refused::by(&reply, "PUT /v1/txn".to_owned()).into())
    }

    async fn watch(&self, seen: &Revision, time: Duration) -> Result<(), StoreError> {
        // Consul adds up to a sixteenth to the time. An index below 1 would not wait.
        let index = seen.0.parse::<u64>().unwrap_or(0).max(1);
        let path = format!("{}?index={index}&wait={}ms", self.list, time.as_millis().max(1));
        let limit = time + time / 8 + self.timeout;
        self.call(&self.waiting, Method::GET, &path, Vec::new(), limit).await.map(drop)
    }

    async fn lease(&self, holder: &str, time: Duration) -> Result<Lease, StoreError> {
        let session = self.session(holder, time).await?;
        let path = format!("{}?acquire={session}", self.lease);
        if said_yes(&self.put(&path, holder.as_bytes().to_vec()).await?) {
            return Ok(Lease::Ours);
        }
        let owner = self.get(&self.lease).await?.map(|(value, _)| String::from_utf8_lossy(&value).into_owned());
        Ok(Lease::Theirs(owner.unwrap_or_default()))
    }

    async fn release(&self, _: &str) -> Result<(), StoreError> {
        let session = self.session.take();
        match session {
            // The lock goes with its session.
            Some(session) => self.put(&format!("/v1/session/destroy/{session}"), Vec::new()).await.map(drop),
            None => Ok(()),
        }
    }
}
