//! What is printed.

use super::files::{Found, StatsSocket};
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// A line that haproxy.cfg, or the command line of HAProxy, lacks.
struct Lack {
    place: &'static str,
    line: String,
    why: String,
}

const GLOBAL: &str = "haproxy.cfg, section global";

/// The text of a haproxystats.conf; what HAProxy lacks is in comments at its end.
pub(super) fn advise(found: &Found) -> String {
    let chosen = chosen(found);
    let mut out = String::new();
    let files = found.read.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ");
    // Writing to a String cannot fail; so below.
    let _ =
        writeln!(out, "# For the HAProxy of {files}.\n# Printed by haproxystats-pull --setup, which changes nothing.");
    for files in &found.others {
        let files = files.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" ");
        let _ = writeln!(out, "# Another HAProxy is running; for its sockets: haproxystats-pull --setup {files}");
    }
    out.push('\n');
    out.push_str("[pull]\n");
    let servers: Vec<String> = chosen.iter().filter_map(|socket| url(&socket.address)).collect();
    if servers.is_empty() {
        out.push_str("# No stats socket is configured; this is the one proposed below.\n");
        let _ = writeln!(out, "servers = unix://{PROPOSED}");
    } else {
        for socket in &chosen {
            let level = socket.level.as_deref().unwrap_or("operator");
            let _ = writeln!(out, "# {}: stats socket {}, level {level}", socket.place, socket.address);
        }
        let _ = writeln!(out, "servers = {}", servers.join(", "));
    }
    master(found, &mut out);
    out.push_str(
        "# Counters that never decrease, even when HAProxy is reloaded or restarted.\n#continuous-counters = true\n",
    );
    out.push_str(REST);
    let lacks = lacks(found, &chosen);
    if !lacks.is_empty() {
        out.push_str("\n# What HAProxy lacks\n# -----------------\n");
    }
    for Lack { place, line, why } in lacks {
        let _ = writeln!(out, "#\n# {place}:\n#     {line}\n# {why}");
    }
    out
}

/// The line of the master's socket; a comment where haproxystats-pull could not make use of it.
fn master(found: &Found, out: &mut String) {
    let socket = found.master.as_ref().and_then(|master| Some((master, url(&master.address)?)));
    let Some((socket, address)) = socket else {
        return out.push_str("#master-sockets = unix:///run/haproxy-master.sock\n");
    };
    out.push_str("# Workers that are leaving after a reload are queried through their master until they exit.\n");
    if shut(socket, UNIT).is_some() {
        out.push_str("# First, let haproxystats-pull connect to the master: see below.\n#");
    }
    let _ = writeln!(out, "master-sockets = {address}");
}

/// Sections that do not depend on HAProxy.
const REST: &str = "
[process]
# States of servers and backends as numbers: dashboards and alerts need them.
status-metrics = true
# Means over processes are weighted by their traffic.
time-averages = weighted

[graphite]
# Where Graphite is, and the port of its line receiver: carbon listens on 2003, a carbon-c-relay of the original setup on 3002.
server = 127.0.0.1
port = 2003
";

const PROPOSED: &str = "/run/haproxy/haproxystats.sock";
/// The group of haproxystats-pull itself.
const UNIT: &str = "haproxystats";
const COMMAND_LINE: &str = "HAProxy's command line, such as EXTRAOPTS in /etc/default/haproxy";

/// One socket for each process: of several that lead to the same one, that with the fewest rights.
fn chosen(found: &Found) -> Vec<&StatsSocket> {
    let usable: Vec<&StatsSocket> = found.sockets.iter().filter(|socket| url(&socket.address).is_some()).collect();
    let rights = |socket: &&&StatsSocket| match socket.level.as_deref() {
        Some("user") => 0,
        None | Some("operator") => 1,
        _ => 2,
    };
    let of = |process: Option<&str>| {
        let same = usable.iter().filter(move |socket| socket.process.as_deref() == process);
        same.min_by_key(rights).copied()
    };
    let mut processes: Vec<Option<&str>> = usable.iter().map(|socket| socket.process.as_deref()).collect();
    processes.sort_unstable();
    processes.dedup();
    processes.into_iter().filter_map(of).collect()
}

