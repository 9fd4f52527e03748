//! A real carbon-c-relay (Debian: carbon-c-relay) in front of another Graphite.

use super::{Daemon, SOON, debian, free_port, listens, wait_until, write};
use nix::sys::signal::Signal;
use std::process::Command;
use tempfile::TempDir;

/// carbon-c-relay that passes everything on to one port. It ends when this value goes away.
pub struct Relay {
    directory: TempDir,
    port: u16,
    daemon: Option<Daemon>,
}

impl Relay {
    /// Starts the relay and waits until it listens.
    #[track_caller]
    pub fn start(destination: u16) -> Self {
        Self::behind("", destination)
    }

    /// The same with a transport of its listener, such as `transport plain ssl /path/to/certificate`.
    #[track_caller]
    pub fn behind(transport: &str, destination: u16) -> Self {
        Self::start_with(|port| {
            format!(
                "listen type linemode {transport} 127.0.0.1:{port} proto tcp ;\n\
                 cluster next forward 127.0.0.1:{destination} proto tcp ;\n\
                 match * send to next stop ;\nstatistics submit every 3600 seconds send to blackhole stop ;\n"
            )
        })
    }

    /// Starts the relay with the configuration that `rules` makes of its port, and waits until it listens.
    #[track_caller]
    pub fn start_with(rules: impl FnOnce(u16) -> String) -> Self {
        let directory = tempfile::tempdir().expect("a directory for the relay");
        let port = free_port();
        let rules = rules(port);
        write(directory.path(), "relay.conf", rules);
        let mut relay = Self { directory, port, daemon: None };
        relay.launch();
        relay
    }

    /// Starts the program on the same port as before.
    #[track_caller]
    pub fn launch(&mut self) {
        let mut command = Command::new(debian("carbon-c-relay"));
        command.arg("-f").arg(self.directory.path().join("relay.conf"));
        // A queue that holds what a test sends: beyond it the relay drops.
        command.args(["-w", "2", "-q", "2000000", "-H", "relay"]);
        let mut daemon = Daemon::spawn(command);
        let port = self.port;
        wait_until(SOON, "carbon-c-relay listens", || {
            assert!(daemon.is_running(), "carbon-c-relay ended:\n{}", daemon.output());
            listens(port)
        });
        self.daemon = Some(daemon);
    }

    /// Ends it as its administrator would; it passes on what it holds, if it can.
    #[track_caller]
    pub fn stop(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            daemon.signal(Signal::SIGTERM);
            daemon.wait(SOON);
        }
    }

    /// Ends it at once (SIGKILL): what it holds in memory is lost.
    pub fn kill(&mut self) {
        self.daemon = None;
    }

    /// The running program, for signals.
    #[track_caller]
    pub fn daemon(&self) -> &Daemon {
        self.daemon.as_ref().expect("carbon-c-relay runs")
    }

    /// Port of the plaintext protocol, on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }
}
