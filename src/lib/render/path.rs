//! Paths of objects: `<namespace>[.<host>].haproxy[.<group-namespace>.<group>].<kind>.<name>[...].`

use crate::config::{Config, Group};
use crate::encode::prefix::{Prefixes, Tagged};
use crate::haproxy::columns::Kind;
use crate::haproxy::facts::Thing;
use crate::haproxy::per_kind::PerKind;
use crate::names::{base, host, sanitize};

/// What a metric is about: names as HAProxy has them, made safe for paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About<'a> {
    /// haproxystats itself.
    Own,
    /// All processes of a host.
    Daemon,
    /// One of them.
    Process(&'a str),
    /// A frontend.
    Frontend(&'a str),
    /// A backend.
    Backend(&'a str),
    /// A server in its backend.
    Server(&'a str, &'a str),
    /// A server over all backends.
    ServerTotal(&'a str),
    /// A listener of a frontend.
    Listener(&'a str, &'a str),
    /// What a family is about: its name, or that of the section that it is in, and its name there.
    Thing(Thing, &'a str, &'a str),
}

/// The keys of the tags of what a family is about.
fn keys(thing: Thing) -> impl Iterator<Item = &'static str> {
    let (place, name) = thing.names();
    [place, name].into_iter().filter(|key| !key.is_empty())
}

/// Knows the fixed part of every path, and the groups.
#[derive(Debug, Clone)]
pub struct Paths {
    /// `<namespace>[.<host>].haproxy`
    base: String,
    /// The tag that stands for what the fixed part says, where names carry tags.
    place: Option<(&'static str, String)>,
    tagged: bool,
    groups: PerKind<Vec<Group>>,
    /// Name of the group namespace, and whether the plain path is sent as well.
    grouping: Option<(String, bool)>,
}

impl Paths {
    /// For this configuration; `hostname` is what gethostname(2) says.
    #[must_use]
    pub fn new(config: &Config, hostname: &str) -> Self {
        let host = host(&config.graphite, hostname).map(|host| ("host", host));
        Self::with(config, base(&config.graphite, hostname), host)
    }

    /// The paths of another host, by its name as it is written.
    #[must_use]
    pub fn of_host(config: &Config, host: &str) -> Self {
        let host = sanitize(host.as_bytes());
        Self::with(config, format!("{}.{host}.haproxy", config.graphite.namespace), Some(("host", host)))
    }

    /// The paths of a cluster: `<namespace>.cluster.<name>.haproxy`.
    #[must_use]
    pub(crate) fn of_cluster(config: &Config, cluster: &str) -> Self {
        let cluster = sanitize(cluster.as_bytes());
        Self::with(
            config,
            format!("{}.cluster.{cluster}.haproxy", config.graphite.namespace),
            Some(("cluster", cluster)),
        )
    }

    fn with(config: &Config, base: String, place: Option<(&'static str, String)>) -> Self {
        let Config { graphite, groups, .. } = config;
        let groups = PerKind([groups.frontend.clone(), groups.backend.clone(), groups.server.clone()]);
        let grouping = graphite.group_namespace.as_ref().map(|group| (group.name.clone(), group.double_writes));
        Self { base, place, tagged: graphite.enabled && graphite.tagged, groups, grouping }
    }

    /// The names of metrics of an object.
    ///
    /// | about | path, behind `<namespace>[.<host>].haproxy.` | with tags | tags |
    /// |---|---|---|---|
    /// | a frontend | `frontend.<name>.<metric>` | `haproxy.frontend.<metric>` | host, frontend |
    /// | a backend | `backend.<name>.<metric>` | `haproxy.backend.<metric>` | host, backend |
    /// | a server | `backend.<name>.server.<server>.<metric>` | `haproxy.server.<metric>` | host, backend, server |
    /// | a server over all backends | `server.<server>.<metric>` | `haproxy.servers.<metric>` | host, server |
    /// | the daemon | `daemon.<metric>` | `haproxy.daemon.<metric>` | host |
    /// | a process | `daemon.process.<process>.<metric>` | `haproxy.process.<metric>` | host, process |
    /// | a listener | `frontend.<name>.listener.<listener>.<metric>` | `haproxy.listener.<metric>` | host, frontend, listener |
    /// | what a family is about | `table.<name>.<metric>`, `peer.<section>.<name>.<metric>` | `haproxy.table.<metric>` | host, table |
    /// | haproxystats | `haproxystats.<metric>` | `haproxy.haproxystats.<metric>` | host |
    ///
    /// Sums and their parts have different names, so that a sum over all series of a name counts nothing twice. The path of
    /// the group comes first, and has the tag `group`; the plain path stands alone where no pattern matches, and beside it
    /// with double writes. A cluster's have the tag `cluster` in place of `host`.
    #[must_use]
    pub fn of(&self, about: About<'_>) -> Prefixes {
        let thing: Vec<&str>;
        let elements: &[&str] = match &about {
            About::Own => &["haproxystats"],
            About::Daemon => &["daemon"],
            About::Process(process) => &["daemon", "process", process],
            About::Frontend(name) => &["frontend", name],
            About::Backend(name) => &["backend", name],
            About::Server(backend, server) => &["backend", backend, "server", server],
            About::ServerTotal(server) => &["server", server],
            About::Listener(frontend, listener) => &["frontend", frontend, "listener", listener],
            About::Thing(of, first, second) => {
                thing = [of.word(), *first, *second].into_iter().take(1 + keys(*of).count()).collect();
                &thing
            }
        };
        let group = self.group(about);
        let plain = || join(&[&self.base], elements).into_bytes().into_boxed_slice();
        let (mut paths, mut groups) = (Vec::with_capacity(1), Vec::with_capacity(1));
        if let Some((namespace, group, _)) = group {
            paths.push(join(&[&self.base, namespace, group], elements).into_bytes().into_boxed_slice());
            groups.push(Some(group));
        }
        if group.is_none_or(|(.., double_writes)| double_writes) {
            paths.push(plain());
            groups.push(None);
        }
        let tagged = groups.into_iter().filter(|_| self.tagged).map(|group| self.tagged(about, group)).collect();
        Prefixes { plain: paths.into(), tagged }
    }

    /// Group namespace and group of an object, by the first pattern that matches its name, or that of its backend.
    fn group(&self, about: About<'_>) -> Option<(&str, &str, bool)> {
        let (namespace, double_writes) = self.grouping.as_ref()?;
        let (kind, name) = match about {
            About::Own | About::Daemon | About::Process(_) | About::Thing(..) => return None,
            About::Frontend(name) | About::Listener(name, _) => (Kind::Frontend, name),
            About::Backend(name) | About::Server(name, _) => (Kind::Backend, name),
            About::ServerTotal(name) => (Kind::Server, name),
        };
        let group = self.groups[kind].iter().find(|group| group.pattern.is_match(name))?;
        Some((namespace, &group.name, *double_writes))
    }

    fn tagged(&self, about: About<'_>, group: Option<&str>) -> Tagged {
        let thing: Vec<(&str, &str)>;
        let (kind, names): (_, &[(&str, &str)]) = match &about {
            About::Own => ("haproxystats", &[]),
            About::Daemon => ("daemon", &[]),
            About::Process(process) => ("process", &[("process", process)]),
            About::Frontend(name) => ("frontend", &[("frontend", name)]),
            About::Backend(name) => ("backend", &[("backend", name)]),
            About::Server(backend, server) => ("server", &[("backend", backend), ("server", server)]),
            About::ServerTotal(server) => ("servers", &[("server", server)]),
            About::Listener(frontend, listener) => ("listener", &[("frontend", frontend), ("listener", listener)]),
            About::Thing(of, first, second) => {
                thing = keys(*of).zip([*first, *second]).collect();
                (of.word(), thing.as_slice())
            }
        };
        let place = self.place.as_ref().map(|(tag, name)| (*tag, name.as_str()));
        let group = group.map(|group| ("group", group));
        let tags: Vec<(&str, &str)> = place.into_iter().chain(names.iter().copied()).chain(group).collect();
        Tagged::new(kind, &tags)
    }
}

/// Elements of a path, with a dot behind each. Large installations make many thousands of these for each snapshot, for
/// which formatting is too slow.
fn join(first: &[&str], rest: &[&str]) -> String {
    let elements = || first.iter().chain(rest);
    let mut path = String::with_capacity(elements().map(|element| element.len() + 1).sum());
    for element in elements() {
        path.push_str(element);
        path.push('.');
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::GroupNamespace;

    fn paths(grouping: Option<bool>) -> Paths {
        let mut config = crate::testing::config();
        config.graphite.group_namespace =
            grouping.map(|double_writes| GroupNamespace { name: "flavor".to_owned(), double_writes });
        config.groups.backend = ["^a", "b"]
            .iter()
            .map(|pattern| Group { name: format!("g{pattern}"), pattern: regex::Regex::new(pattern).unwrap() })
            .collect();
        Paths::new(&config, "lb-01.example.com")
    }

    fn plain(paths: &Paths, about: About<'_>) -> Vec<String> {
        paths.of(about).plain.iter().map(|path| String::from_utf8(path.to_vec()).unwrap()).collect()
    }

    #[test]
    fn the_host_is_one_element() {
        let own = |paths: &Paths| plain(paths, About::Own).concat();
        assert_eq!(own(&paths(None)), "loadbalancers.lb-01_example_com.haproxy.haproxystats.");
        let mut config = crate::testing::config();
        config.graphite.fqdn = false;
        assert_eq!(own(&Paths::new(&config, "lb-01.example.com")), "loadbalancers.lb-01.haproxy.haproxystats.");
        config.graphite.prefix_hostname = false;
        assert_eq!(own(&Paths::new(&config, "lb-01.example.com")), "loadbalancers.haproxy.haproxystats.");
    }

    #[test]
    fn the_first_matching_group_wins_and_comes_first() {
        let base = "loadbalancers.lb-01_example_com.haproxy";
        let of = |double_writes, name| plain(&paths(double_writes), About::Backend(name));
        let (plain, grouped) = (format!("{base}.backend.ab."), format!("{base}.flavor.g^a.backend.ab."));
        assert_eq!(of(Some(true), "ab"), [grouped.clone(), plain.clone()]);
        assert_eq!(of(Some(false), "ab"), [grouped]);
        assert_eq!(of(None, "ab"), [plain]);
        assert_eq!(of(Some(false), "x"), [format!("{base}.backend.x.")]);
    }

    #[test]
    fn every_path_has_its_name_with_tags() {
        let mut config = crate::testing::config();
        (config.graphite.tagged, config.graphite.namespace) = (true, "lb.eu".to_owned());
        config.graphite.group_namespace = Some(GroupNamespace { name: "flavor".to_owned(), double_writes: true });
        config.groups.backend =
            vec![Group { name: "web.static".to_owned(), pattern: regex::Regex::new("^x$").unwrap() }];
        let mut nowhere = config.clone();
        nowhere.graphite.prefix_hostname = false;
        let [nowhere, local, far, cluster] = [
            Paths::new(&nowhere, "a"),
            Paths::new(&config, "a"),
            Paths::of_host(&config, "b.c"),
            Paths::of_cluster(&config, "edge"),
        ];
        for (paths, about, path, name) in [
            (&local, About::Frontend("www"), "lb.eu.a.haproxy.frontend.www.", "haproxy.frontend.*;host=a;frontend=www"),
            (&nowhere, About::Frontend("www"), "lb.eu.haproxy.frontend.www.", "haproxy.frontend.*;frontend=www"),
            (&local, About::Backend("w"), "lb.eu.a.haproxy.backend.w.", "haproxy.backend.*;host=a;backend=w"),
            (
                &far,
                About::Server("w", "s1"),
                "lb.eu.b_c.haproxy.backend.w.server.s1.",
                "haproxy.server.*;host=b_c;backend=w;server=s1",
            ),
            (&local, About::ServerTotal("s1"), "lb.eu.a.haproxy.server.s1.", "haproxy.servers.*;host=a;server=s1"),
            (&local, About::Daemon, "lb.eu.a.haproxy.daemon.", "haproxy.daemon.*;host=a"),
            (&local, About::Process("1"), "lb.eu.a.haproxy.daemon.process.1.", "haproxy.process.*;host=a;process=1"),
            (
                &local,
                About::Listener("www", "v4"),
                "lb.eu.a.haproxy.frontend.www.listener.v4.",
                "haproxy.listener.*;host=a;frontend=www;listener=v4",
            ),
            (
                &local,
                About::Thing(Thing::Peer, "mesh", "lb2"),
                "lb.eu.a.haproxy.peer.mesh.lb2.",
                "haproxy.peer.*;host=a;peers=mesh;peer=lb2",
            ),
            (&local, About::Thing(Thing::Pools, "", ""), "lb.eu.a.haproxy.pools.", "haproxy.pools.*;host=a"),
            (&local, About::Own, "lb.eu.a.haproxy.haproxystats.", "haproxy.haproxystats.*;host=a"),
            (
                &cluster,
                About::Backend("w"),
                "lb.eu.cluster.edge.haproxy.backend.w.",
                "haproxy.backend.*;cluster=edge;backend=w",
            ),
            (
                &local,
                About::Server("x", "~s"),
                "lb.eu.a.haproxy.flavor.web.static.backend.x.server.~s.",
                "haproxy.server.*;host=a;backend=x;server=_~s;group=web.static",
            ),
        ] {
            let prefixes = paths.of(about);
            let first = prefixes.each().next().unwrap();
            let tagged = first.tagged.unwrap();
            let with_tags = [&*tagged.name, b"*", &*tagged.tags].concat();
            assert_eq!(
                (String::from_utf8_lossy(first.plain), &*String::from_utf8_lossy(&with_tags)),
                (path.into(), name)
            );
            assert_eq!(prefixes.plain.len(), prefixes.tagged.len());
        }
    }
}
