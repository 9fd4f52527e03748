//! Which sockets there are now, and the name under which the answers of each are stored.

use crate::config::NamePatterns;
use crate::haproxy::address::Address;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Most bytes of a name; file names end at 255.
const LONGEST_NAME: usize = 240;

/// A socket to ask.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target {
    /// Where it is.
    pub server: Address,
    /// Its file name, or host and port: what stands before `_info` and `_stat`. Unique in one pull.
    pub name: String,
    /// The worker to ask, where this is the socket of a master.
    pub worker: Option<u32>,
    /// Device and inode of a socket that was found in `socket-dir`, and may be anybody's; `None` for one of `servers`.
    pub found: Option<(u64, u64)>,
}

/// What there is at this moment.
#[derive(Debug, Default)]
pub struct Found {
    /// The sockets of `socket-dir`, sorted by name, real ones before links to them; then those of `servers`. Each once.
    pub targets: Vec<Target>,
    /// What else lies in `socket-dir` and is neither hidden nor a directory: its name, and what it is.
    pub others: Vec<(String, &'static str)>,
}

/// The sockets of `socket-dir`, as they are at this moment, save the `excluded` ones and those of `masters`, and those of
/// `servers`.
///
/// # Errors
/// `socket-dir` cannot be read; the sockets of `servers` come back with the error.
pub fn find(
    socket_dir: Option<&Path>,
    excluded: &NamePatterns,
    servers: &[Address],
    masters: &[Address],
) -> (Found, io::Result<()>) {
    let masters: HashSet<Identity> = masters.iter().map(identity).collect();
    let mut others = Vec::new();
    let (paths, result) = match socket_dir.map(|directory| scan(directory, excluded, &mut others)) {
        None => (Vec::new(), Ok(())),
        Some(Ok(paths)) => (paths, Ok(())),
        Some(Err(error)) => (Vec::new(), Err(error)),
    };
    let mut places: HashMap<Identity, usize> = HashMap::new();
    let mut all: Vec<(Address, Option<(u64, u64)>)> = Vec::new();
    for path in paths {
        let server = Address::Unix(path);
        let identity = identity(&server);
        let Identity::Inode(device, inode) = identity else { continue };
        if masters.contains(&identity) {
            continue;
        }
        places.entry(identity).or_insert_with(|| {
            all.push((server, Some((device, inode))));
            all.len() - 1
        });
    }
    for server in servers {
        match places.entry(identity(server)) {
            // Somebody says that it is a stats socket.
            Entry::Occupied(place) => {
                if let Some((_, found)) = all.get_mut(*place.get()) {
                    *found = None;
                }
            }
            Entry::Vacant(place) => {
                place.insert(all.len());
                all.push((server.clone(), None));
            }
        }
    }
    (Found { targets: name(all), others }, result)
}

/// The sockets of masters.
#[must_use]
pub fn masters(servers: &[Address]) -> Vec<Target> {
    name(servers.iter().map(|server| (server.clone(), None)).collect())
}

/// The sockets in a directory, real ones before links to them, sorted by name. Links are followed, as in the
/// original. Left out are hidden entries, as in the original, and the names that HAProxy uses for moments
/// while it starts or reloads: they are second names of a socket that is listed anyway, or not ready.
fn scan(
    directory: &Path,
    excluded: &NamePatterns,
    others: &mut Vec<(String, &'static str)>,
) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let text = name.to_string_lossy();
        if name.as_encoded_bytes().starts_with(b".") || is_transient(&name) || excluded.matches(&text) {
            continue;
        }
        let path = entry.path();
        let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
        match fs::metadata(&path) {
            Ok(meta) if meta.file_type().is_socket() => found.push((is_link, path)),
            Ok(meta) if meta.is_dir() => {}
            Ok(_) => others.push((safe(&text), "not a socket")),
            Err(_) if is_link => others.push((safe(&text), "a dangling symbolic link")),
            // What vanished since the listing.
            Err(_) => {}
        }
    }
    found.sort();
    others.sort();
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

/// HAProxy binds `<path>.<pid>.tmp`, keeps the old socket as `<path>.<pid>.bak`, and renames the new one into place.
fn is_transient(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    let Some(stem) = name.strip_suffix(b".tmp").or_else(|| name.strip_suffix(b".bak")) else { return false };
    let digits = stem.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let before = stem.len().saturating_sub(digits + 1);
    digits > 0 && before > 0 && stem.get(before) == Some(&b'.')
}

/// What makes two entries the same socket.
#[derive(PartialEq, Eq, Hash)]
enum Identity {
    Inode(u64, u64),
    Path(PathBuf),
    Abstract(String, bool),
    Tcp(String, u16),
}

fn identity(server: &Address) -> Identity {
    match server {
        Address::Unix(path) => match fs::metadata(path) {
            Ok(meta) => Identity::Inode(meta.dev(), meta.ino()),
            Err(_) => Identity::Path(path.clone()),
        },
        Address::Abstract { name, ends } => Identity::Abstract(name.clone(), *ends),
        Address::Tcp { host, port } => Identity::Tcp(host.to_ascii_lowercase(), *port),
    }
}

/// Gives every socket its name. One that alone has its file name keeps it; where file names meet, folders are put
/// in front, as many as it takes to tell them apart: `a_haproxy.sock` and `b_haproxy.sock`.
fn name(servers: Vec<(Address, Option<(u64, u64)>)>) -> Vec<Target> {
    let mut depth = vec![1; servers.len()];
    let mut names: Vec<_> = servers.iter().map(|(server, _)| stem(server, 1)).collect();
    loop {
        let mut count = HashMap::new();
        for name in &names {
            *count.entry(name.clone()).or_insert(0) += 1;
        }
        let mut changed = false;
        for (((server, _), name), depth) in servers.iter().zip(&mut names).zip(&mut depth) {
            if count.get(name).is_some_and(|count| *count > 1) {
                *depth += 1;
                let longer = stem(server, *depth);
                changed |= longer != *name;
                *name = longer;
            }
        }
        if !changed {
            break;
        }
    }
    // What still meets has the same letters only after the unsafe ones were replaced.
    let mut taken = HashSet::new();
    let unique = names.into_iter().map(|name| {
        let mut candidate = name.clone();
        let mut number = 2;
        while !taken.insert(candidate.clone()) {
            candidate = format!("{name}~{number}");
            number += 1;
        }
        candidate
    });
    servers
        .iter()
        .cloned()
        .zip(unique)
        .map(|((server, found), name)| Target { server, name, worker: None, found })
        .collect()
}

/// The name of a socket with `depth` components of its path.
fn stem(server: &Address, depth: usize) -> String {
    match server {
        Address::Tcp { host, port } => safe(&format!("{}:{port}", host.to_ascii_lowercase())),
        Address::Abstract { .. } => safe(&server.to_string()),
        Address::Unix(path) => {
            let parts: Vec<_> =
                path.components().filter(|part| matches!(part, std::path::Component::Normal(_))).collect();
            let from = parts.len().saturating_sub(depth);
            let parts: Vec<_> = parts.iter().skip(from).map(|part| part.as_os_str().to_string_lossy()).collect();
            safe(&parts.join("_"))
        }
    }
}

/// A plain, visible file name: no separator, no control character, no dot in front, not empty, and short enough for
/// `_info` and a number to follow.
fn safe(name: &str) -> String {
    let mut safe: String = name.chars().map(|c| if c == '/' || c.is_control() { '_' } else { c }).collect();
    safe.truncate(safe.floor_char_boundary(LONGEST_NAME));
    if safe.is_empty() || safe.starts_with('.') {
        safe.insert(0, '_');
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    fn unix(path: &str) -> Address {
        Address::Unix(PathBuf::from(path))
    }

    fn tcp(host: &str, port: u16) -> Address {
        Address::Tcp { host: host.to_owned(), port }
    }

    fn names(servers: Vec<Address>) -> Vec<String> {
        name(servers.into_iter().map(|server| (server, None)).collect()).into_iter().map(|target| target.name).collect()
    }

    #[test]
    fn a_socket_alone_keeps_its_name() {
        let servers =
            vec![unix("/run/haproxy/admin1.sock"), unix("/run/x"), tcp("127.0.0.1", 8080), tcp("FE80::1", 44)];
        assert_eq!(names(servers), ["admin1.sock", "x", "127.0.0.1:8080", "fe80::1:44"]);
    }

    #[test]
    fn sockets_of_the_same_name_are_told_apart_by_their_folders() {
        let servers = vec![unix("/run/a/ha.sock"), unix("/run/b/ha.sock"), unix("/run/c/other.sock")];
        assert_eq!(names(servers), ["a_ha.sock", "b_ha.sock", "other.sock"]);
        let servers = vec![unix("/x/run/ha.sock"), unix("/y/run/ha.sock"), unix("/ha.sock")];
        assert_eq!(names(servers), ["x_run_ha.sock", "y_run_ha.sock", "ha.sock"]);
    }

    #[test]
    fn names_are_unique_whatever_the_paths() {
        let servers = vec![
            unix("/a/b_c"),
            unix("/z/b_c"),
            unix("/a_b/c"),
            unix("/q/c"),
            unix("/x/127.0.0.1:80"),
            tcp("127.0.0.1", 80),
            unix("/s/a\tb"),
            unix("/s/a\nb"),
            unix("/"),
        ];
        let count = servers.len();
        let names = names(servers);
        assert_eq!(names.iter().collect::<HashSet<_>>().len(), count, "{names:?}");
        assert!(names.contains(&"127.0.0.1:80".to_owned()));
    }

    #[test]
    fn names_are_safe_file_names() {
        assert_eq!(names(vec![unix("/run/.hidden")]), ["_.hidden"]);
        assert_eq!(names(vec![unix("/run/a\nb c")]), ["a_b c"]);
        assert_eq!(names(vec![tcp("../../etc", 1)]), ["_.._.._etc:1"]);
        let long = names(vec![tcp(&"ł".repeat(200), 1), tcp(&"ł".repeat(201), 1)]);
        assert_eq!(long, ["ł".repeat(120), format!("{}~2", "ł".repeat(120))]);
    }

    #[test]
    fn only_sockets_that_last_are_found() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let bind = |name: &str| UnixListener::bind(path(name)).unwrap();
        let _open =
            [".hidden", "b.sock", "a.sock", "a.sock.123.bak", "a.sock.4567.tmp", "x.tmp", "x1.bak", "7.tmp"].map(bind);
        fs::write(path("file"), "").unwrap();
        fs::create_dir(path("directory")).unwrap();
        symlink("nowhere", path("dangling")).unwrap();
        symlink("loop", path("loop")).unwrap();
        symlink("b.sock", path("0-link-to-b")).unwrap();
        let (found, result) = find(Some(directory.path()), &NamePatterns::default(), &[], &[]);
        result.unwrap();
        let names: Vec<_> = found.targets.into_iter().map(|target| target.name).collect();
        assert_eq!(names, ["7.tmp", "a.sock", "b.sock", "x.tmp", "x1.bak"]);
        let others: Vec<_> = found.others.iter().map(|(name, what)| (name.as_str(), *what)).collect();
        let nowhere = "a dangling symbolic link";
        assert_eq!(others, [("dangling", nowhere), ("file", "not a socket"), ("loop", nowhere)]);
        let excluded = NamePatterns::parse_for_tests("?.tmp *.bak file l*");
        let (found, _) = find(Some(directory.path()), &excluded, &[], &[]);
        let names: Vec<_> = found.targets.into_iter().map(|target| target.name).collect();
        assert_eq!((names, found.others.len()), (vec!["a.sock".to_owned(), "b.sock".to_owned()], 1));
    }

    #[test]
    fn a_socket_that_is_named_twice_is_asked_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.sock");
        let _listener = UnixListener::bind(&path).unwrap();
        let servers =
            [Address::Unix(path), unix("/not/there"), unix("/not/there"), tcp("LB", 1), tcp("lb", 1), tcp("lb", 2)];
        let _other = UnixListener::bind(directory.path().join("b.sock")).unwrap();
        let (found, _) = find(Some(directory.path()), &NamePatterns::default(), &servers, &[]);
        // What is named is no stranger, though it was found as well.
        let names: Vec<_> = found.targets.iter().map(|target| (target.name.as_str(), target.found.is_some())).collect();
        assert_eq!(names, [("a.sock", false), ("b.sock", true), ("there", false), ("lb:1", false), ("lb:2", false)]);
    }

    #[test]
    fn without_the_directory_the_servers_remain() {
        let (found, result) = find(Some(Path::new("/nonexistent")), &NamePatterns::default(), &[tcp("lb", 1)], &[]);
        assert_eq!((found.targets.len(), result.unwrap_err().kind()), (1, io::ErrorKind::NotFound));
    }
}
