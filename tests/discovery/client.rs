//! The client of haproxystats-discovery from outside: real HAProxy, real web servers, real requests.

use crate::harness::discovery::{Balancer, Slot, Traffic, Web, get, list, oldest_and_newest, ramped};
use crate::harness::newer::Haproxy;
use crate::harness::{self, Daemon, SOON, discovery, free_port, run, wait_until, with_config, write};
use nix::sys::signal::{Signal, kill};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

const TEMPLATE: &str = "balance roundrobin\nserver-template web 1-4 127.0.0.2:80 check disabled";
/// Slots whose address a state file brings back after a reload.
const NAMED: &str =
    "balance roundrobin\nserver-template web 1-4 slot.invalid:80 check disabled init-addr last,127.0.0.2";

/// A client with its state, and web servers on one port.
struct Site {
    directory: TempDir,
    port: u16,
    client: Option<Daemon>,
}

fn a(number: u8) -> Option<Slot> {
    Some(Slot(number, "asg-0", false))
}

impl Site {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), port: free_port(), client: None }
    }

    fn state(&self) -> &Path {
        self.directory.path()
    }

    fn webs<const N: usize>(&self, numbers: [u8; N]) -> [Web; N] {
        numbers.map(|number| Web::start(number, self.port))
    }

    /// The configuration: sockets, what else stands in the client's section, backends.
    fn configure(&self, sockets: &str, options: &str, backends: &str) {
        let text = format!(
            "[discovery]\nstate-dir = {}\ninterval = 0.3\nexporter-port = 0\n\
             [discovery-client]\nhaproxy-socket-path = {sockets}\nhaproxy-backend-server-port = {}\n{options}\n{backends}",
            self.state().display(),
            self.port
        );
        write(self.state(), "discovery.conf", text);
    }

    fn one(&self, balancer: &Balancer) {
        self.configure(&balancer.socket().display().to_string(), "", "[discovery-backend:web]\nbase-name = web\n");
    }

    fn command(&self) -> std::process::Command {
        let mut command = with_config(discovery(), &self.state().join("discovery.conf"));
        command.arg("--client");
        command
    }

    fn start(&mut self) {
        self.client = Some(Daemon::spawn(self.command()));
    }

    fn output(&self) -> String {
        self.client.as_ref().unwrap().output()
    }

    #[track_caller]
    fn wait_for(&mut self, text: &str) {
        self.client.as_mut().unwrap().wait_for_output(text, SOON);
    }

    /// What a round would send.
    #[track_caller]
    fn dry_run(&self) -> String {
        let mut command = self.command();
        command.arg("--dry-run");
        let (status, output) = run(command, SOON);
        assert!(status.success(), "{output}");
        output
    }

    /// Waits until the client has seen this many servers up.
    #[track_caller]
    fn wait_for_seen(&self, count: usize) {
        let records = || harness::names(self.state()).into_iter().filter(|name| name.starts_with("client-record"));
        wait_until(SOON, "the client has seen the servers up", || {
            let read = |name: String| std::fs::read_to_string(self.state().join(name)).unwrap_or_default();
            records().map(read).any(|record| record.matches("\"up\":true").count() == count)
        });
    }

    fn list(&self, version: u64, slots: &[Option<Slot>]) {
        list(self.state(), version, slots);
    }
}

#[test]
fn two_haproxies_have_the_same_slots_and_then_nothing_is_sent() {
    let mut site = Site::new();
    let _webs = site.webs([1, 2, 3]);
    let (one, two) = (Balancer::start(&[("web", TEMPLATE)], "admin"), Balancer::start(&[("web", TEMPLATE)], "admin"));
    let sockets = format!("unix://{}, tcp://127.0.0.1:{}", one.socket().display(), two.stats_port);
    site.configure(&sockets, "", "[discovery-backend:web]\nbase-name = web\n");
    site.list(1, &[a(3), None, a(1), a(2)]);
    let preview = site.dry_run();
    assert!(
        preview.contains("web/web1: i-3: ") && preview.contains("    set server web/web1 state ready"),
        "{preview}"
    );
    assert!(one.serving("web").is_empty(), "a dry run changes nothing");
    site.start();
    for balancer in [&one, &two] {
        balancer.wait_for_serving("web", &[1, 2, 3]);
    }
    assert_eq!(one.servers("web"), two.servers("web"));
    assert_eq!(one.servers("web")["web1"].at, format!("127.0.9.3:{}", site.port));
    assert!(one.servers("web")["web2"].is_maint());
    assert_eq!(site.dry_run().matches("nothing to send").count(), 2, "{}", site.dry_run());
    site.client.as_mut().unwrap().stop(SOON);
}

