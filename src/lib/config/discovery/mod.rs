//! `[discovery]`, `[discovery-server]`, `[discovery-client]`, and `[discovery-backend:NAME]` for each backend of HAProxy.
//!
//! The options are those of HSDO, by their names in its environment without `SERVER_` and `CLIENT_`, in lower case and
//! with dashes; [`ENVIRONMENT`] is the table of both.

mod backend;
mod client;
mod environment;
mod list;
mod server;
mod source;
mod store;
mod words;

use super::graphite::{self, Graphite};
use super::ini::Ini;
use super::problem::Report;
use super::program::DISCOVERY;
use super::section::{Section, gather};
use super::value::{self, LogLevel};
use std::net::IpAddr;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;
use words::{list_size, optional_port};

use crate::config::option::{OptionSpec, options};
use crate::config::reading::{Reading, Type};
pub(crate) use backend::BackendMode;
pub use backend::{Backend, Serves};
pub use client::Client;
pub use environment::ENVIRONMENT;
pub(crate) use environment::lay_over;
pub use server::{Plan, Ramp, Server};
pub use source::{Address, Consul, Record, Source};
pub use store::Store;
pub(crate) use store::StoreKind;

options! {
    pub(crate) static ROWS: DISCOVERY, Discovery {
        LOGLEVEL: LogLevel = value::LOGLEVEL, "loglevel", None,
            "Log level of haproxystats-discovery; unset: that of [DEFAULT].";
        DEBUG: bool = value::BOOLEAN, "debug", Some("false"),
            "Log messages of every level, regardless of loglevel.";
        INTERVAL: Duration = value::TIME_LIMIT, "interval", Some("1"),
            "Pause between rounds of the server, and of the client.";
        HAPROXY_BACKEND_SERVERS_LIST_SIZE: NonZeroUsize = Reading::new(Type::Count, list_size), "haproxy-backend-servers-list-size", Some("10"),
            "Number of slots in the list; the same as in HAProxy's server-template. At most 1000 with dynamodb, 1300 \
             with consul, 4096 with etcd, 16384 with file.";
        STATE_DIR: PathBuf = value::DIRECTORY, "state-dir", Some("/var/lib/haproxystats/discovery"),
            "Directory for the list (store = file), and for the last known contents of the source and the store.";
        AWS_DEFAULT_REGION: String = value::TEXT, "aws-default-region", None,
            "AWS region of the DynamoDB table and of the Auto Scaling Groups; unset: that of the AWS profile.";
        EXPORTER_ADDRESS: IpAddr = value::ADDRESS, "exporter-address", Some("0.0.0.0"),
            "Address of the metrics page for Prometheus; :: for IPv6 and IPv4.";
        EXPORTER_PORT: Option<u16> = Reading::new(Type::Text, optional_port), "exporter-port", None,
            "TCP port of the metrics page; 0: no page; unset: 6789, or 6790 with --client alone.";
        GRAPHITE: bool = value::BOOLEAN, "graphite", Some("false"),
            "Also send the metrics to Graphite, as configured in [graphite].";
        GRAPHITE_INTERVAL: Duration = value::WHOLE_SECONDS, "graphite-interval", Some("10"),
            "Time between two reports to Graphite.";
    }
}

/// The lists of rows of `[discovery]`, `[discovery-server]`, `[discovery-client]` and `[discovery-backend]`.
pub(super) static TABLES: &[&[&OptionSpec]] =
    &[ROWS, store::ROWS, source::ROWS, server::ROWS, client::ROWS, backend::ROWS];

/// Port of the page of metrics, of a server and of a client by itself.
const SERVER_PORT: u16 = 6789;
const CLIENT_PORT: u16 = 6790;

