//! Paths of objects: `<namespace>[.<host>].haproxy[.<group-namespace>.<group>].<kind>.<name>[...].`

use crate::config::{Config, Group};
use crate::haproxy::columns::Kind;
use crate::names::{base, sanitize};

/// Knows the fixed part of every path, and the groups.
#[derive(Debug, Clone)]
pub struct Paths {
    /// `<namespace>[.<host>].haproxy`
    base: String,
    groups: [Vec<Group>; 3],
    /// Name of the group namespace, and whether the plain path is sent as well.
    grouping: Option<(String, bool)>,
}

impl Paths {
    /// For this configuration; `hostname` is what gethostname(2) says.
    #[must_use]
    pub fn new(config: &Config, hostname: &str) -> Self {
        let graphite = &config.graphite;
        let base = base(graphite, hostname);
        let groups = [config.groups.frontend.clone(), config.groups.backend.clone(), config.groups.server.clone()];
        let grouping = graphite.group_namespace.as_ref().map(|group| (group.name.clone(), group.double_writes));
        Self { base, groups, grouping }
    }

    /// The paths of another host, by its name as it is written.
    #[must_use]
    pub fn of_host(config: &Config, host: &str) -> Self {
        let base = format!("{}.{}.haproxy", config.graphite.namespace, sanitize(host.as_bytes()));
        Self { base, ..Self::new(config, "") }
    }

    /// The paths of a cluster: `<namespace>.cluster.<name>.haproxy`.
    #[must_use]
    pub fn of_cluster(config: &Config, cluster: &str) -> Self {
        let base = format!("{}.cluster.{}.haproxy", config.graphite.namespace, sanitize(cluster.as_bytes()));
        Self { base, ..Self::new(config, "") }
    }

    /// `<base>.haproxystats.`
    #[must_use]
    pub fn own(&self) -> String {
        format!("{}.haproxystats.", self.base)
    }

    /// `<base>.daemon.`
    #[must_use]
    pub fn daemon(&self) -> String {
        format!("{}.daemon.", self.base)
    }

    /// `<base>.daemon.process.<process>.`
    #[must_use]
    pub fn process(&self, process: &str) -> String {
        format!("{}.daemon.process.{process}.", self.base)
    }

    /// Where the metrics of an object go: `suffix` are the elements that follow the fixed part or the group, `name` is what
    /// the patterns of `kind` are searched in. The path of the group comes first; the plain path stands alone where no
    /// pattern matches, and beside it with double writes.
    #[must_use]
    pub fn of(&self, kind: Kind, name: &str, suffix: &[&str]) -> Vec<String> {
        let plain = || join(&[&self.base], suffix);
        let groups = self.groups.get(kind as usize).map_or(&[][..], Vec::as_slice);
        match (&self.grouping, groups.iter().find(|group| group.pattern.is_match(name))) {
            (Some((namespace, double_writes)), Some(group)) => {
                let grouped = join(&[&self.base, namespace, &group.name], suffix);
                if *double_writes { vec![grouped, plain()] } else { vec![grouped] }
            }
            _ => vec![plain()],
        }
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

    #[test]
    fn the_host_is_one_element() {
        assert_eq!(paths(None).own(), "loadbalancers.lb-01_example_com.haproxy.haproxystats.");
        let mut config = crate::testing::config();
        config.graphite.fqdn = false;
        assert_eq!(Paths::new(&config, "lb-01.example.com").own(), "loadbalancers.lb-01.haproxy.haproxystats.");
        config.graphite.prefix_hostname = false;
        assert_eq!(Paths::new(&config, "lb-01.example.com").own(), "loadbalancers.haproxy.haproxystats.");
    }

    #[test]
    fn the_first_matching_group_wins_and_comes_first() {
        let base = "loadbalancers.lb-01_example_com.haproxy";
        let (plain, grouped) = (format!("{base}.backend.ab."), format!("{base}.flavor.g^a.backend.ab."));
        assert_eq!(paths(Some(true)).of(Kind::Backend, "ab", &["backend", "ab"]), [grouped.clone(), plain.clone()]);
        assert_eq!(paths(Some(false)).of(Kind::Backend, "ab", &["backend", "ab"]), [grouped]);
        assert_eq!(paths(None).of(Kind::Backend, "ab", &["backend", "ab"]), [plain]);
        assert_eq!(paths(Some(false)).of(Kind::Backend, "x", &["backend", "x"]), [format!("{base}.backend.x.")]);
    }
}