#[test]
fn servers_come_go_and_are_replaced_without_a_failed_request() {
    let mut site = Site::new();
    let _webs = site.webs([1, 2, 3, 4, 5, 6, 7]);
    let balancer = Balancer::start(&[("web", TEMPLATE)], "admin");
    site.one(&balancer);
    site.list(1, &[a(1), a(2), None, None]);
    site.start();
    balancer.wait_for_serving("web", &[1, 2]);
    let traffic = Traffic::start(balancer.ports[0]);
    for (version, slots, serving) in [
        (2, [a(1), a(2), a(3), a(4)], vec![1, 2, 3, 4]),
        (3, [a(1), None, None, a(4)], vec![1, 4]),
        (4, [a(5), None, None, a(4)], vec![4, 5]),
        (5, [a(1), a(2), a(6), a(7)], vec![1, 2, 6, 7]),
        // All at once, and two change places.
        (6, [a(3), a(4), a(7), a(6)], vec![3, 4, 6, 7]),
        (7, [None, a(3), None, None], vec![3]),
    ] {
        site.list(version, &slots);
        balancer.wait_for_serving("web", &serving);
        traffic.more();
    }
    traffic.assert_clean();
}

#[test]
fn a_server_gets_no_request_before_its_check_has_passed() {
    let mut site = Site::new();
    let [_one, two] = site.webs([1, 2]);
    two.set_sick(true);
    let balancer = Balancer::start(&[("web", TEMPLATE)], "admin");
    site.one(&balancer);
    site.list(1, &[a(1), None, None, None]);
    site.start();
    balancer.wait_for_serving("web", &[1]);
    let traffic = Traffic::start(balancer.ports[0]);
    traffic.more();
    // Nobody listens on the address of the third.
    site.list(2, &[a(1), a(2), a(99), None]);
    wait_until(SOON, "checks", || two.checks() > 5);
    assert_eq!(two.requests(), 0);
    two.set_sick(false);
    balancer.wait_for_serving("web", &[1, 2]);
    wait_until(SOON, "requests", || two.requests() > 0);
    traffic.assert_clean();
}

#[test]
fn requests_that_are_under_way_end_before_a_slot_goes_to_maintenance() {
    let mut site = Site::new();
    let _webs = site.webs([1, 2, 3]);
    let balancer = Balancer::start(&[("web", TEMPLATE)], "admin");
    site.one(&balancer);
    site.list(1, &[a(1), None, None, None]);
    site.start();
    balancer.wait_for_serving("web", &[1]);
    let port = balancer.ports[0];
    let slow = std::thread::spawn(move || get(port, "/slow"));
    wait_until(SOON, "the request is under way", || balancer.stat("web", "web1", "scur") == "1");
    site.list(2, &[a(2), a(3), None, None]);
    wait_until(SOON, "drain", || balancer.servers("web")["web1"].is_drain());
    assert_eq!(slow.join().unwrap().as_deref(), Ok("127.0.9.1 slowly"));
    balancer.wait_for_serving("web", &[2, 3]);
}

#[test]
fn what_an_operator_sets_stays_over_restarts_until_the_operator_ends_it() {
    let mut site = Site::new();
    let _webs = site.webs([1, 2, 3]);
    let balancer = Balancer::start(&[("web", TEMPLATE)], "admin");
    site.one(&balancer);
    site.list(1, &[a(1), a(2), a(3), None]);
    site.start();
    balancer.wait_for_serving("web", &[1, 2, 3]);
    balancer.ask("set server web/web1 state maint;set server web/web2 state drain");
    site.wait_for("set to maint by an operator or another program");
    site.wait_for("set to drain by an operator or another program");
    site.list(2, &[a(1), a(2), None, a(3)]);
    wait_until(SOON, "the third moves", || balancer.servers("web")["web3"].is_maint());
    site.client.as_mut().unwrap().stop(SOON);
    site.start();
    site.wait_for("set to drain by an operator or another program");
    let servers = balancer.servers("web");
    assert!(servers["web1"].is_maint() && servers["web2"].is_drain(), "{servers:?}");
    balancer.ask("set server web/web1 state ready;set server web/web2 state ready");
    balancer.wait_for_serving("web", &[1, 2, 3]);
    site.wait_for("no longer held");
}

#[test]
fn a_dedicated_backend_is_emptied_and_the_fallback_has_the_others() {
    let mut site = Site::new();
    let _webs = site.webs([1, 2, 3, 4]);
    let fallback = TEMPLATE.replace("template web", "template back");
    let balancer = Balancer::start(&[("web", TEMPLATE), ("fall", &fallback)], "admin");
    let socket = balancer.socket().display().to_string();
    let options = "haproxy-backend-list = web:web\ndedicated-asg = true\nasg-names = asg-0\n\
                   haproxy-fallback-backend-name = fall\nhaproxy-fallback-backend-base-name = back\n";
    site.configure(&socket, options, "");
    let b = |number| Some(Slot(number, "asg-1", false));
    site.list(1, &[a(1), b(2), a(3), None]);
    site.start();
    balancer.wait_for_serving("web", &[1, 3]);
    balancer.wait_for_serving("fall", &[2]);
    // A slot that goes to a server of the other group, either way, and a slot that is freed.
    site.list(2, &[b(4), a(2), None, None]);
    balancer.wait_for_serving("web", &[2]);
    balancer.wait_for_serving("fall", &[4]);
    site.client.as_mut().unwrap().stop(SOON);
    site.configure(&socket, &format!("{options}all-servers-in-fallback-backend = true\n"), "");
    site.start();
    balancer.wait_for_serving("fall", &[2, 4]);
    balancer.wait_for_serving("web", &[2]);
    assert!(balancer.servers("web")["web1"].is_maint());
}