/// All sections of the program.
#[derive(Debug, Clone)]
pub struct Discovery {
    /// Messages below this level are dropped.
    pub loglevel: LogLevel,
    /// Pause between two rounds.
    pub interval: Duration,
    /// Slots of the list.
    pub list_size: NonZeroUsize,
    /// For what was last read, and the list itself with the store `file`.
    pub state_dir: PathBuf,
    /// Where the list is kept.
    pub store: Store,
    /// Region of AWS; `None`: what the credentials' profile says.
    pub region: Option<String>,
    /// Where the page of metrics is served; `None`: nowhere.
    pub exporter: Option<SocketAddr>,
    /// The same for a client by itself, which may share its host with a server.
    pub client_exporter: Option<SocketAddr>,
    /// Where metrics are sent, and how often; `None`: nowhere.
    pub graphite: Option<(Graphite, Duration)>,
    /// `[discovery-server]`
    pub server: Server,
    /// `[discovery-client]` and `[discovery-backend:NAME]`
    pub client: Client,
}

/// Reads the sections; `None` when a value cannot be right, which is in the report then.
pub(super) fn read(ini: &Ini, report: &mut Report) -> Option<Discovery> {
    let section = &mut Section::new(DISCOVERY, ini, report);
    let debug = section.get(&DEBUG);
    let address = section.get(&EXPORTER_ADDRESS);
    let port = section.optional(&EXPORTER_PORT);
    let page = |usual: u16| {
        address.zip(port).map(|(address, port)| Some(SocketAddr::new(address, port.unwrap_or(Some(usual))?)))
    };
    let mut fits = true;
    let discovery = gather!(
        Discovery {
            loglevel: section.get(&LOGLEVEL).map(|level| if debug == Some(true) { LogLevel::Debug } else { level }),
            interval: section.get(&INTERVAL),
            list_size: section.get(&HAPROXY_BACKEND_SERVERS_LIST_SIZE),
            state_dir: section.get(&STATE_DIR),
            store: store::read(section),
            region: section.optional(&AWS_DEFAULT_REGION),
            exporter: page(SERVER_PORT),
            client_exporter: page(CLIENT_PORT),
            graphite: graphite(section),
            server: server::read(ini, report, list_size.map_or(1, NonZeroUsize::get)),
            client: client::read(ini, report),
        },
        if let (Some(store), Some(size)) = (&store, list_size) {
            let (name, most) = store.kind.room();
            fits = size.get() <= most;
            if !fits {
                let message = format!("is more than the {most} servers that a value in store = {name} can hold");
                Section::new(DISCOVERY, ini, report).error("haproxy-backend-servers-list-size", message);
            }
        }
    );
    if let Some(discovery) = &discovery {
        tls_without_effect(ini, report, discovery);
    }
    let mut discovery = discovery.filter(|_| fits && debug.is_some())?;
    let backends = discovery.client.backends.iter().map(|backend| (backend.name.clone(), backend.serves.clone()));
    discovery.server.plan.backends = backends.collect();
    Some(discovery)
}

/// Files for TLS where nothing is asked over it.
fn tls_without_effect(ini: &Ini, report: &mut Report, discovery: &Discovery) {
    let encrypted = |urls: &[String]| urls.iter().any(|url| url.starts_with("https:"));
    let store = matches!(discovery.store.kind, StoreKind::Consul | StoreKind::Etcd) && encrypted(&discovery.store.urls);
    let source = matches!(&discovery.server.source, Some(Source::Consul(consul)) if encrypted(&consul.urls));
    for option in ["tls-ca-file", "tls-certificate-file", "tls-key-file"] {
        if !store && !source && ini.is_written(DISCOVERY, option) {
            let message = "has no effect: no URL of Consul or etcd begins with https";
            Section::new(DISCOVERY, ini, report).warn(option, message);
        }
    }
}