/// An address as `[pull] servers` has it; `None` for one that cannot be connected to.
fn url(address: &str) -> Option<String> {
    if let Some(name) = address.strip_prefix("abns@") {
        return Some(format!("abns@{name}"));
    }
    if let Some(name) = address.strip_prefix("abnsz@") {
        return Some(format!("abnsz@{name}"));
    }
    let path = address.strip_prefix("unix@").unwrap_or(address);
    if path.starts_with('/') {
        return Some(format!("unix://{path}"));
    }
    let tcp = address.strip_prefix("ipv4@").or_else(|| address.strip_prefix("ipv6@")).unwrap_or(address);
    let (host, port) = tcp.rsplit_once(':')?;
    let port: u16 = port.parse().ok()?;
    let host = match host {
        "" | "*" | "0.0.0.0" => "127.0.0.1",
        "::" | "[::]" => "[::1]",
        host => host,
    };
    let bracketed = if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.to_owned() };
    (!bracketed.contains('@')).then(|| format!("tcp://{bracketed}:{port}"))
}

fn lacks(found: &Found, chosen: &[&StatsSocket]) -> Vec<Lack> {
    let group = found.group.as_deref().unwrap_or("haproxy");
    let processes = found.nbproc.unwrap_or(1);
    let mut lacks = Vec::new();
    let mut lack = |place, line: String, why: String| lacks.push(Lack { place, line, why });
    if processes > 1 {
        let covered =
            |number: u32| chosen.iter().any(|socket| socket.process.as_deref() == Some(number.to_string().as_str()));
        for number in (1..=processes).filter(|number| !covered(*number)) {
            let line =
                format!("stats socket /run/haproxy/{number}.sock mode 660 group {group} level user process {number}");
            lack(
                GLOBAL,
                line,
                format!(
                    "With nbproc {processes}, each process needs its own socket: a connection to a shared one reaches \
                     any of them."
                ),
            );
        }
    } else if chosen.is_empty() {
        let line = format!("stats socket {PROPOSED} mode 660 group {group} level user");
        lack(GLOBAL, line, "There is no stats socket for haproxystats-pull to query; level user is enough.".to_owned());
    }
    for socket in chosen {
        if let Some(why) = shut(socket, group) {
            lack(GLOBAL, with_group(socket, group), why);
        }
    }
    for socket in chosen.iter().filter(|socket| is_open(&socket.address)) {
        let port = socket.address.rsplit(':').next().unwrap_or_default();
        let line = format!("stats socket ipv4@127.0.0.1:{port} level user");
        lack(GLOBAL, line, format!("{} is open to every host and not encrypted ({}).", socket.address, socket.place));
    }
    lacks_of_master(found, &mut lack);
    if found.conditions {
        let why = "The conditions were not evaluated: all lines inside them are assumed to apply.";
        lack("haproxy.cfg has .if", "(nothing to add)".to_owned(), why.to_owned());
    }
    for name in &found.environment.missing {
        let why =
            format!("${name} is not set here; run --setup again with the value that HAProxy has in its environment.");
        lack("the environment", format!("{name}=…"), why);
    }
    lacks
}

