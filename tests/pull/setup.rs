//! `haproxystats-pull --setup` with real HAProxy: what it prints works, and what it says is missing is taken by HAProxy.

use crate::harness::newer::own_haproxy;
use crate::harness::{self, Daemon, SOON, free_port, names, poll, pull, with_config, write};
use std::path::Path;
use std::process::Command;

/// What it prints of files and directories.
#[track_caller]
fn setup(words: &[&Path]) -> String {
    let mut command = pull();
    command.arg("--setup").args(words).env("ADMIN_NAME", "admin.sock");
    let (status, output) = harness::run(command, SOON);
    assert!(status.success(), "{output}");
    output
}

fn haproxy(words: &[&str], files: &[&Path]) -> Command {
    let mut command = own_haproxy().command();
    command.args(words).env("ADMIN_NAME", "admin.sock");
    for file in files {
        command.arg("-f").arg(file);
    }
    command
}

const DEFAULTS: &str = "defaults\n\tmode http\n\ttimeout connect 1s\n\ttimeout client 1s\n\ttimeout server 1s\n";

#[test]
fn what_is_printed_pulls_the_haproxy_that_was_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let parts = path.join("conf.d");
    std::fs::create_dir(&parts).unwrap();
    let port = free_port();
    let global = format!(
        "global\n\tsetenv RUN {run}\n\tstats socket \"${{RUN}}/${{ADMIN_NAME}}\" mode 600 level admin\n\
         \tstats socket {run}/user.sock mode 666 level user # for statistics\n{DEFAULTS}",
        run = path.display()
    );
    let main = write(path, "haproxy.cfg", global);
    write(&parts, "10-web.cfg", format!("frontend www\n\tbind 127.0.0.1:{port}\n\tdefault_backend app\n"));
    write(&parts, "20-app.cfg", "backend app\n\tserver one 127.0.0.1:9\n");
    write(&parts, "30-off.cfg.disabled", "this is no configuration\n");
    let printed = setup(&[&main, &parts]);
    assert!(printed.contains(&format!("servers = unix://{}/user.sock\n", path.display())), "{printed}");
    assert!(
        printed.contains("20-app.cfg") && !printed.contains("30-off") && !printed.contains("admin.sock\n"),
        "{printed}"
    );
    assert!(!printed.contains("What HAProxy lacks") && printed.contains("\nstatus-metrics = true\n"), "{printed}");

    let mut balancer = Daemon::spawn(haproxy(&["-db"], &[&main, &parts]));
    assert!(poll(SOON, || path.join("user.sock").exists().then_some(())).is_some(), "{}", balancer.output());
    let own = format!("\n[pull]\npull-interval = 1\ndst-dir = {d}/in\ntmp-dst-dir = {d}/tmp\n", d = path.display());
    let further = path.join("d");
    std::fs::create_dir(&further).unwrap();
    write(&further, "own.conf", own);
    let mut command = with_config(pull(), &write(path, "haproxystats.conf", &printed));
    let mut daemon = Daemon::spawn({
        command.arg("-d").arg(&further);
        command
    });
    let snapshot = poll(SOON, || names(&path.join("in")).into_iter().find(|name| name.starts_with('1')));
    let snapshot = snapshot.unwrap_or_else(|| panic!("nothing was pulled:\n{}", daemon.output()));
    let stat = std::fs::read_to_string(path.join("in").join(snapshot).join("user.sock_stat")).unwrap();
    assert!(stat.contains("\napp,one,"), "{stat}");
    daemon.stop(SOON);
    assert!(balancer.is_running());
    // Of a HAProxy that runs, the environment is known.
    let mut command = pull();
    command.arg("--setup").arg(&main).env_remove("ADMIN_NAME");
    let (_, printed) = harness::run(command, SOON);
    assert!(printed.contains("user.sock") && !printed.contains("ADMIN_NAME is not set"), "{printed}");
}

