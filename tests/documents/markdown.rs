//! The documents, as far as a program can check them.

use crate::harness::root;
use haproxystats::config::options;
use std::fs;
use std::path::PathBuf;

/// All Markdown files of the project.
fn documents() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            let name = name.to_string_lossy();
            if path.is_dir() && !name.starts_with('.') && !["target", "found", "artifacts"].contains(&name.as_ref()) {
                folders.push(path);
            } else if name.ends_with(".md") {
                found.push(path);
            }
        }
    }
    found
}

/// Targets of the inline links in a Markdown text, outside of code.
fn links(text: &str) -> Vec<String> {
    let prose: String = text.split("```").step_by(2).flat_map(|part| part.split('`').step_by(2)).collect();
    let targets = prose.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets.map(str::to_owned).collect()
}

/// The anchors of the headings of a Markdown text, as GitHub makes them.
fn anchors(text: &str) -> Vec<String> {
    let prose = text.split("```").step_by(2).collect::<String>();
    let headings = prose.lines().filter_map(|line| Some(line.strip_prefix('#')?.trim_start_matches('#').trim()));
    let slug = |heading: &str| {
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.collect::<String>().to_lowercase().replace(' ', "-")
    };
    headings.map(slug).collect()
}

#[test]
fn links_between_documents_lead_somewhere() {
    let documents = documents();
    assert!(documents.iter().any(|path| path.ends_with("docs/migration.md")), "{documents:?}");
    for document in documents {
        let text = fs::read_to_string(&document).unwrap();
        for link in links(&text) {
            let (target, anchor) = link.split_once('#').unwrap_or((&link, ""));
            if target.contains("://") {
                continue;
            }
            let path = if target.is_empty() { document.clone() } else { document.parent().unwrap().join(target) };
            assert!(path.exists(), "{}: {link} leads nowhere", document.display());
            if !anchor.is_empty() && path.extension().is_some_and(|extension| extension == "md") {
                let known = anchors(&fs::read_to_string(&path).unwrap());
                assert!(known.iter().any(|known| known == anchor), "{}: {link}: {known:?}", document.display());
            }
        }
    }
}

/// The commands in the blocks of a Markdown text that are marked as sh, comments and continuations resolved.
fn commands(text: &str) -> Vec<String> {
    let blocks = text.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    let joined = blocks.map(|block| block.replace("\\\n", " ").replace("|\n", "| "));
    let lines = joined.flat_map(|block| block.lines().map(str::to_owned).collect::<Vec<_>>());
    // What a substitution prints is one word to a reader of the line.
    let lines = lines.map(|line| match (line.find("$("), line.rfind(')')) {
        (Some(start), Some(end)) if start < end => format!("{}VALUE{}", &line[..start], &line[end + 1..]),
        _ => line,
    });
    let words = lines.map(|line| line.split(" #").next().unwrap_or_default().trim().to_owned());
    words.filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
}

/// What the documents may call beside the project's own programs and scripts.
const FOREIGN: &[&str] = &[
    "ansible-galaxy",
    "ansible-playbook",
    "apt",
    "apt-get",
    "awk",
    "buildah",
    "carbon-c-relay",
    "cargo",
    "cat",
    "cd",
    "cp",
    "curl",
    "docker",
    "dpkg",
    "dpkg-buildpackage",
    "echo",
    "etcdctl",
    "find",
    "git",
    "graphite-manage",
    "grep",
    "haproxy",
    "install",
    "journalctl",
    "jq",
    "kcat",
    "kill",
    "ln",
    "ls",
    "man",
    "mkdir",
    "mv",
    "nc",
    "podman",
    "printf",
    "promtool",
    "puppet",
    "qemu-aarch64-static",
    "rm",
    "rpmbuild",
    "runuser",
    "rustup",
    "sed",
    "sha256sum",
    "socat",
    "ss",
    "sudo",
    "systemctl",
    "systemd-analyze",
    "systemd-sysusers",
    "systemd-tmpfiles",
    "tail",
    "tar",
    "test",
    "touch",
    "useradd",
    "watch",
];

