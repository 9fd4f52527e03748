//! A name that is of nothing in the snapshot: what comes nearest.

use super::asked::{Asked, text};
use super::rows;
use crate::config::nearest;
use crate::haproxy::columns::Kind;
use crate::names::sanitize;
use crate::process::pipeline::Holding;
use crate::render::path::About;
use std::collections::BTreeSet;
use std::path::Path;

/// In words.
pub(super) fn say(asked: &Asked, dir: &Path, holdings: &[Holding]) -> String {
    let Asked::Path(path) = asked else {
        return "no object of the snapshot has a metric of this name with these tags".to_owned();
    };
    let bases: Vec<String> = holdings.iter().map(base).collect();
    let Some((number, rest)) =
        bases.iter().enumerate().find_map(|(n, base)| Some((n, path.strip_prefix(base.as_str())?)))
    else {
        return format!("with this configuration, names begin with {}", bases.join(" or "));
    };
    let elements: Vec<&str> = rest.split('.').collect();
    let (kind, name, of) = match elements.as_slice() {
        ["frontend", name, ..] => (Kind::Frontend, *name, None),
        ["backend", backend, "server", name, _, ..] => (Kind::Server, *name, Some(*backend)),
        ["backend", name, ..] => (Kind::Backend, *name, None),
        ["server", name, ..] => (Kind::Server, *name, None),
        [kind @ ("daemon" | "haproxystats"), ..] => {
            return format!("names of {kind} metrics have one more element");
        }
        [other, ..] => return format!("{other:?} is not daemon, frontend, backend, server or haproxystats"),
        [] => return "the name is too short".to_owned(),
    };
    let known = holdings.get(number).map(|holding| names(dir, holding, kind, of)).unwrap_or_default();
    if known.contains(name) {
        return "the name has too many or too few elements after that of its object".to_owned();
    }
    let hint = nearest(name, known.iter().map(String::as_str));
    let hint = hint.map_or_else(String::new, |name| format!("; did you mean {name}?"));
    let of = of.map_or_else(String::new, |backend| format!(" of backend {backend}"));
    let count = known.len();
    format!("no {} {name}{of} in the snapshot, which has {count} of them{hint}", kind.word())
}

/// `<namespace>[.<host>].haproxy.`
fn base(holding: &Holding) -> String {
    let daemon = holding.paths.of(About::Daemon);
    let path = daemon.plain.first().map(|path| text(path)).unwrap_or_default();
    path.strip_suffix("daemon.").unwrap_or(&path).to_owned()
}

/// Path elements of the objects of a kind.
fn names(dir: &Path, holding: &Holding, kind: Kind, of: Option<&str>) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (part, file) in &holding.stat {
        // What cannot be read has been said.
        let _ = rows::read(dir, (*part, file), |found, proxy, server| {
            if found == kind && of.is_none_or(|backend| backend == sanitize(proxy)) {
                names.insert(sanitize(if kind == Kind::Server { server } else { proxy }));
            }
            None
        });
    }
    names
}