#[test]
fn haproxy_may_start_later_stop_and_be_replaced() {
    let mut site = Site::new();
    let _webs = site.webs([1, 2]);
    let mut balancer = Balancer::prepare(&[("web", TEMPLATE)], "admin");
    site.one(&balancer);
    site.list(1, &[a(1), a(2), None, None]);
    site.start();
    site.wait_for("cannot bring HAProxy in line with the list; it is left unchanged");
    balancer.launch();
    balancer.wait_for_serving("web", &[1, 2]);
    balancer.stop();
    balancer.launch();
    balancer.wait_for_serving("web", &[1, 2]);
    site.wait_for_seen(2);
    balancer.reload();
    // Without a state file the slots are empty for a moment; what was up is up again without waiting for checks.
    balancer.wait_for_serving("web", &[1, 2]);
    site.wait_for("it was up before HAProxy was replaced");
}

#[test]
fn a_reload_with_a_state_file_fails_no_request() {
    let mut site = Site::new();
    let _webs = site.webs([1, 2, 3]);
    let balancer = Balancer::start(&[("web", NAMED)], "admin");
    let (socket, state) = (balancer.socket().display().to_string(), balancer.state_file());
    let options = format!("server-state-file = {}\n", state.display());
    site.configure(&socket, &options, "[discovery-backend:web]\nbase-name = web\n");
    site.list(1, &[a(1), a(2), None, None]);
    site.start();
    balancer.wait_for_serving("web", &[1, 2]);
    let written = |text: &str| std::fs::read_to_string(&state).is_ok_and(|state| state.contains(text));
    wait_until(SOON, "the state file", || written("web2 127.0.9.2 2 "));
    let traffic = Traffic::start(balancer.ports[0]);
    traffic.more();
    balancer.reload();
    traffic.more();
    balancer.wait_for_serving("web", &[1, 2]);
    site.wait_for("HAProxy was replaced");
    site.list(2, &[a(3), a(2), None, None]);
    balancer.wait_for_serving("web", &[2, 3]);
    wait_until(SOON, "the state file", || written("web1 127.0.9.3 2 "));
    balancer.reload();
    traffic.more();
    balancer.wait_for_serving("web", &[2, 3]);
    traffic.assert_clean();
}

#[test]
fn a_state_file_has_our_slots_alone_and_others_are_as_configured_after_a_reload() {
    oldest_and_newest().iter().for_each(with_a_state_file);
}

fn with_a_state_file(haproxy: &Haproxy) {
    let mut site = Site::new();
    let _webs = site.webs([1]);
    let other_port = free_port();
    let _others = [Web::start(7, site.port), Web::start(7, other_port)];
    // Both by their address, as people write servers; one of them has a name that begins as those of the slots do.
    let web = format!("{NAMED}\nserver web-spare 127.0.9.7:{} check backup", site.port);
    let other = format!("server static1 127.0.9.7:{} check weight 5", site.port);
    let balancer = Balancer::start_as(haproxy, &[("web", &web), ("other", &other)]);
    let (socket, state) = (balancer.socket().display().to_string(), balancer.state_file());
    let options = format!("server-state-file = {}\n", state.display());
    site.configure(&socket, &options, "[discovery-backend:web]\nbase-name = web\n");
    site.list(1, &[a(1), None, None, None]);
    site.start();
    let read = || std::fs::read_to_string(&state).unwrap_or_default();
    wait_until(SOON, "the state file", || read().contains("web1 127.0.9.1 2 "));
    assert_eq!(read().lines().skip(2).filter(|line| !line.contains(" web ")).count(), 0, "{}", read());
    assert!(!read().contains("web-spare"), "{}", read());
    balancer.edit(&format!("static1 127.0.9.7:{}", site.port), &format!("static1 127.0.9.7:{other_port}"));
    balancer.edit("check weight 5", "check weight 50");
    let traffic = Traffic::start(balancer.ports[0]);
    traffic.more();
    balancer.reload();
    traffic.more();
    let row = balancer.servers("other")["static1"].clone();
    assert_eq!((row.at.as_str(), row.weight), (format!("127.0.9.7:{other_port}").as_str(), 50));
    assert_eq!(balancer.servers("web")["web1"].at, format!("127.0.9.1:{}", site.port));
    traffic.assert_clean();
}

#[test]
fn a_state_file_that_would_bring_slots_back_without_their_addresses_is_not_written() {
    let mut site = Site::new();
    let _webs = site.webs([1]);
    let balancer = Balancer::start(&[("web", TEMPLATE)], "admin");
    let (socket, state) = (balancer.socket().display().to_string(), balancer.state_file());
    let options = format!("server-state-file = {}\n", state.display());
    site.configure(&socket, &options, "[discovery-backend:web]\nbase-name = web\n");
    site.list(1, &[a(1)]);
    site.start();
    site.wait_for("cannot write server-state-file");
    balancer.wait_for_serving("web", &[1]);
    assert!(!state.exists());
}