/// Where metrics are sent, and how often.
fn graphite(section: &mut Section<'_>) -> Option<Option<(Graphite, Duration)>> {
    let (wanted, interval) = (section.get(&GRAPHITE), section.get(&GRAPHITE_INTERVAL));
    if !wanted? {
        return Some(None);
    }
    let mut found = Report::default();
    let graphite = graphite::read(section.ini, &mut found);
    if let (None, Some(first)) = (&graphite, found.errors.first()) {
        section.error("graphite", format!("is true, but [graphite] is invalid: {first}"));
    }
    Some(Some((graphite?, interval?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::options;
    use crate::config::{Program, load};
    use crate::haproxy::address::Address;

    fn read(text: &str) -> Discovery {
        load::from_text(Program::Discovery, text, "x.conf").unwrap().config.discovery
    }

    fn refused(text: &str) -> String {
        let refused = load::from_text(Program::Discovery, text, "x.conf").unwrap_err();
        let lines: Vec<String> = refused.report.errors.iter().map(ToString::to_string).collect();
        lines.join("\n")
    }

    #[test]
    fn the_defaults_are_those_of_the_seed() {
        let config = read("");
        assert_eq!(config.interval, Duration::from_secs(1));
        assert_eq!(config.list_size.get(), 10);
        assert_eq!(config.exporter, Some("0.0.0.0:6789".parse().unwrap()));
        assert_eq!(config.client_exporter, Some("0.0.0.0:6790".parse().unwrap()), "beside the server's");
        assert_eq!(config.store.kind, StoreKind::File);
        assert_eq!(config.server.plan.ramp, Ramp { min: 1, max: 10, step: 1, interval: Duration::from_secs(30) });
        assert_eq!(config.client.sockets, [Address::Unix("/var/run/haproxy/admin.sock".into())]);
        assert!(config.client.backends.is_empty() && config.server.source.is_none() && config.client.manage_weights);
    }

    #[test]
    fn every_variable_of_the_environment_is_an_option() {
        for (section, option, name) in ENVIRONMENT {
            assert!(options::all().any(|spec| spec.section == *section && spec.name == *option), "{name}");
        }
    }

    #[test]
    fn numbers_of_the_environment_are_numbers_and_win_over_the_file() {
        let mut ini = options::defaults();
        ini.read("x.conf", "[discovery]\ninterval = 7\n[discovery-server]\nmode = file\nsource-file = /x\n").unwrap();
        let variables = [("INTERVAL", "2"), ("HAPROXY_BACKEND_SERVERS_LIST_SIZE", "20"), ("EXPORTER_PORT", "9000")];
        let variables: Vec<_> = variables
            .into_iter()
            .chain([("DEBUG", "true"), ("SERVER_MODE", ""), ("DYNAMODB_TABLE_NAME", "a$b")])
            .collect();
        lay_over(&mut ini, |name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        });
        let config = super::read(&ini, &mut Report::default()).unwrap();
        assert_eq!((config.interval, config.list_size.get()), (Duration::from_secs(2), 20));
        assert_eq!(config.exporter.unwrap().port(), 9000);
        assert_eq!(config.client_exporter, config.exporter);
        assert_eq!((config.loglevel, config.store.kind), (LogLevel::Debug, StoreKind::DynamoDb));
        assert_eq!(config.store.table.as_deref(), Some("a$b"));
        assert_eq!(config.server.source, Some(Source::File { path: "/x".into() }), "an empty variable is unset");
        lay_over(&mut ini, |name| (name == "INTERVAL").then(|| "soon".to_owned()));
        let mut report = Report::default();
        assert!(super::read(&ini, &mut report).is_none());
        let words = report.errors[0].to_string();
        assert!(words.starts_with("environment variable INTERVAL: [discovery] interval = \"soon\": "), "{words}");
    }

    // One of the ways is JSON.
    #[cfg(feature = "discovery")]
    #[test]
    fn backends_in_each_of_the_ways() {
        let wanted = |serves: Serves| {
            let backend = |name: &str, base: &str, port| Backend {
                name: name.to_owned(),
                base_name: base.to_owned(),
                port,
                mode: BackendMode::Template,
                serves: serves.clone(),
                server_options: "check".to_owned(),
            };
            vec![backend("http-back", "mywebapp", 80), backend("api", "api-", 8080)]
        };
        let ways = [
            "haproxy-backend-list = http-back:mywebapp, api:api-:8080\n",
            "haproxy-backend-list = {\"http-back\": {\"baseName\": \"mywebapp\", \"serverPort\": \"80\"}, \
             \"api\": {\"baseName\": \"api-\", \"serverPort\": 8080}}\n",
            "[discovery-backend:http-back]\nbase-name = mywebapp\n[discovery-backend:api]\nbase-name = api-\nport = 8080\n",
            "haproxy-backend-name = http-back\nhaproxy-backend-base-name = mywebapp\n[discovery-backend:api]\nbase-name = api-\nport = 8080\n",
        ];
        for way in ways {
            let mut backends = read(&format!("[discovery-client]\n{way}")).client.backends;
            backends.sort_by_key(|backend| backend.port);
            assert_eq!(backends, wanted(Serves::All), "{way}");
        }
        let dedicated = "[discovery-client]\ndedicated-asg = yes\nasg-names = a, b\nhaproxy-fallback-backend-name = f\n\
                         haproxy-fallback-backend-base-name = fb\nhaproxy-backend-list = http-back:mywebapp\n";
        let serves = |text: &str| read(text).client.backends.into_iter().map(|b| b.serves).collect::<Vec<_>>();
        let groups = vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(serves(dedicated), [Serves::Only(groups.clone()), Serves::Except(groups.clone())]);
        let all = format!("{dedicated}all-servers-in-fallback-backend = yes\n");
        assert_eq!(serves(&all), [Serves::Only(groups), Serves::All]);
        let sections =
            "[discovery-backend:w]\nbase-name = w\nasg-names = a\nfallback = f\n[discovery-backend:f]\nbase-name = f\n";
        assert_eq!(serves(sections), [Serves::Only(vec!["a".to_owned()]), Serves::Except(vec!["a".to_owned()])]);
    }

    #[test]
    fn what_cannot_be_right_is_refused_with_what_would_be() {
        for (text, words) in [
            ("[discovery]\nstore = consul\nhaproxy-backend-servers-list-size = 2000\n", "1300 servers"),
            (
                "[discovery]\nstore = etcd\nhaproxy-backend-servers-list-size = 4097\n",
                "4096 servers that a value in store = etcd",
            ),
            ("[discovery]\nhaproxy-backend-servers-list-size = 16385\n", "from 1 to 16384"),
            ("[discovery]\nstore = dynamodb\n", "dynamodb-table-name: is not set"),
            ("[discovery-server]\nmode = aws\n", "asg-names: is not set, and mode = aws needs it"),
            ("[discovery-server]\nmode = consul\nconsul-api-url = localhost:8500\n", "not a URL"),
            ("[discovery-server]\nhaproxy-backend-server-max-weight = 300\n", "from 0 to 256"),
            ("[discovery-server]\nhaproxy-backend-server-min-weight = 20\n", "is above the largest weight, 10"),
            ("[discovery-server]\nhaproxy-backend-server-increase-weight = 0\n", "would never reach"),
            ("[discovery-client]\ndedicated-asg = yes\n", "asg-names: is not set"),
            (
                "[discovery-client]\nall-servers-in-fallback-backend = yes\n",
                "haproxy-fallback-backend-name: is not set",
            ),
            ("[discovery-client]\nhaproxy-backend-list = a b:c\n", "not a backend"),
            ("[discovery-client]\nhaproxy-backend-list = a:b, a:c\n", "lists backend a twice"),
            ("[discovery-backend:a]\nport = 80\n", "base-name: is not set"),
            ("[discovery-backend:a]\nbase-name = a\nasg-names = x\nfallback = y\n", "without a section"),
        ] {
            let found = refused(text);
            assert!(found.contains(words), "{text}: {found}");
        }
    }
}
