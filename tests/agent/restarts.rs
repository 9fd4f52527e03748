//! Agents that are stopped, killed, started and reloaded under traffic: every request through HAProxy is counted. The
//! agent of Datawave goes through the same where it is installed; what it does is printed, not judged.

use crate::harness::agent::{Agent, Endpoint, FILE, HaProxy, Reply, ask, datawave};
use crate::harness::discovery::{Traffic, Web};
use crate::harness::haproxy::{ask as runtime, cell};
use crate::harness::newer::{Haproxy, newer_haproxy, own_haproxy};
use crate::harness::{Daemon, SOON, agent, free_port, listens, python_tool, wait_for, wait_until, with_config, write};
use nix::sys::signal::Signal;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The oldest HAProxy and the newest one.
fn haproxies() -> Vec<Haproxy> {
    std::iter::once(own_haproxy()).chain(newer_haproxy("3.4")).collect()
}

/// Whose agents.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Agents {
    Ours,
    Datawave,
}

/// Two servers with an agent each, HAProxy in front, and traffic.
struct Rig {
    kind: Agents,
    version: (u32, u32),
    options: &'static str,
    webs: [Web; 2],
    endpoints: [Endpoint; 2],
    ports: [u16; 2],
    agents: [Option<Daemon>; 2],
    _haproxy: Daemon,
    socket: PathBuf,
    traffic: Traffic,
    directory: TempDir,
}

impl Rig {
    #[track_caller]
    fn start(haproxy: &Haproxy, kind: Agents, options: &'static str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let port = free_port();
        let webs = [1, 2].map(|number| Web::start(number, port));
        let endpoints = [(); 2].map(|()| Endpoint::start(datawave("ready", 0)));
        let (ports, front) = ([free_port(), free_port()], free_port());
        let socket = directory.path().join("haproxy.sock");
        let mut text = format!(
            "global\n\tstats socket {} mode 600 level admin\ndefaults\n\tmode http\n\tretries 0\n\ttimeout connect 5s\n\
             \ttimeout client 15s\n\ttimeout server 15s\nfrontend f\n\tbind 127.0.0.1:{front}\n\tdefault_backend b\n\
             backend b\n\tbalance roundrobin\n",
            socket.display()
        );
        for (number, agent) in ports.iter().enumerate() {
            text.push_str(&format!(
                "\tserver s{number} {}:{port} check inter 500ms weight 100 agent-check agent-addr 127.0.0.1 \
                 agent-port {agent} agent-inter 100ms\n",
                webs[number].address
            ));
        }
        let mut command = haproxy.command();
        command.arg("-db").arg("-f").arg(write(directory.path(), "haproxy.cfg", text));
        let mut daemon = Daemon::spawn(command);
        wait_until(SOON, "HAProxy answers", || {
            assert!(daemon.is_running(), "{}", daemon.output());
            runtime(&socket, "show info").is_some()
        });
        let agents = [None, None];
        let traffic = Traffic::start(front);
        let (_haproxy, version) = (daemon, haproxy.version);
        let mut rig =
            Self { kind, version, options, webs, endpoints, ports, agents, _haproxy, socket, traffic, directory };
        rig.start_agents();
        rig
    }

    /// Starts both agents, and waits until HAProxy has what they answer.
    #[track_caller]
    fn start_agents(&mut self) {
        for (number, port) in self.ports.into_iter().enumerate() {
            let url = format!("http://127.0.0.1:{}/", self.endpoints[number].port);
            let directory = self.directory.path();
            let command = match self.kind {
                Agents::Ours => {
                    let text = format!(
                        "[agent]\nbind = 127.0.0.1\nport = {port}\nown-admin-state = true\ncheck-url = {url}\n\
                         state-file = {}\n{}",
                        directory.join(format!("state-{number}")).display(),
                        self.options
                    );
                    with_config(agent(), &write(directory, &format!("agent-{number}.conf"), text))
                }
                Agents::Datawave => {
                    let program = python_tool("datawave-haproxy-agent", "HAPROXYSTATS_DATAWAVE_AGENT").unwrap();
                    let text = format!("bind: 127.0.0.1\nport: {port}\ndw_health_poller:\n  check_url: {url}\n");
                    let mut command = Command::new(program);
                    command.arg("--config").arg(write(directory, &format!("config-{number}.yml"), text));
                    command
                }
            };
            self.agents[number] = Some(Daemon::spawn(command));
        }
        wait_until(SOON, "both servers are up, and their agents asked", || {
            (0..2).all(|number| {
                let [status, weight, agent] = self.server(number);
                status == "UP" && weight == "100" && agent.starts_with("L7OK")
            })
        });
    }

