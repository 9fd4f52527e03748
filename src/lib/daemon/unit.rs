//! What systemd knows of a program's unit.

use std::path::Path;
use std::process::{Command, Stdio};

/// With which rights systemd runs a program.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unit {
    /// `haproxystats-pull.service`
    pub(crate) name: String,
    /// `User=`, never empty.
    pub(crate) user: String,
    /// `Group=`, or the group of the user.
    group: String,
    /// `SupplementaryGroups=`
    groups: Vec<String>,
}

impl Unit {
    /// The unit of a program that runs with this configuration file. `None` without systemd, and where the unit does not exist, has
    /// another configuration file, or runs as root.
    pub(crate) fn of(program: &str, file: &Path) -> Option<Self> {
        let name = format!("{program}.service");
        let mut command = Command::new("systemctl");
        for property in ["User", "Group", "SupplementaryGroups", "ExecStart"] {
            command.arg(format!("--property={property}"));
        }
        command.args(["show", &name]).stdin(Stdio::null()).stderr(Stdio::null());
        let output = command.output().ok()?;
        Self::read(name, &String::from_utf8_lossy(&output.stdout), file)
    }

    /// What `systemctl show` prints of it.
    fn read(name: String, shown: &str, file: &Path) -> Option<Self> {
        let value = |property: &str| shown.lines().find_map(|line| line.strip_prefix(property)?.strip_prefix('='));
        let words: Vec<&str> = value("ExecStart")?.split_whitespace().collect();
        let user = value("User").filter(|user| !user.is_empty() && *user != "root")?.to_owned();
        let group = value("Group").filter(|group| !group.is_empty()).map(str::to_owned);
        let group = group.or_else(|| group_of(&user)).unwrap_or_else(|| user.clone());
        let groups = value("SupplementaryGroups").unwrap_or_default().split_whitespace().map(str::to_owned).collect();
        words.iter().any(|word| Path::new(word) == file).then_some(Self { name, user, group, groups })
    }

    /// A command line that does what these words do with the rights of the unit.
    pub(crate) fn with_its_rights(&self, words: &str) -> String {
        // Without -g, the first of the other groups would take the place of the user's own.
        let groups: String = self.groups.iter().map(|group| format!(" -G {group}")).collect();
        format!("runuser -u {} -g {}{groups} -- {words}", self.user, self.group)
    }
}

/// The name of a user's group.
fn group_of(user: &str) -> Option<String> {
    let user = nix::unistd::User::from_name(user).ok()??;
    Some(nix::unistd::Group::from_gid(user.gid).ok()??.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_of_another_file_or_of_root_does_not_count() {
        let shown = |user: &str| {
            let start = "{ path=/usr/bin/p ; argv[]=/usr/bin/p -f /etc/p.conf ; ignore_errors=no ; pid=0 }";
            format!("ExecStart={start}\nUser={user}\nSupplementaryGroups=haproxy adm\n")
        };
        let read = |user: &str, file: &str| Unit::read("p.service".to_owned(), &shown(user), Path::new(file));
        // A user that does not exist, one with a group of another name, and a unit that names one.
        for (user, group) in [("stats", "stats"), ("games", "games"), ("sync", "nogroup"), ("sync\nGroup=lb", "lb")] {
            let unit = read(user, "/etc/p.conf").unwrap();
            let user = user.lines().next().unwrap();
            let wanted = format!("runuser -u {user} -g {group} -G haproxy -G adm -- p --check");
            assert_eq!(unit.with_its_rights("p --check"), wanted);
        }
        assert_eq!(
            (read("stats", "/etc/q.conf"), read("root", "/etc/p.conf"), read("", "/etc/p.conf")),
            (None, None, None)
        );
        assert_eq!(Unit::read("p.service".to_owned(), "User=\nSupplementaryGroups=\n", Path::new("/etc/p.conf")), None);
    }
}
