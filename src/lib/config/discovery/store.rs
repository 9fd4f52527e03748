//! Where the list is kept.

use super::words::{key, urls, word};
use crate::config::section::Section;
use crate::config::tls::{Tls, identity};
use crate::config::value;
use std::path::PathBuf;
use std::time::Duration;

/// Where the list is kept.
#[derive(Debug, Clone)]
pub struct Store {
    /// Which store.
    pub kind: StoreKind,
    /// Base URLs of Consul or etcd, asked in turn; never empty.
    pub urls: Vec<String>,
    /// Key in Consul or etcd.
    pub key: String,
    /// Table of DynamoDB; always there when `kind` is that.
    pub table: Option<String>,
    /// Keep HSDO's rows in the table as well.
    pub rows: bool,
    /// Time for one request.
    pub timeout: Duration,
    /// ACL token of Consul.
    pub token_file: Option<PathBuf>,
    /// `user:password` for etcd.
    pub credentials_file: Option<PathBuf>,
    /// TLS of Consul and etcd, as store and as source.
    pub tls: Tls,
}

/// A store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreKind {
    /// A file in `state-dir`.
    File,
    /// A table of DynamoDB.
    DynamoDb,
    /// Consul's KV store.
    Consul,
    /// etcd, through its JSON gateway.
    Etcd,
}

/// Reads the options of the store, which stand in `[discovery]`.
pub(super) fn read(section: &mut Section<'_>) -> Option<Store> {
    let kind = section.optional("store", |text| {
        let words = [
            ("file", StoreKind::File),
            ("dynamodb", StoreKind::DynamoDb),
            ("consul", StoreKind::Consul),
            ("etcd", StoreKind::Etcd),
        ];
        value::choice(text, &words)
    });
    let urls = section.optional("store-url", urls);
    let key = section.get("store-key", key);
    let table = section.optional("dynamodb-table-name", word);
    let rows = section.get("dynamodb-rows", value::boolean);
    let timeout = section.get("store-timeout", value::time_limit);
    let token_file = section.optional("store-token-file", value::path);
    let credentials_file = section.optional("store-credentials-file", value::path);
    let ca_file = section.optional("tls-ca-file", value::path);
    let certificate = section.optional("tls-certificate-file", value::path);
    let tls_key = section.optional("tls-key-file", value::path);
    let (table, kind) = (table?, kind?);
    let kind = kind.unwrap_or(if table.is_some() { StoreKind::DynamoDb } else { StoreKind::File });
    if kind == StoreKind::DynamoDb && table.is_none() {
        section.error("dynamodb-table-name", "is not set, and store = dynamodb needs it");
        return None;
    }
    let identity = identity(certificate?, tls_key?).map_err(|(option, message)| section.error(option, message)).ok()?;
    let local = if kind == StoreKind::Etcd { "http://127.0.0.1:2379" } else { "http://127.0.0.1:8500" };
    Some(Store {
        kind,
        urls: urls?.unwrap_or_else(|| vec![local.to_owned()]),
        key: key?,
        table,
        rows: rows?,
        timeout: timeout?,
        token_file: token_file?,
        credentials_file: credentials_file?,
        tls: Tls { ca_file: ca_file?, identity, ..Tls::default() },
    })
}
