//! haproxystats-discovery as a whole: source, server, store, client, HAProxy, web servers, and people who use them
//! without a pause. What changes, and what breaks, costs no request.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a broken machine may fail the test")]

mod harness;

use harness::discovery::{Balancer, Traffic, Web};
use harness::{Daemon, SOON, discovery, free_port, wait_until, with_config, write};
use nix::sys::signal::Signal;
use std::path::Path;
use tempfile::TempDir;

/// Slots whose address a state file brings back after a reload.
const NAMED: &str =
    "balance roundrobin\nserver-template web 1-6 slot.invalid:80 check disabled init-addr last,127.0.0.2";
const DYNAMIC: &str = "balance roundrobin";

/// One host: two HAProxies, a file with servers.
struct Site {
    directory: TempDir,
    port: u16,
    webs: Vec<Option<Web>>,
    one: Balancer,
    two: Balancer,
}

impl Site {
    /// With web servers 1 to `count`.
    fn new(count: u8) -> Self {
        let port = free_port();
        let webs = std::iter::once(None).chain((1..=count).map(|number| Some(Web::start(number, port)))).collect();
        let start = || Balancer::start(&[("web", NAMED), ("dyn", DYNAMIC)], "admin");
        Self { directory: tempfile::tempdir().unwrap(), port, webs, one: start(), two: start() }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The servers of the source, as a rename replaces them.
    fn source(&self, numbers: &[u8]) {
        let text: String = numbers.iter().map(|number| format!("127.0.9.{number} id=i-{number}\n")).collect();
        let text = if text.is_empty() { "# nobody\n".to_owned() } else { text };
        let new = write(self.path(), "servers.new", text);
        std::fs::rename(new, self.path().join("servers")).unwrap();
    }

    /// The configuration `name`, with what else stands in `[discovery]`.
    fn configure(&self, name: &str, more: &str) {
        let text = format!(
            "[discovery]\nstate-dir = {dir}/state-{name}\ninterval = 0.2\nexporter-port = 0\n\
             haproxy-backend-servers-list-size = 6\n{more}\n\
             [discovery-server]\nmode = file\nsource-file = {dir}/servers\ndrain-time = 1\nlease-time = 2\n\
             removal-confirmations = 2\nremoval-ratio = 1\nremoval-floor = 2\nhaproxy-backend-server-min-weight = 5\n\
             haproxy-backend-server-increase-weight = 5\nhaproxy-backend-server-increase-weight-interval = 1\n\
             [discovery-client]\nhaproxy-socket-path = {one}, {two}\nserver-state-file = {state}\n\
             haproxy-backend-server-port = {port}\ndrain-timeout = 5\n\
             [discovery-backend:web]\nbase-name = web\n\
             [discovery-backend:dyn]\nbase-name = dyn\nmode = dynamic\nserver-options = check inter 100ms rise 2 fall 2\n",
            dir = self.path().display(),
            one = self.one.socket().display(),
            two = self.two.socket().display(),
            state = self.one.state_file().display(),
            port = self.port,
        );
        write(self.path(), &format!("{name}.conf"), text);
    }

    fn start(&self, name: &str, arguments: &[&str]) -> Daemon {
        let mut command = with_config(discovery(), &self.path().join(format!("{name}.conf")));
        command.args(arguments);
        Daemon::spawn(command)
    }

    /// Waits until both HAProxies serve exactly these, in the same slots.
    #[track_caller]
    fn wait_for(&self, numbers: &[u8]) {
        for balancer in [&self.one, &self.two] {
            for backend in ["web", "dyn"] {
                balancer.wait_for_serving(backend, numbers);
            }
        }
        let slots = |balancer: &Balancer| -> Vec<(String, String)> {
            let servers = balancer.servers("web");
            let ready = servers.iter().filter(|(_, row)| row.is_ready());
            ready.map(|(name, row)| (name.clone(), row.at.clone())).collect()
        };
        wait_until(SOON, "the same order", || slots(&self.one) == slots(&self.two));
    }

    /// Traffic through all frontends.
    fn traffic(&self) -> Vec<Traffic> {
        let ports = self.one.ports.iter().chain(&self.two.ports);
        ports.map(|port| Traffic::start(*port)).collect()
    }
}

#[track_caller]
fn more(traffic: &[Traffic]) {
    traffic.iter().for_each(Traffic::more);
}

#[test]
fn one_process_with_two_files_serves_a_host_through_all_that_happens_to_it() {
    let mut site = Site::new(7);
    site.configure("all", "");
    site.source(&[1, 2]);
    let mut daemon = site.start("all", &["--server", "--client"]);
    site.wait_for(&[1, 2]);
    let traffic = site.traffic();
    // Scale-out, scale-in, rolling replacement.
    site.source(&[1, 2, 3, 4]);
    site.wait_for(&[1, 2, 3, 4]);
    more(&traffic);
    site.source(&[1, 4]);
    site.wait_for(&[1, 4]);
    for step in [[1, 4, 5].as_slice(), &[4, 5], &[4, 5, 6], &[5, 6]] {
        site.source(step);
        site.wait_for(step);
        more(&traffic);
    }
    // The servers that are gone from HAProxy may go.
    for number in [1, 2, 3, 4] {
        site.webs[number] = None;
    }
    // The source is away, says nonsense, says that there is nobody.
    for text in [None, Some("no address\n"), Some("# nobody\n")] {
        match text {
            None => std::fs::remove_file(site.path().join("servers")).unwrap(),
            Some(text) => drop(write(site.path(), "servers", text)),
        }
        more(&traffic);
        more(&traffic);
    }
    daemon.wait_for_output("held", SOON);
    site.wait_for(&[5, 6]);
    site.source(&[5, 6, 7]);
    site.wait_for(&[5, 6, 7]);
    // A crash of the daemon, and nobody there to keep the list.
    daemon.signal(Signal::SIGKILL);
    daemon.wait(SOON);
    more(&traffic);
    let mut daemon = site.start("all", &["--server", "--client"]);
    site.wait_for(&[5, 6, 7]);
    more(&traffic);
    traffic.iter().for_each(Traffic::assert_clean);
    daemon.stop(SOON);
}

#[test]
fn a_reload_of_haproxy_under_traffic_costs_no_request_and_a_restart_ends() {
    let mut site = Site::new(3);
    site.configure("all", "");
    site.source(&[1, 2]);
    let _daemon = site.start("all", &["--server", "--client"]);
    site.wait_for(&[1, 2]);
    wait_until(SOON, "the state file", || {
        std::fs::read_to_string(site.one.state_file()).is_ok_and(|state| state.contains("web2 127.0.9.2 2 "))
    });
    let traffic = Traffic::start(site.one.ports[0]);
    for numbers in [[1, 2].as_slice(), &[1, 2, 3]] {
        site.one.reload();
        traffic.more();
        site.source(numbers);
        site.wait_for(numbers);
    }
    traffic.assert_clean();
    drop(traffic);
    site.two.stop();
    site.two.launch();
    site.wait_for(&[1, 2, 3]);
}

#[test]
fn a_server_that_is_killed_is_followed_by_another_and_two_clients_agree() {
    let site = Site::new(4);
    // The same store for all, as on one host; each of the clients has its own state.
    site.configure("a", "");
    site.source(&[1, 2]);
    let first = site.start("a", &["--server"]);
    let second = site.start("a", &["--server"]);
    let _client = site.start("a", &["--client"]);
    site.wait_for(&[1, 2]);
    let traffic = site.traffic();
    // Who leads is killed, then who follows it.
    drop(first);
    site.source(&[1, 2, 3]);
    site.wait_for(&[1, 2, 3]);
    let third = site.start("a", &["--server"]);
    drop(second);
    site.source(&[2, 3, 4]);
    site.wait_for(&[2, 3, 4]);
    more(&traffic);
    traffic.iter().for_each(Traffic::assert_clean);
    drop(third);
}