/// The option with which haproxystats-pull may ask the master, if that is missing.
fn lacks_of_master(found: &Found, lack: &mut impl FnMut(&'static str, String, String)) {
    let (address, reason) = match &found.master {
        None if found.master_worker => ("/run/haproxy-master.sock", "There is no socket of the master".to_owned()),
        None => return,
        Some(master) => match shut(master, UNIT) {
            Some(reason) => (master.address.as_str(), reason.trim_end_matches('.').to_owned()),
            None => return,
        },
    };
    let why = format!(
        "{reason}: the traffic of workers that are leaving after a reload is not counted. Access to the master amounts \
         to administrator rights, hence the group of haproxystats alone, which must exist. Restart HAProxy."
    );
    lack(COMMAND_LINE, format!("-S {address},mode,660,group,{UNIT}"), why);
}

/// Why a UNIX socket is shut to haproxystats-pull, if it is.
fn shut(socket: &StatsSocket, group: &str) -> Option<String> {
    if !socket.address.contains('/') {
        return None;
    }
    let (of_group, of_others) = writers(socket.mode.as_deref());
    let why = if !of_group && !of_others {
        "Only its owner may connect"
    } else if !of_others && socket.group.is_none() && !inherits_group(&socket.address) {
        "Without a group, it belongs to the group of the user who starts HAProxy, usually root"
    } else {
        return None;
    };
    // The unit names the first, the second is its own.
    let join = if matches!(group, "haproxy" | UNIT) {
        String::new()
    } else {
        format!(" Add the user haproxystats to the group: usermod -a -G {group} haproxystats.")
    };
    Some(format!("{why} ({}).{join}", socket.place))
}

/// Whether a mode lets the group connect, and everybody. Without one, HAProxy's umask decides, which usually lets neither.
fn writers(mode: Option<&str>) -> (bool, bool) {
    let mode = mode.and_then(|mode| u32::from_str_radix(mode, 8).ok()).unwrap_or_default();
    (mode & 0o020 != 0, mode & 0o002 != 0)
}

/// Whether a socket gets the group of its directory, as in Debian's /run/haproxy; also of one that is not there.
fn inherits_group(address: &str) -> bool {
    let path = Path::new(address.strip_prefix("unix@").unwrap_or(address));
    let mode = path.parent().and_then(|directory| fs::metadata(directory).ok()).map(|found| found.mode());
    mode.is_none_or(|mode| mode & 0o2000 != 0)
}

/// The line of a socket with a mode and a group that let haproxystats-pull connect.
fn with_group(socket: &StatsSocket, group: &str) -> String {
    let mut words = socket.line.split(' ');
    let mut line = String::new();
    while let Some(word) = words.next() {
        if matches!(word, "mode" | "group" | "gid") {
            words.next();
            continue;
        }
        let _ = write!(line, "{word} ");
    }
    let _ = write!(line, "mode 660 group {group}");
    line
}

/// Whether a TCP socket listens at more than loopback.
fn is_open(address: &str) -> bool {
    let bare = address.strip_prefix("ipv4@").or_else(|| address.strip_prefix("ipv6@")).unwrap_or(address);
    let host = bare.rsplit_once(':').map_or("", |(host, _)| host);
    let is_local = host.starts_with("127.") || matches!(host, "::1" | "[::1]" | "localhost");
    !is_local && !bare.contains(['/', '@'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_become_urls() {
        for (address, wanted) in [
            ("/run/a.sock", Some("unix:///run/a.sock")),
            ("unix@/run/a.sock", Some("unix:///run/a.sock")),
            ("abns@a", Some("abns@a")),
            ("ipv4@127.0.0.1:9999", Some("tcp://127.0.0.1:9999")),
            ("*:9999", Some("tcp://127.0.0.1:9999")),
            (":::9999", Some("tcp://[::1]:9999")),
            ("ipv6@::1:9999", Some("tcp://[::1]:9999")),
            ("fd@3", None),
            ("sockpair@4", None),
        ] {
            assert_eq!(url(address).as_deref(), wanted, "{address}");
        }
        assert!(is_open("*:9999") && is_open("10.0.0.1:1") && !is_open("ipv4@127.0.0.1:1") && !is_open("/a:1"));
    }

    #[test]
    fn of_several_sockets_of_a_process_one_is_chosen() {
        let socket = |address: &str, level: &str| StatsSocket {
            address: address.to_owned(),
            level: Some(level.to_owned()),
            ..StatsSocket::default()
        };
        let found = Found {
            sockets: vec![socket("/a", "admin"), socket("/b", "user"), socket("/c", "operator")],
            ..Found::default()
        };
        let chosen: Vec<&str> = chosen(&found).iter().map(|socket| socket.address.as_str()).collect();
        assert_eq!(chosen, ["/b"]);
    }
}
