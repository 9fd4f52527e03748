//! Where servers are found: the part of `[discovery-server]` that `mode` chooses.

use super::words::{name_servers, names, urls, word};
use crate::config::option::{choice, options};
use crate::config::program::DISCOVERY_SERVER;
use crate::config::reading::{Reading, Type};
use crate::config::section::Section;
use crate::config::value;
use std::net::SocketAddr;
use std::path::PathBuf;

options! {
    pub(crate) static ROWS: DISCOVERY_SERVER, Discovery {
        MODE: Mode = choice![("aws", Mode::Aws), ("consul", Mode::Consul), ("dns", Mode::Dns), ("file", Mode::File)], "mode", None,
            "Where servers are found; required with --server.";
        ASG_NAMES: Vec<String> = Reading::new(Type::Text, names), "asg-names", None,
            "Auto Scaling Groups, separated by commas (aws).";
        ADDRESS: Address = choice![("private", Address::Private), ("ipv6", Address::Ipv6), ("public", Address::Public)], "address", Some("private"),
            "Which address of an instance HAProxy uses (aws).";
        CONSUL_API_URL: Vec<String> = Reading::new(Type::Text, urls), "consul-api-url", None,
            "URLs of Consul, separated by commas, tried in turn (consul).";
        CONSUL_SERVICE_NAME: Vec<String> = Reading::new(Type::Text, names), "consul-service-name", None,
            "Services, separated by commas; the name of a service is the group of its servers (consul).";
        CONSUL_TOKEN_FILE: PathBuf = value::FILE, "consul-token-file", None,
            "File with the ACL token (consul).";
        CONSUL_TAGS: Vec<String> = Reading::new(Type::Text, names), "consul-tags", None,
            "Tags that a server must have, separated by commas (consul).";
        CONSUL_DATACENTER: String = Reading::new(Type::Text, word), "consul-datacenter", None,
            "Datacenter to query; unset: that of the queried Consul agent (consul).";
        CONSUL_WARNING: bool = value::BOOLEAN, "consul-warning", Some("true"),
            "Whether a server with a check in state warning counts as healthy (consul).";
        DNS_NAMES: Vec<String> = Reading::new(Type::Text, names), "dns-names", None,
            "DNS names, separated by commas; the name is the group of its servers (dns).";
        DNS_TYPE: Record = choice![("a", Record::A), ("aaaa", Record::Aaaa), ("srv", Record::Srv)], "dns-type", Some("a"),
            "Type of the records that are queried (dns).";
        DNS_SERVERS: Vec<SocketAddr> = Reading::new(Type::Text, name_servers), "dns-servers", None,
            "Name servers as address:port, separated by commas; unset: those of the system (dns).";
        SOURCE_FILE: PathBuf = value::FILE, "source-file", None,
            "File with the servers (file).";
    }
}

/// A source of servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Auto Scaling Groups.
    Aws {
        /// Names of the groups; never empty.
        groups: Vec<String>,
        /// Which address of an instance counts.
        address: Address,
    },
    /// Services of Consul.
    Consul(Consul),
    /// Records of DNS.
    Dns {
        /// Names; never empty.
        names: Vec<String>,
        /// Type of the records.
        kind: Record,
        /// Name servers; empty: those of the system.
        servers: Vec<SocketAddr>,
    },
    /// A file.
    File {
        /// The file.
        path: PathBuf,
    },
}

/// Services of Consul.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consul {
    /// Base URLs, asked in turn; never empty.
    pub urls: Vec<String>,
    /// Names of the services; never empty.
    pub services: Vec<String>,
    /// File with the ACL token.
    pub token_file: Option<PathBuf>,
    /// Tags that a server must have.
    pub tags: Vec<String>,
    /// `None`: that of the agent.
    pub datacenter: Option<String>,
    /// Whether a check in the state warning is good enough.
    pub warning: bool,
}

impl Source {
    /// The groups that the source is asked for; `None` where it says itself which there are.
    pub(super) fn groups(&self) -> Option<Vec<String>> {
        match self {
            Self::Aws { groups, .. } => Some(groups.clone()),
            Self::Consul(consul) => Some(consul.services.clone()),
            Self::Dns { names, .. } => Some(names.clone()),
            Self::File { .. } => None,
        }
    }
}

/// Which address of an instance HAProxy is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Address {
    /// The private IPv4 address.
    Private,
    /// The IPv6 address.
    Ipv6,
    /// The public IPv4 address.
    Public,
}

/// Type of DNS records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Record {
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
    /// Names with ports and weights.
    Srv,
}

/// Reads the options of the source, which stand in `[discovery-server]`; `Some(None)` where no mode is set.
pub(super) fn read(section: &mut Section<'_>) -> Option<Option<Source>> {
    let mode = section.optional(&MODE);
    let groups = section.optional(&ASG_NAMES);
    let address = section.get(&ADDRESS);
    let urls = section.optional(&CONSUL_API_URL);
    let services = section.optional(&CONSUL_SERVICE_NAME);
    let token_file = section.optional(&CONSUL_TOKEN_FILE);
    let tags = section.or_default(&CONSUL_TAGS);
    let datacenter = section.optional(&CONSUL_DATACENTER);
    let warning = section.get(&CONSUL_WARNING);
    let dns_names = section.optional(&DNS_NAMES);
    let kind = section.get(&DNS_TYPE);
    let dns_servers = section.or_default(&DNS_SERVERS);
    let path = section.optional(&SOURCE_FILE);
    Some(Some(match mode? {
        None => return Some(None),
        Some(Mode::Aws) => Source::Aws { groups: needed(section, "asg-names", "aws", groups?)?, address: address? },
        Some(Mode::Consul) => Source::Consul(Consul {
            urls: needed(section, "consul-api-url", "consul", urls?)?,
            services: needed(section, "consul-service-name", "consul", services?)?,
            token_file: token_file?,
            tags: tags?,
            datacenter: datacenter?,
            warning: warning?,
        }),
        Some(Mode::Dns) => {
            Source::Dns { names: needed(section, "dns-names", "dns", dns_names?)?, kind: kind?, servers: dns_servers? }
        }
        Some(Mode::File) => Source::File { path: needed(section, "source-file", "file", path?)? },
    }))
}

#[derive(Clone, Copy)]
enum Mode {
    Aws,
    Consul,
    Dns,
    File,
}

fn needed<T>(section: &mut Section<'_>, option: &str, mode: &str, value: Option<T>) -> Option<T> {
    if value.is_none() {
        section.error(option, format!("is not set, and mode = {mode} needs it"));
    }
    value
}
