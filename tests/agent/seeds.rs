//! The agents that went before, and haproxystats-agent in their place: with the lines of INI of the migration guide, at
//! their own default ports and endpoints, side by side.
//!
//! The default ports are free in a network namespace of one's own. Where the system grants none the same is done at
//! other ports.

use crate::harness::agent::{Endpoint, Reply, ask, datawave, health};
use crate::harness::{
    Daemon, SOON, agent, debian, free_port, listens, poll, python_tool, run, test_name, wait_until, with_config, write,
};
use haproxystats::haproxy::answer::grammar::{Server, Version, read};
use nix::sys::signal::Signal;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Set in the namespace.
const INSIDE: &str = "HAPROXYSTATS_TEST_NAMESPACE";

/// Ports of the agent and of its endpoint: those that the seed has by itself, if they are to be had.
#[derive(Debug, Clone, Copy)]
struct Ports {
    agent: u16,
    endpoint: u16,
}

/// Runs a test of this file again in a network namespace, and says whether that could be done.
fn in_a_namespace(test: &str) -> bool {
    let unshare = |words: &[&str]| {
        let mut command = Command::new(debian("unshare"));
        command.args(["--net", "--map-root-user", "--"]).args(words);
        command
    };
    if !run(unshare(&["true"]), SOON).0.success() {
        eprintln!("no network namespace is to be had: other ports than the defaults are used");
        return false;
    }
    let (program, test) = (std::env::current_exe().unwrap(), test_name(module_path!(), test));
    let script = format!("ip link set lo up && exec '{}' --exact {test} --nocapture", program.display());
    let mut command = unshare(&["sh", "-c", &script]);
    command.env(INSIDE, "1").env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    let (status, output) = run(command, Duration::from_secs(300));
    assert!(status.success(), "{output}");
    assert!(output.contains("1 passed"), "{output}");
    true
}

/// The ports to use, or `None` when the test has been done in a namespace.
fn ports(test: &str, defaults: Ports) -> Option<Ports> {
    if std::env::var_os(INSIDE).is_some() {
        return Some(defaults);
    }
    (!in_a_namespace(test)).then(|| Ports { agent: free_port(), endpoint: free_port() })
}

/// The lines of INI that the guide gives for a seed, for these ports.
fn guide(title: &str, ports: Ports, defaults: Ports) -> String {
    let text = std::fs::read_to_string(crate::harness::root().join("docs/migration.md")).unwrap();
    let section = text.split(&format!("### {title}\n")).nth(1).expect("the section of the guide");
    let lines = section.split("```ini\n").nth(1).and_then(|rest| rest.split("```").next()).expect("lines of INI");
    let mut lines = lines.replace(&format!(":{}", defaults.endpoint), &format!(":{}", ports.endpoint));
    if ports.endpoint != defaults.endpoint && !lines.contains("check_url") {
        lines.push_str(&format!("check-url = http://localhost:{}\n", ports.endpoint));
    }
    lines
}

/// haproxystats-agent with these lines and nothing else, save its port where it is not the default.
fn ours(directory: &Path, lines: &str, port: Option<u16>) -> Daemon {
    let mut command = with_config(agent(), &write(directory, "agent.conf", lines));
    if let Some(port) = port {
        command.args(["--port", &port.to_string()]);
    }
    let port = port.unwrap_or(5555);
    let daemon = Daemon::spawn(command);
    wait_until(SOON, "the agent listens", || listens(port));
    daemon
}

/// Status and weight of a server that gets these answers one after the other.
fn server(answers: &[&str]) -> (String, u16) {
    let mut server = Server::new(100);
    for answer in answers {
        let reading = read(answer.as_bytes(), Version::Until30).expect("an answer");
        assert!(reading.unknown.is_empty(), "{answer:?}");
        server.apply(&reading);
    }
    (server.status().to_owned(), server.weight)
}

/// What the Datawave agent computes: cut, not rounded.
fn formula(status: &str, slots: f64, load: f64, swap: u64) -> String {
    let weight = 1.0 - (slots / 100.0).min(1.0) * 0.7 - load * 0.4 - if swap > 0 { 0.3 } else { 0.0 };
    let percent = (weight.max(0.01) * 100.0) as i64;
    if status == "drain" { "0% drain up\n".to_owned() } else { format!("{percent}% {status} up\n") }
}

