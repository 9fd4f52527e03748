//! What unit tests of several modules share.

use crate::config::{
    Acknowledge, Config, Graphite, Groups, LogLevel, OnSocketFailure, Process, Pull, QueueFull, Retries, Selection,
};
use std::num::{NonZeroU64, NonZeroUsize};
use std::time::Duration;

/// The configuration without a file.
pub(crate) fn config() -> Config {
    let one = NonZeroUsize::MIN;
    let second = Duration::from_secs(1);
    Config {
        pull: Pull {
            loglevel: LogLevel::Info,
            socket_dir: None,
            servers: Vec::new(),
            retries: Retries::Times(1),
            timeout: second,
            interval: second,
            pull_timeout: None,
            pull_interval: second,
            buffer_limit: NonZeroU64::MIN,
            dst_dir: "/nonexistent".into(),
            tmp_dst_dir: "/nonexistent".into(),
            workers: one,
            queue_size: one,
            on_socket_failure: OnSocketFailure::DropAll,
            fsync: false,
        },
        process: Process {
            loglevel: LogLevel::Info,
            src_dir: "/nonexistent".into(),
            workers: one,
            frontend_metrics: Selection::Default,
            backend_metrics: Selection::Default,
            server_metrics: Selection::Default,
            daemon_metrics: Selection::Default,
            exact_selection: false,
            aggr_server_metrics: false,
            per_process_metrics: false,
            calculate_percentages: false,
            status_metrics: false,
            exclude_frontends: None,
            exclude_backends: None,
            liveness_check_interval: second,
            worker_timeout: second,
            self_metrics: true,
        },
        graphite: Graphite {
            server: "127.0.0.1".into(),
            port: 3002,
            retries: Retries::Times(3),
            interval: second,
            backoff: 2.0,
            delay: second,
            connect_timeout: second,
            write_timeout: second,
            acknowledge: Acknowledge::Close,
            settle: second,
            namespace: "loadbalancers".into(),
            prefix_hostname: true,
            fqdn: true,
            queue_size: one,
            queue_full: QueueFull::Keep,
            group_namespace: None,
        },
        local_store: None,
        groups: Groups::default(),
    }
}
