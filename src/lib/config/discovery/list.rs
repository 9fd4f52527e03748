//! `haproxy-backend-list`.

use super::words::is_name;
use crate::config::reading::Refusal;
use crate::config::value;

/// A backend of `haproxy-backend-list`: its name, the prefix of its servers' names, and their port.
pub(super) type Listed = (String, String, Option<u16>);

/// `name:base name:port, …`, or the mapping of HSDO as JSON: `{"name": {"baseName": "base", "serverPort": "80"}}`.
pub(super) fn backend_list(text: &str) -> Result<Vec<Listed>, Refusal> {
    const RIGHT: &str = "write name:base name:port, separated by commas";
    if text.starts_with('{') {
        return mapping(text);
    }
    let mut list = Vec::new();
    for element in text.split(',').map(str::trim).filter(|element| !element.is_empty()) {
        let wrong = || format!("{element:?} is not a backend; {RIGHT}");
        let mut parts = element.split(':').map(str::trim);
        let (Some(name), Some(base), port, None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
            return Err(wrong());
        };
        if !is_name(name) || !is_name(base) {
            return Err(wrong());
        }
        let port =
            port.map(value::port).transpose().map_err(|refusal| format!("{element:?}: the port is {refusal}"))?;
        list.push((name.to_owned(), base.to_owned(), port));
    }
    if list.is_empty() { Err(format!("empty; {RIGHT}")) } else { Ok(list) }
}

#[cfg(feature = "discovery")]
fn mapping(text: &str) -> Result<Vec<Listed>, Refusal> {
    const RIGHT: &str = r#"write {"name": {"baseName": "base", "serverPort": "80"}}"#;
    let wrong = |what: &str| format!("{what}; {RIGHT}");
    let value: serde_json::Value = serde_json::from_str(text).map_err(|error| wrong(&format!("not JSON ({error})")))?;
    let backends = value.as_object().filter(|backends| !backends.is_empty()).ok_or_else(|| wrong("no backends"))?;
    let mut list = Vec::new();
    for (name, backend) in backends {
        let base = backend.get("baseName").and_then(serde_json::Value::as_str).filter(|base| is_name(base));
        let (Some(base), true) = (base, is_name(name)) else {
            return Err(wrong(&format!("{name:?} is not a backend")));
        };
        let port = match backend.get("serverPort") {
            None => None,
            Some(serde_json::Value::String(port)) => Some(value::port(port)?),
            Some(port) => Some(value::port(&port.to_string())?),
        };
        list.push((name.clone(), base.to_owned(), port));
    }
    Ok(list)
}

#[cfg(not(feature = "discovery"))]
fn mapping(_: &str) -> Result<Vec<Listed>, Refusal> {
    Ok(Vec::new())
}
