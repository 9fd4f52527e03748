//! The dashboards for a Prometheus data source: each query of Graphite, translated. Names, labels and units come from the table
//! of names, so that the dashboards have one source.

use super::panels::{Choice, Mark, Panel, Unit};
use haproxystats::config::NameStyle;
use haproxystats::dispatch::Counters;
use haproxystats::haproxy::facts::Thing;
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
    Number(&'a str),
}

use Graphite::{Call, Number, Path, Text};

/// Reads an expression; returns what is behind it.
fn read(text: &str) -> (Graphite<'_>, &str) {
    let text = text.trim_start();
    if let Some(rest) = text.strip_prefix('\'') {
        let (word, rest) = rest.split_once('\'').expect(text);
        return (Text(word), rest);
    }
    let end = text.find(['(', ',', ')']).unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    let Some(mut rest) = rest.strip_prefix('(') else {
        let leaf = if word.parse::<f64>().is_ok() { Number(word) } else { Path(word.split('.').collect()) };
        return (leaf, rest);
    };
    let mut arguments = Vec::new();
    loop {
        let (argument, behind) = read(rest);
        arguments.push(argument);
        match behind.strip_prefix(',') {
            Some(more) => rest = more,
            None => return (Call(word, arguments), behind.strip_prefix(')').expect(text)),
        }
    }
}

/// The translation of a query.
pub fn translate(query: &str) -> Query {
    let (expression, rest) = read(query);
    assert_eq!(rest, "", "{query}");
    let (expr, legend) = of(&expression);
    Query { expr: expr.text, legend: legend.unwrap_or_else(|| panic!("{query} names no series")) }
}

/// An expression in PromQL.
struct Expr {
    text: String,
    shape: Shape,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Selector,
    Call,
    /// One that needs parentheses to be a part of another.
    Operation,
}

impl Expr {
    fn call(text: String) -> Self {
        Self { text, shape: Shape::Call }
    }

    fn operation(text: String) -> Self {
        Self { text, shape: Shape::Operation }
    }

    fn operand(&self) -> String {
        if self.shape == Shape::Operation { format!("({})", self.text) } else { self.text.clone() }
    }
}

/// The series of `expr` that are first by a figure over the time that is shown. Without that, the first of each moment would all be
/// there, which can be many.
fn first(expr: &Expr, keep: &str, count: &str, figure: &str) -> Expr {
    let window = if expr.shape == Shape::Selector { "[$__range]" } else { "[$__range:$__rate_interval]" };
    let expr = expr.operand();
    Expr::operation(format!("{expr} and {keep}({count}, {figure}({expr}{window} @ end()))"))
}

