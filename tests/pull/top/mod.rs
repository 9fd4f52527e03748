//! haproxystats-top from outside: with real HAProxy, with snapshots, and on a terminal.

mod certificates;
mod documents;
mod replay;
mod screen;

use crate::harness::{self, SOON, top, with_config, write};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// A configuration file of these lines of `[pull]`.
fn configuration(directory: &Path, lines: &str) -> PathBuf {
    write(directory, "haproxystats.conf", format!("[pull]\n{lines}\n"))
}

/// Exit code and output of the program with these words.
#[track_caller]
fn run(file: &Path, words: &[&str]) -> (Option<i32>, String) {
    let mut command = with_config(top(), file);
    command.args(words);
    let (status, output) = harness::run(command, SOON);
    (status.code(), output)
}

/// The documents that it prints with these words.
#[track_caller]
fn documents(file: &Path, words: &[&str]) -> Vec<Value> {
    let (code, output) = run(file, &[&["--json"], words].concat());
    assert_eq!(code, Some(0), "{output}");
    output.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// The frontend, backend or server of this name in a list of a document.
#[track_caller]
fn item<'a>(document: &'a Value, list: &str, proxy: &str, server: Option<&str>) -> &'a Value {
    let items = document[list].as_array().unwrap();
    let found = items.iter().find(|item| item["proxy"] == proxy && item["server"].as_str() == server);
    found.unwrap_or_else(|| panic!("{list} has no {proxy}/{server:?}: {document}"))
}
