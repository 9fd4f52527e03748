//! Every figure that haproxystats sends about itself, under `<namespace>[.<host>].haproxy.haproxystats.`: name, unit,
//! kind, and what it says in words. The documentation is generated from these tables.

use crate::dispatch::Counters;
use std::fmt::Write;

/// How a figure behaves over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Grows from 0 at the start of the program.
    Counter,
    /// Describes one moment or one snapshot.
    Gauge,
}

/// What a figure means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Definition {
    /// Last element of the metric's path.
    pub name: &'static str,
    /// Unit of the value.
    pub unit: &'static str,
    /// Counter or gauge.
    pub kind: Kind,
    /// In words.
    pub about: &'static str,
}

/// Sent with every snapshot, as by the original: about the processing of this snapshot.
pub const SNAPSHOT: &[Definition] = &[
    Definition {
        name: "WallClockTimeHAProxy",
        unit: "seconds",
        kind: Kind::Gauge,
        about: "Time to process the statistics of the HAProxy daemon.",
    },
    Definition {
        name: "WallClockTimeFrontends",
        unit: "seconds",
        kind: Kind::Gauge,
        about: "Time to process the frontends.",
    },
    Definition {
        name: "WallClockTimeBackends",
        unit: "seconds",
        kind: Kind::Gauge,
        about: "Time to process the backends.",
    },
    Definition {
        name: "WallClockTimeServers",
        unit: "seconds",
        kind: Kind::Gauge,
        about: "Time to process the servers.",
    },
    Definition {
        name: "WallClockTimeAllStats",
        unit: "seconds",
        kind: Kind::Gauge,
        about: "Time to process all files of the snapshot.",
    },
    Definition {
        name: "TotalWallClockTime",
        unit: "seconds",
        kind: Kind::Gauge,
        about: "Time from taking up the snapshot until all its lines were ready to be sent. For the way to the \
                destination see DeliveryLatency.",
    },
    Definition {
        name: "MetricsHAProxy",
        unit: "metrics",
        kind: Kind::Gauge,
        about: "Metrics of the HAProxy daemon in this snapshot, this one included.",
    },
    Definition {
        name: "MetricsFrontend",
        unit: "metrics",
        kind: Kind::Gauge,
        about: "Metrics of frontends in this snapshot, this one included.",
    },
    Definition {
        name: "MetricsBackend",
        unit: "metrics",
        kind: Kind::Gauge,
        about: "Metrics of backends in this snapshot, this one included.",
    },
    Definition {
        name: "MetricsServer",
        unit: "metrics",
        kind: Kind::Gauge,
        about: "Metrics of servers in this snapshot, this one included.",
    },
];

macro_rules! figures {
    ($($variant:ident $unit:literal $kind:ident $about:literal;)*) => {
        /// A figure of the process daemon as a whole; its name is the last element of the metric's path.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Figure {
            $(#[doc = $about] $variant,)*
        }

        impl Figure {
            /// All of them, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// What it means.
            #[must_use]
            pub fn definition(self) -> Definition {
                match self {
                    $(Self::$variant => Definition {
                        name: stringify!($variant),
                        unit: $unit,
                        kind: Kind::$kind,
                        about: $about,
                    },)*
                }
            }
        }
    };
}

