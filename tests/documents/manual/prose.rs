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
    (0, "It exited on request, or has done what it was asked to do."),
    (1, "Invalid command line, or a permanent failure outside the program."),
    (78, "The configuration is invalid, or --check has found an error; nothing was started."),
];

/// Environment variables of every program.
pub const ENVIRONMENT: [(&str, &str); 2] = [
    (
        "NOTIFY_SOCKET",
        "Socket of systemd's notifications (sd_notify): that the program is ready, alive, reloading or stopping, and its \
         status.",
    ),
    ("WATCHDOG_USEC", "How often systemd expects a keep-alive message."),
];

/// In the order of the data.
pub const PAGES: &[Prose] = &[
    Prose {
        program: "haproxystats-pull",
        description: &[
            "At every multiple of pull-interval it sends show info and show stat to all stats sockets of HAProxy at the \
             same time, and writes the replies into a directory named after the second of the pull.",
            "The directory appears in dst-dir when every file in it is complete. dst-dir is the queue of \
             haproxystats-process: while that program or its destinations are unavailable, directories wait on disk, and \
             pulling is suspended when queue-size of them wait.",
            "With families it sends further commands on the same connection, every families-interval, and stores each reply as a \
             separate file. A command that HAProxy refuses or does not answer does not affect the rest of the pull.",
            "It does not need root, but must be allowed to connect to the sockets; level user is enough, except for some \
             families and latency-table.",
        ],
        signals: &[
            (
                "SIGTERM, SIGINT",
                "It exits; a pull in progress has up to five seconds to finish. A second signal ends it at once.",
            ),
            (
                "SIGHUP",
                "It reads the configuration again, between two pulls. If that is invalid, it keeps the current one.",
            ),
        ],
        statuses: &[],
        files: &[
            ("/var/lib/haproxystats/incoming", "dst-dir: complete snapshots, a directory for each pull."),
            ("/var/lib/haproxystats/incoming.tmp", "tmp-dst-dir: snapshots that are being written."),
        ],
        examples: &[
            ("haproxystats-pull --check", "Report all errors in /etc/haproxystats.conf, and start nothing."),
            (
                "haproxystats-pull --latency-rules --buckets 5,20,100,500",
                "Print a stick table and rules for haproxy.cfg that count responses by these bounds, in milliseconds.",
            ),
            (
                "haproxystats-pull -f lb.conf -d lb.d",
                "Run with the options of lb.conf, overridden by those of lb.d/*.conf.",
            ),
        ],
    },
    Prose {
        program: "haproxystats-process",
        description: &[
            "It takes the directories that haproxystats-pull publishes, oldest first, combines the values of all HAProxy \
             processes (counters are summed, times averaged, maxima kept), and delivers them. Worker processes do that, \
             each one directory at a time; a worker that dies or hangs is replaced.",
            "A directory is removed when every destination has its metrics. Until then it stays where it is, so that \
             neither a stop nor a crash loses anything; after a lost connection some points are sent again. A directory \
             that crashes two workers is moved to failed, next to src-dir.",
        ],
        signals: &[
            (
                "SIGTERM, SIGINT",
                "It takes no more directories, delivers what its workers hold for at most ten seconds, and exits. The \
                 rest stays on disk.",
            ),
            ("a second one", "It exits at once."),
            (
                "SIGHUP",
                "It reads the configuration again, and replaces its workers one after the other. If that is invalid, it \
                 keeps the current one.",
            ),
        ],
        statuses: &[
            (1, "Or a replay is incomplete: snapshots were skipped, or it was interrupted."),
            (66, "The argument of --once or --replay cannot be read, or contains no snapshot."),
            (70, "Workers keep dying before they process anything."),
        ],
        files: &[
            ("/var/lib/haproxystats/incoming", "src-dir: the queue."),
            ("/var/lib/haproxystats/failed", "Directories that could not be processed, the newest 360 of them."),
            ("/var/lib/haproxystats/archive", "dir of [archive]: delivered directories, compressed."),
        ],
        examples: &[
            ("haproxystats-process --check", "Report all errors in /etc/haproxystats.conf, and start nothing."),
            (
                "haproxystats-process --once /var/lib/haproxystats/incoming/1700000000",
                "Print what would be sent for one directory.",
            ),
            (
                "haproxystats-process --replay /var/lib/haproxystats/archive --from 2026-11-29 --to 2026-11-30",
                "Send the archived snapshots of a day again.",
            ),
        ],
    },
    Prose {
        program: "haproxystats-agent",
        description: &[
            "It answers HAProxy's agent checks for the services of the host that it runs on, with the state that a server \
             should have and the share of its weight. The answers are based on HTTP endpoints, Patroni, the load of \
             the host, commands and files, as configured in the sections [agent] and [agent:NAME].",
            "HAProxy asks with agent-check, agent-port and agent-inter in its server lines.",
        ],
        signals: &[
            (
                "SIGTERM, SIGINT",
                "It exits, and HAProxy keeps the last answers. If a service has a stop-response, it first gives that answer for \
                 stop-timeout seconds, unless the last answer was worse. A second signal stops it at once.",
            ),
            ("SIGHUP", "It reads the configuration again. If that is invalid, it keeps the current one."),
        ],
        statuses: &[],
        files: &[(
            "/run/haproxystats-agent/state.json",
            "state-file: the last answers, which the next start continues with.",
        )],
        examples: &[
            ("haproxystats-agent --skip-config --port 5556", "Run with the defaults on another port."),
            ("haproxystats-agent --explain 'ready up 50%'", "Explain what HAProxy does with an answer."),
            (
                "haproxystats-agent --import-datawave config.yml",
                "Print the configuration of datawave_haproxy_agent as a section of haproxystats.conf.",
            ),
        ],
    },
    Prose {
        program: "haproxystats-discovery",
        description: &[
            "It changes servers and weights in the running HAProxy: no configuration file is written, nothing is reloaded.",
            "With --server it gets the servers from a source (Auto Scaling Groups, Consul, DNS, a file) and keeps an \
             ordered list of slots in a store (a file, DynamoDB, Consul, etcd); if several run, a lease elects one. With \
             --client, next to each HAProxy, it applies the list to the backends through the Runtime API; the socket \
             needs level admin. With both it serves a single host.",
            "Every parameter of HSDO is also read from its environment variable, which takes precedence over the file; \
             the command line takes precedence over both.",
        ],
        signals: &[
            ("SIGTERM, SIGINT", "It exits; HAProxy keeps the servers that it has."),
            (
                "SIGHUP",
                "It reads the configuration again, and keeps its lease. If that is invalid, it keeps the current one.",
            ),
        ],
        statuses: &[],
        files: &[("/var/lib/haproxystats/discovery", "state-dir: the last good listing.")],
        examples: &[
            ("haproxystats-discovery --server --client", "Maintain the list and HAProxy on a single host."),
            ("haproxystats-discovery --client --dry-run", "Print what one round would change in HAProxy, and why."),
        ],
    },
    Prose {
        program: "haproxystats-top",
        description: &[
            "It asks all stats sockets of the [pull] section at once, combines processes and hosts as haproxystats-process does, and \
             shows rates since the last look: frontends, backends and servers, the worst first (errors, then response time, then queue), \
             the share of each server in the requests and in the weight, states with the time since they changed and the last check in \
             HAProxy's words, workers that are leaving, and certificates if families has them. What changed is said in sentences.",
            "With --replay it shows stored snapshots in the same way, one after the other, or compared with any other one.",
            "It writes nothing and changes nothing in HAProxy. It sends show info and show stat, show proc to master-sockets, and the \
             commands about certificates if families has them; level user is enough for all but certificates before HAProxy 3.2. Keys \
             are listed by the key ?.",
        ],
        signals: &[
            ("SIGTERM, SIGINT, SIGHUP", "It gives the terminal back and exits."),
            ("SIGTSTP", "It gives the terminal back and stops, as with Ctrl-Z; SIGCONT draws the screen again."),
        ],
        statuses: &[
            (1, "Or no socket answers, or there is no terminal and neither --once nor --json is given."),
            (66, "What stands after --replay cannot be read, or contains no snapshot."),
        ],
        files: &[],
        examples: &[
            ("haproxystats-top", "Show what HAProxy does."),
            ("haproxystats-top --once --host lb-01", "Print one table of a host, with rates over two seconds."),
            ("haproxystats-top --json -i 10", "Print a JSON document every ten seconds."),
            (
                "haproxystats-top --replay /var/lib/haproxystats/archive --from 2026-11-30T08:00:00Z",
                "Step through archived snapshots.",
            ),
        ],
    },
];