#[test]
fn the_last_list_stays_in_force_while_the_store_is_away() {
    let mut site = Site::new();
    let _webs = site.webs([1, 2, 3]);
    let balancer = Balancer::start(&[("web", TEMPLATE)], "admin");
    site.one(&balancer);
    site.list(1, &[a(1), a(2), None, None]);
    site.start();
    balancer.wait_for_serving("web", &[1, 2]);
    let traffic = Traffic::start(balancer.ports[0]);
    write(site.state(), "list.json", "{ this is no list");
    site.wait_for("the last list remains in use");
    traffic.more();
    traffic.assert_clean();
    drop(traffic);
    balancer.reload();
    balancer.wait_for_serving("web", &[1, 2]);
    site.client.as_mut().unwrap().stop(SOON);
    balancer.reload();
    assert!(balancer.serving("web").is_empty());
    site.start();
    site.wait_for("using the list saved on disk");
    balancer.wait_for_serving("web", &[1, 2]);
    site.list(2, &[a(3), a(2), None, None]);
    site.wait_for("the store answers again");
    balancer.wait_for_serving("web", &[2, 3]);
}

#[test]
fn servers_are_added_and_deleted_where_no_template_is() {
    let mut site = Site::new();
    let _webs = site.webs([1, 2, 3]);
    let balancer = Balancer::start(&[("web", "balance roundrobin")], "admin");
    let backends = "[discovery-backend:web]\nbase-name = web\nmode = dynamic\n\
                    server-options = check inter 100ms rise 2 fall 2\n";
    site.configure(&balancer.socket().display().to_string(), "", backends);
    site.list(1, &[a(1), a(2), None]);
    site.start();
    balancer.wait_for_serving("web", &[1, 2]);
    let traffic = Traffic::start(balancer.ports[0]);
    // Consistent hashing goes by the id, which is that of the slot in every HAProxy.
    let state = balancer.ask("show servers state web");
    assert!(state.contains(" 100002 web2 "), "{state}");
    site.list(2, &[None, a(2), a(3)]);
    balancer.wait_for_serving("web", &[2, 3]);
    wait_until(SOON, "the first is deleted", || !balancer.servers("web").contains_key("web1"));
    site.list(3, &[a(1), a(3), None]);
    balancer.wait_for_serving("web", &[1, 3]);
    wait_until(SOON, "the third is deleted", || !balancer.servers("web").contains_key("web3"));
    traffic.assert_clean();
    drop(traffic);
    balancer.reload();
    balancer.wait_for_serving("web", &[1, 3]);
}

#[test]
fn the_same_key_leads_to_the_same_server_whatever_else_is_in_the_backend() {
    oldest_and_newest().iter().for_each(with_keys);
}

fn with_keys(haproxy: &Haproxy) {
    let mut site = Site::new();
    let _webs = site.webs([1, 2, 3, 4, 5]);
    let hash = "balance uri\nhash-type consistent";
    let beside = |server: &str| format!("{hash}\nserver {server}");
    let balancers = [
        hash.to_owned(),
        beside("sorry 127.0.0.1:9 backup disabled"),
        beside("sorry 127.0.0.1:9 id 2 backup disabled\nserver more 127.0.0.1:9 id 1002 backup disabled"),
    ]
    .map(|lines| Balancer::start_as(haproxy, &[("web", &lines)]));
    let sockets: Vec<String> = balancers.iter().map(|balancer| balancer.socket().display().to_string()).collect();
    let backends = "[discovery-backend:web]\nbase-name = web\nmode = dynamic\n\
                    server-options = check inter 100ms rise 2 fall 2\n";
    site.configure(&sockets.join(", "), "", backends);
    site.list(1, &[a(1), a(2), a(3), None, None]);
    site.start();
    balancers.iter().for_each(|balancer| balancer.wait_for_serving("web", &[1, 2, 3]));
    // One of them was reloaded in between, so it adds all of them in another order.
    balancers[2].reload();
    balancers[2].wait_for_serving("web", &[1, 2, 3]);
    site.list(2, &[a(1), None, a(3), a(4), a(5)]);
    balancers.iter().for_each(|balancer| balancer.wait_for_serving("web", &[1, 3, 4, 5]));
    let answers = |balancer: &Balancer| -> Vec<String> {
        (0..200).map(|key| get(balancer.ports[0], &format!("/key/{key}")).unwrap()).collect()
    };
    let [first, second, third] = balancers.each_ref().map(answers);
    for other in [second, third] {
        let same = first.iter().zip(&other).filter(|(one, other)| one == other).count();
        assert_eq!(same, 200, "keys that lead to the same server");
    }
    assert!((1..=5).all(|number| number == 2 || first.contains(&format!("127.0.9.{number}"))), "{first:?}");
}

