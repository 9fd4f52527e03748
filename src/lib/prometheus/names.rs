//! A metric's name, the label that tells it from others of that name, its kind and its unit.

use super::promex;
pub use super::subject::{Subject, Thing};
use crate::config::NameStyle;
use crate::haproxy::columns::{self, Nature, Unit};
use crate::haproxy::facts::{self, FACTS};
use crate::haproxy::info;
use crate::telemetry::{Definition, Kind, name_of};
use std::borrow::Cow;

/// Names in the exporter's style of what families have, where they are not those that the fields make.
#[rustfmt::skip]
const OF_THINGS: [(Thing, &str, &str); 15] = [
    (Thing::Table, "localupdate", "local_updates"),
    (Thing::Table, "update", "updates"),
    (Thing::Certificate, "expires_in", "expires_in_seconds"),
    (Thing::Certificates, "expires_in", "expires_in_seconds"),
    (Thing::Thread, "cpust_ms_tot", "cpu_stolen_seconds_total"),
    (Thing::Threads, "cpust_ms_tot", "cpu_stolen_seconds_total"),
    (Thing::Thread, "cpust_ms_1s", "cpu_stolen_last_second_seconds"),
    (Thing::Threads, "cpust_ms_1s", "cpu_stolen_last_second_seconds"),
    (Thing::Thread, "cpust_ms_15s", "cpu_stolen_last_15_seconds"),
    (Thing::Threads, "cpust_ms_15s", "cpu_stolen_last_15_seconds"),
    (Thing::Peer, "last_hdshk", "last_handshake_seconds"),
    (Thing::Peers, "resync", "resync_finished"),
    (Thing::Build, "processes", "build_info"),
    (Thing::Node, "processes", "node"),
    (Thing::Description, "processes", "description"),
];

/// The name of a figure of a family in the exporter's style.
fn name_of_thing(thing: Thing, field: &str, kind: Kind, name: &mut String) {
    if let Some((.., own)) = OF_THINGS.iter().find(|(of, known, _)| (*of, *known) == (thing, field)) {
        return name.push_str(own);
    }
    word(field, name);
    // The exporter calls those of resolvers gauges.
    if kind == Kind::Counter && thing != Thing::NameServer {
        name.push_str("_total");
    }
}

/// The labels that tell metrics of one name apart. None that the operator adds can have these names.
pub(crate) const LABELS: [&str; 6] = ["code", "dispatcher", "le", "mod", "quantile", "state"];

/// A metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    /// Its name.
    pub name: String,
    /// A label beside those of the object, and its value.
    pub label: Option<(&'static str, Cow<'static, str>)>,
    /// Counter or gauge.
    pub kind: Kind,
    /// What a value is multiplied by, to be in the base unit.
    pub scale: Scale,
    /// In words.
    pub about: &'static str,
}

/// How HAProxy's unit becomes the base unit. Division, where it is one: a thousandth is no binary fraction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// It is one.
    Same,
    /// From milliseconds to seconds.
    Thousandths,
    /// From mebibytes to bytes.
    Mebi,
}

impl Scale {
    /// A value in the base unit.
    #[inline]
    #[must_use]
    pub fn of(self, value: f64) -> f64 {
        match self {
            Self::Same => value,
            Self::Thousandths => value / 1000.0,
            Self::Mebi => value * 1_048_576.0,
        }
    }
}

/// What the catalogue says of a field.
#[derive(Debug, Clone, Copy)]
struct Known {
    nature: Nature,
    unit: Unit,
    about: &'static str,
}

