//! The words of haproxystats-top.

use super::arguments::Top;
use super::parse::path;
use super::replay::span;
use docopt::ArgvMap;

/// Least and most seconds between two ticks. HAProxy needs time to answer, and counters may wrap in a day.
const INTERVAL: std::ops::RangeInclusive<f64> = 0.1..=86_400.0;

/// What they ask for; what is wrong in words.
pub(super) fn top(parsed: &ArgvMap) -> Result<Top, String> {
    let text = parsed.get_str("--interval");
    let interval = text.parse::<f64>().ok().filter(|seconds| INTERVAL.contains(seconds));
    let interval = interval.ok_or_else(|| {
        format!("--interval {text:?} is no number of seconds from {} to {}", INTERVAL.start(), INTERVAL.end())
    })?;
    let (replay, span) = (path(parsed, "--replay"), span(parsed)?);
    Ok(Top {
        once: parsed.get_bool("--once"),
        json: parsed.get_bool("--json"),
        interval,
        host: Some(parsed.get_str("--host").to_owned()).filter(|name| !name.is_empty()),
        replay,
        span,
    })
}