#[test]
fn what_haproxy_lacks_or_refuses_is_told_and_harms_nothing_else() {
    let mut site = Site::new();
    let _webs = site.webs([1, 2, 3, 4, 5]);
    let fixed = "balance static-rr\nserver-template st 1-2 127.0.0.2:80 check disabled";
    let balancer = Balancer::start(&[("web", TEMPLATE), ("fixed", fixed)], "admin");
    let backends = "[discovery-backend:web]\nbase-name = web\n[discovery-backend:fixed]\nbase-name = st\n\
                    [discovery-backend:nope]\nbase-name = web\n";
    site.configure(&balancer.socket().display().to_string(), "", backends);
    site.list(1, &[a(1), a(2), a(3), a(4), a(5)]);
    site.start();
    balancer.wait_for_serving("web", &[1, 2, 3, 4]);
    balancer.wait_for_serving("fixed", &[1, 2]);
    site.wait_for("HAProxy has no such backend");
    site.wait_for("make server-template larger");
    site.wait_for("the balance algorithm does not support changing weights");
    assert_eq!(site.output().matches("does not support changing weights").count(), 1, "{}", site.output());
}

#[test]
fn a_socket_without_level_admin_is_told_once() {
    let mut site = Site::new();
    let balancer = Balancer::start(&[("web", TEMPLATE)], "operator");
    site.one(&balancer);
    site.list(1, &[a(1), a(2)]);
    site.start();
    site.wait_for("the socket needs level admin");
    let seen = site.output().matches("level admin").count();
    assert_eq!(seen, 1, "{}", site.output());
    let mut command = site.command();
    command.arg("--once");
    let (status, output) = run(command, SOON);
    assert_eq!(status.code(), Some(1), "{output}");
    assert!(output.contains("2 changes of HAProxy at"), "{output}");
}

#[test]
fn a_haproxy_that_hangs_delays_no_other() {
    let mut site = Site::new();
    let _webs = site.webs([1, 2]);
    let (one, two) = (Balancer::start(&[("web", TEMPLATE)], "admin"), Balancer::start(&[("web", TEMPLATE)], "admin"));
    let sockets = format!("{}, {}", one.socket().display(), two.socket().display());
    site.configure(&sockets, "socket-timeout = 1", "[discovery-backend:web]\nbase-name = web\n");
    site.list(1, &[a(1)]);
    site.start();
    one.wait_for_serving("web", &[1]);
    let worker = one.workers()[0];
    kill(worker, Signal::SIGSTOP).unwrap();
    site.list(2, &[a(1), a(2)]);
    two.wait_for_serving("web", &[1, 2]);
    site.wait_for("no complete answer within 1 s");
    kill(worker, Signal::SIGCONT).unwrap();
    one.wait_for_serving("web", &[1, 2]);
}

#[test]
fn weights_follow_the_ramp_of_the_list_without_the_server() {
    let mut site = Site::new();
    let _webs = site.webs([1, 2]);
    let balancer = Balancer::start(&[("web", TEMPLATE)], "admin");
    site.one(&balancer);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let ramp = "{\"min\":20,\"max\":60,\"step\":20,\"interval_ms\":1000}";
    ramped(site.state(), 1, &[a(1), a(2)], now + 1, ramp);
    site.start();
    let mut seen = Vec::new();
    wait_until(SOON, "the end of the ramp", || {
        let weight = balancer.servers("web")["web1"].weight;
        if seen.last() != Some(&weight) {
            seen.push(weight);
        }
        weight == 60
    });
    assert!(seen.contains(&20) && seen.contains(&40), "{seen:?}");
    balancer.ask("set server web/web1 weight 7");
    wait_until(SOON, "the weight of the list", || balancer.servers("web")["web1"].weight == 60);
}

#[test]
fn ramps_go_by_durations_whatever_the_clock_of_the_writer_says() {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    for written in [now - 3600, now + 3600] {
        let mut site = Site::new();
        let _webs = site.webs([1]);
        let balancer = Balancer::start(&[("web", TEMPLATE)], "admin");
        site.one(&balancer);
        let ramp = "{\"min\":20,\"max\":60,\"step\":20,\"interval_ms\":1500}";
        ramped(site.state(), 1, &[a(1)], written, ramp);
        let file = site.state().join("list.json");
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, text.replace("\"written\":0", &format!("\"written\":{written}"))).unwrap();
        site.start();
        let mut seen = Vec::new();
        wait_until(SOON, "the end of the ramp", || {
            let weight = balancer.servers("web")["web1"].weight;
            if seen.last() != Some(&weight) {
                seen.push(weight);
            }
            weight == 60
        });
        assert!(seen.contains(&20) && seen.contains(&40), "{seen:?}");
        // What has passed counts after a restart as well.
        site.client.as_mut().unwrap().stop(SOON);
        assert!(site.dry_run().contains("nothing to send"), "{}", site.dry_run());
    }
}

