//! `[discovery]`, `[discovery-server]`, `[discovery-client]`, and `[discovery-backend:NAME]` for each backend of HAProxy.
//!
//! The options are those of HSDO, by their names in its environment without `SERVER_` and `CLIENT_`, in lower case and
//! with dashes; [`ENVIRONMENT`] is the table of both.

use super::ini::Ini;
use super::options::{self, DISCOVERY, DISCOVERY_BACKEND, DISCOVERY_CLIENT, DISCOVERY_SERVER};
use super::problem::Report;
use super::section::Section;
use super::servers::{self, Server as Socket};
use super::tls::{Tls, identity};
use super::value::{self, Refusal};
use super::{Graphite, LogLevel, graphite};
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

/// Largest weight that HAProxy knows.
pub const LARGEST_WEIGHT: u16 = 256;

/// Section, option and environment variable of HSDO. What the environment says wins over the file.
pub const ENVIRONMENT: &[(&str, &str, &str)] = &[
    (DISCOVERY, "interval", "INTERVAL"),
    (DISCOVERY, "haproxy-backend-servers-list-size", "HAPROXY_BACKEND_SERVERS_LIST_SIZE"),
    (DISCOVERY, "debug", "DEBUG"),
    (DISCOVERY, "dynamodb-table-name", "DYNAMODB_TABLE_NAME"),
    (DISCOVERY, "aws-default-region", "AWS_DEFAULT_REGION"),
    (DISCOVERY, "exporter-port", "EXPORTER_PORT"),
    (DISCOVERY_SERVER, "mode", "SERVER_MODE"),
    (DISCOVERY_SERVER, "asg-names", "SERVER_ASG_NAMES"),
    (DISCOVERY_SERVER, "consul-api-url", "SERVER_CONSUL_API_URL"),
    (DISCOVERY_SERVER, "consul-service-name", "SERVER_CONSUL_SERVICE_NAME"),
    (DISCOVERY_SERVER, "haproxy-backend-server-min-weight", "SERVER_HAPROXY_BACKEND_SERVER_MIN_WEIGHT"),
    (DISCOVERY_SERVER, "haproxy-backend-server-max-weight", "SERVER_HAPROXY_BACKEND_SERVER_MAX_WEIGHT"),
    (DISCOVERY_SERVER, "haproxy-backend-server-increase-weight", "SERVER_HAPROXY_BACKEND_SERVER_INCREASE_WEIGHT"),
    (
        DISCOVERY_SERVER,
        "haproxy-backend-server-increase-weight-interval",
        "SERVER_HAPROXY_BACKEND_SERVER_INCREASE_WEIGHT_INTERVAL",
    ),
    (DISCOVERY_CLIENT, "haproxy-socket-path", "CLIENT_HAPROXY_SOCKET_PATH"),
    (DISCOVERY_CLIENT, "haproxy-backend-list", "CLIENT_HAPROXY_BACKEND_LIST"),
    (DISCOVERY_CLIENT, "haproxy-backend-name", "CLIENT_HAPROXY_BACKEND_NAME"),
    (DISCOVERY_CLIENT, "haproxy-backend-base-name", "CLIENT_HAPROXY_BACKEND_BASE_NAME"),
    (DISCOVERY_CLIENT, "haproxy-backend-server-port", "CLIENT_HAPROXY_BACKEND_SERVER_PORT"),
    (DISCOVERY_CLIENT, "dedicated-asg", "CLIENT_DEDICATED_ASG"),
    (DISCOVERY_CLIENT, "asg-names", "CLIENT_ASG_NAMES"),
    (DISCOVERY_CLIENT, "haproxy-fallback-backend-name", "CLIENT_HAPROXY_FALLBACK_BACKEND_NAME"),
    (DISCOVERY_CLIENT, "haproxy-fallback-backend-base-name", "CLIENT_HAPROXY_FALLBACK_BACKEND_BASE_NAME"),
    (DISCOVERY_CLIENT, "all-servers-in-fallback-backend", "CLIENT_ALL_SERVERS_IN_FALLBACK_BACKEND"),
    (DISCOVERY_CLIENT, "use-managed-weights-by-hsdo", "CLIENT_USE_MANAGED_WEIGHTS_BY_HSDO"),
];

/// Lays the environment over what files say. A variable that is set to nothing counts as unset, as in the files of HSDO.
pub fn lay_over(ini: &mut Ini, variable: impl Fn(&str) -> Option<String>) {
    for (section, option, name) in ENVIRONMENT {
        if let Some(value) = variable(name).filter(|value| !value.trim().is_empty()) {
            ini.set(&format!("environment variable {name}"), section, option, value.trim());
        }
    }
}

