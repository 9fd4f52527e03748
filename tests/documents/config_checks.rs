//! What the check of a configuration finds: one text, one finding.

use haproxystats::config::Program::{self, Agent, Discovery, Process, Pull};
use haproxystats::config::{LogLevel, Retries, Selection, load};
use haproxystats::haproxy::address::Address;
use std::time::Duration;

const GROUPS: &str = "[graphite]\ngroup-namespace = g\ngroup-namespace-double-writes = true\n";

/// Errors and warnings for a text, as they are printed.
fn findings(program: Program, text: &str) -> (Vec<String>, Vec<String>) {
    let report = match load::from_text(program, text, "f") {
        Ok(loaded) => return (Vec::new(), loaded.warnings.iter().map(ToString::to_string).collect()),
        Err(refused) => refused.report,
    };
    let words =
        |problems: &[haproxystats::config::problem::Problem]| problems.iter().map(ToString::to_string).collect();
    assert!(!report.errors.is_empty());
    (words(&report.errors), words(&report.warnings))
}

#[track_caller]
fn warns(program: Program, text: &str, words: &[&str]) {
    let (errors, warnings) = findings(program, text);
    assert_eq!(errors, [""; 0], "{text}");
    assert_eq!(warnings.len(), words.len(), "{text}: {warnings:#?}");
    for word in words {
        assert!(warnings.iter().any(|warning| warning.contains(word)), "{word}\nis not in {warnings:#?}");
    }
}

#[track_caller]
fn refuses(program: Program, text: &str, words: &[&str]) {
    let (errors, _) = findings(program, text);
    assert_eq!(errors.len(), words.len(), "{text}: {errors:#?}");
    for word in words {
        assert!(errors.iter().any(|error| error.contains(word)), "{word}\nis not in {errors:#?}");
    }
}

#[test]
fn names_that_nobody_knows() {
    warns(
        Pull,
        "[pull]\nsocket_dir = /x\nservers = tcp://a:1\n",
        &["f:2: [pull] socket_dir = \"/x\": no program reads this option; did you mean \"socket-dir\"?"],
    );
    warns(
        Process,
        "[Graphite]\nport = 1\n",
        &["f:1: [Graphite]: no program reads this section; did you mean \"graphite\"?"],
    );
    warns(Process, "[process]\nport = 1\n", &["no program reads this option here; it belongs in [graphite]"]);
    warns(
        Process,
        "[DEFAULT]\nlogevel = info\n",
        &["[DEFAULT] logevel = \"info\": no program reads this option; did you mean \"loglevel\"?"],
    );
    warns(Process, "[process]\nfrobnicate = 1\n", &["no program reads this option"]);
}

#[test]
fn names_that_something_refers_to() {
    warns(Process, "[DEFAULT]\nvar = /var\n[paths]\ndata = ${var}/data\n[process]\nsrc-dir = ${paths:data}\n", &[]);
    warns(Process, "[mine]\nport = 2003\nserver = a\n[graphite]\nport = ${mine:port}\n", &[]);
    warns(Process, "[mine]\nport = 2003\n", &["[mine]: no program reads this section"]);
    warns(Process, "[DEFAULT]\nretries = 7\n[graphite]\nport = 300${retries}\n", &[]);
}

#[test]
fn settings_without_effect() {
    warns(Process, "[DEFAULT]\nretries = 5\n", &["[DEFAULT] retries = \"5\": has no effect"]);
    warns(Process, "[DEFAULT]\nretries = 2\ntimeout = 1\ninterval = 2\nloglevel = info\n", &[]);
    warns(Process, "[DEFAULT]\nserver = a\n", &["has no effect here: [graphite] has its own default; set it there"]);
    warns(Process, "[DEFAULT]\nworkers = 3\n", &["has no effect here: [pull], [process] has its own default"]);
    warns(Process, "[graphite]\ntimeout = 3\n", &["has no effect; write connect-timeout and write-timeout"]);
    warns(Process, "[graphite]\ngroup-namespace-double-writes = yes\n", &["has no effect without group-namespace"]);
    warns(
        Process,
        &format!("{GROUPS}[server-groups]\na = b\n"),
        &["[server-groups]: has no effect without aggr-server-metrics"],
    );
    warns(Process, &format!("{GROUPS}[server-groups]\na = b\n[process]\naggr-server-metrics = on\n"), &[]);
}