#[test]
fn the_client_takes_slots_over_that_were_set_by_the_original() {
    let mut site = Site::new();
    let _webs = site.webs([1, 2, 3]);
    let balancer = Balancer::start(&[("web", TEMPLATE)], "admin");
    let port = site.port;
    // As HSDO sends it, one connection for each command.
    for command in [
        format!("set server web/web1 addr 127.0.9.1 port {port}"),
        "set server web/web1 weight 10".to_owned(),
        "set server web/web1 state ready".to_owned(),
        format!("set server web/web2 addr 127.0.9.2 port {port}"),
        "set server web/web2 weight 10".to_owned(),
        "set server web/web2 state ready".to_owned(),
        "set server web/web3 state maint".to_owned(),
        "set server web/web4 state maint".to_owned(),
    ] {
        balancer.ask(&command);
    }
    balancer.wait_for_serving("web", &[1, 2]);
    site.one(&balancer);
    site.list(1, &[a(1), a(2), None, None]);
    assert!(site.dry_run().contains("nothing to send"), "{}", site.dry_run());
    let traffic = Traffic::start(balancer.ports[0]);
    site.start();
    site.wait_for("HAProxy answers");
    traffic.more();
    site.list(2, &[a(1), a(2), a(3), None]);
    balancer.wait_for_serving("web", &[1, 2, 3]);
    traffic.more();
    traffic.assert_clean();
}

#[test]
fn the_page_of_metrics_tells_what_was_applied() {
    let mut site = Site::new();
    let _webs = site.webs([1, 2, 3]);
    let balancer = Balancer::start(&[("web", TEMPLATE)], "admin");
    let port = free_port();
    let text = format!(
        "[discovery]\nstate-dir = {}\ninterval = 0.2\nexporter-address = 127.0.0.1\nexporter-port = {port}\n\
         [discovery-client]\nhaproxy-socket-path = {}\nhaproxy-backend-server-port = {}\n\
         [discovery-backend:web]\nbase-name = web\n",
        site.state().display(),
        balancer.socket().display(),
        site.port
    );
    write(site.state(), "discovery.conf", text);
    site.list(7, &[a(1), a(2), a(3), a(1), a(99)]);
    site.start();
    balancer.wait_for_serving("web", &[1, 2, 3]);
    balancer.ask("set server web/web2 state maint");
    let socket = format!("socket=\"{}\"", balancer.socket().display());
    let backend = format!("{{{socket},backend=\"web\"}}");
    let all = [
        "hsdo_server_weight{id=\"1\",name=\"web-1\",ip=\"127.0.9.1\",asg=\"asg-0\"} 10".to_owned(),
        "hsdo_server_weight{id=\"2\",name=\"web-2\",ip=\"127.0.9.2\",asg=\"asg-0\"} 0".to_owned(),
        "haproxystats_discovery_client_version 7".to_owned(),
        format!("haproxystats_discovery_client_up{{{socket}}} 1"),
        format!("haproxystats_discovery_client_changes_total{{{socket}}} 3"),
        format!("haproxystats_discovery_client_commands_total{{{socket}}} 15"),
        format!("haproxystats_discovery_client_slots{backend} 4"),
        format!("haproxystats_discovery_client_servers_up{backend} 2"),
        format!("haproxystats_discovery_client_held{backend} 1"),
        format!("haproxystats_discovery_client_unplaced{backend} 1"),
        format!("haproxystats_discovery_client_left_out{backend} 1"),
        format!("haproxystats_discovery_client_drift{backend} 0"),
    ];
    let mut page = String::new();
    let found = harness::poll(SOON, || {
        page = get(port, "/metrics").unwrap_or_default();
        all.iter().all(|line| page.contains(line)).then_some(())
    });
    let missing: Vec<_> = all.iter().filter(|line| !page.contains(*line)).collect();
    assert!(found.is_some(), "{missing:#?}\n{page}");
}

#[test]
fn the_weight_of_a_server_with_an_agent_is_the_agents() {
    let mut site = Site::new();
    let _webs = site.webs([1, 2]);
    let agent = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = agent.local_addr().unwrap().port();
    // Ends with the test program.
    std::thread::spawn(move || {
        agent.incoming().flatten().for_each(|mut stream| drop(std::io::Write::write_all(&mut stream, b"up 40%\n")));
    });
    let template = format!(
        "balance roundrobin\nserver-template web 1-2 127.0.0.2:80 check disabled weight 100 agent-check \
         agent-addr 127.0.0.1 agent-port {port} agent-inter 50ms"
    );
    let balancer = Balancer::start(&[("web", &template)], "admin");
    site.one(&balancer);
    site.list(1, &[a(1), a(2)]);
    site.start();
    balancer.wait_for_serving("web", &[1, 2]);
    wait_until(SOON, "the agent's weight", || balancer.servers("web").values().all(|row| row.weight == 40));
    assert!(site.dry_run().contains("nothing to send"), "{}", site.dry_run());
    // Without the agent the weight is the list's again.
    balancer.ask("disable agent web/web1");
    wait_until(SOON, "the weight of the list", || balancer.servers("web")["web1"].weight == 10);
    assert_eq!(balancer.servers("web")["web2"].weight, 40);
}

/// Answers each agent check with what `answer` says at the time. Its port, and how many it has answered.
fn agent_that_says(answer: &Arc<Mutex<String>>) -> (u16, Arc<AtomicUsize>) {
    let agent = std::net::TcpListener::bind(("0.0.0.0", 0)).unwrap();
    let port = agent.local_addr().unwrap().port();
    let (answer, answered) = (Arc::clone(answer), Arc::<AtomicUsize>::default());
    let count = Arc::clone(&answered);
    // Ends with the test program.
    std::thread::spawn(move || {
        for mut stream in agent.incoming().flatten() {
            let line = format!("{}\n", answer.lock().unwrap());
            let _ = std::io::Write::write_all(&mut stream, line.as_bytes());
            count.fetch_add(1, Ordering::Relaxed);
        }
    });
    (port, answered)
}