#[test]
fn datawave_haproxy_agent_is_replaced() {
    let defaults = Ports { agent: 5555, endpoint: 8080 };
    let Some(theirs) = python_tool("datawave-haproxy-agent", "HAPROXYSTATS_DATAWAVE_AGENT") else { return };
    let Some(ports) = ports("datawave_haproxy_agent_is_replaced", defaults) else { return };
    let directory = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::start_on(ports.endpoint, datawave("ready", 0));
    let mut command = Command::new(theirs);
    if ports.agent == defaults.agent {
        command.arg("--skip-config");
    } else {
        let url = format!("http://localhost:{}/DataWave/Common/Health/health", ports.endpoint);
        let config = format!("port: {}\ndw_health_poller:\n  check_url: {url}\n", ports.agent);
        command.arg("--config").arg(write(directory.path(), "config.yml", config));
    }
    let mut seed = Daemon::spawn(command);
    let lines = guide("datawave_haproxy_agent", ports, defaults);
    let other = free_port();
    let beside = ours(directory.path(), &lines, Some(other));
    wait_until(SOON, "the Datawave agent listens", || listens(ports.agent));

    // Both from the same history: what was said before counts in HAProxy.
    let mut history = [Vec::new(), Vec::new()];
    for (status, slots, load, swap) in [
        ("ready", 0.0, 0.0, 0),
        ("ready", 50.0, 0.0, 0),
        ("ready", 33.0, 0.27, 0),
        ("ready", 0.0, 0.0, 4096),
        ("drain", 10.0, 0.1, 0),
        ("ready", 100.0, 1.0, 1),
    ] {
        endpoint.set(health(status, slots, load, swap));
        let wanted = formula(status, slots, load, swap);
        let (mut seeds, mut own) = (String::new(), String::new());
        let found = poll(SOON, || {
            (seeds, own) = (ask(ports.agent, ""), ask(other, ""));
            // The reason shows which reply an answer is made from.
            let reason = format!("ConnectionUsagePercent={slots} SystemLoad={load} SwapBytesUsed={swap}\n");
            (seeds == wanted && own.ends_with(&reason)).then_some(())
        });
        assert!(found.is_some(), "{wanted:?}: {seeds:?} and {own:?}\n{}{}", seed.output(), beside.output());
        let [a, b] = &mut history;
        a.push(seeds);
        b.push(own);
        let [theirs, ours] =
            history.each_ref().map(|answers| server(&answers.iter().map(String::as_str).collect::<Vec<_>>()));
        assert_eq!(theirs.0, ours.0, "{history:?}");
        // Cut there, rounded here.
        assert!(ours.1.abs_diff(theirs.1) <= 1, "{history:?}");
    }
    for (reply, seeds, status) in
        [(Some(Reply::Http(503, String::new())), "0% drain\n", "DRAIN (agent)"), (None, "down\n", "DOWN (agent)")]
    {
        match reply {
            Some(reply) => endpoint.set(reply),
            None => endpoint.vanish(),
        }
        wait_until(SOON, "the Datawave agent sees it", || ask(ports.agent, "") == seeds);
        wait_until(SOON, "the same state", || server(&[&ask(other, "")]).0 == status);
        assert_eq!(server(&[seeds]).0, status);
    }

    // In its place, at the default port, with nothing but the lines of the guide.
    seed.signal(Signal::SIGKILL);
    seed.wait(SOON);
    drop(beside);
    let _endpoint = Endpoint::start_on(ports.endpoint, datawave("ready", 50));
    let port = (ports.agent != defaults.agent).then_some(ports.agent);
    let _replacement = ours(directory.path(), &lines, port);
    wait_until(SOON, "the answer of the replacement", || ask(ports.agent, "").starts_with("ready up 65% #"));
}

#[test]
fn the_patroni_script_is_replaced() {
    let defaults = Ports { agent: 5555, endpoint: 8008 };
    let Some(ports) = ports("the_patroni_script_is_replaced", defaults) else { return };
    let directory = tempfile::tempdir().unwrap();
    let node = |lock: bool, role: &str, state: &str| {
        let body = format!(r#"{{"role":"{role}","state":"{state}","timeline":1}}"#);
        Reply::Paths(vec![("/primary", if lock { 200 } else { 503 }, body.clone()), ("/", 200, body)])
    };
    let endpoint = Endpoint::start_on(ports.endpoint, node(true, "master", "running"));
    let lines = guide("The Patroni script of the blog", ports, defaults);
    let port = (ports.agent != defaults.agent).then_some(ports.agent);
    let _replacement = ours(directory.path(), &lines, port);
    // Where the script was right it says READY for `master` and MAINT for everything else; a server that it found in
    // maintenance is up after READY.
    for (role, script) in [("master", "READY\n"), ("replica", "MAINT\n"), ("master", "READY\n")] {
        endpoint.set(node(role == "master", role, "running"));
        let status = server(&["MAINT\n", script]).0;
        wait_until(SOON, "the state that the script gives", || {
            server(&["maint down 100%\n", &ask(ports.agent, "")]).0 == status
        });
    }
    // Where it was wrong: Patroni 4, and PostgreSQL that does not run under a leader that still has the lock.
    for (lock, role, state, status) in [
        (true, "primary", "running", "UP"),
        (false, "master", "stopped", "MAINT"),
        (true, "primary", "running", "UP"),
        (true, "master", "stopping", "MAINT"),
    ] {
        endpoint.set(node(lock, role, state));
        wait_until(SOON, "the right state", || server(&[&ask(ports.agent, "")]).0 == status);
    }
}