/// What is said of fields that haproxystats adds to HAProxy's.
#[rustfmt::skip]
const ADDED: [(&str, &str); 14] = [
    ("TotalServers", "servers of the backend"),
    ("status_up", "1 when it answers, whether or not it takes new sessions"),
    ("time_samples", "requests that the averages of times are over"),
    ("CpuUsagePct", "share of time with work"),
    ("25PercentileCpuUsagePct", "share of time with work: percentiles over the processes"),
    ("50PercentileCpuUsagePct", "share of time with work: percentiles over the processes"),
    ("75PercentileCpuUsagePct", "share of time with work: percentiles over the processes"),
    ("95PercentileCpuUsagePct", "share of time with work: percentiles over the processes"),
    ("99PercentileCpuUsagePct", "share of time with work: percentiles over the processes"),
    ("StdCpuUsagePct", "share of time with work: standard deviation over the processes"),
    ("ConnPercentage", "connections in percent of their limit"),
    ("ConnRatePercentage", "connections per second in percent of their limit"),
    ("SslConnPercentage", "TLS connections in percent of their limit"),
    ("SslRatePercentage", "TLS sessions per second in percent of their limit"),
];

fn known(subject: Subject, field: &str) -> Known {
    let found = match subject {
        Subject::Process | Subject::Worker => {
            // A blank in a name is an underscore in those that are sent.
            let found =
                info::find(field).or_else(|| info::FIELDS.iter().find(|known| promex::is_same(known.name, field)));
            found.map(|field| Known { nature: field.nature, unit: field.unit, about: field.about })
        }
        Subject::Thing(thing) => {
            let fact = facts::find(thing, field).and_then(|index| FACTS.get(index));
            fact.map(|fact| Known { nature: fact.nature, unit: fact.unit, about: fact.about })
        }
        _ => columns::find(field).map(|field| Known { nature: field.nature, unit: field.unit, about: field.about }),
    };
    found.unwrap_or_else(|| {
        let about = ADDED.iter().find(|(name, _)| *name == field).map_or("", |(_, about)| about);
        Known { nature: Nature::Gauge, unit: Unit::None, about }
    })
}

/// States as numbers, in the place of which the exporter has a series for each state.
const NUMBERS_OF_STATES: [&str; 3] = ["status", "check_status", "agent_status"];

/// The metric that a field of HAProxy is, or one that haproxystats adds to those; `None` where it has another form.
#[must_use]
pub fn metric(style: NameStyle, subject: Subject, of_cluster: bool, field: &str) -> Option<Metric> {
    let is_state = NUMBERS_OF_STATES.contains(&field) && !matches!(subject, Subject::Thing(_));
    if subject == Subject::Own || style == NameStyle::Promex && is_state {
        return None;
    }
    let known = known(subject, field);
    let kind = if known.nature == Nature::Counter { Kind::Counter } else { Kind::Gauge };
    let mut name = subject.prefix(style, of_cluster);
    if style == NameStyle::Haproxystats {
        word(field, &mut name);
        return Some(Metric { name, label: None, kind, scale: Scale::Same, about: known.about });
    }
    let label = match (subject, promex::find(subject, field)) {
        (Subject::Thing(thing), _) => {
            name_of_thing(thing, field, kind, &mut name);
            None
        }
        (_, Some(row)) => {
            name.push_str(row.name);
            row.label
        }
        (_, None) => {
            word(field, &mut name);
            let module = promex::module(field);
            // The exporter gives those of modules the names that HAProxy has for them.
            if kind == Kind::Counter && module.is_none() {
                name.push_str("_total");
            }
            module.map(|module| ("mod", module))
        }
    };
    let label = label.map(|(name, value)| (name, Cow::Borrowed(value)));
    let scale = match known.unit {
        Unit::Milliseconds => Scale::Thousandths,
        Unit::Megabytes => Scale::Mebi,
        _ => Scale::Same,
    };
    Some(Metric { name, label, kind, scale, about: known.about })
}

/// What is said of the fields that are states.
const STATES: [(&str, &str); 5] = [
    ("agent_status", "the result of the last agent check, a series for each: 1 for that one, else 0"),
    ("status", "the state it is in, a series for each: 1 for that one, else 0"),
    ("check_status", "the result of the last check, a series for each: 1 for that one, else 0"),
    ("agg_server_status", "servers of the backend in each state"),
    ("agg_check_status", "servers of the backend by the result of their last check"),
];