/// All sections of the program.
#[derive(Debug, Clone)]
pub struct Discovery {
    /// Messages below this level are dropped.
    pub loglevel: LogLevel,
    /// Pause between two rounds.
    pub interval: Duration,
    /// Slots of the list.
    pub list_size: NonZeroUsize,
    /// For what was last read, and the list itself with the store `file`.
    pub state_dir: PathBuf,
    /// Where the list is kept.
    pub store: Store,
    /// Region of AWS; `None`: what the credentials' profile says.
    pub region: Option<String>,
    /// Where the page of metrics is served; `None`: nowhere.
    pub exporter: Option<SocketAddr>,
    /// Where metrics are sent, and how often; `None`: nowhere.
    pub graphite: Option<(Graphite, Duration)>,
    /// `[discovery-server]`
    pub server: Server,
    /// `[discovery-client]` and `[discovery-backend:NAME]`
    pub client: Client,
}

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

/// `[discovery-server]`
#[derive(Debug, Clone)]
pub struct Server {
    /// Where servers are found; `None`: not said, which --server does not accept.
    pub source: Option<Source>,
    /// Time for one listing.
    pub source_timeout: Duration,
    /// Longest pause between two attempts at a source that fails.
    pub longest_pause: Duration,
    /// What the plan goes by.
    pub plan: Plan,
    /// Time after which a lease ends that is not renewed.
    pub lease_time: Duration,
    /// Name among several servers; `None`: host name and process.
    pub name: Option<String>,
}

/// What the plan goes by.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Slots of the list.
    pub list_size: usize,
    /// The weights of a new server.
    pub ramp: Ramp,
    /// Whether weights of the source scale the ramp.
    pub source_weights: bool,
    /// How long a leaving server is drained before its slot is free.
    pub drain_time: Duration,
    /// Listings in a row that must lack a server, or call it unhealthy.
    pub confirmations: u32,
    /// Part of the servers that may be lost within `hold`.
    pub ratio: f64,
    /// Servers that stay in any case.
    pub floor: usize,
    /// After this time a held removal goes through, down to `floor`; zero: never.
    pub hold: Duration,
}

/// How the weight of a new server grows: from `min` by `step` with each whole `interval` up to `max`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ramp {
    /// Weight at the beginning.
    pub min: u16,
    /// Weight at the end.
    pub max: u16,
    /// Weight gained with each interval; 1 or more.
    pub step: u16,
    /// Length of a step; a millisecond or more.
    pub interval: Duration,
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
    Consul {
        /// Base URLs, asked in turn; never empty.
        urls: Vec<String>,
        /// Names of the services; never empty.
        services: Vec<String>,
        /// File with the ACL token.
        token_file: Option<PathBuf>,
        /// Tags that a server must have.
        tags: Vec<String>,
        /// `None`: that of the agent.
        datacenter: Option<String>,
        /// Whether a check in the state warning is good enough.
        warning: bool,
    },
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

/// `[discovery-client]` and the backends.
#[derive(Debug, Clone)]
pub struct Client {
    /// Sockets of HAProxy processes; never empty.
    pub sockets: Vec<Socket>,
    /// Backends, fallback backends among them; empty: none is said, which --client does not accept.
    pub backends: Vec<Backend>,
    /// Whether weights are set at all.
    pub manage_weights: bool,
    /// Time for one exchange with HAProxy.
    pub socket_timeout: Duration,
    /// Time for the sessions of a leaving server to end.
    pub drain_timeout: Duration,
    /// End the sessions that are left after it.
    pub shutdown_sessions: bool,
    /// HAProxy's `server-state-file`, to be written with each change.
    pub state_file: Option<PathBuf>,
}

/// A backend of HAProxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backend {
    /// Its name.
    pub name: String,
    /// Prefix of its servers' names; the number of the slot follows.
    pub base_name: String,
    /// Port of servers for which the source knows none.
    pub port: u16,
    /// How servers come into it.
    pub mode: BackendMode,
    /// Which servers belong to it.
    pub serves: Serves,
    /// `mode = dynamic`: what follows address and weight in `add server`.
    pub server_options: String,
}

/// How servers come into a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackendMode {
    /// Slots of server-template are given addresses.
    Template,
    /// Servers are added and deleted.
    Dynamic,
}

/// Which servers belong to a backend, by group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Serves {
    /// All.
    All,
    /// Those of these groups.
    Only(Vec<String>),
    /// Those of other groups: a fallback.
    Except(Vec<String>),
}

