//! The documents, as far as a program can check them.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a broken checkout may fail the test")]

use haproxystats::config::options::OPTIONS;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

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

#[test]
fn links_between_documents_lead_somewhere() {
    let documents = documents();
    assert!(documents.iter().any(|path| path.ends_with("docs/migration.md")), "{documents:?}");
    for document in documents {
        for link in links(&fs::read_to_string(&document).unwrap()) {
            let target = link.split('#').next().unwrap_or_default();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            let path = document.parent().unwrap().join(target);
            assert!(path.exists(), "{}: {link} leads nowhere", document.display());
        }
    }
}

#[test]
fn the_migration_guide_knows_every_option_once_and_in_order() {
    let text = fs::read_to_string(root().join("docs/migration.md")).unwrap();
    let (_, options) = text.split_once("## Options\n").expect("a section about options");
    let listed =
        options.lines().filter_map(|line| line.strip_prefix("| `[")?.split_once("` |").map(|(option, _)| option));
    let known = OPTIONS.iter().map(|option| format!("{}] {}", option.section, option.name));
    assert_eq!(listed.collect::<Vec<_>>(), known.collect::<Vec<_>>());
}
