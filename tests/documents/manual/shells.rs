//! The completions in the shells themselves.

use super::usage::{Complete, Usage};
use super::{contrib, usages};
use crate::harness::peer;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// Runs a shell and returns what it printed.
fn shell(program: &Path, arguments: &[&str], directory: &Path) -> String {
    let mut command = Command::new("timeout");
    command.arg("60").arg(program).args(arguments).current_dir(directory).env("LC_ALL", "C.UTF-8");
    // Nothing of the user who runs the tests.
    command.env("HOME", directory).env("ZDOTDIR", directory).env("TERM", "dumb").env("COLUMNS", "200");
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{arguments:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

/// A directory with one file and one directory, for completions of paths.
fn place() -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    std::fs::write(place.path().join("some.conf"), "").unwrap();
    std::fs::create_dir(place.path().join("some.d")).unwrap();
    place
}

/// Every option, in its long form.
fn longs(usage: &Usage) -> BTreeSet<String> {
    usage.options.iter().map(|option| format!("--{}", option.long)).collect()
}

/// What is offered behind each option that takes a value, for the first letters of the names in [`place`].
fn expected(complete: Complete) -> &'static [&'static str] {
    match complete {
        Complete::Nothing => &[],
        Complete::Files => &["some.conf", "some.d"],
        Complete::Directories => &["some.d"],
    }
}

#[test]
fn bash_completes_options_and_paths() {
    let Some(bash) = peer("bash") else { return };
    let place = place();
    for usage in usages() {
        let file = contrib("completions/bash").join(&usage.program);
        let complete = |words: &[&str]| -> BTreeSet<String> {
            let words: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
            let script = format!(
                "source {} && COMP_WORDS=({program} {}) COMP_CWORD={} && \
                 read -ra rule <<<\"$(complete -p {program})\" && ${{rule[2]}} && printf '%s\\n' \"${{COMPREPLY[@]}}\"",
                file.display(),
                words.join(" "),
                words.len(),
                program = usage.program
            );
            let text = shell(&bash, &["--noprofile", "--norc", "-c", &script], place.path());
            text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
        };
        assert_eq!(complete(&["--"]), longs(&usage), "{}", usage.program);
        for option in usage.options.iter().filter(|option| option.value.is_some()) {
            let wanted: BTreeSet<String> = expected(option.complete()).iter().map(|name| (*name).to_owned()).collect();
            let long = format!("--{}", option.long);
            assert_eq!(complete(&[&long, "som"]), wanted, "{} {long}", usage.program);
            assert_eq!(complete(&[&long, "=", "som"]), wanted, "{} {long}=", usage.program);
        }
    }
}

#[test]
fn fish_completes_options_and_paths() {
    let Some(fish) = peer("fish") else { return };
    let place = place();
    for usage in usages() {
        let file = contrib("completions/fish").join(format!("{}.fish", usage.program));
        let complete = |line: &str| -> BTreeSet<String> {
            let script = format!("source {}; complete -C '{} {line}'", file.display(), usage.program);
            let text = shell(&fish, &["--no-config", "-c", &script], place.path());
            let names = text.lines().filter_map(|line| line.split('\t').next());
            names.map(|name| name.trim_end_matches('/').to_owned()).collect()
        };
        let offered = complete("--");
        assert_eq!(offered, longs(&usage), "{}", usage.program);
        for option in usage.options.iter().filter(|option| option.value.is_some()) {
            let wanted: BTreeSet<String> = expected(option.complete()).iter().map(|name| (*name).to_owned()).collect();
            assert_eq!(complete(&format!("--{} som", option.long)), wanted, "{} --{}", usage.program, option.long);
        }
    }
}

#[test]
fn zsh_completes_options_and_paths() {
    let Some(zsh) = peer("zsh") else { return };
    let place = place();
    // An interactive zsh in a terminal of its own, which is asked by the Tab key. What it lists ends with the marker
    // of the next command.
    let script = "zmodload zsh/zpty; zpty child zsh -f -i; \
         zpty -w child \"PS1= RPS1= ; unsetopt zle_bracketed_paste; fpath=($1 \\$fpath); autoload -Uz compinit; compinit -u -D; \
         LISTMAX=1000; setopt no_beep list_rows_first; print re'ady'\"; \
         zpty -r -m child seen '*ready*'; zpty -n -w child \"$2\"$'\\t'; sleep 0.3; zpty -w child $'\\C-u'\"print do'ne'\"; \
         zpty -r -m child seen '*done*'; print -r -- \"$seen\"";
    for usage in usages() {
        let directory = contrib("completions/zsh");
        let complete = |line: &str| {
            let line = format!("{} {line}", usage.program);
            shell(&zsh, &["-f", "-c", script, "zsh", directory.to_str().unwrap(), &line], place.path())
        };
        let offered = complete("--");
        for long in longs(&usage) {
            assert!(offered.contains(&long), "{} {long}: {offered}", usage.program);
        }
        for option in usage.options.iter().filter(|option| option.complete() == Complete::Directories) {
            let offered = complete(&format!("--{} som", option.long));
            assert!(offered.contains("some.d") && !offered.contains("some.conf"), "{offered}");
        }
    }
}