impl Serves {
    /// Whether servers of a group belong to it.
    #[must_use]
    pub fn takes(&self, group: &str) -> bool {
        let named = |names: &[String]| names.iter().any(|name| name == group);
        match self {
            Self::All => true,
            Self::Only(names) => named(names),
            Self::Except(names) => !named(names),
        }
    }
}

/// Reads the sections; `None` when a value cannot be right, which is in the report then.
pub(super) fn read(ini: &Ini, report: &mut Report) -> Option<Discovery> {
    let mut section = Section::new(DISCOVERY, ini, report);
    let loglevel = section.get("loglevel", value::loglevel);
    let debug = section.get("debug", value::boolean);
    let interval = section.get("interval", value::time_limit);
    let list_size = section.get("haproxy-backend-servers-list-size", list_size);
    let state_dir = section.get("state-dir", value::path);
    let region = section.optional("aws-default-region", value::text);
    let address = section.get("exporter-address", ip);
    let port = section.get("exporter-port", optional_port);
    let with_graphite = section.get("graphite", value::boolean);
    let graphite_interval = section.get("graphite-interval", value::whole_seconds);
    let store = store(&mut section);
    let graphite = match with_graphite {
        Some(true) => {
            let mut found = Report::default();
            let graphite = graphite::read(ini, &mut found);
            if let (None, Some(first)) = (&graphite, found.errors.first()) {
                section.error("graphite", format!("is true, and [graphite] is wrong: {first}"));
            }
            graphite.map(Some)
        }
        _ => Some(None),
    };
    let server = server(ini, report, list_size.map_or(1, NonZeroUsize::get));
    let client = client(ini, report);
    let (address, port, graphite_interval) = (address?, port?, graphite_interval?);
    // A slot takes up to some 300 bytes of a value, which is at most 400 KB in DynamoDB and 512 KB in Consul.
    let most = match store.as_ref()?.kind {
        StoreKind::DynamoDb => 1000,
        StoreKind::Consul => 1300,
        StoreKind::File | StoreKind::Etcd => usize::MAX,
    };
    if list_size?.get() > most {
        let message = format!("is more than the {most} servers that a value of this store has room for");
        Section::new(DISCOVERY, ini, report).error("haproxy-backend-servers-list-size", message);
        return None;
    }
    Some(Discovery {
        loglevel: if debug? { LogLevel::Debug } else { loglevel? },
        interval: interval?,
        list_size: list_size?,
        state_dir: state_dir?,
        store: store?,
        region: region?,
        exporter: port.map(|port| SocketAddr::new(address, port)),
        graphite: graphite?.map(|graphite| (graphite, graphite_interval)),
        server: server?,
        client: client?,
    })
}

