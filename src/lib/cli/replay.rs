//! The options of `haproxystats-process --replay`.

use super::arguments::{Place, Replay};
use super::parse::path;
use crate::snapshot::Epoch;
use crate::snapshot::moment::{self, Span};
use docopt::ArgvMap;
use std::num::NonZeroU64;
use std::path::PathBuf;

/// Parses the options; the error is a description.
pub(super) fn replay(parsed: &ArgvMap, place: PathBuf) -> Result<Replay, String> {
    let text = |option: &str| Some(parsed.get_str(option)).filter(|text| !text.is_empty());
    let span = span(parsed)?;
    let rate = text("--rate").unwrap_or_default();
    let rate = rate.parse::<NonZeroU64>().map_err(|_| format!("--rate {rate:?} is not a whole number, 1 or more"))?;
    Ok(Replay {
        place: read_place(place)?,
        span,
        rate,
        resume: path(parsed, "--resume"),
        to_graphite: text("--to-graphite").map(str::to_owned),
        hostname: text("--hostname").map(str::to_owned),
    })
}

/// Prefix of a topic.
const KAFKA: &str = "kafka:";

fn read_place(path: PathBuf) -> Result<Place, String> {
    match path.to_str().and_then(|text| text.strip_prefix(KAFKA)) {
        None => Ok(Place::Stored(path)),
        Some("") => Err("--replay kafka: needs the name of a topic, as in kafka:haproxystats-snapshots".to_owned()),
        Some(topic) => Ok(Place::Topic(topic.to_owned())),
    }
}

/// The period between `--from` and `--to`.
pub(super) fn span(parsed: &ArgvMap) -> Result<Span, String> {
    let text = |option: &str| Some(parsed.get_str(option)).filter(|text| !text.is_empty());
    let moment = |option: &str| text(option).map(|text| read_moment(option, text)).transpose();
    let span = Span { from: moment("--from")?, to: moment("--to")? };
    match (span.from, span.to) {
        (Some(from), Some(to)) if to <= from => Err("--to is not after --from".to_owned()),
        _ => Ok(span),
    }
}

fn read_moment(option: &str, text: &str) -> Result<Epoch, String> {
    moment::parse(text).ok_or_else(|| {
        format!(
            "{option} {text:?} is not a time; write seconds since the epoch, or 2026-11-30T08:00:00Z, or 2026-11-30"
        )
    })
}
