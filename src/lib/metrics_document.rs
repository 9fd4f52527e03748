//! Holds docs/metrics.md against the declarations of all figures.

use crate::agent::figures::{AGENT, AGENT_CHECK, AGENT_SERVICE};
use crate::discovery::client::figures::{DISCOVERY_BACKEND, DISCOVERY_CLIENT, DISCOVERY_SOCKET};
use crate::discovery::server::figures::DISCOVERY;
use crate::dispatch::Counters;
use crate::process::parent::figures::Figure;
use crate::process::pipeline::SnapshotFigure;
use crate::telemetry::markdown::table;
use crate::telemetry::{Definition, pull};
use std::collections::HashSet;

/// Every declaration, with the heading that it has in the document.
fn declarations() -> Vec<(&'static str, Vec<&'static Definition>)> {
    vec![
        (
            "Sent with every snapshot, with its timestamp",
            SnapshotFigure::ALL.iter().map(|figure| figure.definition()).collect(),
        ),
        (
            "Of the process daemon (`self-metrics = true`), with the moment that they describe",
            Figure::ALL.iter().map(|figure| figure.definition()).collect(),
        ),
        (
            "Of each destination (`self-metrics = true`), summed over all workers since the daemon started; the name \
             follows that of the destination: `GraphiteLinesDelivered`, `LocalStoreLinesDelivered`",
            Counters::DISPATCHER.iter().collect(),
        ),
        ("Besides those, of the archive: `ArchiveBytesStored`", Counters::ARCHIVE.iter().collect()),
        ("Besides those, of Kafka: `KafkaMessagesSent`", Counters::MESSAGES.iter().collect()),
        (
            "Besides those of each destination, of OTLP and remote write: `OtlpRequestsAccepted`, \
             `RemoteWriteRequestsAccepted`",
            Counters::REQUESTS.iter().collect(),
        ),
        (
            "Of the pull daemon (`self-metrics = true`), with the timestamp of the snapshot that carries them; counters \
             start from 0 with haproxystats-pull",
            pull::TABLE.iter().collect(),
        ),
        ("Of each socket, on the page of haproxystats-pull alone (label `socket`)", pull::SOCKET.to_vec()),
        ("Of the agent (`self-metrics` of `[agent]`)", AGENT.to_vec()),
        (
            "Of each service of the agent, prefixed with `agent.<service>.`; where the figure is one of several, the word follows \
             its name: `AnswersUp`, `StateDrain`",
            AGENT_SERVICE.to_vec(),
        ),
        (
            "Of each check of a service of the agent, prefixed with `agent.<service>.<check>.`: `CheckFailuresTimeout`",
            AGENT_CHECK.to_vec(),
        ),
        (
            "Of the server of discovery (`graphite = true` in `[discovery]`); where the figure is one of several, the word \
             stands before its name: `discovery.added.DiscoveryChanges`. The weight of each server is \
             `discovery.server.<name>.Weight`, on the page `hsdo_server_weight{id,name,ip,asg}`",
            DISCOVERY.to_vec(),
        ),
        ("Of the client of discovery (`graphite = true` in `[discovery]`)", DISCOVERY_CLIENT.to_vec()),
        (
            "Of the client of discovery, of each socket: `discovery.<socket>.DiscoveryClientUp`",
            DISCOVERY_SOCKET.to_vec(),
        ),
        (
            "Of the client of discovery, of each backend: `discovery.<socket>.<backend>.DiscoveryClientDrift`",
            DISCOVERY_BACKEND.to_vec(),
        ),
    ]
}

#[test]
fn every_name_is_a_unique_leaf_of_a_metric_path() {
    let declared = declarations();
    let all = declared.iter().flat_map(|(_, definitions)| definitions);
    let of_destinations: HashSet<&str> = Counters::definitions().map(|definition| definition.name).collect();
    let mut names: Vec<String> = all
        .clone()
        .map(|definition| definition.name.to_owned())
        .filter(|name| !of_destinations.contains(name.as_str()))
        .collect();
    for dispatcher in ["graphite", "kafka", "local-store", "archive", "otlp", "remote-write", "agent-graphite"] {
        names.extend(Counters::default().named(dispatcher).into_iter().map(|(name, _)| name));
    }
    assert!(names.iter().all(|name| name.bytes().all(|b| b.is_ascii_alphanumeric())), "{names:?}");
    assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len());
    assert!(all.clone().all(|definition| definition.about.ends_with('.')));
}

#[test]
fn the_document_shows_the_declarations() {
    const BEGIN: &str = "<!-- own metrics: begin (generated; see src/lib/metrics_document.rs) -->\n";
    const END: &str = "\n<!-- own metrics: end -->";
    let declared = declarations();
    let text: String = declared.iter().map(|(title, of)| table(title, of.iter().copied())).collect();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md");
    let document = std::fs::read_to_string(path).unwrap();
    let (before, rest) = document.split_once(BEGIN).expect("the mark of the beginning");
    let (shown, after) = rest.split_once(END).expect("the mark of the end");
    if std::env::var_os("HAPROXYSTATS_ACCEPT").is_some() {
        std::fs::write(path, format!("{before}{BEGIN}{text}{END}{after}")).unwrap();
    } else {
        assert_eq!(shown, text, "run this test with HAPROXYSTATS_ACCEPT=1 to accept");
    }
}
