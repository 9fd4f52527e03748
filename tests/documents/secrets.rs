//! Secrets are never printed, and who writes one into the configuration is told where it belongs; what -P prints can be read
//! again; values without an effect are told.

use crate::harness::{self, SOON, agent, discovery, process, pull, with_config, write};
use std::process::Command;

const SECRET: &str = "geheim";

/// All that a program prints with a configuration.
fn output(program: Command, text: &str, words: &[&str]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let mut command = with_config(program, &write(directory.path(), "haproxystats.conf", text));
    command.args(words);
    harness::run(command, SOON).1
}

#[test]
fn no_secret_is_printed_by_anybody() {
    let text = "[paths]\nkafka-password = geheim\n\
        [kafka]\nsasl-password = geheim\nlibrdkafka.sasl.password = geheim\nlibrdkafka.client.rack = ${paths:kafka-password}\n\
        brokers = http://me:geheim@x\n\
        [agent]\ncheck-url = ftp://me:geheim@host/\ncredentials = me:geheim\n\
        [discovery]\nstore = consul\nstore-url = ftp://me:geheim@host/\nstore_token = geheim\n";
    for words in [&["--check"][..], &["-P"], &[], &["--status"]] {
        for program in [pull(), process(), agent(), discovery()] {
            let name = format!("{:?} {words:?}", program.get_program());
            let discovers = name.contains("discovery") && words.is_empty();
            // pull may well start with it.
            if words.is_empty() && !name.contains("process") && !name.contains("agent") && !discovers {
                continue;
            }
            let words: Vec<&str> = words.iter().copied().chain(discovers.then_some("--server")).collect();
            let found = output(program, text, &words);
            assert!(!found.contains(SECRET), "{name}: {found}");
        }
    }
    let found = output(process(), text, &["--check"]);
    assert!(
        found.contains("[kafka] sasl-password = \"***\": no program reads this option: secrets are read from files"),
        "{found}"
    );
    assert!(found.contains("set sasl-password-file to its path"), "{found}");
    assert!(found.contains("http://me:***@x"), "{found}");
    let found = output(agent(), text, &["--check"]);
    assert!(found.contains("credentials-file") && found.contains("ftp://me:***@host/"), "{found}");
    let found = output(process(), &text.replace("librdkafka.sasl.password = geheim\n", ""), &["-P"]);
    assert!(found.contains("sasl-password = ***\n") && found.contains("client.rack = ***\n"), "{found}");
}

#[test]
fn what_is_printed_can_be_read_again() {
    let text = "[paths]\nprice = 5$$\n[process]\nfrontend-metrics =\n  scur\n\n  stot\n[frontend-groups]\na = ^x$$\n\
        [graphite]\ngroup-namespace = g\ngroup-namespace-double-writes = true\n[hosts]\nlb =\n  5556 = one\n  5557 = two\n";
    for words in [&["-P"][..], &["-p"]] {
        let first = output(process(), text, words);
        assert!(words == ["-p"] || first.contains("a = ^x$$\n") && first.contains("\n\t5557 = two\n"), "{first}");
        assert_eq!(output(process(), &first, words), first);
        let check = output(process(), &first, &["--check"]);
        assert!(!check.contains("error: haproxystats") && !check.contains("neither a [section]"), "{check}");
    }
}

#[test]
fn a_check_names_every_file_with_a_secret_that_is_missing() {
    let text = "[process]\nsrc-dir = /\n[kafka]\nsasl-mechanism = PLAIN\nsasl-username = me\n\
        sasl-password-file = /nonexistent/password\n\
        [remote-write]\nurl = https://127.0.0.1:9/\nbearer-token-file = credential:none-of-this-name\n";
    let found = output(process(), text, &["--check"]);
    for words in [
        "error: [kafka]: sasl-password-file: cannot read /nonexistent/password: No such file",
        "[remote-write]: /run/credentials/none-of-this-name cannot be read (credentials exist only while",
        "files or directories cannot be used, 2 errors",
    ] {
        assert!(found.contains(words), "{words}: {found}");
    }
}

#[test]
fn values_without_an_effect_are_told() {
    let text = "[graphite]\nserver = a\nservers = b:2003\nmode = hash\ntls-ca-file = /x\ntls-verify = false\n\
        connection-lifetime = 60\n[pull]\nforget-after = 60\nsocket-dir = /nonexistent\n[exporter]\ntoken-file = /x\n\
        [discovery]\nstore = consul\ntls-ca-file = /x\n";
    let found = output(process(), text, &["--check"]);
    for (option, words) in [
        ("[graphite] server", "has no effect, since servers is set"),
        ("[graphite] mode", "has no effect with a single server"),
        ("[graphite] tls-ca-file", "has no effect without tls = true"),
        ("[graphite] tls-verify", "has no effect without tls = true"),
        ("[graphite] connection-lifetime", "has no effect without acknowledge = kernel"),
        ("[pull] forget-after", "has no effect without continuous-counters"),
        ("[exporter] token-file", "has no effect without listen"),
        ("[discovery] tls-ca-file", "has no effect: no URL of Consul or etcd begins with https"),
    ] {
        let line = found.lines().find(|line| line.contains(&format!("{option} = ")));
        assert!(line.is_some_and(|line| line.contains(words) && line.starts_with("warning: ")), "{option}: {found}");
    }
    let open = "[discovery-server]\nmode = file\nsource-file = /x\n";
    let found = output(discovery(), open, &["--server", "--check"]);
    assert!(found.contains("[discovery] exporter-address: is not set: as with HSDO"), "{found}");
    let closed = format!("[discovery]\nexporter-address = 0.0.0.0\n{open}");
    assert!(!output(discovery(), &closed, &["--server", "--check"]).contains("as with HSDO"));
}