#[test]
fn pairs_in_doubt() {
    let sockets = "[pull]\nservers = tcp://a:1\n";
    warns(
        Pull,
        &format!("{sockets}pull-timeout = 10\n"),
        &["pull-timeout = \"10\": must be below pull-interval (10 s)"],
    );
    warns(Pull, &format!("{sockets}pull-timeout = 0\n"), &[]);
    warns(Pull, &format!("{sockets}timeout = 3\n"), &["timeout = \"3\": is above pull-timeout"]);
    warns(Pull, "[pull]\nretries = 1\n", &["[pull]: neither socket-dir nor servers is set"]);
    warns(Process, &format!("{sockets}dst-dir = /a\n[process]\nsrc-dir = /b\n"), &["is not dst-dir of [pull] (/a)"]);
    // Each program may have a file of its own.
    warns(Process, "[process]\nsrc-dir = /b\n", &[]);
    warns(Process, "[process]\nsrc-dir = b\n", &["depends on the directory in which the program is started"]);
    warns(Process, "[process]\nserver-metrics = bin bout bin\n", &["\"bin\" is listed more than once"]);
    warns(Process, "[process]\nexclude-backends =\n", &["is empty, so nothing is excluded"]);
    warns(Process, "[graphite]\nbackoff = 0.5\n", &["is below 1"]);
    let few = format!("{sockets}queue-size = 5\n");
    warns(Pull, &few, &["queue-size = \"5\": must be above the 6 snapshots that are waiting for settle of [graphite]"]);
    warns(Pull, &format!("{few}[graphite]\nsettle = 5\n"), &[]);
    warns(Pull, &format!("{few}[graphite]\nacknowledge = kernel\n"), &[]);
}

#[test]
fn an_agent_that_may_say_ready_beside_slots_of_discovery() {
    let slots = "[discovery]\nexporter-address = 127.0.0.1\n[discovery-backend:web]\nbase-name = web\n";
    let words = "own-admin-state = \"true\": lets the agent answer ready, which overrides an operator; write false";
    for program in [Agent, Discovery] {
        let both = format!("[agent]\nown-admin-state = true\n{slots}");
        warns(program, &both, &[words]);
        let services = "[agent:a]\nport = 1\n[agent:b]\nport = 2\nown-admin-state = false\n[agent:c]\nport = 3\n";
        warns(program, &format!("{both}{services}"), &[words]);
        let one = format!("{slots}[agent:a]\nport = 1\nown-admin-state = true\n[agent:b]\nport = 2\n");
        warns(program, &one, &[&format!("[agent:a] {words}")]);
        warns(program, &format!("[agent]\nchecks = load\n{slots}"), &[]);
        warns(program, "[agent]\nown-admin-state = true\n", &[]);
    }
    warns(Process, &format!("[agent]\nown-admin-state = true\n{slots}"), &[]);
}

#[test]
fn pairs_that_cannot_be() {
    refuses(Pull, "[pull]\ndst-dir = /a\ntmp-dst-dir = /a/\n", &["tmp-dst-dir = \"/a/\": is the same as dst-dir"]);
    refuses(Process, "[process]\nsrc-dir = /var/lib/haproxystats/incoming.tmp\n", &["is tmp-dst-dir of [pull]"]);
    refuses(
        Process,
        "[process]\nsrc-dir = /a\n[local-store]\ndir = ${process:src-dir}\n",
        &["is src-dir of [process]"],
    );
}

#[test]
fn groups() {
    warns(
        Process,
        &format!("{GROUPS}[frontend-groups]\nTimeOut = x\na = y\n"),
        &["f:5: [frontend-groups] timeout = \"x\": is not a group"],
    );
    warns(Process, &format!("{GROUPS}[frontend-groups]\n"), &["[frontend-groups]: contains no group"]);
    warns(Process, &format!("{GROUPS}[frontend-groups]\na = ^x\\.y\n"), &["matches a dot"]);
    refuses(
        Process,
        &format!("{GROUPS}[frontend-groups]\na b = x\n"),
        &["a group's name becomes part of paths: ' ' cannot"],
    );
    refuses(Process, &format!("{GROUPS}[frontend-groups]\na = ^x$\n"), &["must be written $$"]);
    refuses(
        Process,
        &format!("{GROUPS}[frontend-groups]\na = (\nb = (?=x)\nc = d\n"),
        &["a = \"(\": not a regular expression (unclosed group)", "look-ahead (?=...) are not supported"],
    );
    let text = format!("{GROUPS}[backend-groups]\nZ = ^z\na = a$$\nm =\n");
    let groups = load::from_text(Process, &text, "f").unwrap().config.groups;
    let names: Vec<&str> = groups.backend.iter().map(|group| group.name.as_str()).collect();
    assert_eq!(names, ["z", "a", "m"], "in the order of the file, in lower case");
    assert!(groups.backend[1].pattern.is_match("banana") && !groups.backend[1].pattern.is_match("an"));
    assert!(groups.frontend.is_empty() && groups.server.is_empty());
}

#[test]
fn advice_for_what_other_languages_have() {
    refuses(Pull, "[pull]\ntimeout = 1 # second\n", &["(a comment must be on its own line)"]);
    refuses(Process, "[graphite]\nserver = \"localhost\"\n", &["(quotes are part of a value; leave them out)"]);
    refuses(Pull, "[pull]\ndst-dir = '/a'\n", &["(quotes are part of a value; leave them out)"]);
    refuses(
        Process,
        "[process]\nsrc-dir = ${paths:base_dir}/in\n",
        &["does not name an option; did you mean \"paths:base-dir\"?"],
    );
    refuses(Process, "[process]\nworkers = ${wrokers2}\nworkers2 = 1\n", &["did you mean \"workers2\"?"]);
    refuses(
        Process,
        "[x]\nn = zero\n[process]\nworkers = ${x:n}\n",
        &[
            "f:4: [process] workers = \"${x:n}\": not a number; write a whole number from 1 to 1024 (its references give \"zero\")",
        ],
    );
    refuses(
        Process,
        "[x]\nn = ${m}\n[process]\nworkers = ${x:n}\n",
        &["refers to [x] n = \"${m}\" at f:2: the reference ${m} does not name an option"],
    );
}

