//! `show servers state`: where each server is and in which state, read by the names in its header line, so that columns
//! of later releases do no harm (management guide, `show servers state`; version 1 of the format).

use super::command::AdminState;
use std::net::IpAddr;

/// Set by `set server ... state maint`, or by an agent.
const FORCED_MAINT: u32 = 0x01;
/// Follows another server that is in maintenance.
const INHERITED_MAINT: u32 = 0x02;
/// `disabled` in the configuration; stays when the server has been made ready.
const CONFIGURED_MAINT: u32 = 0x04;
/// Set by `set server ... state drain`, or by an agent.
const FORCED_DRAIN: u32 = 0x08;
/// The name has no address.
const RESOLUTION_MAINT: u32 = 0x20;
/// The address comes from a resolver that goes on resolving.
const HOSTNAME_MAINT: u32 = 0x40;
/// `srv_agent_state`: the configuration has such a check.
const CHECK_CONFIGURED: u32 = 0x02;
/// `srv_check_state`, `srv_agent_state`: there is such a check, and it runs unless it pauses.
const CHECK_ENABLED: u32 = 0x04;
/// `srv_op_state`: stopped.
const STOPPED: u32 = 0;

/// A server as HAProxy has it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerState {
    /// Its backend.
    pub backend: String,
    /// `be_id`, for `show stat`.
    pub backend_id: u32,
    /// Its name.
    pub server: String,
    /// `srv_id`, which consistent hashing goes by.
    pub server_id: u32,
    /// Where it is; `None` for a UNIX socket, and for a name without address.
    pub address: Option<IpAddr>,
    /// Its port.
    pub port: u16,
    /// `srv_op_state`: 0 stopped, 1 starting, 2 running, 3 stopping.
    pub operation: u32,
    /// `srv_admin_state`, a mask.
    pub admin: u32,
    /// The weight that counts, before slowstart.
    pub weight: u16,
    /// The configured weight; what percentages of agents refer to.
    pub initial_weight: u16,
    /// `srv_check_state`, a mask.
    pub check: u32,
    /// `srv_agent_state`, a mask.
    pub agent: u32,
    /// Whether it is configured by a name. Only then does a state file bring its address back (`init-addr last`).
    pub has_name: bool,
}

impl ServerState {
    /// The state that was last forced on it.
    #[must_use]
    pub fn state(&self) -> AdminState {
        if self.admin & FORCED_MAINT != 0 {
            AdminState::Maint
        } else if self.admin & FORCED_DRAIN != 0 {
            AdminState::Drain
        } else {
            AdminState::Ready
        }
    }

    /// Whether the configuration has it `disabled`.
    #[must_use]
    pub(crate) fn is_disabled_in_configuration(&self) -> bool {
        self.admin & CONFIGURED_MAINT != 0
    }

    /// Whether its state or address is decided elsewhere: it tracks a server that is in maintenance, or a resolver
    /// answers for it.
    #[must_use]
    pub(crate) fn is_led_by_others(&self) -> bool {
        self.admin & (INHERITED_MAINT | RESOLUTION_MAINT | HOSTNAME_MAINT) != 0
    }

    /// Whether a health check decides if it is up.
    #[must_use]
    pub(crate) fn is_checked(&self) -> bool {
        self.check & CHECK_ENABLED != 0
    }

    /// Whether an agent may be asked about it, once that is switched on.
    #[must_use]
    pub(crate) fn may_have_agent(&self) -> bool {
        self.agent & CHECK_CONFIGURED != 0
    }

    /// Whether an agent is asked about it, which may change its weight and its state.
    #[must_use]
    pub(crate) fn has_agent(&self) -> bool {
        self.agent & CHECK_ENABLED != 0
    }

    /// Whether it is up, or not known to be down.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.operation != STOPPED
    }
}

/// All servers of a reply.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Servers {
    /// In HAProxy's order.
    pub rows: Vec<ServerState>,
    /// Rows that could not be read.
    pub refused: usize,
}

/// Why this is no `show servers state`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// Another format.
    #[error("\"show servers state\" has version {0:?}; only version 1 is supported")]
    Version(String),
    /// A column that is needed is not there.
    #[error("\"show servers state\" has no column {0}")]
    Column(&'static str),
    /// The end is missing.
    #[error("the answer to \"show servers state\" is truncated")]
    Cut,
}

impl Servers {
    /// Reads a complete reply, its empty line included.
    ///
    /// # Errors
    /// Another version, a column that is missing, or a reply that is cut. A row that cannot be read is only counted.
    pub fn parse(reply: &str) -> Result<Self, StateError> {
        let body = reply.strip_suffix("\n\n").ok_or(StateError::Cut)?;
        let mut lines = body.lines();
        let version = lines.next().unwrap_or_default().trim();
        if version != "1" {
            return Err(StateError::Version(version.chars().take(60).collect()));
        }
        let columns = Columns::new(lines.next().unwrap_or_default())?;
        let mut servers = Self::default();
        let mut cells = Vec::new();
        for line in lines {
            cells.clear();
            cells.extend(line.split(' '));
            match columns.read(&cells) {
                Some(row) => servers.rows.push(row),
                None => servers.refused += 1,
            }
        }
        Ok(servers)
    }

    /// The server of this name.
    #[must_use]
    pub fn find(&self, backend: &str, server: &str) -> Option<&ServerState> {
        self.rows.iter().find(|row| row.server == server && row.backend == backend)
    }
}