/// The metric that one of the states of a field is; `None` in the style that has numbers for them.
#[must_use]
pub fn state(style: NameStyle, subject: Subject, of_cluster: bool, field: &str, state: &'static str) -> Option<Metric> {
    if style == NameStyle::Haproxystats {
        return None;
    }
    let about = STATES.iter().find(|(name, _)| *name == field).map_or("", |(_, about)| about);
    let mut name = subject.prefix(style, of_cluster);
    word(field, &mut name);
    let label = Some(("state", Cow::Borrowed(state)));
    Some(Metric { name, label, kind: Kind::Gauge, scale: Scale::Same, about })
}

/// The metric that one part of a histogram of times is: `bucket` with its bound, `sum` or `count`; the histogram itself without
/// a part. `timer` is what was timed.
#[must_use]
pub fn histogram(
    style: NameStyle,
    subject: Subject,
    of_cluster: bool,
    timer: &str,
    part: Option<(&'static str, Option<Cow<'static, str>>)>,
) -> Metric {
    let mut name = subject.prefix(style, of_cluster);
    word(timer, &mut name);
    name.push_str(if style == NameStyle::Promex { "_time_seconds" } else { "_time" });
    let (suffix, bound) = part.unwrap_or_default();
    if !suffix.is_empty() {
        name.push('_');
        name.push_str(suffix);
    }
    let scale = if style == NameStyle::Promex && suffix == "sum" { Scale::Thousandths } else { Scale::Same };
    let about = "requests by how long they took";
    Metric { name, label: bound.map(|bound| ("le", bound)), kind: Kind::Counter, scale, about }
}

/// The metric that a figure of haproxystats itself is: the name is the one that it has on the page of its program.
#[must_use]
pub fn figure(style: NameStyle, figure: &'static Definition, destination: Option<&str>) -> Metric {
    let name = match style {
        NameStyle::Haproxystats => format!("haproxystats_{}", figure.name),
        NameStyle::Promex if destination.is_some() => name_of("haproxystats_process_dispatcher_", figure),
        // Those of haproxystats-pull say so themselves.
        NameStyle::Promex if figure.name.starts_with("Pull") => name_of("haproxystats_", figure),
        NameStyle::Promex => name_of("haproxystats_process_", figure),
    };
    let label = destination.map(|name| ("dispatcher", Cow::Owned(name.to_owned())));
    Metric { name, label, kind: figure.kind, scale: Scale::Same, about: figure.about }
}

