//! Servers from a file: JSON, or one server in each line.
//!
//! ```text
//! # address[:port] [id=…] [name=…] [group=…] [zone=…] [weight=50%] [state=in-service|pending|leaving|unhealthy]
//! 10.0.0.1
//! [2001:db8::1]:8080 group=blue weight=50%
//! ```
//!
//! The JSON is an array of objects with these members: `address` (or `addresses`), `port`, `id`, `name`, `group`,
//! `zone`, `weight` (percent), `state`. A writer replaces the file by a rename; one that is caught half-written
//! is an error, and so is one without a single server: `[]` says that there is none.
//!
//! A group that a backend of the configuration asks for and that the file does not mention has failed, unless the
//! configuration says `allow-empty`: its servers stay. `state=leaving` takes them out, and `[]` everybody.

use super::interface::{Source, SourceError};
use super::listing::{FailedGroup, Instance, Life, Listing};
use crate::discovery::hint::Hint;
use crate::net::unbracketed;
use async_trait::async_trait;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

pub(super) struct SourceFile {
    path: PathBuf,
    named: BTreeSet<String>,
}

impl SourceFile {
    /// `named`: groups that have to be in it.
    pub(super) fn open(path: PathBuf, named: impl IntoIterator<Item = String>) -> Self {
        Self { path, named: named.into_iter().collect() }
    }

    /// The groups of the configuration that are missing.
    fn unmentioned(&self, instances: &[Instance]) -> Vec<FailedGroup> {
        if instances.is_empty() {
            // Nobody at all, in so many words.
            return Vec::new();
        }
        let missing = self.named.iter().filter(|group| instances.iter().all(|instance| instance.group != **group));
        let reason = || format!("no server in {} belongs to this group", self.path.display());
        missing.map(|group| FailedGroup { group: group.clone(), reason: reason() }).collect()
    }
}

