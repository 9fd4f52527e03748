//! Which sockets and destinations take connections, tried from here and now: the program itself may hang. Nothing is sent.

use crate::config::{Config, Program, Source};
use crate::haproxy::address::Address;
use crate::haproxy::socket::connect;
use std::os::unix::fs::FileTypeExt;
use std::time::Duration;
use tokio::task::JoinSet;

/// Time for each of them.
const LIMIT: Duration = Duration::from_secs(1);

/// A socket or a destination.
#[derive(Debug, Clone)]
pub(crate) struct Reach {
    /// `socket`, or the name of the destination.
    pub(crate) what: &'static str,
    pub(crate) address: String,
    /// Why it takes no connection.
    pub(crate) error: Option<String>,
}

/// Tries what the program connects to, all at the same time.
pub(crate) fn look(program: Program, config: &Config) -> Vec<Reach> {
    let all = match program {
        Program::Pull => sockets(config),
        Program::Process => destinations(config),
        Program::Agent | Program::Discovery | Program::Top => Vec::new(),
    };
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return Vec::new() };
    let found = runtime.block_on(async {
        let mut tries = JoinSet::new();
        for (number, (what, address)) in all.into_iter().enumerate() {
            tries.spawn(async move {
                let error = match tokio::time::timeout(LIMIT, connect(&address, LIMIT)).await {
                    Ok(Ok(_)) => None,
                    Ok(Err(error)) => Some(reason(&error)),
                    Err(_) => Some(format!("no answer within {} s", LIMIT.as_secs())),
                };
                (number, Reach { what, address: address.to_string(), error })
            });
        }
        let mut found = tries.join_all().await;
        found.sort_by_key(|(number, _)| *number);
        found.into_iter().map(|(_, reach)| reach).collect()
    });
    // A resolver that hangs is not waited for.
    runtime.shutdown_background();
    found
}

/// The innermost cause: what stands before it names the address, which is told anyway.
fn reason(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

fn sockets(config: &Config) -> Vec<(&'static str, Address)> {
    let entries =
        config.pull.socket_dir.iter().flat_map(|directory| std::fs::read_dir(directory).into_iter().flatten());
    let entries = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let entries = entries.filter(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let is_socket = std::fs::metadata(path).is_ok_and(|found| found.file_type().is_socket());
        is_socket && !config.pull.exclude_sockets.matches(&name)
    });
    let mut paths: Vec<_> = entries.collect();
    paths.sort();
    let found = paths.into_iter().map(Address::Unix);
    found.chain(config.pull.servers.iter().cloned()).map(|address| ("socket", address)).collect()
}

fn destinations(config: &Config) -> Vec<(&'static str, Address)> {
    let mut all = Vec::new();
    if config.graphite.enabled {
        let servers = config.graphite.servers.iter();
        all.extend(servers.map(|server| ("graphite", Address::Tcp { host: server.host.clone(), port: server.port })));
    }
    all.extend(config.kafka.iter().flat_map(|kafka| brokers("kafka", kafka.brokers())));
    let source = config.kafka_source.iter().filter(|_| config.process.source == Source::Kafka);
    all.extend(source.flat_map(|source| brokers("kafka-source", source.brokers())));
    all
}

fn brokers(what: &'static str, list: &str) -> impl Iterator<Item = (&'static str, Address)> {
    list.split(',').filter_map(move |broker| {
        let (host, port) = broker.rsplit_once(':').unwrap_or((broker, "9092"));
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Some((what, Address::Tcp { host, port: port.parse().ok()? }))
    })
}
