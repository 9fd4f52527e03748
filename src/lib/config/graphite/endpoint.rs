//! `servers`: where Graphite listens.

use crate::config::reading::Refusal;
use crate::config::value;

/// A Graphite server or relay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Name, IPv4 or IPv6 address, without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Tells servers of the same host apart in the hash, as in the configurations of carbon and its relays.
    pub instance: Option<String>,
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { host, port, .. } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

/// `host[:port][=instance]`, separated by commas.
pub(super) fn endpoints(text: &str, port: u16) -> Result<Vec<Endpoint>, Refusal> {
    let mut all: Vec<Endpoint> = Vec::new();
    for element in text.split(',').map(str::trim) {
        let new = endpoint(element, port).map_err(|refusal| format!("{element:?}: {refusal}"))?;
        if all.contains(&new) {
            return Err(format!("{element:?} is listed twice; remove one"));
        }
        all.push(new);
    }
    Ok(all)
}

fn endpoint(text: &str, default_port: u16) -> Result<Endpoint, Refusal> {
    const RIGHT: &str = "write host:port, such as graphite-1:2003, or host:port=instance";
    let (address, instance) = match text.split_once('=') {
        Some((address, instance)) => (address.trim_end(), Some(instance.trim_start().to_owned())),
        None => (text, None),
    };
    let named = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if instance.as_ref().is_some_and(|name| name.is_empty() || !name.chars().all(named)) {
        return Err(format!("an instance may contain letters, digits, dots, - and _; {RIGHT}"));
    }
    let bare = value::host(address).is_ok();
    let (host, port) = match address.rsplit_once(':').filter(|_| !bare) {
        Some((host, port)) => (host, value::port(port)?),
        None => (address, default_port),
    };
    let bracketed = host.starts_with('[');
    let host = value::host(host).map_err(|_| format!("neither a name nor an address; {RIGHT}"))?;
    if host.contains(':') && !bracketed {
        return Err("an IPv6 address without brackets; write [::1]:2003".to_owned());
    }
    Ok(Endpoint { host, port, instance })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(host: &str, port: u16, instance: Option<&str>) -> Endpoint {
        Endpoint { host: host.to_owned(), port, instance: instance.map(str::to_owned) }
    }

    #[test]
    fn servers_in_all_forms() {
        let text = "graphite-1:2003, 10.0.0.1 ,[::1]:2004=a, [fe80::1], b:2003=b";
        let all = [
            endpoint("graphite-1", 2003, None),
            endpoint("10.0.0.1", 3002, None),
            endpoint("::1", 2004, Some("a")),
            endpoint("fe80::1", 3002, None),
            endpoint("b", 2003, Some("b")),
        ];
        assert_eq!(endpoints(text, 3002).unwrap(), all);
        assert_eq!(all[2].to_string(), "[::1]:2004");
    }

    #[test]
    fn servers_that_cannot_be_right() {
        for (text, words) in [
            ("", "neither"),
            ("a:2003,", "neither"),
            ("a:2003,a:2003", "twice"),
            ("a:0", "write"),
            ("a:x", "write"),
            ("::1", "without brackets"),
            ("::1:2003", "without brackets"),
            ("a:2003=", "instance"),
            ("a:2003='x", "instance"),
            ("tcp://a:2003", "neither"),
            ("a b:2003", "neither"),
        ] {
            let refusal = endpoints(text, 3002).unwrap_err();
            assert!(refusal.contains(words), "{text:?}: {refusal}");
        }
    }
}
