//! `[discovery-client]`, and the backends that it names itself, as HSDO does.

use super::backend::{self, Backend, BackendMode, Serves};
use super::list::{Listed, backend_list};
use super::words::{names, sockets, word};
use crate::config::ini::Ini;
use crate::config::option::options;
use crate::config::problem::Report;
use crate::config::program::DISCOVERY_CLIENT;
use crate::config::reading::{Reading, Type};
use crate::config::section::{Section, gather};
use crate::config::value;
use crate::haproxy::address::Address;
use std::path::PathBuf;
use std::time::Duration;

options! {
    pub(crate) static ROWS: DISCOVERY_CLIENT, Discovery {
        HAPROXY_SOCKET_PATH: Vec<Address> = Reading::new(Type::Text, sockets), "haproxy-socket-path", Some("/var/run/haproxy/admin.sock"),
            "HAProxy sockets with level admin, separated by commas: paths, or unix:///path and tcp://host:port.";
        HAPROXY_BACKEND_LIST: Vec<Listed> = Reading::new(Type::Text, backend_list), "haproxy-backend-list", None,
            "Backends of HAProxy as name:base name:port, separated by commas; instead of [discovery-backend:NAME] \
             sections.";
        HAPROXY_BACKEND_NAME: String = Reading::new(Type::Text, word), "haproxy-backend-name", None,
            "HAProxy backend, if there is only one; requires haproxy-backend-base-name.";
        HAPROXY_BACKEND_BASE_NAME: String = Reading::new(Type::Text, word), "haproxy-backend-base-name", None,
            "Prefix of the server-template of haproxy-backend-name.";
        HAPROXY_BACKEND_SERVER_PORT: u16 = value::PORT, "haproxy-backend-server-port", Some("80"),
            "Port of servers for which the source knows none.";
        DEDICATED_ASG: bool = value::BOOLEAN, "dedicated-asg", Some("false"),
            "Only servers of asg-names go to the backends, all others to the fallback backend.";
        ASG_NAMES: Vec<String> = Reading::new(Type::Text, names), "asg-names", None,
            "Groups of the backends with dedicated-asg, separated by commas.";
        HAPROXY_FALLBACK_BACKEND_NAME: String = Reading::new(Type::Text, word), "haproxy-fallback-backend-name", None,
            "Backend for the servers of other groups.";
        HAPROXY_FALLBACK_BACKEND_BASE_NAME: String = Reading::new(Type::Text, word), "haproxy-fallback-backend-base-name", None,
            "Prefix of the server-template of haproxy-fallback-backend-name.";
        ALL_SERVERS_IN_FALLBACK_BACKEND: bool = value::BOOLEAN, "all-servers-in-fallback-backend", Some("false"),
            "Also put the servers of asg-names into the fallback backend.";
        USE_MANAGED_WEIGHTS_BY_HSDO: bool = value::BOOLEAN, "use-managed-weights-by-hsdo", Some("true"),
            "Manage the weights of servers; false: leave them to HAProxy's configuration, slowstart and agent checks.";
        SOCKET_TIMEOUT: Duration = value::TIME_LIMIT, "socket-timeout", Some("2"),
            "Time allowed for one command and its reply on a socket of HAProxy.";
        DRAIN_TIMEOUT: Duration = value::PAUSE, "drain-timeout", Some("30"),
            "Time allowed for the sessions of a removed server to end before its slot goes to maintenance.";
        SHUTDOWN_SESSIONS: bool = value::BOOLEAN, "shutdown-sessions", Some("false"),
            "Close the sessions that remain after drain-timeout; false: let them end by themselves.";
        SERVER_STATE_FILE: PathBuf = value::FILE, "server-state-file", None,
            "HAProxy's server-state-file, updated with each change so that a reload continues where the previous \
             process ended; docs/discovery.md shows the HAProxy configuration for it.";
    }
}

