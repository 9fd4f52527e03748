//! `[agent]`, and `[agent:NAME]` for each service.

mod http;
mod load;
mod network;
mod patroni;
mod responses;
mod service;
mod words;

use super::ini::Ini;
use super::problem::Report;
use super::program;
use super::program::AGENT;
use super::section::{Section, gather};
use super::value::{self, LogLevel};
use std::path::PathBuf;
use std::time::Duration;

use crate::config::option::{OptionSpec, options};
pub(crate) use http::Reduction;
pub use http::{Http, Rules};
pub use load::Load;
pub(crate) use load::Overload;
pub use network::Network;
pub use patroni::Patroni;
pub use responses::{Response, Responses};
pub use service::{Combine, Kind, Service};
pub(crate) use words::LONGEST_REQUEST;

options! {
    pub(crate) static ROWS: AGENT, Agent {
        LOGLEVEL: LogLevel = value::LOGLEVEL, "loglevel", None,
            "Log level of haproxystats-agent; unset: that of [DEFAULT].";
        SELF_METRICS: bool = value::BOOLEAN, "self-metrics", None,
            "Send metrics about the agent to Graphite; unset: true if the configuration has a [graphite] section.";
        SELF_METRICS_INTERVAL: Duration = value::WHOLE_SECONDS, "self-metrics-interval", Some("10"),
            "Time between two reports of these metrics, aligned to the wall clock.";
        STATE_FILE: PathBuf = value::FILE, "state-file", None,
            "File that keeps the last answers for initial-grace; unset: state.json in the RuntimeDirectory of the \
             systemd unit, otherwise none.";
        STOP_TIMEOUT: Duration = value::PAUSE, "stop-timeout", Some("10"),
            "How long stop-response is answered after SIGTERM, if a service has one; a second signal stops the agent \
             at once.";
    }
}

/// The lists of rows of `[agent]`.
pub(super) static TABLES: &[&[&OptionSpec]] =
    &[ROWS, service::ROWS, responses::ROWS, http::ROWS, patroni::ROWS, load::ROWS];

/// The section and its services.
#[derive(Debug, Clone)]
pub struct Agent {
    /// Messages below this level are dropped.
    pub loglevel: LogLevel,
    /// How long the agent answers `stop-response` before it ends, where a service has one.
    pub stop_timeout: Duration,
    /// Where the last answers are kept for the next run; `None`: where systemd has made a directory for the agent.
    pub state_file: Option<PathBuf>,
    /// How often figures about the agent are sent to Graphite; `None`: never.
    pub self_metrics: Option<Duration>,
    /// Never empty: without `[agent:NAME]` sections the only service is `[agent]` itself.
    pub services: Vec<Service>,
}

/// Options of the program as a whole.
const OF_THE_PROGRAM: [&str; 5] = ["loglevel", "stop-timeout", "state-file", "self-metrics", "self-metrics-interval"];

/// Reads the section and its services; `None` when a value cannot be right, which is in the report then.
pub(super) fn read(ini: &Ini, report: &mut Report) -> Option<Agent> {
    let names: Vec<&str> = ini.sections().filter(|name| *name != AGENT && program::base(name) == AGENT).collect();
    let names = if names.is_empty() { vec![AGENT] } else { names };
    let section = &mut Section::new(AGENT, ini, report);
    let good;
    let agent = gather!(
        Agent {
            loglevel: section.get(&LOGLEVEL),
            stop_timeout: section.get(&STOP_TIMEOUT),
            state_file: section.optional(&STATE_FILE),
            self_metrics: self_metrics(section),
            services: services(&names, ini, report),
        },
        good = services.as_ref().is_some_and(|services| pairs(&names, services, ini, report))
    );
    agent.filter(|_| good)
}

/// How often figures are sent. Where nobody has written of Graphite, nothing is sent to where it might be.
fn self_metrics(section: &mut Section<'_>) -> Option<Option<Duration>> {
    let (wanted, interval) = (section.optional(&SELF_METRICS), section.get(&SELF_METRICS_INTERVAL));
    let wanted = wanted?.unwrap_or_else(|| section.ini.section_place("graphite").is_some());
    interval.map(|interval| wanted.then_some(interval))
}

fn services(names: &[&str], ini: &Ini, report: &mut Report) -> Option<Vec<Service>> {
    let services: Vec<Option<Service>> = names.iter().map(|name| service::read(name, ini, report)).collect();
    for name in names.iter().filter(|name| **name != AGENT) {
        for option in OF_THE_PROGRAM {
            if ini.has_own(name, option) {
                Section::new(name, ini, report).warn(option, "has no effect here; set it in [agent]");
            }
        }
    }
    services.into_iter().collect()
}

