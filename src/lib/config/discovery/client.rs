//! `[discovery-client]`, and the backends that it names itself, as HSDO does.

use super::backend::{self, Backend, BackendMode, Serves};
use super::list::{Listed, backend_list};
use super::words::{names, sockets, word};
use crate::config::ini::Ini;
use crate::config::options::DISCOVERY_CLIENT;
use crate::config::problem::Report;
use crate::config::section::Section;
use crate::config::servers::Server as Socket;
use crate::config::value;
use std::path::PathBuf;
use std::time::Duration;

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

/// Reads the section, and those of the backends.
pub(super) fn read(ini: &Ini, report: &mut Report) -> Option<Client> {
    let mut section = Section::new(DISCOVERY_CLIENT, ini, report);
    let sockets = section.get("haproxy-socket-path", sockets);
    let manage_weights = section.get("use-managed-weights-by-hsdo", value::boolean);
    let socket_timeout = section.get("socket-timeout", value::time_limit);
    let drain_timeout = section.get("drain-timeout", value::pause);
    let shutdown_sessions = section.get("shutdown-sessions", value::boolean);
    let state_file = section.optional("server-state-file", value::path);
    let Named { listed, port, serves, fallback } = Named::read(&mut section)?;
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

/// The backends that need no section.
struct Named {
    listed: Vec<Listed>,
    /// Of servers for which nobody knows one.
    port: u16,
    /// What a backend serves that says nothing else.
    serves: Serves,
    /// Name, prefix of its servers' names, and what it serves.
    fallback: Option<(String, String, Serves)>,
}

impl Named {
    fn read(section: &mut Section<'_>) -> Option<Self> {
        let listed = section.optional("haproxy-backend-list", backend_list);
        let name = section.optional("haproxy-backend-name", word);
        let base_name = section.optional("haproxy-backend-base-name", word);
        let port = section.get("haproxy-backend-server-port", value::port);
        let dedicated = section.get("dedicated-asg", value::boolean);
        let groups = section.optional("asg-names", names);
        let fallback_name = section.optional("haproxy-fallback-backend-name", word);
        let fallback_base = section.optional("haproxy-fallback-backend-base-name", word);
        let all_in_fallback = section.get("all-servers-in-fallback-backend", value::boolean);
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
