//! Where requests go.

use crate::config::reading::Refusal;

/// `http://host:port/path` or `https://host/path`, without credentials.
pub(super) fn parse(text: &str) -> Result<String, Refusal> {
    let rest = ["http://", "https://"].iter().find_map(|scheme| text.strip_prefix(scheme)).unwrap_or_default();
    let odd = |c: char| c.is_whitespace() || c.is_control() || !c.is_ascii() || c == '#';
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err("contains credentials; move them to user and password-file, or to bearer-token-file".to_owned());
    }
    let parsed: Option<hyper::Uri> = text.parse().ok();
    if authority.is_empty() || text.contains(odd) || parsed.is_none_or(|uri| uri.host().is_none_or(str::is_empty)) {
        return Err("not a URL; write http://host:port/path or https://host/path".to_owned());
    }
    Ok(text.to_owned())
}

pub(super) fn is_encrypted(url: &str) -> bool {
    url.starts_with("https://")
}

pub(super) fn has_no_path(url: &str) -> bool {
    url.split_once("://").and_then(|(_, rest)| rest.split_once('/')).is_none_or(|(_, path)| path.is_empty())
}

/// Whether requests stay on this machine.
pub(super) fn is_local(url: &str) -> bool {
    let host = url.split_once("://").map_or(url, |(_, rest)| rest);
    ["localhost", "127.", "[::1]"].iter().any(|local| host.starts_with(local))
}