/// The expression, and the names of its series where it has given them some.
fn of(expression: &Graphite<'_>) -> (Expr, Option<String>) {
    let (function, arguments) = match expression {
        Path(elements) => return (selector(elements), None),
        Call(function, arguments) => (*function, arguments.as_slice()),
        other => panic!("{other:?} by itself"),
    };
    let around = |function: &str, inner: &Graphite<'_>| {
        let (expr, legend) = of(inner);
        (Expr::call(format!("{function}({})", expr.text)), legend)
    };
    match (function, arguments) {
        ("alias", [inner, Text(name)]) => (of(inner).0, Some((*name).to_owned())),
        ("aliasByNode", [inner, nodes @ ..]) => {
            let names: Vec<String> = nodes.iter().map(|node| format!("{{{{{}}}}}", label(inner, node))).collect();
            (of(inner).0, Some(names.join(" ")))
        }
        // What grew most, of counters.
        ("perSecond", [Call("highest", chosen)]) => {
            let [path, Number(count), Text("range")] = chosen.as_slice() else { panic!("{chosen:?}") };
            let counter = of(path).0.text;
            let grown = format!("topk({count}, increase({counter}[$__range] @ end()))");
            (Expr::operation(format!("rate({counter}[$__rate_interval]) and {grown}")), None)
        }
        ("perSecond", [inner]) => (Expr::call(format!("rate({}[$__rate_interval])", of(inner).0.text)), None),
        ("sumSeries", [inner]) => around("sum", inner),
        ("averageSeries", [inner]) => around("avg", inner),
        ("maxSeries", [inner]) => around("max", inner),
        // Divisions by 0 are left out of every series.
        ("removeEmptySeries", [inner]) => of(inner),
        ("scale", [inner, Number(factor)]) => {
            let (expr, legend) = of(inner);
            let factor: f64 = factor.parse().expect("a number");
            let (sign, factor) = if factor.abs() < 1.0 { ('/', (1.0 / factor).round()) } else { ('*', factor) };
            (Expr::operation(format!("{} {sign} {factor}", expr.operand())), legend)
        }
        ("offset", [inner, Number(distance)]) => {
            let (expr, legend) = of(inner);
            (Expr::operation(format!("{} + {distance}", expr.text)), legend)
        }
        ("groupByNode", [inner, node, Text(function)]) => {
            let function = match *function {
                "sumSeries" => "sum",
                "averageSeries" => "avg",
                "minSeries" => "min",
                "maxSeries" => "max",
                other => panic!("{other} is not known"),
            };
            let label = label(inner, node);
            (Expr::call(format!("{function} by ({label}) ({})", of(inner).0.text)), Some(format!("{{{{{label}}}}}")))
        }
        ("highest" | "lowest", [inner, Number(count), Text(figure)]) => {
            let (expr, legend) = of(inner);
            let figure = match *figure {
                "average" => "avg_over_time",
                "max" => "max_over_time",
                "last" => "last_over_time",
                other => panic!("{other} is not known"),
            };
            let keep = if function == "highest" { "topk" } else { "bottomk" };
            (first(&expr, keep, count, figure), legend)
        }
        ("asPercent", [part, whole, nodes @ ..]) => {
            let labels: Vec<&str> = nodes.iter().map(|node| label(part, node)).collect();
            let on = if labels.is_empty() { String::new() } else { format!("on ({}) ", labels.join(",")) };
            let (part, whole) = (of(part).0, of(whole).0);
            (Expr::operation(format!("100 * {} / {on}({} > 0)", part.operand(), whole.text)), None)
        }
        (other, arguments) => panic!("{other} of {arguments:?} is not known"),
    }
}

/// The path that an expression is about: the first in it.
fn path<'a>(expression: &'a Graphite<'a>) -> &'a [&'a str] {
    match expression {
        Path(elements) => elements,
        Call(_, arguments) => path(&arguments[0]),
        other => panic!("{other:?} has no path"),
    }
}

/// The node by which series were grouped.
fn grouped<'a>(expression: &'a Graphite<'a>) -> &'a Graphite<'a> {
    match expression {
        Call("groupByNode", arguments) => &arguments[1],
        Call(_, arguments) => grouped(&arguments[0]),
        other => panic!("{other:?} is not grouped"),
    }
}

/// The label that stands for a node of the path, counted from the end; for node 0, the one by which series were grouped.
fn label(expression: &Graphite<'_>, node: &Graphite<'_>) -> &'static str {
    let Number(node) = node else { panic!("{node:?} is no node") };
    if *node == "0" {
        return label(expression, grouped(expression));
    }
    let elements = path(expression);
    let back: usize = node.strip_prefix('-').and_then(|node| node.parse().ok()).expect("a node from the end");
    match (elements.len() - back, elements[3]) {
        (1, _) => "instance",
        (4, "certificate") => "certificate",
        (4, "table") => "name",
        (4, _) => "proxy",
        (6, _) => "server",
        other => panic!("{elements:?} has no name at {other:?}"),
    }
}

/// Servers by state, as the exporter has them: those that are not checked are up.
const STATES: [(&str, &str); 5] = [
    ("servers_up", "UP"),
    ("servers_down", "DOWN"),
    ("servers_maint", "MAINT"),
    ("servers_drain", "DRAIN"),
    ("servers_nolb", "NOLB"),
];

/// What the exporter counts elsewhere.
const NOT_THERE: &str = ".servers_no_check";

