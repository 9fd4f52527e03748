//! Where the list is kept.

use super::words::{LARGEST_LIST, key, urls, word};
use crate::config::option::{choice, options};
use crate::config::program::DISCOVERY;
use crate::config::reading::{Reading, Type};
use crate::config::section::{Section, gather};
use crate::config::tls::Tls;
use crate::config::value;
use std::path::PathBuf;
use std::time::Duration;

options! {
    pub(crate) static ROWS: DISCOVERY, Discovery {
        STORE: StoreKind = choice![("file", StoreKind::File), ("dynamodb", StoreKind::DynamoDb), ("consul", StoreKind::Consul), ("etcd", StoreKind::Etcd)], "store", None,
            "Where the list is stored; unset: dynamodb if dynamodb-table-name is set, otherwise file.";
        STORE_URL: Vec<String> = Reading::new(Type::Text, urls), "store-url", None,
            "URLs of Consul or etcd, separated by commas, tried in turn; unset: http://127.0.0.1:8500 or \
             http://127.0.0.1:2379.";
        STORE_KEY: String = Reading::new(Type::Text, key), "store-key", Some("haproxystats/discovery"),
            "Key of the list in Consul or etcd; each list needs its own.";
        STORE_TIMEOUT: Duration = value::TIME_LIMIT, "store-timeout", Some("5"),
            "Time allowed for one request to the store.";
        STORE_TOKEN_FILE: PathBuf = value::FILE, "store-token-file", None,
            "File with the ACL token for Consul as the store.";
        STORE_CREDENTIALS_FILE: PathBuf = value::FILE, "store-credentials-file", None,
            "File with user:password for etcd.";
        TLS_CA_FILE: PathBuf = value::FILE, "tls-ca-file", None,
            "Certificates (PEM) of the certificate authorities for Consul and etcd instead of the system's.";
        TLS_CERTIFICATE_FILE: PathBuf = value::FILE, "tls-certificate-file", None,
            "Client certificate (PEM), for a Consul or etcd that requires one; together with tls-key-file.";
        TLS_KEY_FILE: PathBuf = value::FILE, "tls-key-file", None,
            "Private key (PEM) of tls-certificate-file.";
        DYNAMODB_TABLE_NAME: String = Reading::new(Type::Text, word), "dynamodb-table-name", None,
            "DynamoDB table, with the number BackendServerID as its key.";
        DYNAMODB_ROWS: bool = value::BOOLEAN, "dynamodb-rows", Some("true"),
            "Also keep a row for each server in the table, as HSDO does, for HSDO clients that use the same table.";
    }
}

/// Where the list is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    let (written, table) = (section.optional(&STORE), section.optional(&DYNAMODB_TABLE_NAME));
    let tabular = table.as_ref().is_some_and(Option::is_some);
    let kind = written.map(|kind| kind.unwrap_or(if tabular { StoreKind::DynamoDb } else { StoreKind::File }));
    let local = if kind == Some(StoreKind::Etcd) { "http://127.0.0.1:2379" } else { "http://127.0.0.1:8500" };
    let store = gather!(Store {
        kind,
        urls: section.optional(&STORE_URL).map(|urls| urls.unwrap_or_else(|| vec![local.to_owned()])),
        key: section.get(&STORE_KEY),
        table,
        rows: section.get(&DYNAMODB_ROWS),
        timeout: section.get(&STORE_TIMEOUT),
        token_file: section.optional(&STORE_TOKEN_FILE),
        credentials_file: section.optional(&STORE_CREDENTIALS_FILE),
        tls: Tls::read(section, &TLS_CA_FILE, &TLS_CERTIFICATE_FILE, &TLS_KEY_FILE),
    })?;
    if store.kind == StoreKind::DynamoDb && !tabular {
        section.error("dynamodb-table-name", "is not set, and store = dynamodb needs it");
        return None;
    }
    Some(store)
}

impl StoreKind {
    /// Its name, and the most slots that a value of it has room for: a slot takes up to some 300 bytes of a value, which is at
    /// most 400 KB in DynamoDB, 512 KB in Consul and 1.5 MB in etcd.
    pub(super) fn room(self) -> (&'static str, usize) {
        match self {
            Self::DynamoDb => ("dynamodb", 1000),
            Self::Consul => ("consul", 1300),
            Self::Etcd => ("etcd", 4096),
            Self::File => ("file", LARGEST_LIST),
        }
    }
}
