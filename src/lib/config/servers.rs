//! `[pull] servers`: URLs of HAProxy's stats sockets, separated by commas.

use super::reading::Refusal;
use crate::haproxy::address::Address;
use std::net::Ipv6Addr;

/// Reads the whole list. The order is kept, and what is written twice is taken once.
///
/// # Errors
/// The first element that cannot be read, and what would be right.
pub(super) fn servers(text: &str) -> Result<Vec<Address>, Refusal> {
    if text.is_empty() {
        return Err("empty; write URLs such as unix:///run/haproxy.sock, or remove the line".to_owned());
    }
    let mut all = Vec::new();
    let elements: Vec<&str> = text.split(',').map(str::trim).collect();
    let last = elements.len();
    for (index, element) in elements.into_iter().enumerate() {
        if element.is_empty() {
            let place = match index + 1 {
                at if at == last => "at the end",
                1 => "at the start",
                _ => "next to another",
            };
            return Err(format!("a comma {place} separates nothing; remove it"));
        }
        let server = server(element).map_err(|refusal| format!("{element:?} is {refusal}"))?;
        if !all.contains(&server) {
            all.push(server);
        }
    }
    Ok(all)
}

fn server(url: &str) -> Result<Address, Refusal> {
    // As HAProxy writes them. The scheme is a word, the name is as it is.
    for (prefix, ends) in [("abns@", false), ("abnsz@", true), ("abns://", false), ("abnsz://", true)] {
        if let Some(name) = url.strip_prefix(prefix) {
            return abstract_name(name, ends);
        }
    }
    let Some((scheme, rest)) = url.split_once(':') else {
        return Err("not a URL; write unix:///path or tcp://host:port".to_owned());
    };
    match scheme.to_ascii_lowercase().as_str() {
        "unix" => unix(rest),
        "tcp" => tcp(rest),
        _ => Err("of an unknown kind; write unix:///path, tcp://host:port or abns@name".to_owned()),
    }
}

fn abstract_name(name: &str, ends: bool) -> Result<Address, Refusal> {
    if name.is_empty() {
        return Err("without a name; write abns@name, as HAProxy does".to_owned());
    }
    // sun_path holds 108 bytes, the first of which is 0.
    if name.len() > 107 || name.contains(|c: char| c.is_control() || c.is_whitespace()) {
        return Err("not a name of a socket; it may have at most 107 bytes and no spaces".to_owned());
    }
    Ok(Address::Abstract { name: name.to_owned(), ends })
}

fn unix(rest: &str) -> Result<Address, Refusal> {
    let path = rest.strip_prefix("//").unwrap_or(rest);
    if path.is_empty() {
        return Err("without a path; write unix:///path".to_owned());
    }
    if !path.starts_with('/') {
        return Err("not an absolute path; write three slashes, as in unix:///run/haproxy.sock".to_owned());
    }
    if path.contains(['\0', '\n']) {
        return Err("not a path; write a single path on one line".to_owned());
    }
    if path.ends_with('/') {
        return Err("a directory; write the path of a socket, or use socket-dir for the directory".to_owned());
    }
    // sun_path holds 108 bytes, one of which ends the text.
    if path.len() > 107 {
        return Err("too long for a UNIX socket; the path may have 107 bytes".to_owned());
    }
    Ok(Address::Unix(path.into()))
}

