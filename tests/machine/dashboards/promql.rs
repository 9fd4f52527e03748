//! The dashboards for a Prometheus data source: each query of Graphite, translated. Names, labels and units come from the table
//! of names, so that the dashboards have one source.

use super::panels::{Choice, Dashboard, Panel, Unit};
use haproxystats::config::NameStyle;
use haproxystats::dispatch::Counters;
use haproxystats::process::parent::figures::Figure;
use haproxystats::process::pipeline::SnapshotFigure;
use haproxystats::prometheus::names::{self, Metric, Subject};
use haproxystats::telemetry::{Definition, pull};

/// A query in PromQL, and what its series are called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    pub expr: String,
    pub legend: String,
}

/// An expression of Graphite's.
#[derive(Debug)]
enum Graphite<'a> {
    Call(&'a str, Vec<Graphite<'a>>),
    Path(Vec<&'a str>),
    Text(&'a str),
    Number(i32),
}

/// Reads an expression; returns what is behind it.
fn read(text: &str) -> (Graphite<'_>, &str) {
    let text = text.trim_start();
    if let Some(rest) = text.strip_prefix('\'') {
        let (word, rest) = rest.split_once('\'').expect(text);
        return (Graphite::Text(word), rest);
    }
    let end = text.find(['(', ',', ')']).unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    let Some(mut rest) = rest.strip_prefix('(') else {
        let leaf = word.parse().map_or_else(|_| Graphite::Path(word.split('.').collect()), Graphite::Number);
        return (leaf, rest);
    };
    let mut arguments = Vec::new();
    loop {
        let (argument, behind) = read(rest);
        arguments.push(argument);
        match behind.strip_prefix(',') {
            Some(more) => rest = more,
            None => return (Graphite::Call(word, arguments), behind.strip_prefix(')').expect(text)),
        }
    }
}

/// The translation of a query.
pub fn translate(query: &str) -> Query {
    let (expression, rest) = read(query);
    assert_eq!(rest, "", "{query}");
    let (expr, legend) = of(&expression);
    Query { expr, legend: legend.unwrap_or_else(|| panic!("{query} names no series")) }
}

/// The expression, and the names of its series where it has given them some.
fn of(expression: &Graphite<'_>) -> (String, Option<String>) {
    use Graphite::{Call, Number, Path, Text};
    match expression {
        Path(elements) => (selector(elements), None),
        Call(function, arguments) => match (*function, arguments.as_slice()) {
            ("alias", [inner, Text(name)]) => (of(inner).0, Some((*name).to_owned())),
            ("aliasByNode", [inner, Number(node)]) => (of(inner).0, Some(format!("{{{{{}}}}}", label(inner, *node)))),
            ("perSecond", [inner]) => (format!("rate({}[$__rate_interval])", of(inner).0), None),
            ("sumSeries", [inner]) => (format!("sum({})", of(inner).0), None),
            ("averageSeries", [inner]) => (format!("avg({})", of(inner).0), None),
            ("maxSeries", [inner]) => (format!("max({})", of(inner).0), None),
            ("scale", [inner, Number(factor)]) => (format!("{} * {factor}", of(inner).0), None),
            ("groupByNode", [inner, Number(node), Text(function)]) => {
                let function = match *function {
                    "sumSeries" => "sum",
                    "averageSeries" => "avg",
                    "minSeries" => "min",
                    "maxSeries" => "max",
                    other => panic!("{other} is not known"),
                };
                let label = label(inner, *node);
                (format!("{function} by ({label}) ({})", of(inner).0), Some(format!("{{{{{label}}}}}")))
            }
            ("highestAverage" | "highestMax", [inner, Number(count)]) => {
                let (expr, legend) = of(inner);
                (format!("topk({count}, {expr})"), legend)
            }
            ("lowestCurrent", [inner, Number(count)]) => {
                let (expr, legend) = of(inner);
                (format!("bottomk({count}, {expr})"), legend)
            }
            ("asPercent", [part, whole, Number(_)]) => {
                let on = format!("on ({})", "instance");
                (format!("100 * {} / {on} {}", of(part).0, of(whole).0), None)
            }
            (other, arguments) => panic!("{other} of {arguments:?} is not known"),
        },
        other => panic!("{other:?} by itself"),
    }
}

/// The path that an expression is about: the first in it.
fn path<'a>(expression: &'a Graphite<'a>) -> &'a [&'a str] {
    match expression {
        Graphite::Path(elements) => elements,
        Graphite::Call(_, arguments) => path(&arguments[0]),
        other => panic!("{other:?} has no path"),
    }
}

/// The label that stands for a node of the path, counted from the end.
fn label(expression: &Graphite<'_>, node: i32) -> &'static str {
    let elements = path(expression);
    let place = elements.len() - usize::try_from(-node).expect("a node from the end");
    match place {
        1 => "instance",
        4 => "proxy",
        6 => "server",
        other => panic!("{elements:?} has no name at {other}"),
    }
}

fn selector(elements: &[&str]) -> String {
    let [namespace, lb, "haproxy", rest @ ..] = elements else { panic!("{elements:?}") };
    assert_eq!(*namespace, "$namespace");
    let (subject, field, names): (Subject, &str, Vec<(&str, &str)>) = match rest {
        ["daemon", field] => (Subject::Process, field, vec![]),
        ["frontend", name, field] => (Subject::Frontend, field, vec![("proxy", name)]),
        ["backend", name, field] => (Subject::Backend, field, vec![("proxy", name)]),
        ["backend", name, "server", server, field] => {
            (Subject::Server, field, vec![("proxy", name), ("server", server)])
        }
        ["haproxystats", figure] => (Subject::Own, figure, vec![]),
        other => panic!("{other:?}"),
    };
    let labels: Vec<&str> = std::iter::once("instance").chain(names.iter().map(|(label, _)| *label)).collect();
    let names: Vec<(&str, &str)> = std::iter::once(("instance", *lb)).chain(names).collect();
    if let Some((timer, quantile)) = percentile(field) {
        let buckets = names::histogram(NameStyle::Promex, subject, false, timer, Some(("bucket", None)));
        let rate = format!("rate({}[$__rate_interval])", matched(&buckets, &names));
        return format!("histogram_quantile({quantile}, sum by (le,{}) ({rate}))", labels.join(","));
    }
    let metric = match subject {
        Subject::Own => own(field),
        _ => names::metric(NameStyle::Promex, subject, false, field).expect(field),
    };
    matched(&metric, &names)
}

/// What was timed, and which quantile, of a field like `latency_response_p99`.
fn percentile(field: &str) -> Option<(&str, f64)> {
    let (timer, percent) = field.strip_prefix("latency_")?.rsplit_once("_p")?;
    Some((timer, percent.parse::<f64>().ok()? / 100.0))
}

/// A metric of the objects of these names.
fn matched(metric: &Metric, names: &[(&str, &str)]) -> String {
    let mut matchers: Vec<String> = Vec::new();
    for (label, value) in names.iter().filter(|(_, value)| *value != "*") {
        matchers.push(format!("{label}=~\"{value}\""));
    }
    matchers.extend(metric.label.iter().map(|(label, value)| format!("{label}=\"{value}\"")));
    if matchers.is_empty() { metric.name.clone() } else { format!("{}{{{}}}", metric.name, matchers.join(",")) }
}

/// A figure of haproxystats itself; those of Graphite's dispatcher become those of all destinations.
fn own(name: &str) -> Metric {
    let definitions = Figure::ALL.iter().map(|figure| figure.definition());
    let mut definitions =
        definitions.chain(SnapshotFigure::ALL.iter().map(|figure| figure.definition())).chain(pull::TABLE);
    let found: Option<&'static Definition> = definitions.find(|definition| definition.name == name);
    match found {
        Some(definition) => names::figure(NameStyle::Promex, definition, None),
        None => {
            let (definition, destination) = Counters::find(name).expect(name);
            Metric { label: None, ..names::figure(NameStyle::Promex, definition, Some(&destination)) }
        }
    }
}

/// Base units: what is milliseconds in Graphite is seconds here.
pub fn unit(unit: Unit) -> &'static str {
    if unit == Unit::Milliseconds { Unit::Seconds.grafana() } else { unit.grafana() }
}

/// What is said of Graphite is true of every destination.
pub fn words(text: &str) -> String {
    text.replace(" to Graphite", "")
        .replace("Graphite has", "destinations have")
        .replace("Graphite is", "a destination is")
}

/// The queries of a panel.
pub fn queries(panel: &Panel) -> impl Iterator<Item = Query> {
    panel.queries.iter().map(|query| translate(query))
}

/// The variables: each with what Grafana asks for its values.
pub fn variables(dashboard: &Dashboard) -> Vec<(&'static str, &'static str, &'static str, bool)> {
    let of = |choice: &Choice| match choice {
        Choice::LoadBalancer => {
            ("lb", "Load balancer", "label_values(haproxy_process_uptime_seconds, instance)", false)
        }
        Choice::LoadBalancers => {
            ("lb", "Load balancers", "label_values(haproxy_process_uptime_seconds, instance)", true)
        }
        Choice::Backend => {
            ("backend", "Backend", "label_values(haproxy_backend_current_sessions{instance=~\"$lb\"}, proxy)", false)
        }
    };
    dashboard.choices.iter().map(of).collect()
}

#[test]
fn queries_are_translated() {
    let promql = |query| {
        let Query { expr, legend } = translate(query);
        format!("{expr} as {legend}")
    };
    assert_eq!(
        promql("alias(maxSeries($namespace.$lb.haproxy.backend.$backend.latency_response_p99), 'p99')"),
        "max(histogram_quantile(0.99, sum by (le,instance,proxy) \
         (rate(haproxy_backend_response_time_seconds_bucket{instance=~\"$lb\",proxy=~\"$backend\"}[$__rate_interval])))) as p99"
    );
    assert_eq!(
        promql("alias(scale(sumSeries(perSecond($namespace.*.haproxy.frontend.*.bin)), 8), 'from clients')"),
        "sum(rate(haproxy_frontend_bytes_in_total[$__rate_interval])) * 8 as from clients"
    );
    assert_eq!(
        promql("groupByNode(perSecond($namespace.$lb.haproxy.backend.$backend.server.*.hrsp_5xx), -2, 'sumSeries')"),
        "sum by (server) (rate(haproxy_server_http_responses_total{instance=~\"$lb\",proxy=~\"$backend\",code=\"5xx\"}\
         [$__rate_interval])) as {{server}}"
    );
    assert_eq!(
        promql("aliasByNode(perSecond($namespace.$lb.haproxy.haproxystats.GraphiteLinesDelivered), -4)"),
        "rate(haproxystats_process_dispatcher_lines_delivered_total{instance=~\"$lb\"}[$__rate_interval]) as {{instance}}"
    );
}