    /// Sends both agents a signal, and waits for their ends: how long that took.
    #[track_caller]
    fn end_agents(&mut self, signal: Signal) -> Duration {
        let begun = Instant::now();
        for agent in self.agents.iter().flatten() {
            agent.signal(signal);
        }
        for agent in &mut self.agents {
            agent.take().unwrap().wait(SOON);
        }
        begun.elapsed()
    }

    /// Status and weight of a server, and what became of the last question to its agent.
    fn server(&self, number: usize) -> [String; 3] {
        ["status", "weight", "agent_status"].map(|column| cell(&self.socket, "b", &format!("s{number}"), column))
    }

    /// Waits until HAProxy has found no agent for a while.
    #[track_caller]
    fn agents_are_missed(&self) {
        wait_until(SOON, "HAProxy finds no agents", || {
            (0..2).all(|number| self.server(number)[2].starts_with("L4CON"))
        });
        self.traffic.more();
    }

    /// Failed and good requests of a scenario.
    fn tell(&self, scenario: &str) -> usize {
        let failures = self.traffic.failures();
        let (kind, version, good) = (self.kind, self.version, self.traffic.good());
        eprintln!("{scenario}, {kind:?}, HAProxy {version:?}: {} of {good} failed", failures.len());
        failures.len()
    }
}

/// Does the same with the agents of Datawave, where they are installed.
fn beside(haproxy: &Haproxy, scenario: &str, play: impl Fn(&mut Rig)) {
    if python_tool("datawave-haproxy-agent", "HAPROXYSTATS_DATAWAVE_AGENT").is_some() {
        let mut rig = Rig::start(haproxy, Agents::Datawave, "");
        play(&mut rig);
        rig.tell(scenario);
    }
}

#[test]
fn a_restart_of_both_agents_fails_no_request() {
    for (haproxy, signal) in haproxies().iter().flat_map(|one| [(one, Signal::SIGTERM), (one, Signal::SIGKILL)]) {
        let play = |rig: &mut Rig| {
            for _ in 0..2 {
                let took = rig.end_agents(signal);
                eprintln!("{:?} end after {took:?}", rig.kind);
                rig.start_agents();
                rig.traffic.more();
            }
        };
        let mut rig = Rig::start(haproxy, Agents::Ours, "");
        play(&mut rig);
        let scenario = format!("{signal} and start of both agents");
        assert_eq!(rig.tell(&scenario), 0);
        rig.traffic.assert_clean();
        beside(haproxy, &scenario, play);
    }
}

#[test]
fn a_stop_of_both_agents_fails_no_request_and_leaves_the_servers_as_they_are() {
    for haproxy in haproxies() {
        let play = |rig: &mut Rig| {
            rig.end_agents(Signal::SIGTERM);
            rig.agents_are_missed();
        };
        let mut rig = Rig::start(&haproxy, Agents::Ours, "");
        play(&mut rig);
        for number in 0..2 {
            let [status, weight, _] = rig.server(number);
            assert_eq!((status.as_str(), weight.as_str()), ("UP", "100"));
        }
        rig.traffic.assert_clean();
        rig.tell("stop of both agents");
        beside(&haproxy, "stop of both agents", play);
    }
}

#[test]
fn a_reload_of_both_agents_fails_no_request() {
    for haproxy in haproxies() {
        let rig = Rig::start(&haproxy, Agents::Ours, "");
        for round in 1..=3 {
            for agent in rig.agents.iter().flatten() {
                agent.signal(Signal::SIGHUP);
            }
            wait_until(SOON, "both agents have reloaded", || {
                let done = |agent: &Daemon| agent.output().matches("the new configuration is in use").count() == round;
                rig.agents.iter().flatten().all(done)
            });
            rig.traffic.more();
        }
        rig.traffic.assert_clean();
        rig.tell("reload of both agents");
    }
}