#[test]
fn what_haproxy_lacks_is_printed_with_the_reason_and_haproxy_takes_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let text = format!("global\n\tmaster-worker\n{DEFAULTS}backend app\n\tserver one 127.0.0.1:9\n");
    let main = write(path, "haproxy.cfg", &text);
    let printed = setup(&[&main]);
    let line = printed.lines().find_map(|line| line.strip_prefix("#     stats socket ")).unwrap();
    assert!(
        printed.contains("# There is no stats socket")
            && printed.contains(
                "#     -S /run/haproxy-master.sock,mode,660,group,haproxystats\n# There is no socket of the master:"
            ),
        "{printed}"
    );
    assert_eq!(std::fs::read_to_string(&main).unwrap(), text, "nothing is changed");
    // As it stands there, but for the directory and the group, which this machine may lack.
    let line = line.replace("/run/haproxy/", &format!("{}/", path.display())).replace("group haproxy ", "");
    let main = write(path, "haproxy.cfg", text.replace("global\n", &format!("global\n\tstats socket {line}\n")));
    let (status, output) = harness::run(haproxy(&["-c"], &[&main]), SOON);
    assert!(status.success(), "{output}");
    assert!(!setup(&[&main]).contains("There is no stats socket"));
    // A socket of which nobody else may make use, one that is open to all, a variable that is not set.
    let text = format!(
        "global\n\tstats socket /run/x.sock mode 600 user lb\n\tstats socket *:9999 process 2\n\tstats socket \"${{NOT_THERE}}\"\n\
         \tstats socket {}/group.sock mode 660 process 3\n\tgroup lb\n",
        path.display()
    );
    let printed = setup(&[&write(path, "open.cfg", text)]);
    for words in [
        "#     stats socket /run/x.sock user lb mode 660 group lb\n# Only its owner may connect",
        "*:9999 is open to every host",
        "$NOT_THERE is not set here",
        "/group.sock process 3 mode 660 group lb\n# Without a group, it belongs to the group of the user who starts",
        "usermod -a -G lb haproxystats",
    ] {
        assert!(printed.contains(words), "{words}: {printed}");
    }
}

#[test]
fn a_master_that_only_root_may_ask_is_not_configured_but_what_it_lacks_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let user = format!("stats socket {}/user.sock mode 666 level user", path.display());
    let main =
        write(path, "haproxy.cfg", format!("global\n\t{user}\n{DEFAULTS}backend app\n\tserver one 127.0.0.1:9\n"));
    let master = path.join("master.sock");
    let printed_with = |options: &str| {
        let mut command = haproxy(&["-W", "-S"], &[]);
        command.arg(format!("{}{options}", master.display())).arg("-f").arg(&main);
        let balancer = Daemon::spawn(command);
        assert!(poll(SOON, || path.join("user.sock").exists().then_some(())).is_some(), "{}", balancer.output());
        setup(&[&main])
    };
    let line = format!("master-sockets = unix://{}\n", master.display());
    let advice =
        format!("#     -S {},mode,660,group,haproxystats\n# Only its owner may connect (-S ", master.display());
    for shut in ["", ",mode,600"] {
        let printed = printed_with(shut);
        assert!(printed.contains(&format!("\n#{line}")) && printed.contains(&advice), "{printed}");
    }
    for open in [",mode,666", ",mode,660,gid,0"] {
        let printed = printed_with(open);
        assert!(printed.contains(&format!("\n{line}")) && !printed.contains("What HAProxy lacks"), "{printed}");
    }
}

#[test]
fn a_file_that_does_not_exist_is_an_error_unless_nobody_named_it() {
    let run = |words: &[&str]| {
        let mut command = pull();
        command.args(words);
        harness::run(command, SOON)
    };
    let (status, output) = run(&["--setup", "/nonexistent/haproxy.cfg"]);
    assert!(status.code() == Some(66) && output.contains("cannot read /nonexistent/haproxy.cfg"), "{output}");
    for words in
        [&["--check", "-f", "/nonexistent.conf"][..], &["-f", "/nonexistent.conf"], &["-P", "-f", "/nonexistent.conf"]]
    {
        let (status, output) = run(words);
        assert_eq!(status.code(), Some(78), "{words:?}: {output}");
        assert!(output.contains("error: /nonexistent.conf cannot be read: No such file or directory"), "{output}");
    }
    let directory = tempfile::tempdir().unwrap();
    let file = write(directory.path(), "x.conf", "[pull]\nservers = unix:///x\npull-timout = 1\n");
    for (strict, code) in [(false, 0), (true, 78)] {
        let mut command = with_config(pull(), &file);
        command.arg("--check").args(strict.then_some("--strict"));
        let (status, output) = harness::run(command, SOON);
        assert_eq!(status.code(), Some(code), "{output}");
        assert!(output.contains("pull-timout"), "{output}");
        assert_eq!(output.contains("and --strict is set"), strict, "{output}");
    }
}