#[test]
fn values_that_cannot_be_right() {
    for (text, words) in [
        ("[graphite]\nserver =\n", "empty"),
        ("[graphite]\nserver = a:2003\n", "set the port in the option port"),
        ("[graphite]\nport = 65536\n", "above 65535"),
        ("[graphite]\nnamespace = a b\n", "cannot be part of a Graphite path"),
        ("[graphite]\nnamespace =\n", "empty"),
        ("[graphite]\ninterval = -1\n", "negative"),
        ("[graphite]\nwrite-timeout = 0\n", "too short"),
        ("[graphite]\ndelay = nan\n", "not a number of seconds"),
        ("[graphite]\ndelay = 1e12\n", "longer than ten years"),
        ("[graphite]\nqueue-size = 0\n", "below 1"),
        ("[graphite]\nqueue-full = forget\n", "write keep or drop-oldest"),
        ("[process]\nworkers = 2000\n", "above 1024"),
        ("[process]\nsrc-dir =\n", "empty"),
        ("[process]\nworker-timeout = 0\n", "too short"),
        ("[process]\ndaemon-metrics = Version\n", "text"),
        ("[pull]\nsocket-dir =\n", "empty"),
    ] {
        refuses(Process, text, &[words]);
    }
    refuses(
        Pull,
        "[pull]\nretries = -2\ntimeout = 0\nqueue-size = 0\n",
        &["retries = \"-2\": below -1", "too short", "below 1"],
    );
    refuses(Pull, "[DEFAULT]\nloglevel = loud\n", &["f:2: [pull] loglevel = \"loud\""]);
}

#[test]
fn values_in_all_their_forms() {
    let text = "[DEFAULT]\nloglevel = WARN\n[pull]\nretries = +3\ntimeout = 1e-1\npull-timeout = 0.5\npull-interval = 1_0\n\
        servers = unix:///a, tcp://[::1]:1\nfsync = On\non-socket-failure = Keep-Rest\n\
        [process]\nloglevel = debug\nfrontend-metrics = stot  bin\nserver-metrics = all\ndaemon-metrics = Unstoppable_Jobs\n\
        [graphite]\nretries = -1\n[local-store]\n";
    for program in [Pull, Process] {
        let config = load::from_text(program, text, "f").unwrap().config;
        assert_eq!(config.pull.loglevel, LogLevel::Warning);
        assert_eq!(config.pull.retries, Retries::Times(3));
        assert_eq!(config.pull.timeout, Duration::from_millis(100));
        assert_eq!(config.pull.pull_timeout, Some(Duration::from_millis(500)));
        assert_eq!(config.pull.pull_interval, Duration::from_secs(10));
        let servers = [Address::Unix("/a".into()), Address::Tcp { host: "::1".to_owned(), port: 1 }];
        assert_eq!(config.pull.servers, servers);
        assert!(config.pull.fsync);
        assert_eq!(config.pull.on_socket_failure, haproxystats::config::OnSocketFailure::KeepRest);
        assert_eq!(config.process.loglevel, LogLevel::Debug);
        let list = |names: &[&str]| Selection::List(names.iter().map(|name| (*name).to_owned()).collect());
        assert_eq!(config.process.frontend_metrics, list(&["stot", "bin"]));
        assert_eq!(config.process.backend_metrics, Selection::Default);
        assert_eq!(config.process.server_metrics, Selection::All);
        assert_eq!(config.process.daemon_metrics, list(&["Unstoppable Jobs"]));
        assert_eq!(config.graphite.retries, Retries::Forever);
        assert_eq!(config.local_store.unwrap().dir, std::path::Path::new("/var/lib/haproxystats/local-store"));
    }
}

#[test]
fn faults_of_the_other_program_are_warnings() {
    warns(Pull, "[pull]\nservers = tcp://a:1\n[graphite]\nport = x\n", &["(haproxystats-process would not start)"]);
    warns(
        Pull,
        "[pull]\nservers = tcp://a:1\n[frontend-groups]\na = (\n",
        &["[frontend-groups]: needs group-namespace", "a = \"(\""],
    );
    warns(Process, "[pull]\nservers = tcp://a:1\nretries = x\n", &["(haproxystats-pull would not start)"]);
    // Both programs check where sockets are, as they always did.
    refuses(
        Process,
        "[pull]\nbuffer-limit = 0\nservers = x\nsocket-dir =\n",
        &["buffer-limit", "servers", "socket-dir"],
    );
    // A level for both is told once.
    let (errors, warnings) = findings(Process, "[DEFAULT]\nloglevel = loud\n");
    assert_eq!((errors.len(), warnings.len()), (1, 0), "{errors:?} {warnings:?}");
}