#[test]
fn commands_of_the_documents_exist() {
    let help = |program: &str| -> Option<String> {
        let executable = match program {
            "haproxystats-pull" => env!("CARGO_BIN_EXE_haproxystats-pull"),
            "haproxystats-process" => env!("CARGO_BIN_EXE_haproxystats-process"),
            "haproxystats-agent" => env!("CARGO_BIN_EXE_haproxystats-agent"),
            "haproxystats-discovery" => option_env!("CARGO_BIN_EXE_haproxystats-discovery")?,
            "haproxystats-top" => option_env!("CARGO_BIN_EXE_haproxystats-top")?,
            _ => return None,
        };
        let output = std::process::Command::new(executable).arg("--help").output().unwrap();
        Some(String::from_utf8(output.stdout).unwrap())
    };
    let mut seen = 0;
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        for command in commands(&text).iter().flat_map(|line| line.split(" | ")).flat_map(|line| line.split(" && ")) {
            let mut words = command.split_whitespace().skip_while(|word| word.contains('=') || *word == "sudo");
            let Some(program) = words.next() else { continue };
            let place = format!("{}: {command}", document.display());
            seen += 1;
            let name = program.rsplit('/').next().unwrap_or_default();
            if let Some(help) = help(name) {
                for option in words.filter(|word| word.starts_with('-')).map(|w| w.split('=').next().unwrap_or(w)) {
                    assert!(help.contains(option), "{place}: {name} has no {option}");
                }
            } else if program.contains('/') {
                let path = program.trim_start_matches("./");
                assert!(root().join(path).exists() || program.starts_with('/'), "{place}: {path} does not exist");
            } else {
                assert!(FOREIGN.contains(&program), "{place}: what is {program}?");
            }
            // Tests, benches and binaries that cargo is told to run.
            let words: Vec<&str> = command.split_whitespace().collect();
            for pair in words.windows(2).filter(|pair| program == "cargo" && ["--test", "--bench"].contains(&pair[0])) {
                let folder = if pair[0] == "--test" { "tests" } else { "benches" };
                let file = root().join(folder).join(pair[1]);
                assert!(file.join("main.rs").exists() || file.with_extension("rs").exists(), "{place}");
            }
        }
    }
    assert!(seen > 20, "{seen}");
}

#[test]
fn paths_in_the_documents_exist() {
    const FOLDERS: [&str; 8] = ["benches/", "contrib/", "docs/", "fuzz/", "scripts/", "src/", "tests/", ".ci/"];
    for document in documents().iter().filter(|path| !path.ends_with("ORIGIN.md")) {
        let text = fs::read_to_string(document).unwrap();
        for code in text.split("```").step_by(2).flat_map(|prose| prose.split('`').skip(1).step_by(2)) {
            let path = code.trim_end_matches('/');
            if FOLDERS.iter().any(|folder| path.starts_with(folder)) && !path.contains(['*', '<', ' ', '{']) {
                let beside = document.parent().unwrap().join(path);
                assert!(root().join(path).exists() || beside.exists(), "{}: {path}", document.display());
            }
        }
    }
}

#[test]
fn options_in_the_documents_exist() {
    let mut seen = 0;
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        for code in text.split("```").step_by(2).flat_map(|prose| prose.split('`').skip(1).step_by(2)) {
            let Some((section, rest)) = code.strip_prefix('[').and_then(|code| code.split_once("] ")) else { continue };
            let name = rest.split([' ', '=', ',']).next().unwrap_or_default();
            let known = |spec: &&haproxystats::config::options::OptionSpec| {
                spec.section == haproxystats::config::options::base(section) && [name, "*"].contains(&spec.name)
            };
            seen += 1;
            assert!(options::all().any(|spec| known(&spec)), "{}: {code}", document.display());
        }
    }
    assert!(seen > 100, "{seen}");
}

/// Nothing that is true of one machine or one day alone: it would puzzle everybody else.
#[test]
fn nothing_speaks_of_the_place_where_it_was_made() {
    let words = [["/wo", "rk/"], ["/opt/", "oracle"], ["TO", "DO"], ["FIX", "ME"], ["/home", "/user"], ["issue ", "#"]];
    let words = words.map(|parts| parts.concat());
    let mut folders = vec![root().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            if ["target", ".git", "found", "artifacts", "corpus"].iter().any(|skip| name == *skip) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(text) = fs::read_to_string(&path) {
                for (number, line) in text.lines().enumerate() {
                    let word = words.iter().find(|word| line.contains(word.as_str()));
                    assert!(word.is_none(), "{}:{}: {line}", path.display(), number + 1);
                }
            }
        }
    }
}

/// The numbers of the README, and of docs/delivery.md, are those of the run that docs/lab/delivery.md shows.
#[test]
fn the_readme_repeats_the_table_of_faults() {
    let delivery = fs::read_to_string(root().join("docs/lab/delivery.md")).unwrap();
    let (_, table) = delivery.split_once("\n| fault ").expect("a table of faults");
    let rows: Vec<Vec<&str>> = table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    let total = rows.iter().find(|row| row[0] == "all").expect("a total");
    let kinds = rows.iter().filter(|row| !["all", "none"].contains(&row[0])).count();
    let grouped = |number: &str| {
        let mut text = number.to_owned();
        for place in (1..number.len()).rev().filter(|place| (number.len() - place).is_multiple_of(3)) {
            text.insert(place, ',');
        }
        text
    };
    assert_eq!((total[3], total[6]), (total[4], "0"), "everything arrived");
    let words = format!(
        "{} points of {} snapshots published under {} faults of {kinds} kinds",
        grouped(total[3]),
        grouped(total[2]),
        total[1]
    );
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let readme = readme.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(readme.contains(&words), "README.md: {words}");
    let row = format!(
        "| {} of {kinds} kinds | {} | {} | 0 | {} |",
        total[1],
        grouped(total[3]),
        grouped(total[4]),
        grouped(total[5])
    );
    let guide = fs::read_to_string(root().join("docs/delivery.md")).unwrap();
    assert!(guide.contains(&row), "docs/delivery.md: {row}");
}
