//! A plain model of HAProxy for the properties: what its servers become by our commands, an operator's and time.

use crate::haproxy::runtime::{
    AdminState, Batch, Command, LINE_LIMIT, OpenSessions, Process, ProcessId, ServerState, Servers,
};
use std::net::IpAddr;

pub(super) struct Model {
    pub(super) process: Process,
    pub(super) servers: Servers,
    pub(super) sessions: OpenSessions,
    checked: bool,
    disabled: bool,
    slots: u32,
}

pub(super) const PLACEHOLDER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 2));

impl Model {
    /// With slots `web1` to `webN` of backend `web`.
    pub(super) fn new(slots: u32, checked: bool, disabled: bool) -> Self {
        let process = Process {
            id: ProcessId { pid: 1, started: 1 },
            version: "2.6.12".into(),
            release: (2, 6),
            uptime: 1,
            stopping: false,
        };
        let mut model =
            Self { process, servers: Servers::default(), sessions: OpenSessions::default(), checked, disabled, slots };
        for slot in 1..=slots {
            model.add(&format!("web{slot}"), PLACEHOLDER, 80, slot, if disabled { 5 } else { 0 });
        }
        model
    }

    fn add(&mut self, name: &str, address: IpAddr, port: u16, id: u32, admin: u32) {
        self.servers.rows.push(ServerState {
            backend: "web".into(),
            backend_id: 3,
            server: name.into(),
            server_id: id,
            address: Some(address),
            port,
            operation: if admin & 1 == 0 { 2 } else { 0 },
            admin,
            weight: 1,
            initial_weight: 1,
            check: if self.checked { 6 } else { 0 },
            agent: 0,
            has_name: false,
        });
    }

    /// What a reload leaves: the configured slots, and nothing of what was set.
    pub(super) fn reload(&mut self) {
        self.process.id.pid += 1;
        self.process.id.started += 10;
        self.servers.rows.clear();
        for slot in 1..=self.slots {
            self.add(&format!("web{slot}"), PLACEHOLDER, 80, slot, if self.disabled { 5 } else { 0 });
        }
    }

    pub(super) fn row(&mut self, server: &str) -> Option<&mut ServerState> {
        self.servers.rows.iter_mut().find(|row| row.server == server)
    }

    pub(super) fn force(&mut self, server: &str, state: AdminState) {
        let checked = self.checked;
        let Some(row) = self.row(server) else { return };
        let was = row.state();
        row.admin &= !(1 | 8);
        match state {
            AdminState::Ready => {}
            AdminState::Drain => row.admin |= 8,
            AdminState::Maint => row.admin |= 1,
        }
        if state == AdminState::Maint {
            row.operation = 0;
        } else if was == AdminState::Maint || !checked {
            // HAProxy: up at once.
            row.operation = 2;
        }
    }

    /// All checks pass.
    pub(super) fn pass_checks(&mut self) {
        for row in &mut self.servers.rows {
            if row.state() != AdminState::Maint && row.address != Some(PLACEHOLDER) {
                row.operation = 2;
            }
        }
    }

    /// Carries a line out as HAProxy would.
    pub(super) fn run(&mut self, batch: &Batch) {
        assert!(batch.line().len() <= LINE_LIMIT);
        for command in batch.commands() {
            let server = command.server().server.to_string();
            assert_eq!(command.server().backend.as_str(), "web");
            match command {
                Command::Add(_, at, id, _) => {
                    assert!(self.row(&server).is_none(), "{server} is there");
                    self.add(&server, at.ip(), at.port(), *id, 1);
                }
                Command::Delete(_) => {
                    assert_eq!(self.row(&server).map(|row| row.state()), Some(AdminState::Maint));
                    self.servers.rows.retain(|row| row.server != server);
                }
                Command::Address(_, at) => {
                    let row = self.row(&server).expect("a server");
                    (row.address, row.port) = (Some(at.ip()), at.port());
                }
                Command::Weight(_, weight) => self.row(&server).expect("a server").weight = weight.get(),
                Command::State(_, state) => self.force(&server, *state),
                Command::HealthDown(_) => {
                    let row = self.row(&server).expect("a server");
                    // Lost in maintenance.
                    if row.state() != AdminState::Maint {
                        row.operation = 0;
                    }
                }
                Command::EnableAgent(_) => self.row(&server).expect("a server").agent |= 4,
                Command::DisableAgent(_) => self.row(&server).expect("a server").agent &= !4,
                Command::EnableHealth(_) | Command::ShutdownSessions(_) => {}
            }
        }
    }
}
