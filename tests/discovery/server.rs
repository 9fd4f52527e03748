//! The server as its operator sees it, with a file as the source and a file as the store.

use super::program::{Site, page, wait_for};
use crate::harness::free_port;
use nix::sys::signal::Signal;
use std::time::Duration;

const FILE: &str = "[discovery-server]\nmode = file\nsource-file = @/servers\nhaproxy-backend-server-increase-weight-interval = 1\n\
                    drain-time = 1\nlease-time = 1\nhold-obsolete = 0\n";

fn servers(numbers: impl IntoIterator<Item = u8>) -> String {
    let lines = numbers.into_iter().map(|n| format!("10.0.0.{n} id=i-{n} group=asg-{}\n", n % 2));
    let text: String = lines.collect();
    if text.is_empty() { "[]\n".to_owned() } else { text }
}

#[test]
fn servers_come_grow_drain_and_go_with_one_line_for_each_change() {
    let port = free_port();
    let site = Site::new(&format!("[exporter]\nlisten = 127.0.0.1:{port}\n{FILE}"));
    site.write("servers", &servers([1, 2]));
    let server = site.start("log", &["--server"]);
    wait_for("both are there", || site.slots().starts_with("i-1 i-2 - "));
    wait_for("the weight grows on the page", || {
        // A second each from 1 to 10: any but the first will do, on a machine that lets some of them pass.
        let text = page(port);
        let mut weights = text.lines().filter_map(|line| {
            line.strip_prefix(r#"hsdo_server_weight{id="2",name="i-2",ip="10.0.0.2",asg="asg-0"} "#)?
                .parse::<u16>()
                .ok()
        });
        weights.any(|weight| (2..=10).contains(&weight))
    });
    site.write("servers", &servers([2, 3]));
    wait_for("the one that is gone drains", || site.slots().starts_with("~i-1 i-2 i-3 "));
    assert!(!page(port).contains(r#"name="i-1""#), "who drains has no weight any more");
    wait_for("its slot is free", || site.slots().starts_with("- i-2 i-3 "));
    let text = page(port);
    for line in [
        "haproxystats_discovery_leader 1",
        "haproxystats_discovery_servers 2",
        "haproxystats_discovery_source_instances 2",
        r#"haproxystats_discovery_changes_total{change="added"} 3"#,
        "haproxystats_discovery_source_failures_total 0",
    ] {
        assert!(text.contains(line), "{line} is missing in\n{text}");
    }
    let log = server.stop();
    for words in [
        "added slot=1 server=\"i-1\"",
        "draining slot=1 server=\"i-1\" why=\"the source no longer lists it\"",
        "freed slot=1",
    ] {
        assert_eq!(log.matches(words).count(), 1, "{words} in\n{log}");
    }
    assert!(!site.path("state/lease.json").exists(), "the lease is given back");
}

#[test]
fn an_outage_of_the_source_changes_nothing_and_is_told_once() {
    let site = Site::new(FILE);
    site.write("servers", &servers([1, 2]));
    let server = site.start("log", &["--server"]);
    wait_for("both are there", || site.slots().starts_with("i-1 i-2 - "));
    std::fs::remove_file(site.path("servers")).unwrap();
    wait_for("it tells", || server.log().contains("cannot list the source"));
    std::thread::sleep(Duration::from_millis(1500));
    assert!(site.slots().starts_with("i-1 i-2 - "));
    site.write("servers", &servers([1, 2, 3]));
    wait_for("it goes on", || site.slots().starts_with("i-1 i-2 i-3 "));
    let log = server.stop();
    assert_eq!(log.matches("cannot list the source").count(), 1, "{log}");
    assert_eq!(log.matches("the source answers again").count(), 1, "{log}");
}

#[test]
fn an_empty_listing_empties_no_list() {
    let port = free_port();
    let site = Site::new(&format!("[exporter]\nlisten = 127.0.0.1:{port}\n{FILE}"));
    site.write("servers", &servers([1, 2, 3]));
    let server = site.start("log", &["--server"]);
    wait_for("all are there", || site.slots().starts_with("i-1 i-2 i-3 "));
    site.write("servers", &servers([]));
    wait_for("they are held", || page(port).contains("haproxystats_discovery_held 3"));
    assert!(site.slots().starts_with("i-1 i-2 i-3 "));
    site.write("servers", &servers([1, 2, 3]));
    wait_for("all is well", || page(port).contains("haproxystats_discovery_held 0"));
    assert_eq!(server.stop().matches(" WARN held ").count(), 3);
}

#[test]
fn a_group_that_the_file_does_not_mention_keeps_its_servers() {
    let site = Site::new(
        "[discovery-server]\nmode = file\nsource-file = @/servers\nremoval-confirmations = 1\nhold-obsolete = 0\n\
         removal-hold = 1\nremoval-floor = 0\ndrain-time = 0\n[discovery-backend:main]\nbase-name = m\nasg-names = asg-1\n\
         [discovery-backend:rest]\nbase-name = r\n",
    );
    site.write("servers", &servers([1, 2, 3, 4]));
    let server = site.start("log", &["--server"]);
    wait_for("the list is there", || site.slots().starts_with("i-1 i-2 i-3 i-4 -"));
    // Whole, and misspelt.
    site.write("servers", &servers([1, 2, 3, 4]).replace("asg-1", "asg1"));
    wait_for("it is told", || server.log().contains("group asg-1 could not be listed: no server in "));
    site.write("servers", &servers([2]));
    wait_for("who is not of it leaves", || site.slots().starts_with("i-1 i-2 i-3 - -"));
    let groups = site.list().unwrap().servers().map(|(_, one)| one.group.clone()).collect::<Vec<_>>();
    assert_eq!(groups, ["asg-1", "asg-0", "asg-1"]);
    // In so many words they leave.
    let leaving = servers([1, 3]).replace("group=", "state=leaving group=");
    site.write("servers", &format!("{}{leaving}", servers([2])));
    wait_for("they leave", || site.slots().starts_with("- i-2 - - -"));
    server.stop();
}

#[test]
fn a_full_list_tells_whom_it_has_no_room_for() {
    let port = free_port();
    let site = Site::new(&format!(
        "[discovery]\nhaproxy-backend-servers-list-size = 2\n[exporter]\nlisten = 127.0.0.1:{port}\n{FILE}"
    ));
    site.write("servers", &servers([1, 2, 3]));
    let server = site.start("log", &["--server"]);
    wait_for("it is counted", || page(port).contains("haproxystats_discovery_unplaced 1"));
    assert_eq!(site.slots(), "i-1 i-2");
    assert_eq!(server.stop().matches("unplaced server=\"i-3\" why=\"none of the 2 slots is free\"").count(), 1);
}

#[test]
fn of_two_servers_one_keeps_the_list_and_the_other_takes_over_when_it_is_killed() {
    let site = Site::new(FILE);
    site.write("servers", &servers([1]));
    let mut one = site.start("one", &["--server"]);
    wait_for("one has the lease", || one.log().contains("this server holds the lease"));
    let two = site.start("two", &["--server"]);
    wait_for("two stands by", || two.log().contains("another server holds the lease"));
    one.signal(Signal::SIGKILL);
    one.child.wait().unwrap();
    site.write("servers", &servers([1, 2]));
    wait_for("two keeps the list", || site.slots().starts_with("i-1 i-2 "));
    assert!(two.log().contains("this server holds the lease"));
    // One that ends in order gives the lease back: the next has it at once.
    let three = site.start("three", &["--server"]);
    wait_for("three stands by", || three.log().contains("another server holds the lease"));
    two.stop();
    wait_for("three keeps the list", || three.log().contains("this server holds the lease"));
    assert!(!three.log().contains("added"), "nothing changes by that: {}", three.log());
}

#[test]
fn a_restart_keeps_slots_and_ramps() {
    let site = Site::new(FILE);
    site.write("servers", &servers([1, 2]));
    site.good(&["--server", "--once"]);
    let before = site.list().unwrap();
    site.good(&["--server", "--once"]);
    let after = site.list().unwrap();
    let since = |list: &haproxystats::discovery::document::Document| {
        list.servers().map(|(id, s)| (id, s.instance.clone(), s.since)).collect::<Vec<_>>()
    };
    assert_eq!(since(&before), since(&after));
}

#[test]
fn a_store_that_was_emptied_is_filled_again_also_without_the_source() {
    let site = Site::new(FILE);
    site.write("servers", &servers([1, 2]));
    let server = site.start("log", &["--server"]);
    wait_for("both are there", || site.slots().starts_with("i-1 i-2 - "));
    std::fs::remove_file(site.path("servers")).unwrap();
    wait_for("the outage is known", || server.log().contains("cannot list the source"));
    std::fs::remove_file(site.path("state/list.json")).unwrap();
    wait_for("the list is back", || site.slots().starts_with("i-1 i-2 - "));
    server.stop();
}

#[test]
fn a_dry_run_prints_reasons_and_changes_nothing() {
    let site = Site::new(FILE);
    site.write("servers", &servers([1, 2]));
    let plan = site.good(&["--server", "--dry-run"]);
    assert_eq!(
        plan,
        "slot 1: i-1 added: 10.0.0.1 of group asg-1 is healthy and in service\n\
         slot 2: i-2 added: 10.0.0.2 of group asg-0 is healthy and in service\n  \
           1 i-1 10.0.0.1 group asg-1 weight 1 active\n  2 i-2 10.0.0.2 group asg-0 weight 1 active\n"
    );
    assert!(
        site.list().is_none() && !site.path("state/lease.json").exists() && !site.path("state/listing.json").exists()
    );
    site.good(&["--server", "--once"]);
    assert!(site.good(&["--server", "--dry-run"]).starts_with("nothing changes\n"));
}

#[test]
fn failures_of_one_round_have_an_exit_code() {
    let site = Site::new(FILE);
    let output = site.run(&["--server", "--once"]);
    assert_eq!(output.status.code(), Some(1), "no source");
    site.write("servers", &servers([1]));
    let server = site.start("log", &["--server"]);
    wait_for("it has the lease", || server.log().contains("this server holds the lease"));
    let output = site.run(&["--server", "--once"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).contains("has the lease"));
    server.stop();
}

#[test]
fn neither_server_nor_client_is_a_usage_error() {
    let site = Site::new(FILE);
    for arguments in [&[][..], &["--debug"], &["--server", "--nonsense"], &["--server", "--once", "--dry-run"]] {
        let output = site.run(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("Usage:"), "{arguments:?}");
    }
}

#[test]
fn numbers_and_switches_of_the_environment_are_read_as_such() {
    let port = free_port();
    let mut site = Site::new(&FILE.replace("mode = file\n", ""));
    site.write("servers", &servers([1, 2]));
    let variables = [
        ("SERVER_MODE", "file".to_owned()),
        ("INTERVAL", "0.1".to_owned()),
        ("HAPROXY_BACKEND_SERVERS_LIST_SIZE", "3".to_owned()),
        ("EXPORTER_PORT", port.to_string()),
        ("DEBUG", "true".to_owned()),
        ("SERVER_HAPROXY_BACKEND_SERVER_MIN_WEIGHT", "5".to_owned()),
        ("SERVER_HAPROXY_BACKEND_SERVER_MAX_WEIGHT", "256".to_owned()),
        ("SERVER_HAPROXY_BACKEND_SERVER_INCREASE_WEIGHT", "100".to_owned()),
        ("SERVER_HAPROXY_BACKEND_SERVER_INCREASE_WEIGHT_INTERVAL", "3600".to_owned()),
        ("CLIENT_HAPROXY_BACKEND_LIST", String::new()),
    ];
    site.environment = variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let server = site.start("log", &["--server"]);
    wait_for("the page says the weight", || page(port).contains(r#"name="i-1",ip="10.0.0.1",asg="asg-1"} 5"#));
    assert_eq!(site.slots(), "i-1 i-2 -");
    server.stop();
    for (name, value) in [
        ("INTERVAL", "soon"),
        ("HAPROXY_BACKEND_SERVERS_LIST_SIZE", "ten"),
        ("EXPORTER_PORT", "99999"),
        ("DEBUG", "maybe"),
    ] {
        site.environment.push((name.to_owned(), value.to_owned()));
        let output = site.run(&["--server", "--check"]);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(78), "{name}: {text}");
        assert!(text.contains(&format!("environment variable {name}: ")) && text.contains(value), "{text}");
        site.environment.pop();
    }
}

#[test]
fn what_server_and_client_need_is_asked_for_at_the_start() {
    let site = Site::new("");
    let output = site.run(&["--server"]);
    assert_eq!(output.status.code(), Some(78));
    assert!(String::from_utf8_lossy(&output.stderr).contains("[discovery-server] mode: is not set"));
    let output = site.run(&["--client"]);
    assert_eq!(output.status.code(), Some(78));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no backend is set"));
}

#[test]
fn a_state_directory_that_cannot_be_written_is_told_and_ends_nothing() {
    let site = Site::new(FILE);
    site.write("servers", &servers([1]));
    let server = site.start("log", &["--server"]);
    wait_for("the list is there", || site.slots().starts_with("i-1 "));
    // A directory in place of the temporary file: it cannot be written by any user.
    std::fs::create_dir(site.path("state/list.json.new")).unwrap();
    site.write("servers", &servers([1, 2]));
    wait_for("it tells", || server.log().contains("the store failed"));
    assert!(site.slots().starts_with("i-1 - "));
    std::fs::remove_dir(site.path("state/list.json.new")).unwrap();
    wait_for("it goes on", || site.slots().starts_with("i-1 i-2 "));
    server.stop();
}