#[test]
fn a_start_with_endpoints_that_hang_fails_no_request() {
    // What would take both servers out before the first result.
    let options = "initial-response = down\ncheck-timeout = 30\n";
    let mut rig = Rig::start(&own_haproxy(), Agents::Ours, options);
    wait_until(SOON, "both answers are on disk", || {
        (0..2).all(|number| {
            let state = std::fs::read_to_string(rig.directory.path().join(format!("state-{number}")));
            state.is_ok_and(|text| text.contains(r#""state":"up""#))
        })
    });
    for signal in [Signal::SIGKILL, Signal::SIGTERM] {
        for endpoint in &rig.endpoints {
            endpoint.set(Reply::Hang);
        }
        rig.end_agents(signal);
        rig.agents_are_missed();
        rig.start_agents();
        rig.traffic.more();
        assert_eq!(ask(rig.ports[0], ""), "up 100% #as before the restart\n");
        for endpoint in &rig.endpoints {
            endpoint.set(datawave("ready", 0));
        }
    }
    rig.traffic.assert_clean();
    rig.tell("start of both agents while their endpoints hang");
}

#[test]
fn a_server_whose_endpoint_fails_gets_no_request() {
    for (what, reply) in [("status 500", Reply::Http(500, String::new())), ("a hang", Reply::Hang)] {
        // Out after one check and one question of HAProxy; what is on its way by then is answered.
        let play = |rig: &mut Rig| {
            let (begun, asked) = (Instant::now(), rig.endpoints[0].requests());
            rig.endpoints[0].set(reply.clone());
            let down = || rig.server(0)[0].starts_with("DOWN");
            wait_until(SOON, "several checks, or their effect", || {
                down() || rig.endpoints[0].requests() > asked + 10 || begun.elapsed() > Duration::from_secs(30)
            });
            let (down, after) = (down(), begun.elapsed());
            rig.traffic.more();
            let before = rig.traffic.answers();
            rig.traffic.more();
            let address = rig.webs[0].address.to_string();
            let more = rig.traffic.answers().get(&address).copied().unwrap_or_default()
                - before.get(&address).copied().unwrap_or_default();
            let (kind, version) = (rig.kind, rig.version);
            eprintln!("{what}, {kind:?}, HAProxy {version:?}: down: {down} after {after:?}, then {more} requests");
            (down, more)
        };
        let haproxy = own_haproxy();
        let mut rig = Rig::start(&haproxy, Agents::Ours, "check-timeout = 1\n");
        assert_eq!(play(&mut rig), (true, 0));
        rig.traffic.assert_clean();
        beside(&haproxy, what, |rig| {
            play(rig);
        });
    }
}

#[test]
fn a_stop_response_drains_on_purpose_until_the_next_agent() {
    let port = free_port();
    let haproxy = HaProxy::start(port, "");
    let options = format!("{FILE}own-admin-state = true\nstop-response = drain\nstop-timeout = 60\n");
    let mut first = Agent::on(port, &options);
    haproxy.wait_for("UP", Some("100"));
    first.daemon.signal(Signal::SIGTERM);
    haproxy.wait_for("DRAIN (agent)", Some("0"));
    assert!(first.daemon.is_running());
    // Nothing to read again, and no end without the time of the drain.
    first.daemon.signal(Signal::SIGHUP);
    first.daemon.wait_for_output("SIGHUP: ignored", SOON);
    assert!(first.daemon.is_running());
    first.daemon.signal(Signal::SIGTERM);
    assert!(first.daemon.wait(SOON).success());
    let _second = Agent::on(port, &options);
    haproxy.wait_for("UP", Some("100"));
}

#[test]
fn without_a_stop_response_the_agent_ends_at_once() {
    let port = free_port();
    let haproxy = HaProxy::start(port, "");
    let mut agent = Agent::on(port, &format!("{FILE}own-admin-state = true\nstop-timeout = 3600\n"));
    agent.override_with("40%");
    haproxy.wait_for("UP", Some("40"));
    agent.daemon.stop(SOON);
    assert_eq!(haproxy.server(), Some(("UP".to_owned(), "40".to_owned())));
}

#[test]
fn a_stop_never_makes_a_state_better() {
    let cases = [
        ("true", "maint", "MAINT", "maint down 100% #override\n"),
        ("true", "down", "DOWN (agent)", "ready down 100% #override\n"),
        ("false", "maint", "DOWN (agent)", "down 100% #override\n"),
        ("false", "down", "DOWN (agent)", "down 100% #override\n"),
    ];
    for (version, (owned, will, status, answer)) in haproxies().iter().flat_map(|one| cases.map(|case| (one, case))) {
        let port = free_port();
        let haproxy = HaProxy::of(version, port, "");
        let mut agent = Agent::on(
            port,
            &format!("{FILE}own-admin-state = {owned}\nstop-response = drain #stop\nstop-timeout = 3600\n"),
        );
        agent.override_with(will);
        haproxy.wait_for(status, None);
        agent.daemon.signal(Signal::SIGTERM);
        agent.daemon.wait_for_output("answering stop-response", SOON);
        for _ in 0..20 {
            assert_eq!(agent.ask(""), answer, "{owned} {will}");
        }
        // What gets better while it stops is for the next agent to say.
        std::fs::remove_file(agent.directory.path().join("override")).unwrap();
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(500) {
            let answer = agent.ask("");
            assert!(answer.contains("down") && haproxy.server().unwrap().0 == status, "{answer:?}");
        }
        agent.daemon.signal(Signal::SIGTERM);
        agent.daemon.wait(SOON);
        assert_eq!(haproxy.server().unwrap().0, status);
    }
}

#[test]
fn a_server_that_gets_worse_while_the_agent_stops_is_taken_out() {
    let options = format!("{FILE}own-admin-state = true\nstop-response = drain\nstop-timeout = 3600\n");
    let agent = Agent::start(&options);
    agent.wait_for("ready up 100%");
    agent.daemon.signal(Signal::SIGTERM);
    agent.wait_for("drain up 0% #agent is stopping");
    agent.override_with("down #broken");
    agent.wait_for("ready down 100% #override: broken");
}

#[test]
fn nothing_is_said_by_a_stop_before_the_first_result() {
    let endpoint = Endpoint::start(Reply::Hang);
    let agent = Agent::start(&format!(
        "check-url = http://127.0.0.1:{}/\ncheck-timeout = 60\nstop-response = drain\nstop-timeout = 3600\n",
        endpoint.port
    ));
    agent.daemon.signal(Signal::SIGTERM);
    wait_until(SOON, "the agent stops", || agent.daemon.output().contains("answering stop-response"));
    assert_eq!(agent.ask(""), "\n");
}

/// An agent whose state is in a file of the test's, and whose endpoint is `endpoint`.
fn with_state(file: &Path, endpoint: &Endpoint, options: &str) -> Agent {
    Agent::start(&format!(
        "own-admin-state = true\ncheck-url = http://127.0.0.1:{}/\ncheck-timeout = 60\ninitial-response = drain #initial\n\
         state-file = {}\n{options}",
        endpoint.port,
        file.display()
    ))
}

#[test]
fn the_last_answer_is_given_again_until_there_is_a_result() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("state");
    let endpoint = Endpoint::start(datawave("ready", 50));
    let answers = |agent: &Agent, wanted: &str| {
        wait_until(SOON, "the answer", || agent.ask("").starts_with(wanted));
    };
    let mut agent = with_state(&file, &endpoint, "");
    answers(&agent, "ready up 65% #");
    agent.daemon.stop(SOON);
    endpoint.set(Reply::Hang);
    // `ready` would open a server that somebody has closed meanwhile.
    assert_eq!(with_state(&file, &endpoint, "").ask(""), "up 65% #as before the restart\n");
    assert_eq!(with_state(&file, &endpoint, "initial-grace = 0\n").ask(""), "drain up 0% #initial\n");

    // What was bad stays bad.
    endpoint.set(datawave("down", 0));
    let mut agent = with_state(&file, &endpoint, "");
    answers(&agent, "ready down 100% #");
    agent.daemon.stop(SOON);
    endpoint.set(Reply::Hang);
    assert_eq!(with_state(&file, &endpoint, "").ask(""), "ready down 100% #as before the restart\n");

    // Who was drained on purpose waits for a result.
    endpoint.set(datawave("ready", 0));
    let mut agent = with_state(&file, &endpoint, "stop-response = drain\n");
    answers(&agent, "ready up 100% #");
    agent.daemon.stop(SOON);
    endpoint.set(Reply::Hang);
    assert_eq!(with_state(&file, &endpoint, "").ask(""), "\n");

    // Another boot, and nonsense, are nothing.
    let state = std::fs::read_to_string(&file).unwrap();
    let (_, rest) = state.split_once(r#""boot":""#).unwrap();
    for text in [&*format!(r#"{{"boot":"x{rest}"#), "{", "\u{0}"] {
        std::fs::write(&file, text).unwrap();
        assert_eq!(with_state(&file, &endpoint, "").ask(""), "drain up 0% #initial\n", "{text}");
    }
}

#[test]
fn the_grace_of_patroni_counts_on_after_a_restart_and_a_reload() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("state");
    let leader = || Reply::Http(200, r#"{"state":"running","role":"primary"}"#.to_owned());
    let endpoint = Endpoint::start(leader());
    let options = "checks = patroni\ngrace = 3600\n";
    let mut agent = with_state(&file, &endpoint, options);
    wait_until(SOON, "the leader is up", || agent.ask("").starts_with("ready up 100% #role=primary"));
    agent.daemon.stop(SOON);
    // Patroni is started again together with the agent, as by an upgrade of both.
    endpoint.set(Reply::Bytes(b""));
    let mut agent = with_state(&file, &endpoint, options);
    let several = |what: &str| {
        let before = endpoint.requests();
        wait_until(SOON, what, || endpoint.requests() > before + 3);
    };
    several("checks that fail");
    assert_eq!(agent.ask(""), "ready up 100% #as before the restart\n");
    agent.daemon.signal(Signal::SIGHUP);
    agent.daemon.wait_for_output("the new configuration is in use", SOON);
    several("checks that fail after the reload");
    assert_eq!(agent.ask(""), "ready up 100% #as before the restart\n");
    agent.daemon.stop(SOON);
    let agent = with_state(&file, &endpoint, "checks = patroni\ngrace = 0\n");
    wait_until(SOON, "without grace it is down", || agent.ask("").starts_with("ready down"));
}

#[test]
fn delays_count_on_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("state");
    let endpoint = Endpoint::start(datawave("ready", 0));
    let mut agent = with_state(&file, &endpoint, "fall-delay = 3600\n");
    wait_until(SOON, "the answer", || agent.ask("").starts_with("ready up 100% #"));
    agent.daemon.stop(SOON);
    endpoint.set(datawave("down", 0));
    let agent = with_state(&file, &endpoint, "fall-delay = 3600\n");
    // A first result that is worse is no reason to fall at once.
    wait_until(SOON, "several results", || endpoint.requests() > 5);
    assert!(agent.ask("").contains("up 100%"), "{}", agent.ask(""));
}

#[test]
fn systemds_directory_holds_the_state() {
    let directory = tempfile::tempdir().unwrap();
    let text = format!("[agent]\nbind = 127.0.0.1\nport = {}\nchecks = load\n", free_port());
    let mut command = with_config(agent(), &write(directory.path(), "agent.conf", text));
    command.env("RUNTIME_DIRECTORY", directory.path());
    let daemon = Daemon::spawn(command);
    wait_until(SOON, "the state", || {
        std::fs::read_to_string(directory.path().join("state.json")).is_ok_and(|text| text.contains(r#""agent":"#))
    });
    assert!(!daemon.output().contains("cannot save the last answers"), "{}", daemon.output());
}

#[test]
fn sighup_reads_the_configuration_again() {
    let (port, other) = (free_port(), free_port());
    let mut agent = Agent::on(port, &format!("{FILE}[agent:a]\nrequest = a\nchecks = load file\ncpu-reduction = 0\n"));
    wait_until(SOON, "the first answer", || agent.ask("a\n").contains("up "));
    let file = agent.directory.path().join("agent.conf");
    let first = std::fs::read_to_string(&file).unwrap();
    // Nobody is turned away meanwhile, and nothing is said that was not said before.
    let (stop, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let asker = scope.spawn(|| {
            while !stop.load(Ordering::SeqCst) {
                let answer = ask(port, "a\n");
                assert!(answer.starts_with("up "), "{answer:?}");
                asked.fetch_add(1, Ordering::SeqCst);
            }
        });
        std::fs::write(&file, format!("{first}[agent:b]\nport = {other}\noverride-file = /nonexistent/b\n")).unwrap();
        agent.daemon.signal(Signal::SIGHUP);
        wait_until(SOON, "the new service", || listens(other) && ask(other, "").starts_with("up 100%"));

        // What is wrong changes nothing.
        for (wrong, words) in [("[agent:c]\nchecks = nonsense\n", "is not a check"), ("[agent\n", "no section")] {
            std::fs::write(&file, format!("{first}{wrong}")).unwrap();
            let before = agent.daemon.output().matches("the new configuration is not used").count();
            agent.daemon.signal(Signal::SIGHUP);
            wait_until(SOON, "the refusal", || {
                agent.daemon.output().matches("the new configuration is not used").count() > before
            });
            assert!(ask(other, "").starts_with("up 100%"), "{words}: {}", agent.daemon.output());
        }
        assert!(agent.daemon.output().contains("is not a check"), "{}", agent.daemon.output());

        std::fs::write(&file, &first).unwrap();
        agent.daemon.signal(Signal::SIGHUP);
        wait_until(SOON, "the port of the service that is gone is closed", || !listens(other));
        wait_until(SOON, "some answers", || asked.load(Ordering::SeqCst) > 10 || asker.is_finished());
        stop.store(true, Ordering::SeqCst);
        asker.join().unwrap();
    });
    assert!(agent.daemon.is_running());
    agent.daemon.stop(SOON);
}

#[test]
fn a_reload_keeps_the_last_answer_until_there_is_a_result() {
    let endpoint = Endpoint::start(datawave("ready", 50));
    let mut agent = Agent::start(&format!(
        "own-admin-state = true\ncheck-url = http://127.0.0.1:{}/\ncheck-timeout = 60\ninitial-response = down\n\
         initial-grace = 0\n",
        endpoint.port
    ));
    wait_until(SOON, "the answer", || agent.ask("").starts_with("ready up 65% #"));
    endpoint.set(Reply::Hang);
    agent.daemon.signal(Signal::SIGHUP);
    agent.daemon.wait_for_output("the new configuration is in use", SOON);
    for _ in 0..20 {
        let answer = agent.ask("");
        assert!(answer.starts_with("ready up 65% #"), "{answer:?}");
    }
}

#[test]
fn sighup_at_the_start_ends_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let port = free_port();
    let text = format!("[agent]\nbind = 127.0.0.1\nport = {port}\nchecks = load\n");
    let file = write(directory.path(), "agent.conf", text);
    let mut daemon = Daemon::spawn(with_config(agent(), &file));
    // From the first moment at which the program is our program and not this one's copy.
    let started = wait_for(SOON, "the program", || {
        let name = std::fs::read_to_string(format!("/proc/{}/comm", daemon.pid())).ok()?;
        name.starts_with("haproxystats-ag").then(Instant::now)
    });
    let blocked = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap_or_default();
        let masks = ["SigBlk:", "SigCgt:"].map(|name| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
            u64::from_str_radix(line.trim(), 16).unwrap_or_default()
        });
        masks.iter().any(|mask| mask & 1 != 0)
    };
    wait_until(SOON, "SIGHUP has a meaning", blocked);
    eprintln!("after {:?}", started.elapsed());
    for _ in 0..20 {
        daemon.signal(Signal::SIGHUP);
    }
    wait_until(SOON, "an answer", || listens(port) && ask(port, "").starts_with("up "));
    daemon.wait_for_output("SIGHUP: reading the configuration again", SOON);
    assert!(daemon.is_running());
}