/// Services of one port must be told apart, and share what belongs to the port.
fn pairs(names: &[&str], services: &[Service], ini: &Ini, report: &mut Report) -> bool {
    let mut good = true;
    for (index, service) in services.iter().enumerate() {
        let Some(name) = names.get(index) else { continue };
        let mut section = Section::new(name, ini, report);
        for other in services.iter().take(index).filter(|other| other.port == service.port) {
            if other.bind != service.bind {
                section.error("bind", format!("differs from that of {}, which has the same port", other.name));
                good = false;
            } else if other.request == service.request {
                let message = format!(
                    "is already used by {} on the same port; write what HAProxy sends (agent-send)",
                    other.name
                );
                section.error("request", message);
                good = false;
            }
            let request = |service: &Service| service.request.clone().unwrap_or_default();
            let (one, two) = (request(service), request(other));
            if one != two && !one.is_empty() && !two.is_empty() && (one.starts_with(&two) || two.starts_with(&one)) {
                let message = format!(
                    "and that of {} have the same beginning: end agent-send with \\n, or wait for it",
                    other.name
                );
                section.warn("request", message);
            }
            if other.max_connections != service.max_connections || other.request_timeout != service.request_timeout {
                section.warn("port", format!("shares max-connections and request-timeout with {}", other.name));
            }
        }
        let spare = service.check_timeout.saturating_add(service.interval.unwrap_or_default());
        if service.staleness < spare {
            section.warn(
                "staleness-interval",
                "is below the sum of interval and check-timeout: slow results become stale",
            );
        }
    }
    good
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load;
    use crate::config::program::Program;
    use crate::haproxy::answer::State;

    fn services(text: &str) -> Vec<Service> {
        load::from_text(Program::Agent, text, "x.conf").unwrap().config.agent.services
    }

    fn refusal(text: &str) -> String {
        let refused = load::from_text(Program::Agent, text, "x.conf").unwrap_err();
        refused.report.errors.iter().map(|error| format!("{error}\n")).collect()
    }

    #[test]
    fn the_defaults_are_one_service() {
        let services = services("");
        assert_eq!(services.len(), 1);
        assert_eq!((services[0].port, services[0].checks.as_slice()), (5555, [(Kind::Datawave, 1)].as_slice()));
        assert_eq!(services[0].staleness, Duration::from_secs(3));
        assert_eq!(services[0].responses.unavailable.as_ref().unwrap().state, State::Drain);
        assert_eq!(services[0].responses.initial, None);
    }

    #[test]
    fn services_inherit_and_underscores_are_dashes() {
        let text = "[agent]\nport = 7000\ncheck_url = http://a/\n[agent:x]\nrequest = x\\n\nos_load_reduction = 0.1\n\
                    [agent:y]\nrequest = y\ninterval = 5\n";
        let services = services(text);
        let names: Vec<&str> = services.iter().map(|service| service.name.as_str()).collect();
        assert_eq!(names, ["x", "y"]);
        assert!(
            services.iter().all(|service| service.port == 7000 && service.http.url.as_deref() == Some("http://a/"))
        );
        assert_eq!((services[0].datawave[1], services[1].datawave[1]), (0.1, 0.4));
        assert_eq!((services[0].request.as_deref(), services[1].interval), (Some("x"), Some(Duration::from_secs(5))));
    }

    #[test]
    fn figures_are_sent_where_graphite_is_written_of() {
        let of = |text: &str| load::from_text(Program::Agent, text, "x.conf").unwrap().config.agent.self_metrics;
        assert_eq!(of(""), None);
        assert_eq!(of("[graphite]\n"), Some(Duration::from_secs(10)));
        assert_eq!(of("[graphite]\n[agent]\nself-metrics = false\n"), None);
        assert_eq!(of("[agent]\nself-metrics = true\nself-metrics-interval = 60\n"), Some(Duration::from_secs(60)));
    }

    #[test]
    fn checks_have_shares() {
        let services = services("[agent]\nchecks = load:3 http\ncheck-url = http://a/\n");
        assert_eq!(services[0].checks, [(Kind::Load, 3), (Kind::Http, 1)]);
    }

    #[test]
    fn refusals_say_where_and_what() {
        for (text, words) in [
            ("[agent:a]\n[agent:b]\n", "agent-send"),
            ("[agent:a]\nchecks = http\n", "the check http needs it"),
            ("[agent:a]\nchecks = htp\n", "did you mean \"http\"?"),
            ("[agent]\ndown-response = dwn\n", "\"dwn\" is not valid in an answer"),
            ("[agent]\nallow = 10.0.0.0/33\n", "not a network"),
            ("[agent]\ncheck-url = http://u:p@h/\n", "credentials-file"),
            ("[agent]\nos-load-reduction = 2\n", "fraction"),
            ("[agent]\nchecks = datawave patroni\n", "a service for each"),
            ("[agent]\nreductions = load 1\n", "not a reduction"),
            ("[agent]\ntls-key-file = /k\n", "needs tls-certificate-file"),
            ("[agent]\ntls-certificate-file = /c\n", "needs tls-key-file"),
            ("[agent]\nchecks = load:0\n", "no valid share"),
            ("[agent]\nchecks = load load:2\n", "is listed twice"),
            ("[agent]\ndw_health_poller:\n  check_url: http://a/\n", "--import-datawave"),
            ("[agent]\nport = 5555\n  interval = 5\n", "line of \"interval\" is indented"),
            ("[agent]\ncommand = /bin/true\n  check_timeout: 5\n", "line of \"check_timeout\" is indented"),
            ("[agent:a]\nextra =\n  anything\n", "an indented block"),
            ("[agent]\noverload-leave = 0.5\n", "without overload-enter"),
            ("[agent]\noverload-enter = 0.5\noverload-leave = 0.6\n", "above overload-enter"),
        ] {
            assert!(refusal(text).contains(words), "{text:?}: {}", refusal(text));
        }
    }
}