fn selector(elements: &[&str]) -> Expr {
    let [namespace, lb, "haproxy", rest @ ..] = elements else { panic!("{elements:?}") };
    assert_eq!(*namespace, "$namespace");
    let (subject, field, names): (Subject, &str, Vec<(&str, &str)>) = match rest {
        ["daemon", field] => (Subject::Process, field, vec![]),
        ["frontend", name, field] => (Subject::Frontend, field, vec![("proxy", name)]),
        ["backend", name, field] => (Subject::Backend, field, vec![("proxy", name)]),
        ["backend", name, "server", server, field] => {
            (Subject::Server, field, vec![("proxy", name), ("server", server)])
        }
        ["certificate", name, field] => (Subject::Thing(Thing::Certificate), field, vec![("certificate", name)]),
        ["table", name, field] => (Subject::Thing(Thing::Table), field, vec![("name", name)]),
        ["haproxystats", figure] => (Subject::Own, figure, vec![]),
        other => panic!("{other:?}"),
    };
    let labels: Vec<&str> = std::iter::once("instance").chain(names.iter().map(|(label, _)| *label)).collect();
    let names: Vec<(&str, &str)> = std::iter::once(("instance", *lb)).chain(names).collect();
    if let Some((timer, quantile)) = percentile(field) {
        let buckets = names::histogram(NameStyle::Promex, subject, false, timer, Some(("bucket", None)));
        let rate = format!("rate({}[$__rate_interval])", matched(&buckets, &names));
        return Expr::call(format!("histogram_quantile({quantile}, sum by (le,{}) ({rate}))", labels.join(",")));
    }
    let state = STATES.iter().find(|(counted, _)| *counted == field);
    let metric = match (subject, state) {
        (Subject::Own, _) => own(field),
        (_, Some((_, state))) => {
            names::state(NameStyle::Promex, subject, false, "agg_server_status", state).expect(field)
        }
        _ => names::metric(NameStyle::Promex, subject, false, field).expect(field),
    };
    Expr { text: matched(&metric, &names), shape: Shape::Selector }
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
    panel.queries.iter().filter(|query| !query.contains(NOT_THERE)).map(|query| translate(query))
}

/// When something happened.
pub fn mark(mark: &Mark) -> String {
    format!("{}({}[1m]) > 0", mark.promql, translate(&format!("alias({}, '')", mark.field)).expr)
}

/// What Grafana asks for the values of a choice; `None` where they are typed in.
pub fn values(choice: Choice) -> Option<&'static str> {
    match choice {
        Choice::LoadBalancer | Choice::LoadBalancers => Some("label_values(haproxy_process_uptime_seconds, instance)"),
        Choice::Backend => Some("label_values(haproxy_backend_current_sessions{instance=~\"$lb\"}, proxy)"),
        Choice::Servers => None,
    }
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
        promql(
            "aliasByNode(perSecond(highest($namespace.$lb.haproxy.haproxystats.GraphiteLinesDelivered, 10, 'range')), -4)"
        ),
        "rate(haproxystats_process_dispatcher_lines_delivered_total{instance=~\"$lb\"}[$__rate_interval]) and topk(10, \
         increase(haproxystats_process_dispatcher_lines_delivered_total{instance=~\"$lb\"}[$__range] @ end())) as {{instance}}"
    );
    assert_eq!(
        promql(
            "aliasByNode(scale(lowest($namespace.*.haproxy.certificate.*.expires_in, 10, 'last'), 0.000011574074), -5, -2)"
        ),
        "(haproxy_certificate_expires_in_seconds and bottomk(10, \
         last_over_time(haproxy_certificate_expires_in_seconds[$__range] @ end()))) / 86400 as {{instance}} {{certificate}}"
    );
    assert_eq!(
        promql("alias(sumSeries($namespace.$lb.haproxy.backend.*.servers_drain), 'drain')"),
        "sum(haproxy_backend_agg_server_status{instance=~\"$lb\",state=\"DRAIN\"}) as drain"
    );
    assert_eq!(
        promql(
            "aliasByNode(highest(asPercent(groupByNode(perSecond($namespace.*.haproxy.frontend.*.hrsp_5xx), -5, 'sumSeries'), \
                groupByNode(perSecond($namespace.*.haproxy.frontend.*.req_tot), -5, 'sumSeries'), 0), 10, 'average'), 0)"
        ),
        "(100 * sum by (instance) (rate(haproxy_frontend_http_responses_total{code=\"5xx\"}[$__rate_interval])) / on (instance) \
         (sum by (instance) (rate(haproxy_frontend_http_requests_total[$__rate_interval])) > 0)) and topk(10, avg_over_time((\
         100 * sum by (instance) (rate(haproxy_frontend_http_responses_total{code=\"5xx\"}[$__rate_interval])) / on (instance) \
         (sum by (instance) (rate(haproxy_frontend_http_requests_total[$__rate_interval])) > 0))[$__range:$__rate_interval] @ end())) \
         as {{instance}}"
    );
}