figures! {
    QueueDepth "snapshots" Gauge
        "Complete snapshots in src-dir that wait for a worker.";
    QueueOldestAge "seconds" Gauge
        "Age of the oldest snapshot that some destination does not have yet; 0 when there is none.";
    SnapshotsInFlight "snapshots" Gauge
        "Snapshots that workers are processing or delivering, without those that settle.";
    SnapshotsStuck "snapshots" Gauge
        "Snapshots that are done with but still in src-dir: delivered and not removable, which is tried again every 10 \
         seconds, or not processable and not movable to failed/, which is tried again every few minutes.";
    SnapshotsUnreadable "snapshots" Gauge
        "Snapshots that could not be read when they were last tried, for an error of the disk or the system. They stay, and \
         are tried again within a minute.";
    SnapshotsDelivered "snapshots" Counter
        "Snapshots whose metrics every destination has.";
    SnapshotsDropped "snapshots" Counter
        "Snapshots of which a destination's queue gave up metrics to make room (queue-full = drop-oldest).";
    SnapshotsVanished "snapshots" Counter
        "Snapshots that somebody else removed from src-dir before they were processed.";
    SnapshotsQuarantined "snapshots" Counter
        "Snapshots that could not be processed and were moved to failed/.";
    QuarantineRefusals "attempts" Counter
        "Attempts to move a snapshot to failed/ that failed, since there are 360 already or it cannot be written to. Nothing is \
         deleted: the snapshot stays in src-dir.";
    SnapshotsFailed "attempts" Counter
        "Attempts to process a snapshot that ended with an error of its own.";
    SnapshotsPostponed "attempts" Counter
        "Attempts to process a snapshot that ended with an error of the disk or the system; it is tried again.";
    SnapshotsPanicked "attempts" Counter
        "Attempts to process a snapshot that ended with a panic, which is a defect of the program.";
    RefusedRows "rows" Counter
        "Rows of statistics that were left out because they could not be read.";
    RefusedFiles "files" Counter
        "Files of statistics that were left out because nothing in them could be read.";
    UnknownObjects "objects" Counter
        "Frontends, backends and servers that were left out of snapshots though some processes told of them: the part of \
         another process could not be read.";
    LinesRendered "lines" Counter
        "Lines that workers made out of snapshots, repetitions included.";
    SlotsSkipped "servers" Counter
        "Servers that were left out of snapshots as unused slots (skip-unused-slots), repetitions included.";
    ZerosSkipped "lines" Counter
        "Lines that were left out because the counter is 0 (skip-zero), repetitions included.";
    UnchangedSkipped "lines" Counter
        "Lines that were left out because the value is that of the snapshot before (send-unchanged-every).";
    DeliveryLatency "seconds" Gauge
        "Longest time from a pull to the acknowledgement by every destination, among the snapshots delivered since \
         this figure was last sent. Not sent when none was.";
    DestinationsUnconfirmed "destinations" Gauge
        "Destinations that have confirmed nothing for a minute of what workers hold for them.";
    Workers "processes" Gauge
        "Worker processes that run.";
    WorkerRestartsExit "restarts" Counter
        "Workers replaced because they ended by themselves.";
    WorkerRestartsSignal "restarts" Counter
        "Workers replaced because a signal ended them.";
    WorkerRestartsHang "restarts" Counter
        "Workers replaced because they gave no answer for worker-timeout.";
    WatchRescues "events" Counter
        "Times that src-dir was replaced or the kernel lost events, and the whole directory was looked at instead.";
}

/// Figures of each destination; the name is put behind that of the destination, as in `GraphiteLinesDelivered`.
pub const DISPATCHER: &[Definition] = &[
    Definition {
        name: "LinesDelivered",
        unit: "lines",
        kind: Kind::Counter,
        about: "Lines that the destination has for good.",
    },
    Definition {
        name: "LinesResent",
        unit: "lines",
        kind: Kind::Counter,
        about: "Lines sent again after a connection was lost before everything on it had been acknowledged.",
    },
    Definition {
        name: "LinesDropped",
        unit: "lines",
        kind: Kind::Counter,
        about: "Lines given up to make room (queue-full = drop-oldest).",
    },
    Definition { name: "Retries", unit: "attempts", kind: Kind::Counter, about: "Attempts to connect that failed." },
    Definition {
        name: "Reconnects",
        unit: "connections",
        kind: Kind::Counter,
        about: "Connections opened in place of one that was lost.",
    },
    Definition {
        name: "Stalls",
        unit: "events",
        kind: Kind::Counter,
        about: "Times that the destination took no byte for write-timeout.",
    },
    Definition {
        name: "QueuedBatches",
        unit: "snapshots",
        kind: Kind::Gauge,
        about: "Snapshots whose lines workers hold in memory for this destination.",
    },
    Definition {
        name: "QueuedLines",
        unit: "lines",
        kind: Kind::Gauge,
        about: "Lines that workers hold in memory for this destination.",
    },
    Definition {
        name: "SnapshotsPutOff",
        unit: "snapshots",
        kind: Kind::Gauge,
        about: "Snapshots that stay on disk until this destination takes them, while the others have them already.",
    },
    Definition {
        name: "SnapshotsSettling",
        unit: "snapshots",
        kind: Kind::Gauge,
        about: "Snapshots that this destination says it has, and that stay on disk until that is certain (`[graphite] settle`).",
    },
];