#[test]
fn an_agent_that_answers_ready_makes_nothing_ready_that_the_list_has_empty_or_leaving() {
    oldest_and_newest().iter().for_each(with_an_agent);
}

fn with_an_agent(haproxy: &Haproxy) {
    let mut site = Site::new();
    let _webs = site.webs([1, 3, 4]);
    let answer = Arc::new(Mutex::new("ready up 100%".to_owned()));
    // At the address of the server, and so also at the placeholder of an empty slot, where nothing else answers.
    let (port, answered) = agent_that_says(&answer);
    let template = format!(
        "balance roundrobin\nserver-template web 1-4 127.0.0.2:80 check disabled weight 100 agent-check agent-port {port} \
         agent-inter 50ms"
    );
    let balancer = Balancer::start_as(haproxy, &[("web", &template)]);
    site.one(&balancer);
    site.list(1, &[a(1), a(3), None, None]);
    let ready = |balancer: &Balancer| -> Vec<String> {
        balancer.servers("web").values().filter(|row| row.is_ready()).map(|row| row.at.clone()).collect()
    };
    wait_until(SOON, "the agent has its way without us", || ready(&balancer).len() == 4);
    assert!(site.dry_run().contains("own-admin-state = false"), "{}", site.dry_run());
    site.start();
    site.wait_for("its agent has set a slot to ready that should be empty");
    balancer.wait_for_serving("web", &[1, 3]);
    let traffic = Traffic::start(balancer.ports[0]);
    let watch = |slots: &[u8]| {
        // Twenty checks of the agent for each slot.
        for _ in 0..20 {
            std::thread::sleep(std::time::Duration::from_millis(50));
            assert_eq!(balancer.serving("web"), slots, "{:#?}", balancer.servers("web"));
            assert_eq!(ready(&balancer).len(), slots.len(), "{:#?}", balancer.servers("web"));
        }
    };
    watch(&[1, 3]);
    site.list(2, &[a(1), Some(Slot(3, "asg-0", true)), a(4), None]);
    balancer.wait_for_serving("web", &[1, 4]);
    watch(&[1, 4]);
    site.list(3, &[a(1), None, a(4), None]);
    wait_until(SOON, "the slot is empty", || balancer.servers("web")["web2"].is_maint());
    watch(&[1, 4]);
    // A slot that is used again is asked for again.
    site.list(4, &[a(1), a(3), a(4), None]);
    balancer.wait_for_serving("web", &[1, 3, 4]);
    *answer.lock().unwrap() = "up 40%".to_owned();
    let weights = |slot: &str| balancer.servers("web")[slot].weight;
    wait_until(SOON, "the agent's weights", || ["web1", "web2", "web3"].map(weights) == [40; 3]);
    assert!(balancer.servers("web")["web4"].is_maint());
    // What the agent said of one server is not said of the next in its slot.
    *answer.lock().unwrap() = String::new();
    // Three slots are asked, each again only when it has the answer to its last check: none of the old ones is under way.
    let before = answered.load(Ordering::Relaxed);
    wait_until(SOON, "the new answer everywhere", || answered.load(Ordering::Relaxed) >= before + 30);
    site.list(5, &[a(1), None, a(4), None]);
    // While it only drains, it would be the same server that returns.
    wait_until(SOON, "the slot is empty again", || balancer.servers("web")["web2"].is_maint());
    site.list(6, &[a(1), a(3), a(4), None]);
    balancer.wait_for_serving("web", &[1, 3, 4]);
    assert_eq!(["web1", "web2"].map(weights), [40, 100]);
    traffic.more();
    traffic.assert_clean();
    drop(traffic);
    // An agent that has taken its server out: the slot is not lost when the server is gone.
    *answer.lock().unwrap() = "maint".to_owned();
    wait_until(SOON, "the agent has its way", || {
        balancer.servers("web").values().all(harness::discovery::Row::is_maint)
    });
    site.wait_for("set to maint by an operator or another program");
    site.list(7, &[a(1), None, a(4), None]);
    site.wait_for("the previous server of this slot");
    *answer.lock().unwrap() = "ready up 100%".to_owned();
    balancer.wait_for_serving("web", &[1, 4]);
    watch(&[1, 4]);
    site.list(8, &[a(1), a(3), a(4), None]);
    balancer.wait_for_serving("web", &[1, 3, 4]);
}

#[test]
fn an_agent_that_answers_ready_has_no_effect_over_reloads_with_a_state_file() {
    oldest_and_newest().iter().for_each(with_an_agent_and_reloads);
}

