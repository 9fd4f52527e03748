//! Paths to names with tags: `haproxy.backend.rtime;host=lb-01;backend=www`.
//!
//! | path, behind `<namespace>.` | name | tags |
//! |---|---|---|
//! | `<host>.haproxy.frontend.<name>.<metric>` | `haproxy.frontend.<metric>` | host, frontend |
//! | `<host>.haproxy.backend.<name>.<metric>` | `haproxy.backend.<metric>` | host, backend |
//! | `<host>.haproxy.backend.<name>.server.<server>.<metric>` | `haproxy.server.<metric>` | host, backend, server |
//! | `<host>.haproxy.server.<server>.<metric>`, over all backends | `haproxy.servers.<metric>` | host, server |
//! | `<host>.haproxy.daemon.<metric>` | `haproxy.daemon.<metric>` | host |
//! | `<host>.haproxy.daemon.process.<process>.<metric>` | `haproxy.process.<metric>` | host, process |
//! | `<host>.haproxy.haproxystats.<metric>` | `haproxy.haproxystats.<metric>` | host |
//!
//! Sums and their parts have different names, so that a sum over all series of a name counts nothing twice. Groups add
//! the tag `group`; `cluster.<name>` in the place of the host becomes the tag `cluster`.

use crate::config::{Graphite, Groups};

/// Turns lines.
#[derive(Debug, Clone)]
pub(super) struct Tags {
    /// `<namespace>.`
    namespace: Vec<u8>,
    /// `<group-namespace>.<group>.` and the group, of all groups.
    groups: Vec<(Vec<u8>, String)>,
}

impl Tags {
    pub(super) fn new(graphite: &Graphite, groups: &Groups) -> Self {
        let Groups { frontend, backend, server } = groups;
        let namespace = graphite.group_namespace.as_ref().map(|namespace| namespace.name.as_str());
        let group = |name: &String| Some((format!("{}.{name}.", namespace?).into_bytes(), name.clone()));
        let mut groups: Vec<_> =
            frontend.iter().chain(backend).chain(server).filter_map(|entry| group(&entry.name)).collect();
        // A name may be the beginning of another.
        groups.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
        groups.dedup();
        Self { namespace: format!("{}.", graphite.namespace).into_bytes(), groups }
    }

    /// The lines with tags.
    pub(super) fn tag(&self, text: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(text.len() + text.len() / 4);
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            let end = line.iter().position(|byte| *byte == b' ').unwrap_or(line.len());
            let (path, rest) = line.split_at(end);
            let before = out.len();
            if self.name(path, &mut out).is_none() {
                // Not one of ours; it stays as it is.
                out.truncate(before);
                out.extend_from_slice(path);
            }
            out.extend_from_slice(rest);
        }
        out
    }

    fn name(&self, path: &[u8], out: &mut Vec<u8>) -> Option<()> {
        let (mut first, mut rest) = element(path.strip_prefix(self.namespace.as_slice())?)?;
        let mut place: Option<(&str, &[u8])> = None;
        if first != b"haproxy" {
            place = Some(("host", first));
            (first, rest) = element(rest)?;
            if first != b"haproxy" {
                place = Some(("cluster", first));
                (first, rest) = element(rest)?;
            }
        }
        if first != b"haproxy" {
            return None;
        }
        let group = self.groups.iter().find_map(|(prefix, name)| Some((name, rest.strip_prefix(prefix.as_slice())?)));
        let (group, rest) = group.map_or((None, rest), |(name, rest)| (Some(name), rest));
        let (kind, rest) = element(rest)?;
        let mut tags: [Option<(&str, &[u8])>; 2] = [None, None];
        let (name, metric): (&[u8], &[u8]) = match kind {
            b"frontend" => {
                let (frontend, metric) = element(rest)?;
                tags[0] = Some(("frontend", frontend));
                (kind, metric)
            }
            b"backend" => {
                let (backend, rest) = element(rest)?;
                tags[0] = Some(("backend", backend));
                match rest.strip_prefix(b"server.") {
                    None => (kind, rest),
                    Some(rest) => {
                        let (server, metric) = element(rest)?;
                        tags[1] = Some(("server", server));
                        (b"server", metric)
                    }
                }
            }
            b"server" => {
                let (server, metric) = element(rest)?;
                tags[0] = Some(("server", server));
                (b"servers", metric)
            }
            b"daemon" => match rest.strip_prefix(b"process.") {
                None => (kind, rest),
                Some(rest) => {
                    let (process, metric) = element(rest)?;
                    tags[0] = Some(("process", process));
                    (b"process", metric)
                }
            },
            b"haproxystats" => (kind, rest),
            _ => return None,
        };
        for part in [b"haproxy.".as_slice(), name, b".", metric] {
            out.extend_from_slice(part);
        }
        let group = group.map(|name| ("group", name.as_bytes()));
        for (tag, value) in [place, tags[0], tags[1], group].into_iter().flatten() {
            out.push(b';');
            out.extend_from_slice(tag.as_bytes());
            out.push(b'=');
            // The one beginning that Graphite refuses.
            if value.first() == Some(&b'~') {
                out.push(b'_');
            }
            out.extend_from_slice(value);
        }
        Some(())
    }
}

