//! Text to values, where only discovery has such values.

use crate::config::reading::Refusal;
use crate::config::servers;
use crate::config::value;
use crate::haproxy::address::Address;
use crate::haproxy::runtime::LARGEST_WEIGHT;
use std::net::SocketAddr;
use std::num::NonZeroUsize;

pub(super) fn number(text: &str, most: usize) -> Result<usize, Refusal> {
    let value = value::whole(text, 0, i128::try_from(most).unwrap_or(i128::MAX))?;
    Ok(usize::try_from(value).unwrap_or(most))
}

pub(super) fn weight(text: &str) -> Result<u16, Refusal> {
    number(text, LARGEST_WEIGHT.into()).map(|value| u16::try_from(value).unwrap_or(LARGEST_WEIGHT))
}

/// Most slots of a list, in a store whose values have no largest size: what a round was tried with.
pub(super) const LARGEST_LIST: usize = 16_384;

/// More slots than that are a slip.
pub(super) fn list_size(text: &str) -> Result<NonZeroUsize, Refusal> {
    let size = value::count(text)?;
    if size.get() > LARGEST_LIST {
        return Err(format!("above {LARGEST_LIST}; write a whole number from 1 to {LARGEST_LIST}"));
    }
    Ok(size)
}

pub(super) fn optional_port(text: &str) -> Result<Option<u16>, Refusal> {
    let port = number(text, u16::MAX.into())?;
    Ok(u16::try_from(port).ok().filter(|port| *port > 0))
}

/// What may be part of a command to HAProxy, or of a path in Graphite: one word.
pub(super) fn is_name(text: &str) -> bool {
    !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control() || matches!(c, '/' | ';' | ','))
}

pub(super) fn word(text: &str) -> Result<String, Refusal> {
    if is_name(text) { Ok(text.to_owned()) } else { Err("not a name; write one word".to_owned()) }
}

/// Words for the command line of HAProxy's socket.
pub(super) fn words(text: &str) -> Result<String, Refusal> {
    let bad = text.contains(|c: char| c.is_control() || matches!(c, ';' | '"' | '\'' | '\\'));
    if bad { Err("not keywords of a server; write for example check inter 2s".to_owned()) } else { Ok(text.to_owned()) }
}

pub(super) fn key(text: &str) -> Result<String, Refusal> {
    let key = text.trim_matches('/');
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    if key.is_empty() || !key.chars().all(good) {
        return Err("not a key; write letters, digits, - _ . and /, such as haproxystats/discovery".to_owned());
    }
    Ok(key.to_owned())
}

/// Names separated by commas, each once.
pub(super) fn names(text: &str) -> Result<Vec<String>, Refusal> {
    let mut names: Vec<String> = Vec::new();
    for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        if name.contains(char::is_control) {
            return Err(format!("{name:?} is not a name; write names separated by commas"));
        }
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    if names.is_empty() { Err("empty; write names separated by commas".to_owned()) } else { Ok(names) }
}

pub(super) fn urls(text: &str) -> Result<Vec<String>, Refusal> {
    let urls = names(text)?;
    for url in &urls {
        let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
        let good =
            rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/') && !rest.contains(['@', ' ', '?']));
        if !good {
            return Err(format!("{url:?} is not a URL; write for example http://127.0.0.1:8500"));
        }
    }
    Ok(urls.into_iter().map(|url| url.trim_end_matches('/').to_owned()).collect())
}

pub(super) fn name_servers(text: &str) -> Result<Vec<SocketAddr>, Refusal> {
    let server = |text: &String| {
        let address = text.parse().or_else(|_| value::address(text).map(|ip| SocketAddr::new(ip, 53)));
        address.map_err(|_| format!("{text:?} is not an address; write for example 127.0.0.1:53"))
    };
    names(text)?.iter().map(server).collect()
}

pub(super) fn sockets(text: &str) -> Result<Vec<Address>, Refusal> {
    let urls: Vec<String> = text
        .split(',')
        .map(str::trim)
        .map(|element| if element.starts_with('/') { format!("unix://{element}") } else { element.to_owned() })
        .collect();
    servers::servers(&urls.join(","))
}
