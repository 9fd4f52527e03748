//! What comes in from outside, and is not what one would expect: plug-ins that leave something behind, requests without
//! an end, configurations of other programs.

use crate::harness::agent::{Agent, Endpoint, FILE, HaProxy, Reply, datawave};
use crate::harness::{SOON, agent, free_port, run, wait_until, with_config, write};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

#[test]
fn a_plug_in_that_leaves_a_process_in_the_background_decides_by_its_own_exit() {
    let agent = Agent::start(
        "checks = command file\ncommand = sh ${DIR}/plugin\ncheck-timeout = 2\noverride-file = ${DIR}/override\n",
    );
    let pids = agent.directory.path().join("pids");
    let plugin = |text: &str, code: u8| {
        // The helper keeps the output open, as ssh's ControlPersist and daemons that a check starts do.
        let script = format!("sleep 600 &\necho $! >>{}\necho '{text} | time=0.01s'\nexit {code}\n", pids.display());
        write(agent.directory.path(), "plugin", script);
    };
    plugin("OK - connected", 0);
    let haproxy = HaProxy::start(agent.port, "");
    agent.wait_for("up 100% #OK - connected");
    haproxy.wait_for("UP", Some("100"));
    plugin("WARNING", 1);
    agent.wait_for("up 50% #WARNING");
    plugin("CRITICAL", 2);
    agent.wait_for("down 100% #CRITICAL");
    plugin("OK", 0);
    agent.wait_for("up 100% #OK");
    drop(haproxy);
    let helpers = std::fs::read_to_string(&pids).unwrap();
    drop(agent);
    for pid in helpers.lines() {
        // It is the plug-in's, and left alone.
        kill(Pid::from_raw(pid.parse().unwrap()), Signal::SIGKILL).unwrap();
    }
}

