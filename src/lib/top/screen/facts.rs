//! The lines about one frontend, backend or server, above its processes.

use crate::top::model::{Model, Object, name, state};
use crate::top::read::field::Field;
use crate::top::read::tick::{Key, Rank};
use crate::top::table::Tone;
use crate::top::text::{count, milliseconds, percent};

/// Lines about an object.
pub(super) fn lines(model: &Model, key: &Key) -> Vec<(Tone, String)> {
    let objects = match key.kind {
        Rank::Frontend => &model.frontends,
        Rank::Backend => &model.backends,
        Rank::Server => &model.servers,
    };
    let Some(object) = objects.iter().find(|object| object.key == *key) else {
        return vec![(Tone::Warning, format!("{} is gone", name(key)))];
    };
    let tone = if matches!(object.state.word, "UP" | "OPEN" | "no check") { Tone::Plain } else { Tone::Warning };
    let mut lines = vec![(tone, format!("{} {}", name(key), state(object)))];
    let mut add = |text: Option<String>| lines.extend(text.map(|text| (Tone::Plain, text)));
    add(object.address.as_deref().map(|address| format!("address     {address}")));
    add(object.check.as_deref().map(|check| format!("last check  {check}")));
    add(object.agent.as_deref().map(|agent| format!("last agent  {agent}")));
    add(weight(object));
    add(Some(format!("per second  {}", rates(object))));
    add(times(object));
    add(Some(format!("sessions    {}", sessions(object))));
    lines
}

fn weight(object: &Object) -> Option<String> {
    let weight = object.get(Field::Weight).filter(|_| object.key.kind == Rank::Server)?;
    let mut text = format!("weight      {weight:.0}");
    if let Some(share) = object.share {
        text.push_str(&format!(", {} of the weight", percent(share.weight)));
        if let Some(requests) = share.requests {
            text.push_str(&format!(", {} of the requests", percent(requests)));
        }
    } else {
        text.push_str(", not part of load balancing now");
    }
    Some(text)
}

fn rates(object: &Object) -> String {
    let requests = object.requests().map(|value| ("requests", value));
    let all = [
        ("2xx", Field::Status2xx),
        ("4xx", Field::Status4xx),
        ("5xx", Field::Status5xx),
        ("bad requests", Field::BadRequests),
        ("denied", Field::DeniedRequests),
        ("denied responses", Field::DeniedResponses),
        ("failed connections", Field::FailedConnects),
        ("failed responses", Field::BadResponses),
        ("retries", Field::Retries),
        ("redispatched", Field::Redispatches),
        ("bytes in", Field::BytesIn),
        ("bytes out", Field::BytesOut),
    ];
    let figures = all.iter().filter_map(|(name, field)| Some((*name, object.get(*field)?)));
    // Leave out what is 0, except the figures that everybody looks for.
    let figures = figures.filter(|(name, value)| *value > 0.0 || matches!(*name, "2xx" | "5xx"));
    let texts: Vec<String> =
        requests.into_iter().chain(figures).map(|(name, value)| format!("{name} {}", count(value))).collect();
    if texts.is_empty() { "not known yet".to_owned() } else { texts.join("  ") }
}

fn times(object: &Object) -> Option<String> {
    let all = [
        ("queue", Field::QueueTime),
        ("connect", Field::ConnectTime),
        ("response", Field::ResponseTime),
        ("total", Field::TotalTime),
    ];
    let texts = all.iter().filter_map(|(name, field)| Some(format!("{name} {}", milliseconds(object.get(*field)?))));
    let texts: Vec<String> = texts.collect();
    (!texts.is_empty()).then(|| format!("times       {}, over the last 1024 requests", texts.join("  ")))
}

fn sessions(object: &Object) -> String {
    let now = object.get(Field::Sessions).map_or_else(|| "-".to_owned(), count);
    let limit = object.get(Field::SessionLimit).filter(|limit| *limit > 0.0);
    let limit = limit.map(|limit| format!(" of {}", count(limit))).unwrap_or_default();
    format!("{now}{limit}, {} waiting", count(object.waiting))
}