/// The first element of a path, and what follows its dot.
fn element(path: &[u8]) -> Option<(&[u8], &[u8])> {
    let dot = memchr::memchr(b'.', path)?;
    Some((path.get(..dot)?, path.get(dot + 1..)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Group, GroupNamespace};

    fn tags() -> Tags {
        let mut config = crate::testing::config();
        config.graphite.namespace = "lb.eu".to_owned();
        config.graphite.group_namespace = Some(GroupNamespace { name: "flavor".to_owned(), double_writes: false });
        config.groups.backend = ["web", "web.static"]
            .map(|name| Group { name: name.to_owned(), pattern: regex::Regex::new("x").unwrap() })
            .to_vec();
        Tags::new(&config.graphite, &config.groups)
    }

    #[test]
    fn every_path_has_its_name() {
        for (path, name) in [
            ("lb.eu.a.haproxy.frontend.www.scur", "haproxy.frontend.scur;host=a;frontend=www"),
            ("lb.eu.haproxy.frontend.www.scur", "haproxy.frontend.scur;frontend=www"),
            ("lb.eu.a.haproxy.backend.www.rtime", "haproxy.backend.rtime;host=a;backend=www"),
            ("lb.eu.a.haproxy.backend.www.server.s1.scur", "haproxy.server.scur;host=a;backend=www;server=s1"),
            ("lb.eu.a.haproxy.backend.server.scur", "haproxy.backend.scur;host=a;backend=server"),
            ("lb.eu.a.haproxy.server.s1.scur", "haproxy.servers.scur;host=a;server=s1"),
            ("lb.eu.a.haproxy.daemon.CurrConns", "haproxy.daemon.CurrConns;host=a"),
            ("lb.eu.a.haproxy.daemon.process.1.CurrConns", "haproxy.process.CurrConns;host=a;process=1"),
            ("lb.eu.a.haproxy.haproxystats.QueueDepth", "haproxy.haproxystats.QueueDepth;host=a"),
            ("lb.eu.cluster.edge.haproxy.backend.www.rtime", "haproxy.backend.rtime;cluster=edge;backend=www"),
            ("lb.eu.a.haproxy.flavor.web.backend.x.bin", "haproxy.backend.bin;host=a;backend=x;group=web"),
            (
                "lb.eu.a.haproxy.flavor.web.static.backend.x.server.~s.bin",
                "haproxy.server.bin;host=a;backend=x;server=_~s;group=web.static",
            ),
            ("other.path", "other.path"),
            ("lb.eu.a.b.c", "lb.eu.a.b.c"),
        ] {
            let tagged = tags().tag(format!("{path} 1 2\n{path} 3 4\n").as_bytes());
            assert_eq!(String::from_utf8(tagged).unwrap(), format!("{name} 1 2\n{name} 3 4\n"));
        }
    }
}