#[test]
fn a_request_without_a_line_end_is_answered_at_once() {
    let options = "request-timeout = 30\nchecks = file\n[agent:web]\nrequest = web\noverride-file = ${DIR}/web\n\
                   [agent:rw]\nrequest = rw\noverride-file = ${DIR}/rw\n[agent:rwx]\nrequest = rwx\n\
                   override-file = ${DIR}/rwx\n";
    let agent = Agent::start(options);
    std::fs::write(agent.directory.path().join("web"), "40%").unwrap();
    wait_until(SOON, "the answer", || agent.ask("web\n").starts_with("up 40%"));
    // The connection stays open, as HAProxy keeps it.
    let asked = |request: &str| {
        let mut stream = TcpStream::connect(("127.0.0.1", agent.port)).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        let begun = Instant::now();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        (answer, begun.elapsed())
    };
    for (request, answer) in [("web", "up 40%"), ("rwx", "up 100%"), ("other", "\n"), ("rwx2", "\n")] {
        let (found, took) = asked(request);
        assert!(found.starts_with(answer) && took < Duration::from_secs(20), "{request}: {found:?} after {took:?}");
    }
    // With what HAProxy does at 50 ms: its patience is agent-inter.
    let haproxy = HaProxy::start(agent.port, r#"agent-send "web""#);
    haproxy.wait_for("UP", Some("40"));
}

#[test]
fn a_request_that_begins_another_one_waits_and_is_warned_of() {
    let text = "[agent:rw]\nrequest = rw\nchecks = load\n[agent:rwx]\nrequest = rwx\nchecks = load\n";
    let directory = tempfile::tempdir().unwrap();
    let mut command = with_config(agent(), &write(directory.path(), "agent.conf", text));
    command.arg("--check");
    let (status, output) = run(command, SOON);
    assert!(status.success() && output.contains("have the same beginning"), "{output}");
}

#[test]
fn an_override_may_be_in_any_case() {
    let agent = Agent::start(&format!("{FILE}own-admin-state = true\n"));
    for (will, answer) in [
        ("DRAIN #Kernel", "drain up 0% #override: Kernel"),
        ("Up 30%", "ready up 30% #override"),
        ("Maint FOR 3600", "maint down 100% #override"),
    ] {
        agent.override_with(will);
        agent.wait_for(answer);
    }
}

#[test]
fn a_command_that_does_not_exist_is_found_by_the_check() {
    let directory = tempfile::tempdir().unwrap();
    let plain = write(directory.path(), "plain", "#!/bin/sh\n");
    let plain = plain.display();
    for (command, words) in [
        ("/no/such/plugin -w 5".to_owned(), "/no/such/plugin cannot be started: No such file"),
        ("no-such-plugin".to_owned(), "no-such-plugin is not in PATH"),
        (plain.to_string(), "cannot be started: Permission denied"),
        ("sh -c true".to_owned(), "is good"),
    ] {
        let text = format!("[agent:a]\nchecks = command\ncommand = {command}\n");
        let mut check = with_config(agent(), &write(directory.path(), "agent.conf", text));
        check.arg("--check");
        let (status, output) = run(check, SOON);
        assert!(output.contains(words) && status.success() == (words == "is good"), "{output}");
        assert!(status.success() || output.contains("agent.conf:3: [agent:a] command = "), "{output}");
    }
    // What no service uses need not exist.
    let text = "[agent]\nchecks = load\ncommand = /no/such/plugin\n";
    let mut check = with_config(agent(), &write(directory.path(), "agent.conf", text));
    check.arg("--check");
    let (status, output) = run(check, SOON);
    assert!(status.success(), "{output}");
}

#[test]
fn the_lines_of_a_datawave_file_taken_over_word_for_word_are_refused() {
    let file = crate::harness::root().join("tests/data/agent/datawave-naive.conf");
    for check in [true, false] {
        let mut command = with_config(agent(), &file);
        command.args(check.then_some("--check"));
        let (status, output) = run(command, SOON);
        assert_eq!(status.code(), Some(78), "{output}");
        for words in
            ["datawave-naive.conf:4: [agent]", "line of \"check_url\" is indented", "--import-datawave config.yml"]
        {
            assert!(output.contains(words), "{words}: {output}");
        }
    }
    // To the other programs that read this file it is a warning.
    let mut command = with_config(crate::harness::pull(), &file);
    command.arg("--check");
    let (_, output) = run(command, SOON);
    assert!(output.contains("haproxystats-agent would not start"), "{output}");
}

#[test]
fn a_datawave_file_is_imported_and_its_section_runs() {
    let endpoint = Endpoint::start(datawave("ready", 50));
    let directory = tempfile::tempdir().unwrap();
    let port = free_port();
    let text = format!(
        "bind: '127.0.0.1'\nport: {port} # ours\ndw_health_poller:\n  check_url: \"http://127.0.0.1:{}/h\"\n  \
         interval: 0.1\n  connection_usage_reduction: 1.0\n  down_response: down\n",
        endpoint.port
    );
    let import = |text: &str| {
        let mut command = agent();
        command.arg("--import-datawave").arg(write(directory.path(), "config.yml", text));
        run(command, SOON)
    };
    let (status, section) = import(&text);
    assert!(status.success(), "{section}");
    let file = write(directory.path(), "agent.conf", &section);
    let daemon = crate::harness::Daemon::spawn(with_config(agent(), &file));
    wait_until(SOON, "the answer", || {
        crate::harness::listens(port) && crate::harness::agent::ask(port, "").starts_with("ready up 50% #")
    });
    assert!(!daemon.output().contains("WARN"), "{}", daemon.output());

    let (status, output) = import("dw_health_poller:\n  interval: [1]\n");
    assert!(status.code() == Some(78) && output.contains("config.yml: line 2: \"interval\" is neither"), "{output}");
    let (status, output) = import("dw_health_poller:\n  interval: soon\n");
    assert!(status.code() == Some(78) && output.contains("interval = \"soon\": not a number of seconds"), "{output}");
    let mut command = agent();
    command.args(["--import-datawave", "/no/such/config.yml"]);
    let (status, output) = run(command, SOON);
    assert!(status.code() == Some(78) && output.contains("/no/such/config.yml cannot be read"), "{output}");
}

#[test]
fn redirects_are_followed_by_datawave_alone_and_take_no_secrets_elsewhere() {
    let Reply::Http(_, body) = datawave("ready", 50) else { panic!() };
    let good = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let elsewhere = Endpoint::start(Reply::Raw(good.clone().into_bytes()));
    let endpoint = Endpoint::start(Reply::Hang);
    let directory = tempfile::tempdir().unwrap();
    let secret = write(directory.path(), "secret", "joe:geheim\n");
    let to = |location: &str| {
        Reply::Raw(format!("HTTP/1.1 302 Found\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n").into_bytes())
    };
    let agent = Agent::start(&format!(
        "check-url = http://127.0.0.1:{}/a/health\ncheck-timeout = 5\ncredentials-file = {}\n[agent:dw]\nrequest = dw\n\
         [agent:http]\nrequest = http\nchecks = http\n",
        endpoint.port,
        secret.display()
    ));
    endpoint.set(to(&format!("http://127.0.0.1:{}/other", elsewhere.port)));
    wait_until(SOON, "the answer from elsewhere", || agent.ask("dw\n").starts_with("up 65% #"));
    let head = elsewhere.last.lock().unwrap().to_lowercase();
    assert!(head.starts_with("get /other http/1.1") && !head.contains("authorization"), "{head}");
    assert!(head.contains(&format!("host: 127.0.0.1:{}", elsewhere.port)), "{head}");
    assert!(endpoint.last.lock().unwrap().to_lowercase().contains("authorization: basic"));
    wait_until(SOON, "the plain check takes it for an error", || agent.ask("http\n") == "down 100% #status 302\n");
    // Round and round.
    endpoint.set(to("/a/health"));
    wait_until(SOON, "too many", || agent.ask("dw\n") == "down 100% #more than 3 redirects\n");
    endpoint.set(to("ftp://127.0.0.1/"));
    wait_until(SOON, "not HTTP", || agent.ask("dw\n").contains("not HTTP"));
}