#[test]
fn a_socket_that_does_not_answer_fails_the_check_that_asks() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let text = format!(
        "global\n\tstats socket {}/one.sock mode 600 level user\n{DEFAULTS}backend app\n\tserver one 127.0.0.1:9\n",
        path.display()
    );
    let main = write(path, "haproxy.cfg", text);
    let mut command = haproxy(&["-W", "-S"], &[]);
    command.arg(path.join("master.sock")).arg("-f").arg(&main);
    let balancer = Daemon::spawn(command);
    let there = || path.join("one.sock").exists() && path.join("master.sock").exists();
    assert!(poll(SOON, || there().then_some(())).is_some(), "{}", balancer.output());
    let ask = |servers: &[&str], more: &str| {
        let servers: Vec<String> = servers.iter().map(|name| format!("unix://{}/{name}", path.display())).collect();
        let text = format!(
            "[pull]\nservers = {}\nmaster-sockets = unix://{}/master.sock\n{more}",
            servers.join(","),
            path.display()
        );
        let mut command = with_config(pull(), &write(path, "ask.conf", text));
        command.args(["--check", "--ask"]);
        harness::run(command, SOON)
    };
    let (status, output) = ask(&["one.sock"], "");
    assert_eq!(status.code(), Some(0), "{output}");
    for words in ["one.sock", "show info; show stat", "answered: HAProxy ", "show proc", "answered: 0 leaving"] {
        assert!(output.contains(words), "{words}: {output}");
    }
    // What is not wanted may be missing, what is wanted may not.
    assert!(output.contains("insufficient level"), "{output}");
    let (status, output) = ask(&["one.sock"], "families = certificates activity\n");
    assert_eq!(status.code(), Some(1), "{output}");
    let (status, output) = ask(&["one.sock", "gone.sock"], "");
    assert_eq!(status.code(), Some(1), "{output}");
    assert!(output.contains("failed: cannot connect") && output.contains("No such file"), "{output}");
}

/// A `systemctl` that knows one unit, first in the path.
fn with_unit(directory: &Path, user: &str, file: &Path) -> String {
    use std::os::unix::fs::PermissionsExt;
    let start =
        format!("{{ path=/usr/bin/haproxystats-pull ; argv[]=/usr/bin/haproxystats-pull -f {} ; }}", file.display());
    let script =
        format!("#!/bin/sh\necho 'User={user}'\necho 'SupplementaryGroups=haproxy'\necho 'ExecStart={start}'\n");
    let path = write(directory, "systemctl", script);
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
    format!("{}:{}", directory.display(), std::env::var("PATH").unwrap())
}

#[test]
fn a_check_by_root_says_whose_rights_were_not_checked() {
    if !nix::unistd::Uid::effective().is_root() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let text = format!("[pull]\nsocket-dir = {0}\ndst-dir = {0}/in\ntmp-dst-dir = {0}/tmp\n", path.display());
    let config = write(path, "haproxystats.conf", text);
    let check = |words: &[&str], user: &str, file: &Path| {
        let mut command = with_config(pull(), &config);
        command.args(words).env("PATH", with_unit(path, user, file));
        let (status, output) = harness::run(command, SOON);
        assert!(status.success(), "{output}");
        output
    };
    for words in [&["--check"][..], &["--check", "--ask"]] {
        let output = check(words, "stats", &config);
        let words = words.join(" ");
        let command =
            format!("runuser -u stats -g stats -G haproxy -- haproxystats-pull {words} -f {}", config.display());
        assert!(output.contains(&command), "{output}");
    }
    // Another file is not the unit's, and root has root's rights.
    for (user, file) in [("stats", Path::new("/etc/haproxystats.conf")), ("root", &config), ("", &config)] {
        let output = check(&["--check"], user, file);
        assert!(!output.contains("rights"), "{output}");
    }
}