/// `[discovery-client]` and the backends.
#[derive(Debug, Clone)]
pub struct Client {
    /// Sockets of HAProxy processes; never empty.
    pub sockets: Vec<Address>,
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

/// Reads the section, and those of the backends.
pub(super) fn read(ini: &Ini, report: &mut Report) -> Option<Client> {
    let section = &mut Section::new(DISCOVERY_CLIENT, ini, report);
    let named = Named::read(section);
    let client = gather!(Client {
        sockets: section.get(&HAPROXY_SOCKET_PATH),
        backends: Some(Vec::new()),
        manage_weights: section.get(&USE_MANAGED_WEIGHTS_BY_HSDO),
        socket_timeout: section.get(&SOCKET_TIMEOUT),
        drain_timeout: section.get(&DRAIN_TIMEOUT),
        shutdown_sessions: section.get(&SHUTDOWN_SESSIONS),
        state_file: section.optional(&SERVER_STATE_FILE),
    });
    let Named { listed, port, serves, fallback } = named?;
    let mut backends: Vec<Backend> = Vec::new();
    for (name, base_name, own_port) in listed {
        backends.push(with_defaults(name, base_name, own_port.unwrap_or(port), serves.clone()));
    }
    backends.extend(backend::written(ini, report, port, &serves)?);
    if let Some((name, base_name, serves)) = fallback
        && !backends.iter().any(|backend| backend.name == name)
    {
        backends.push(with_defaults(name, base_name, port, serves));
    }
    for (index, backend) in backends.iter().enumerate() {
        if backends.iter().take(index).any(|other| other.name == backend.name) {
            let mut section = Section::new(DISCOVERY_CLIENT, ini, report);
            section.error("haproxy-backend-list", format!("lists backend {} twice", backend.name));
            return None;
        }
    }
    Some(Client { backends, ..client? })
}

/// The backends that need no section.
struct Named {
    listed: Vec<Listed>,
    /// Of servers for which the source and the backend know none.
    port: u16,
    /// What a backend serves that says nothing else.
    serves: Serves,
    /// Name, prefix of its servers' names, and what it serves.
    fallback: Option<(String, String, Serves)>,
}

impl Named {
    fn read(section: &mut Section<'_>) -> Option<Self> {
        let listed = section.optional(&HAPROXY_BACKEND_LIST);
        let name = section.optional(&HAPROXY_BACKEND_NAME);
        let base_name = section.optional(&HAPROXY_BACKEND_BASE_NAME);
        let port = section.get(&HAPROXY_BACKEND_SERVER_PORT);
        let dedicated = section.get(&DEDICATED_ASG);
        let groups = section.optional(&ASG_NAMES);
        let fallback_name = section.optional(&HAPROXY_FALLBACK_BACKEND_NAME);
        let fallback_base = section.optional(&HAPROXY_FALLBACK_BACKEND_BASE_NAME);
        let all_in_fallback = section.get(&ALL_SERVERS_IN_FALLBACK_BACKEND);
        let (port, dedicated, all_in_fallback) = (port?, dedicated?, all_in_fallback?);
        let serves = match (dedicated, groups?) {
            (true, Some(groups)) => Serves::Only(groups),
            (true, None) => {
                section.error("asg-names", "is not set, and dedicated-asg needs it");
                return None;
            }
            (false, _) => Serves::All,
        };
        let fallback = match (fallback_name?, fallback_base?) {
            (Some(name), Some(base_name)) => {
                let rest = match &serves {
                    _ if all_in_fallback => Some(Serves::All),
                    Serves::Only(groups) => Some(Serves::Except(groups.clone())),
                    _ => None,
                };
                rest.map(|rest| (name, base_name, rest))
            }
            (None, None) if dedicated || all_in_fallback => {
                let reason = if dedicated { "dedicated-asg" } else { "all-servers-in-fallback-backend" };
                section.error("haproxy-fallback-backend-name", format!("is not set, and {reason} needs it"));
                return None;
            }
            (None, None) => None,
            _ => {
                let message = "and haproxy-fallback-backend-base-name belong together; set both or none";
                section.error("haproxy-fallback-backend-name", message);
                return None;
            }
        };
        let mut listed = listed?.unwrap_or_default();
        match (name?, base_name?) {
            (Some(name), Some(base_name)) => listed.push((name, base_name, None)),
            (None, None) => {}
            _ => {
                let message = "and haproxy-backend-name belong together; set both or none";
                section.error("haproxy-backend-base-name", message);
                return None;
            }
        }
        Some(Self { listed, port, serves, fallback })
    }
}

fn with_defaults(name: String, base_name: String, port: u16, serves: Serves) -> Backend {
    Backend { name, base_name, port, mode: BackendMode::Template, serves, server_options: "check".to_owned() }
}