/// The destination that takes messages.
pub const MESSAGING: &str = "kafka";

/// Further figures of a destination that takes messages.
pub const MESSAGES: &[Definition] = &[
    Definition {
        name: "MessagesSent",
        unit: "messages",
        kind: Kind::Counter,
        about: "Messages that the brokers have acknowledged.",
    },
    Definition {
        name: "MessagesFailed",
        unit: "messages",
        kind: Kind::Counter,
        about: "Messages that the brokers refused, or that were too large; each is kept and sent again.",
    },
    Definition {
        name: "MessagesRetried",
        unit: "messages",
        kind: Kind::Counter,
        about: "Messages sent again after they had failed, or after the client had to be replaced.",
    },
    Definition {
        name: "RequestsRetried",
        unit: "requests",
        kind: Kind::Counter,
        about: "Requests that librdkafka sent again by itself.",
    },
    Definition {
        name: "MessagesInFlight",
        unit: "messages",
        kind: Kind::Gauge,
        about: "Messages that are handed to librdkafka and not acknowledged yet.",
    },
    Definition {
        name: "MessagesParked",
        unit: "messages",
        kind: Kind::Gauge,
        about: "Messages that the brokers refused and that wait to be sent again.",
    },
    Definition {
        name: "QueuedBytes",
        unit: "bytes",
        kind: Kind::Gauge,
        about: "Bytes of messages that workers hold in memory for this destination, before compression.",
    },
    Definition {
        name: "AcknowledgeTime",
        unit: "seconds",
        kind: Kind::Gauge,
        about: "Time from the first message of a snapshot until all of its messages were acknowledged; the latest of \
                each worker, and the longest of those.",
    },
];

const fn row(name: &'static str, unit: &'static str, kind: Kind, about: &'static str) -> Definition {
    Definition { name, unit, kind, about }
}

/// Of haproxystats-agent.
pub static AGENT: [Definition; 5] = [
    row("AgentServices", "services", Kind::Gauge, "Services that are configured."),
    row(
        "AgentConnectionsClosed",
        "connections",
        Kind::Counter,
        "Connections closed without an answer because there were max-connections already.",
    ),
    row(
        "AgentConnectionsRefused",
        "connections",
        Kind::Counter,
        "Connections from addresses that may not ask (allow).",
    ),
    row(
        "AgentRequestsUnknown",
        "requests",
        Kind::Counter,
        "Requests for a service that is not there, or not for who asked; answered by an empty line.",
    ),
    row(
        "AgentReportsSkipped",
        "reports",
        Kind::Counter,
        "Reports to Graphite left out because it had not taken the one before; counters lose nothing by it.",
    ),
];

/// Of each service of the agent.
pub static AGENT_SERVICE: [Definition; 6] = [
    row(
        "Answers",
        "answers",
        Kind::Counter,
        "Answers given, by word (up, drain, maint, down, or empty for no change); with own-admin-state off, drain is \
         said as weight 0 and maint as down.",
    ),
    row(
        "AnswerChanges",
        "changes",
        Kind::Counter,
        "Times that the state or the weight given differed from the one before.",
    ),
    row("State", "1 or 0", Kind::Gauge, "1 for the word that would be answered now, 0 for the others."),
    row("Weight", "percent", Kind::Gauge, "Weight that would be answered now; not there while nothing would change."),
    row("ResultAge", "seconds", Kind::Gauge, "Age of the last result of the checks; not there before the first one."),
    row("Stale", "1 or 0", Kind::Gauge, "Whether the last result is older than staleness-interval."),
];

/// Of each check of a service of the agent.
pub static AGENT_CHECK: [Definition; 5] = [
    row("CheckRuns", "checks", Kind::Counter, "Checks that were made."),
    row(
        "CheckFailures",
        "checks",
        Kind::Counter,
        "Checks without a result, by reason: down, unavailable, timeout, error.",
    ),
    row("CheckTime", "seconds", Kind::Counter, "Time that all checks took together."),
    row("CheckTimeLast", "seconds", Kind::Gauge, "Time that the last check took."),
    row("CheckTimeLongest", "seconds", Kind::Gauge, "Longest time that a check took, since the agent started."),
];

