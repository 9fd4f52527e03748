//! `--latency-rules`.

use crate::cli::LatencyRules;
use crate::exit;
use crate::latency::layout::Layout;
use crate::latency::rules::{Names, configuration, is_name};
use crate::startup::{complain, say};

/// Prints what was asked for; the exit code.
pub(super) fn print(asked: &LatencyRules) -> u8 {
    match text(asked) {
        Ok(text) => say(&text),
        Err(reason) => complain(&format!("haproxystats-pull: {reason}\n"), exit::USAGE),
    }
}

fn text(asked: &LatencyRules) -> Result<String, String> {
    let LatencyRules { buckets, timers, table, base, peers } = asked;
    if let Some(name) = [table, base].into_iter().find(|name| !is_name(name)) {
        return Err(format!("{name:?} is not a valid name; HAProxy allows letters, digits and -_.:"));
    }
    if table == base || format!("{table}-rules") == *base {
        return Err(format!(
            "{base:?} is the name of a section that the rules define; give your defaults section another name"
        ));
    }
    if peers.contains(|c: char| c.is_whitespace() || c.is_control() || "\"'\\#".contains(c)) {
        return Err(format!("{peers:?} is not an address; write one for HAProxy to bind, such as 127.0.0.1:10000"));
    }
    let peers = Some(peers.as_str()).filter(|peers| !peers.is_empty());
    let layout = Layout::parse(timers, buckets).map_err(|error| error.to_string())?;
    Ok(configuration(&layout, Names { table, base, peers }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(buckets: &str, table: &str, base: &str, peers: &str) -> Result<String, String> {
        let [buckets, table, base, peers] = [buckets, table, base, peers].map(str::to_owned);
        text(&LatencyRules { buckets, timers: "response".to_owned(), table, base, peers })
    }

    #[test]
    fn what_haproxy_would_refuse_is_refused() {
        assert!(asked("1,5", "t", "b", "unix@/run/haproxy/peers.sock").is_ok());
        for (buckets, table, base, peers, words) in [
            ("5,1", "t", "b", "", "ascend"),
            ("1", "t t", "b", "", "\"t t\" is not a valid name"),
            ("1", "t", "", "", "\"\" is not a valid name"),
            ("1", "t", "t", "", "give your defaults section another"),
            ("1", "t", "t-rules", "", "give your defaults section another"),
            ("1", "t", "b", "a b", "\"a b\" is not an address"),
        ] {
            let error = asked(buckets, table, base, peers).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }
}