fn tcp(rest: &str) -> Result<Address, Refusal> {
    const RIGHT: &str = "write tcp://host:port, such as tcp://127.0.0.1:5555 or tcp://[::1]:5555";
    let Some(authority) = rest.strip_prefix("//") else {
        return Err(format!("not a URL; {RIGHT}"));
    };
    let authority = authority.strip_suffix('/').unwrap_or(authority);
    if authority.contains(['/', '?', '#', '@']) {
        return Err(format!("more than a host and a port; {RIGHT}"));
    }
    let (host, port) = match authority.strip_prefix('[') {
        Some(inner) => {
            let Some((address, tail)) = inner.split_once(']') else {
                return Err(format!("missing the closing bracket; {RIGHT}"));
            };
            let bare = address.split_once('%').map_or(address, |(ip, _)| ip);
            if bare.parse::<Ipv6Addr>().is_err() {
                return Err(format!("without an IPv6 address in its brackets; {RIGHT}"));
            }
            (address, tail.strip_prefix(':'))
        }
        None if authority.matches(':').count() > 1 => {
            return Err(format!("an IPv6 address without brackets; {RIGHT}"));
        }
        None => authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
    };
    if host.is_empty() {
        return Err(format!("without a host; {RIGHT}"));
    }
    let name = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | ':' | '%');
    if host.len() > 253 || !host.chars().all(name) {
        return Err(format!("without a valid host name; {RIGHT}"));
    }
    let Some(port) = port.filter(|port| !port.is_empty()) else {
        return Err(format!("without a port; {RIGHT}"));
    };
    match super::value::integer(port).map(u16::try_from) {
        Some(Ok(port)) if port > 0 => Ok(Address::Tcp { host: host.to_ascii_lowercase(), port }),
        Some(_) => Err("with a port out of range; ports are 1 to 65535".to_owned()),
        None => Err(format!("with a port that is not a number; {RIGHT}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp_address(host: &str, port: u16) -> Address {
        Address::Tcp { host: host.to_owned(), port }
    }

    #[test]
    fn all_forms() {
        let text = "unix:///run/a.sock , tcp://Foo.bar.com:4444,\n tcp://[fe80::1%eth0]:1,TCP://127.0.0.1:65535/";
        let all = [
            Address::Unix("/run/a.sock".into()),
            tcp_address("foo.bar.com", 4444),
            tcp_address("fe80::1%eth0", 1),
            tcp_address("127.0.0.1", 65535),
        ];
        assert_eq!(servers(text).unwrap(), all);
        let abstracts = [("haproxy/1", false), ("x.sock", true), ("a", false)];
        let abstracts = abstracts.map(|(name, ends)| Address::Abstract { name: name.to_owned(), ends });
        assert_eq!(servers("abns@haproxy/1, abnsz@x.sock, abns://a").unwrap(), abstracts);
        assert_eq!(servers("unix:/run/a.sock").unwrap(), [Address::Unix("/run/a.sock".into())]);
    }

    #[test]
    fn twice_is_once() {
        assert_eq!(servers("tcp://a:1,tcp://A:1").unwrap().len(), 1);
    }

    #[test]
    fn refusals_say_what_is_wrong() {
        for (text, words) in [
            ("", "empty"),
            ("tcp://a:1,", "at the end"),
            (",tcp://a:1", "at the start"),
            ("tcp://a:1,,tcp://b:1", "next to another"),
            ("/run/x", "not a URL"),
            ("http://a:80", "unknown kind"),
            ("unix://", "without a path"),
            ("unix://run/x", "not an absolute path"),
            ("unix:///run/", "a directory"),
            ("tcp://a", "without a port"),
            ("tcp://a:", "without a port"),
            ("tcp://:5", "without a host"),
            ("tcp://a:x", "not a number"),
            ("tcp://a:0", "out of range"),
            ("tcp://a:99999", "out of range"),
            ("tcp://::1:5", "without brackets"),
            ("tcp://[::1", "closing bracket"),
            ("tcp://[::g]:5", "without an IPv6 address"),
            ("tcp://[::1]", "without a port"),
            ("tcp://a:1 tcp://b:2", "more than a host"),
            ("tcp://u@a:1", "more than a host"),
            ("abns@", "without a name"),
            ("abns@a b", "no spaces"),
        ] {
            let refusal = servers(text).unwrap_err();
            assert!(refusal.contains(words), "{text:?}: {refusal}");
        }
    }
}