/// Of the client of haproxystats-discovery: about the list.
pub static DISCOVERY_CLIENT: [Definition; 3] = [
    row("DiscoveryClientStoreUp", "1 or 0", Kind::Gauge, "Whether the store answered the client last time."),
    row("DiscoveryClientVersion", "documents", Kind::Gauge, "Version of the list that the client goes by; 0 for none."),
    row(
        "DiscoveryClientListAge",
        "seconds",
        Kind::Gauge,
        "Time since the store last gave the list that the client goes by, or said that it is still the same.",
    ),
];

/// Of the client of haproxystats-discovery: about each HAProxy.
pub static DISCOVERY_SOCKET: [Definition; 9] = [
    row("DiscoveryClientUp", "1 or 0", Kind::Gauge, "Whether HAProxy answered in the last round."),
    row("DiscoveryClientRoundAge", "seconds", Kind::Gauge, "Time since the last round that was completed."),
    row(
        "DiscoveryClientRounds",
        "rounds",
        Kind::Counter,
        "Rounds that were completed: HAProxy was looked at, and changed where it differed from the list.",
    ),
    row("DiscoveryClientRoundFailures", "rounds", Kind::Counter, "Rounds that ended early, as HAProxy did not answer."),
    row(
        "DiscoveryClientReplacements",
        "processes",
        Kind::Counter,
        "Times that another process answered: reloads and restarts of HAProxy.",
    ),
    row("DiscoveryClientCommands", "commands", Kind::Counter, "Commands that were sent to change something."),
    row("DiscoveryClientChanges", "changes", Kind::Counter, "Changes that were made and read back."),
    row(
        "DiscoveryClientFailures",
        "changes",
        Kind::Counter,
        "Changes that HAProxy refused, or that did not show when the servers were read back.",
    ),
    row("DiscoveryClientRefusedRows", "servers", Kind::Gauge, "Servers in HAProxy's last answer that cannot be read."),
];

/// Of the client of haproxystats-discovery: about each backend of each HAProxy.
pub static DISCOVERY_BACKEND: [Definition; 8] = [
    row("DiscoveryClientSlots", "slots", Kind::Gauge, "Slots for which the list has a server in this backend."),
    row("DiscoveryClientServing", "slots", Kind::Gauge, "Slots that have the server of the list, ready."),
    row("DiscoveryClientServersUp", "slots", Kind::Gauge, "Of these, slots whose server is up."),
    row(
        "DiscoveryClientDrift",
        "slots",
        Kind::Gauge,
        "Slots that differ from the list and are not held: changes that are under way, or fail.",
    ),
    row(
        "DiscoveryClientHeld",
        "slots",
        Kind::Gauge,
        "Slots that somebody else has set to drain or maint, or whose server somebody has taken out in another slot.",
    ),
    row("DiscoveryClientWaiting", "slots", Kind::Gauge, "Slots that wait for sessions to end, or for others to be up."),
    row(
        "DiscoveryClientUnplaced",
        "slots",
        Kind::Gauge,
        "Servers of the list for which HAProxy has no slot, or none that can be set.",
    ),
    row(
        "DiscoveryClientLeftOut",
        "slots",
        Kind::Gauge,
        "Servers of the list that are not put into HAProxy: they are there twice, or have no address that can be right.",
    ),
];