fn store(section: &mut Section<'_>) -> Option<Store> {
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

fn server(ini: &Ini, report: &mut Report, list_size: usize) -> Option<Server> {
    let mut section = Section::new(DISCOVERY_SERVER, ini, report);
    let source = source(&mut section);
    let source_timeout = section.get("source-timeout", value::time_limit);
    let longest_pause = section.get("source-longest-pause", value::time_limit);
    let source_weights = section.get("source-weights", value::boolean);
    let min = section.get("haproxy-backend-server-min-weight", weight);
    let max = section.get("haproxy-backend-server-max-weight", weight);
    let step = section.get("haproxy-backend-server-increase-weight", weight);
    let interval = section.get("haproxy-backend-server-increase-weight-interval", value::pause);
    let drain_time = section.get("drain-time", value::pause);
    let confirmations = section.get("removal-confirmations", value::count);
    let ratio = section.get("removal-ratio", fraction);
    let floor = section.get("removal-floor", |text| number(text, usize::MAX));
    let hold = section.get("removal-hold", value::pause);
    let lease_time = section.get("lease-time", value::time_limit);
    let name = section.optional("server-name", word);
    let (min, max, step) = (min?, max?, step?);
    if min > max {
        section.error("haproxy-backend-server-min-weight", format!("is above the largest weight, {max}"));
        return None;
    }
    if max == 0 {
        section.error("haproxy-backend-server-max-weight", "would give no server any traffic; write 1 to 256");
        return None;
    }
    if step == 0 && min < max {
        section
            .error("haproxy-backend-server-increase-weight", "would never reach the largest weight; write 1 or more");
        return None;
    }
    if lease_time.is_some_and(|time| time < Duration::from_secs(1)) {
        section.error("lease-time", "is too short to be renewed in time; write 1 or more");
        return None;
    }
    let ramp = Ramp { min, max, step: step.max(1), interval: interval?.max(Duration::from_millis(1)) };
    Some(Server {
        source: source?,
        source_timeout: source_timeout?,
        longest_pause: longest_pause?,
        plan: Plan {
            list_size,
            ramp,
            source_weights: source_weights?,
            drain_time: drain_time?,
            confirmations: u32::try_from(confirmations?.get()).unwrap_or(u32::MAX),
            ratio: ratio?,
            floor: floor?,
            hold: hold?,
        },
        lease_time: lease_time?,
        name: name?,
    })
}

/// `Some(None)` where no mode is set.
fn source(section: &mut Section<'_>) -> Option<Option<Source>> {
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
        Some(Mode::Consul) => Source::Consul {
            urls: needed(section, "consul-api-url", "consul", urls?)?,
            services: needed(section, "consul-service-name", "consul", services?)?,
            token_file: token_file?,
            tags: tags?.unwrap_or_default(),
            datacenter: datacenter?,
            warning: warning?,
        },
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

fn client(ini: &Ini, report: &mut Report) -> Option<Client> {
    let mut section = Section::new(DISCOVERY_CLIENT, ini, report);
    let sockets = section.get("haproxy-socket-path", sockets);
    let list = section.optional("haproxy-backend-list", backend_list);
    let name = section.optional("haproxy-backend-name", word);
    let base_name = section.optional("haproxy-backend-base-name", word);
    let port = section.get("haproxy-backend-server-port", value::port);
    let dedicated = section.get("dedicated-asg", value::boolean);
    let groups = section.optional("asg-names", names);
    let fallback_name = section.optional("haproxy-fallback-backend-name", word);
    let fallback_base = section.optional("haproxy-fallback-backend-base-name", word);
    let all_in_fallback = section.get("all-servers-in-fallback-backend", value::boolean);
    let manage_weights = section.get("use-managed-weights-by-hsdo", value::boolean);
    let socket_timeout = section.get("socket-timeout", value::time_limit);
    let drain_timeout = section.get("drain-timeout", value::pause);
    let shutdown_sessions = section.get("shutdown-sessions", value::boolean);
    let state_file = section.optional("server-state-file", value::path);
    let (port, dedicated, all_in_fallback, groups) = (port?, dedicated?, all_in_fallback?, groups?);
    let (name, base_name, fallback_name, fallback_base) = (name?, base_name?, fallback_name?, fallback_base?);
    if dedicated && groups.is_none() {
        section.error("asg-names", "is not set, and dedicated-asg needs it");
        return None;
    }
    if fallback_name.is_some() != fallback_base.is_some() {
        let message = "and haproxy-fallback-backend-base-name belong together; set both or none";
        section.error("haproxy-fallback-backend-name", message);
        return None;
    }
    if fallback_name.is_none() && (dedicated || all_in_fallback) {
        let reason = if dedicated { "dedicated-asg" } else { "all-servers-in-fallback-backend" };
        section.error("haproxy-fallback-backend-name", format!("is not set, and {reason} needs it"));
        return None;
    }
    let mut simple = list?.unwrap_or_default();
    match (name, base_name) {
        (Some(name), Some(base_name)) => simple.push((name, base_name, None)),
        (None, None) => {}
        _ => {
            section.error("haproxy-backend-base-name", "and haproxy-backend-name belong together; set both or none");
            return None;
        }
    }
    let defaults = |name: String, base_name: String, port: u16, serves: Serves| Backend {
        name,
        base_name,
        port,
        mode: BackendMode::Template,
        serves,
        server_options: "check".to_owned(),
    };
    let own = match (dedicated, &groups) {
        (true, Some(groups)) => Serves::Only(groups.clone()),
        _ => Serves::All,
    };
    let mut backends: Vec<Backend> = Vec::new();
    for (name, base_name, own_port) in simple {
        backends.push(defaults(name, base_name, own_port.unwrap_or(port), own.clone()));
    }
    let written = written(ini, report, port, &own)?;
    backends.extend(written);
    if let (Some(name), Some(base_name)) = (fallback_name, fallback_base)
        && !backends.iter().any(|backend| backend.name == name)
    {
        let serves = match (all_in_fallback, own) {
            (true, _) => Some(Serves::All),
            (false, Serves::Only(groups)) => Some(Serves::Except(groups)),
            _ => None,
        };
        backends.extend(serves.map(|serves| defaults(name, base_name, port, serves)));
    }
    let mut section = Section::new(DISCOVERY_CLIENT, ini, report);
    for (index, backend) in backends.iter().enumerate() {
        if backends.iter().take(index).any(|other| other.name == backend.name) {
            section.error("haproxy-backend-list", format!("has the backend {} twice", backend.name));
            return None;
        }
    }
    Some(Client {
        sockets: sockets?,
        backends,
        manage_weights: manage_weights?,
        socket_timeout: socket_timeout?,
        drain_timeout: drain_timeout?,
        shutdown_sessions: shutdown_sessions?,
        state_file: state_file?,
    })
}

/// The backends that have a section.
fn written(ini: &Ini, report: &mut Report, port: u16, own: &Serves) -> Option<Vec<Backend>> {
    let sections: Vec<&str> =
        ini.sections().filter(|name| *name != DISCOVERY_BACKEND && options::base(name) == DISCOVERY_BACKEND).collect();
    if sections.is_empty() {
        // Nobody uses them, but what cannot be right should not wait for that.
        let mut reader = Reader { own: DISCOVERY_BACKEND, ini, report };
        options_of(&mut reader)?;
    }
    let mut backends = Vec::new();
    let mut fallbacks: Vec<(String, String, Vec<String>)> = Vec::new();
    let mut good = true;
    for title in &sections {
        let mut reader = Reader { own: title, ini, report };
        let name = title.split_once(':').map_or("", |(_, name)| name).to_owned();
        let Some(Written { base_name, port: own_port, mode, groups, fallback, server_options }) =
            options_of(&mut reader)
        else {
            good = false;
            continue;
        };
        if !is_name(&name) {
            reader.error("base-name", "stands in a section whose name is not that of a backend of HAProxy");
            good = false;
        }
        let Some(base_name) = base_name else {
            reader.error("base-name", "is not set; write the prefix of server-template");
            good = false;
            continue;
        };
        // A backend that has it from [discovery-backend] is not its own fallback.
        if let (Some(fallback), Some(groups)) = (fallback.filter(|fallback| *fallback != name), &groups) {
            fallbacks.push(((*title).to_owned(), fallback, groups.clone()));
        }
        let serves = groups.map_or_else(|| own.clone(), Serves::Only);
        backends.push(Backend { name, base_name, port: own_port.unwrap_or(port), mode, serves, server_options });
    }
    let mut taken: Vec<(String, Vec<String>)> = Vec::new();
    for (title, fallback, groups) in fallbacks {
        let mut reader = Reader { own: &title, ini, report };
        let Some(backend) = backends.iter_mut().find(|backend| backend.name == fallback) else {
            reader.error("fallback", "is a backend without a section; add it");
            good = false;
            continue;
        };
        if taken.iter().any(|(name, other)| *name == fallback && *other != groups) {
            reader.error("fallback", "is that of another backend with other asg-names; each needs its own");
            good = false;
            continue;
        }
        taken.push((fallback, groups.clone()));
        backend.serves = Serves::Except(groups);
    }
    good.then_some(backends)
}

/// The options of a backend as they stand.
struct Written {
    base_name: Option<String>,
    port: Option<u16>,
    mode: BackendMode,
    groups: Option<Vec<String>>,
    fallback: Option<String>,
    server_options: String,
}

fn options_of(reader: &mut Reader<'_>) -> Option<Written> {
    let base_name = reader.optional("base-name", word);
    let port = reader.optional("port", value::port);
    let mode = reader.get("mode", |text| {
        value::choice(text, &[("template", BackendMode::Template), ("dynamic", BackendMode::Dynamic)])
    });
    let groups = reader.optional("asg-names", names);
    let fallback = reader.optional("fallback", word);
    let server_options = reader.get("server-options", words);
    Some(Written {
        base_name: base_name?,
        port: port?,
        mode: mode?,
        groups: groups?,
        fallback: fallback?,
        server_options: server_options?,
    })
}

/// The options of one backend: from its own section, or else from `[discovery-backend]`.
struct Reader<'a> {
    own: &'a str,
    ini: &'a Ini,
    report: &'a mut Report,
}

impl Reader<'_> {
    fn section(&self, option: &str) -> &str {
        if self.ini.has_own(self.own, option) { self.own } else { DISCOVERY_BACKEND }
    }

    fn get<T>(&mut self, option: &str, parse: impl FnOnce(&str) -> Result<T, Refusal>) -> Option<T> {
        let section = self.section(option).to_owned();
        Section::new(&section, self.ini, self.report).get(option, parse)
    }

    fn optional<T>(&mut self, option: &str, parse: impl FnOnce(&str) -> Result<T, Refusal>) -> Option<Option<T>> {
        let section = self.section(option).to_owned();
        Section::new(&section, self.ini, self.report).optional(option, parse)
    }

    fn error(&mut self, option: &str, message: &str) {
        Section::new(self.own, self.ini, self.report).error(option, message);
    }
}