#[async_trait(?Send)]
impl Source for SourceFile {
    async fn list(&mut self, _: Option<Duration>) -> Result<Listing, SourceError> {
        let failed = |source| SourceError::File { path: self.path.clone(), source };
        let text = std::fs::read_to_string(&self.path).map_err(failed)?;
        let what = self.path.display().to_string();
        let instances = parse(&text).map_err(|reason| SourceError::Content { what, reason })?;
        Ok(Listing { failed: self.unmentioned(&instances), ..Listing::now(instances) })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    id: Option<String>,
    name: Option<String>,
    address: Option<IpAddr>,
    #[serde(default)]
    addresses: Vec<IpAddr>,
    port: Option<u16>,
    #[serde(default)]
    group: String,
    #[serde(default)]
    zone: String,
    weight: Option<u32>,
    state: Option<String>,
}

pub(super) fn parse(text: &str) -> Result<Vec<Instance>, String> {
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    let mut lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')).peekable();
    if lines.peek().is_none() {
        return Err("it contains no servers; write [] if there are to be none".to_owned());
    }
    if text.trim_start().starts_with('[') && serde_json::from_str::<serde_json::Value>(text).is_ok() {
        let all: Vec<Written> = serde_json::from_str(text).map_err(|error| error.to_string())?;
        return all
            .into_iter()
            .enumerate()
            .map(|(index, one)| instance(one).map_err(|e| format!("server {}: {e}", index + 1)))
            .collect();
    }
    // An address of IPv6 begins with a bracket as well, but no line of such a file ends with a comma or a brace.
    if text.trim_start().starts_with("[{") || text.trim() == "[" {
        return Err("it is not JSON".to_owned());
    }
    lines.map(|(number, text)| line(text).and_then(instance).map_err(|e| format!("line {number}: {e}"))).collect()
}

fn line(text: &str) -> Result<Written, String> {
    let mut words = text.split_whitespace();
    let place = words.next().unwrap_or_default();
    let bare = unbracketed(place);
    let (address, port) = match (bare.parse::<IpAddr>(), place.parse::<SocketAddr>()) {
        (Ok(address), _) => (address, None),
        (_, Ok(both)) => (both.ip(), Some(both.port())),
        _ => return Err(format!("{place:?} is not an address; write 10.0.0.1, 10.0.0.1:8080 or [2001:db8::1]:8080")),
    };
    let mut written = Written {
        id: None,
        name: None,
        address: Some(address),
        addresses: Vec::new(),
        port,
        group: String::new(),
        zone: String::new(),
        weight: None,
        state: None,
    };
    for word in words {
        let (name, value) = word.split_once('=').ok_or_else(|| format!("{word:?} is not name=value"))?;
        match name {
            "id" => written.id = Some(value.to_owned()),
            "name" => written.name = Some(value.to_owned()),
            "group" | "asg" => value.clone_into(&mut written.group),
            "zone" => value.clone_into(&mut written.zone),
            "weight" => {
                let percent = value.strip_suffix('%').and_then(|number| number.parse().ok());
                written.weight =
                    Some(percent.ok_or_else(|| format!("{value:?} is not a weight; write for example 50%"))?);
            }
            "state" => written.state = Some(value.to_owned()),
            _ => return Err(format!("{name:?} is unknown; use id, name, group, zone, weight or state")),
        }
    }
    Ok(written)
}

fn instance(written: Written) -> Result<Instance, String> {
    let mut addresses: Vec<IpAddr> = written.address.into_iter().chain(written.addresses).collect();
    addresses.dedup();
    let Some(first) = addresses.first() else { return Err("it has no address".to_owned()) };
    if written.port == Some(0) {
        return Err("0 is not a port".to_owned());
    }
    let port = written.port.map_or_else(String::new, |port| format!(":{port}"));
    let id = written.id.unwrap_or_else(|| format!("{first}{port}"));
    let (healthy, life) = match written.state.as_deref() {
        None | Some("in-service") => (true, Life::InService),
        Some("pending") => (true, Life::Pending),
        Some("leaving") => (true, Life::Leaving),
        Some("unhealthy") => (false, Life::InService),
        Some(other) => {
            return Err(format!("{other:?} is not a state; write in-service, pending, leaving or unhealthy"));
        }
    };
    Ok(Instance {
        name: written.name.unwrap_or_else(|| id.clone()),
        id,
        addresses,
        port: written.port,
        group: written.group,
        zone: written.zone,
        healthy,
        life,
        hint: written.weight.map_or(Hint::FULL, Hint::percent),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_json_say_the_same() {
        let lines =
            "# web\n10.0.0.1\n\n[2001:db8::1]:8080 id=b name=web-b group=blue zone=z weight=50% state=leaving\n::1\n";
        let json = r#"[{"address": "10.0.0.1"}, {"addresses": ["2001:db8::1"], "port": 8080, "id": "b", "name": "web-b",
            "group": "blue", "zone": "z", "weight": 50, "state": "leaving"}, {"address": "::1"}]"#;
        let instances = parse(lines).unwrap();
        assert_eq!(parse(json).unwrap(), instances);
        assert_eq!(
            (instances[0].id.as_str(), instances[0].hint, instances[0].life),
            ("10.0.0.1", Hint::FULL, Life::InService)
        );
        assert_eq!((instances[1].port, instances[1].life), (Some(8080), Life::Leaving));
        assert_eq!(parse("[::1]:80\n").unwrap()[0].id, "::1:80");
        assert_eq!(parse("[]").unwrap(), []);
    }

    #[test]
    fn what_is_half_written_is_an_error_and_no_empty_list() {
        for text in [
            "",
            "\n",
            "# 10.0.0.1\n\n",
            "[",
            "[{\"address\": \"10.0.0.1\"}, {\"addr",
            "10.0.0.1\n10.0.0",
            "10.0.0.1 x",
            "web:80",
            "[{\"address\": \"10.0.0.1\", \"prot\": 1}]",
            "[{\"port\": 1}]",
            "10.0.0.1:0",
            "10.0.0.1 weight=5",
            "10.0.0.1 state=up",
        ] {
            assert!(parse(text).is_err(), "{text:?} gives {:?}", parse(text));
        }
        assert!(parse("10.0.0.1\n10.0.0").unwrap_err().starts_with("line 2: "));
    }
}
