//! Man pages (contrib/man) and completions (contrib/completions) are made from the help texts of the programs and from
//! the table of options; `HAPROXYSTATS_ACCEPT=1 cargo test --test documents manual` rewrites them. The real man, mandoc, bash,
//! zsh and fish say whether they work.

mod completion;
mod prose;
mod roff;
mod shells;
mod usage;

use crate::harness::made::is_made;
use crate::harness::{peer, root};
use haproxystats::config::options;
use prose::PAGES;
use std::path::PathBuf;
use std::process::Command;
use usage::Usage;

/// The programs that this build makes.
const PROGRAMS: [(&str, Option<&str>); 5] = [
    ("haproxystats-pull", Some(env!("CARGO_BIN_EXE_haproxystats-pull"))),
    ("haproxystats-process", option_env!("CARGO_BIN_EXE_haproxystats-process")),
    ("haproxystats-agent", option_env!("CARGO_BIN_EXE_haproxystats-agent")),
    ("haproxystats-discovery", option_env!("CARGO_BIN_EXE_haproxystats-discovery")),
    ("haproxystats-top", option_env!("CARGO_BIN_EXE_haproxystats-top")),
];

fn usages() -> Vec<Usage> {
    PROGRAMS.iter().filter_map(|(name, executable)| Some(Usage::of(name, (*executable)?))).collect()
}

fn contrib(path: &str) -> PathBuf {
    root().join("contrib").join(path)
}

/// Path below contrib, and content.
fn files() -> Vec<(String, String)> {
    let usages = usages();
    let names: Vec<String> = usages.iter().map(|usage| usage.program.clone()).collect();
    let mut files = vec![("man/haproxystats.conf.5".to_owned(), roff::configuration(&names))];
    for usage in &usages {
        let name = &usage.program;
        let prose = PAGES.iter().find(|prose| prose.program == name).expect("words about every program");
        files.push((format!("man/{name}.8"), roff::program(usage, prose, &names)));
        files.push((format!("completions/bash/{name}"), completion::bash(usage)));
        files.push((format!("completions/zsh/_{name}"), completion::zsh(usage)));
        files.push((format!("completions/fish/{name}.fish"), completion::fish(usage)));
    }
    files
}

#[test]
fn pages_and_completions_are_what_the_programs_say() {
    for (path, content) in files() {
        is_made(&format!("contrib/{path}"), &content);
    }
}

#[test]
fn rules_of_latency_are_what_the_program_prints() {
    let output = crate::harness::pull().arg("--latency-rules").output().unwrap();
    assert!(output.status.success());
    is_made("contrib/haproxy/latency.cfg", &String::from_utf8(output.stdout).unwrap());
}

#[test]
fn man_and_mandoc_find_no_fault_in_the_pages() {
    for (path, content) in files().iter().filter(|(path, _)| path.starts_with("man/")) {
        let file = contrib(path);
        if let Some(mandoc) = peer("mandoc") {
            let output = Command::new(mandoc).args(["-Tlint", "-Wwarning"]).arg(&file).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        }
        let Some(man) = peer("man") else { return };
        let mut command = Command::new(man);
        command.args(["--warnings=w", "-l"]).arg(&file).env("MANWIDTH", "80").env("LC_ALL", "C.UTF-8");
        let output = command.output().unwrap();
        let complaints = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && complaints.is_empty(), "{path}: {complaints}");
        let shown = String::from_utf8_lossy(&output.stdout);
        assert!(shown.contains("NAME") && shown.contains("SEE ALSO"), "{path}: {shown}");
        // What an operator copies from the page must be what the program understands.
        if path.ends_with(".8") {
            assert!(shown.contains("--print-conf"), "{path}: {shown}");
        } else {
            let missing = options::all().filter(|spec| spec.name != "*" && !shown.contains(spec.name));
            let missing: Vec<_> = missing.map(|spec| spec.name).collect();
            assert!(missing.is_empty(), "{missing:?} of {}", content.len());
        }
    }
}
