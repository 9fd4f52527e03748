//! haproxystats-agent from outside: real HAProxy in front, a scripted endpoint behind.

use crate::harness::agent::{Agent, Endpoint, FILE, HaProxy, Reply, ask, datawave};
use crate::harness::haproxy::ask as runtime;
use crate::harness::{
    self, Daemon, SOON, agent, debian, free_port, listens, run, wait_for, wait_until, with_config, write,
};
use std::net::{Shutdown, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

#[test]
fn haproxy_follows_every_answer_when_the_agent_owns_the_admin_state() {
    let agent = Agent::start(&format!("{FILE}own-admin-state = true\n"));
    let haproxy = HaProxy::start(agent.port, "");
    haproxy.wait_for("UP", Some("100"));
    for (will, status, weight) in [
        ("drain", "DRAIN (agent)", Some("0")),
        ("up", "UP", Some("100")),
        ("maint #why", "MAINT", None),
        ("drain", "DRAIN (agent)", Some("0")),
        ("down", "DOWN (agent)", None),
        ("drain", "DRAIN (agent)", Some("0")),
        ("maint", "MAINT", None),
        ("up", "UP", Some("100")),
        ("down", "DOWN (agent)", None),
        ("30%", "UP", Some("30")),
    ] {
        agent.override_with(will);
        haproxy.wait_for(status, weight);
    }
}

#[test]
fn haproxy_follows_every_answer_when_the_operator_owns_the_admin_state() {
    let agent = Agent::start(FILE);
    let haproxy = HaProxy::start(agent.port, "");
    for (will, status, weight) in [
        ("drain", "UP", Some("0")),
        ("down", "DOWN (agent)", None),
        ("drain", "UP", Some("0")),
        ("maint", "DOWN (agent)", None),
        ("up", "UP", Some("100")),
        ("7%", "UP", Some("7")),
    ] {
        agent.override_with(will);
        haproxy.wait_for(status, weight);
    }
}

#[test]
fn an_operators_maintenance_stays_unless_the_agent_owns_it() {
    let endpoint = Endpoint::start(Reply::Http(200, String::new()));
    for (owned, left) in [("false", "MAINT"), ("true", "UP")] {
        let options =
            format!("checks = http\ncheck-url = http://127.0.0.1:{}/\nown-admin-state = {owned}\n", endpoint.port);
        let agent = Agent::start(&options);
        let haproxy = HaProxy::start(agent.port, "");
        haproxy.wait_for("UP", Some("100"));
        haproxy.say("set server b/s state maint");
        if left == "MAINT" {
            haproxy.wait_for("MAINT", None);
            // The weight shows that later answers have arrived.
            haproxy.say("set server b/s weight 10");
            wait_until(SOON, "an answer after the command", || {
                runtime(&haproxy.socket, "get weight b/s").is_some_and(|weight| weight.starts_with("100 "))
            });
        }
        haproxy.wait_for(left, None);
    }
}

#[test]
fn a_server_that_starts_disabled_waits_for_the_agent() {
    let port = free_port();
    let haproxy = HaProxy::start(port, "disabled");
    haproxy.wait_for("MAINT", None);
    let _agent = Agent::on(port, &format!("{FILE}own-admin-state = true\n"));
    haproxy.wait_for("UP", Some("100"));
}

#[test]
fn a_server_left_down_comes_up_with_the_next_agent() {
    let port = free_port();
    let haproxy = HaProxy::start(port, "");
    let first = Agent::on(port, FILE);
    first.override_with("down");
    haproxy.wait_for("DOWN (agent)", None);
    // Killed: no word of farewell.
    drop(first);
    assert!(!listens(port));
    let _second = Agent::on(port, FILE);
    haproxy.wait_for("UP", Some("100"));
}

#[test]
fn datawave_gets_the_answers_that_were_right() {
    let endpoint = Endpoint::start(datawave("ready", 50));
    let agent = Agent::start(&format!(
        "own-admin-state = true\ncheck_url = http://127.0.0.1:{}/health\ncheck_timeout = 0.5\n",
        endpoint.port
    ));
    agent.wait_for("ready up 65% #ConnectionUsagePercent=50 SystemLoad=0 SwapBytesUsed=0");
    endpoint.set(Reply::Http(503, String::new()));
    agent.wait_for("drain up 0% #status 503");
    let (Reply::Http(_, body), path) = (datawave("drain", 0), "/health") else { panic!() };
    endpoint.set(Reply::Paths(vec![(path, 200, body)]));
    agent.wait_for("drain up 0% #ConnectionUsagePercent=0 SystemLoad=0 SwapBytesUsed=0");
}

#[test]
fn a_failing_endpoint_never_leaves_the_last_answer_standing() {
    let good = || datawave("ready", 0);
    let endpoint = Endpoint::start(good());
    let agent = Agent::start(&format!(
        "check-url = http://127.0.0.1:{}/\ncheck-timeout = 0.3\ntimeout-response = down #slow\n\
         error-response = down #wrong\nunavailable-response = drain #busy\n",
        endpoint.port
    ));
    let up = "up 100% #ConnectionUsagePercent=0 SystemLoad=0 SwapBytesUsed=0";
    for (reply, answer) in [
        (Reply::Hang, "down 100% #slow"),
        (Reply::Http(500, String::new()), "down 100% #wrong"),
        (Reply::Http(404, String::new()), "down 100% #wrong"),
        (Reply::Http(200, "{".into()), "down 100% #wrong"),
        (Reply::Http(200, "{}".into()), "down 100% #wrong"),
        (Reply::Bytes(b"no HTTP at all\r\n\r\n"), "down 100% #wrong"),
        (Reply::Bytes(b""), "down 100% #wrong"),
        (Reply::Http(503, String::new()), "up 0% #busy"),
        (datawave("down #x\\nup", 0), "down 100% #wrong"),
    ] {
        endpoint.set(good());
        agent.wait_for(up);
        endpoint.set(reply);
        agent.wait_for(answer);
    }
}

#[test]
fn an_endpoint_that_is_away_is_down() {
    let port = free_port();
    let agent = Agent::start(&format!("check-url = http://127.0.0.1:{port}/\ndown-response = maint #away\n"));
    agent.wait_for("down 100% #away");
}

#[test]
fn nothing_is_said_before_the_first_result() {
    let endpoint = Endpoint::start(Reply::Hang);
    let agent = Agent::start(&format!("check-url = http://127.0.0.1:{}/\ncheck-timeout = 60\n", endpoint.port));
    assert_eq!(agent.ask(""), "\n");
}

#[test]
fn a_result_grows_stale() {
    let endpoint = Endpoint::start(datawave("ready", 0));
    let agent = Agent::start(&format!(
        "check-url = http://127.0.0.1:{}/\ncheck-timeout = 60\nstaleness-interval = 0.5\nstaleness-response = drain #stale\n",
        endpoint.port
    ));
    agent.wait_for("up 100% #ConnectionUsagePercent=0 SystemLoad=0 SwapBytesUsed=0");
    endpoint.set(Reply::Hang);
    agent.wait_for("up 0% #stale");
}

#[test]
fn clients_that_misbehave_cost_nothing() {
    let mut agent =
        Agent::start(&format!("request-timeout = 0.2\nmax-connections = 3\n{FILE}[agent:a]\nrequest = a\n"));
    agent.wait_for("");
    assert_eq!(agent.ask("a\n"), "up 100%\n");
    assert_eq!(agent.ask(&"x".repeat(100_000)), "\n");
    assert_eq!(agent.ask("\0\u{ff}\n"), "\n");
    // They say nothing, and they leave without a word.
    let silent: Vec<TcpStream> = (0..20).map(|_| TcpStream::connect(("127.0.0.1", agent.port)).unwrap()).collect();
    wait_until(SOON, "an answer beside silent clients", || agent.ask("a\n") == "up 100%\n");
    for stream in silent {
        // Unread data makes the kernel reset the connection.
        let _ = stream.shutdown(Shutdown::Write);
    }
    wait_until(SOON, "an answer after resets", || agent.ask("a\n") == "up 100%\n");
    assert!(agent.daemon.is_running());
}

#[test]
fn services_share_a_port_by_what_haproxy_sends() {
    let options = "checks = file\n[agent:rw]\nrequest = rw\noverride-file = ${DIR}/rw\n\
                   [agent:ro]\nrequest = ro\noverride-file = ${DIR}/ro\n";
    let agent = Agent::start(options);
    std::fs::write(agent.directory.path().join("rw"), "down #no").unwrap();
    std::fs::write(agent.directory.path().join("ro"), "40%").unwrap();
    wait_until(SOON, "both answers", || {
        agent.ask("rw\n") == "down 100% #override: no\n" && agent.ask("ro\r\n") == "up 40% #override\n"
    });
    assert_eq!(agent.ask("other\n"), "\n");
    let haproxy = HaProxy::start(agent.port, r#"agent-send "ro\n""#);
    haproxy.wait_for("UP", Some("40"));
}

#[test]
fn strangers_get_no_answer() {
    let agent = Agent::start(&format!("allow = 127.0.0.2, ::1, 10.0.0.0/8\n{FILE}"));
    assert_eq!(agent.ask(""), "");
    let agent = Agent::start(&format!("allow = 127.0.0.0/8\n{FILE}"));
    agent.wait_for("up 100%");
}

#[test]
fn on_demand_all_who_ask_share_one_request() {
    let (Reply::Http(_, body), pause) = (datawave("ready", 0), Duration::from_millis(500)) else { panic!() };
    let endpoint = Endpoint::start(Reply::Slow(pause, body));
    let url = format!("interval = 0\ncheck-timeout = 10\ncheck-url = http://127.0.0.1:{}/\n", endpoint.port);
    let agent = Agent::start(&url);
    let port = agent.port;
    let start = Instant::now();
    wait_until(SOON, "the request of the probe is over", || {
        endpoint.requests() >= 1 && start.elapsed() > Duration::from_millis(1200)
    });
    let before = endpoint.requests();
    let askers: Vec<_> = (0..20).map(|_| std::thread::spawn(move || ask(port, ""))).collect();
    for asker in askers {
        assert!(asker.join().unwrap().starts_with("up 100% #"));
    }
    let requests = endpoint.requests() - before;
    assert!((1..=5).contains(&requests), "{requests} requests for 20 askers");
}

fn patroni(lock: bool, role: &str, state: &str) -> Reply {
    let body = format!(r#"{{"role":"{role}","state":"{state}","timeline":3,"patroni":{{"name":"pg1"}}}}"#);
    let status = |is| if is { 200 } else { 503 };
    let members = r#"{"members":[{"name":"pg1","lag":8388608}]}"#.to_owned();
    Reply::Paths(vec![
        ("/primary", status(lock), body.clone()),
        ("/replica", status(!lock && state == "running"), body),
        ("/cluster", 200, members),
    ])
}

#[test]
fn patroni_answers_for_writes_and_reads_on_one_port() {
    let endpoint = Endpoint::start(patroni(true, "primary", "running"));
    let agent = Agent::start(&format!(
        "checks = patroni\nown-admin-state = true\ngrace = 0.5\ncheck-timeout = 1\n\
         check-url = http://127.0.0.1:{}\n[agent:rw]\nrequest = rw\n[agent:ro]\nrequest = ro\npatroni-mode = read-only\n",
        endpoint.port
    ));
    let both = |rw: &str, ro: &str| {
        let mut last = (String::new(), String::new());
        let found = harness::poll(SOON, || {
            last = (agent.ask("rw\n"), agent.ask("ro\n"));
            (last.0.starts_with(rw) && last.1.starts_with(ro)).then_some(())
        });
        assert!(found.is_some(), "waited for {rw:?} and {ro:?}, last was {last:?}");
    };
    both("ready up 100% #role=primary state=running tl=3\n", "ready up 1% #role=primary");
    endpoint.set(patroni(true, "master", "running"));
    both("ready up 100% #role=master", "ready up 1% #role=master");
    endpoint.set(patroni(false, "replica", "running"));
    both("maint down 100% #role=replica", "ready up 50% #lag=8388608\n");
    // A switch-over: the lock before the promotion, and after the end.
    endpoint.set(patroni(true, "replica", "running"));
    both("maint down 100% #role=replica", "drain up 0%");
    endpoint.set(patroni(true, "primary", "stopping"));
    both("maint down 100% #role=primary state=stopping", "ready down");
    // Paused, and PostgreSQL stopped.
    endpoint.set(patroni(false, "master", "stopped"));
    both("maint down 100% #role=master state=stopped", "ready down");
    endpoint.set(patroni(true, "primary", "running"));
    both("ready up 100%", "ready up 1%");
    // The API breaks: the last answer for the time of grace, then the configured one.
    endpoint.set(Reply::Http(200, "not JSON".into()));
    both("ready down 100% #patroni: not JSON", "ready down 100% #patroni: not JSON");
}

#[test]
fn patronis_absence_is_forgiven_for_a_while() {
    let endpoint = Endpoint::start(patroni(true, "primary", "running"));
    let agent = Agent::start(&format!(
        "checks = patroni\ngrace = 3600\ncheck-timeout = 0.2\ncheck-url = http://127.0.0.1:{}\n",
        endpoint.port
    ));
    agent.wait_for("up 100% #role=primary state=running tl=3");
    for reply in [Reply::Hang, Reply::Bytes(b""), Reply::Http(500, String::new())] {
        endpoint.set(reply);
        let before = endpoint.requests();
        wait_until(SOON, "several checks have failed", || endpoint.requests() > before + 3);
        assert_eq!(agent.ask(""), "up 100% #role=primary state=running tl=3\n");
    }
}

#[test]
fn several_checks_make_one_answer() {
    let endpoint = Endpoint::start(Reply::Http(200, r#"{"load": 4}"#.into()));
    let agent = Agent::start(&format!(
        "checks = http command file\ncheck-url = http://127.0.0.1:{}/x\nreductions = /load 0.5 0 8\n\
         command = sh ${{DIR}}/plugin\nmaxconn = 50\noverride-file = ${{DIR}}/override\n",
        endpoint.port
    ));
    let plugin = |code: u8| write(agent.directory.path(), "plugin", format!("echo PLUGIN\nexit {code}\n"));
    plugin(0);
    agent.wait_for("up 75% maxconn:50 #load=4");
    plugin(1);
    agent.wait_for("up 50% maxconn:50 #PLUGIN");
    plugin(2);
    agent.wait_for("down 75% maxconn:50 #PLUGIN");
    agent.override_with("up 20% #I know");
    agent.wait_for("up 20% maxconn:50 #override: I know");
}

#[test]
fn credentials_are_sent_and_never_logged() {
    let endpoint = Endpoint::start(Reply::Http(200, String::new()));
    let directory = tempfile::tempdir().unwrap();
    let secret = write(directory.path(), "secret", "joe:geheim\n");
    let headers = write(directory.path(), "headers", "X-Token: verborgen\n");
    let agent = Agent::start(&format!(
        "loglevel = debug\nchecks = http\ncheck-url = http://127.0.0.1:{}/a?b=c\ncredentials-file = {}\nheaders-file = {}\n",
        endpoint.port,
        secret.display(),
        headers.display()
    ));
    agent.wait_for("up 100%");
    let head = endpoint.last.lock().unwrap().to_lowercase();
    assert!(head.starts_with("get /a?b=c http/1.1"), "{head}");
    assert!(head.contains("authorization: basic am9lomdlagvpbq==") && head.contains("x-token: verborgen"), "{head}");
    let log = agent.daemon.output();
    assert!(!log.contains("geheim") && !log.contains("verborgen") && !log.contains("am9l"), "{log}");
}

#[test]
fn the_log_has_changes_only() {
    let agent = Agent::start(FILE);
    for _ in 0..50 {
        assert_eq!(agent.ask(""), "up 100%\n");
    }
    agent.override_with("down #once");
    agent.wait_for("down 100% #override: once");
    for _ in 0..50 {
        agent.ask("");
    }
    let log = wait_for(SOON, "the change in the log", || {
        let log = agent.daemon.output();
        log.contains("override: once").then_some(log)
    });
    // Before the first result, up, down.
    assert!((2..=3).contains(&log.matches("answer changed").count()), "{log}");
}

#[test]
fn in_a_terminal_the_log_is_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let text = format!("[agent]\nbind = 127.0.0.1\nport = {}\nchecks = load\n", free_port());
    let file = write(directory.path(), "agent.conf", text);
    let mut terminal = Command::new(debian("script"));
    terminal.args(["-qec", &format!("{:?} -f {}", agent().get_program(), file.display()), "/dev/null"]);
    let mut daemon = Daemon::spawn(terminal);
    daemon.wait_for_output("haproxystats-agent is running", SOON);
    let log = daemon.output();
    assert!(log.starts_with("20") && log.contains("Z  INFO haproxystats-agent is running version="), "{log}");
}

#[test]
fn a_hundred_services_need_little_memory() {
    let endpoint = Endpoint::start(datawave("ready", 0));
    let page = free_port();
    let mut options = format!(
        "interval = 0.5\nchecks = datawave file load\noverride-file = /nonexistent/override\n\
         check-url = http://127.0.0.1:{}/\n[exporter]\nlisten = 127.0.0.1:{page}\n",
        endpoint.port
    );
    for number in 0..100 {
        options.push_str(&format!("[agent:s{number}]\nrequest = s{number}\n"));
    }
    let agent = Agent::start(&options);
    wait_until(SOON, "every service answers", || {
        (0..100).all(|number| agent.ask(&format!("s{number}\n")).starts_with("up "))
    });
    for _ in 0..3 {
        assert_eq!(harness::prometheus::scrape(page).get("haproxystats_agent_services"), Some(&100.0));
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", agent.daemon.pid())).unwrap();
    let kib = |name: &str| -> u64 {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    };
    // The pages of the program itself are 6 MiB in a release build and 11 MiB in one for debugging: there the limit of
    // 15 MiB in sum is held by what the services may take.
    let (own, all) = (kib("RssAnon:"), kib("VmRSS:"));
    let limit = if cfg!(debug_assertions) { 20 } else { 15 };
    assert!(own < 8 * 1024 && all < limit * 1024, "{own} KiB of {all} KiB");
}

#[test]
fn explain_speaks_about_lines() {
    let explain = |line: &str| {
        let mut command = agent();
        command.arg("--explain").arg(line);
        let (status, output) = run(command, SOON);
        assert!(status.success(), "{output}");
        output
    };
    assert!(explain("0% drain").contains("stays down"));
    assert!(explain("-5%").contains("\"-5%\" is not a word"));
}

#[test]
fn the_command_line_wins_over_the_file() {
    let print = |arguments: &[&str]| {
        let mut command = agent();
        command.args(arguments);
        run(command, SOON)
    };
    let (status, output) = print(&["--skip-config", "-b", "127.0.0.1", "--port", "7001", "-P"]);
    assert!(status.success() && output.contains("bind = 127.0.0.1\n") && output.contains("port = 7001\n"), "{output}");
    assert!(!output.contains("[pull]") && !output.contains("[graphite]"), "{output}");
    let (status, output) = print(&["--skip-config", "--port", "70000", "--check"]);
    assert!(status.code() == Some(78) && output.contains("command line:2: [agent] port = \"70000\""), "{output}");
    let (status, output) = print(&["--skip-config", "--check"]);
    assert!(status.success() && output.contains("the configuration of haproxystats-agent is good"), "{output}");
    let (status, _) = print(&["--once", "x"]);
    assert_eq!(status.code(), Some(1));
}

#[test]
fn the_shipped_haproxy_configuration_is_good() {
    let file = crate::harness::root().join("contrib/haproxy/agent.cfg");
    for haproxy in harness::newer::haproxies() {
        let mut command = haproxy.command();
        command.arg("-c").arg("-f").arg(&file);
        let (status, output) = run(command, SOON);
        assert!(status.success() && !output.contains("ALERT"), "{:?}: {output}", haproxy.version);
    }
}

/// A certificate for localhost that is its own authority, and its key.
fn certificate(directory: &Path) -> (PathBuf, PathBuf) {
    harness::certificate::certificate(&debian("openssl"), directory, "own", "/CN=localhost", "DNS:localhost")
}

#[test]
fn tls_is_verified_in_both_directions() {
    let directory = tempfile::tempdir().unwrap();
    let (certificate, key) = certificate(directory.path());
    let port = free_port();
    let mut command = Command::new(debian("openssl"));
    command.args([
        "s_server",
        "-quiet",
        "-www",
        "-accept",
        &format!("127.0.0.1:{port}"),
        "-Verify",
        "1",
        "-verify_return_error",
    ]);
    command.arg("-CAfile").arg(&certificate).arg("-cert").arg(&certificate).arg("-key").arg(&key);
    let _server = Daemon::spawn(command);
    wait_until(SOON, "the TLS server listens", || listens(port));
    let ours = format!("tls-certificate-file = {}\ntls-key-file = {}\n", certificate.display(), key.display());
    let trust = format!("tls-ca-file = {}\n", certificate.display());
    // A stranger's certificate: the authority is the agent's own, newly made.
    let other = directory.path().join("other");
    std::fs::create_dir(&other).unwrap();
    let (foreign, _) = self::certificate(&other);
    let distrust = format!("tls-ca-file = {}\n", foreign.display());
    for (options, host, answer) in [
        (format!("{trust}{ours}"), "localhost", "up 100%\n"),
        (trust.clone(), "localhost", "down 100% #no reply: "),
        (format!("{distrust}{ours}"), "localhost", "down 100% #TLS: "),
        (format!("{trust}{ours}"), "127.0.0.1", "down 100% #TLS: "),
    ] {
        let agent = Agent::start(&format!("checks = http\ncheck-url = https://{host}:{port}/\n{options}"));
        let mut last = String::new();
        let found = harness::poll(SOON, || {
            last = agent.ask("");
            last.starts_with(answer).then_some(())
        });
        assert!(found.is_some(), "{options} {host}: waited for {answer:?}, last was {last:?}");
    }
}

#[test]
fn files_that_the_agent_needs_are_checked() {
    let directory = tempfile::tempdir().unwrap();
    let text = "[agent]\nchecks = http\ncheck-url = http://localhost/\ncredentials-file = /nonexistent/file\n";
    let file = write(directory.path(), "agent.conf", text);
    let mut command = with_config(agent(), &file);
    command.arg("--check");
    let (status, output) = run(command, SOON);
    assert!(!status.success() && output.contains("/nonexistent/file cannot be read"), "{output}");
}