fn with_an_agent_and_reloads(haproxy: &Haproxy) {
    let mut site = Site::new();
    let _webs = site.webs([1, 3]);
    let (port, _) = agent_that_says(&Arc::new(Mutex::new("ready up 100%".to_owned())));
    let template = format!("{NAMED} weight 100 agent-check agent-port {port} agent-inter 50ms");
    let balancer = Balancer::start_as(haproxy, &[("web", &template)]);
    let (socket, state) = (balancer.socket().display().to_string(), balancer.state_file());
    let options = format!("server-state-file = {}\n", state.display());
    site.configure(&socket, &options, "[discovery-backend:web]\nbase-name = web\n");
    site.list(1, &[a(1), None, a(3), None]);
    site.start();
    balancer.wait_for_serving("web", &[1, 3]);
    let written = |text: &str| std::fs::read_to_string(&state).is_ok_and(|state| state.contains(text));
    wait_until(SOON, "the state file", || written("web3 127.0.9.3 2 ") && written("web4 127.0.0.2 0 "));
    let traffic = Traffic::start(balancer.ports[0]);
    for _ in 0..3 {
        balancer.reload();
        traffic.more();
        balancer.wait_for_serving("web", &[1, 3]);
    }
    traffic.assert_clean();
}

#[test]
fn no_agent_makes_anything_ready_over_reloads_where_nobody_answers_for_empty_slots() {
    oldest_and_newest().iter().for_each(with_an_agent_and_reloads_without_a_state_file);
}

/// Without a state file HAProxy begins with slots that are empty and agents that are asked. `HAPROXYSTATS_RELOADS` says how
/// often, 5 times if unset.
fn with_an_agent_and_reloads_without_a_state_file(haproxy: &Haproxy) {
    let reloads = std::env::var("HAPROXYSTATS_RELOADS").map_or(5, |text| text.parse().unwrap());
    let mut site = Site::new();
    let webs = site.webs([1, 3, 9]);
    let (port, answered) = agent_that_says(&Arc::new(Mutex::new("ready up 100%".to_owned())));
    // Whoever is sent to a slot in vain gets an error. The one that is always there keeps all others from it.
    let lines = format!(
        "balance roundrobin\nno option redispatch\nretries 0\nserver base 127.0.9.9:{} check\nserver-template web 1-4 \
         255.255.255.255:80 check disabled weight 100 agent-check agent-port {port} agent-inter 50ms",
        site.port
    );
    let balancer = Balancer::start_as(haproxy, &[("web", &lines)]);
    site.one(&balancer);
    site.list(1, &[a(1), None, a(3), None]);
    site.start();
    balancer.wait_for_serving("web", &[1, 3, 9]);
    // An operator who takes a server out whose agent says ready has to switch the agent off as well.
    balancer.ask("disable agent web/web3; set server web/web3 state maint");
    site.wait_for("held: set to maint by an operator");
    let traffic = Traffic::start(balancer.ports[0]);
    traffic.more();
    let (before, asked) = (webs[1].requests(), answered.load(Ordering::Relaxed));
    let stopped = AtomicBool::new(false);
    let wrong = std::thread::scope(|scope| {
        let looking = scope.spawn(|| {
            let mut wrong = std::collections::BTreeMap::new();
            while !stopped.load(Ordering::SeqCst) {
                for (name, row) in balancer.servers("web") {
                    if row.is_ready() && !row.at.starts_with("127.0.9.1:") && !row.at.starts_with("127.0.9.9:") {
                        *wrong.entry((name, row.at)).or_insert(0_usize) += 1;
                    }
                }
            }
            wrong
        });
        for _ in 0..reloads {
            balancer.reload();
            balancer.wait_for_serving("web", &[1, 9]);
            traffic.more();
        }
        stopped.store(true, Ordering::SeqCst);
        looking.join().unwrap()
    });
    println!(
        "{}.{}: {reloads} reloads, {} of {} requests failed, {} answers of the agent, ready for nobody: {wrong:?}",
        haproxy.version.0,
        haproxy.version.1,
        traffic.failures().len(),
        traffic.good(),
        answered.load(Ordering::Relaxed) - asked,
    );
    assert!(wrong.is_empty(), "{wrong:?}");
    traffic.assert_clean();
    assert_eq!(webs[1].requests(), before, "requests for the server that is in maintenance");
    assert!(answered.load(Ordering::Relaxed) > asked, "the agent is asked all the time");
}

#[test]
fn slowstart_multiplies_the_weight_of_the_list() {
    let mut site = Site::new();
    let _webs = site.webs([1]);
    let template = format!("{TEMPLATE} slowstart 20s");
    let balancer = Balancer::start(&[("web", &template)], "admin");
    site.one(&balancer);
    ramped(site.state(), 1, &[a(1)], 0, "{\"min\":200,\"max\":200,\"step\":1,\"interval_ms\":1000}");
    site.start();
    balancer.wait_for_serving("web", &[1]);
    let effective: u32 = balancer.stat("web", "web1", "weight").parse().unwrap();
    assert_eq!(balancer.servers("web")["web1"].weight, 200);
    assert!(effective < 100, "{effective}");
    assert!(site.dry_run().contains("nothing to send"), "slowstart is no difference to the list");
    wait_until(SOON, "slowstart", || balancer.stat("web", "web1", "weight").parse::<u32>().unwrap() > effective);
}
