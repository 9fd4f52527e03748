//! Names: of hosts, files and the paths of Graphite.

use crate::config::reading::Refusal;
use crate::net::unbracketed;
use crate::secrets::CREDENTIALS;
use std::net::{IpAddr, Ipv6Addr};
use std::path::{Path, PathBuf};

/// An address to listen at; brackets around one of IPv6 are taken off.
pub(crate) fn address(text: &str) -> Result<IpAddr, Refusal> {
    let address = unbracketed(text).parse();
    address.map_err(|_| "not an address; write 0.0.0.0, ::, or an address of this host".to_owned())
}

/// A path, not empty. A null byte cannot be part of a file's name.
pub(crate) fn path(text: &str) -> Result<PathBuf, Refusal> {
    if text.is_empty() {
        return Err("empty; write a path, such as /var/lib/haproxystats, or remove the line".to_owned());
    }
    // A name may hold nearly anything, but one that begins with a quote is a path in quotes.
    if text.contains(['\0', '\n']) || text.starts_with(['"', '\'']) {
        return Err("not a path; write a single path on one line".to_owned());
    }
    Ok(text.into())
}

/// What begins the name of a credential of systemd, in place of the path of a file.
const CREDENTIAL: &str = "credential:";

/// A file; `credential:NAME` is one that systemd has for the unit (LoadCredential=).
pub(crate) fn file(text: &str) -> Result<PathBuf, Refusal> {
    let Some(name) = text.strip_prefix(CREDENTIAL) else { return path(text) };
    if name.is_empty() || name.starts_with('.') || name.contains(['/', '\0', '\n']) {
        return Err("not a credential; write credential: followed by a name from LoadCredential=".to_owned());
    }
    Ok(credential(name, std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from), Path::new(CREDENTIALS)))
}

/// The directory with the credentials of the unit, if systemd hides it from this process. Version 252 does so with the
/// commands of `ExecReload=`, though not with the program that they reload.
#[must_use]
pub(crate) fn hidden_credentials() -> Option<PathBuf> {
    let own = PathBuf::from(std::env::var_os("CREDENTIALS_DIRECTORY")?);
    std::fs::metadata(&own).is_err().then_some(own)
}

/// Where a credential is: in the directory that systemd names, or, for who checks a configuration by hand, in that of a unit
/// that runs. Where it is in none, the reader of the file says so.
fn credential(name: &str, own: Option<PathBuf>, all: &Path) -> PathBuf {
    if let Some(own) = own {
        return own.join(name);
    }
    let units = ["pull", "process", "agent", "discovery-server", "discovery-client"];
    let mut found = units.iter().map(|unit| all.join(format!("haproxystats-{unit}.service")).join(name));
    found.find(|path| path.exists()).unwrap_or_else(|| all.join(name))
}

/// Elements of a Graphite path, such as `loadbalancers` or `lb.europe`.
pub(crate) fn namespace(text: &str) -> Result<String, Refusal> {
    if text.is_empty() {
        return Err("empty; write the first element of the paths, such as loadbalancers".to_owned());
    }
    if let Some(bad) = text.chars().find(|c| c.is_whitespace() || c.is_control() || *c == ';') {
        return Err(format!("{bad:?} cannot be part of a Graphite path; write letters, digits, dots, - and _"));
    }
    if text.split('.').any(str::is_empty) {
        return Err("a dot must be between two names; write for example lb.europe".to_owned());
    }
    Ok(text.to_owned())
}

/// A host: name, IPv4 or IPv6 address; brackets around an IPv6 address are taken off.
pub(crate) fn host(text: &str) -> Result<String, Refusal> {
    let bare = unbracketed(text);
    if bare.is_empty() {
        return Err("empty; write a name or an address, such as 127.0.0.1".to_owned());
    }
    let address = bare.parse::<Ipv6Addr>().is_ok();
    let scoped = bare.split_once('%').is_some_and(|(ip, zone)| {
        ip.parse::<Ipv6Addr>().is_ok() && !zone.is_empty() && !zone.contains(char::is_whitespace)
    });
    if address || scoped {
        return Ok(bare.to_owned());
    }
    if bare.contains(':') {
        return Err("neither a name nor an address; set the port in the option port".to_owned());
    }
    if bare.len() > 253
        || bare != text
        || bare.contains(|c: char| !(c.is_alphanumeric() || matches!(c, '-' | '_' | '.')))
    {
        return Err("neither a name nor an address; write for example graphite.example.com or 127.0.0.1".to_owned());
    }
    Ok(bare.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_paths_in_graphite() {
        assert_eq!(host("[::1]").as_deref(), Ok("::1"));
        assert_eq!(host("fe80::1%eth0").as_deref(), Ok("fe80::1%eth0"));
        assert_eq!(host("carbon-1.example.com").as_deref(), Ok("carbon-1.example.com"));
        for bad in ["", "a:2003", "tcp://a", "a b", "[a]", "[]"] {
            assert!(host(bad).is_err(), "{bad:?}");
        }
        assert!(namespace("lb.europe").is_ok());
        for bad in ["", "a b", "a..b", ".a", "a\nb", "a;b=c"] {
            assert!(namespace(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_zone_is_part_of_an_ipv6_address_only() {
        for bad in ["fe80::1%", "fe80::1%a b", "127.0.0.1%lo", "name%lo"] {
            assert!(host(bad).is_err(), "{bad:?}");
        }
        assert_eq!(address("[::1]"), Ok(IpAddr::from(Ipv6Addr::LOCALHOST)));
        assert!(address("localhost").is_err() && address("").is_err());
    }

    #[test]
    fn credentials_are_where_systemd_puts_them() {
        assert_eq!(file("/etc/x"), Ok("/etc/x".into()));
        for bad in ["credential:", "credential:a/b", "credential:.."] {
            assert!(file(bad).is_err(), "{bad}");
        }
        let root = tempfile::tempdir().unwrap();
        assert_eq!(credential("x", Some("/own".into()), root.path()), Path::new("/own/x"));
        assert_eq!(credential("x", None, root.path()), root.path().join("x"));
        let unit = root.path().join("haproxystats-agent.service");
        std::fs::create_dir(&unit).unwrap();
        std::fs::write(unit.join("x"), "").unwrap();
        assert_eq!(credential("x", None, root.path()), unit.join("x"));
    }
}
