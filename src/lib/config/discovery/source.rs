//! Where servers are found: the part of `[discovery-server]` that `mode` chooses.

use super::words::{name_servers, names, urls, word};
use crate::config::section::Section;
use crate::config::value;
use std::net::SocketAddr;
use std::path::PathBuf;

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
    let mode = section.optional("mode", |text| {
        value::choice(text, &[("aws", Mode::Aws), ("consul", Mode::Consul), ("dns", Mode::Dns), ("file", Mode::File)])
    });
    let groups = section.optional("asg-names", names);
    let address = section.get("address", |text| {
        value::choice(text, &[("private", Address::Private), ("ipv6", Address::Ipv6), ("public", Address::Public)])
    });
    let urls = section.optional("consul-api-url", urls);
    let services = section.optional("consul-service-name", names);
    let token_file = section.optional("consul-token-file", value::path);
    let tags = section.optional("consul-tags", names);
    let datacenter = section.optional("consul-datacenter", word);
    let warning = section.get("consul-warning", value::boolean);
    let dns_names = section.optional("dns-names", names);
    let kind = section
        .get("dns-type", |text| value::choice(text, &[("a", Record::A), ("aaaa", Record::Aaaa), ("srv", Record::Srv)]));
    let dns_servers = section.optional("dns-servers", name_servers);
    let path = section.optional("source-file", value::path);
    let source = match mode? {
        None => return Some(None),
        Some(Mode::Aws) => Source::Aws { groups: needed(section, "asg-names", "aws", groups?)?, address: address? },
        Some(Mode::Consul) => Source::Consul(Consul {
            urls: needed(section, "consul-api-url", "consul", urls?)?,
            services: needed(section, "consul-service-name", "consul", services?)?,
            token_file: token_file?,
            tags: tags?.unwrap_or_default(),
            datacenter: datacenter?,
            warning: warning?,
        }),
        Some(Mode::Dns) => Source::Dns {
            names: needed(section, "dns-names", "dns", dns_names?)?,
            kind: kind?,
            servers: dns_servers?.unwrap_or_default(),
        },
        Some(Mode::File) => Source::File { path: needed(section, "source-file", "file", path?)? },
    };
    Some(Some(source))
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