/// Of the server of haproxystats-discovery.
pub static DISCOVERY: [Definition; 17] = [
    row("DiscoveryLeader", "1 or 0", Kind::Gauge, "Whether this server has the lease: exactly one of all should."),
    row("DiscoverySlots", "slots", Kind::Gauge, "Slots of the list."),
    row("DiscoveryServers", "servers", Kind::Gauge, "Servers that have a slot and traffic."),
    row("DiscoveryDraining", "servers", Kind::Gauge, "Servers that are being drained before their slot is free."),
    row("DiscoveryUnplaced", "servers", Kind::Gauge, "Healthy servers for which there is no slot."),
    row(
        "DiscoveryHeld",
        "servers",
        Kind::Gauge,
        "Servers that the source lacks, calls unhealthy or takes out of service, and which the guard keeps all the same.",
    ),
    row("DiscoveryVersion", "documents", Kind::Gauge, "Version of the list; it grows with each change."),
    row(
        "DiscoverySourceAge",
        "seconds",
        Kind::Gauge,
        "Age of the last listing of the source; not there before the first one.",
    ),
    row("DiscoverySourceInstances", "instances", Kind::Gauge, "Instances in the last listing, whatever their state."),
    row(
        "DiscoveryUnusable",
        "instances",
        Kind::Gauge,
        "Instances in the last listing that would serve if there were an address that can be used.",
    ),
    row("DiscoveryListings", "listings", Kind::Counter, "Listings that the source gave."),
    row(
        "DiscoverySourceFailures",
        "attempts",
        Kind::Counter,
        "Attempts to list the source, or one of its groups, that failed.",
    ),
    row("DiscoveryStoreFailures", "attempts", Kind::Counter, "Requests to the store that failed."),
    row(
        "DiscoveryConflicts",
        "attempts",
        Kind::Counter,
        "Plans that were made anew because somebody else wrote in between.",
    ),
    row("DiscoveryWrites", "documents", Kind::Counter, "Lists that were written."),
    row(
        "DiscoveryChanges",
        "changes",
        Kind::Counter,
        "Changes of the list, by kind: added, draining, returned, freed, held, unplaced, moved, updated, weight, \
         list_resized.",
    ),
    row(
        "DiscoveryReportsSkipped",
        "reports",
        Kind::Counter,
        "Reports to Graphite left out because it had not taken the one before; counters lose nothing by it.",
    ),
];

/// The figures of a destination, in the order of [`DISPATCHER`].
#[must_use]
pub fn dispatcher_values(counters: &Counters) -> [f64; DISPATCHER.len()] {
    [
        counters.delivered_lines,
        counters.resent_lines,
        counters.dropped_lines,
        counters.retries,
        counters.reconnects,
        counters.stalls,
        counters.queued_batches,
        counters.queued_lines,
        counters.put_off,
        counters.settling,
    ]
    .map(as_f64)
}

/// The figures of a destination that takes messages, in the order of [`MESSAGES`].
#[must_use]
pub fn message_values(counters: &Counters) -> [f64; MESSAGES.len()] {
    let messages = &counters.messages;
    [
        as_f64(messages.sent),
        as_f64(messages.failed),
        as_f64(messages.retried),
        as_f64(messages.requests_retried),
        as_f64(messages.in_flight),
        as_f64(messages.parked),
        as_f64(messages.queued_bytes),
        as_f64(messages.latency_ms) / 1000.0,
    ]
}

/// The figures of a destination, with their names.
#[must_use]
pub fn of_dispatcher(name: &str, counters: &Counters) -> Vec<(String, f64)> {
    let prefix = camel_case(name);
    let named = |(definition, value): (&Definition, f64)| (format!("{prefix}{}", definition.name), value);
    let mut figures: Vec<_> = DISPATCHER.iter().zip(dispatcher_values(counters)).map(named).collect();
    if name == MESSAGING {
        figures.extend(MESSAGES.iter().zip(message_values(counters)).map(named));
    }
    figures
}

/// A count as a metric's value. Exact up to 2^53, which no counter here reaches in a thousand years.
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub fn as_f64(count: u64) -> f64 {
    count as f64
}

/// `local-store` becomes `LocalStore`.
fn camel_case(name: &str) -> String {
    name.split('-')
        .filter_map(|word| {
            let mut letters = word.chars();
            letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str())
        })
        .collect()
}