fn number(text: &str, most: usize) -> Result<usize, Refusal> {
    let value = value::integer(text).and_then(|value| usize::try_from(value).ok()).filter(|value| *value <= most);
    let right = if most == usize::MAX { ", 0 or more".to_owned() } else { format!(" from 0 to {most}") };
    value.ok_or_else(|| format!("not such a number; write a whole number{right}"))
}

fn weight(text: &str) -> Result<u16, Refusal> {
    number(text, LARGEST_WEIGHT.into()).map(|value| u16::try_from(value).unwrap_or(LARGEST_WEIGHT))
}

/// More slots than a document of any store can hold are a slip.
fn list_size(text: &str) -> Result<NonZeroUsize, Refusal> {
    let size = value::count(text)?;
    if size.get() > 4096 { Err("above 4096; write a whole number from 1 to 4096".to_owned()) } else { Ok(size) }
}

fn optional_port(text: &str) -> Result<Option<u16>, Refusal> {
    let port = number(text, u16::MAX.into())?;
    Ok(u16::try_from(port).ok().filter(|port| *port > 0))
}

fn ip(text: &str) -> Result<IpAddr, Refusal> {
    let bare = text.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(text);
    bare.parse().map_err(|_| "not an address; write for example 0.0.0.0 or ::1".to_owned())
}

