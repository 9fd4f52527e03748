//! What the man pages say beyond the help texts and the table of options.

/// The words about one program.
pub struct Prose {
    pub program: &'static str,
    /// Paragraphs.
    pub description: &'static [&'static str],
    /// Signal and effect.
    pub signals: &'static [(&'static str, &'static str)],
    /// Exit statuses beyond those of every program.
    pub statuses: &'static [(u8, &'static str)],
    /// Path and meaning, beyond the configuration file.
    pub files: &'static [(&'static str, &'static str)],
    /// Command line and what it does.
    pub examples: &'static [(&'static str, &'static str)],
}

/// Exit statuses of every program.
pub const STATUSES: [(u8, &str); 3] = [
    (0, "It ended because it was told to, or what was asked for is done."),
    (1, "The command line cannot be understood, or something outside of the program failed for good."),
    (78, "The configuration is refused, or --check has found a fault; nothing was started."),
];

/// Environment variables of every program.
pub const ENVIRONMENT: [(&str, &str); 2] = [
    ("NOTIFY_SOCKET", "Where systemd is told that the program is ready, alive and stopping, and what it does."),
    ("WATCHDOG_USEC", "How often systemd wants a sign of life."),
];

/// In the order of the data.
pub const PAGES: &[Prose] = &[
    Prose {
        program: "haproxystats-pull",
        description: &[
            "At every multiple of pull-interval it asks all stats sockets of HAProxy for show info and show stat at the \
             same time, and writes the answers into a directory named after the second of the pull.",
            "The directory appears in dst-dir when every file in it is complete. It is the queue from which \
             haproxystats-process takes: while that program or its destinations are away, directories wait on disk, and \
             pulling is suspended when queue-size of them wait.",
            "It needs no root, but must be allowed to connect to the sockets; level user is enough.",
        ],
        signals: &[("SIGTERM, SIGINT, SIGHUP", "It ends at once, in every state; a pull in progress is discarded.")],
        statuses: &[],
        files: &[
            ("/var/lib/haproxystats/incoming", "dst-dir: complete snapshots, a directory for each pull."),
            ("/var/lib/haproxystats/incoming.tmp", "tmp-dst-dir: snapshots that are being written."),
        ],
        examples: &[
            ("haproxystats-pull --check", "Say what is wrong with /etc/haproxystats.conf, and start nothing."),
            (
                "haproxystats-pull -f lb.conf -d lb.d",
                "Run with the options of lb.conf, and those of lb.d/*.conf over them.",
            ),
        ],
    },
    Prose {
        program: "haproxystats-process",
        description: &[
            "It takes the directories that haproxystats-pull publishes, oldest first, combines the figures of all HAProxy \
             processes by the nature of each field, and delivers them. Worker processes do that, each one directory at a \
             time; a worker that dies or hangs is replaced.",
            "A directory is removed when every destination has its metrics. Until then it stays where it is, so that \
             neither a stop nor a crash loses anything; after a lost connection some points are sent again. A directory \
             that fells two workers is moved to failed, beside src-dir.",
        ],
        signals: &[
            (
                "SIGTERM, SIGINT, SIGHUP",
                "It takes no further directory, delivers what its workers hold for at most ten seconds, and ends. What is \
                 left stays on disk.",
            ),
            ("a second one", "It ends at once."),
        ],
        statuses: &[
            (66, "The directory after --once cannot be read."),
            (70, "Workers die faster than they can be replaced."),
        ],
        files: &[
            ("/var/lib/haproxystats/incoming", "src-dir: the queue."),
            ("/var/lib/haproxystats/failed", "Directories that could not be processed, the newest 360 of them."),
        ],
        examples: &[
            ("haproxystats-process --check", "Say what is wrong with /etc/haproxystats.conf, and start nothing."),
            (
                "haproxystats-process --once /var/lib/haproxystats/incoming/1700000000",
                "Print what would be sent of one directory.",
            ),
        ],
    },
    Prose {
        program: "haproxystats-agent",
        description: &[
            "It answers the agent checks of HAProxy for the services of the host that it runs on: which state a server \
             should have, and which share of its weight. What it answers comes from HTTP endpoints, Patroni, the load of \
             the host, commands and files, as the sections [agent] and [agent:NAME] of the configuration say.",
            "HAProxy asks with agent-check, agent-port and agent-inter in its server lines.",
        ],
        signals: &[
            (
                "SIGTERM, SIGINT",
                "It ends, and HAProxy keeps the last answers. Where a service has a stop-response, it answers that for \
                 stop-timeout seconds before; never a better one than the last. A second signal ends it at once.",
            ),
            (
                "SIGHUP",
                "It reads the configuration again. Where anything is wrong with it, it goes on with the one that it has. \
                 The page of metrics, Graphite and the level of the log take a restart.",
            ),
        ],
        statuses: &[],
        files: &[("/run/haproxystats-agent/state.json", "state-file: the last answers, for the next start.")],
        examples: &[
            ("haproxystats-agent --skip-config --port 5556", "Run with the defaults on another port."),
            ("haproxystats-agent --explain 'ready up 50%'", "Say what HAProxy makes of an answer."),
            (
                "haproxystats-agent --import-datawave config.yml",
                "Print the configuration of datawave_haproxy_agent as a section of haproxystats.conf.",
            ),
        ],
    },
    Prose {
        program: "haproxystats-discovery",
        description: &[
            "It puts servers and weights into HAProxy while HAProxy runs: no file is written, nothing is reloaded.",
            "With --server it asks a source who exists (Auto Scaling Groups, Consul, DNS, a file) and keeps an ordered list \
             of slots in a store (a file, DynamoDB, Consul, etcd); of several such programs a lease elects one. With \
             --client, beside each HAProxy, it brings the backends to what the list says, through the Runtime API; the \
             socket needs level admin. With both it serves a single host.",
            "Every parameter of HSDO is read from its environment variable as well, which wins over the file; the command \
             line wins over both.",
        ],
        signals: &[("SIGTERM, SIGINT", "It ends; HAProxy keeps the servers that it has.")],
        statuses: &[],
        files: &[("/var/lib/haproxystats/discovery", "state-dir: the last good listing.")],
        examples: &[
            ("haproxystats-discovery --server --client", "Keep list and HAProxy of a single host."),
            ("haproxystats-discovery --client --dry-run", "Print what one round would change in HAProxy, and why."),
        ],
    },
];