/// Appends what a name can have of a text: letters, digits, underscores.
fn word(text: &str, name: &mut String) {
    name.extend(text.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_have_the_exporters_names_where_it_has_them() {
        let of = |subject, field| metric(NameStyle::Promex, subject, false, field).unwrap().name;
        for (subject, field, name) in [
            (Subject::Listener, "scur", "haproxy_listener_current_sessions"),
            (Subject::Listener, "reqbin", "haproxy_listener_req_bytes_in_total"),
            (Subject::Thing(Thing::Table), "used", "haproxy_sticktable_used"),
            (Subject::Thing(Thing::Table), "localupdate", "haproxy_sticktable_local_updates"),
            (Subject::Thing(Thing::NameServer), "any_err", "haproxy_resolver_any_err"),
            (Subject::Thing(Thing::Build), "processes", "haproxy_process_build_info"),
            (Subject::Thing(Thing::Certificates), "expires_in", "haproxy_certificates_expires_in_seconds"),
            (Subject::Thing(Thing::Threads), "loops", "haproxy_threads_loops_total"),
        ] {
            assert_eq!(of(subject, field), name);
        }
        assert!(metric(NameStyle::Promex, Subject::Server, false, "agent_status").is_none());
        let own = metric(NameStyle::Haproxystats, Subject::Thing(Thing::Table), false, "used").unwrap();
        assert_eq!((own.name.as_str(), own.about), ("haproxy_table_used", "entries"));
        let names: std::collections::HashSet<String> =
            FACTS.iter().map(|fact| of(Subject::Thing(fact.thing), fact.name)).collect();
        assert_eq!(names.len(), FACTS.len());
    }
    use crate::haproxy::columns::COLUMNS;
    use std::collections::HashSet;

    #[test]
    fn every_field_has_a_name_of_its_own() {
        for style in [NameStyle::Promex, NameStyle::Haproxystats] {
            let mut seen = HashSet::new();
            for subject in Subject::ALL {
                let fields: Vec<&str> = match subject {
                    Subject::Process | Subject::Worker => promex::INFO.iter().map(|row| row.field).collect(),
                    _ => COLUMNS.iter().filter(|column| column.is_numeric()).map(|column| column.name).collect(),
                };
                // One figure that two releases spell in two ways.
                for field in fields.into_iter().filter(|field| *field != "TotalSplicdedBytesOut") {
                    for of_cluster in [false, true] {
                        let metric = metric(style, subject, of_cluster, field).unwrap();
                        let valid = metric.name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
                        assert!(valid && !metric.about.is_empty(), "{metric:?}");
                        assert!(seen.insert((metric.name.clone(), metric.label.clone())), "{metric:?} is there twice");
                    }
                }
            }
        }
    }

    #[test]
    fn every_figure_of_the_catalogue_is_named() {
        for field in info::FIELDS.iter().filter(|field| field.is_numeric()) {
            assert!(promex::find(Subject::Process, field.name).is_some(), "{}", field.name);
        }
        for column in COLUMNS.iter().filter(|column| column.is_numeric()) {
            let named = |subject| promex::find(subject, column.name).is_some();
            assert!(promex::module(column.name).is_some() || named(Subject::Server), "{}", column.name);
        }
    }

    #[test]
    fn counters_end_as_counters_do_save_where_the_exporter_does_not() {
        for row in promex::STAT.iter().chain(promex::INFO) {
            let subject = if promex::INFO.contains(row) { Subject::Process } else { Subject::Server };
            let counts = metric(NameStyle::Promex, subject, false, row.field).unwrap().kind == Kind::Counter;
            if row.exported.is_empty() {
                assert_eq!(row.name.ends_with("_total"), counts, "{row:?}");
            }
        }
    }

    #[test]
    fn names_labels_and_units_are_those_of_the_exporter() {
        let promex = |subject, field| metric(NameStyle::Promex, subject, false, field).unwrap();
        let responses = promex(Subject::Backend, "hrsp_2xx");
        assert_eq!(
            (&*responses.name, responses.label, responses.kind),
            ("haproxy_backend_http_responses_total", Some(("code", "2xx".into())), Kind::Counter)
        );
        let time = promex(Subject::Server, "rtime");
        assert_eq!((&*time.name, time.scale.of(250.0)), ("haproxy_server_response_time_average_seconds", 0.25));
        assert_eq!(promex(Subject::Backend, "act").name, "haproxy_backend_active_servers");
        assert_eq!(promex(Subject::Server, "act").name, "haproxy_server_active");
        let module = promex(Subject::Frontend, "h2_goaway_rcvd");
        assert_eq!((&*module.name, module.label), ("haproxy_frontend_h2_goaway_rcvd", Some(("mod", "h2".into()))));
        assert_eq!(promex(Subject::Process, "Unstoppable Jobs").name, "haproxy_process_unstoppable_jobs");
        let own = metric(NameStyle::Haproxystats, Subject::Process, true, "Ulimit-n").unwrap();
        assert_eq!(own.name, "haproxy_cluster_daemon_Ulimit_n");
    }
}