fn fraction(text: &str) -> Result<f64, Refusal> {
    let value = value::float(text).filter(|value| (0.0..=1.0).contains(value));
    value.ok_or_else(|| "not such a number; write a number from 0 to 1, such as 0.5".to_owned())
}

/// What may be part of a command to HAProxy, or of a path in Graphite: one word.
fn is_name(text: &str) -> bool {
    !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control() || matches!(c, '/' | ';' | ','))
}

fn word(text: &str) -> Result<String, Refusal> {
    if is_name(text) { Ok(text.to_owned()) } else { Err("not a name; write one word".to_owned()) }
}

/// Words for the command line of HAProxy's socket.
fn words(text: &str) -> Result<String, Refusal> {
    let bad = text.contains(|c: char| c.is_control() || matches!(c, ';' | '"' | '\'' | '\\'));
    if bad { Err("not words for a server; write for example check inter 2s".to_owned()) } else { Ok(text.to_owned()) }
}

fn key(text: &str) -> Result<String, Refusal> {
    let key = text.trim_matches('/');
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    if key.is_empty() || !key.chars().all(good) {
        return Err("not a key; write letters, digits, - _ . and /, such as haproxystats/discovery".to_owned());
    }
    Ok(key.to_owned())
}

/// Names separated by commas, each once.
fn names(text: &str) -> Result<Vec<String>, Refusal> {
    let mut names: Vec<String> = Vec::new();
    for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        if name.contains(char::is_control) {
            return Err(format!("{name:?} is not a name; write names separated by commas"));
        }
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    if names.is_empty() { Err("empty; write names separated by commas".to_owned()) } else { Ok(names) }
}

fn urls(text: &str) -> Result<Vec<String>, Refusal> {
    let urls = names(text)?;
    for url in &urls {
        let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
        let good =
            rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/') && !rest.contains(['@', ' ', '?']));
        if !good {
            return Err(format!("{url:?} is no URL; write for example http://127.0.0.1:8500"));
        }
    }
    Ok(urls.into_iter().map(|url| url.trim_end_matches('/').to_owned()).collect())
}

fn name_servers(text: &str) -> Result<Vec<SocketAddr>, Refusal> {
    let server = |text: &String| {
        let address = text.parse().or_else(|_| ip(text).map(|ip| SocketAddr::new(ip, 53)));
        address.map_err(|_| format!("{text:?} is no address; write for example 127.0.0.1:53"))
    };
    names(text)?.iter().map(server).collect()
}

fn sockets(text: &str) -> Result<Vec<Socket>, Refusal> {
    let urls: Vec<String> = text
        .split(',')
        .map(str::trim)
        .map(|element| if element.starts_with('/') { format!("unix://{element}") } else { element.to_owned() })
        .collect();
    servers::servers(&urls.join(","))
}

type Listed = (String, String, Option<u16>);

