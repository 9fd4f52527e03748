//! Which folder of src/lib may import which. The table stands in docs/architecture.md, from bottom to top, and again at the
//! head of src/lib/lib.rs; what the source really imports is held against it.

use crate::harness::root;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

const BEGIN: &str = "<!-- floors: begin -->\n```text\n";
const END: &str = "```\n<!-- floors: end -->";

/// What each folder, or file that stands by itself, imports.
type Arrows = BTreeMap<String, BTreeSet<String>>;

fn document() -> String {
    let text = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let (_, rest) = text.split_once(BEGIN).expect("the mark of the beginning");
    rest.split_once(END).expect("the mark of the end").0.to_owned()
}

/// The table: one line a folder, `name  what it may import`.
fn allowed() -> Vec<(String, BTreeSet<String>)> {
    let line = |line: &str| {
        let mut words = line.split_whitespace().map(str::to_owned);
        (words.next().expect("a name"), words.collect())
    };
    document().lines().map(line).collect()
}

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Without comments and without what only tests see.
fn code(text: &str) -> String {
    let program = text.split("#[cfg(test)]\nmod tests").next().unwrap_or(text);
    program.lines().map(|line| line.split("//").next().unwrap_or(line)).collect::<Vec<_>>().join("\n")
}

/// The first name behind each `crate::`, those in braces included.
fn imports(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        let Some(tree) = rest.strip_prefix('{') else {
            found.insert(first_name(rest));
            continue;
        };
        let (mut depth, mut start) = (0, true);
        for (at, letter) in tree.char_indices() {
            match letter {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => start = true,
                letter if letter.is_whitespace() => {}
                _ if start => {
                    found.insert(first_name(tree.get(at..).unwrap_or_default()));
                    start = false;
                }
                _ => {}
            }
        }
    }
    found
}

fn first_name(text: &str) -> String {
    text.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect()
}

fn arrows() -> Arrows {
    let library = root().join("src/lib");
    let mut files = Vec::new();
    sources(&library, &mut files);
    let mut arrows = Arrows::new();
    for path in files {
        let relative = path.strip_prefix(&library).unwrap();
        let top = relative.components().next().unwrap().as_os_str().to_string_lossy();
        let top = top.trim_end_matches(".rs").to_owned();
        // The root only lists the folders; these two are for tests alone.
        if ["lib", "testing", "metrics_document"].contains(&&*top) || relative.ends_with("tests.rs") {
            continue;
        }
        let of = arrows.entry(top.clone()).or_default();
        of.extend(imports(&code(&fs::read_to_string(&path).unwrap())).into_iter().filter(|name| *name != top));
    }
    arrows
}

#[test]
fn folders_import_only_what_the_table_allows() {
    let allowed: Arrows = allowed().into_iter().collect();
    let real = arrows();
    assert!(real.len() > 20 && real["process"].contains("aggregate"), "the sources were read: {real:?}");
    let new: Vec<String> = real
        .iter()
        .flat_map(|(from, to)| to.iter().map(move |to| (from, to)))
        .filter(|(from, to)| !allowed.get(*from).is_some_and(|may| may.contains(*to)))
        .map(|(from, to)| format!("{from} imports {to}"))
        .collect();
    assert!(new.is_empty(), "against the table in docs/architecture.md: {new:#?}");
    let unused: Vec<String> = allowed
        .iter()
        .flat_map(|(from, to)| to.iter().map(move |to| (from, to)))
        .filter(|(from, to)| !real.get(*from).is_some_and(|imported| imported.contains(*to)))
        .map(|(from, to)| format!("{from} no longer imports {to}"))
        .collect();
    assert!(unused.is_empty(), "remove from the table in docs/architecture.md: {unused:#?}");
    assert_eq!(allowed.keys().collect::<Vec<_>>(), real.keys().collect::<Vec<_>>(), "the table has every folder once");
}

#[test]
fn the_table_has_no_circle() {
    let mut below = BTreeSet::new();
    for (folder, imports) in allowed() {
        for import in imports {
            assert!(below.contains(&import), "{folder} imports {import}, which does not stand above it in the table");
        }
        assert!(below.insert(folder), "a folder stands there twice");
    }
}

#[test]
fn the_root_of_the_library_shows_the_same_table() {
    let text = fs::read_to_string(root().join("src/lib/lib.rs")).unwrap();
    let shown: String = document().lines().map(|line| format!("//! {line}\n")).collect();
    assert!(text.contains(&shown), "src/lib/lib.rs shows another table; it should have:\n{shown}");
}

#[test]
fn imports_are_found_in_every_form() {
    let text = "use crate::a::B;\nuse crate::{b, c::{D, E}, f as g};\nfn x() { crate::h::i() }\n";
    let names: Vec<String> = imports(text).into_iter().collect();
    assert_eq!(names, ["a", "b", "c", "f", "h"]);
    assert_eq!(imports(&code("x // crate::y\n#[cfg(test)]\nmod tests { use crate::z; }")), BTreeSet::new());
}