/// The tables as the documentation shows them.
#[must_use]
pub fn markdown() -> String {
    let own: Vec<Definition> = Figure::ALL.iter().map(|figure| figure.definition()).collect();
    let mut text = String::new();
    let sections: [(&str, &[Definition]); 12] = [
        ("Sent with every snapshot, with its timestamp", SNAPSHOT),
        ("Of the process daemon (`self-metrics = true`), with the moment that they describe", &own),
        (
            "Of each destination (`self-metrics = true`), summed over all workers since the daemon started; the name \
             follows that of the destination: `GraphiteLinesDelivered`, `LocalStoreLinesDelivered`",
            DISPATCHER,
        ),
        ("Besides those, of Kafka: `KafkaMessagesSent`", MESSAGES),
        (
            "Of the pull daemon (`self-metrics = true`), with the timestamp of the snapshot that carries them; counters \
             start from 0 with haproxystats-pull",
            crate::pull::counters::TABLE,
        ),
        ("Of the agent (`self-metrics` of `[agent]`)", &AGENT),
        (
            "Of each service of the agent, behind `agent.<service>.`; where the figure is one of several, the word follows \
             its name: `AnswersUp`, `StateDrain`",
            &AGENT_SERVICE,
        ),
        (
            "Of each check of a service of the agent, behind `agent.<service>.<check>.`: `CheckFailuresTimeout`",
            &AGENT_CHECK,
        ),
        (
            "Of the server of discovery (`graphite = true` in `[discovery]`); where the figure is one of several, the word \
             stands before its name: `discovery.added.DiscoveryChanges`. The weight of each server is \
             `discovery.server.<name>.Weight`, on the page `hsdo_server_weight{id,name,ip,asg}`",
            &DISCOVERY,
        ),
        ("Of the client of discovery (`graphite = true` in `[discovery]`)", &DISCOVERY_CLIENT),
        ("Of the client of discovery, of each socket: `discovery.<socket>.DiscoveryClientUp`", &DISCOVERY_SOCKET),
        (
            "Of the client of discovery, of each backend: `discovery.<socket>.<backend>.DiscoveryClientDrift`",
            &DISCOVERY_BACKEND,
        ),
    ];
    for (title, definitions) in sections {
        // Writing to a string cannot fail.
        let _ = write!(text, "\n### {title}\n\n| name | unit | kind | meaning |\n|---|---|---|---|\n");
        for Definition { name, unit, kind, about } in definitions {
            let kind = if *kind == Kind::Counter { "counter" } else { "gauge" };
            let _ = writeln!(text, "| `{name}` | {unit} | {kind} | {about} |");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_name_is_a_unique_leaf_of_a_metric_path() {
        let own = Figure::ALL.iter().map(|figure| figure.definition());
        let pull = crate::pull::counters::TABLE;
        let agent = AGENT.iter().chain(&AGENT_SERVICE).chain(&AGENT_CHECK);
        let discovery = DISCOVERY.iter().chain(&DISCOVERY_CLIENT).chain(&DISCOVERY_SOCKET).chain(&DISCOVERY_BACKEND);
        let all: Vec<Definition> =
            SNAPSHOT.iter().chain(pull).chain(agent).chain(discovery).copied().chain(own).collect();
        let mut names: Vec<String> = all.iter().map(|definition| definition.name.to_owned()).collect();
        for dispatcher in ["graphite", "kafka", "local-store", "agent-graphite"] {
            names.extend(of_dispatcher(dispatcher, &Counters::default()).into_iter().map(|(name, _)| name));
        }
        assert!(names.iter().all(|name| name.bytes().all(|b| b.is_ascii_alphanumeric())), "{names:?}");
        assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len());
        assert!(all.iter().chain(DISPATCHER).chain(MESSAGES).all(|definition| definition.about.ends_with('.')));
    }

    #[test]
    fn a_destinations_name_becomes_a_part_of_the_metrics_name() {
        let counters = Counters { delivered_lines: 7, settling: 4, ..Counters::default() };
        let figures = of_dispatcher("local-store", &counters);
        assert_eq!(figures.len(), DISPATCHER.len());
        assert_eq!(figures.first(), Some(&("LocalStoreLinesDelivered".to_owned(), 7.0)));
        assert_eq!(figures.last(), Some(&("LocalStoreSnapshotsSettling".to_owned(), 4.0)));
    }

    #[test]
    fn the_documentation_shows_these_tables() {
        const BEGIN: &str = "<!-- own metrics: begin (generated; see src/lib/telemetry.rs) -->\n";
        const END: &str = "\n<!-- own metrics: end -->";
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md");
        let document = std::fs::read_to_string(path).unwrap();
        let (before, rest) = document.split_once(BEGIN).expect("the mark of the beginning");
        let (shown, after) = rest.split_once(END).expect("the mark of the end");
        if std::env::var_os("HAPROXYSTATS_ACCEPT").is_some() {
            std::fs::write(path, format!("{before}{BEGIN}{}{END}{after}", markdown())).unwrap();
        } else {
            assert_eq!(shown, markdown(), "run this test with HAPROXYSTATS_ACCEPT=1 to accept");
        }
    }
}