/// `name:base name:port, …`, or the mapping of HSDO as JSON: `{"name": {"baseName": "base", "serverPort": "80"}}`.
fn backend_list(text: &str) -> Result<Vec<Listed>, Refusal> {
    const RIGHT: &str = "write name:base name:port, separated by commas";
    if text.starts_with('{') {
        return mapping(text);
    }
    let mut list = Vec::new();
    for element in text.split(',').map(str::trim).filter(|element| !element.is_empty()) {
        let wrong = || format!("{element:?} is no backend; {RIGHT}");
        let mut parts = element.split(':').map(str::trim);
        let (Some(name), Some(base), port, None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
            return Err(wrong());
        };
        if !is_name(name) || !is_name(base) {
            return Err(wrong());
        }
        let port =
            port.map(value::port).transpose().map_err(|refusal| format!("{element:?}: the port is {refusal}"))?;
        list.push((name.to_owned(), base.to_owned(), port));
    }
    if list.is_empty() { Err(format!("empty; {RIGHT}")) } else { Ok(list) }
}

#[cfg(feature = "discovery")]
fn mapping(text: &str) -> Result<Vec<Listed>, Refusal> {
    const RIGHT: &str = r#"write {"name": {"baseName": "base", "serverPort": "80"}}"#;
    let wrong = |what: &str| format!("{what}; {RIGHT}");
    let value: serde_json::Value = serde_json::from_str(text).map_err(|error| wrong(&format!("no JSON ({error})")))?;
    let backends = value.as_object().filter(|backends| !backends.is_empty()).ok_or_else(|| wrong("no backends"))?;
    let mut list = Vec::new();
    for (name, backend) in backends {
        let base = backend.get("baseName").and_then(serde_json::Value::as_str).filter(|base| is_name(base));
        let (Some(base), true) = (base, is_name(name)) else { return Err(wrong(&format!("{name:?} is no backend"))) };
        let port = match backend.get("serverPort") {
            None => None,
            Some(serde_json::Value::String(port)) => Some(value::port(port)?),
            Some(port) => Some(value::port(&port.to_string())?),
        };
        list.push((name.clone(), base.to_owned(), port));
    }
    Ok(list)
}