/// Where the columns stand.
struct Columns {
    backend_id: usize,
    backend: usize,
    server_id: usize,
    server: usize,
    address: usize,
    operation: usize,
    admin: usize,
    weight: usize,
    initial_weight: usize,
    check: usize,
    agent: usize,
    name: usize,
    port: usize,
}

impl Columns {
    fn new(header: &str) -> Result<Self, StateError> {
        let names: Vec<&str> = header.trim_start_matches('#').split_ascii_whitespace().collect();
        let at = |name: &'static str| names.iter().position(|have| *have == name).ok_or(StateError::Column(name));
        Ok(Self {
            backend_id: at("be_id")?,
            backend: at("be_name")?,
            server_id: at("srv_id")?,
            server: at("srv_name")?,
            address: at("srv_addr")?,
            operation: at("srv_op_state")?,
            admin: at("srv_admin_state")?,
            weight: at("srv_uweight")?,
            initial_weight: at("srv_iweight")?,
            check: at("srv_check_state")?,
            agent: at("srv_agent_state")?,
            name: at("srv_fqdn")?,
            port: at("srv_port")?,
        })
    }

    fn read(&self, cells: &[&str]) -> Option<ServerState> {
        let text = |at: usize| cells.get(at).copied();
        let number = |at: usize| text(at)?.parse::<u32>().ok();
        let address = text(self.address)?;
        Some(ServerState {
            backend: text(self.backend)?.to_owned(),
            backend_id: number(self.backend_id)?,
            server: text(self.server)?.to_owned(),
            server_id: number(self.server_id)?,
            address: if address == "-" { None } else { Some(address.parse::<IpAddr>().ok()?.to_canonical()) },
            port: text(self.port)?.parse().ok()?,
            operation: number(self.operation)?,
            admin: number(self.admin)?,
            weight: text(self.weight)?.parse().ok()?,
            initial_weight: text(self.initial_weight)?.parse().ok()?,
            check: number(self.check)?,
            agent: number(self.agent)?,
            has_name: text(self.name)? != "-",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight \
        srv_iweight srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state \
        srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port \
        srv_check_addr srv_agent_addr srv_agent_port";

    fn parse(rows: &str) -> Servers {
        Servers::parse(&format!("1\n{HEADER}\n{rows}\n")).unwrap()
    }

    #[test]
    fn rows_of_haproxy_2_6_are_read() {
        let servers = parse(
            "3 web 1 web1 127.0.0.2 0 5 1 1 1 1 0 0 14 0 0 0 - 80 - 0 0 - - 0\n\
             3 web 2 web2 ::1 2 4 33 10 0 1 0 2 6 0 0 0 slot.invalid 8080 - 0 0 - - 0\n\
             4 plain 2 u - 2 8 1 1 1 1 0 2 0 22 0 0 - 0 - 0 0 - - 0\n",
        );
        assert_eq!(servers.refused, 0);
        let [first, second, third] = servers.rows.as_slice() else { panic!("{servers:?}") };
        assert_eq!((first.state(), first.is_disabled_in_configuration()), (AdminState::Maint, true));
        assert!(first.is_checked() && !first.is_up() && !first.has_agent());
        assert_eq!((second.state(), second.is_disabled_in_configuration()), (AdminState::Ready, true));
        assert_eq!((second.address, second.port), (Some("::1".parse().unwrap()), 8080));
        assert_eq!((second.weight, second.initial_weight), (33, 10));
        assert_eq!((third.address, third.state()), (None, AdminState::Drain));
        assert!(third.has_agent() && !third.is_checked());
        assert_eq!(servers.find("web", "web2"), Some(second));
        assert_eq!(servers.find("plain", "web2"), None);
    }

    #[test]
    fn further_columns_in_any_place_do_no_harm() {
        let header = HEADER.replace("srv_addr", "srv_new srv_addr");
        let reply =
            format!("1\n{header} srv_newer\n3 web 1 w x 10.0.0.1 2 0 1 1 1 1 0 0 6 0 0 0 - 80 - 0 0 - - 0 y\n\n");
        let servers = Servers::parse(&reply).unwrap();
        assert_eq!(servers.rows[0].address, Some("10.0.0.1".parse().unwrap()));
        assert_eq!(servers.rows[0].port, 80);
    }

    #[test]
    fn other_versions_missing_columns_and_cut_replies_are_errors() {
        assert_eq!(Servers::parse("2\n# x\n\n"), Err(StateError::Version("2".into())));
        assert_eq!(Servers::parse("Permission denied\n\n"), Err(StateError::Version("Permission denied".into())));
        assert_eq!(Servers::parse("1\n# be_id\n\n"), Err(StateError::Column("be_name")));
        assert_eq!(Servers::parse(&format!("1\n{HEADER}\n3 web 1")), Err(StateError::Cut));
        assert!(Servers::parse(&format!("1\n{HEADER}\n\n")).unwrap().rows.is_empty());
    }

    #[test]
    fn a_row_that_cannot_be_read_is_counted_and_costs_only_itself() {
        let servers = parse("3 web 1\n3 web 2 web2 127.0.0.2 0 5 1 1 1 1 0 0 14 0 0 0 - 80 - 0 0 - - 0\n");
        assert_eq!((servers.rows.len(), servers.refused), (1, 1));
    }
}