#[cfg(not(feature = "discovery"))]
fn mapping(_: &str) -> Result<Vec<Listed>, Refusal> {
    Ok(Vec::new())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Program, load};

    fn read(text: &str) -> Discovery {
        load::from_text(Program::Discovery, text, "x.conf").unwrap().config.discovery
    }

    fn refused(text: &str) -> String {
        let refused = load::from_text(Program::Discovery, text, "x.conf").unwrap_err();
        let lines: Vec<String> = refused.report.errors.iter().map(ToString::to_string).collect();
        lines.join("\n")
    }

    #[test]
    fn the_defaults_are_those_of_the_seed() {
        let config = read("");
        assert_eq!(config.interval, Duration::from_secs(1));
        assert_eq!(config.list_size.get(), 10);
        assert_eq!(config.exporter, Some("0.0.0.0:6789".parse().unwrap()));
        assert_eq!(config.store.kind, StoreKind::File);
        assert_eq!(config.server.plan.ramp, Ramp { min: 1, max: 10, step: 1, interval: Duration::from_secs(30) });
        assert_eq!(config.client.sockets, [Socket::Unix("/var/run/haproxy/admin.sock".into())]);
        assert!(config.client.backends.is_empty() && config.server.source.is_none() && config.client.manage_weights);
    }

    #[test]
    fn every_variable_of_the_environment_is_an_option() {
        for (section, option, name) in ENVIRONMENT {
            assert!(options::OPTIONS.iter().any(|spec| spec.section == *section && spec.name == *option), "{name}");
        }
    }

    #[test]
    fn numbers_of_the_environment_are_numbers_and_win_over_the_file() {
        let mut ini = options::defaults();
        ini.read("x.conf", "[discovery]\ninterval = 7\n[discovery-server]\nmode = file\nsource-file = /x\n").unwrap();
        let variables = [("INTERVAL", "2"), ("HAPROXY_BACKEND_SERVERS_LIST_SIZE", "20"), ("EXPORTER_PORT", "9000")];
        let variables: Vec<_> = variables
            .into_iter()
            .chain([("DEBUG", "true"), ("SERVER_MODE", ""), ("DYNAMODB_TABLE_NAME", "a$b")])
            .collect();
        lay_over(&mut ini, |name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        });
        let config = super::read(&ini, &mut Report::default()).unwrap();
        assert_eq!((config.interval, config.list_size.get()), (Duration::from_secs(2), 20));
        assert_eq!(config.exporter.unwrap().port(), 9000);
        assert_eq!((config.loglevel, config.store.kind), (LogLevel::Debug, StoreKind::DynamoDb));
        assert_eq!(config.store.table.as_deref(), Some("a$b"));
        assert_eq!(config.server.source, Some(Source::File { path: "/x".into() }), "an empty variable is unset");
        lay_over(&mut ini, |name| (name == "INTERVAL").then(|| "soon".to_owned()));
        let mut report = Report::default();
        assert!(super::read(&ini, &mut report).is_none());
        let words = report.errors[0].to_string();
        assert!(words.starts_with("environment variable INTERVAL: [discovery] interval = \"soon\": "), "{words}");
    }

    #[test]
    fn backends_in_each_of_the_ways() {
        let wanted = |serves: Serves| {
            let backend = |name: &str, base: &str, port| Backend {
                name: name.to_owned(),
                base_name: base.to_owned(),
                port,
                mode: BackendMode::Template,
                serves: serves.clone(),
                server_options: "check".to_owned(),
            };
            vec![backend("http-back", "mywebapp", 80), backend("api", "api-", 8080)]
        };
        let ways = [
            "haproxy-backend-list = http-back:mywebapp, api:api-:8080\n",
            "haproxy-backend-list = {\"http-back\": {\"baseName\": \"mywebapp\", \"serverPort\": \"80\"}, \
             \"api\": {\"baseName\": \"api-\", \"serverPort\": 8080}}\n",
            "[discovery-backend:http-back]\nbase-name = mywebapp\n[discovery-backend:api]\nbase-name = api-\nport = 8080\n",
            "haproxy-backend-name = http-back\nhaproxy-backend-base-name = mywebapp\n[discovery-backend:api]\nbase-name = api-\nport = 8080\n",
        ];
        for way in ways {
            let mut backends = read(&format!("[discovery-client]\n{way}")).client.backends;
            backends.sort_by_key(|backend| backend.port);
            assert_eq!(backends, wanted(Serves::All), "{way}");
        }
        let dedicated = "[discovery-client]\ndedicated-asg = yes\nasg-names = a, b\nhaproxy-fallback-backend-name = f\n\
                         haproxy-fallback-backend-base-name = fb\nhaproxy-backend-list = http-back:mywebapp\n";
        let serves = |text: &str| read(text).client.backends.into_iter().map(|b| b.serves).collect::<Vec<_>>();
        let groups = vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(serves(dedicated), [Serves::Only(groups.clone()), Serves::Except(groups.clone())]);
        let all = format!("{dedicated}all-servers-in-fallback-backend = yes\n");
        assert_eq!(serves(&all), [Serves::Only(groups), Serves::All]);
        let sections =
            "[discovery-backend:w]\nbase-name = w\nasg-names = a\nfallback = f\n[discovery-backend:f]\nbase-name = f\n";
        assert_eq!(serves(sections), [Serves::Only(vec!["a".to_owned()]), Serves::Except(vec!["a".to_owned()])]);
    }

    #[test]
    fn what_cannot_be_right_is_refused_with_what_would_be() {
        for (text, words) in [
            ("[discovery]\nstore = consul\nhaproxy-backend-servers-list-size = 2000\n", "1300 servers"),
            ("[discovery]\nstore = dynamodb\n", "dynamodb-table-name: is not set"),
            ("[discovery-server]\nmode = aws\n", "asg-names: is not set, and mode = aws needs it"),
            ("[discovery-server]\nmode = consul\nconsul-api-url = localhost:8500\n", "no URL"),
            ("[discovery-server]\nhaproxy-backend-server-max-weight = 300\n", "from 0 to 256"),
            ("[discovery-server]\nhaproxy-backend-server-min-weight = 20\n", "is above the largest weight, 10"),
            ("[discovery-server]\nhaproxy-backend-server-increase-weight = 0\n", "would never reach"),
            ("[discovery-client]\ndedicated-asg = yes\n", "asg-names: is not set"),
            (
                "[discovery-client]\nall-servers-in-fallback-backend = yes\n",
                "haproxy-fallback-backend-name: is not set",
            ),
            ("[discovery-client]\nhaproxy-backend-list = a b:c\n", "no backend"),
            ("[discovery-client]\nhaproxy-backend-list = a:b, a:c\n", "the backend a twice"),
            ("[discovery-backend:a]\nport = 80\n", "base-name: is not set"),
            ("[discovery-backend:a]\nbase-name = a\nasg-names = x\nfallback = y\n", "without a section"),
        ] {
            let found = refused(text);
            assert!(found.contains(words), "{text}: {found}");
        }
    }
}
